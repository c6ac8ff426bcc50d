//! Histories that are right, and beside each a wrong one that differs in what a broken node would have told.

use crate::checker::{Scope, check};
use crate::history::{Account, Action, Answer, Counter, End, Moment, Operation, Profile, Role, Roster};

const ANN: Account = Account(1);
const BOB: Account = Account(2);
const C: Counter = Counter(0);

/// One operation by its call and answer, in moments; a client of its own.
fn told(action: Action, answer: Answer, called: u64, returned: u64) -> Operation {
    Operation { client: 0, group: 0, action, called: Moment(called), end: End::Answered(answer, Moment(returned)) }
}

/// One after the other, in the order of the moments.
fn at(moment: u64, action: Action, answer: Answer) -> Operation {
    told(action, answer, moment * 10, moment * 10 + 5)
}

fn no_answer(called: u64, action: Action) -> Operation {
    Operation { client: 0, group: 0, action, called: Moment(called * 10), end: End::Unknown }
}

fn created(moment: u64) -> Operation {
    at(moment, Action::Create(1), Answer::Done)
}

fn add(moment: u64, account: Account) -> Operation {
    at(moment, Action::Add(vec![account]), Answer::Added(vec![true]))
}

fn remove(moment: u64, account: Account) -> Operation {
    at(moment, Action::Remove(vec![account]), Answer::Done)
}

fn count(moment: u64, now: i64) -> Operation {
    at(moment, Action::Count(C, 1), Answer::Counted(now))
}

fn counters(moment: u64, value: i64) -> Operation {
    at(moment, Action::ReadCounters, Answer::Counters([value, 0]))
}

/// A role as it is read; `None`: not in the group.
fn role(moment: u64, account: Account, role: Option<Role>) -> Operation {
    at(moment, Action::ReadRoles(vec![account]), Answer::Roles(vec![role]))
}

/// The whole group: who is in it, beside the owner, after how many tips and changes of the name.
fn profile(moment: u64, members: &[(Account, Role)], name: u64, tips: u64, renames: u64) -> Operation {
    at(moment, Action::ReadProfile, Answer::Profile(shown(members, name, tips, renames)))
}

fn shown(members: &[(Account, Role)], name: u64, tips: u64, renames: u64) -> Profile {
    let mut roster = Roster::default();
    roster[0] = Some(Role::Owner);
    members.iter().for_each(|(account, role)| roster[usize::from(account.0)] = Some(*role));
    Profile { roster, name, next_msg_seq: 1 + tips, info_seq: 1 + renames }
}

const MEMBER: Option<Role> = Some(Role::Member);
const ADMIN: Option<Role> = Some(Role::Admin);

/// Accepts the first and rejects the second, for something in that scope.
#[track_caller]
fn tells_apart(clean: Vec<Operation>, doctored: Vec<Operation>, scope: Scope) {
    assert_eq!(check(&clean), vec![], "the clean one");
    let found = check(&doctored);
    assert_eq!(found.iter().map(|violation| violation.scope).collect::<Vec<_>>(), [scope], "{found:?}");
}

const OF_ANN: Scope = Scope::Account(ANN);
const OF_BOB: Scope = Scope::Account(BOB);
const OF_COUNTER: Scope = Scope::Counter(C);

#[test]
fn an_acknowledged_join_is_lost() {
    let before = || vec![created(0), add(1, ANN)];
    let with = |last: Operation| [before(), vec![last]].concat();
    tells_apart(with(role(2, ANN, MEMBER)), with(role(2, ANN, None)), OF_ANN);
}

#[test]
fn an_acknowledged_group_is_lost() {
    let read = |moment, answer| at(moment, Action::ReadProfile, answer);
    tells_apart(
        vec![created(0), profile(1, &[], 1, 0, 0)],
        vec![created(0), read(1, Answer::NoGroup)],
        Scope::Account(Account(0)),
    );
}

