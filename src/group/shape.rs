//! What can be said of a command before the group is looked up: lengths, list caps, the look of a new id.
//!
//! The edge calls these with the limits of the app; [`decide`](super::decide) trusts that it did. Lengths count
//! bytes of UTF-8. A limit of 0 is none.
//!
//! Source: docs/spec/limits.md 1 to 3, docs/spec/identifiers.md 1.2.

use super::limits::within;
use super::{Add, ChangeProfile, Create, CustomField, Kind, Limits, Refusal, Remove};
use crate::id::{AccountId, GroupId};

/// What every minted id begins with. Source: docs/spec/identifiers.md 1.1.
const MINTED_PREFIX: &str = "@TGS#";
/// What every id of a Community begins with.
const COMMUNITY_PREFIX: &str = "@TGS#_";
/// What a minted id of a Community begins with.
const COMMUNITY_MINTED_PREFIX: &str = "@TGS#_@TGS#";
/// What parts a group's id from a topic's own part.
const TOPIC_SEPARATOR: &str = "@TOPIC#_";

/// Custom fields in one list where the number of keys is not limited: merging compares each with each.
const CUSTOM_FIELDS_MAX: usize = 1000;

/// Checks the shape of a creation.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty name, a text that is too long or a malformed custom field,
/// [`Refusal::TooManyAccounts`] for too long a member list.
pub fn check_create(create: &Create, limits: &Limits) -> Result<(), Refusal> {
    check_name(&create.name, limits)?;
    check_bytes("Introduction", &create.introduction, limits.group_introduction_bytes)?;
    check_bytes("Notification", &create.notification, limits.group_notification_bytes)?;
    check_bytes("FaceUrl", &create.face_url, limits.group_face_url_bytes)?;
    check_group_custom(&create.custom, limits)?;
    if !within(create.members.len(), limits.create_group_member) {
        return Err(Refusal::TooManyAccounts { field: "MemberList", max: limits.create_group_member });
    }
    create.members.iter().try_for_each(|member| check_member_custom(&member.custom, limits))
}

/// Checks the shape of a change of the profile.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty name, a text that is too long or a malformed custom field.
pub fn check_change_profile(change: &ChangeProfile, limits: &Limits) -> Result<(), Refusal> {
    if let Some(name) = &change.name {
        check_name(name, limits)?;
    }
    for (field, text, bytes_max) in [
        ("Introduction", &change.introduction, limits.group_introduction_bytes),
        ("Notification", &change.notification, limits.group_notification_bytes),
        ("FaceUrl", &change.face_url, limits.group_face_url_bytes),
    ] {
        check_bytes(field, text.as_deref().unwrap_or_default(), bytes_max)?;
    }
    check_group_custom(&change.custom, limits)
}

/// Checks the shape of an addition.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty list, [`Refusal::TooManyAccounts`] for too long a one.
pub fn check_add(add: &Add, limits: &Limits) -> Result<(), Refusal> {
    check_accounts("MemberList", &add.accounts, limits.add_group_member)
}

/// Checks the shape of a removal.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty list or too long a reason, [`Refusal::TooManyAccounts`] for too long a
/// list.
pub fn check_remove(remove: &Remove, limits: &Limits) -> Result<(), Refusal> {
    check_bytes("Reason", &remove.reason, limits.kick_reason_bytes)?;
    check_accounts("MemberToDel_Account", &remove.accounts, limits.delete_group_member)
}

/// Checks an id that somebody chose for a new group; ids that address a group may look otherwise.
///
/// Bytes and length were checked when it was parsed.
///
/// # Errors
/// [`Refusal::BadParameter`] for a reserved or misleading form.
///
/// Source: docs/spec/identifiers.md 1.2.
pub fn check_new_group_id(kind: Kind, id: &GroupId) -> Result<(), Refusal> {
    let refuse = |what| Err(Refusal::BadParameter { field: "GroupId", what });
    let id = id.as_str();
    if kind == Kind::Community {
        match id.strip_prefix(COMMUNITY_PREFIX) {
            None => return refuse("the id of a community must begin with @TGS#_"),
            Some("") => return refuse("nothing follows @TGS#_"),
            Some(_) if id.starts_with(COMMUNITY_MINTED_PREFIX) => return refuse("@TGS#_@TGS# is reserved"),
            Some(_) => {}
        }
    } else if id.starts_with(MINTED_PREFIX) {
        return refuse("@TGS# is reserved");
    }
    if id.contains(TOPIC_SEPARATOR) {
        return refuse("@TOPIC#_ is reserved");
    }
    if id.starts_with(' ') || id.ends_with(' ') {
        return refuse("begins or ends with a space");
    }
    Ok(())
}

