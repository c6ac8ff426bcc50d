//! Which rows the events of a group touch.
//!
//! [`Writer`] sees the rows through one apply: counts that several commands of a batch change are kept here and
//! written once at the end. Its writes depend on the entries and the rows alone, never on how many entries one
//! apply happened to take.

use muster_cluster::{DiskError, SLOTS, ShardId, Slot, Transaction, shard_of_slot};
use rustc_hash::FxHashMap;

use super::codes::Head;
use super::requests::{REQUESTS_DROPPED_MAX, RequestForm, bucket_of, buckets_searched};
use crate::group::{CustomField, ProfileChange};
use crate::id::{AppId, Gno, GroupId};
use crate::store::keys::Keys;
use crate::store::{
    AccountHeader, GroupHeader, GroupLogRow, Key, OutboxHead, ProfileRow, RequestRow, ShardRow, decode, encode,
};
use crate::time::Stamp;

mod accounts;
mod members;
mod restrictions;

pub use self::accounts::{Count, FEED_ROWS_MAX};
pub(super) use self::members::{Newcomer, Stored};

/// Index rows that one step of a census looks at.
const CENSUS_CHUNK: usize = 1000;

/// Headers of groups that a machine remembers; beyond it all are forgotten and read again.
const HEADS_KNOWN_MAX: usize = 4096;

/// What a machine remembers of its own rows between two applies. Nobody else writes them, so they are as remembered;
/// it only saves reading what was written a moment ago.
#[derive(Default)]
pub(super) struct Known {
    heads: FxHashMap<(AppId, GroupId), Head>,
    outbox: FxHashMap<ShardId, OutboxHead>,
    cursors: FxHashMap<ShardId, u64>,
    /// There are no records of requests before this key; `None`: nothing is known. It only says where looking for the
    /// oldest may begin: the database passes over every row that was deleted before, and a drop in steps would pass over
    /// all earlier steps with each.
    no_requests_before: Option<Vec<u8>>,
}

/// Rows of one shard during one apply.
pub(super) struct Writer<'a, 'tx> {
    pub tx: &'a mut Transaction<'tx>,
    known: &'a mut Known,
    pub keys: Keys,
    pub shard: ShardId,
    pub shards: u16,
    heads: FxHashMap<(AppId, GroupId), Option<Head>>,
    /// Counters of places that were left.
    left: FxHashMap<Vec<u8>, u32>,
    census: FxHashMap<Vec<u8>, u64>,
    accounts: FxHashMap<Vec<u8>, AccountHeader>,
}

impl<'a, 'tx> Writer<'a, 'tx> {
    pub fn new(tx: &'a mut Transaction<'tx>, known: &'a mut Known, shard: ShardId, shards: u16) -> Self {
        let keys = Keys::new(tx.generation());
        Self {
            tx,
            known,
            keys,
            shard,
            shards,
            heads: FxHashMap::default(),
            left: FxHashMap::default(),
            census: FxHashMap::default(),
            accounts: FxHashMap::default(),
        }
    }