#[test]
fn a_read_is_older_than_an_answer_given_before_it() {
    let history = |late: Operation| vec![created(0), add(1, ANN), remove(3, ANN), late];
    // Called before the removal was answered it may show either; called afterwards it may not.
    let read = |called, returned| told(Action::ReadRoles(vec![ANN]), Answer::Roles(vec![MEMBER]), called, returned);
    tells_apart(history(read(34, 60)), history(read(36, 60)), OF_ANN);
}

#[test]
fn what_was_refused_appears() {
    let set = |answer| at(2, Action::SetRole(BOB, Role::Admin), answer);
    let history = |answer| vec![created(0), add(1, BOB), set(answer), role(3, BOB, ADMIN)];
    tells_apart(history(Answer::Done), history(Answer::NotMember), OF_BOB);
}

#[test]
fn what_was_unavailable_appears() {
    // A request that nothing came of stands in no history; one whose outcome is unknown explains what it may have done.
    let history = |perhaps: Option<Operation>| {
        let rest = vec![created(0), role(2, ANN, MEMBER)];
        perhaps.into_iter().chain(rest).collect::<Vec<_>>()
    };
    tells_apart(history(Some(no_answer(1, Action::Add(vec![ANN])))), history(None), OF_ANN);
}

#[test]
fn an_increment_is_applied_twice() {
    let history = |value| vec![created(0), count(1, 1), count(2, 2), counters(3, value)];
    tells_apart(history(2), history(3), OF_COUNTER);
}

#[test]
fn an_increment_is_lost_between_two_answers() {
    let history = |second| vec![created(0), count(1, 1), count(2, second)];
    tells_apart(history(2), history(1), OF_COUNTER);
}

#[test]
fn an_unknown_increment_counts_once_and_not_twice() {
    let history = |value| vec![created(0), count(1, 1), no_answer(2, Action::Count(C, 1)), counters(3, value)];
    tells_apart(history(2), history(3), OF_COUNTER);
    tells_apart(history(1), history(0), OF_COUNTER);
}

#[test]
fn answers_are_ordered_against_real_time() {
    let entering = |called| told(Action::Add(vec![ANN]), Answer::Added(vec![true]), called, 39);
    let seen = || told(Action::ReadRoles(vec![ANN]), Answer::Roles(vec![MEMBER]), 20, 25);
    // Seen before it was asked for.
    tells_apart(vec![created(0), entering(12), seen()], vec![created(0), entering(27), seen()], OF_ANN);
}

#[test]
fn a_removed_member_rises_again() {
    let history = |last| vec![created(0), add(1, ANN), remove(2, ANN), role(3, ANN, None), role(4, ANN, last)];
    tells_apart(history(None), history(MEMBER), OF_ANN);
}

#[test]
fn a_member_of_a_former_group_of_that_id_rises_again() {
    let history = |last| {
        let destroyed = at(2, Action::Destroy, Answer::Done);
        let again = at(3, Action::Create(2), Answer::Done);
        vec![created(0), add(1, ANN), destroyed, again, role(4, ANN, last)]
    };
    tells_apart(history(None), history(MEMBER), OF_ANN);
}

#[test]
fn a_role_is_lost() {
    let appointed = || at(2, Action::SetRole(ANN, Role::Admin), Answer::Done);
    let history = |last| vec![created(0), add(1, ANN), appointed(), role(3, ANN, last)];
    tells_apart(history(ADMIN), history(MEMBER), OF_ANN);
}

#[test]
fn a_destroyed_group_answers() {
    let history =
        |last| vec![created(0), at(1, Action::Destroy, Answer::Done), at(2, Action::ReadRoles(vec![ANN]), last)];
    tells_apart(history(Answer::NoGroup), history(Answer::Roles(vec![None])), OF_ANN);
}

