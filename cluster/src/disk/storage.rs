//! What the disk asks of the thing that stores: RocksDB, or memory that can be made to lose its unflushed tail.

use super::{Batch, DiskError, Family};

/// Called with a key and its value; `false` ends the scan.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> bool;

/// Whether a read found its row, where it may not wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    Found,
    Absent,
    Cold,
}

/// A store of ordered keys with one write-ahead log over all families.
///
/// Writes come from one thread and survive in the order they were made: after a crash there is a prefix of
/// them, and the prefix holds everything written before a `flush` that succeeded began.
pub(crate) trait Storage: Send + Sync + 'static {
    /// Writes all batches at once; readers see them when it returns. Durable only after [`Storage::flush`].
    fn write(&self, batches: &[Batch]) -> Result<(), DiskError>;

    /// Makes everything written before the call durable.
    fn flush(&self) -> Result<(), DiskError>;

    /// Calls `found` with the value, if there is one.
    fn get(&self, family: Family, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), DiskError>;

    /// The same from memory only.
    fn get_cached(&self, family: Family, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<Cached, DiskError>;

    /// Calls `each` for `from <= key < to` in key order until it returns `false`.
    fn scan(&self, family: Family, from: &[u8], to: &[u8], each: Each<'_>) -> Result<(), DiskError>;

    /// Calls `found` with the last row of `from <= key < to`, if there is one.
    fn last(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        found: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), DiskError>;

    /// All families as they are now.
    fn snapshot(&self) -> Box<dyn Snapshot + '_>;
}

/// The store at one moment.
pub(crate) trait Snapshot: Send {
    fn get(&self, family: Family, key: &[u8], found: &mut dyn FnMut(&[u8])) -> Result<(), DiskError>;
    /// Rows of the state.
    fn scan(&self, from: &[u8], to: &[u8], each: Each<'_>) -> Result<(), DiskError>;
    /// The same for somebody who reads everything once: what others have in the cache stays there.
    fn skim(&self, from: &[u8], to: &[u8], each: Each<'_>) -> Result<(), DiskError> {
        self.scan(from, to, each)
    }
}
