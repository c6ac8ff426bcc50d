//! Making another member the owner. Source: docs/spec/rest-api.md 4.16, docs/spec/group-types.md 6.1.
//!
//! The owner that was becomes an ordinary member. The new owner's limits are not asked: it is in the group already.

use super::role::{Operation, permit};
use super::{Context, Decision, Event, Group, Notice, Refusal, Tip, Transfer, notice};

pub(super) fn decide(group: Option<&Group>, transfer: &Transfer, context: &Context<'_>) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let facts = group.facts();
    permit(facts.kind, group.rank(&transfer.operator), Operation::Transfer, group.options(context.limits))?;
    check_target(group, transfer, context)?;

    // No report: the new owner learns it from the tip (docs/spec/events.md 4).
    let mut notices = Vec::new();
    if notice::stores_text_tips(facts.kind, facts.active) {
        notices.push(Notice::tip(transfer.operator.name(), Tip::OwnerChanged { owner: transfer.to.clone() }));
    }
    let event = Event::OwnerChanged { from: facts.owner.clone(), to: transfer.to.clone(), at: context.at };
    Ok(Decision { notices, ..Decision::one(event) })
}

fn check_target(group: &Group, transfer: &Transfer, context: &Context<'_>) -> Result<(), Refusal> {
    let refuse = |what| Err(Refusal::BadParameter { field: "NewOwner_Account", what });
    // Both have to exist, whoever operates and whoever is to own: docs/spec/errors.md 6.
    let mut named = [transfer.operator.name(), &transfer.to].into_iter();
    if let Some(unknown) = named.find(|account| context.unknown_accounts.contains(account)) {
        return Err(Refusal::NoSuchAccount { account: unknown.clone() });
    }
    if group.facts().owner.as_ref() == Some(&transfer.to) {
        return refuse("owns the group already");
    }
    match group.member(&transfer.to) {
        Some(_) => Ok(()),
        None => refuse("not a member of the group"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Answer, Kind, Rank, Role};

    fn owner_changed(from: Option<&str>, to: &str) -> Event {
        Event::OwnerChanged { from: from.map(account), to: account(to), at: NOW }
    }

    fn owner_tip(owner: &str, operator: &str) -> Notice {
        Notice::Tip { operator: account(operator), tip: Tip::OwnerChanged { owner: account(owner) } }
    }

    fn a_public_group() -> Given {
        given(a_group(Kind::Public).owner("ann").admin("amy").member("bob"))
    }

    #[test]
    fn the_owner_that_was_is_an_ordinary_member() {
        let asked = Transfer { operator: by("ann"), ..transfer("amy") };
        let told = [owner_tip("amy", "ann")];
        let group = a_public_group().asked(asked).decides([owner_changed(Some("ann"), "amy")], told, Answer::Done);
        let group = group.expect("still there");
        let facts = group.facts();
        assert_eq!((facts.owner.clone(), facts.member_count, facts.admin_count), (Some(account("amy")), 3, 0));
        assert_eq!((facts.info_seq, facts.next_msg_seq, facts.last_info), (2, 2, NOW));
        let role = |name| group.member(&account(name)).map(|member| member.role);
        assert_eq!((role("ann"), role("amy")), (Some(Role::Member), Some(Role::Owner)));
    }

    #[test]
    fn an_app_admin_gives_an_owner_to_a_group_without_one() {
        let group = given(a_group(Kind::Public).admin("amy").member("bob"));
        let told = [owner_tip("bob", "root")];
        group.clone().asked(transfer("bob")).decides([owner_changed(None, "bob")], told, Answer::Done);
        group.asked(Transfer { operator: by("amy"), ..transfer("bob") }).refuses_with(10007);
    }

    #[test]
    fn it_goes_to_another_member() {
        let refused = |what| bad("NewOwner_Account", what);
        a_public_group().asked(transfer("ann")).refuses(refused("owns the group already"));
        a_public_group().asked(transfer("eve")).refuses(refused("not a member of the group"));
        let unknown = |name| Refusal::NoSuchAccount { account: account(name) };
        a_public_group().unknown(&["eve"]).asked(transfer("eve")).refuses(unknown("eve"));
        a_public_group().unknown(&["root"]).asked(transfer("bob")).refuses(unknown("root"));
        // Being in too many groups does not matter, nobody enters one.
        a_public_group().full(&["bob"]).asked(transfer("bob")).succeeds();
    }

    #[test]
    fn owners_hand_on_what_can_be_owned() {
        let asked = |operator| Transfer { operator: by(operator), ..transfer("bob") };
        let refused = |rank| Refusal::NotPermitted { rank, operation: "transferring the group" };
        a_public_group().asked(asked("amy")).refuses(refused(Rank::Admin));
        a_public_group().asked(asked("bob")).refuses(refused(Rank::Member));
        // Rank before targets.
        a_public_group().asked(Transfer { operator: by("eve"), ..transfer("eve") }).refuses(refused(Rank::NotMember));
        let refusal = Refusal::NotSupported { kind: Kind::AvChatRoom, operation: "transferring the group" };
        given(a_group(Kind::AvChatRoom).owner("ann").admin("amy")).asked(transfer("amy")).refuses(refusal);
        given(NO_GROUP).asked(transfer("bob")).refuses(Refusal::NoSuchGroup);
    }

    #[test]
    fn what_is_stored_of_it_depends_on_the_kind() {
        for (group, tips) in [
            (a_group(Kind::Work), 0),
            (a_group(Kind::Work).active(), 1),
            (a_group(Kind::Meeting), 1),
            (a_group(Kind::Community), 1),
        ] {
            let (decision, _) = given(group.owner("ann").member("bob")).asked(transfer("bob")).succeeds();
            assert_eq!(decision.notices.len(), tips);
        }
    }
}
