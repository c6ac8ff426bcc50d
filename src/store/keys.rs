//! The catalogue of state rows: every key, its layout, its value and who writes it.
//!
//! A key is `slot u16 | generation u32 | kind u8 | …`, integers big endian, so that rows sort by place.
//! Slots below 1,024 hold what hashes there; slot 1,024 + s holds what belongs to shard s as a whole.
//! The machine of the shard (`shard::machine`) writes all of them, at apply, and nobody else.
//!
//! | Kind | Rest of the key | Value | About |
//! |---|---|---|---|
//! | `0x10` header | app u32, group id | [`GroupHeader`] | 90 B; also the claim on the id |
//! | `0x11` group | gno u64, `0` | [`ProfileRow`] | texts and custom fields |
//! | `0x11` group | gno u64, `1`, join sequence u64 | [`MemberRow`] | 50 B; a page is one seek and a scan |
//! | `0x11` group | gno u64, `2`, bits u8, join sequence >> bits u64 | u32 | of these 2^bits places, how many were left; 16 and 8 bits |
//! | `0x11` group | gno u64, `3`, account | [`MemberKey`] | 10 B; what a command looks up |
//! | `0x11` group | gno u64, `4`, role u8, join sequence u64 | account | owner and admins only |
//! | `0x11` group | gno u64, `5`, sequence u64 | [`GroupLogRow`] | tips, gapless |
//! | `0x11` group | gno u64, `6`, account | u64 | Unix seconds until which the account is muted, a member or not |
//! | `0x11` group | gno u64, `7`, attribute | text | at most 4 kB |
//! | `0x11` group | gno u64, `8`, counter | i64 | |
//! | `0x11` group | gno u64, `9`, account | [`BanRow`] | live rooms only |
//! | `0x12` index | app u32, kind u8, gno u64 | group id | all groups of an app |
//! | `0x20` account | app u32, account | [`AccountHeader`] | 10 B |
//! | `0x21` joined | app u32, account, `0`, slot u16, gno u64 | [`JoinedRow`] | 40 B |
//! | `0x22` feed | app u32, account, `0`, sequence u64 | [`FeedRow`] | reports, gapless |
//! | `0x23` quota | app u32, day i32 | i64 | net new groups of that day |
//! | `0x24` identity | app u32, account | [`IdentityRow`] | 15 B and texts; an account that was imported |
//! | `0x30` shard | | [`ShardRow`] | next gno, last stamp |
//! | `0x31` outbox | target u16, sequence u64 | effects | until the target has applied them |
//! | `0x32` outbox head | target u16 | [`OutboxHead`] | |
//! | `0x33` inbox cursor | source u16 | u64 | last sequence applied |
//! | `0x34` job | gno u64 | [`JobRow`] | a disbanded group whose members are still being told |
//! | `0x35` request | bucket u32, app u32, caller, `0`, command, `0`, group id or nothing, `0`, id | [`RequestRow`] | 30 B; what a repeated request is answered |
//! | `0x36` census | app u32, kind u8 | u64 | groups of that kind in this shard |
//!
//! Keys of attributes and counters are free text: they end their row's key, so nothing has to end them.
//!
//! [`BanRow`]: super::BanRow
//! [`GroupHeader`]: super::GroupHeader
//! [`ProfileRow`]: super::ProfileRow
//! [`MemberRow`]: super::MemberRow
//! [`MemberKey`]: super::MemberKey
//! [`GroupLogRow`]: super::GroupLogRow
//! [`AccountHeader`]: super::AccountHeader
//! [`IdentityRow`]: super::IdentityRow
//! [`JoinedRow`]: super::JoinedRow
//! [`FeedRow`]: super::FeedRow
//! [`ShardRow`]: super::ShardRow
//! [`OutboxHead`]: super::OutboxHead
//! [`RequestRow`]: super::RequestRow
//! [`JobRow`]: super::JobRow

use std::ops::Range;

use muster_cluster::{SLOTS, ShardId, Slot, slot_of};

use crate::id::{AccountId, AppId, Gno, GroupId};

/// Kind bytes of ids in the slot hash; never change.
const SLOT_KIND_GROUP: u8 = 1;
const SLOT_KIND_ACCOUNT: u8 = 2;
const SLOT_KIND_QUOTA: u8 = 3;
const SLOT_KIND_APP: u8 = 4;

