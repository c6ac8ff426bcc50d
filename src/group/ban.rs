//! Keeping accounts out of a live room for a while. Source: docs/spec/rest-api.md 4.27 to 4.29,
//! docs/spec/group-types.md 6.4.
//!
//! All or nothing, as muting is. A ban is of an account, in the room or not.

use super::command::{distinct, until_secs};
use super::role::Operation;
use super::{Ban, Context, Decision, Event, Group, Notice, Refusal, Report, Unban};
use crate::id::AccountId;

pub(super) fn decide(group: Option<&Group>, ban: &Ban, context: &Context<'_>) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let accounts = distinct(&ban.accounts);
    group.permit_on_each(&ban.operator, Operation::Ban, Operation::BanTarget, &accounts, context.limits)?;

    // Never "already so": another ban overwrites, and only its row knows the description of the one before.
    let until_secs = until_secs(context.at, ban.for_secs);
    let accounts: Vec<AccountId> = accounts.into_iter().cloned().collect();
    let description = ban.description.clone();
    let told = Report::Banned { until_secs, description: description.clone() };
    let notices = vec![Notice::report(accounts.clone(), ban.operator.name(), told)];
    let event = Event::Banned { accounts, until_secs, description, at: context.at };
    Ok(Decision { notices, ..Decision::one(event) })
}

/// Lets accounts in again; those that are not kept out are passed over: 4.28.
pub(super) fn decide_lift(group: Option<&Group>, unban: &Unban, context: &Context<'_>) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let accounts = distinct(&unban.accounts);
    group.permit_on_each(&unban.operator, Operation::Ban, Operation::UnbanTarget, &accounts, context.limits)?;

    let is_banned = |account: &&AccountId| group.restriction(account).banned_until > context.at.secs();
    let accounts: Vec<AccountId> = accounts.into_iter().filter(is_banned).cloned().collect();
    if accounts.is_empty() {
        return Ok(Decision::default());
    }
    let notices = vec![Notice::report(accounts.clone(), unban.operator.name(), Report::Unbanned)];
    Ok(Decision { notices, ..Decision::one(Event::Unbanned { accounts }) })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Answer, FOR_EVER_SECS, Kind, Rank};

    const FOR_EVER: u64 = FOR_EVER_SECS as u64;

    fn a_room() -> GroupBuilder {
        a_group(Kind::AvChatRoom).owner("ann").admin("amy").admin("abe")
    }

    fn banned(names: &[&str], until_secs: u64) -> (Event, Notice) {
        let told = Report::Banned { until_secs, description: "spam".into() };
        let event = Event::Banned { accounts: accounts(names), until_secs, description: "spam".into(), at: NOW };
        (event, report(names, "root", told))
    }

    #[test]
    fn the_banned_are_told_and_another_ban_overwrites() {
        let (event, told) = banned(&["eve", "amy"], NOW.secs() + 60);
        let group = given(a_room()).asked(ban(&["eve", "amy", "eve"], 60)).decides([event], [told], Answer::Done);
        let group = group.expect("still there");
        assert_eq!(group.restriction(&account("eve")).banned_until, NOW.secs() + 60);
        // An admin who is kept out is an admin all the same.
        assert_eq!((group.facts().admin_count, group.facts().next_msg_seq), (2, 1));
        for for_secs in [60, 30, FOR_EVER_SECS] {
            let (event, told) = banned(&["eve"], (NOW.secs() + u64::from(for_secs)).min(FOR_EVER));
            given(group.clone()).asked(ban(&["eve"], for_secs)).decides([event], [told], Answer::Done);
        }
    }

    #[test]
    fn only_a_ban_in_force_is_lifted() {
        let room = || given(a_room().banned("eve", FOR_EVER).banned("dan", NOW.secs()).muted("fay", FOR_EVER));
        let event = Event::Unbanned { accounts: accounts(&["eve"]) };
        let told = report(&["eve"], "root", Report::Unbanned);
        let group = room().asked(unban(&["dan", "eve", "fay", "eve"])).decides([event], [told], Answer::Done);
        assert_eq!(group.expect("still there").restriction(&account("eve")).banned_until, 0);
        room().asked(unban(&["dan", "fay", "gus", "ann"])).changes_nothing();
    }

    #[test]
    fn those_below_are_banned_also_the_owner_by_an_app_admin() {
        let asked = |operator, names: &[&str]| given(a_room()).asked(Ban { operator, ..ban(names, 60) });
        let refused = |rank, operation| Refusal::NotPermitted { rank, operation };
        let (_, group) = asked(app_admin(), &["eve", "ann"]).succeeds();
        assert_eq!(group.facts().owner, Some(account("ann")));
        let lift = Unban { operator: by("ann"), ..unban(&["ann"]) };
        given(group.clone()).asked(lift).refuses(refused(Rank::Owner, "unbanning a member of this role"));
        given(group).asked(unban(&["ann"])).succeeds();
        asked(by("ann"), &["ann"]).refuses(refused(Rank::Owner, "banning the owner"));
        asked(by("ann"), &["amy"]).succeeds();
        asked(by("amy"), &["eve"]).succeeds();
        asked(by("amy"), &["eve", "abe"]).refuses(refused(Rank::Admin, "banning an admin"));
        asked(by("amy"), &["ann"]).refuses(refused(Rank::Admin, "banning the owner"));
        asked(by("eve"), &["dan"]).refuses(refused(Rank::NotMember, "banning members"));
        let lifted = |name, target| given(a_room()).asked(Unban { operator: by(name), ..unban(&[target]) });
        lifted("amy", "abe").refuses(refused(Rank::Admin, "unbanning a member of this role"));
        lifted("amy", "eve").changes_nothing();
        lifted("eve", "eve").refuses_with(10007);
    }

    #[test]
    fn other_kinds_have_no_bans() {
        for kind in [Kind::Work, Kind::Public, Kind::Meeting, Kind::Community] {
            let refusal = || Refusal::NotSupported { kind, operation: "banning members" };
            given(a_group(kind).owner("ann").member("bob")).asked(ban(&["bob"], 60)).refuses(refusal());
            given(a_group(kind).owner("ann").member("bob")).asked(unban(&["bob"])).refuses(refusal());
        }
        given(NO_GROUP).asked(ban(&["bob"], 60)).refuses(Refusal::NoSuchGroup);
        given(NO_GROUP).asked(unban(&["bob"])).refuses(Refusal::NoSuchGroup);
    }
}
