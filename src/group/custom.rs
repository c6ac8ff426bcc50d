//! Custom fields: keys of an app's own with their values, of a group or of one of its members.
//!
//! Only named keys change, and an empty value deletes its key: docs/spec/rest-api.md 3.7. What a key and a value
//! may look like, and whether a key has to be declared at all, is checked at the edge; here is checked what
//! depends on the group: which keys its kind has, and how many are there already. Who may write a key: [`role`].
//!
//! [`role`]: super::role

use super::limits::within;
use super::role::Operation;
use super::{CustomField, CustomRule, Kind, Limits, Refusal, Role};

/// The custom keys of groups, or those of members, as they are in one kind of group.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    rules: &'a [CustomRule],
    kind: Kind,
    /// How many keys may be set that nobody declared; 0: any number.
    undeclared_max: usize,
    /// What the request calls the list.
    field: &'static str,
}

impl Limits {
    pub(super) fn group_keys(&self, kind: Kind) -> Keys<'_> {
        let (rules, undeclared_max) = (&self.custom.group, self.group_custom_keys);
        Keys { rules, kind, undeclared_max, field: "AppDefinedData" }
    }

    pub(super) fn member_keys(&self, kind: Kind) -> Keys<'_> {
        let (rules, undeclared_max) = (&self.custom.member, self.member_custom_keys);
        Keys { rules, kind, undeclared_max, field: "AppMemberDefinedData" }
    }
}

impl<'a> Keys<'a> {
    /// What was declared of a key for this kind of group; a key may have one rule for each kind.
    pub(super) fn rule(&self, key: &str) -> Option<&'a CustomRule> {
        let is_here = |rule: &&CustomRule| rule.kinds.is_empty() || rule.kinds.contains(&self.kind);
        self.rules.iter().find(|rule| rule.key == key && is_here(rule))
    }

    /// The right that writing a key of the group needs; without a rule of its own it is as the texts are.
    pub(super) fn write(&self, key: &str) -> Operation {
        self.rule(key).map_or(Operation::ChangeCustom, |rule| Operation::ChangeDeclared(rule.write))
    }

    /// The rights that writing a key of a member needs; without a rule of its own it is as the name card is.
    ///
    /// A rule replaces the rank it takes to write one's own value, unless it leaves that to everybody; that of
    /// others takes a strictly higher rank besides: docs/spec/group-types.md 4 and 6.4.
    pub(super) fn write_of_member(&self, key: &str, is_own: bool, role: Role) -> [Operation; 2] {
        let plain = if is_own { Operation::ChangeOwn } else { Operation::ChangeOther(role) };
        match self.rule(key) {
            Some(rule) if !(is_own && rule.own_write) => [plain, Operation::ChangeDeclared(rule.write)],
            _ => [plain; 2],
        }
    }

    /// Checks the keys that are named, and how many undeclared ones there would be afterwards.
    ///
    /// A group with too many, because the limit was lowered since, may still lose some and change the others.
    ///
    /// # Errors
    /// [`Refusal::BadParameter`] for a key that was declared for other kinds of group only, and if undeclared
    /// keys are added beyond their limit.
    pub(super) fn check(&self, present: &[CustomField], asked: &[CustomField]) -> Result<(), Refusal> {
        let is_declared = |key: &str| self.rules.iter().any(|rule| rule.key == key);
        let is_set = |key: &str| !value_of(present, key).is_empty();
        // What was set before it was declared for others may stay as it is, and be deleted.
        let may_stay = |key: &str, value: &str| is_set(key) && (value.is_empty() || value == value_of(present, key));
        let is_of_others = |key: &str| is_declared(key) && self.rule(key).is_none();
        if asked.iter().any(|(key, value)| is_of_others(key) && !may_stay(key, value)) {
            return Err(Refusal::BadParameter { field: self.field, what: "this type of group has no such key" });
        }
        let changes = changes(present, asked);
        let undeclared = || changes.iter().filter(|(key, _)| !is_declared(key));
        let added = undeclared().filter(|(key, value)| !value.is_empty() && !is_set(key)).count();
        let deleted = undeclared().filter(|(key, value)| value.is_empty() && is_set(key)).count();
        let before = present.iter().filter(|(key, _)| !is_declared(key)).count();
        if added > deleted && !within(before + added - deleted, self.undeclared_max) {
            return Err(Refusal::BadParameter { field: self.field, what: "too many custom fields" });
        }
        Ok(())
    }
}

