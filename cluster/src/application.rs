//! What this crate calls back: the machine that turns committed entries into rows.

use bytes::Bytes;

use crate::disk::{DiskError, Row, Rows, Writes};

/// A committed entry of one shard's log.
#[derive(Clone, Debug)]
pub struct Committed {
    pub index: u64,
    /// The term in the entry's own log id.
    pub term: u64,
    pub payload: Payload,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The first entry of a leadership.
    Blank,
    /// Who replicates the shard; this crate's own business.
    Membership,
    /// What was proposed.
    Data(Bytes),
}

/// Runs on the writer thread once the rows of an apply are written; outcomes are given out here.
///
/// If the disk fails before, it is dropped without being run. It must not wait for anything: every shard's
/// writes are behind it.
pub type Release = Box<dyn FnOnce() + Send>;

/// Says of a key whether its row is kept in memory; the same for a key at all times.
pub type Keeps = fn(&[u8]) -> bool;

/// The state of one shard, fed by its log.
pub trait ShardMachine: Send + 'static {
    /// Says by its key whether a row is looked up so often that its newest value should stay in memory. A row that
    /// seldom exists should not: only what is there is kept.
    fn keeps(&self) -> Keeps {
        |_| false
    }

    /// Applies `entries` in log order. Reads and writes go through `tx` and nowhere else; what is not in
    /// the rows and not in the entries must not decide anything, or replicas would differ.
    ///
    /// # Errors
    /// A read that failed: the replica stops.
    fn apply(&mut self, entries: &[Committed], tx: &mut Transaction<'_>) -> Result<Option<Release>, DiskError>;

    /// The rows were replaced as a whole by those of another replica: whatever was remembered of them is void.
    ///
    /// # Errors
    /// As [`ShardMachine::apply`].
    fn restored(&mut self, _rows: &Rows) -> Result<(), DiskError> {
        Ok(())
    }
}

/// The rows as one apply sees them: its own writes, then rows on their way to the database, then the database.
pub struct Transaction<'a> {
    rows: &'a Rows,
    writes: Writes,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(rows: &'a Rows) -> Self {
        Self { rows, writes: Writes::new() }
    }

    pub(crate) fn into_writes(self) -> Writes {
        self.writes
    }

    /// The generation that every state key of this shard carries.
    pub fn generation(&self) -> u32 {
        self.rows.generation()
    }

    /// Reads a row in place.
    ///
    /// # Errors
    /// The disk has failed.
    pub fn read<T>(&self, key: &[u8], decode: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, DiskError> {
        match self.writes.get(key) {
            Some(value) => Ok(value.as_deref().map(decode)),
            None => self.rows.read(key, decode),
        }
    }

    /// Writes a row; this transaction sees it at once, everybody when the apply ends.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    /// Deletes a row, if it is there.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    /// Rows with `from <= key < to` in key order, at most `limit`.
    ///
    /// # Errors
    /// The disk has failed.
    pub fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, DiskError> {
        self.rows.scan(&self.writes, from, to, limit)
    }
}
