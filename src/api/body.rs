//! A tolerant reader of request bodies: typed getters that name the field and give the right code.
//!
//! A body is parsed into borrowed pieces; a piece is decoded when it is asked for, so that unknown fields cost
//! nothing and the text of a number survives. `null` is absent, a key that comes twice counts with its last value,
//! unknown fields are ignored, names are case-sensitive. No derived reader: its errors would carry wrong codes.
//!
//! Source: docs/spec/rest-api.md 2.2.

use std::borrow::Cow;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{self, Failure};
use crate::id::{AccountId, GroupId, is_strict_account};

/// One JSON object of a body.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// Accounts are `[A-Za-z0-9_-]` only.
    strict_accounts: bool,
}

impl<'a> Object<'a> {
    /// Takes a whole body.
    ///
    /// # Errors
    /// 60003 for what is not one JSON object in UTF-8.
    pub fn parse(body: &'a [u8], strict_accounts: bool) -> Result<Self, Failure> {
        let text = std::str::from_utf8(body).map_err(|_| not_json())?;
        Self::of(text, strict_accounts).ok_or_else(not_json)
    }

    /// `None` for what is not one object.
    fn of(text: &'a str, strict_accounts: bool) -> Option<Self> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(fields)
            }
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let fields = json.deserialize_map(Fields).ok()?;
        json.end().ok()?;
        Some(Self { fields, strict_accounts })
    }

    fn get(&self, field: &str) -> Option<&'a str> {
        #[cfg(test)]
        asked::note(field);
        let (_, value) = self.fields.iter().rev().find(|(key, _)| key == field)?;
        (value.get() != "null").then(|| value.get())
    }

    /// # Errors
    /// 10004 for what is not a string.
    pub fn text(&self, field: &str) -> Result<Option<Cow<'a, str>>, Failure> {
        self.get(field).map(|value| text_of(value, field)).transpose()
    }

    /// # Errors
    /// 10004 for what is absent or not a string.
    pub fn required_text(&self, field: &str) -> Result<Cow<'a, str>, Failure> {
        self.text(field)?.ok_or_else(|| missing(field))
    }

    /// Takes an integer, also as decimal digits in a string.
    ///
    /// # Errors
    /// 10004 for what is not an integer of 0 to `max`.
    pub fn integer(&self, field: &str, max: u64) -> Result<Option<u64>, Failure> {
        let Some(text) = self.number(field)? else { return Ok(None) };
        let number: Option<u64> = if is_digits(&text) { text.parse().ok() } else { None };
        match number.filter(|n| *n <= max) {
            Some(number) => Ok(Some(number)),
            None => Err(not_in_range(field, &text)),
        }
    }

    /// # Errors
    /// As [`Object::integer`]; 10004 for none.
    pub fn required_integer(&self, field: &str, max: u64) -> Result<u64, Failure> {
        self.integer(field, max)?.ok_or_else(|| missing(field))
    }

    /// Takes an integer that may be negative, also as decimal digits in a string.
    ///
    /// # Errors
    /// 10004 for none, and for what is not an integer of 64 bits.
    pub fn required_signed(&self, field: &str) -> Result<i64, Failure> {
        let text = self.number(field)?.ok_or_else(|| missing(field))?;
        let digits = is_digits(text.strip_prefix('-').unwrap_or(&text));
        let number = if digits { text.parse().ok() } else { None };
        number.ok_or_else(|| not_in_range(field, &text))
    }

    /// What may be a number: its JSON text, or what stands in a string.
    fn number(&self, field: &str) -> Result<Option<Cow<'a, str>>, Failure> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let text = if value.starts_with('"') { text_of(value, field)? } else { Cow::Borrowed(value) };
        Ok(Some(text))
    }

    /// An integer whose 0 means that none was given: some clients send every field.
    ///
    /// # Errors
    /// As [`Object::integer`].
    pub fn integer_above_zero(&self, field: &str, max: u64) -> Result<Option<u64>, Failure> {
        Ok(self.integer(field, max)?.filter(|n| *n > 0))
    }

    /// Takes 0 or 1.
    ///
    /// # Errors
    /// 10004 for anything else.
    pub fn flag(&self, field: &str) -> Result<Option<bool>, Failure> {
        Ok(self.integer(field, 1)?.map(|n| n == 1))
    }

    /// Takes a word out of a list; `parse` knows the list.
    ///
    /// # Errors
    /// 10004 for an unknown word.
    pub fn word<T>(&self, field: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Failure> {
        let Some(word) = self.text(field)? else { return Ok(None) };
        match parse(&word) {
            Some(value) => Ok(Some(value)),
            None => Err(Failure::with_value(error::BAD_PARAMETER, field, "unknown value", &word)),
        }
    }

    /// Takes the name of an account.
    ///
    /// # Errors
    /// 60015 for what is not a string, `malformed` for a string that names no account.
    pub fn account(&self, field: &str, malformed: u32) -> Result<Option<AccountId>, Failure> {
        self.get(field).map(|value| account_of(value, field, malformed, self.strict_accounts)).transpose()
    }

    /// # Errors
    /// As [`Object::account`] with 10004; 10004 for none.
    pub fn required_account(&self, field: &str) -> Result<AccountId, Failure> {
        self.account(field, error::BAD_PARAMETER)?.ok_or_else(|| missing(field))
    }

    /// Takes a list of accounts, at least one.
    ///
    /// # Errors
    /// 10004 for no list or an empty one; 60015, 10004 for its items.
    pub fn required_accounts(&self, field: &str) -> Result<Vec<AccountId>, Failure> {
        let items = self.required_list(field)?;
        items.iter().map(|item| account_of(item.get(), field, error::BAD_PARAMETER, self.strict_accounts)).collect()
    }

    /// Takes the id that addresses a group.
    ///
    /// # Errors
    /// 10004 for none, an empty one or no string; 10015 for a malformed one.
    ///
    /// Source: docs/spec/identifiers.md 1.3.
    pub fn group_id(&self, field: &'static str) -> Result<GroupId, Failure> {
        self.addressed(field)?.group()
    }

    /// Takes what should be the id that addresses a group: whether it is one is asked after the caps of lists.
    ///
    /// # Errors
    /// 10004 for none, an empty one or no string.
    ///
    /// Source: docs/spec/group-types.md 6.
    pub fn addressed(&self, field: &'static str) -> Result<Addressed<'a>, Failure> {
        let text = self.required_text(field)?;
        if text.is_empty() {
            return Err(Failure::bad(field, "must not be empty"));
        }
        Ok(Addressed { field, text })
    }

    /// Takes a list of strings; an empty one is absent.
    ///
    /// # Errors
    /// 10004 for what is not a list of strings.
    pub fn texts(&self, field: &str) -> Result<Option<Vec<Cow<'a, str>>>, Failure> {
        let Some(items) = self.list(field)? else { return Ok(None) };
        items.iter().map(|item| text_of(item.get(), field)).collect::<Result<_, _>>().map(Some)
    }

    /// Takes an object.
    ///
    /// # Errors
    /// 10004 for anything else.
    pub fn object(&self, field: &str) -> Result<Option<Object<'a>>, Failure> {
        self.get(field).map(|value| self.object_of(value, field)).transpose()
    }

    /// Takes a list of objects; an empty one is absent.
    ///
    /// # Errors
    /// 10004 for what is not a list of objects.
    pub fn objects(&self, field: &str) -> Result<Option<Vec<Object<'a>>>, Failure> {
        let Some(items) = self.list(field)? else { return Ok(None) };
        items.iter().map(|item| self.object_of(item.get(), field)).collect::<Result<_, _>>().map(Some)
    }

    /// # Errors
    /// As [`Object::objects`]; 10004 for none or an empty list.
    pub fn required_objects(&self, field: &str) -> Result<Vec<Object<'a>>, Failure> {
        self.objects(field)?.ok_or_else(|| missing(field))
    }

    /// Takes a scalar as text: a string's value, the JSON text of a number or boolean; absent is empty.
    ///
    /// # Errors
    /// 10004 for a list or an object.
    pub fn scalar(&self, field: &str) -> Result<Cow<'a, str>, Failure> {
        match self.get(field) {
            None => Ok(Cow::Borrowed("")),
            Some(value) if value.starts_with('"') => text_of(value, field),
            Some(value) if value.starts_with(['[', '{']) => Err(Failure::bad(field, "not a string")),
            Some(value) => Ok(Cow::Borrowed(value)),
        }
    }

    fn required_list(&self, field: &str) -> Result<Vec<&'a RawValue>, Failure> {
        self.list(field)?.ok_or_else(|| missing(field))
    }

    /// An empty list is absent: as an option it says nothing, and where one is required it is missing.
    fn list(&self, field: &str) -> Result<Option<Vec<&'a RawValue>>, Failure> {
        let Some(value) = self.get(field) else { return Ok(None) };
        if !value.starts_with('[') {
            return Err(Failure::bad(field, "not a list"));
        }
        let items: Vec<&RawValue> = serde_json::from_str(value).map_err(|_| not_json())?;
        Ok((!items.is_empty()).then_some(items))
    }

    fn object_of(&self, value: &'a str, field: &str) -> Result<Object<'a>, Failure> {
        if !value.starts_with('{') {
            return Err(Failure::bad(field, "not an object"));
        }
        Self::of(value, self.strict_accounts).ok_or_else(not_json)
    }
}

