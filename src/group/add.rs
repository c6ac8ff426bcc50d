//! Adding members without their consent. Source: docs/spec/rest-api.md 4.7, docs/spec/group-types.md 6.5.

use super::admission::Admission;
use super::role::{Operation, permit};
use super::{
    Add, AddResult, AddedMember, Answer, Context, Decision, Event, Group, Notice, Refusal, Report, Role, Tip, notice,
};
use crate::id::AccountId;

pub(super) fn decide(group: Option<&Group>, add: &Add, context: &Context<'_>) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let facts = group.facts();
    permit(facts.kind, group.rank(&add.operator), Operation::Add, group.options(context.limits))?;

    let mut admission = Admission::new(group, context);
    check_whole(group, add, context, admission.is_full())?;
    let results: Vec<AddResult> = add.accounts.iter().map(|account| admission.ask(account, true)).collect();
    check_single(add, &results, context)?;

    let entering = add.accounts.iter().zip(&results).filter(|(_, result)| **result == AddResult::Added);
    let accounts: Vec<AccountId> = entering.map(|(account, _)| account.clone()).collect();
    let mut decision = Decision::default().answering(Answer::Added(results));
    if !accounts.is_empty() {
        decision.notices = notices(group, add, &accounts);
        let member = |account| AddedMember { account, role: Role::Member, custom: Vec::new() };
        let mut members: Vec<AddedMember> = accounts.into_iter().map(member).collect();
        // Who joins in one moment is listed by name: docs/spec/rest-api.md 4.4.
        members.sort_unstable_by(|a, b| a.account.cmp(&b.account));
        decision.events.push(Event::MembersAdded { members, at: context.at });
    }
    Ok(decision)
}

/// Refuses where nobody of those named could enter, and somebody would. Source: docs/spec/rest-api.md 4.7.
fn check_whole(group: &Group, add: &Add, context: &Context<'_>, is_full: bool) -> Result<(), Refusal> {
    if add.accounts.iter().any(|account| group.member(account).is_some()) {
        return Ok(());
    }
    match add.accounts.first() {
        Some(first) if add.accounts.iter().all(|account| context.unknown_accounts.contains(account)) => {
            Err(Refusal::NoSuchAccount { account: first.clone() })
        }
        _ if is_full => Err(Refusal::GroupFull { members_max: group.facts().members_max }),
        _ => Ok(()),
    }
}

/// One account that has too many groups is refused as a whole; among others it is a result of its own.
fn check_single(add: &Add, results: &[AddResult], context: &Context<'_>) -> Result<(), Refusal> {
    // A full group and an unknown account were refused before: what failed for a single one was its own limit.
    let single = add.accounts.windows(2).all(|pair| pair[0] == pair[1]);
    match single && results.contains(&AddResult::Failed) {
        true => Err(Refusal::TooManyGroups { max: context.limits.groups_per_user }),
        false => Ok(()),
    }
}

