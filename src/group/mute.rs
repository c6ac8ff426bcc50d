//! Silencing accounts, and letting them speak again. Source: docs/spec/rest-api.md 4.13, docs/spec/group-types.md 6.4.
//!
//! All or nothing: one target that may not be muted refuses the request. A mute belongs to the account, not to the
//! membership: it outlives leaving, so that it can be lifted from somebody who has left.

use super::command::{distinct, until_secs};
use super::role::Operation;
use super::{
    Context, Decision, Event, Group, Limits, Mute, Notice, Operator, Refusal, Report, Restriction, Tip, notice,
};
use crate::id::AccountId;
use crate::time::Stamp;

pub(super) fn decide(group: Option<&Group>, mute: &Mute, context: &Context<'_>) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let kind = group.facts().kind;
    let accounts = distinct(&mute.accounts);
    check_rights(group, &mute.operator, &accounts, mute.for_secs, context.limits)?;
    // Nobody knows who is in a live room, so anyone may be muted there: 4.13.
    let needs_members = kind.stores_members() && mute.for_secs != 0;
    if needs_members && accounts.iter().any(|account| group.member(account).is_none()) {
        return Err(Refusal::BadParameter { field: "Members_Account", what: "not a member of the group" });
    }

    let is_changed = |account: &&&AccountId| changes(group.restriction(account), mute.for_secs, context.at);
    let accounts: Vec<AccountId> = accounts.iter().filter(is_changed).map(|account| (*account).clone()).collect();
    Ok(silence(group, &mute.operator, accounts, mute.for_secs, context.at))
}

/// Checks the right to mute at all, and then each target.
pub(super) fn check_rights(
    group: &Group,
    operator: &Operator,
    targets: &[&AccountId],
    for_secs: u32,
    limits: &Limits,
) -> Result<(), Refusal> {
    let on_target = if for_secs == 0 { Operation::UnmuteTarget } else { Operation::MuteTarget };
    group.permit_on_each(operator, Operation::Mute, on_target, targets, limits)
}

/// Says whether a span that begins now, or the end of one, makes a difference to an account.
pub(super) fn changes(restriction: Restriction, for_secs: u32, at: Stamp) -> bool {
    match for_secs {
        0 => restriction.muted_until > at.secs(),
        _ => restriction.muted_until != until_secs(at, for_secs),
    }
}

