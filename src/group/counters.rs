//! Changing counters. Source: docs/spec/rest-api.md 4.24 to 4.26.
//!
//! All or nothing, across the keys of one request. Increments are never lost, because one actor decides them one
//! after the other. As with attributes, nobody is told through a log or a feed.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::limits::within;
use super::role::{Operation, permit};
use super::{Answer, ChangeCounters, Context, CounterChange, Decision, Event, Group, Limits, Refusal};

pub(super) fn decide(
    group: Option<&Group>,
    change: &ChangeCounters,
    context: &Context<'_>,
) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let rank = group.rank(&change.operator);
    permit(group.facts().kind, rank, Operation::ChangeCounters, group.options(context.limits))?;

    let present = group.counters().expect("the counters were judged before their row was read");
    match &change.change {
        CounterChange::Set(pairs) => update(present, pairs, |_, value| Some(value), context.limits),
        CounterChange::Increase(pairs) => update(present, pairs, i64::checked_add, context.limits),
        CounterChange::Decrease(pairs) => update(present, pairs, i64::checked_sub, context.limits),
        CounterChange::Delete(keys) => Ok(delete(present.keys().filter(|key| keys.contains(key)))),
        CounterChange::Clear => Ok(delete(present.keys())),
    }
}

/// Takes one step per number asked for, one after the other: a counter that is named twice takes both.
fn update(
    present: &BTreeMap<String, i64>,
    asked: &[(String, i64)],
    step: impl Fn(i64, i64) -> Option<i64>,
    limits: &Limits,
) -> Result<Decision, Refusal> {
    let mut values: Vec<(String, i64)> = Vec::new();
    let mut places: FxHashMap<&str, usize> = FxHashMap::default();
    for (key, number) in asked {
        let place = *places.entry(key).or_insert_with(|| {
            values.push((key.clone(), present.get(key).copied().unwrap_or(0)));
            values.len() - 1
        });
        let overflow = Refusal::BadParameter { field: "Value", what: "the counter would overflow" };
        let value = &mut values[place].1;
        *value = step(*value, *number).ok_or(overflow)?;
    }
    let added = values.iter().filter(|(key, _)| !present.contains_key(key)).count();
    if added > 0 && !within(present.len() + added, limits.counter_keys) {
        return Err(Refusal::TooManyCounters { max: limits.counter_keys });
    }
    let is_new = |(key, value): &&(String, i64)| present.get(key) != Some(value);
    let set: Vec<_> = values.iter().filter(is_new).cloned().collect();
    let removed = Vec::new();
    let events = if set.is_empty() { Vec::new() } else { vec![Event::CountersChanged { set, removed }] };
    Ok(Decision { events, ..Decision::default() }.answering(Answer::Counted(values)))
}

