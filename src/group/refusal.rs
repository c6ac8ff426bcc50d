//! Why the rules said no; one stable code each. Source: docs/spec/errors.md 5.

use super::{Kind, Rank};

/// The rules say no: nothing happened, and asking again unchanged gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A value that is wrong in itself or for this group.
    #[error("{what}: {field}")]
    BadParameter { field: &'static str, what: &'static str },
    /// A list in the request is longer than one call may carry.
    #[error("too many accounts in {field}, at most {max}")]
    TooManyAccounts { field: &'static str, max: usize },
    /// The app has gained as many groups today as it may; tomorrow it may again.
    #[error("the daily net quota of {max} new groups is used up")]
    DailyQuota { max: u64 },
    /// Nobody may do this in a group of this kind, an app admin included.
    #[error("not supported by this type of group ({kind:?}): {operation}")]
    NotSupported { kind: Kind, operation: &'static str },
    /// Somebody of a higher rank may, or somebody under another join option.
    #[error("not permitted for this role ({rank:?}): {operation}")]
    NotPermitted { rank: Rank, operation: &'static str },
    /// There never was one, or it was disbanded.
    #[error("this group does not exist")]
    NoSuchGroup,
    /// Nobody of those named fits in.
    #[error("the group is full, at most {members_max} members")]
    GroupFull { members_max: u32 },
    /// The text is known to clients, as it is.
    #[error("group id has be used!")]
    GroupIdTaken,
    /// Clients take this as success, so it is said to the owner only.
    #[error("group id has be used, and the requester already owns it")]
    GroupIdOwned,
    /// The account to enter is in as many groups as it may be.
    #[error("the user is in too many groups, at most {max}")]
    TooManyGroups { max: u64 },
    /// A group would begin with more members than it may have.
    #[error("more members than this type of group may have, at most {max}")]
    TooManyMembers { max: u32 },
}

impl Refusal {
    /// The code on the wire; stable for ever.
    pub fn code(&self) -> u32 {
        match self {
            Refusal::BadParameter { .. } => 10004,
            Refusal::TooManyAccounts { .. } => 10005,
            Refusal::DailyQuota { .. } => 10006,
            Refusal::NotSupported { .. } | Refusal::NotPermitted { .. } => 10007,
            Refusal::NoSuchGroup => 10010,
            Refusal::GroupFull { .. } => 10014,
            Refusal::GroupIdTaken => 10021,
            Refusal::GroupIdOwned => 10025,
            Refusal::TooManyGroups { .. } => 10037,
            Refusal::TooManyMembers { .. } => 10038,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_known_texts_are_those_of_the_reference() {
        let table = [
            (Refusal::BadParameter { field: "Name", what: "too long" }, 10004, "too long: Name"),
            (Refusal::TooManyAccounts { field: "L", max: 3 }, 10005, "too many accounts in L, at most 3"),
            (Refusal::DailyQuota { max: 3 }, 10006, "the daily net quota of 3 new groups is used up"),
            (
                Refusal::NotSupported { kind: Kind::Work, operation: "x" },
                10007,
                "not supported by this type of group (Work): x",
            ),
            (
                Refusal::NotPermitted { rank: Rank::Member, operation: "x" },
                10007,
                "not permitted for this role (Member): x",
            ),
            (Refusal::NoSuchGroup, 10010, "this group does not exist"),
            (Refusal::GroupFull { members_max: 3 }, 10014, "the group is full, at most 3 members"),
            (Refusal::GroupIdTaken, 10021, "group id has be used!"),
            (Refusal::GroupIdOwned, 10025, "group id has be used, and the requester already owns it"),
            (Refusal::TooManyGroups { max: 3 }, 10037, "the user is in too many groups, at most 3"),
            (Refusal::TooManyMembers { max: 3 }, 10038, "more members than this type of group may have, at most 3"),
        ];
        for (refusal, code, text) in table {
            assert_eq!((refusal.code(), refusal.to_string().as_str()), (code, text));
        }
    }
}
