//! Changing the attributes that members share. Source: docs/spec/rest-api.md 4.19 to 4.23.
//!
//! All or nothing, and limits are judged on what would be there afterwards; the lengths of keys and values were
//! checked at the edge. Nobody is told through a log or a feed: a change is a state event for those who are online
//! (docs/spec/events.md 3).

use std::collections::BTreeMap;

use super::limits::within;
use super::role::{Operation, permit};
use super::{AttributeChange, ChangeAttributes, Context, Decision, Event, Group, Limits, Refusal};

pub(super) fn decide(
    group: Option<&Group>,
    change: &ChangeAttributes,
    context: &Context<'_>,
) -> Result<Decision, Refusal> {
    let group = group.ok_or(Refusal::NoSuchGroup)?;
    let rank = group.rank(&change.operator);
    permit(group.facts().kind, rank, Operation::ChangeAttributes, group.options(context.limits))?;

    let present = group.attributes().expect("the attributes were judged before their row was read");
    let wanted = wanted(present, &change.change)?;
    let is_new = |(key, value): &(&String, &String)| present.get(*key) != Some(*value);
    let set: Vec<_> = wanted.iter().filter(is_new).map(|(key, value)| (key.clone(), value.clone())).collect();
    let removed: Vec<_> = present.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
    if set.is_empty() && removed.is_empty() {
        return Ok(Decision::default());
    }
    // Deleting is allowed also where a limit was lowered since.
    if !set.is_empty() {
        check_size(&wanted, context.limits)?;
    }
    Ok(Decision::one(Event::AttributesChanged { set, removed }))
}

/// The attributes as they would be.
fn wanted(present: &BTreeMap<String, String>, change: &AttributeChange) -> Result<BTreeMap<String, String>, Refusal> {
    match change {
        AttributeChange::Replace(pairs) => Ok(pairs.iter().cloned().collect()),
        AttributeChange::Merge(pairs) => {
            let mut wanted = present.clone();
            wanted.extend(pairs.iter().cloned());
            Ok(wanted)
        }
        AttributeChange::Delete(keys) => {
            if let Some(missing) = keys.iter().find(|key| !present.contains_key(*key)) {
                return Err(Refusal::NoSuchAttribute { key: missing.clone() });
            }
            let mut wanted = present.clone();
            wanted.retain(|key, _| !keys.contains(key));
            Ok(wanted)
        }
        AttributeChange::Clear => Ok(BTreeMap::new()),
    }
}

/// Keys count as values do: docs/spec/README.md, "Total size of attributes".
fn check_size(wanted: &BTreeMap<String, String>, limits: &Limits) -> Result<(), Refusal> {
    if !within(wanted.len(), limits.attr_keys) {
        return Err(Refusal::TooManyAttributes { max: limits.attr_keys });
    }
    let bytes: usize = wanted.iter().map(|(key, value)| key.len() + value.len()).sum();
    match within(bytes, limits.attr_total_bytes) {
        true => Ok(()),
        false => Err(Refusal::AttributesTooLarge { bytes_max: limits.attr_total_bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::{Answer, Kind, Rank};
    use AttributeChange::{Clear, Delete, Merge, Replace};

    fn changed(set: &[(&str, &str)], removed: &[&str]) -> Event {
        Event::AttributesChanged { set: fields(set), removed: keys(removed) }
    }

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn a_group_with(pairs: &[(&str, &str)]) -> Given {
        given(a_group(Kind::Public).owner("ann").attributes(pairs))
    }

    fn seats() -> Given {
        a_group_with(&[("a", "1"), ("b", "2")])
    }

    #[test]
    fn only_what_changes_is_written_and_the_last_mention_wins() {
        let cases = [
            (Replace(fields(&[("c", "0"), ("b", "2"), ("c", "3")])), changed(&[("c", "3")], &["a"])),
            (Merge(fields(&[("c", "3"), ("a", "9"), ("b", "2")])), changed(&[("a", "9"), ("c", "3")], &[])),
            (Delete(keys(&["b", "b"])), changed(&[], &["b"])),
            (Clear, changed(&[], &["a", "b"])),
        ];
        for (change, event) in cases {
            let group = seats().asked(change_attributes(change)).decides([event], [], Answer::Done).expect("there");
            // The profile is not what changed: docs/spec/rest-api.md 3.5.
            assert_eq!((group.facts().info_seq, group.facts().last_info, group.facts().next_msg_seq), (1, EARLIER, 1));
        }
        let (_, group) = seats().asked(change_attributes(Replace(fields(&[("c", "3"), ("b", "2")])))).succeeds();
        assert_eq!(group.attributes().map(|all| all.len()), Some(2));
    }

    #[test]
    fn attributes_that_are_so_already_are_left_alone() {
        let same = fields(&[("b", "9"), ("b", "2"), ("a", "1")]);
        seats().asked(change_attributes(Replace(same.clone()))).changes_nothing();
        seats().asked(change_attributes(Merge(same))).changes_nothing();
        a_group_with(&[]).asked(change_attributes(Clear)).changes_nothing();
    }

    #[test]
    fn one_missing_key_keeps_all() {
        let missing = Refusal::NoSuchAttribute { key: "x".into() };
        seats().asked(change_attributes(Delete(keys(&["a", "x", "y"])))).refuses(missing);
    }

    #[test]
    fn limits_are_judged_on_what_would_be_there() {
        let asked = |change, keys_max, bytes_max| {
            let limited = seats().limits(|limits| (limits.attr_keys, limits.attr_total_bytes) = (keys_max, bytes_max));
            limited.asked(change_attributes(change)).result.map(|_| ())
        };
        let three = || fields(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let too_many = Err(Refusal::TooManyAttributes { max: 2 });
        let too_large = Err(Refusal::AttributesTooLarge { bytes_max: 5 });
        assert_eq!(asked(Merge(fields(&[("c", "3")])), 2, 0), too_many);
        assert_eq!(asked(Merge(fields(&[("c", "3")])), 3, 6), Ok(()));
        assert_eq!(asked(Merge(fields(&[("c", "3")])), 3, 5), too_large);
        assert_eq!(asked(Replace(three()), 2, 5), too_many);
        assert_eq!(asked(Replace(three()), 0, 5), too_large);
        assert_eq!(asked(Replace(fields(&[("c", "3")])), 1, 2), Ok(()));
        // The limits were lowered since.
        assert_eq!(asked(Delete(keys(&["a"])), 1, 1), Ok(()));
        assert_eq!(asked(Merge(fields(&[("a", "1")])), 1, 1), Ok(()));
    }

    #[test]
    fn members_write_in_every_kind() {
        for kind in Kind::ALL {
            let group = || given(a_group(kind).owner("ann"));
            let asked = |operator| ChangeAttributes { operator, ..change_attributes(Merge(fields(&[("a", "1")]))) };
            group().asked(asked(app_admin())).succeeds();
            group().asked(asked(by("ann"))).succeeds();
            let refusal = Refusal::NotPermitted { rank: Rank::NotMember, operation: "changing attributes" };
            group().asked(asked(by("eve"))).refuses(refusal);
        }
        given(NO_GROUP).asked(change_attributes(Clear)).refuses(Refusal::NoSuchGroup);
    }
}