fn check_name(name: &str, limits: &Limits) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::BadParameter { field: "Name", what: "must not be empty" });
    }
    check_bytes("Name", name, limits.group_name_bytes)
}

fn check_bytes(field: &'static str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    match within(text.len(), bytes_max) {
        true => Ok(()),
        false => Err(Refusal::BadParameter { field, what: "too long" }),
    }
}

fn check_accounts(field: &'static str, accounts: &[AccountId], accounts_max: usize) -> Result<(), Refusal> {
    if accounts.is_empty() {
        return Err(Refusal::BadParameter { field, what: "must not be empty" });
    }
    match within(accounts.len(), accounts_max) {
        true => Ok(()),
        false => Err(Refusal::TooManyAccounts { field, max: accounts_max }),
    }
}

fn check_group_custom(fields: &[CustomField], limits: &Limits) -> Result<(), Refusal> {
    let (keys_max, value_bytes_max) = (limits.group_custom_keys, limits.group_custom_value_bytes);
    check_custom("AppDefinedData", fields, keys_max, limits.custom_key_bytes, value_bytes_max)
}

fn check_member_custom(fields: &[CustomField], limits: &Limits) -> Result<(), Refusal> {
    let (keys_max, value_bytes_max) = (limits.member_custom_keys, limits.member_custom_value_bytes);
    check_custom("AppMemberDefinedData", fields, keys_max, limits.custom_key_bytes, value_bytes_max)
}

