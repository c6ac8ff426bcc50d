//! Rows of one shard: on their way (the overlay), written, or as they were at one moment.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use super::storage::{Cached, Snapshot};
use super::{Batch, Disk, DiskError, Family, Lookup, Row, Writes, decoded};
use crate::application::Keeps;

/// Where a key has its generation, which is every replica's own.
pub(crate) const GENERATION: Range<usize> = 2..6;

/// The generation of rows that were never replaced as a whole.
pub(crate) const FIRST_GENERATION: u32 = 1;

/// The state rows of one shard, as its machine and its actors see them. Cheap to clone.
///
/// A row that was submitted is seen at once, though it is still on its way: `read`, `read_cached` and the
/// transaction of an apply look there first. [`View`] shows what is written.
#[derive(Clone)]
pub struct Rows {
    disk: Disk,
    overlay: Arc<RwLock<Overlay>>,
    keeps: Keeps,
    generation: Arc<AtomicU32>,
}

/// Batches submitted and not yet written, in the order of their numbers, which is that of their writing.
#[derive(Default)]
struct Overlay {
    batches: VecDeque<(u64, Arc<Writes>)>,
    last: u64,
}

/// Takes a batch out of the overlay, once it is written.
pub(crate) struct Retire {
    overlay: Arc<RwLock<Overlay>>,
    batch: u64,
}

impl Rows {
    pub(crate) fn new(disk: Disk, keeps: Keeps, generation: u32) -> Self {
        Self { disk, overlay: Arc::default(), keeps, generation: Arc::new(AtomicU32::new(generation)) }
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The generation that every state key of this shard carries.
    ///
    /// It changes when the rows are replaced as a whole by those of another replica, which happens to no leader.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// From now on the rows are those of another generation, which is complete and written.
    pub(crate) fn switch(&self, generation: u32) {
        self.generation.store(generation, Ordering::Release);
    }

    /// Reads a row in place, newest applied value; may wait for the disk.
    ///
    /// # Errors
    /// The store failed or the row is damaged; then the disk has failed for good.
    pub fn read<T>(&self, key: &[u8], decode: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, DiskError> {
        if (self.keeps)(key) {
            let read = || self.read_applied(key, Bytes::copy_from_slice);
            return self.disk.kept().read(key, decode, read);
        }
        self.read_applied(key, decode)
    }

    fn read_applied<T>(&self, key: &[u8], decode: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, DiskError> {
        // First the overlay, then the store: a row leaves the overlay only when the store has it.
        match self.overlaid(key) {
            Some(value) => Ok(value.map(|value| decode(&value))),
            None => self.disk.get(Family::State, key, decode),
        }
    }

    /// The same from memory only.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub fn read_cached<T>(&self, key: &[u8], decode: impl FnOnce(&[u8]) -> T) -> Result<Lookup<T>, DiskError> {
        if !(self.keeps)(key) {
            return self.look_up(key, decode);
        }
        let mut is_cold = false;
        let found = self.disk.kept().read(key, decode, || {
            Ok(match self.look_up(key, Bytes::copy_from_slice)? {
                Lookup::Found(value) => Some(value),
                Lookup::Absent => None,
                Lookup::Cold => {
                    is_cold = true;
                    None
                }
            })
        })?;
        Ok(match found {
            Some(value) => Lookup::Found(value),
            None if is_cold => Lookup::Cold,
            None => Lookup::Absent,
        })
    }

    fn look_up<T>(&self, key: &[u8], decode: impl FnOnce(&[u8]) -> T) -> Result<Lookup<T>, DiskError> {
        if let Some(value) = self.overlaid(key) {
            return Ok(value.map_or(Lookup::Absent, |value| Lookup::Found(decode(&value))));
        }
        let storage = self.disk.storage();
        let read = decoded(decode, |found| storage.get_cached(Family::State, key, found));
        Ok(match self.disk.checked(read)? {
            (Cached::Found, Some(value)) => Lookup::Found(value),
            (Cached::Cold, _) => Lookup::Cold,
            _ => Lookup::Absent,
        })
    }

    /// One consistent view of the rows written so far.
    pub fn view(&self) -> View<'_> {
        // In this order: rows of a generation stay for a while when the next one is complete.
        let generation = self.generation();
        View { rows: self, generation, snapshot: self.disk.storage().snapshot() }
    }

    /// Rows with `from <= key < to` in key order, newest applied values, at most `limit`; may wait for the disk.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub fn scan_newest(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, DiskError> {
        self.scan(&Writes::new(), from, to, limit)
    }

