//! Removing members. Source: docs/spec/rest-api.md 4.8, docs/spec/group-types.md 6.5.

use rustc_hash::FxHashSet;

use super::role::{Operation, permit};
use super::{
    Answer, Context, Decision, Event, Group, Notice, Operator, Refusal, Remove, RemoveResult, Report, Tip, notice,
};
use crate::id::AccountId;

pub(super) fn decide(group: Option<&Group>, remove: &Remove, context: &Context<'_>) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let (kind, rank, options) = (group.facts().kind, group.rank(&remove.operator), group.options(context.limits));
    permit(kind, rank, Operation::Remove, options)?;

    let by_app_admin = matches!(remove.operator, Operator::AppAdmin { .. });
    // REST calls are all or nothing; on the user plane each of several targets has its own result.
    let refuses_whole = by_app_admin || remove.accounts.windows(2).all(|pair| pair[0] == pair[1]);

    let mut removed: FxHashSet<&AccountId> = FxHashSet::default();
    let mut accounts = Vec::new();
    let mut results = Vec::with_capacity(remove.accounts.len());
    for account in &remove.accounts {
        let Some(target) = group.member(account).filter(|_| !removed.contains(account)) else {
            results.push(RemoveResult::NotMember);
            continue;
        };
        match permit(kind, rank, Operation::RemoveTarget(target.role), options) {
            Ok(()) => {
                removed.insert(account);
                accounts.push(account.clone());
                results.push(RemoveResult::Removed);
            }
            Err(refusal) if refuses_whole => return Err(refusal),
            Err(_) => results.push(RemoveResult::Failed),
        }
    }

    let answer = if by_app_admin { Answer::Done } else { Answer::Removed(results) };
    let mut decision = Decision::default().answering(answer);
    if !accounts.is_empty() {
        decision.notices = notices(group, remove, &accounts);
        decision.events.push(Event::MembersRemoved { accounts, at: context.at });
    }
    Ok(decision)
}

/// The removed ones are told in any case, the others unless it is silent: docs/spec/rest-api.md 4.8.
fn notices(group: &Group, remove: &Remove, removed: &[AccountId]) -> Vec<Notice> {
    let facts = group.facts();
    let operator = remove.operator.name();
    let reason = &remove.reason;
    let mut notices = vec![Notice::report(removed.to_vec(), operator, Report::Kicked { reason: reason.clone() })];
    if !remove.silent && notice::stores_member_tips(facts.kind, facts.active) {
        let (accounts, member_count) = (removed.to_vec(), facts.member_count - removed.len() as u32);
        notices.push(Notice::tip(operator, Tip::MembersKicked { accounts, member_count, reason: reason.clone() }));
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Kind, Rank, RemoveResult::*};

    fn kicked(names: &[&str], operator: &str) -> Notice {
        report(names, operator, Report::Kicked { reason: "spam".into() })
    }

    fn kicked_tip(names: &[&str], operator: &str, member_count: u32) -> Notice {
        let tip = Tip::MembersKicked { accounts: accounts(names), member_count, reason: "spam".into() };
        Notice::Tip { operator: account(operator), tip }
    }

    fn a_public_group() -> Given {
        given(a_group(Kind::Public).owner("ann").admin("amy").admin("abe").member("bob").member("cid"))
    }

    #[test]
    fn members_leave_once_and_strangers_are_ignored() {
        let group = a_public_group().asked(remove(&["bob", "eve", "amy", "bob"])).decides(
            [removed(&["bob", "amy"])],
            [kicked(&["bob", "amy"], "root"), kicked_tip(&["bob", "amy"], "root", 3)],
            Answer::Done,
        );
        let group = group.expect("still there");
        let facts = group.facts();
        assert_eq!((facts.member_count, facts.admin_count, facts.next_join_seq), (3, 1, 5));
        assert_eq!((facts.next_msg_seq, facts.last_info, facts.info_seq), (2, NOW, 1));
        assert_eq!(group.member(&account("bob")), None);
        a_public_group().asked(remove(&["eve", "fay"])).changes_nothing();
    }

    #[test]
    fn silence_is_for_those_who_stay() {
        let silent = Remove { silent: true, ..remove(&["bob"]) };
        a_public_group().asked(silent).decides([removed(&["bob"])], [kicked(&["bob"], "root")], Answer::Done);
        for (group, tips) in [
            (a_group(Kind::Meeting), 0),
            (a_group(Kind::Work), 0),
            (a_group(Kind::Work).active(), 1),
            (a_group(Kind::Community), 1),
        ] {
            let (decision, _) = given(group.owner("ann").member("bob")).asked(remove(&["bob"])).succeeds();
            assert_eq!(decision.notices.len(), 1 + tips);
        }
    }

    #[test]
    fn a_work_group_may_lose_its_owner_the_others_may_not() {
        let work = given(a_group(Kind::Work).owner("ann").member("bob"));
        let (_, group) = work.asked(remove(&["ann"])).succeeds();
        assert_eq!((group.facts().owner.as_ref(), group.facts().member_count), (None, 1));
        for kind in [Kind::Public, Kind::Meeting, Kind::Community] {
            let group = given(a_group(kind).owner("ann").member("bob"));
            group.asked(remove(&["bob", "ann"])).refuses_with(10004);
        }
    }

    #[test]
    fn the_last_member_may_be_removed() {
        let (_, group) = given(a_group(Kind::Public).member("bob")).asked(remove(&["bob"])).succeeds();
        assert_eq!(group.facts().member_count, 0);
    }

    #[test]
    fn users_remove_those_below_them_each_with_a_result() {
        let asked = |operator, names: &[&str]| {
            let outcome = a_public_group().asked(Remove { operator: by(operator), ..remove(names) });
            outcome.result.map(|decision| (decision.events, decision.answer))
        };
        let refused = |rank, operation| Err(Refusal::NotPermitted { rank, operation });
        let results = |results: &[RemoveResult]| Answer::Removed(results.to_vec());

        assert_eq!(asked("ann", &["amy"]), Ok((vec![removed(&["amy"])], results(&[Removed]))));
        assert_eq!(asked("ann", &["ann"]), refused(Rank::Owner, "removing the owner"));
        assert_eq!(asked("amy", &["abe"]), refused(Rank::Admin, "removing an admin"));
        assert_eq!(asked("amy", &["amy", "amy"]), refused(Rank::Admin, "removing an admin"));
        let mixed = (vec![removed(&["bob"])], results(&[Failed, Removed, NotMember, NotMember, Failed]));
        assert_eq!(asked("amy", &["ann", "bob", "eve", "bob", "abe"]), Ok(mixed));
        assert_eq!(asked("amy", &["ann", "abe"]), Ok((vec![], results(&[Failed, Failed]))));
        assert_eq!(asked("bob", &["eve"]), refused(Rank::Member, "removing members"));
        assert_eq!(asked("eve", &["bob"]), refused(Rank::NotMember, "removing members"));
    }

    #[test]
    fn nobody_is_removed_from_a_live_room() {
        let room = || given(a_group(Kind::AvChatRoom).owner("ann"));
        room().asked(remove(&["bob"])).refuses_with(10004);
        room().asked(Remove { operator: by("ann"), ..remove(&["bob"]) }).refuses_with(10007);
        given(NO_GROUP).asked(remove(&["bob"])).refuses(Refusal::NoSuchGroup);
    }
}
