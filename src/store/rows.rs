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
    /// Bits: 1 mute all, 2 history before join, 4 support topic, 8 enable permission, 16 active, 32 joins out of order.
    pub flags: u8,
    pub default_permission: u64,
    pub next_msg_seq: u64,
    pub next_join_seq: u64,
    pub info_seq: u64,
    pub last_info: u64,
    pub last_msg: u64,
    #[serde(default)]
    pub last_joined: u64,
    /// Accounts with a row about a mute: a join looks one up only where there are any.
    #[serde(default)]
    pub mute_count: u32,
    /// Accounts with a row about a ban.
    #[serde(default)]
    pub ban_count: u32,
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

/// A ban from a live room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BanRow {
    /// Unix seconds.
    pub until: u64,
    pub description: String,
    pub operator: String,
}

impl MemberRow {
    /// Decodes a member as [`decode`] does, without the general machinery: a page has a hundred of them.
    ///
    /// # Panics
    /// As [`decode`].
    pub fn decode(bytes: &[u8]) -> Self {
        // Whatever looks otherwise, a row of a later release or a damaged one, is for the general way to judge.
        Self::fields(bytes).unwrap_or_else(|| decode(bytes))
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        const FIELDS: u32 = 9;
        let mut rest = bytes.strip_prefix(&[FORMAT])?;
        if rmp::decode::read_array_len(&mut rest).ok()? != FIELDS {
            return None;
        }
        let account = AccountId::parse(text(&mut rest)?).ok()?;
        let role = rmp::decode::read_int(&mut rest).ok()?;
        let joined = rmp::decode::read_int(&mut rest).ok()?;
        let msg_seq = rmp::decode::read_int(&mut rest).ok()?;
        let msg_flag = rmp::decode::read_int(&mut rest).ok()?;
        let last_send = rmp::decode::read_int(&mut rest).ok()?;
        let mute_until = rmp::decode::read_int(&mut rest).ok()?;
        let name_card = text(&mut rest)?.to_owned();
        let pairs = rmp::decode::read_array_len(&mut rest).ok()?;
        let mut custom = Vec::new();
        for _ in 0..pairs {
            if rmp::decode::read_array_len(&mut rest).ok()? != 2 {
                return None;
            }
            custom.push((text(&mut rest)?.to_owned(), text(&mut rest)?.to_owned()));
        }
        let account = AccountText(account);
        Some(Self { account, role, joined, msg_seq, msg_flag, last_send, mute_until, name_card, custom })
    }
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let (text, behind) = rmp::decode::read_str_from_slice(*rest).ok()?;
    *rest = behind;
    Some(text)
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
    /// Of a tip about mutes: for how many seconds, 0: they may speak again.
    #[serde(default)]
    pub value: u64,
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

/// What was said of an account when it was imported; its presence says that it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRow {
    pub nick: String,
    pub face_url: String,
    /// Of the first import since the account was last deleted.
    pub imported: u64,
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
    pub const ACTIVE: u8 = 2;
    pub const TOPICS: u8 = 4;

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
    /// End of a mute or ban in Unix seconds (17, 22), number of a message flag (21).
    #[serde(default)]
    pub value: u64,
}

/// What a shard counts for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRow {
    pub next_gno: u64,
    pub last_stamp: u64,
    /// The census rows count every group; rows of before there was a census do not.
    #[serde(default)]
    pub has_census: bool,
}

impl Default for ShardRow {
    fn default() -> Self {
        Self { next_gno: 1, last_stamp: 0, has_census: true }
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
    /// Of the report to every member; empty in rows of before it was kept.
    #[serde(default)]
    pub event_id: String,
    /// Rows of the group with smaller keys are gone, those of the profile and of members by name aside. A search from
    /// the first would pass over everything that was deleted, each time. Its generation says nothing: a replica has
    /// one of its own, and got this row from one that had another.
    #[serde(default, with = "serde_bytes")]
    pub gone_before: Vec<u8>,
}

/// What became of a request that carried an id of its caller's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRow {
    pub at: u64,
    pub answer: RequestAnswer,
}