/// What should be the id that addresses a group.
#[derive(Debug)]
pub struct Addressed<'a> {
    field: &'static str,
    text: Cow<'a, str>,
}

impl Addressed<'_> {
    /// The id.
    ///
    /// # Errors
    /// 10015 for a malformed one.
    ///
    /// Source: docs/spec/identifiers.md 1.3.
    pub fn group(&self) -> Result<GroupId, Failure> {
        let Self { field, text } = self;
        GroupId::parse(text).map_err(|e| Failure::with_value(error::BAD_GROUP_ID, field, &e.to_string(), text))
    }
}

/// Which fields a reader asked for, so that its description can be held against it.
#[cfg(test)]
pub mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static ASKED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(field: &str) {
        ASKED.with_borrow_mut(|asked| asked.insert(field.to_owned()));
    }

    /// What this thread asked for since the last time.
    pub fn take() -> BTreeSet<String> {
        ASKED.take()
    }
}

/// A key, borrowed unless it has escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Borrowed<'b>(#[serde(borrow)] Cow<'b, str>);
        Borrowed::deserialize(deserializer).map(|key| Key(key.0))
    }
}

fn text_of<'a>(value: &'a str, field: &str) -> Result<Cow<'a, str>, Failure> {
    if !value.starts_with('"') {
        return Err(Failure::bad(field, "not a string"));
    }
    // What was skipped over as a string may still hold an escape that means nothing, such as half a surrogate.
    serde_json::from_str::<Key<'_>>(value).map(|text| text.0).map_err(|_| not_json())
}