const HEADER: u8 = 0x10;
const GROUP: u8 = 0x11;
const INDEX: u8 = 0x12;
const ACCOUNT: u8 = 0x20;
const JOINED: u8 = 0x21;
const FEED: u8 = 0x22;
const QUOTA: u8 = 0x23;
const IDENTITY: u8 = 0x24;
const SHARD: u8 = 0x30;
const OUTBOX: u8 = 0x31;
pub const OUTBOX_HEAD: u8 = 0x32;
pub const INBOX_CURSOR: u8 = 0x33;
const JOB: u8 = 0x34;
const REQUEST: u8 = 0x35;
const CENSUS: u8 = 0x36;

pub(super) const SUB_PROFILE: u8 = 0;
pub(super) const SUB_MEMBER: u8 = 1;
pub(super) const SUB_LEFT: u8 = 2;
pub(super) const SUB_KEY: u8 = 3;
pub(super) const SUB_ROLE: u8 = 4;
pub(super) const SUB_LOG: u8 = 5;
pub(super) const SUB_MUTE: u8 = 6;
pub(super) const SUB_ATTRIBUTE: u8 = 7;
pub(super) const SUB_COUNTER: u8 = 8;
pub(super) const SUB_BAN: u8 = 9;

/// Bytes before the kind byte.
const PREFIX_LEN: usize = 6;
/// Where a key has its generation, behind the slot.
const GENERATION: Range<usize> = 2..PREFIX_LEN;
/// Bytes up to and including the sub-kind of a row keyed by gno.
const GROUP_SUB_LEN: usize = PREFIX_LEN + 1 + 8 + 1;

/// Places in join order that one counter covers, in bits; coarse ones first.
///
/// A place is taken once, so only leaving is counted: who joins changes no counter, and a group that nobody has left
/// has none. The coarse ones are few even in a huge group, and each spans 256 of the fine ones.
pub const LEFT_BITS: [u8; 2] = [16, 8];

pub fn slot_of_group(app: AppId, group: &GroupId) -> Slot {
    slot_of(SLOT_KIND_GROUP, app.0, group.as_str().as_bytes())
}

pub fn slot_of_account(app: AppId, account: &AccountId) -> Slot {
    slot_of(SLOT_KIND_ACCOUNT, app.0, account.as_str().as_bytes())
}

/// The home of an app's quota of one day.
pub fn slot_of_quota(app: AppId, day: i32) -> Slot {
    slot_of(SLOT_KIND_QUOTA, app.0, &day.to_be_bytes())
}

/// The home of what is counted of an app as a whole.
pub fn slot_of_app(app: AppId) -> Slot {
    slot_of(SLOT_KIND_APP, app.0, b"")
}

/// Whether the newest value of a row stays in memory: rows that every command or read of a group or account begins
/// with, and counts that many commands change.
pub fn is_kept(key: &[u8]) -> bool {
    match key.get(PREFIX_LEN) {
        Some(&(HEADER | ACCOUNT | QUOTA | CENSUS)) => true,
        Some(&GROUP) => key.get(GROUP_SUB_LEN - 1) == Some(&SUB_LEFT),
        _ => false,
    }
}

fn shard_slot(shard: ShardId) -> Slot {
    Slot(SLOTS + shard.0)
}

/// Builds keys of one generation.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    generation: u32,
}

impl Keys {
    pub fn new(generation: u32) -> Self {
        Self { generation }
    }

    /// A key as a value may hold it. Replicas count generations of their own, and a value must be the same on all.
    pub fn without_generation(key: &[u8]) -> Vec<u8> {
        Self::new(0).in_generation(key)
    }

    /// That key in this generation; nothing stays nothing.
    pub fn in_generation(&self, key: &[u8]) -> Vec<u8> {
        let mut key = key.to_vec();
        if let Some(bytes) = key.get_mut(GENERATION) {
            bytes.copy_from_slice(&self.generation.to_be_bytes());
        }
        key
    }

    fn start(&self, slot: Slot, kind: u8, rest: usize) -> Vec<u8> {
        let mut key = Vec::with_capacity(PREFIX_LEN + 1 + rest);
        key.extend_from_slice(&slot.0.to_be_bytes());
        key.extend_from_slice(&self.generation.to_be_bytes());
        key.push(kind);
        key
    }

