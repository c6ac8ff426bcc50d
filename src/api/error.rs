//! The one table: failure → code and text. HTTP status is 200 for all of them.
//!
//! Source: docs/spec/errors.md. Codes that come from the rules are [`Refusal::code`](crate::group::Refusal::code).

use std::borrow::Cow;

use crate::actors::{NodeId, ReadError, SubmitError};
use crate::group::Refusal;

pub const BAD_HTTP: u32 = 60002;
pub const NOT_JSON: u32 = 60003;
pub const BAD_IDENTIFIER: u32 = 60004;
pub const COMMAND_TOO_OFTEN: u32 = 60007;
pub const UNAVAILABLE: u32 = 60008;
pub const NO_SUCH_SERVICE: u32 = 60009;
pub const NOT_APP_ADMIN: u32 = 60010;
pub const APP_TOO_OFTEN: u32 = 60011;
pub const NO_SDKAPPID: u32 = 60012;
pub const ACCOUNT_NOT_TEXT: u32 = 60015;
pub const APP_DISABLED: u32 = 60016;
pub const OVERLOADED: u32 = 60018;
pub const BAD_URL_PARAMETER: u32 = 60025;
pub const USERSIG_EXPIRED: u32 = 70001;
pub const USERSIG_EMPTY: u32 = 70002;
pub const USERSIG_MALFORMED: u32 = 70003;
pub const USERSIG_MISMATCH: u32 = 70009;
pub const OTHER_IDENTIFIER: u32 = 70013;
pub const OTHER_APP: u32 = 70014;
pub const NO_KEY: u32 = 70016;
pub const NO_SUCH_APP: u32 = 70020;
pub const LOCKED: u32 = 70050;
pub const NO_SUCH_ACCOUNT: u32 = 70107;
pub const BAD_ACCOUNT_PARAMETER: u32 = 70402;
pub const INTERNAL: u32 = 10002;
pub const NO_SUCH_COMMAND: u32 = 10003;
pub const BAD_PARAMETER: u32 = 10004;
pub const TOO_MANY: u32 = 10005;
pub const TOO_OFTEN: u32 = 10006;
pub const NOT_SUPPORTED: u32 = 10007;
pub const NO_SUCH_GROUP: u32 = 10010;
pub const BAD_OPERATOR: u32 = 10012;
pub const BAD_GROUP_ID: u32 = 10015;
pub const ANSWER_TOO_LARGE: u32 = 10018;
pub const ATTRIBUTES_TOO_OFTEN: u32 = 10049;
pub const NO_SUCH_TOPIC: u32 = 110003;
pub const BAD_TOPIC_ID: u32 = 110013;

/// What the `code` label of a metric may say; sorted.
pub const LABELLED: &[u32] = &[
    0, 10002, 10003, 10004, 10005, 10006, 10007, 10010, 10012, 10014, 10015, 10018, 10019, 10021, 10025, 10036, 10037,
    10038, 10045, 10046, 10047, 10048, 10049, 10050, 10058, 10063, 11000, 60002, 60003, 60004, 60007, 60008, 60009,
    60010, 60011, 60012, 60015, 60016, 60018, 60025, 70001, 70002, 70003, 70009, 70013, 70014, 70016, 70020, 70050,
    70402, 110003, 110013,
];

/// How much of a value a text repeats. Source: docs/spec/errors.md 1.
const SHOWN_BYTES_MAX: usize = 64;

/// What may be done about a failure before its caller hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: it would come to the same, or there is too much to do as it is.
    Nothing,
    /// Nothing happened, and a moment later it may succeed.
    Again,
    /// Nothing happened; this node leads what the request is about, as far as is known.
    Ask(NodeId),
    /// Perhaps something happened: it may be tried again if it has a name to be known by.
    AgainIfNamed,
}

/// A request that did not succeed, as its caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: u32,
    /// For people: lower case, names the field or the account.
    pub info: Cow<'static, str>,
    pub remedy: Remedy,
}

impl Failure {
    pub fn new(code: u32, info: impl Into<Cow<'static, str>>) -> Self {
        Self { code, info: info.into(), remedy: Remedy::Nothing }
    }

    pub fn with_remedy(self, remedy: Remedy) -> Self {
        Self { remedy, ..self }
    }

    /// `<what is wrong>: <field>`.
    pub fn of(code: u32, field: &str, what: &str) -> Self {
        Self::new(code, format!("{what}: {field}"))
    }

    /// `<what is wrong>: <field>=<value cut to 64 bytes>`.
    pub fn with_value(code: u32, field: &str, what: &str, value: &str) -> Self {
        let mut end = value.len().min(SHOWN_BYTES_MAX);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        Self::new(code, format!("{what}: {field}={}", &value[..end]))
    }

    /// 10004 for a field.
    pub fn bad(field: &str, what: &str) -> Self {
        Self::of(BAD_PARAMETER, field, what)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        let (code, remedy) = match &error {
            SubmitError::Refused(refusal) => (refusal.code(), Remedy::Nothing),
            SubmitError::Overloaded { .. } => (OVERLOADED, Remedy::Nothing),
            SubmitError::Unavailable { .. } => (UNAVAILABLE, Remedy::Again),
            SubmitError::Elsewhere { leader } => (UNAVAILABLE, Remedy::Ask(*leader)),
            SubmitError::Indeterminate { .. } => (INTERNAL, Remedy::AgainIfNamed),
        };
        // `Indeterminate` prints as `outcome unknown: …`: that prefix is part of the contract of 10002.
        Self::new(code, error.to_string()).with_remedy(remedy)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let (code, remedy) = match error {
            ReadError::NoSuchGroup => (NO_SUCH_GROUP, Remedy::Nothing),
            ReadError::NotSupported => (NOT_SUPPORTED, Remedy::Nothing),
            ReadError::Overloaded { .. } => (OVERLOADED, Remedy::Nothing),
            ReadError::Unavailable { .. } => (UNAVAILABLE, Remedy::Again),
        };
        Self::new(code, error.to_string()).with_remedy(remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_kinds_of_failure_are_told_apart() {
        use Remedy::{Again, AgainIfNamed, Ask, Nothing};
        let leader = NodeId(3 << 32);
        for (error, code, info, remedy) in [
            (SubmitError::Refused(Refusal::NoSuchGroup), 10010, "this group does not exist", Nothing),
            (SubmitError::Overloaded { what: "mailbox" }, 60018, "overloaded: mailbox", Nothing),
            (SubmitError::Unavailable { what: "no leader" }, 60008, "unavailable: no leader", Again),
            (SubmitError::Elsewhere { leader }, 60008, "unavailable: node 3-00000000 leads the shard", Ask(leader)),
            (SubmitError::Indeterminate { what: "deadline" }, 10002, "outcome unknown: deadline", AgainIfNamed),
        ] {
            assert_eq!(Failure::from(error), Failure::new(code, info).with_remedy(remedy));
        }
        for (error, code, remedy) in [
            (ReadError::NoSuchGroup, 10010, Nothing),
            (ReadError::NotSupported, 10007, Nothing),
            (ReadError::Overloaded { what: "x" }, 60018, Nothing),
            (ReadError::Unavailable { what: "x" }, 60008, Again),
        ] {
            let failure = Failure::from(error);
            assert_eq!((failure.code, failure.remedy), (code, remedy));
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let failure = Failure::with_value(10004, "Type", "unknown type", &"京".repeat(40));
        assert_eq!(failure.info, format!("unknown type: Type={}", "京".repeat(21)));
    }

    #[test]
    fn the_labels_can_be_searched() {
        assert!(LABELLED.is_sorted());
    }
}
