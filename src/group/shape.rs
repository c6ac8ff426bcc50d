//! What can be said of a command before the group is looked up: lengths, list caps, the look of a new id.
//!
//! The edge calls these with the limits of the app; [`decide`](super::decide) trusts that it did. Lengths count
//! bytes of UTF-8. A limit of 0 is none.
//!
//! Source: docs/spec/limits.md 1 to 3, docs/spec/identifiers.md 1.2.

use super::limits::within;
use super::{
    Add, AttributeChange, Ban, ChangeAttributes, ChangeCounters, ChangeLiveAdmins, ChangeMember, ChangeProfile,
    CounterChange, Create, CustomField, Import, ImportMembers, Kind, Limits, Mute, Refusal, Remove, Unban,
};
use crate::id::GroupId;

/// What every minted id begins with. Source: docs/spec/identifiers.md 1.1.
const MINTED_PREFIX: &str = "@TGS#";
/// What every id of a Community begins with.
const COMMUNITY_PREFIX: &str = "@TGS#_";
/// What a minted id of a Community begins with.
const COMMUNITY_MINTED_PREFIX: &str = "@TGS#_@TGS#";
/// What parts a group's id from a topic's own part.
const TOPIC_SEPARATOR: &str = "@TOPIC#_";

/// Attributes or counters in one list, repeated ones included: some judging compares each with each of the group's.
const KEYS_MAX: usize = 1000;

/// Bytes of a value that an error text repeats. Source: docs/spec/errors.md 1.
const QUOTED_BYTES_MAX: usize = 64;

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
    check_list("MemberList", add.accounts.len(), limits.add_group_member)
}

/// Checks the shape of a removal.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty list or too long a reason, [`Refusal::TooManyAccounts`] for too long a
/// list.
pub fn check_remove(remove: &Remove, limits: &Limits) -> Result<(), Refusal> {
    check_bytes("Reason", &remove.reason, limits.kick_reason_bytes)?;
    check_list("MemberToDel_Account", remove.accounts.len(), limits.delete_group_member)
}

/// Checks the shape of an import: that of the creation it repeats.
///
/// # Errors
/// As [`check_create`].
pub fn check_import(import: &Import, limits: &Limits) -> Result<(), Refusal> {
    check_create(&import.group, limits)
}

/// Checks the shape of an import of members.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty list, [`Refusal::TooManyAccounts`] for too long a one.
pub fn check_import_members(import: &ImportMembers, limits: &Limits) -> Result<(), Refusal> {
    check_list("MemberList", import.members.len(), limits.import_group_member)
}

/// Checks the shape of a change of a member.
///
/// # Errors
/// [`Refusal::BadParameter`] for too long a name card or a malformed custom field.
pub fn check_change_member(change: &ChangeMember, limits: &Limits) -> Result<(), Refusal> {
    check_bytes("NameCard", change.name_card.as_deref().unwrap_or_default(), limits.name_card_bytes)?;
    check_member_custom(&change.custom, limits)
}

/// Checks the shape of a mute.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty list, [`Refusal::TooManyAccounts`] for too long a one.
pub fn check_mute(mute: &Mute, limits: &Limits) -> Result<(), Refusal> {
    check_list("Members_Account", mute.accounts.len(), limits.mute_members)
}

/// Checks the shape of a change of attributes; how many there would be, and how large, is for the group to say.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty or endless list and an empty key, [`Refusal::AttributeKeyTooLong`] and
/// [`Refusal::AttributeValueTooLong`].
pub fn check_change_attributes(change: &ChangeAttributes, limits: &Limits) -> Result<(), Refusal> {
    let check_key = |key: &String| match within(key.len(), limits.attr_key_bytes) {
        _ if key.is_empty() => Err(Refusal::BadParameter { field: "key", what: "must not be empty" }),
        true => Ok(()),
        false => Err(Refusal::AttributeKeyTooLong { key: cut(key), bytes_max: limits.attr_key_bytes }),
    };
    match &change.change {
        AttributeChange::Replace(pairs) | AttributeChange::Merge(pairs) => {
            check_keys("GroupAttr", pairs.len())?;
            pairs.iter().try_for_each(|(key, value)| {
                check_key(key)?;
                match within(value.len(), limits.attr_value_bytes) {
                    true => Ok(()),
                    false => Err(Refusal::AttributeValueTooLong { key: cut(key), bytes_max: limits.attr_value_bytes }),
                }
            })
        }
        AttributeChange::Delete(keys) => {
            check_keys("GroupAttr", keys.len())?;
            keys.iter().try_for_each(check_key)
        }
        AttributeChange::Clear => Ok(()),
    }
}