    pub fn header(&self, app: AppId, group: &GroupId) -> Vec<u8> {
        let id = group.as_str().as_bytes();
        let mut key = self.start(slot_of_group(app, group), HEADER, 4 + id.len());
        key.extend_from_slice(&app.0.to_be_bytes());
        key.extend_from_slice(id);
        key
    }

    fn group(&self, slot: Slot, gno: Gno, sub: u8, rest: usize) -> Vec<u8> {
        let mut key = self.start(slot, GROUP, 9 + rest);
        key.extend_from_slice(&gno.0.to_be_bytes());
        key.push(sub);
        key
    }

    pub fn profile(&self, slot: Slot, gno: Gno) -> Vec<u8> {
        self.group(slot, gno, SUB_PROFILE, 0)
    }

    pub fn member(&self, slot: Slot, gno: Gno, join_seq: u64) -> Vec<u8> {
        let mut key = self.group(slot, gno, SUB_MEMBER, 8);
        key.extend_from_slice(&join_seq.to_be_bytes());
        key
    }

    /// The counter of the place `join_seq` among those of so many bits.
    pub fn left(&self, slot: Slot, gno: Gno, bits: u8, join_seq: u64) -> Vec<u8> {
        let mut key = self.group(slot, gno, SUB_LEFT, 9);
        key.push(bits);
        key.extend_from_slice(&(join_seq >> bits).to_be_bytes());
        key
    }

    fn named(&self, slot: Slot, gno: Gno, sub: u8, name: &str) -> Vec<u8> {
        let mut key = self.group(slot, gno, sub, name.len());
        key.extend_from_slice(name.as_bytes());
        key
    }

    pub fn member_key(&self, slot: Slot, gno: Gno, account: &AccountId) -> Vec<u8> {
        self.named(slot, gno, SUB_KEY, account.as_str())
    }

    pub fn role(&self, slot: Slot, gno: Gno, role: u8, join_seq: u64) -> Vec<u8> {
        let mut key = self.group(slot, gno, SUB_ROLE, 9);
        key.push(role);
        key.extend_from_slice(&join_seq.to_be_bytes());
        key
    }

    pub fn group_log(&self, slot: Slot, gno: Gno, seq: u64) -> Vec<u8> {
        let mut key = self.group(slot, gno, SUB_LOG, 8);
        key.extend_from_slice(&seq.to_be_bytes());
        key
    }

    pub fn mute(&self, slot: Slot, gno: Gno, account: &AccountId) -> Vec<u8> {
        self.named(slot, gno, SUB_MUTE, account.as_str())
    }

    pub fn attribute(&self, slot: Slot, gno: Gno, name: &str) -> Vec<u8> {
        self.named(slot, gno, SUB_ATTRIBUTE, name)
    }

    pub fn counter(&self, slot: Slot, gno: Gno, name: &str) -> Vec<u8> {
        self.named(slot, gno, SUB_COUNTER, name)
    }

    pub fn ban(&self, slot: Slot, gno: Gno, account: &AccountId) -> Vec<u8> {
        self.named(slot, gno, SUB_BAN, account.as_str())
    }

    fn sub(&self, slot: Slot, gno: Gno, sub: u8) -> (Vec<u8>, Vec<u8>) {
        (self.group(slot, gno, sub, 0), self.group(slot, gno, sub + 1, 0))
    }

    /// First and last-exclusive key of everybody muted in a group, by account.
    pub fn mutes(&self, slot: Slot, gno: Gno) -> (Vec<u8>, Vec<u8>) {
        self.sub(slot, gno, SUB_MUTE)
    }

    pub fn attributes(&self, slot: Slot, gno: Gno) -> (Vec<u8>, Vec<u8>) {
        self.sub(slot, gno, SUB_ATTRIBUTE)
    }

    pub fn counters(&self, slot: Slot, gno: Gno) -> (Vec<u8>, Vec<u8>) {
        self.sub(slot, gno, SUB_COUNTER)
    }

    pub fn bans(&self, slot: Slot, gno: Gno) -> (Vec<u8>, Vec<u8>) {
        self.sub(slot, gno, SUB_BAN)
    }