/// What a request comes to: of each key its last value, and only where that differs from the present one.
pub(super) fn changes(present: &[CustomField], asked: &[CustomField]) -> Vec<CustomField> {
    let mut last: Vec<&CustomField> = Vec::new();
    for field in asked {
        match last.iter_mut().find(|(key, _)| *key == field.0) {
            Some(earlier) => *earlier = field,
            None => last.push(field),
        }
    }
    last.into_iter().filter(|(key, value)| value_of(present, key) != value).cloned().collect()
}

/// Sets one key, or deletes it if the value is empty; a key keeps the place it was first set at.
pub(super) fn apply(fields: &mut Vec<CustomField>, change: &CustomField) {
    let (key, value) = change;
    match fields.iter().position(|(k, _)| k == key) {
        Some(at) if value.is_empty() => drop(fields.remove(at)),
        Some(at) => fields[at].1.clone_from(value),
        None if value.is_empty() => {}
        None => fields.push(change.clone()),
    }
}

/// The value of a key; empty if it is not set, which is the same thing.
fn value_of<'a>(fields: &'a [CustomField], key: &str) -> &'a str {
    fields.iter().find(|(k, _)| k == key).map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{custom_rule, fields};
    use super::*;
    use crate::group::Rank;

    #[test]
    fn only_what_differs_is_a_change_and_the_last_mention_wins() {
        let present = fields(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let asked = fields(&[("a", "9"), ("b", "2"), ("d", "4"), ("a", "1"), ("e", ""), ("c", ""), ("d", "5")]);
        assert_eq!(changes(&present, &asked), fields(&[("d", "5"), ("c", "")]));
    }

    #[test]
    fn a_key_keeps_its_place_until_it_is_deleted() {
        let mut present = fields(&[("a", "1"), ("b", "2")]);
        for change in fields(&[("a", "3"), ("c", "4"), ("b", ""), ("b", "5"), ("x", "")]) {
            apply(&mut present, &change);
        }
        assert_eq!(present, fields(&[("a", "3"), ("c", "4"), ("b", "5")]));
    }

    #[test]
    fn keys_are_counted_as_they_will_be() {
        let check = |asked: &[(&str, &str)], keys_max| {
            let limits = Limits { group_custom_keys: keys_max, ..Limits::default() };
            limits.group_keys(Kind::Public).check(&fields(&[("a", "1"), ("b", "2")]), &fields(asked))
        };
        let full = Err(Refusal::BadParameter { field: "AppDefinedData", what: "too many custom fields" });
        assert_eq!(check(&[("c", "3")], 3), Ok(()));
        assert_eq!(check(&[("c", "3")], 2), full);
        assert_eq!(check(&[("c", "3")], 0), Ok(()));
        assert_eq!(check(&[("a", ""), ("c", "3")], 2), Ok(()));
        // The limit was lowered to 1 since: changing and deleting still work.
        assert_eq!(check(&[("a", "5")], 1), Ok(()));
        assert_eq!(check(&[("a", "")], 1), Ok(()));
    }

    #[test]
    fn declared_keys_belong_to_their_kinds_and_are_not_counted() {
        let mut limits = Limits { member_custom_keys: 1, ..Limits::default() };
        limits.custom.member = vec![
            custom_rule("a", Rank::Admin, &[]),
            custom_rule("b", Rank::Admin, &[Kind::Public, Kind::Work]),
            CustomRule { own_write: true, ..custom_rule("b", Rank::Admin, &[Kind::Meeting]) },
        ];
        let keys = |kind| limits.member_keys(kind);
        let found = |kind| keys(kind).rule("b").map(|rule| rule.own_write);
        assert_eq!((found(Kind::Work), found(Kind::Meeting), found(Kind::Community)), (Some(false), Some(true), None));
        assert!(keys(Kind::Community).rule("a").is_some() && keys(Kind::Work).rule("x").is_none());

        let (asked, present) = (fields(&[("a", "1"), ("b", "1"), ("x", "1")]), fields(&[("b", "0")]));
        assert_eq!(keys(Kind::Public).check(&present, &asked), Ok(()));
        let refused = |what| Err(Refusal::BadParameter { field: "AppMemberDefinedData", what });
        let no_such_key = refused("this type of group has no such key");
        assert_eq!(keys(Kind::Community).check(&[], &asked), no_such_key);
        assert_eq!(keys(Kind::Community).check(&[], &fields(&[("b", "")])), no_such_key);
        // It was set before it was declared.
        for (value, expected) in [("", Ok(())), ("0", Ok(())), ("1", no_such_key.clone())] {
            assert_eq!(keys(Kind::Community).check(&present, &fields(&[("b", value)])), expected);
        }
        assert_eq!(
            keys(Kind::Public).check(&present, &fields(&[("x", "1"), ("y", "1")])),
            refused("too many custom fields")
        );
    }
}