/// Keys that are not there are gone already: 4.26.
fn delete<'a>(keys: impl Iterator<Item = &'a String>) -> Decision {
    let removed: Vec<String> = keys.cloned().collect();
    match removed.is_empty() {
        true => Decision::default(),
        false => Decision::one(Event::CountersChanged { set: Vec::new(), removed }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Kind, Rank};
    use CounterChange::{Clear, Decrease, Delete, Increase, Set};

    fn pairs(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
        pairs.iter().map(|(key, value)| (key.to_string(), *value)).collect()
    }

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn set(set: &[(&str, i64)]) -> Event {
        Event::CountersChanged { set: pairs(set), removed: Vec::new() }
    }

    fn removed(names: &[&str]) -> Event {
        Event::CountersChanged { set: Vec::new(), removed: keys(names) }
    }

    fn likes() -> Given {
        given(a_group(Kind::Public).owner("ann").counters(&[("likes", 15), ("views", -2)]))
    }

    #[test]
    fn the_answer_has_the_named_counters_as_they_are_now() {
        let cases = [
            (Increase(pairs(&[("new", 4), ("likes", 3)])), &[("new", 4), ("likes", 18)][..]),
            (Decrease(pairs(&[("likes", 3), ("new", 4)])), &[("likes", 12), ("new", -4)]),
            (Set(pairs(&[("views", 7), ("likes", 0)])), &[("views", 7), ("likes", 0)]),
            (Increase(pairs(&[("likes", -9), ("new", 1), ("likes", 5)])), &[("likes", 11), ("new", 1)]),
            (Set(pairs(&[("likes", i64::MIN), ("new", 1), ("likes", 5)])), &[("likes", 5), ("new", 1)]),
        ];
        for (change, values) in cases {
            let counted = Answer::Counted(pairs(values));
            let group = likes().asked(change_counters(change)).decides([set(values)], [], counted).expect("there");
            assert_eq!((group.facts().info_seq, group.facts().last_info, group.facts().next_msg_seq), (1, EARLIER, 1));
        }
    }

    #[test]
    fn counters_that_are_so_already_are_answered_all_the_same() {
        let counted = || Answer::Counted(pairs(&[("likes", 15)]));
        likes().asked(change_counters(Set(pairs(&[("likes", 15)])))).decides([], [], counted());
        likes().asked(change_counters(Decrease(pairs(&[("likes", 0)])))).decides([], [], counted());
        let zero = Answer::Counted(pairs(&[("new", 0)]));
        likes().asked(change_counters(Increase(pairs(&[("new", 0)])))).decides([set(&[("new", 0)])], [], zero);
        let both = Answer::Counted(pairs(&[("likes", 15), ("views", 1)]));
        let asked = change_counters(Set(pairs(&[("likes", 15), ("views", 1)])));
        likes().asked(asked).decides([set(&[("views", 1)])], [], both);
    }

    #[test]
    fn one_that_overflows_stops_all() {
        let overflow = || bad("Value", "the counter would overflow");
        let asked = |change| likes().asked(change_counters(change));
        asked(Increase(pairs(&[("views", 1), ("likes", i64::MAX - 14)]))).refuses(overflow());
        asked(Increase(pairs(&[("likes", i64::MAX - 15)]))).succeeds();
        // On the way to where it would fit again, too.
        asked(Increase(pairs(&[("likes", i64::MAX), ("likes", -20)]))).refuses(overflow());
        asked(Decrease(pairs(&[("views", i64::MAX)]))).refuses(overflow());
        asked(Decrease(pairs(&[("new", i64::MIN)]))).refuses(overflow());
        asked(Decrease(pairs(&[("views", i64::MIN)]))).succeeds();
    }

    #[test]
    fn deleting_passes_over_what_is_not_there() {
        let asked = |change| likes().asked(change_counters(change));
        asked(Delete(keys(&["views", "x", "views"]))).decides([removed(&["views"])], [], Answer::Done);
        asked(Delete(keys(&["x"]))).changes_nothing();
        asked(Clear).decides([removed(&["likes", "views"])], [], Answer::Done);
        given(a_group(Kind::Public)).asked(change_counters(Clear)).changes_nothing();
    }

    #[test]
    fn keys_are_counted_as_they_will_be() {
        let asked = |change, keys_max| {
            let limited = likes().limits(|limits| limits.counter_keys = keys_max);
            limited.asked(change_counters(change)).result.map(|_| ())
        };
        let full = Err(Refusal::TooManyCounters { max: 2 });
        assert_eq!(asked(Set(pairs(&[("new", 1)])), 2), full);
        assert_eq!(asked(Increase(pairs(&[("new", 1), ("new", 2)])), 3), Ok(()));
        assert_eq!(asked(Increase(pairs(&[("new", 1)])), 0), Ok(()));
        // The limit was lowered since.
        assert_eq!(asked(Increase(pairs(&[("likes", 1)])), 1), Ok(()));
    }

    #[test]
    fn members_count_except_in_a_community() {
        let asked = |operator| ChangeCounters { operator, ..change_counters(Increase(pairs(&[("likes", 1)]))) };
        let refused = |rank| Refusal::NotPermitted { rank, operation: "changing counters" };
        for kind in [Kind::Work, Kind::Public, Kind::Meeting, Kind::AvChatRoom] {
            let group = || given(a_group(kind).owner("ann"));
            group().asked(asked(app_admin())).succeeds();
            group().asked(asked(by("ann"))).succeeds();
            group().asked(asked(by("eve"))).refuses(refused(Rank::NotMember));
        }
        let refusal = Refusal::NotSupported { kind: Kind::Community, operation: "changing counters" };
        given(a_group(Kind::Community).owner("ann")).asked(asked(app_admin())).refuses(refusal);
        given(NO_GROUP).asked(asked(app_admin())).refuses(Refusal::NoSuchGroup);
    }
}