    /// First and last-exclusive key of a group's profile and members, in that order.
    pub fn profile_and_members(&self, slot: Slot, gno: Gno) -> (Vec<u8>, Vec<u8>) {
        (self.group(slot, gno, SUB_PROFILE, 0), self.group(slot, gno, SUB_LEFT, 0))
    }

    /// First and last-exclusive key of all members, in join order.
    pub fn all_members(&self, slot: Slot, gno: Gno) -> (Vec<u8>, Vec<u8>) {
        self.sub(slot, gno, SUB_MEMBER)
    }

    /// First and last-exclusive key of the members at these places in join order.
    pub fn members_among(&self, slot: Slot, gno: Gno, places: &Range<u64>) -> (Vec<u8>, Vec<u8>) {
        (self.member(slot, gno, places.start), self.member(slot, gno, places.end))
    }

    /// First and last-exclusive key of all counters of places that were left.
    pub fn all_left(&self, slot: Slot, gno: Gno) -> (Vec<u8>, Vec<u8>) {
        self.sub(slot, gno, SUB_LEFT)
    }

    /// The same, of the counters of so many bits that cover `places`; a counter begins where they begin.
    pub fn left_among(&self, slot: Slot, gno: Gno, bits: u8, places: &Range<u64>) -> (Vec<u8>, Vec<u8>) {
        let end = places.end.saturating_add((1 << bits) - 1);
        (self.left(slot, gno, bits, places.start), self.left(slot, gno, bits, end))
    }

    pub fn roles(&self, slot: Slot, gno: Gno) -> (Vec<u8>, Vec<u8>) {
        self.sub(slot, gno, SUB_ROLE)
    }

    /// What is keyed by a gno beside its profile and its members, by place and by name; ranges in order.
    pub fn beside_members(&self, slot: Slot, gno: Gno) -> [(Vec<u8>, Vec<u8>); 2] {
        let end = self.group(slot, gno, u8::MAX, 0);
        [self.sub(slot, gno, SUB_LEFT), (self.group(slot, gno, SUB_ROLE, 0), end)]
    }

    pub fn index(&self, slot: Slot, app: AppId, kind: u8, gno: Gno) -> Vec<u8> {
        let mut key = self.start(slot, INDEX, 13);
        key.extend_from_slice(&app.0.to_be_bytes());
        key.push(kind);
        key.extend_from_slice(&gno.0.to_be_bytes());
        key
    }

    /// First and last-exclusive key of all groups of all apps in a slot.
    pub fn all_indexed(&self, slot: Slot) -> (Vec<u8>, Vec<u8>) {
        (self.start(slot, INDEX, 0), self.start(slot, INDEX + 1, 0))
    }

    fn of_account(&self, kind: u8, app: AppId, account: &AccountId, rest: usize) -> Vec<u8> {
        let id = account.as_str().as_bytes();
        let mut key = self.start(slot_of_account(app, account), kind, 5 + id.len() + rest);
        key.extend_from_slice(&app.0.to_be_bytes());
        key.extend_from_slice(id);
        key
    }

    pub fn account(&self, app: AppId, account: &AccountId) -> Vec<u8> {
        self.of_account(ACCOUNT, app, account, 0)
    }

    pub fn identity(&self, app: AppId, account: &AccountId) -> Vec<u8> {
        self.of_account(IDENTITY, app, account, 0)
    }

    pub fn joined(&self, app: AppId, account: &AccountId, group_slot: Slot, gno: Gno) -> Vec<u8> {
        // Account ids are printable, so a zero byte ends one for certain.
        let mut key = self.of_account(JOINED, app, account, 11);
        key.push(0);
        key.extend_from_slice(&group_slot.0.to_be_bytes());
        key.extend_from_slice(&gno.0.to_be_bytes());
        key
    }

    pub fn all_joined(&self, app: AppId, account: &AccountId) -> (Vec<u8>, Vec<u8>) {
        let mut from = self.of_account(JOINED, app, account, 1);
        let mut to = from.clone();
        from.push(0);
        to.push(1);
        (from, to)
    }