/// Checks the shape of a change of counters; how many there would be is for the group to say.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty list, and for an empty or too long key; [`Refusal::TooManyCounters`] for
/// more keys than a group may have.
pub fn check_change_counters(change: &ChangeCounters, limits: &Limits) -> Result<(), Refusal> {
    let check_key = |key: &String| match key.is_empty() {
        true => Err(Refusal::BadParameter { field: "Key", what: "must not be empty" }),
        false => check_bytes("Key", key, limits.counter_key_bytes),
    };
    match &change.change {
        CounterChange::Set(pairs) | CounterChange::Increase(pairs) | CounterChange::Decrease(pairs) => {
            check_counters("GroupCounter", pairs.len(), limits)?;
            pairs.iter().try_for_each(|(key, _)| check_key(key))
        }
        CounterChange::Delete(keys) => {
            check_counters("GroupCounterKeys", keys.len(), limits)?;
            keys.iter().try_for_each(check_key)
        }
        CounterChange::Clear => Ok(()),
    }
}

/// Checks the shape of a ban.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty list, no span or too long a description, [`Refusal::TooManyAccounts`] for
/// too long a list.
pub fn check_ban(ban: &Ban, limits: &Limits) -> Result<(), Refusal> {
    if ban.for_secs == 0 {
        return Err(Refusal::BadParameter { field: "Duration", what: "must not be 0" });
    }
    check_bytes("Description", &ban.description, limits.ban_description_bytes)?;
    check_list("Members_Account", ban.accounts.len(), limits.ban_members)
}

/// Checks the shape of lifting bans.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty list, [`Refusal::TooManyAccounts`] for too long a one.
pub fn check_unban(unban: &Unban, limits: &Limits) -> Result<(), Refusal> {
    check_list("Members_Account", unban.accounts.len(), limits.ban_members)
}

/// Checks the shape of a change of a live room's admins: one call may name as many as a room may have.
///
/// # Errors
/// [`Refusal::BadParameter`] for an empty list, [`Refusal::TooManyAccounts`] for too long a one.
pub fn check_change_live_admins(change: &ChangeLiveAdmins, limits: &Limits) -> Result<(), Refusal> {
    check_list("Admin_Account", change.accounts.len(), limits.avchatroom_admins)
}

/// Whether a group of this id is a community: minted or chosen, only theirs begin so.
///
/// Source: docs/spec/identifiers.md 1.2.
pub fn is_id_of_community(id: &GroupId) -> bool {
    id.as_str().starts_with(COMMUNITY_PREFIX)
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

fn check_list(field: &'static str, count: usize, max: usize) -> Result<(), Refusal> {
    if count == 0 {
        return Err(Refusal::BadParameter { field, what: "must not be empty" });
    }
    match within(count, max) {
        true => Ok(()),
        false => Err(Refusal::TooManyAccounts { field, max }),
    }
}

fn check_counters(field: &'static str, count: usize, limits: &Limits) -> Result<(), Refusal> {
    match within(count, limits.counter_keys) {
        true => check_keys(field, count),
        false => Err(Refusal::TooManyCounters { max: limits.counter_keys }),
    }
}

fn check_keys(field: &'static str, count: usize) -> Result<(), Refusal> {
    match count {
        0 => Err(Refusal::BadParameter { field, what: "must not be empty" }),
        1..=KEYS_MAX => Ok(()),
        _ => Err(Refusal::BadParameter { field, what: "too many keys" }),
    }
}

/// What a refusal repeats of a value. Source: docs/spec/errors.md 1.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(QUOTED_BYTES_MAX)].to_owned()
}

