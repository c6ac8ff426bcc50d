//! Custom fields: keys of an app's own with their values, of a group or of one of its members.
//!
//! Only named keys change, and an empty value deletes its key: docs/spec/rest-api.md 3.7. What a key and a value
//! may look like is checked at the edge (`shape`); how many there may be is checked here, because it depends on
//! what is there already.

use super::limits::within;
use super::{CustomField, Refusal};

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

/// Checks how many keys there would be afterwards; 0 allows any number.
///
/// A group with too many, because the limit was lowered since, may still lose some and change the others.
///
/// # Errors
/// [`Refusal::BadParameter`] naming `field` if keys are added beyond the limit.
pub(super) fn check_count(
    present: &[CustomField],
    changes: &[CustomField],
    keys_max: usize,
    field: &'static str,
) -> Result<(), Refusal> {
    let is_set = |key: &str| !value_of(present, key).is_empty();
    let added = changes.iter().filter(|(key, value)| !value.is_empty() && !is_set(key)).count();
    let deleted = changes.iter().filter(|(key, value)| value.is_empty() && is_set(key)).count();
    if added > deleted && !within(present.len() + added - deleted, keys_max) {
        return Err(Refusal::BadParameter { field, what: "too many custom fields" });
    }
    Ok(())
}

/// The value of a key; empty if it is not set, which is the same thing.
fn value_of<'a>(fields: &'a [CustomField], key: &str) -> &'a str {
    fields.iter().find(|(k, _)| k == key).map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<CustomField> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

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
        let present = fields(&[("a", "1"), ("b", "2")]);
        let full = Err(Refusal::BadParameter { field: "F", what: "too many custom fields" });
        assert_eq!(check_count(&present, &fields(&[("c", "3")]), 3, "F"), Ok(()));
        assert_eq!(check_count(&present, &fields(&[("c", "3")]), 2, "F"), full);
        assert_eq!(check_count(&present, &fields(&[("c", "3")]), 0, "F"), Ok(()));
        assert_eq!(check_count(&present, &fields(&[("a", ""), ("c", "3")]), 2, "F"), Ok(()));
        // The limit was lowered to 1 since: changing and deleting still work.
        assert_eq!(check_count(&present, &fields(&[("a", "5")]), 1, "F"), Ok(()));
        assert_eq!(check_count(&present, &fields(&[("a", "")]), 1, "F"), Ok(()));
    }
}