fn check_custom(
    field: &'static str,
    fields: &[CustomField],
    keys_max: usize,
    key_bytes_max: usize,
    value_bytes_max: usize,
) -> Result<(), Refusal> {
    // One request may delete every key and set as many others; more than that is no use to anybody.
    let fields_max = if keys_max == 0 { CUSTOM_FIELDS_MAX } else { keys_max.saturating_mul(2) };
    if fields.len() > fields_max {
        return Err(Refusal::BadParameter { field, what: "too many custom fields" });
    }
    for (key, value) in fields {
        let is_word = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if key.is_empty() || !within(key.len(), key_bytes_max) || !is_word {
            return Err(Refusal::BadParameter { field, what: "malformed key" });
        }
        check_bytes(field, value, value_bytes_max)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::group::Role;

    const LIMITS: fn() -> Limits = Limits::default;

    #[test]
    fn texts_are_measured_in_bytes_of_utf_8() {
        // Ten characters of three bytes each.
        let at_the_limit = "群".repeat(10);
        let beyond = format!("{at_the_limit}a");
        let ok = Create { name: at_the_limit.clone(), ..create(Kind::Public) };
        assert_eq!(check_create(&ok, &LIMITS()), Ok(()));
        let long = Create { name: beyond.clone(), ..create(Kind::Public) };
        assert_eq!(check_create(&long, &LIMITS()), Err(bad("Name", "too long")));
        let empty = Create { name: String::new(), ..create(Kind::Public) };
        assert_eq!(check_create(&empty, &LIMITS()), Err(bad("Name", "must not be empty")));

        let ok = ChangeProfile { name: Some(at_the_limit), ..change_profile() };
        assert_eq!(check_change_profile(&ok, &LIMITS()), Ok(()));
        let long = ChangeProfile { name: Some(beyond.clone()), ..change_profile() };
        assert_eq!(check_change_profile(&long, &LIMITS()), Err(bad("Name", "too long")));
        let empty = ChangeProfile { name: Some(String::new()), ..change_profile() };
        assert_eq!(check_change_profile(&empty, &LIMITS()), Err(bad("Name", "must not be empty")));
        let unlimited = Limits { group_name_bytes: 0, ..LIMITS() };
        let long = ChangeProfile { name: Some(beyond), ..change_profile() };
        assert_eq!(check_change_profile(&long, &unlimited), Ok(()));
    }

    #[test]
    fn every_text_has_its_own_limit() {
        let text = |bytes: usize| "x".repeat(bytes);
        let check = |field, bytes_max: usize, set: fn(&mut Create, &mut ChangeProfile, String)| {
            for (bytes, expected) in [(bytes_max, Ok(())), (bytes_max + 1, Err(bad(field, "too long")))] {
                let (mut create, mut change) = (create(Kind::Public), change_profile());
                set(&mut create, &mut change, text(bytes));
                assert_eq!(check_create(&create, &LIMITS()), expected);
                assert_eq!(check_change_profile(&change, &LIMITS()), expected);
            }
        };
        check("Introduction", 240, |c, p, text| (c.introduction, p.introduction) = (text.clone(), Some(text)));
        check("Notification", 300, |c, p, text| (c.notification, p.notification) = (text.clone(), Some(text)));
        check("FaceUrl", 100, |c, p, text| (c.face_url, p.face_url) = (text.clone(), Some(text)));

        let reason = |bytes| Remove { reason: text(bytes), ..remove(&["bob"]) };
        assert_eq!(check_remove(&reason(256), &LIMITS()), Ok(()));
        assert_eq!(check_remove(&reason(257), &LIMITS()), Err(bad("Reason", "too long")));
    }

    #[test]
    fn lists_have_a_lower_and_an_upper_end() {
        let many = |count: usize| (0..count).map(|n| account(&format!("m{n}"))).collect::<Vec<_>>();
        let too_many = |field, max| Err(Refusal::TooManyAccounts { field, max });
        let adding = |count| check_add(&Add { accounts: many(count), ..add(&[]) }, &LIMITS());
        assert_eq!(adding(0), Err(bad("MemberList", "must not be empty")));
        assert_eq!(adding(300), Ok(()));
        assert_eq!(adding(301), too_many("MemberList", 300));

        let removing = |count| check_remove(&Remove { accounts: many(count), ..remove(&[]) }, &LIMITS());
        assert_eq!(removing(0), Err(bad("MemberToDel_Account", "must not be empty")));
        assert_eq!(removing(500), Ok(()));
        assert_eq!(removing(501), too_many("MemberToDel_Account", 500));

        let member = |account| crate::group::NewMember { account, role: Role::Member, custom: Vec::new() };
        let creating = |count| {
            let members = many(count).into_iter().map(member).collect();
            check_create(&Create { members, ..create(Kind::Public) }, &LIMITS())
        };
        assert_eq!(creating(0), Ok(()));
        assert_eq!(creating(100), Ok(()));
        assert_eq!(creating(101), too_many("MemberList", 100));
    }

    #[test]
    fn custom_fields_have_short_words_for_keys() {
        let group = |pairs: &[(&str, &str)]| {
            let change = ChangeProfile { custom: fields(pairs), ..change_profile() };
            let create = Create { custom: fields(pairs), ..create(Kind::Public) };
            assert_eq!(check_change_profile(&change, &LIMITS()), check_create(&create, &LIMITS()));
            check_create(&create, &LIMITS())
        };
        let member = |pairs: &[(&str, &str)]| {
            let mut listed = new_member("bob", Role::Member);
            listed.custom = fields(pairs);
            check_create(&Create { members: vec![listed], ..create(Kind::Public) }, &LIMITS())
        };
        let long = "v".repeat(513);

        assert_eq!(group(&[("abc_XYZ_01234567", &long[..512])]), Ok(()));
        assert_eq!(group(&[("k", &long)]), Err(bad("AppDefinedData", "too long")));
        for key in ["", "abc_XYZ_012345678", "a-b", "ä", "a b"] {
            assert_eq!(group(&[(key, "v")]), Err(bad("AppDefinedData", "malformed key")), "{key:?}");
        }
        assert_eq!(member(&[("k", &long[..64])]), Ok(()));
        assert_eq!(member(&[("k", &long[..65])]), Err(bad("AppMemberDefinedData", "too long")));
        assert_eq!(group(&[("k", "v"); 20]), Ok(()));
        assert_eq!(group(&[("k", "v"); 21]), Err(bad("AppDefinedData", "too many custom fields")));
    }

    #[test]
    fn a_chosen_id_neither_looks_minted_nor_like_a_topic() {
        let check = |kind, id: &str| check_new_group_id(kind, &GroupId::parse(id).expect("printable")).is_ok();
        for kind in [Kind::Work, Kind::Public, Kind::Meeting, Kind::AvChatRoom] {
            for id in ["club", "c", "@TGS", "a@TGS#", "two words", &"x".repeat(48)] {
                assert!(check(kind, id), "{kind:?} {id}");
            }
            for id in ["@TGS#", "@TGS#2ABC", "@TGS#_club", "a@TOPIC#_b", " club", "club "] {
                assert!(!check(kind, id), "{kind:?} {id}");
            }
        }
        for id in ["@TGS#_club", "@TGS#_c", "@TGS#_@TGS"] {
            assert!(check(Kind::Community, id), "{id}");
        }
        for id in ["club", "@TGS#club", "@TGS#_", "@TGS#_@TGS#c", "@TGS#_a@TOPIC#_b", "@TGS#_club "] {
            assert!(!check(Kind::Community, id), "{id}");
        }
    }
}
