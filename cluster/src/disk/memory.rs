//! A store in memory for tests: it can lose what was not flushed, and its flushes can hang or fail.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::batch::Op;
use super::storage::{Cached, Each, Snapshot, Storage};
use super::{Batch, DiskError, Family};

type Table = BTreeMap<Bytes, Bytes>;

/// The contents of a disk that outlives the process on it: keep a clone, and open it again after a "crash".
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    contents: Mutex<Contents>,
    flushes: Mutex<Flushes>,
    flushes_changed: Condvar,
}

#[derive(Clone, Default)]
struct Contents {
    written: [Table; 3],
    flushed: [Table; 3],
    /// Batches written since the last flush, in order.
    unflushed: Vec<Batch>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Flushes {
    #[default]
    Work,
    Hang,
    Fail,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// What power loss leaves: everything flushed and nothing else.
    pub fn after_power_loss(&self) -> Self {
        let contents = self.shared.contents.lock();
        Self::holding(Contents {
            written: contents.flushed.clone(),
            flushed: contents.flushed.clone(),
            ..Contents::default()
        })
    }

    /// The same where the disk had got to the first `batches` of those that were not flushed.
    pub fn after_power_loss_but(&self, batches: usize) -> Self {
        let left = self.after_power_loss();
        let unflushed = &self.shared.contents.lock().unflushed;
        let mut contents = left.shared.contents.lock();
        unflushed.iter().take(batches).for_each(|batch| contents.take(batch));
        drop(contents);
        left
    }

    /// How many batches are written and not flushed.
    pub fn unflushed(&self) -> usize {
        self.shared.contents.lock().unflushed.len()
    }

    /// A row as power loss would leave it.
    pub(crate) fn flushed(&self, family: Family, key: &[u8]) -> Option<Bytes> {
        self.shared.contents.lock().flushed[family as usize].get(key).cloned()
    }

    /// A row as the end of the process alone would leave it.
    pub(crate) fn written(&self, family: Family, key: &[u8]) -> Option<Bytes> {
        self.shared.contents.lock().written[family as usize].get(key).cloned()
    }

    /// Flushes the oldest batches of those that are not.
    pub fn flush_oldest(&self, batches: usize) {
        let mut contents = self.shared.contents.lock();
        let batches: Vec<Batch> = contents.unflushed.drain(..batches).collect();
        batches.iter().for_each(|batch| apply(&mut contents.flushed, batch));
    }

    /// What the end of the process alone leaves: everything written.
    pub fn after_kill(&self) -> Self {
        let contents = self.shared.contents.lock();
        Self::holding(Contents { unflushed: contents.unflushed.clone(), ..contents.clone() })
    }

    /// Flushes from now on do not return, until told otherwise.
    pub fn hang_flushes(&self) {
        self.set(Flushes::Hang);
    }

    /// Flushes from now on fail, those that hang too.
    pub fn fail_flushes(&self) {
        self.set(Flushes::Fail);
    }

    /// Flushes work again.
    pub fn resume_flushes(&self) {
        self.set(Flushes::Work);
    }

    /// How many log entries all shards keep together.
    pub fn log_entries(&self) -> usize {
        self.shared.contents.lock().written[Family::Log as usize].len()
    }

    /// The state rows as they are written.
    pub fn rows(&self) -> Vec<(Bytes, Bytes)> {
        self.shared.contents.lock().written[Family::State as usize].clone().into_iter().collect()
    }

    /// Changes a state row behind everybody's back, as a fault of the disk or of the program would.
    ///
    /// # Panics
    /// There is no such row.
    pub fn damage(&self, key: &[u8], value: &[u8]) {
        let mut contents = self.shared.contents.lock();
        let row = contents.written[Family::State as usize].get_mut(key).expect("a row of that key");
        *row = Bytes::copy_from_slice(value);
    }

    fn holding(contents: Contents) -> Self {
        Self { shared: Arc::new(Shared { contents: Mutex::new(contents), ..Shared::default() }) }
    }

    fn set(&self, flushes: Flushes) {
        *self.shared.flushes.lock() = flushes;
        self.shared.flushes_changed.notify_all();
    }
}

impl Contents {
    fn take(&mut self, batch: &Batch) {
        apply(&mut self.written, batch);
        apply(&mut self.flushed, batch);
    }
}

impl Storage for MemoryStore {
    fn write(&self, batches: &[Batch]) -> Result<(), DiskError> {
        let mut contents = self.shared.contents.lock();
        for batch in batches {
            apply(&mut contents.written, batch);
            contents.unflushed.push(batch.clone());
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), DiskError> {
        // What is written while the flush runs is not covered by it.
        let covered = self.shared.contents.lock().unflushed.len();
        let mut flushes = self.shared.flushes.lock();
        while *flushes == Flushes::Hang {
            self.shared.flushes_changed.wait(&mut flushes);
        }
        if *flushes == Flushes::Fail {
            return Err(DiskError::Failed("the flush failed, as the test asked".into()));
        }
        drop(flushes);
        self.flush_oldest(covered);
        Ok(())
    }

    fn get(&self, family: Family, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), DiskError> {
        let value = self.shared.contents.lock().written[family as usize].get(key).cloned();
        value.iter().for_each(|value| found(value));
        Ok(())
    }

    fn get_cached(&self, family: Family, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<Cached, DiskError> {
        let value = self.shared.contents.lock().written[family as usize].get(key).cloned();
        value.iter().for_each(|value| found(value));
        Ok(if value.is_some() { Cached::Found } else { Cached::Absent })
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], each: Each<'_>) -> Result<(), DiskError> {
        let table = self.shared.contents.lock().written[family as usize].clone();
        walk(&table, from, to, each);
        Ok(())
    }

    fn last(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        found: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), DiskError> {
        let contents = self.shared.contents.lock();
        if let Some((key, value)) = contents.written[family as usize].range::<[u8], _>(range(from, to)).next_back() {
            found(key, value);
        }
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        Box::new(self.shared.contents.lock().written.clone())
    }
}

impl Snapshot for [Table; 3] {
    fn get(&self, family: Family, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), DiskError> {
        self[family as usize].get(key).into_iter().for_each(|value| found(value));
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], each: Each<'_>) -> Result<(), DiskError> {
        walk(&self[Family::State as usize], from, to, each);
        Ok(())
    }
}

fn apply(tables: &mut [Table; 3], batch: &Batch) {
    for op in batch.ops() {
        match op {
            Op::Rows(writes) => {
                let state = &mut tables[Family::State as usize];
                for (key, value) in &**writes {
                    match value {
                        Some(value) => drop(state.insert(key.clone().into(), value.clone().into())),
                        None => drop(state.remove(&**key)),
                    }
                }
            }
            Op::Put { family, key, value } => {
                tables[*family as usize].insert(key.clone(), value.clone());
            }
            Op::Delete { family, key } => {
                tables[*family as usize].remove(key);
            }
            Op::DeleteRange { family, from, to } => {
                tables[*family as usize].retain(|key, _| key < from || key >= to);
            }
        }
    }
}

fn walk(table: &Table, from: &[u8], to: &[u8], each: Each<'_>) {
    for (key, value) in table.range::<[u8], _>(range(from, to)) {
        if !each(key, value) {
            break;
        }
    }
}

fn range<'a>(from: &'a [u8], to: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(from), Bound::Excluded(to))
}