    pub fn feed(&self, app: AppId, account: &AccountId, seq: u64) -> Vec<u8> {
        let mut key = self.of_account(FEED, app, account, 9);
        key.push(0);
        key.extend_from_slice(&seq.to_be_bytes());
        key
    }

    pub fn quota(&self, app: AppId, day: i32) -> Vec<u8> {
        let mut key = self.start(slot_of_quota(app, day), QUOTA, 8);
        key.extend_from_slice(&app.0.to_be_bytes());
        key.extend_from_slice(&day.to_be_bytes());
        key
    }

    pub fn shard(&self, shard: ShardId) -> Vec<u8> {
        self.start(shard_slot(shard), SHARD, 0)
    }

    pub fn outbox(&self, source: ShardId, target: ShardId, seq: u64) -> Vec<u8> {
        let mut key = self.start(shard_slot(source), OUTBOX, 10);
        key.extend_from_slice(&target.0.to_be_bytes());
        key.extend_from_slice(&seq.to_be_bytes());
        key
    }

    pub fn outbox_head(&self, source: ShardId, target: ShardId) -> Vec<u8> {
        let mut key = self.start(shard_slot(source), OUTBOX_HEAD, 2);
        key.extend_from_slice(&target.0.to_be_bytes());
        key
    }

    pub fn inbox_cursor(&self, target: ShardId, source: ShardId) -> Vec<u8> {
        let mut key = self.start(shard_slot(target), INBOX_CURSOR, 2);
        key.extend_from_slice(&source.0.to_be_bytes());
        key
    }

    pub fn job(&self, shard: ShardId, gno: Gno) -> Vec<u8> {
        let mut key = self.start(shard_slot(shard), JOB, 8);
        key.extend_from_slice(&gno.0.to_be_bytes());
        key
    }

    pub fn census(&self, shard: ShardId, app: AppId, kind: u8) -> Vec<u8> {
        let mut key = self.start(shard_slot(shard), CENSUS, 5);
        key.extend_from_slice(&app.0.to_be_bytes());
        key.push(kind);
        key
    }

    pub fn all_jobs(&self, shard: ShardId) -> (Vec<u8>, Vec<u8>) {
        (self.start(shard_slot(shard), JOB, 0), self.start(shard_slot(shard), JOB + 1, 0))
    }
}

/// Names a request in the key of its record.
#[derive(Clone, Copy, Debug)]
pub struct RequestName<'a> {
    pub app: AppId,
    pub caller: &'a str,
    pub command: &'a str,
    /// `None`: the record is that of a minted id.
    pub group: Option<&'a GroupId>,
    pub id: &'a str,
}

impl Keys {
    pub fn request(&self, shard: ShardId, bucket: u32, name: RequestName<'_>) -> Vec<u8> {
        let group = name.group.map_or("", |group| group.as_str());
        let length = name.caller.len() + name.command.len() + group.len() + name.id.len();
        let mut key = self.start(shard_slot(shard), REQUEST, 11 + length);
        key.extend_from_slice(&bucket.to_be_bytes());
        key.extend_from_slice(&name.app.0.to_be_bytes());
        // Ids are printable, so a zero byte ends one for certain; the last may be any text.
        for text in [name.caller, name.command, group] {
            key.extend_from_slice(text.as_bytes());
            key.push(0);
        }
        key.extend_from_slice(name.id.as_bytes());
        key
    }

    /// First and last-exclusive key of all records before a bucket.
    pub fn requests_before(&self, shard: ShardId, bucket: u32) -> (Vec<u8>, Vec<u8>) {
        let from = self.start(shard_slot(shard), REQUEST, 0);
        let mut to = self.start(shard_slot(shard), REQUEST, 4);
        to.extend_from_slice(&bucket.to_be_bytes());
        (from, to)
    }
}