    /// Rows with `from <= key < to`, newest applied values with `own` on top, at most `limit`.
    pub(crate) fn scan(&self, own: &Writes, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, DiskError> {
        if from >= to || limit == 0 {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(from), Bound::Excluded(to));
        // Copied before the store is read, for the same reason as in `read`.
        let mut newer = BTreeMap::new();
        for (_, writes) in &self.overlay.read().batches {
            newer.extend(writes.range::<[u8], _>(range).map(|(key, value)| (key.clone(), value.clone())));
        }
        newer.extend(own.range::<[u8], _>(range).map(|(key, value)| (key.clone(), value.clone())));

        let row = |key: Vec<u8>, value: Option<Vec<u8>>| Some((Bytes::from(key), Bytes::from(value?)));
        let mut newer = newer.into_iter().peekable();
        let mut found = Vec::new();
        let mut each = |key: &[u8], value: &[u8]| {
            while let Some((newer_key, newer_value)) = newer.next_if(|(newer_key, _)| newer_key[..] < *key) {
                found.extend(row(newer_key, newer_value));
            }
            match newer.next_if(|(newer_key, _)| newer_key[..] == *key) {
                Some((key, value)) => found.extend(row(key, value)),
                None => found.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))),
            }
            found.len() < limit
        };
        self.disk.checked(self.disk.storage().scan(Family::State, from, to, &mut each))?;
        found.extend(newer.filter_map(|(key, value)| row(key, value)));
        found.truncate(limit);
        Ok(found)
    }

    /// Makes writes visible to readers and puts them into a batch. The batch must be submitted before another
    /// one of this shard is overlaid.
    pub(crate) fn overlay(&self, writes: Writes, batch: &mut Batch) -> Retire {
        let writes = Arc::new(writes);
        batch.rows(writes.clone());
        let mut overlay = self.overlay.write();
        overlay.last += 1;
        let number = overlay.last;
        // Together with the overlay: who has seen one row of the batch sees every other.
        for (key, value) in writes.iter().filter(|(key, _)| (self.keeps)(key)) {
            self.disk.kept().applied(key, value.as_deref());
        }
        overlay.batches.push_back((number, writes));
        Retire { overlay: self.overlay.clone(), batch: number }
    }

    /// What the newest batch on its way that names a row says of it.
    fn overlaid(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let overlay = self.overlay.read();
        let value = overlay.batches.iter().rev().find_map(|(_, writes)| writes.get(key))?;
        Some(value.as_deref().map(Bytes::copy_from_slice))
    }

    #[cfg(test)]
    pub(crate) fn overlaid_rows(&self) -> usize {
        self.overlay.read().batches.iter().map(|(_, writes)| writes.len()).sum()
    }
}

impl Retire {
    /// To be called when the batch is written, before anybody is told so.
    pub(crate) fn retire(self) {
        let mut overlay = self.overlay.write();
        let at = overlay.batches.iter().position(|(number, _)| *number == self.batch);
        let written = at.and_then(|at| overlay.batches.remove(at));
        drop(overlay);
        // Nobody waits for its rows to be given back.
        drop(written);
    }
}

/// The rows at one moment. Every acknowledged change made before it was taken is in it.
pub struct View<'a> {
    rows: &'a Rows,
    generation: u32,
    snapshot: Box<dyn Snapshot + 'a>,
}

impl View<'_> {
    /// The generation that every state key of this shard carries.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Reads a row in place; may wait for the disk.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub fn read<T>(&self, key: &[u8], decode: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, DiskError> {
        self.get(Family::State, key, decode)
    }

    /// The same of any family.
    pub(crate) fn get<T>(
        &self,
        family: Family,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, DiskError> {
        let read = decoded(decode, |found| self.snapshot.get(family, key, found));
        self.rows.disk.checked(read).map(|((), value)| value)
    }

    /// Calls `each` for rows with `from <= key < to` in key order until it returns `false`.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub fn scan(&self, from: &[u8], to: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), DiskError> {
        if from >= to {
            return Ok(());
        }
        self.rows.disk.checked(self.snapshot.scan(from, to, &mut each))
    }
}
