//! The values of state rows. One format byte, then MessagePack; [`keys`](super::keys) lists them.
//!
//! A new field goes at the end with `#[serde(default)]`: older rows then read as before.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, GroupId};

/// The first byte of every value.
const FORMAT: u8 = 1;

/// Encodes a value.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.push(FORMAT);
    rmp_serde::encode::write(&mut bytes, value).expect("rows hold nothing that MessagePack cannot");
    bytes
}

/// Decodes a value.
///
/// # Panics
/// If the bytes are not a row of that kind: the replica stops, wrong data is worse than none.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => match rmp_serde::from_slice(rest) {
            Ok(value) => value,
            Err(error) => panic!("a {} row does not decode: {error}, bytes {bytes:02x?}", std::any::type_name::<T>()),
        },
        Some((other, _)) => panic!("a {} row has format {other}, expected {FORMAT}", std::any::type_name::<T>()),
        None => panic!("a {} row is empty", std::any::type_name::<T>()),
    }
}

/// A key of an app's own and its value.
pub type CustomPair = (String, String);

/// The fence of a group: an activation that no other has had, and a counter within it.
///
/// Both are compared. A bare counter would let a late proposal of a dead activation meet the number that a
/// newer one left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Term of the leadership that activated the group.
    pub term: u64,
    /// Activations of that leadership before this one.
    pub activation: u64,
    /// Entries of this activation so far.
    pub counter: u64,
}

/// A group's facts and fence; its presence claims the id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupHeader {
    pub gno: u64,
    pub version: Version,
    pub kind: u8,
    pub owner: Option<AccountText>,
    pub created: u64,
    pub members_max: u32,
    pub member_count: u32,
    pub admin_count: u32,
    pub apply_join: u8,
    pub invite_join: u8,
    /// Bits: 1 mute all, 2 history before join, 4 support topic, 8 enable permission, 16 active.
    pub flags: u8,
    pub default_permission: u64,
    pub next_msg_seq: u64,
    pub next_join_seq: u64,
    pub info_seq: u64,
    pub last_info: u64,
    pub last_msg: u64,
}

/// Texts and custom fields of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileRow {
    pub name: String,
    pub introduction: String,
    pub notification: String,
    pub face_url: String,
    pub custom: Vec<CustomPair>,
}

/// What a command looks up of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberKey {
    pub join_seq: u64,
    pub role: u8,
    /// Unix seconds; 0 not muted.
    pub mute_until: u64,
}

/// The whole member, in join order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberRow {
    pub account: AccountText,
    pub role: u8,
    pub joined: u64,
    pub msg_seq: u64,
    /// 0: the default of the kind; else 1 + the flag's number.
    pub msg_flag: u8,
    pub last_send: u64,
    pub mute_until: u64,
    pub name_card: String,
    pub custom: Vec<CustomPair>,
}

/// One tip of a group, as docs/spec/events.md 2 shows it; rendered when read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupLogRow {
    pub op_type: u8,
    pub event_id: String,
    pub at: u64,
    pub operator: String,
    pub accounts: Vec<String>,
    pub member_count: u32,
    pub remark: String,
    pub changes: Vec<TipChange>,
}

/// One item of a `ChangeList`. Source: docs/spec/events.md 2.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TipChange {
    pub flag: u8,
    pub key: String,
    pub value: String,
}

/// Counts of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccountHeader {
    /// Joined groups whose members are stored.
    pub joined_count: u64,
    /// Sequence of the newest report in the feed; 0: none yet.
    pub feed_seq: u64,
}

/// One group that an account has joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JoinedRow {
    pub group: GroupText,
    pub kind: u8,
    pub joined: u64,
    /// Place in the group's join order: the member row is found without a look-up.
    pub join_seq: u64,
    /// Bits: 1 owner, 2 the group is active, 4 topics are enabled.
    pub flags: u8,
}

impl JoinedRow {
    const OWNER: u8 = 1;
    const ACTIVE: u8 = 2;
    const TOPICS: u8 = 4;

    pub fn flags(is_owner: bool, is_active: bool, has_topics: bool) -> u8 {
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        flag(is_owner, Self::OWNER) | flag(is_active, Self::ACTIVE) | flag(has_topics, Self::TOPICS)
    }

    pub fn is_owner(&self) -> bool {
        self.flags & Self::OWNER != 0
    }

    pub fn is_active(&self) -> bool {
        self.flags & Self::ACTIVE != 0
    }

    pub fn has_topics(&self) -> bool {
        self.flags & Self::TOPICS != 0
    }
}

/// One report in an account's feed. Source: docs/spec/events.md 1.1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedRow {
    pub event_id: String,
    pub at: u64,
    pub report_type: u8,
    pub group: GroupText,
    pub group_name: String,
    pub kind: u8,
    pub operator: String,
    pub remark: String,
}

/// What a shard counts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRow {
    pub next_gno: u64,
    pub last_stamp: u64,
}

impl Default for ShardRow {
    fn default() -> Self {
        Self { next_gno: 1, last_stamp: 0 }
    }
}

/// The ends of the queue of outbox rows to one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxHead {
    /// Sequence that the next row gets.
    pub next: u64,
    /// First sequence that the target has not acknowledged.
    pub first: u64,
}

impl Default for OutboxHead {
    fn default() -> Self {
        Self { next: 1, first: 1 }
    }
}

/// A disbanded group some of whose members are still to be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    pub slot: u16,
    pub app: u32,
    pub group: GroupText,
    pub kind: u8,
    pub name: String,
    pub operator: String,
    pub at: u64,
}

/// An account id as a row holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountText(pub AccountId);

/// A group id as a row holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupText(pub GroupId);

macro_rules! text_in_rows {
    ($text:ident, $id:ident) => {
        impl Serialize for $text {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $text {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $text;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(stringify!($id))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$text, E> {
                        $id::parse(text).map($text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

text_in_rows!(AccountText, AccountId);
text_in_rows!(GroupText, GroupId);

impl From<AccountId> for AccountText {
    fn from(account: AccountId) -> Self {
        Self(account)
    }
}

impl From<GroupId> for GroupText {
    fn from(group: GroupId) -> Self {
        Self(group)
    }
}