/// What a key says, for those who walk all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Header {
        slot: Slot,
        app: AppId,
        group: GroupId,
    },
    Profile {
        slot: Slot,
        gno: Gno,
    },
    Member {
        slot: Slot,
        gno: Gno,
        join_seq: u64,
    },
    Left {
        slot: Slot,
        gno: Gno,
        bits: u8,
        /// The number of the counter among those of its bits.
        block: u64,
    },
    MemberKey {
        slot: Slot,
        gno: Gno,
        account: AccountId,
    },
    Role {
        slot: Slot,
        gno: Gno,
        role: u8,
        join_seq: u64,
    },
    GroupLog {
        slot: Slot,
        gno: Gno,
        seq: u64,
    },
    Mute {
        slot: Slot,
        gno: Gno,
        account: AccountId,
    },
    Attribute {
        slot: Slot,
        gno: Gno,
        name: String,
    },
    Counter {
        slot: Slot,
        gno: Gno,
        name: String,
    },
    Ban {
        slot: Slot,
        gno: Gno,
        account: AccountId,
    },
    Index {
        slot: Slot,
        app: AppId,
        kind: u8,
        gno: Gno,
    },
    Account {
        slot: Slot,
        app: AppId,
        account: AccountId,
    },
    Joined {
        slot: Slot,
        app: AppId,
        account: AccountId,
        group_slot: Slot,
        gno: Gno,
    },
    Feed {
        slot: Slot,
        app: AppId,
        account: AccountId,
        seq: u64,
    },
    Quota {
        slot: Slot,
        app: AppId,
        day: i32,
    },
    Identity {
        slot: Slot,
        app: AppId,
        account: AccountId,
    },
    Shard {
        shard: ShardId,
    },
    Outbox {
        source: ShardId,
        target: ShardId,
        seq: u64,
    },
    OutboxHead {
        source: ShardId,
        target: ShardId,
    },
    InboxCursor {
        target: ShardId,
        source: ShardId,
    },
    Job {
        shard: ShardId,
        gno: Gno,
    },
    /// `group` is empty for a minted id.
    Request {
        shard: ShardId,
        bucket: u32,
        app: AppId,
        caller: AccountId,
        command: String,
        group: String,
        id: String,
    },
    Census {
        shard: ShardId,
        app: AppId,
        kind: u8,
    },
}

impl Key {
    /// Reads a key back; `None` for bytes that no row of this catalogue has.
    pub fn parse(key: &[u8]) -> Option<Key> {
        let mut rest = Rest(key);
        let slot = Slot(rest.u16()?);
        let _generation = rest.u32()?;
        let kind = rest.u8()?;
        let shard = slot.0.checked_sub(SLOTS).map(ShardId);
        let parsed = match kind {
            HEADER => Key::Header { slot, app: AppId(rest.u32()?), group: GroupId::parse(rest.text()?).ok()? },
            GROUP => {
                let gno = Gno(rest.u64()?);
                match rest.u8()? {
                    SUB_PROFILE => Key::Profile { slot, gno },
                    SUB_MEMBER => Key::Member { slot, gno, join_seq: rest.u64()? },
                    SUB_LEFT => Key::Left { slot, gno, bits: rest.u8()?, block: rest.u64()? },
                    SUB_KEY => Key::MemberKey { slot, gno, account: rest.account()? },
                    SUB_ROLE => Key::Role { slot, gno, role: rest.u8()?, join_seq: rest.u64()? },
                    SUB_LOG => Key::GroupLog { slot, gno, seq: rest.u64()? },
                    SUB_MUTE => Key::Mute { slot, gno, account: rest.account()? },
                    SUB_ATTRIBUTE => Key::Attribute { slot, gno, name: rest.text()?.to_owned() },
                    SUB_COUNTER => Key::Counter { slot, gno, name: rest.text()?.to_owned() },
                    SUB_BAN => Key::Ban { slot, gno, account: rest.account()? },
                    _ => return None,
                }
            }
            INDEX => Key::Index { slot, app: AppId(rest.u32()?), kind: rest.u8()?, gno: Gno(rest.u64()?) },
            ACCOUNT => Key::Account { slot, app: AppId(rest.u32()?), account: rest.account()? },
            JOINED => Key::Joined {
                slot,
                app: AppId(rest.u32()?),
                account: rest.terminated_account()?,
                group_slot: Slot(rest.u16()?),
                gno: Gno(rest.u64()?),
            },
            FEED => Key::Feed { slot, app: AppId(rest.u32()?), account: rest.terminated_account()?, seq: rest.u64()? },
            QUOTA => Key::Quota { slot, app: AppId(rest.u32()?), day: rest.u32()? as i32 },
            IDENTITY => Key::Identity { slot, app: AppId(rest.u32()?), account: AccountId::parse(rest.text()?).ok()? },
            SHARD => Key::Shard { shard: shard? },
            OUTBOX => Key::Outbox { source: shard?, target: ShardId(rest.u16()?), seq: rest.u64()? },
            OUTBOX_HEAD => Key::OutboxHead { source: shard?, target: ShardId(rest.u16()?) },
            INBOX_CURSOR => Key::InboxCursor { target: shard?, source: ShardId(rest.u16()?) },
            JOB => Key::Job { shard: shard?, gno: Gno(rest.u64()?) },
            REQUEST => Key::Request {
                shard: shard?,
                bucket: rest.u32()?,
                app: AppId(rest.u32()?),
                caller: rest.terminated_account()?,
                command: rest.terminated()?.to_owned(),
                group: rest.terminated()?.to_owned(),
                id: rest.text()?.to_owned(),
            },
            CENSUS => Key::Census { shard: shard?, app: AppId(rest.u32()?), kind: rest.u8()? },
            _ => return None,
        };
        rest.0.is_empty().then_some(parsed)
    }
}

