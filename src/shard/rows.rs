//! Which rows the events of a group touch.
//!
//! [`Writer`] sees the rows through one apply: counts that several commands of a batch change are kept here and
//! written once at the end. Its writes depend on the entries and the rows alone, never on how many entries one
//! apply happened to take.

use muster_cluster::{DiskError, ShardId, Slot, Transaction, shard_of_slot};
use rustc_hash::FxHashMap;

use super::codes::{Head, role_byte, role_of};
use super::entry::Effect;
use crate::group::{AddedMember, CustomField, ProfileChange, Role};
use crate::id::{AccountId, AppId, Gno, GroupId};
use crate::store::keys::{Keys, PLACE_SHIFT, slot_of_account, slot_of_quota};
use crate::store::{
    AccountHeader, GroupHeader, GroupLogRow, JoinedRow, MemberKey, MemberRow, OutboxHead, ProfileRow, ShardRow, decode,
    encode,
};
use crate::time::Stamp;

/// Reports kept per account; the newest are kept. Source: docs/spec/events.md 5.1.
pub const FEED_ROWS_MAX: u64 = 2000;

/// A count that a limit judges by, as an effect left it.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// Groups that an account is in.
    Groups { app: AppId, account: AccountId, count: u64, has_joined: bool },
    /// Groups made that day less groups disbanded.
    Net { app: AppId, day: i32, net: i64, delta: i64 },
}

/// Rows of one shard during one apply.
pub(super) struct Writer<'a, 'tx> {
    pub tx: &'a mut Transaction<'tx>,
    pub keys: Keys,
    pub shard: ShardId,
    pub shards: u16,
    heads: FxHashMap<(AppId, GroupId), Option<Head>>,
    counts: FxHashMap<Vec<u8>, u16>,
    accounts: FxHashMap<Vec<u8>, AccountHeader>,
}

impl<'a, 'tx> Writer<'a, 'tx> {
    pub fn new(tx: &'a mut Transaction<'tx>, shard: ShardId, shards: u16) -> Self {
        let keys = Keys::new(tx.generation());
        Self {
            tx,
            keys,
            shard,
            shards,
            heads: FxHashMap::default(),
            counts: FxHashMap::default(),
            accounts: FxHashMap::default(),
        }
    }

    /// Writes what was kept back.
    pub fn finish(self) {
        for ((app, group), head) in self.heads {
            // A removed header was deleted when it went.
            if let Some(head) = head {
                self.tx.put(self.keys.header(app, &group), encode(&GroupHeader::from(&head)));
            }
        }
        for (key, count) in self.counts {
            if count == 0 {
                self.tx.delete(key);
            } else {
                self.tx.put(key, encode(&count));
            }
        }
        for (key, account) in self.accounts {
            self.tx.put(key, encode(&account));
        }
    }

    pub fn head(&mut self, app: AppId, group: &GroupId) -> Result<Option<Head>, DiskError> {
        let id = (app, group.clone());
        if let Some(head) = self.heads.get(&id) {
            return Ok(head.clone());
        }
        let row = self.tx.read(&self.keys.header(app, group), decode::<GroupHeader>)?;
        let head = row.map(Head::from);
        self.heads.insert(id, head.clone());
        Ok(head)
    }

    pub fn set_head(&mut self, app: AppId, group: &GroupId, head: Head) {
        self.heads.insert((app, group.clone()), Some(head));
    }

    /// Frees the id.
    pub fn remove_head(&mut self, app: AppId, group: &GroupId) {
        self.heads.insert((app, group.clone()), None);
        self.tx.delete(self.keys.header(app, group));
    }

    pub fn profile(&self, slot: Slot, gno: Gno) -> Result<ProfileRow, DiskError> {
        let row = self.tx.read(&self.keys.profile(slot, gno), decode::<ProfileRow>)?;
        Ok(row.unwrap_or_else(|| panic!("group gno {gno} has a header and no profile row")))
    }

    pub fn set_profile(&mut self, slot: Slot, gno: Gno, profile: &ProfileRow) {
        self.tx.put(self.keys.profile(slot, gno), encode(profile));
    }