/// The outcome of a request. Variants are format: new ones go at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RequestAnswer {
    Done,
    /// `Result` per account of the request; in rows of before their names were kept.
    Added(Vec<u8>),
    /// `Result` per account of the request.
    Removed(Vec<u8>),
    Counted(Vec<(String, i64)>),
    /// The id that a creation without one was given.
    Minted(GroupText),
    /// `Result` for each account that was to be added.
    AddedEach(Vec<(AccountText, u8)>),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn a_member_is_decoded_alike_by_both_ways() {
        let account = |name: &str| AccountText(AccountId::parse(name).expect("an id"));
        let plain = MemberRow {
            account: account("ann"),
            role: 3,
            joined: 1_788_000_000_123,
            msg_seq: 0,
            msg_flag: 0,
            last_send: 0,
            mute_until: 0,
            name_card: String::new(),
            custom: vec![],
        };
        let custom = vec![("k".to_owned(), "v".repeat(64)), ("empty".to_owned(), String::new())];
        let full = MemberRow {
            account: account(&"a".repeat(32)),
            role: 1,
            joined: u64::MAX,
            msg_seq: 70_000,
            msg_flag: 4,
            last_send: 1 << 40,
            mute_until: u64::from(u32::MAX),
            name_card: "群".repeat(16),
            custom,
        };
        for row in [plain, full] {
            let bytes = encode(&row);
            assert_eq!(MemberRow::fields(&bytes).as_ref(), Some(&row));
            assert_eq!(decode::<MemberRow>(&bytes), row);
            for cut in 0..bytes.len() {
                assert_eq!(MemberRow::fields(&bytes[..cut]), None, "cut at {cut}");
            }
        }
    }

    /// Golden bytes, with and without the fields that came later; the shorter ones must stay readable for ever.
    fn keeps<T>(row: &T, golden: &str, before: Option<(&str, &T)>)
    where
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let golden = golden.replace(' ', "");
        assert_eq!(hex(&encode(row)), golden, "{row:?}");
        assert_eq!(&decode::<T>(&encode(row)), row);
        let Some((older, read)) = before else { return };
        let older = older.replace(' ', "");
        let bytes: Vec<u8> =
            (0..older.len()).step_by(2).map(|at| u8::from_str_radix(&older[at..at + 2], 16).expect("hex")).collect();
        assert_eq!(&decode::<T>(&bytes), read, "older bytes");
    }

    fn header() -> GroupHeader {
        GroupHeader {
            gno: 9,
            version: Version { term: 1, activation: 2, counter: 3 },
            kind: 2,
            owner: Some(AccountText(AccountId::parse("ann").expect("an id"))),
            created: 4,
            members_max: 5,
            member_count: 6,
            admin_count: 7,
            apply_join: 1,
            invite_join: 0,
            flags: 16,
            default_permission: 0,
            next_msg_seq: 8,
            next_join_seq: 9,
            info_seq: 10,
            last_info: 11,
            last_msg: 12,
            last_joined: 13,
            mute_count: 14,
            ban_count: 15,
        }
    }

    #[test]
    fn rows_keep_their_bytes_and_older_ones_are_read() {
        let group = || GroupText(GroupId::parse("g1").expect("an id"));
        let common = "09 93010203 02 a3616e6e 04 05 06 07 01 00 10 00 08 09 0a 0b 0c";
        keeps(
            &header(),
            &format!("01 dc0014 {common} 0d 0e 0f"),
            Some((&format!("01 dc0012 {common} 0d"), &GroupHeader { mute_count: 0, ban_count: 0, ..header() })),
        );
        keeps(
            &header(),
            &format!("01 dc0014 {common} 0d 0e 0f"),
            Some((
                &format!("01 dc0011 {common}"),
                &GroupHeader { last_joined: 0, mute_count: 0, ban_count: 0, ..header() },
            )),
        );
        let ban = BanRow { until: 300, description: "ads".into(), operator: "ann".into() };
        keeps(&ban, "01 93 cd012c a3616473 a3616e6e", None);
        let tip = |value| GroupLogRow {
            op_type: 7,
            event_id: "e".into(),
            at: 1,
            operator: "o".into(),
            accounts: vec!["a".into()],
            member_count: 0,
            remark: String::new(),
            changes: vec![TipChange { flag: 5, key: String::new(), value: "b".into() }],
            value,
        };
        let common = "07 a165 01 a16f 91a161 00 a0 91 93 05 a0 a162";
        keeps(&tip(60), &format!("01 99 {common} 3c"), Some((&format!("01 98 {common}"), &tip(0))));
        let report = |value| FeedRow {
            event_id: "e".into(),
            at: 1,
            report_type: 17,
            group: group(),
            group_name: "n".into(),
            kind: 2,
            operator: "o".into(),
            remark: String::new(),
            value,
        };
        let common = "a165 01 11 a26731 a16e 02 a16f a0";
        keeps(&report(60), &format!("01 99 {common} 3c"), Some((&format!("01 98 {common}"), &report(0))));
        let job = |gone_before: &[u8]| JobRow {
            slot: 3,
            app: 7,
            group: group(),
            kind: 2,
            name: "n".into(),
            operator: "o".into(),
            at: 1,
            event_id: "e".into(),
            gone_before: gone_before.to_vec(),
        };
        let common = "03 07 a26731 02 a16e a16f 01 a165";
        keeps(&job(b"k"), &format!("01 99 {common} c4016b"), Some((&format!("01 98 {common}"), &job(b""))));
        let shard = |has_census| ShardRow { next_gno: 3, last_stamp: 4, has_census };
        keeps(&shard(true), "01 93 03 04 c3", Some(("01 92 03 04", &shard(false))));
        // Bare values.
        keeps(&u64::from(u32::MAX), "01 ceffffffff", None);
        keeps(&-1_i64, "01 ff", None);
        keeps(&"north".to_owned(), "01 a5 6e6f727468", None);
    }

    /// Golden bytes: a change of layout is a change of format.
    #[test]
    fn an_identity_keeps_its_bytes() {
        let row = IdentityRow { nick: "Ann".into(), face_url: String::new(), imported: 1_000 };
        let bytes = encode(&row);
        assert_eq!(bytes, b"\x01\x93\xa3Ann\xa0\xcd\x03\xe8");
        assert_eq!(decode::<IdentityRow>(&bytes), row);
    }
}