    /// Writes what was kept back.
    pub fn finish(self) {
        if self.known.heads.len() + self.heads.len() > HEADS_KNOWN_MAX {
            self.known.heads.clear();
        }
        for (id, head) in self.heads {
            // A removed header was deleted when it went.
            match head {
                Some(head) => {
                    self.tx.put(self.keys.header(id.0, &id.1), encode(&GroupHeader::from(&head)));
                    self.known.heads.insert(id, head);
                }
                None => drop(self.known.heads.remove(&id)),
            }
        }
        for (key, count) in self.left {
            self.tx.put(key, encode(&count));
        }
        for (key, count) in self.census {
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

    pub fn head(&self, app: AppId, group: &GroupId) -> Result<Option<Head>, DiskError> {
        let id = (app, group.clone());
        if let Some(head) = self.heads.get(&id) {
            return Ok(head.clone());
        }
        if let Some(head) = self.known.heads.get(&id) {
            return Ok(Some(head.clone()));
        }
        let row = self.tx.read(&self.keys.header(app, group), decode::<GroupHeader>)?;
        Ok(row.map(Head::from))
    }

    pub fn set_head(&mut self, app: AppId, group: &GroupId, head: Head) {
        self.heads.insert((app, group.clone()), Some(head));
    }

    /// Frees the id.
    pub fn remove_head(&mut self, app: AppId, group: &GroupId) {
        self.heads.insert((app, group.clone()), None);
        self.tx.delete(self.keys.header(app, group));
    }

    /// Counts groups of a kind in this shard, `by` more or fewer.
    ///
    /// # Panics
    /// If fewer than none are left.
    pub fn count_groups(&mut self, app: AppId, kind: u8, by: i64) -> Result<(), DiskError> {
        let key = self.keys.census(self.shard, app, kind);
        let count = match self.census.get(&key) {
            Some(count) => *count,
            None => self.tx.read(&key, decode::<u64>)?.unwrap_or(0),
        };
        let Some(count) = count.checked_add_signed(by) else {
            panic!("shard {} has {count} groups of kind {kind} in app {app}, cannot change by {by}", self.shard.0);
        };
        self.census.insert(key, count);
        Ok(())
    }

    /// Counts the groups of a shard that was written before there was a census; once.
    pub fn take_census(&mut self) -> Result<(), DiskError> {
        let (shard, shards) = (self.shard, self.shards);
        for slot in (0..SLOTS).map(Slot).filter(|slot| shard_of_slot(*slot, shards) == shard) {
            let (mut from, to) = self.keys.all_indexed(slot);
            loop {
                let rows = self.tx.scan(&from, &to, CENSUS_CHUNK)?;
                for (key, _) in &rows {
                    if let Some(Key::Index { app, kind, .. }) = Key::parse(key) {
                        self.count_groups(app, kind, 1)?;
                    }
                }
                let Some((last, _)) = rows.last().filter(|_| rows.len() == CENSUS_CHUNK) else { break };
                from = last.to_vec();
                from.push(0);
            }
        }
        Ok(())
    }

    pub fn profile(&self, slot: Slot, gno: Gno) -> Result<ProfileRow, DiskError> {
        let row = self.tx.read(&self.keys.profile(slot, gno), decode::<ProfileRow>)?;
        Ok(row.unwrap_or_else(|| panic!("group gno {gno} has a header and no profile row")))
    }

    pub fn set_profile(&mut self, slot: Slot, gno: Gno, profile: &ProfileRow) {
        self.tx.put(self.keys.profile(slot, gno), encode(profile));
    }

    pub fn append_tip(&mut self, slot: Slot, gno: Gno, seq: u64, tip: &GroupLogRow) {
        self.tx.put(self.keys.group_log(slot, gno, seq), encode(tip));
    }

    /// Records what a repetition of a request is answered.
    pub fn record(&mut self, app: AppId, group: Option<&GroupId>, request: RequestForm, at: Stamp) {
        let key = self.keys.request(self.shard, bucket_of(at), request.name(app, group));
        // Stamps do not go back, but buckets are dropped by a leader's clock: one that ran ahead has dropped buckets that
        // records still go into.
        if self.known.no_requests_before.as_ref().is_some_and(|before| key < *before) {
            self.known.no_requests_before = None;
        }
        self.tx.put(key, encode(&RequestRow { at: at.0, answer: request.answer }));
    }

    /// Drops the oldest records of requests before a bucket, not too many; whether that left some.
    ///
    /// The same records on every replica, whatever each remembers: where looking is skipped there are none.
    pub fn drop_requests(&mut self, before: u32) -> Result<bool, DiskError> {
        let (first, to) = self.keys.requests_before(self.shard, before);
        let from = self.known.no_requests_before.take().unwrap_or(first);
        let oldest = self.tx.scan(&from, &to, REQUESTS_DROPPED_MAX)?;
        for (key, _) in &oldest {
            self.tx.delete(key.to_vec());
        }
        let are_left = oldest.len() == REQUESTS_DROPPED_MAX;
        let none_before = match oldest.last().filter(|_| are_left) {
            Some((last, _)) => last.to_vec(),
            None => to,
        };
        self.known.no_requests_before = Some(none_before.max(from));
        Ok(are_left)
    }

    /// Whether a request has a record that is still found.
    pub fn has_record(
        &self,
        app: AppId,
        group: Option<&GroupId>,
        request: &RequestForm,
        at: Stamp,
    ) -> Result<bool, DiskError> {
        for bucket in buckets_searched(at) {
            if self.tx.read(&self.keys.request(self.shard, bucket, request.name(app, group)), |_| ())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn shard_row(&self) -> Result<ShardRow, DiskError> {
        Ok(self.tx.read(&self.keys.shard(self.shard), decode::<ShardRow>)?.unwrap_or_default())
    }

    pub fn set_shard_row(&mut self, row: ShardRow) {
        self.tx.put(self.keys.shard(self.shard), encode(&row));
    }

    pub fn outbox_head(&self, target: ShardId) -> Result<OutboxHead, DiskError> {
        if let Some(head) = self.known.outbox.get(&target) {
            return Ok(*head);
        }
        Ok(self.tx.read(&self.keys.outbox_head(self.shard, target), decode::<OutboxHead>)?.unwrap_or_default())
    }

    pub fn set_outbox_head(&mut self, target: ShardId, head: OutboxHead) {
        self.tx.put(self.keys.outbox_head(self.shard, target), encode(&head));
        self.known.outbox.insert(target, head);
    }

    pub fn inbox_cursor(&self, source: ShardId) -> Result<u64, DiskError> {
        if let Some(cursor) = self.known.cursors.get(&source) {
            return Ok(*cursor);
        }
        Ok(self.tx.read(&self.keys.inbox_cursor(self.shard, source), decode::<u64>)?.unwrap_or(0))
    }

    pub fn set_inbox_cursor(&mut self, source: ShardId, seq: u64) {
        self.tx.put(self.keys.inbox_cursor(self.shard, source), encode(&seq));
        self.known.cursors.insert(source, seq);
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

pub(super) fn set_custom(custom: &mut Vec<CustomField>, (key, value): &CustomField) {
    match custom.iter().position(|(k, _)| k == key) {
        Some(at) if value.is_empty() => {
            custom.remove(at);
        }
        Some(at) => custom[at].1.clone_from(value),
        None if value.is_empty() => {}
        None => custom.push((key.clone(), value.clone())),
    }
}