fn check_group_custom(fields: &[CustomField], limits: &Limits) -> Result<(), Refusal> {
    let (keys_max, value_bytes_max) = (limits.group_custom_keys, limits.group_custom_value_bytes);
    let declared = limits.custom.group.len();
    check_custom("AppDefinedData", fields, keys_max, declared, limits.custom_key_bytes, value_bytes_max)
}

fn check_member_custom(fields: &[CustomField], limits: &Limits) -> Result<(), Refusal> {
    let (keys_max, value_bytes_max) = (limits.member_custom_keys, limits.member_custom_value_bytes);
    let declared = limits.custom.member.len();
    check_custom("AppMemberDefinedData", fields, keys_max, declared, limits.custom_key_bytes, value_bytes_max)
}

fn check_custom(
    field: &'static str,
    fields: &[CustomField],
    keys_max: usize,
    declared: usize,
    key_bytes_max: usize,
    value_bytes_max: usize,
) -> Result<(), Refusal> {
    // One request may name every declared key, delete all others and set as many; more is no use to anybody.
    let fields_max = if keys_max == 0 { CUSTOM_FIELDS_MAX } else { keys_max.saturating_mul(2) + declared };
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
    use crate::group::{ImportMember, Rank, Role};

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

        let card = |bytes| ChangeMember { name_card: Some(text(bytes)), ..change_member("bob") };
        assert_eq!(check_change_member(&card(50), &LIMITS()), Ok(()));
        assert_eq!(check_change_member(&card(51), &LIMITS()), Err(bad("NameCard", "too long")));
        assert_eq!(check_change_member(&change_member("bob"), &LIMITS()), Ok(()));

        let description = |bytes| Ban { description: text(bytes), ..ban(&["bob"], 1) };
        assert_eq!(check_ban(&description(1000), &LIMITS()), Ok(()));
        assert_eq!(check_ban(&description(1001), &LIMITS()), Err(bad("Description", "too long")));
    }

    #[test]
    fn a_ban_lasts() {
        assert_eq!(check_ban(&ban(&["bob"], 0), &LIMITS()), Err(bad("Duration", "must not be 0")));
        assert_eq!(check_ban(&ban(&["bob"], u32::MAX), &LIMITS()), Ok(()));
    }

    #[test]
    fn an_import_is_checked_as_a_creation_is() {
        let of = |name: &str| import(Create { name: name.into(), ..create(Kind::Public) }, Some(EARLIER));
        assert_eq!(check_import(&of("club"), &LIMITS()), Ok(()));
        assert_eq!(check_import(&of(""), &LIMITS()), Err(bad("Name", "must not be empty")));
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

        let importing = |count| {
            let members = many(count).into_iter().map(|account| ImportMember { account, ..import_member("x") });
            check_import_members(&import_members(members.collect()), &LIMITS())
        };
        let check = |check: &dyn Fn(usize) -> Result<(), Refusal>, field, max| {
            assert_eq!(check(0), Err(bad(field, "must not be empty")));
            assert_eq!(check(1), Ok(()));
            assert_eq!(check(max), Ok(()));
            assert_eq!(check(max + 1), too_many(field, max));
        };
        check(&importing, "MemberList", 300);
        let muting = |count| check_mute(&Mute { accounts: many(count), ..mute(&[], 60) }, &LIMITS());
        check(&muting, "Members_Account", 500);
        let banning = |count| check_ban(&Ban { accounts: many(count), ..ban(&[], 60) }, &LIMITS());
        check(&banning, "Members_Account", 20);
        let unbanning = |count| check_unban(&Unban { accounts: many(count), ..unban(&[]) }, &LIMITS());
        check(&unbanning, "Members_Account", 20);
        let appointing =
            |count| check_change_live_admins(&ChangeLiveAdmins { accounts: many(count), ..appoint(&[]) }, &LIMITS());
        check(&appointing, "Admin_Account", 5);

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
    fn every_declared_key_may_be_named_besides() {
        let keys: Vec<CustomField> = (0..21).map(|n| (format!("k{n}"), "v".into())).collect();
        let asked = ChangeProfile { custom: keys, ..change_profile() };
        assert_eq!(check_change_profile(&asked, &LIMITS()), Err(bad("AppDefinedData", "too many custom fields")));
        let mut limits = LIMITS();
        limits.custom.group = vec![custom_rule("k0", Rank::Admin, &[])];
        assert_eq!(check_change_profile(&asked, &limits), Ok(()));
    }

    #[test]
    fn attributes_have_keys_and_lengths() {
        let check = |change| check_change_attributes(&change_attributes(change), &LIMITS());
        let (key, value) = ("群".repeat(11), "v".repeat(4001));
        let pairs = |key: &str, value: &str| vec![("a".into(), "1".into()), (key.to_owned(), value.to_owned())];
        let empty = || Err(bad("key", "must not be empty"));
        let long_key = || Err(Refusal::AttributeKeyTooLong { key: key.clone(), bytes_max: 32 });
        let long_value = || Err(Refusal::AttributeValueTooLong { key: "k".into(), bytes_max: 4000 });
        for change in [AttributeChange::Replace, AttributeChange::Merge] {
            assert_eq!(check(change(Vec::new())), Err(bad("GroupAttr", "must not be empty")));
            assert_eq!(check(change(pairs(&key[..30], &value[1..]))), Ok(()));
            assert_eq!(check(change(pairs("k", ""))), Ok(()));
            assert_eq!(check(change(pairs("", "1"))), empty());
            assert_eq!(check(change(pairs(&key, &value))), long_key());
            assert_eq!(check(change(pairs("k", &value))), long_value());
        }
        let delete = |key: &str| check(AttributeChange::Delete(vec!["a".into(), key.to_owned()]));
        assert_eq!((delete("k"), delete(""), delete(&key)), (Ok(()), empty(), long_key()));
        assert_eq!(check(AttributeChange::Delete(Vec::new())), Err(bad("GroupAttr", "must not be empty")));
        assert_eq!(check(AttributeChange::Clear), Ok(()));

        let unlimited = Limits { attr_key_bytes: 0, attr_value_bytes: 0, ..LIMITS() };
        let change = change_attributes(AttributeChange::Merge(pairs(&key, &value)));
        assert_eq!(check_change_attributes(&change, &unlimited), Ok(()));
        // A text repeats only the beginning, cut between characters.
        let change = change_attributes(AttributeChange::Delete(vec!["群".repeat(30)]));
        let cut = Refusal::AttributeKeyTooLong { key: "群".repeat(21), bytes_max: 32 };
        assert_eq!(check_change_attributes(&change, &LIMITS()), Err(cut));
    }

    #[test]
    fn counters_have_keys() {
        let check = |change| check_change_counters(&change_counters(change), &LIMITS());
        let long = "k".repeat(129);
        for change in [CounterChange::Set, CounterChange::Increase, CounterChange::Decrease] {
            let of = |key: &str| check(change(vec![("a".into(), 1), (key.to_owned(), i64::MIN)]));
            assert_eq!(check(change(Vec::new())), Err(bad("GroupCounter", "must not be empty")));
            assert_eq!(of(&long[1..]), Ok(()));
            assert_eq!(of(""), Err(bad("Key", "must not be empty")));
            assert_eq!(of(&long), Err(bad("Key", "too long")));
        }
        let delete = |key: &str| check(CounterChange::Delete(vec![key.to_owned()]));
        assert_eq!((delete("k"), delete(&long)), (Ok(()), Err(bad("Key", "too long"))));
        assert_eq!(check(CounterChange::Delete(Vec::new())), Err(bad("GroupCounterKeys", "must not be empty")));
        assert_eq!(check(CounterChange::Clear), Ok(()));

        let many = |count| CounterChange::Delete(vec!["k".into(); count]);
        assert_eq!((check(many(20)), check(many(21))), (Ok(()), Err(Refusal::TooManyCounters { max: 20 })));
        let unlimited = Limits { counter_keys: 0, ..LIMITS() };
        let check = |count| check_change_counters(&change_counters(many(count)), &unlimited);
        assert_eq!((check(1000), check(1001)), (Ok(()), Err(bad("GroupCounterKeys", "too many keys"))));
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
