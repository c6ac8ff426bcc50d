//! A data folder read from outside: no replica is started, nothing is applied.

use std::path::Path;

use crate::disk::{DiskObserver, DiskOptions, FIRST_GENERATION, Family, Folder, Rocks, Storage};
use crate::handle::OpenError;
use crate::raft::{Kind, range, stored_meta};
use crate::slot::{ShardId, places};

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

/// Calls `each` with every state row of a folder that no process uses; returns how many shards it holds.
///
/// Entries that are committed and not applied yet stay in the log: the rows are those of one moment of each shard.
///
/// # Errors
/// [`OpenError`] for a folder in use, damaged, newer or absent.
pub fn examine(data_dir: &Path, mut each: impl FnMut(&[u8], &[u8])) -> Result<u16, OpenError> {
    let folder = Folder::open_present(data_dir)?;
    let shards = folder.identity().shards;
    let storage = Rocks::open(folder, &options())?;
    let view = storage.snapshot();
    for shard in (0..shards).map(ShardId) {
        let generation = stored_meta(shard, Kind::Generation, |key, found| storage.get(Family::Meta, key, found))
            .map_err(|e| OpenError::of(data_dir, e))?;
        let generation = generation.unwrap_or(FIRST_GENERATION);
        for slot in places(shard, shards).into_iter().flatten() {
            let (from, to) = range(slot, generation);
            let all = view.scan(&from, &to, &mut |key, value| {
                each(key, value);
                true
            });
            all.map_err(|error| OpenError::of(data_dir, error))?;
        }
    }
    Ok(shards)
}