/// Silence is for everybody, the added ones included: docs/spec/rest-api.md 4.7.
fn notices(group: &Group, add: &Add, added: &[AccountId]) -> Vec<Notice> {
    if add.silent {
        return Vec::new();
    }
    let facts = group.facts();
    let operator = add.operator.name();
    let mut notices = vec![Notice::report(added.to_vec(), operator, Report::Invited)];
    if notice::stores_member_tips(facts.kind, facts.active) {
        let member_count = facts.member_count + added.len() as u32;
        notices.push(Notice::tip(operator, Tip::MembersInvited { accounts: added.to_vec(), member_count }));
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{AddResult::*, InviteJoin, Kind, Rank};

    fn room_for(free: u32) -> GroupBuilder {
        a_group(Kind::Public).owner("ann").member("bob").with(|created| created.members_max = 2 + free)
    }

    #[test]
    fn one_result_per_account_asked_for_in_that_order() {
        let asked = add(&["dan", "bob", "eve", "dan"]);
        let group = given(a_group(Kind::Public).owner("ann").member("bob")).asked(asked).decides(
            [added(&[("dan", Role::Member), ("eve", Role::Member)])],
            [report(&["dan", "eve"], "root", Report::Invited), invited_tip(&["dan", "eve"], "root", 4)],
            Answer::Added(vec![Added, AlreadyMember, Added, AlreadyMember]),
        );
        let group = group.expect("still there");
        let facts = group.facts();
        assert_eq!((facts.member_count, facts.next_join_seq, facts.next_msg_seq), (4, 4, 2));
        assert_eq!((facts.last_info, facts.info_seq), (NOW, 1));
        assert_eq!(group.member(&account("eve")).map(|member| (member.role, member.join_seq)), Some((Role::Member, 3)));
    }

    #[test]
    fn those_who_join_at_once_join_by_name() {
        given(a_group(Kind::Public)).asked(add(&["eve", "bob", "dan"])).decides(
            [added(&[("bob", Role::Member), ("dan", Role::Member), ("eve", Role::Member)])],
            [report(&["eve", "bob", "dan"], "root", Report::Invited), invited_tip(&["eve", "bob", "dan"], "root", 3)],
            Answer::Added(vec![Added, Added, Added]),
        );
    }

    #[test]
    fn nobody_new_is_no_entry_and_no_notice() {
        let outcome = given(room_for(5)).asked(add(&["bob", "ann"]));
        outcome.decides([], [], Answer::Added(vec![AlreadyMember, AlreadyMember]));
    }

    #[test]
    fn a_group_fills_in_order() {
        given(room_for(1)).asked(add(&["dan", "eve", "dan", "eve"])).decides(
            [added(&[("dan", Role::Member)])],
            [report(&["dan"], "root", Report::Invited), invited_tip(&["dan"], "root", 3)],
            Answer::Added(vec![Added, Failed, AlreadyMember, Failed]),
        );
        given(room_for(0)).asked(add(&["dan", "eve"])).refuses(Refusal::GroupFull { members_max: 2 });
        given(room_for(0)).asked(add(&["dan"])).refuses(Refusal::GroupFull { members_max: 2 });
        // Who asks again after a partial success gets the results, not a refusal.
        given(room_for(0)).asked(add(&["bob", "dan"])).decides([], [], Answer::Added(vec![AlreadyMember, Failed]));
        let (_, group) = given(room_for(0).with(|c| c.members_max = 0)).asked(add(&["dan"])).succeeds();
        assert_eq!(group.facts().member_count, 3);
    }

    #[test]
    fn an_account_in_too_many_groups_fails_alone() {
        let refusal = || Refusal::TooManyGroups { max: 5000 };
        given(room_for(2)).full(&["dan"]).asked(add(&["dan"])).refuses(refusal());
        given(room_for(2)).full(&["dan"]).asked(add(&["dan", "dan"])).refuses(refusal());
        let all_full = given(room_for(2)).full(&["dan", "eve"]).asked(add(&["dan", "eve"]));
        all_full.decides([], [], Answer::Added(vec![Failed, Failed]));
        // It takes no room from those who follow it.
        let (decision, _) = given(room_for(1)).full(&["dan"]).asked(add(&["dan", "eve"])).succeeds();
        assert_eq!(decision.answer, Answer::Added(vec![Failed, Added]));
        // A member who is in too many groups is a member all the same.
        given(room_for(0)).full(&["bob"]).asked(add(&["bob"])).decides([], [], Answer::Added(vec![AlreadyMember]));
        given(room_for(0)).full(&["dan"]).asked(add(&["dan"])).refuses(Refusal::GroupFull { members_max: 2 });
    }

    #[test]
    fn an_account_that_does_not_exist_fails_alone() {
        let unknown = |name| Refusal::NoSuchAccount { account: account(name) };
        given(room_for(2)).unknown(&["dan"]).asked(add(&["dan"])).refuses(unknown("dan"));
        given(room_for(2)).unknown(&["dan", "eve"]).asked(add(&["eve", "dan"])).refuses(unknown("eve"));
        given(room_for(0)).unknown(&["dan"]).asked(add(&["dan"])).refuses(unknown("dan"));
        let (decision, _) = given(room_for(1)).unknown(&["dan"]).asked(add(&["dan", "eve"])).succeeds();
        assert_eq!(decision.answer, Answer::Added(vec![Failed, Added]));
        let some = given(room_for(1)).unknown(&["dan"]).asked(add(&["dan", "bob"]));
        some.decides([], [], Answer::Added(vec![Failed, AlreadyMember]));
    }

    #[test]
    fn what_is_stored_of_it_depends_on_the_kind() {
        let notices = |group: GroupBuilder, silent| {
            let (decision, group) = given(group.owner("ann")).asked(Add { silent, ..add(&["dan"]) }).succeeds();
            let tips = decision.notices.iter().filter(|notice| matches!(notice, Notice::Tip { .. })).count();
            assert_eq!(group.facts().next_msg_seq, 1 + tips as u64);
            (tips, decision.notices.len() - tips)
        };
        assert_eq!(notices(a_group(Kind::Work), false), (0, 1));
        assert_eq!(notices(a_group(Kind::Work).active(), false), (1, 1));
        assert_eq!(notices(a_group(Kind::Public), false), (1, 1));
        assert_eq!(notices(a_group(Kind::Meeting), false), (0, 1));
        assert_eq!(notices(a_group(Kind::Community), false), (1, 1));
        for kind in [Kind::Work, Kind::Public, Kind::Meeting, Kind::Community] {
            assert_eq!(notices(a_group(kind).active(), true), (0, 0), "{kind:?}");
        }
    }

    #[test]
    fn the_invite_option_binds_users_and_not_app_admins() {
        let asked = |invite_join, operator| {
            let group = a_group(Kind::Public).owner("ann").admin("amy").member("bob");
            let group = group.with(|created| created.invite_join = invite_join);
            given(group).asked(Add { operator, ..add(&["dan"]) }).result.map(|decision| decision.answer)
        };
        let refused = |rank| Err(Refusal::NotPermitted { rank, operation: "adding members" });
        let done = Ok(Answer::Added(vec![Added]));
        use InviteJoin::{Disabled, Free, NeedPermission};
        assert_eq!(asked(Free, by("bob")), done);
        assert_eq!(asked(Free, by("eve")), refused(Rank::NotMember));
        assert_eq!(asked(NeedPermission, by("amy")), done);
        assert_eq!(asked(NeedPermission, by("bob")), refused(Rank::Member));
        assert_eq!(asked(Disabled, by("ann")), refused(Rank::Owner));
        assert_eq!(asked(Disabled, app_admin()), done);
    }

    #[test]
    fn a_live_room_is_entered_by_oneself_only() {
        let refusal = Refusal::NotSupported { kind: Kind::AvChatRoom, operation: "adding members" };
        given(a_group(Kind::AvChatRoom).owner("ann")).asked(add(&["dan"])).refuses(refusal);
        given(NO_GROUP).asked(add(&["dan"])).refuses(Refusal::NoSuchGroup);
    }
}