/// The join sequence at the end of a member row's key; `None` for other rows of a group.
pub fn join_seq_of_member(key: &[u8]) -> Option<u64> {
    let rest = key.get(GROUP_SUB_LEN..)?;
    if key[GROUP_SUB_LEN - 1] != SUB_MEMBER {
        return None;
    }
    Some(u64::from_be_bytes(rest.try_into().ok()?))
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|b| b[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(std::mem::take(&mut self.0)).ok()
    }

    fn account(&mut self) -> Option<AccountId> {
        AccountId::parse(self.text()?).ok()
    }

    fn terminated(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let text = std::str::from_utf8(&self.0[..end]).ok()?;
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    fn terminated_account(&mut self) -> Option<AccountId> {
        AccountId::parse(self.terminated()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_id() -> GroupId {
        GroupId::parse("g1").unwrap()
    }

    fn account() -> AccountId {
        AccountId::parse("ann").unwrap()
    }

    /// Golden bytes: a change of layout is a change of format.
    #[test]
    fn keys_keep_their_bytes_and_parse_back() {
        let (k, app, slot, gno) = (Keys::new(1), AppId(7), Slot(513), Gno(9));
        let (g, a) = (group_id(), account());
        let gs = slot_of_group(app, &g);
        let us = slot_of_account(app, &a);
        let slot_hex = |s: Slot| format!("{:04x}", s.0);
        let table: Vec<(Vec<u8>, String, Key)> = vec![
            (
                k.header(app, &g),
                format!("{}0000000110000000076731", slot_hex(gs)),
                Key::Header { slot: gs, app, group: g.clone() },
            ),
            (k.profile(slot, gno), "020100000001 11 0000000000000009 00".into(), Key::Profile { slot, gno }),
            (
                k.member(slot, gno, 5),
                "020100000001 11 0000000000000009 01 0000000000000005".into(),
                Key::Member { slot, gno, join_seq: 5 },
            ),
            (
                k.left(slot, gno, 8, 511),
                "020100000001 11 0000000000000009 02 08 0000000000000001".into(),
                Key::Left { slot, gno, bits: 8, block: 1 },
            ),
            (
                k.member_key(slot, gno, &a),
                "020100000001 11 0000000000000009 03 616e6e".into(),
                Key::MemberKey { slot, gno, account: a.clone() },
            ),
            (
                k.role(slot, gno, 2, 5),
                "020100000001 11 0000000000000009 04 02 0000000000000005".into(),
                Key::Role { slot, gno, role: 2, join_seq: 5 },
            ),
            (
                k.group_log(slot, gno, 3),
                "020100000001 11 0000000000000009 05 0000000000000003".into(),
                Key::GroupLog { slot, gno, seq: 3 },
            ),
            (
                k.mute(slot, gno, &a),
                "020100000001 11 0000000000000009 06 616e6e".into(),
                Key::Mute { slot, gno, account: a.clone() },
            ),
            (
                // Not an account and not printable: any text is a key.
                k.attribute(slot, gno, "ä\0 "),
                "020100000001 11 0000000000000009 07 c3a40020".into(),
                Key::Attribute { slot, gno, name: "ä\0 ".into() },
            ),
            (
                k.counter(slot, gno, "likes"),
                "020100000001 11 0000000000000009 08 6c696b6573".into(),
                Key::Counter { slot, gno, name: "likes".into() },
            ),
            (
                k.ban(slot, gno, &a),
                "020100000001 11 0000000000000009 09 616e6e".into(),
                Key::Ban { slot, gno, account: a.clone() },
            ),
            (
                k.index(slot, app, 2, gno),
                "020100000001 12 00000007 02 0000000000000009".into(),
                Key::Index { slot, app, kind: 2, gno },
            ),
            (
                k.account(app, &a),
                format!("{} 00000001 20 00000007 616e6e", slot_hex(us)),
                Key::Account { slot: us, app, account: a.clone() },
            ),
            (
                k.joined(app, &a, slot, gno),
                format!("{} 00000001 21 00000007 616e6e 00 0201 0000000000000009", slot_hex(us)),
                Key::Joined { slot: us, app, account: a.clone(), group_slot: slot, gno },
            ),
            (
                k.feed(app, &a, 2),
                format!("{} 00000001 22 00000007 616e6e 00 0000000000000002", slot_hex(us)),
                Key::Feed { slot: us, app, account: a.clone(), seq: 2 },
            ),
            (
                k.quota(app, 20_000),
                format!("{} 00000001 23 00000007 00004e20", slot_hex(slot_of_quota(app, 20_000))),
                Key::Quota { slot: slot_of_quota(app, 20_000), app, day: 20_000 },
            ),
            (
                k.identity(app, &a),
                format!("{} 00000001 24 00000007 616e6e", slot_hex(us)),
                Key::Identity { slot: us, app, account: a.clone() },
            ),
            (k.shard(ShardId(3)), "0403 00000001 30".into(), Key::Shard { shard: ShardId(3) }),
            (
                k.outbox(ShardId(3), ShardId(1), 8),
                "0403 00000001 31 0001 0000000000000008".into(),
                Key::Outbox { source: ShardId(3), target: ShardId(1), seq: 8 },
            ),
            (
                k.outbox_head(ShardId(3), ShardId(1)),
                "0403 00000001 32 0001".into(),
                Key::OutboxHead { source: ShardId(3), target: ShardId(1) },
            ),
            (
                k.inbox_cursor(ShardId(3), ShardId(1)),
                "0403 00000001 33 0001".into(),
                Key::InboxCursor { target: ShardId(3), source: ShardId(1) },
            ),
            (k.job(ShardId(3), gno), "0403 00000001 34 0000000000000009".into(), Key::Job { shard: ShardId(3), gno }),
            (
                k.census(ShardId(3), app, 2),
                "0403 00000001 36 00000007 02".into(),
                Key::Census { shard: ShardId(3), app, kind: 2 },
            ),
        ];
        for (bytes, golden, parsed) in table {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, golden.replace(' ', ""), "{parsed:?}");
            assert_eq!(Key::parse(&bytes), Some(parsed));
        }
    }

    /// The longest key of a counter is longer than any id.
    #[test]
    fn a_key_of_free_text_is_as_long_as_its_limit() {
        let (k, slot, gno) = (Keys::new(1), Slot(1), Gno(1));
        let name = "群".repeat(42) + "ab";
        assert_eq!(name.len(), 128);
        let parsed = Key::parse(&k.counter(slot, gno, &name));
        assert_eq!(parsed, Some(Key::Counter { slot, gno, name: name.clone() }));
        let (from, to) = k.counters(slot, gno);
        let key = k.counter(slot, gno, &name);
        assert!(from <= key && key < to && to < k.beside_members(slot, gno)[1].1);
    }

    #[test]
    fn one_account_is_never_a_prefix_of_another() {
        let k = Keys::new(1);
        let (ann, anna) = (account(), AccountId::parse("anna").unwrap());
        let (from, to) = k.all_joined(AppId(7), &ann);
        let own = k.joined(AppId(7), &ann, Slot(1), Gno(1));
        assert!(from <= own && own < to);
        // The slot differs in general; compare what follows it.
        let other = k.joined(AppId(7), &anna, Slot(1), Gno(1));
        assert!(!(from[2..] <= other[2..] && other[2..] < to[2..]));
    }
}
