//! Appointing and dismissing admins of a live room. Source: docs/spec/rest-api-messages.md 3.5,
//! docs/spec/group-types.md 3 and 6.4.
//!
//! They are stored although members are not: they need not be in the room, and stay admins when they leave it.

use super::command::distinct;
use super::limits::within;
use super::role::{Operation, permit};
use super::{ChangeLiveAdmins, Context, Decision, Event, Group, Notice, Refusal, Report, notice};
use crate::id::AccountId;

pub(super) fn decide(
    group: Option<&Group>,
    change: &ChangeLiveAdmins,
    context: &Context<'_>,
) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let facts = group.facts();
    let accounts = distinct(&change.accounts);
    permit(facts.kind, group.rank(&change.operator), Operation::ChangeLiveAdmins, group.options(context.limits))?;

    // The owner is none of the admins and outranks them: there is nothing to grant it, nor to take away.
    let is_concerned = |account: &&AccountId| {
        facts.owner.as_ref() != Some(account) && group.member(account).is_some() != change.appoint
    };
    let accounts: Vec<AccountId> = accounts.into_iter().filter(is_concerned).cloned().collect();
    if accounts.is_empty() {
        return Ok(Decision::default());
    }
    let admins = facts.admin_count as usize + accounts.len();
    if change.appoint && !within(admins, context.limits.avchatroom_admins) {
        return Err(Refusal::BadParameter { field: "Admin_Account", what: "too many admins" });
    }
    Ok(decision(group, change, accounts, context))
}

fn decision(group: &Group, change: &ChangeLiveAdmins, accounts: Vec<AccountId>, context: &Context<'_>) -> Decision {
    let told = if change.appoint { Report::AdminGranted } else { Report::AdminRevoked };
    let mut notices = Vec::new();
    if notice::reports_appointments(group.facts().kind) {
        notices.push(Notice::report(accounts.clone(), change.operator.name(), told));
    }
    let (appointed, dismissed) = if change.appoint { (accounts, Vec::new()) } else { (Vec::new(), accounts) };
    Decision { notices, ..Decision::one(Event::LiveAdminsChanged { appointed, dismissed, at: context.at }) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Answer, Kind, Rank, Role};

    fn a_room() -> Given {
        given(a_group(Kind::AvChatRoom).owner("ann").admin("amy"))
    }

    fn changed(appointed: &[&str], dismissed: &[&str]) -> Event {
        Event::LiveAdminsChanged { appointed: accounts(appointed), dismissed: accounts(dismissed), at: NOW }
    }

    #[test]
    fn admins_are_stored_and_are_no_members() {
        let told = [report(&["eve", "dan"], "root", Report::AdminGranted)];
        let asked = appoint(&["eve", "amy", "dan", "eve"]);
        let group = a_room().asked(asked).decides([changed(&["eve", "dan"], &[])], told, Answer::Done);
        let group = group.expect("still there");
        assert_eq!((group.facts().admin_count, group.facts().member_count), (3, 0));
        assert_eq!(group.member(&account("eve")).map(|member| member.role), Some(Role::Admin));

        let told = [report(&["amy", "eve"], "root", Report::AdminRevoked)];
        let asked = dismiss(&["amy", "bob", "eve", "amy"]);
        let group = given(group).asked(asked).decides([changed(&[], &["amy", "eve"])], told, Answer::Done);
        let group = group.expect("still there");
        assert_eq!((group.facts().admin_count, group.member(&account("amy"))), (1, None));
    }

    #[test]
    fn what_is_so_already_is_left_alone() {
        a_room().asked(appoint(&["amy"])).changes_nothing();
        a_room().asked(dismiss(&["bob"])).changes_nothing();
        // The owner is above them.
        a_room().asked(appoint(&["ann"])).changes_nothing();
        a_room().asked(dismiss(&["ann"])).changes_nothing();
        let told = [report(&["eve"], "root", Report::AdminGranted)];
        a_room().asked(appoint(&["eve", "ann"])).decides([changed(&["eve"], &[])], told, Answer::Done);
    }

    #[test]
    fn there_are_only_so_many() {
        let limited = |max| a_room().limits(move |limits| limits.avchatroom_admins = max);
        limited(3).asked(appoint(&["eve", "amy", "dan"])).succeeds();
        limited(2).asked(appoint(&["eve", "dan"])).refuses(bad("Admin_Account", "too many admins"));
        limited(0).asked(appoint(&["eve", "dan"])).succeeds();
        // The limit was lowered since.
        let crowd = given(a_group(Kind::AvChatRoom).admin("amy").admin("abe"));
        let crowd = crowd.limits(|limits| limits.avchatroom_admins = 1);
        crowd.clone().asked(appoint(&["amy"])).changes_nothing();
        crowd.asked(dismiss(&["amy"])).succeeds();
    }

    #[test]
    fn only_app_admins_appoint() {
        for (name, rank) in [("ann", Rank::Owner), ("amy", Rank::Admin), ("eve", Rank::NotMember)] {
            let refusal = Refusal::NotPermitted { rank, operation: "changing the admins of a live room" };
            a_room().asked(ChangeLiveAdmins { operator: by(name), ..appoint(&["dan"]) }).refuses(refusal);
        }
        for kind in [Kind::Work, Kind::Public, Kind::Meeting, Kind::Community] {
            let refusal = Refusal::NotSupported { kind, operation: "changing the admins of a live room" };
            given(a_group(kind).owner("ann").member("bob")).asked(appoint(&["bob"])).refuses(refusal);
        }
        given(NO_GROUP).asked(appoint(&["bob"])).refuses(Refusal::NoSuchGroup);
    }
}
