//! Importing a group as it was elsewhere. Source: docs/spec/rest-api.md 4.17, docs/spec/group-types.md 6.1.
//!
//! Silent: nobody is told, the owner included. The quotas of the app, daily or not, do not bind: a migration
//! must not be throttled (docs/spec/limits.md 4), and no documented code of the command says that they could.
//! What binds the owner's account binds here, too.

use super::role::Operation;
use super::{Context, Decision, Group, Import, Refusal, create};

pub(super) fn decide(group: Option<&Group>, import: &Import, context: &Context<'_>) -> Result<Decision, Refusal> {
    let beginning = create::begin(group, &import.group, Operation::Import, context)?;
    let created = import.created.unwrap_or(context.at);
    if created > context.at {
        return Err(Refusal::BadParameter { field: "CreateTime", what: "in the future" });
    }
    beginning.check_accounts(context)?;
    // Active, also of the kind that begins otherwise: its messages follow by import. 4.17.
    Ok(beginning.decision(&import.group, created, true))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{AppLimit, Create, Event, Kind, Limits, Rank, Role};
    use crate::time::Stamp;

    fn owned(kind: Kind) -> Create {
        Create { owner: Some(account("ann")), ..create(kind) }
    }

    #[test]
    fn a_group_begins_in_the_past_and_nobody_is_told() {
        for kind in [Kind::Work, Kind::Public, Kind::Meeting, Kind::Community] {
            let (decision, group) = given(NO_GROUP).asked(import(owned(kind), Some(EARLIER))).succeeds();
            let [Event::Created(created), Event::MembersAdded { members, at }] = &decision.events[..] else {
                panic!("{decision:?}")
            };
            assert_eq!((created.at, *at, created.active), (EARLIER, EARLIER, true), "{kind:?}");
            assert_eq!((members.len(), members[0].role), (1, Role::Owner));
            assert_eq!((decision.notices.len(), group.facts().next_msg_seq), (0, 1));
            assert_eq!((group.facts().created, group.facts().last_joined), (EARLIER, EARLIER));
            assert_eq!(created.members_max, Limits::default().members_max_unnamed(kind));
        }
    }

    #[test]
    fn it_begins_now_unless_a_moment_is_named_and_never_later() {
        let begins = |created| {
            let (_, group) = given(NO_GROUP).asked(import(create(Kind::Public), created)).succeeds();
            group.facts().created
        };
        assert_eq!(begins(None), NOW);
        assert_eq!(begins(Some(NOW)), NOW);
        let later = import(create(Kind::Public), Some(Stamp(NOW.0 + 1)));
        given(NO_GROUP).asked(later).refuses(bad("CreateTime", "in the future"));
    }

    #[test]
    fn only_limits_of_the_account_bind() {
        let asked = || import(owned(Kind::Public), None);
        for full in [AppLimit::Groups, AppLimit::Communities] {
            given(NO_GROUP).quota_spent().app_full(full).asked(asked()).succeeds();
        }
        given(NO_GROUP).full(&["ann"]).asked(asked()).refuses(Refusal::TooManyGroups { max: 5000 });
        given(NO_GROUP).unknown(&["ann"]).asked(asked()).refuses(Refusal::NoSuchAccount { account: account("ann") });
    }

    #[test]
    fn it_is_for_app_admins_and_stored_kinds() {
        let refusal = Refusal::NotSupported { kind: Kind::AvChatRoom, operation: "importing the group" };
        given(NO_GROUP).asked(import(create(Kind::AvChatRoom), None)).refuses(refusal);
        let by_user = Create { operator: by("ann"), ..create(Kind::Public) };
        let refusal = Refusal::NotPermitted { rank: Rank::Owner, operation: "importing the group" };
        given(NO_GROUP).asked(import(by_user, None)).refuses(refusal);
        let present = || given(a_group(Kind::Public).owner("ann"));
        present().asked(import(owned(Kind::Public), None)).refuses(Refusal::GroupIdOwned);
        present().asked(import(create(Kind::Public), None)).refuses(Refusal::GroupIdTaken);
        // What creation checks is checked: a value, for one.
        let too_many = Create { members_max: Some(6001), ..create(Kind::Public) };
        given(NO_GROUP).asked(import(too_many, None)).refuses_with(10004);
    }
}