#[test]
fn reads_go_back_in_time() {
    // The removal is under way all the while: either answer is right, but not the older one after the newer.
    let leaving = || told(Action::Remove(vec![ANN]), Answer::Done, 20, 90);
    let history = |first, second| vec![created(0), add(1, ANN), leaving(), role(3, ANN, first), role(4, ANN, second)];
    tells_apart(history(MEMBER, None), history(None, MEMBER), OF_ANN);
}

#[test]
fn two_readers_see_two_orders() {
    // Each account alone is right: both join while both readers read. Together, one of the joins came first.
    let entering = |account| told(Action::Add(vec![account]), Answer::Added(vec![true]), 20, 90);
    let pair = |moment, ann, bob| at(moment, Action::ReadRoles(vec![ANN, BOB]), Answer::Roles(vec![ann, bob]));
    let history = |second: Operation| vec![created(0), entering(ANN), entering(BOB), pair(3, MEMBER, None), second];
    tells_apart(history(pair(4, MEMBER, MEMBER)), history(pair(4, None, MEMBER)), OF_ANN);
    let at_once = |ann, bob| told(Action::ReadRoles(vec![ANN, BOB]), Answer::Roles(vec![ann, bob]), 30, 35);
    let history = |second| vec![created(0), entering(ANN), entering(BOB), at_once(MEMBER, None), second];
    tells_apart(history(at_once(None, None)), history(at_once(None, MEMBER)), Scope::Whole);
}

#[test]
fn a_change_of_two_is_there_half() {
    let both = || told(Action::Add(vec![ANN, BOB]), Answer::Added(vec![true, true]), 20, 90);
    let pair = |ann, bob| at(3, Action::ReadRoles(vec![ANN, BOB]), Answer::Roles(vec![ann, bob]));
    let history = |read| vec![created(0), both(), read];
    tells_apart(history(pair(None, None)), history(pair(MEMBER, None)), Scope::Whole);
}

#[test]
fn a_tip_takes_no_number_or_two() {
    let history = |tips| vec![created(0), add(1, ANN), remove(2, ANN), profile(3, &[], 1, tips, 0)];
    for wrong in [1, 3] {
        tells_apart(history(2), history(wrong), Scope::Whole);
    }
}

#[test]
fn a_name_is_changed_without_its_number() {
    let renamed = || at(1, Action::Rename(7), Answer::Done);
    let history = |name, renames| vec![created(0), renamed(), profile(2, &[], name, 1, renames)];
    tells_apart(history(7, 1), history(7, 0), Scope::Whole);
    tells_apart(history(7, 1), history(1, 1), Scope::Whole);
}

#[test]
fn somebody_joins_twice() {
    let again = |entered| at(2, Action::Add(vec![ANN]), Answer::Added(vec![entered]));
    let history = |entered| vec![created(0), add(1, ANN), again(entered)];
    tells_apart(history(false), history(true), OF_ANN);
}

#[test]
fn a_profile_shows_somebody_nobody_added() {
    let history = |members: &[(Account, Role)]| vec![created(0), add(1, ANN), profile(2, members, 1, 1, 0)];
    tells_apart(history(&[(ANN, Role::Member)]), history(&[(ANN, Role::Member), (BOB, Role::Member)]), OF_BOB);
    let nonsense = at(2, Action::ReadProfile, Answer::Nonsense("MemberNum 3, and 2 members".into()));
    tells_apart(history(&[(ANN, Role::Member)]), vec![created(0), add(1, ANN), nonsense], Scope::Account(Account(0)));
}

#[test]
fn groups_are_judged_apart() {
    let other = |operation: Operation| Operation { group: 1, ..operation };
    let clean = vec![created(0), other(created(1)), add(2, ANN), other(role(3, ANN, None))];
    let doctored = vec![created(0), other(created(1)), add(2, ANN), other(role(3, ANN, MEMBER))];
    tells_apart(clean, doctored.clone(), OF_ANN);
    assert_eq!(check(&doctored)[0].group, 1);
}