/// Silences accounts from now on, or lets them speak; each of them notices a difference.
///
/// Only those who are in it are told, and told of. Source: docs/spec/events.md 2.2, 4.
pub(super) fn silence(
    group: &Group,
    operator: &Operator,
    accounts: Vec<AccountId>,
    for_secs: u32,
    at: Stamp,
) -> Decision {
    if accounts.is_empty() {
        return Decision::default();
    }
    let facts = group.facts();
    let is_told = |account: &&AccountId| !facts.kind.stores_members() || group.member(account).is_some();
    let told: Vec<AccountId> = accounts.iter().filter(is_told).cloned().collect();
    let until_secs = if for_secs == 0 { 0 } else { until_secs(at, for_secs) };

    let mut notices = Vec::new();
    if !told.is_empty() {
        notices.push(Notice::report(told.clone(), operator.name(), Report::Muted { until_secs }));
        if notice::stores_rank_tips(facts.kind, facts.active) {
            notices.push(Notice::tip(operator.name(), Tip::MembersMuted { accounts: told, for_secs }));
        }
    }
    Decision { notices, ..Decision::one(Event::Muted { accounts, until_secs, at }) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Answer, FOR_EVER_SECS, Kind, Rank};

    const FOR_EVER: u64 = FOR_EVER_SECS as u64;

    fn a_public_group() -> Given {
        given(a_group(Kind::Public).owner("ann").admin("amy").admin("abe").member("bob").member("cid"))
    }

    fn muted(names: &[&str], until_secs: u64) -> Event {
        Event::Muted { accounts: accounts(names), until_secs, at: NOW }
    }

    fn muted_report(names: &[&str], until_secs: u64) -> Notice {
        report(names, "root", Report::Muted { until_secs })
    }

    fn muted_tip(names: &[&str], for_secs: u32) -> Notice {
        Notice::Tip { operator: account("root"), tip: Tip::MembersMuted { accounts: accounts(names), for_secs } }
    }

    #[test]
    fn those_who_are_muted_are_told_and_the_group_too() {
        let until = NOW.secs() + 60;
        let group = a_public_group().asked(mute(&["bob", "amy", "bob"], 60)).decides(
            [muted(&["bob", "amy"], until)],
            [muted_report(&["bob", "amy"], until), muted_tip(&["bob", "amy"], 60)],
            Answer::Done,
        );
        let group = group.expect("still there");
        assert_eq!(group.restriction(&account("bob")).muted_until, until);
        assert_eq!((group.facts().next_msg_seq, group.facts().info_seq), (2, 1));
        // The later call wins, a shorter span as well as a longer one.
        let (decision, group) = given(group).asked(mute(&["bob", "cid"], 30)).succeeds();
        assert_eq!(decision.events, [muted(&["bob", "cid"], NOW.secs() + 30)]);
        given(group).asked(mute(&["bob"], 30)).changes_nothing();
    }

    #[test]
    fn an_end_beyond_the_wire_is_never() {
        for for_secs in [FOR_EVER_SECS, FOR_EVER_SECS - 1, 3_000_000_000] {
            let (decision, group) = a_public_group().asked(mute(&["bob"], for_secs)).succeeds();
            assert_eq!(decision.events, [muted(&["bob"], FOR_EVER)]);
            given(group).asked(mute(&["bob"], FOR_EVER_SECS)).changes_nothing();
        }
    }

    #[test]
    fn only_a_silence_in_force_is_lifted() {
        let group = || {
            a_group(Kind::Public)
                .owner("ann")
                .member("bob")
                .member("cid")
                .muted("bob", FOR_EVER)
                .muted("gone", FOR_EVER)
        };
        given(group()).asked(mute(&["cid", "bob"], 0)).decides(
            [muted(&["bob"], 0)],
            [muted_report(&["bob"], 0), muted_tip(&["bob"], 0)],
            Answer::Done,
        );
        given(group()).asked(mute(&["cid", "eve", "ann"], 0)).changes_nothing();
        given(group().muted("cid", NOW.secs())).asked(mute(&["cid"], 0)).changes_nothing();
        // Somebody who has left is let speak again, and not told: the group is no concern of theirs.
        given(group()).asked(mute(&["gone"], 0)).decides([muted(&["gone"], 0)], [], Answer::Done);
    }

    #[test]
    fn one_bad_target_refuses_all() {
        a_public_group().asked(mute(&["bob", "eve"], 60)).refuses(bad("Members_Account", "not a member of the group"));
        a_public_group().asked(mute(&["bob", "ann"], 60)).refuses(bad("MuteTime", "the owner cannot be muted"));
        let asked =
            |operator, names: &[&str]| a_public_group().asked(Mute { operator: by(operator), ..mute(names, 60) });
        let refused = |rank, operation| Refusal::NotPermitted { rank, operation };
        asked("ann", &["ann"]).refuses(bad("MuteTime", "the owner cannot be muted"));
        asked("ann", &["amy"]).succeeds();
        asked("amy", &["bob"]).succeeds();
        asked("amy", &["bob", "abe"]).refuses(refused(Rank::Admin, "muting an admin"));
        asked("amy", &["amy"]).refuses(refused(Rank::Admin, "muting an admin"));
        asked("amy", &["ann"]).refuses(refused(Rank::Admin, "muting the owner"));
        asked("bob", &["cid"]).refuses(refused(Rank::Member, "muting members"));
        asked("eve", &["cid"]).refuses(refused(Rank::NotMember, "muting members"));
        // Rank before targets.
        asked("bob", &["eve"]).refuses_with(10007);
        asked("amy", &["eve", "abe"]).refuses_with(10007);
        given(NO_GROUP).asked(mute(&["bob"], 60)).refuses(Refusal::NoSuchGroup);
    }

    #[test]
    fn an_owner_who_was_muted_before_may_speak_again() {
        let group = || given(a_group(Kind::Public).owner("ann").admin("amy").muted("ann", FOR_EVER));
        group().asked(mute(&["ann"], 0)).succeeds();
        group().asked(Mute { operator: by("ann"), ..mute(&["ann"], 0) }).succeeds();
        group().asked(Mute { operator: by("amy"), ..mute(&["ann"], 0) }).refuses_with(10007);
    }

    #[test]
    fn anyone_may_be_muted_in_a_live_room_but_its_owner() {
        let room = || given(a_group(Kind::AvChatRoom).owner("ann").admin("amy").admin("abe"));
        let until = NOW.secs() + 60;
        let told = [muted_report(&["eve", "amy"], until)];
        room().asked(mute(&["eve", "amy"], 60)).decides([muted(&["eve", "amy"], until)], told, Answer::Done);
        room().asked(mute(&["ann"], 60)).refuses_with(10004);
        room().asked(Mute { operator: by("ann"), ..mute(&["amy"], 60) }).succeeds();
        room().asked(Mute { operator: by("amy"), ..mute(&["eve"], 60) }).succeeds();
        room().asked(Mute { operator: by("amy"), ..mute(&["abe"], 60) }).refuses_with(10007);
        room().asked(Mute { operator: by("eve"), ..mute(&["fay"], 60) }).refuses_with(10007);
    }

    #[test]
    fn what_is_stored_of_it_depends_on_the_kind() {
        for (kind, tips) in [(Kind::Public, 1), (Kind::Meeting, 0), (Kind::Community, 1), (Kind::AvChatRoom, 0)] {
            let group = if kind.stores_members() { a_group(kind).member("bob") } else { a_group(kind) };
            let (decision, group) = given(group).asked(mute(&["bob"], 60)).succeeds();
            assert_eq!((decision.notices.len(), group.facts().next_msg_seq), (1 + tips, 1 + tips as u64), "{kind:?}");
        }
        let refusal = Refusal::NotSupported { kind: Kind::Work, operation: "muting members" };
        given(a_group(Kind::Work).member("bob")).asked(mute(&["bob"], 0)).refuses(refusal);
    }
}