    pub fn member_key(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<Option<MemberKey>, DiskError> {
        self.tx.read(&self.keys.member_key(slot, gno, account), decode::<MemberKey>)
    }

    fn change_place(&mut self, slot: Slot, gno: Gno, join_seq: u64, by: i16) -> Result<(), DiskError> {
        let key = self.keys.place(slot, gno, join_seq >> PLACE_SHIFT);
        let count = match self.counts.get(&key) {
            Some(count) => *count,
            None => self.tx.read(&key, decode::<u16>)?.unwrap_or(0),
        };
        let Some(count) = count.checked_add_signed(by) else {
            panic!("place counter of gno {gno} at join sequence {join_seq} is {count}, cannot change by {by}");
        };
        self.counts.insert(key, count);
        Ok(())
    }

    /// # Panics
    /// If the account is a member already: the log says it joins, so the rows are wrong.
    pub fn insert_member(
        &mut self,
        slot: Slot,
        gno: Gno,
        join_seq: u64,
        member: &AddedMember,
        at: Stamp,
        msg_seq: u64,
    ) -> Result<(), DiskError> {
        let key = self.keys.member_key(slot, gno, &member.account);
        if let Some(present) = self.tx.read(&key, decode::<MemberKey>)? {
            panic!("{} joins gno {gno} at {join_seq} but is a member since {}", member.account, present.join_seq);
        }
        self.tx.put(key, encode(&MemberKey { join_seq, role: role_byte(member.role), mute_until: 0 }));
        let row = MemberRow {
            account: member.account.clone().into(),
            role: role_byte(member.role),
            joined: at.0,
            msg_seq,
            msg_flag: 0,
            last_send: 0,
            mute_until: 0,
            name_card: String::new(),
            custom: member.custom.clone(),
        };
        self.tx.put(self.keys.member(slot, gno, join_seq), encode(&row));
        if member.role != Role::Member {
            self.tx.put(
                self.keys.role(slot, gno, role_byte(member.role), join_seq),
                member.account.as_str().as_bytes().to_vec(),
            );
        }
        self.change_place(slot, gno, join_seq, 1)
    }

    pub fn delete_member(
        &mut self,
        slot: Slot,
        gno: Gno,
        account: &AccountId,
        row: MemberKey,
    ) -> Result<(), DiskError> {
        self.tx.delete(self.keys.member_key(slot, gno, account));
        self.tx.delete(self.keys.member(slot, gno, row.join_seq));
        if role_of(row.role) != Role::Member {
            self.tx.delete(self.keys.role(slot, gno, row.role, row.join_seq));
        }
        self.change_place(slot, gno, row.join_seq, -1)
    }

    /// Drops counters that were kept back: their group is no more, and its rows are deleted.
    pub fn forget_places(&mut self, slot: Slot, gno: Gno) {
        let (from, _) = self.keys.places(slot, gno);
        self.counts.retain(|key, _| !key.starts_with(&from));
    }

    pub fn append_tip(&mut self, slot: Slot, gno: Gno, seq: u64, tip: &GroupLogRow) {
        self.tx.put(self.keys.group_log(slot, gno, seq), encode(tip));
    }

    fn account(&mut self, app: AppId, account: &AccountId) -> Result<(Vec<u8>, AccountHeader), DiskError> {
        let key = self.keys.account(app, account);
        let header = match self.accounts.get(&key) {
            Some(header) => *header,
            None => self.tx.read(&key, decode::<AccountHeader>)?.unwrap_or_default(),
        };
        Ok((key, header))
    }

    /// Folds an effect on what this shard holds; the count that it changed, if any.
    pub fn fold(&mut self, effect: &Effect) -> Result<Option<Count>, DiskError> {
        match effect {
            Effect::Joined { app, account, slot, gno, row, report } => {
                let app = AppId(*app);
                let (key, mut header) = self.account(app, &account.0)?;
                self.put_joined(app, &account.0, Slot(*slot), Gno(*gno), row);
                header.joined_count += 1;
                self.append_report(app, &account.0, &mut header, report.as_ref());
                self.accounts.insert(key, header);
                let (account, count) = (account.0.clone(), header.joined_count);
                Ok(Some(Count::Groups { app, account, count, has_joined: true }))
            }
            Effect::Left { app, account, slot, gno, report } => {
                let app = AppId(*app);
                let (key, mut header) = self.account(app, &account.0)?;
                self.tx.delete(self.keys.joined(app, &account.0, Slot(*slot), Gno(*gno)));
                let Some(joined_count) = header.joined_count.checked_sub(1) else {
                    panic!("{} leaves gno {gno} of slot {slot} but has joined nothing", account.0);
                };
                header.joined_count = joined_count;
                self.append_report(app, &account.0, &mut header, report.as_ref());
                self.accounts.insert(key, header);
                Ok(Some(Count::Groups { app, account: account.0.clone(), count: joined_count, has_joined: false }))
            }
            Effect::Quota { app, day, delta } => {
                let (app, day, delta) = (AppId(*app), *day, *delta);
                let key = self.keys.quota(app, day);
                let net = self.tx.read(&key, decode::<i64>)?.unwrap_or(0) + delta;
                self.tx.put(key, encode(&net));
                Ok(Some(Count::Net { app, day, net, delta }))
            }
            Effect::Told { app, account, report } => {
                let app = AppId(*app);
                let (key, mut header) = self.account(app, &account.0)?;
                self.append_report(app, &account.0, &mut header, Some(report));
                self.accounts.insert(key, header);
                Ok(None)
            }
        }
    }

    fn put_joined(&mut self, app: AppId, account: &AccountId, slot: Slot, gno: Gno, row: &JoinedRow) {
        self.tx.put(self.keys.joined(app, account, slot, gno), encode(row));
    }

    fn append_report(
        &mut self,
        app: AppId,
        account: &AccountId,
        header: &mut AccountHeader,
        report: Option<&crate::store::FeedRow>,
    ) {
        let Some(report) = report else { return };
        header.feed_seq += 1;
        self.tx.put(self.keys.feed(app, account, header.feed_seq), encode(report));
        if let Some(oldest) = header.feed_seq.checked_sub(FEED_ROWS_MAX)
            && oldest > 0
        {
            self.tx.delete(self.keys.feed(app, account, oldest));
        }
    }

    /// The shard that an effect belongs to.
    pub fn target_of(&self, effect: &Effect) -> ShardId {
        let slot = match effect {
            Effect::Joined { app, account, .. }
            | Effect::Left { app, account, .. }
            | Effect::Told { app, account, .. } => slot_of_account(AppId(*app), &account.0),
            Effect::Quota { app, day, .. } => slot_of_quota(AppId(*app), *day),
        };
        shard_of_slot(slot, self.shards)
    }

    pub fn shard_row(&self) -> Result<ShardRow, DiskError> {
        Ok(self.tx.read(&self.keys.shard(self.shard), decode::<ShardRow>)?.unwrap_or_default())
    }

    pub fn set_shard_row(&mut self, row: ShardRow) {
        self.tx.put(self.keys.shard(self.shard), encode(&row));
    }

    pub fn outbox_head(&self, target: ShardId) -> Result<OutboxHead, DiskError> {
        Ok(self.tx.read(&self.keys.outbox_head(self.shard, target), decode::<OutboxHead>)?.unwrap_or_default())
    }

    pub fn set_outbox_head(&mut self, target: ShardId, head: OutboxHead) {
        self.tx.put(self.keys.outbox_head(self.shard, target), encode(&head));
    }

    pub fn inbox_cursor(&self, source: ShardId) -> Result<u64, DiskError> {
        Ok(self.tx.read(&self.keys.inbox_cursor(self.shard, source), decode::<u64>)?.unwrap_or(0))
    }

    pub fn set_inbox_cursor(&mut self, source: ShardId, seq: u64) {
        self.tx.put(self.keys.inbox_cursor(self.shard, source), encode(&seq));
    }
}

/// Folds profile changes into the stored texts; settings live in the header.
pub(super) fn change_texts(row: &mut ProfileRow, changes: &[ProfileChange]) {
    for change in changes {
        match change {
            ProfileChange::Name(text) => row.name.clone_from(text),
            ProfileChange::Introduction(text) => row.introduction.clone_from(text),
            ProfileChange::Notification(text) => row.notification.clone_from(text),
            ProfileChange::FaceUrl(text) => row.face_url.clone_from(text),
            ProfileChange::Custom(field) => set_custom(&mut row.custom, field),
            _ => {}
        }
    }
}

fn set_custom(custom: &mut Vec<CustomField>, (key, value): &CustomField) {
    match custom.iter().position(|(k, _)| k == key) {
        Some(at) if value.is_empty() => {
            custom.remove(at);
        }
        Some(at) => custom[at].1.clone_from(value),
        None if value.is_empty() => {}
        None => custom.push((key.clone(), value.clone())),
    }
}
