//! A data folder read from outside: no replica is started, nothing is applied.

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use crate::disk::{DiskObserver, DiskOptions, Folder, Rocks, Storage};
use crate::handle::OpenError;
use crate::inspect::scan_current;

/// Small: whoever examines a folder reads every row once.
fn options() -> DiskOptions {
    DiskOptions {
        flush: true,
        block_cache_bytes: 32 << 20,
        row_cache_bytes: 0,
        memtable_bytes: 32 << 20,
        wal_bytes: 256 << 20,
        start_check_bytes_max: u64::MAX,
        observer: DiskObserver::default(),
    }
}

/// A folder that no process uses, and none does while this is there.
///
/// Entries that are committed and not applied yet stay in the log: the rows are those of one moment of each shard.
pub struct StoppedNode {
    storage: Rocks,
    shards: u16,
    data_dir: PathBuf,
}

impl StoppedNode {
    /// Opens the folder, and looks through all of its files for damage.
    ///
    /// # Errors
    /// [`OpenError`] for a folder in use, damaged, newer or absent.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let folder = Folder::open_present(data_dir)?;
        let shards = folder.identity().shards;
        let storage = Rocks::open(folder, &options())?;
        Ok(Self { storage, shards, data_dir: data_dir.to_owned() })
    }

    /// How many shards it holds, beside the meta group.
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// Calls `each` with the slot, key and value of every state row of a range of slots in key order. Rows of
    /// generations that are not, or not yet, their shard's are left out.
    ///
    /// # Errors
    /// The disk has failed.
    pub fn scan(&self, slots: Range<u16>, mut each: impl FnMut(u16, &[u8], &[u8])) -> Result<(), OpenError> {
        let each = |slot, key: &[u8], value: &[u8]| {
            each(slot, key, value);
            ControlFlow::Continue(())
        };
        let read = scan_current(&*self.storage.snapshot(), self.shards, slots, each);
        read.map_err(|error| OpenError::of(&self.data_dir, error))
    }
}
