//! Why the rules said no; one stable code each. Source: docs/spec/errors.md 5.

use super::{Kind, Rank};
use crate::id::AccountId;

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
    /// An account that has to exist was never imported.
    #[error("the account does not exist: {account}")]
    NoSuchAccount { account: AccountId },
    /// The app has as many groups as it may.
    #[error("the app has too many groups, at most {max}")]
    TooManyGroupsInApp { max: u64 },
    #[error("the app has too many live rooms, at most {max}")]
    TooManyLiveRooms { max: u64 },
    /// The app has no communities at all (`features.community`).
    #[error("communities are not enabled")]
    CommunityNotEnabled,
    #[error("attribute key longer than {bytes_max} bytes: {key}")]
    AttributeKeyTooLong { key: String, bytes_max: usize },
    #[error("attribute value longer than {bytes_max} bytes: {key}")]
    AttributeValueTooLong { key: String, bytes_max: usize },
    #[error("more than {max} attributes")]
    TooManyAttributes { max: usize },
    #[error("attributes larger than {bytes_max} bytes in all")]
    AttributesTooLarge { bytes_max: usize },
    #[error("no such attribute: {key}")]
    NoSuchAttribute { key: String },
    #[error("more than {max} counters")]
    TooManyCounters { max: usize },
    /// A group would begin with more members than it may have.
    #[error("more members than the group may have, at most {max}")]
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
            Refusal::NoSuchAccount { .. } => 10019,
            Refusal::GroupIdTaken => 10021,
            Refusal::GroupIdOwned => 10025,
            Refusal::TooManyLiveRooms { .. } => 10036,
            Refusal::TooManyGroups { .. } => 10037,
            Refusal::TooManyMembers { .. } => 10038,
            Refusal::AttributeKeyTooLong { .. } => 10045,
            Refusal::AttributeValueTooLong { .. } => 10046,
            Refusal::TooManyAttributes { .. } => 10047,
            Refusal::AttributesTooLarge { .. } => 10048,
            Refusal::NoSuchAttribute { .. } => 10050,
            Refusal::TooManyGroupsInApp { .. } => 10058,
            Refusal::TooManyCounters { .. } => 10063,
            Refusal::CommunityNotEnabled => 11000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::account;
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
            (Refusal::NoSuchAccount { account: account("bob") }, 10019, "the account does not exist: bob"),
            (Refusal::GroupIdTaken, 10021, "group id has be used!"),
            (Refusal::GroupIdOwned, 10025, "group id has be used, and the requester already owns it"),
            (Refusal::TooManyLiveRooms { max: 3 }, 10036, "the app has too many live rooms, at most 3"),
            (Refusal::TooManyGroups { max: 3 }, 10037, "the user is in too many groups, at most 3"),
            (Refusal::CommunityNotEnabled, 11000, "communities are not enabled"),
            (Refusal::TooManyMembers { max: 3 }, 10038, "more members than the group may have, at most 3"),
            (
                Refusal::AttributeKeyTooLong { key: "k".into(), bytes_max: 3 },
                10045,
                "attribute key longer than 3 bytes: k",
            ),
            (
                Refusal::AttributeValueTooLong { key: "k".into(), bytes_max: 3 },
                10046,
                "attribute value longer than 3 bytes: k",
            ),
            (Refusal::TooManyAttributes { max: 3 }, 10047, "more than 3 attributes"),
            (Refusal::AttributesTooLarge { bytes_max: 3 }, 10048, "attributes larger than 3 bytes in all"),
            (Refusal::NoSuchAttribute { key: "k".into() }, 10050, "no such attribute: k"),
            (Refusal::TooManyGroupsInApp { max: 3 }, 10058, "the app has too many groups, at most 3"),
            (Refusal::TooManyCounters { max: 3 }, 10063, "more than 3 counters"),
        ];
        for (refusal, code, text) in table {
            assert_eq!((refusal.code(), refusal.to_string().as_str()), (code, text));
        }
    }
}