fn account_of(value: &str, field: &str, malformed: u32, strict: bool) -> Result<AccountId, Failure> {
    if !value.starts_with('"') {
        return Err(Failure::of(error::ACCOUNT_NOT_TEXT, field, "an account must be a string"));
    }
    let name = text_of(value, field)?;
    let refuse = |what: &str| Err(Failure::with_value(malformed, field, what, &name));
    match AccountId::parse(&name) {
        Ok(_) if strict && !is_strict_account(&name) => refuse("the id has a byte outside A-Z a-z 0-9 _ -"),
        Ok(account) => Ok(account),
        Err(e) => refuse(&e.to_string()),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn not_in_range(field: &str, text: &str) -> Failure {
    Failure::with_value(error::BAD_PARAMETER, field, "not an integer in range", text)
}

fn missing(field: &str) -> Failure {
    Failure::bad(field, "missing")
}

fn not_json() -> Failure {
    Failure::new(error::NOT_JSON, "the body is not a JSON object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Object<'_> {
        Object::parse(text.as_bytes(), false).expect("an object")
    }

    fn code<T>(result: Result<T, Failure>) -> u32 {
        result.map_or_else(|failure| failure.code, |_| 0)
    }

    #[test]
    fn what_is_not_one_object_is_not_json() {
        let deep = "[".repeat(100_000);
        let half = format!("{{\"a\":{deep}");
        for body in [
            &b""[..],
            b" ",
            b"null",
            b"[]",
            b"1",
            b"\"a\"",
            b"{",
            b"{}x",
            b"{} {}",
            b"{\"a\":1,}",
            b"{\"a\"}",
            b"{a:1}",
            b"{\"a\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
            half.as_bytes(),
        ] {
            assert_eq!(code(Object::parse(body, false)), 60003, "{:?}", String::from_utf8_lossy(body));
        }
        let nested = format!("{{\"x\":{deep}{},\"a\":1}}", "]".repeat(100_000));
        assert_eq!(object(&nested).integer("a", 9), Ok(Some(1)), "what nobody asks for may be as deep as it likes");
    }

    #[test]
    fn absent_null_and_unknown() {
        let body = object(r#" {"Name":null,"name":"x","List":[],"Extra":{"a":[1]},"Twice":1,"Twice":2} "#);
        assert_eq!(body.text("Name"), Ok(None));
        assert_eq!(body.text("Missing"), Ok(None));
        assert_eq!(body.texts("List"), Ok(None));
        assert_eq!(body.integer("Twice", 9), Ok(Some(2)), "the last value counts");
        assert_eq!(code(body.required_text("Name")), 10004);
        assert_eq!(code(body.required_accounts("List")), 10004);
    }

    #[test]
    fn texts_and_words() {
        let body = object(r#"{"t":"a\u00e9\n","n":1,"half":"\ud800","\u006b":"escaped key"}"#);
        assert_eq!(body.text("t").unwrap().unwrap(), "aé\n");
        assert_eq!(body.text("k").unwrap().unwrap(), "escaped key");
        assert_eq!(body.text("n").unwrap_err(), Failure::new(10004, "not a string: n"));
        assert_eq!(code(body.text("half")), 60003);
        assert_eq!(body.word("t", |_| None::<u8>).unwrap_err().info, "unknown value: t=aé\n");
    }

    #[test]
    fn integers() {
        for (value, expected) in [
            ("0", Ok(Some(0))),
            ("7", Ok(Some(7))),
            ("\"7\"", Ok(Some(7))),
            ("\"007\"", Ok(Some(7))),
            ("10", Ok(Some(10))),
            ("null", Ok(None)),
            ("11", Err(10004)),
            ("-1", Err(10004)),
            ("1.0", Err(10004)),
            ("1e1", Err(10004)),
            ("\"\"", Err(10004)),
            ("\"+7\"", Err(10004)),
            ("\" 7\"", Err(10004)),
            ("true", Err(10004)),
            ("[1]", Err(10004)),
            ("99999999999999999999", Err(10004)),
        ] {
            let text = format!("{{\"n\":{value}}}");
            assert_eq!(object(&text).integer("n", 10).map_err(|e| e.code), expected, "{value}");
        }
        assert_eq!(object(r#"{"n":0}"#).integer_above_zero("n", 10), Ok(None));
        assert_eq!(object(r#"{"n":1}"#).flag("n"), Ok(Some(true)));
        assert_eq!(code(object(r#"{"n":2}"#).flag("n")), 10004);
        assert_eq!(code(object(r#"{"n":true}"#).flag("n")), 10004);
    }

    #[test]
    fn signed_integers() {
        for (value, expected) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("-7", Ok(-7)),
            ("\"-7\"", Ok(-7)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("\"-9223372036854775808\"", Ok(i64::MIN)),
            ("9223372036854775808", Err(10004)),
            ("-9223372036854775809", Err(10004)),
            ("null", Err(10004)),
            ("1.0", Err(10004)),
            ("-1e1", Err(10004)),
            ("\"\"", Err(10004)),
            ("\"-\"", Err(10004)),
            ("\"--7\"", Err(10004)),
            ("\"+7\"", Err(10004)),
            ("\"- 7\"", Err(10004)),
            ("true", Err(10004)),
            ("[-1]", Err(10004)),
        ] {
            let text = format!("{{\"n\":{value}}}");
            assert_eq!(object(&text).required_signed("n").map_err(|e| e.code), expected, "{value}");
        }
        assert_eq!(object("{}").required_signed("n").unwrap_err(), Failure::new(10004, "missing: n"));
        assert_eq!(object(r#"{"n":3}"#).required_integer("n", 3), Ok(3));
        assert_eq!(object("{}").required_integer("n", 3).unwrap_err(), Failure::new(10004, "missing: n"));
    }

    #[test]
    fn accounts_and_groups() {
        let long = "a".repeat(33);
        for (value, strict, expected) in [
            ("\"ann\"", true, 0),
            ("\"ann b!\"", false, 0),
            ("\"ann b!\"", true, 10012),
            ("5", false, 60015),
            ("{}", false, 60015),
            ("[\"a\"]", false, 60015),
            ("true", false, 60015),
            ("\"\"", false, 10012),
            (&format!("\"{long}\""), false, 10012),
            ("\"@TGS#1\"", false, 10012),
            ("\"\\u00e9\"", false, 10012),
        ] {
            let text = format!("{{\"a\":{value}}}");
            let body = Object::parse(text.as_bytes(), strict).unwrap();
            assert_eq!(code(body.account("a", error::BAD_OPERATOR)), expected, "{value}");
        }
        for (value, expected) in [
            ("[\"a\",\"b\"]", 0),
            ("[\"a\",5]", 60015),
            ("[\"a\",null]", 60015),
            ("[\"\"]", 10004),
            ("\"a\"", 10004),
            ("[]", 10004),
            ("null", 10004),
        ] {
            let text = format!("{{\"a\":{value}}}");
            assert_eq!(code(object(&text).required_accounts("a")), expected, "{value}");
        }
        let long = format!("\"{}\"", "g".repeat(49));
        for (value, expected) in
            [("\"g\"", 0), ("null", 10004), ("7", 10004), ("\"\"", 10004), (long.as_str(), 10015), ("\"\\n\"", 10015)]
        {
            let text = format!("{{\"g\":{value}}}");
            assert_eq!(code(object(&text).group_id("g")), expected, "{value}");
        }
    }

    #[test]
    fn lists_objects_and_scalars() {
        let body = object(r#"{"l":[{"Key":"a","Value":1.50},{"Key":"b","Value":true},{}],"bad":[1],"s":"x","v":{}}"#);
        let items = body.objects("l").unwrap().unwrap();
        let values: Vec<_> = items.iter().map(|item| item.scalar("Value").unwrap()).collect();
        assert_eq!(values, ["1.50", "true", ""], "the text of a number survives");
        assert_eq!(code(body.objects("bad")), 10004);
        assert_eq!(code(body.objects("s")), 10004);
        assert_eq!(body.required_objects("l").unwrap().len(), 3);
        assert_eq!(code(body.required_objects("none")), 10004);
        assert_eq!(code(body.object("l")), 10004);
        assert_eq!(code(body.scalar("v")), 10004);
        assert_eq!(code(body.texts("l")), 10004);
    }
}
