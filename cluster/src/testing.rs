//! A cluster on memory, and a machine without a cluster: for tests, here and in crates above.
//!
//! Not for serving: a store in memory promises nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::application::{Committed, Release, ShardMachine, Transaction};
use crate::disk::{
    Batch, Disk, DiskError, DiskObserver, DiskOptions, FIRST_GENERATION, GENERATION, Identity, Rows, Then, Writes,
};
use crate::handle::{Cluster, ClusterOptions, NodesOptions, OpenError, ReadPolicy};

pub use crate::disk::MemoryStore;

/// Who the node on a memory store is.
const IDENTITY: Identity = Identity { shards: 0, cluster: 1, node: 1 << 32, founder: true };

/// Options with short timings and small caches.
pub fn options(data_dir: impl Into<std::path::PathBuf>, shards: u16) -> ClusterOptions {
    ClusterOptions {
        data_dir: data_dir.into(),
        shards,
        disk: DiskOptions {
            flush: true,
            block_cache_bytes: 8 << 20,
            row_cache_bytes: 1 << 20,
            memtable_bytes: 64 << 20,
            wal_bytes: 64 << 20,
            start_check_bytes_max: u64::MAX,
            observer: DiskObserver::default(),
        },
        heartbeat: Duration::from_millis(50),
        election_min: Duration::from_millis(200),
        election_max: Duration::from_millis(300),
        log_bytes_max: 64 << 20,
        reads: ReadPolicy::Lease,
        nodes: NodesOptions::default(),
    }
}

/// Opens a cluster of one on a store in memory.
///
/// # Errors
/// The store fails flushes, or holds what cannot be read.
pub fn open(store: &MemoryStore, shards: u16) -> Result<Cluster, OpenError> {
    open_with(store, options("memory", shards))
}

/// The same with options of the caller; the folder they name is not touched.
///
/// # Errors
/// As [`open`].
pub fn open_with(store: &MemoryStore, options: ClusterOptions) -> Result<Cluster, OpenError> {
    Cluster::start(Arc::new(store.clone()), Identity { shards: options.shards, ..IDENTITY }, options, None)
}

/// The rows of one shard and a way to apply entries to them, without a log.
pub struct Bench {
    rows: Rows,
    disk: Disk,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new(&MemoryStore::new())
    }
}

impl Bench {
    /// # Panics
    /// The system gives no thread.
    pub fn new(store: &MemoryStore) -> Self {
        let disk = Disk::start(Arc::new(store.clone()), true, 1 << 20, DiskObserver::default());
        let disk = disk.expect("threads for the disk");
        Self { rows: Rows::new(disk.clone(), |_| true, FIRST_GENERATION), disk }
    }

    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Applies entries and waits until their rows are written. The release is returned, not run.
    ///
    /// Not to be called from an async task: it blocks.
    ///
    /// # Errors
    /// What the machine returned, or the disk has failed.
    pub fn apply(&self, machine: &mut dyn ShardMachine, entries: &[Committed]) -> Result<Option<Release>, DiskError> {
        let mut tx = Transaction::new(&self.rows);
        let release = machine.apply(entries, &mut tx)?;
        self.write(tx.into_writes())?;
        Ok(release)
    }

    /// The same rows as a replica holds them that was filled from this one: under another generation.
    ///
    /// # Errors
    /// The disk has failed.
    ///
    /// # Panics
    /// The system gives no thread.
    pub fn filled(&self, generation: u32) -> Result<Self, DiskError> {
        let mut writes = Writes::new();
        self.rows.view().scan(&[], &[u8::MAX; 8], |key, value| {
            let mut key = key.to_vec();
            key[GENERATION].copy_from_slice(&generation.to_be_bytes());
            writes.insert(key, Some(value.to_vec()));
            true
        })?;
        let Self { disk, .. } = Self::new(&MemoryStore::new());
        let filled = Self { rows: Rows::new(disk.clone(), |_| true, generation), disk };
        filled.write(writes)?;
        Ok(filled)
    }

    fn write(&self, writes: Writes) -> Result<(), DiskError> {
        let mut batch = Batch::default();
        let retire = self.rows.overlay(writes, &mut batch);
        let (done, written) = std::sync::mpsc::channel();
        let completion = move |result: Result<(), DiskError>| {
            retire.retire();
            let _ = done.send(result);
        };
        let place = self.disk.try_reserve()?;
        place.send(batch, Then::Written(Box::new(completion)));
        written.recv().map_err(|_| DiskError::Failed("the writer has stopped".into()))?
    }
}
