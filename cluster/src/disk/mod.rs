//! The database of a node: one writer, one flusher, rows on their way visible to those who must see them.
//!
//! Owns the data folder and everything in it. Knows families, keys and values; it does not know what a log
//! entry is, which shard a key belongs to, or when something is committed.

mod batch;
mod folder;
mod log_file;
mod memory;
mod rocks;
mod row_cache;
mod row_prefix;
mod rows;
mod storage;
mod table_file;
mod writer;

use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

pub(crate) use batch::Writes;
pub use batch::{Batch, Family};
pub(crate) use folder::{Folder, Identity, mark_damaged, new_incarnation, read_promise, write_promise};
pub use memory::MemoryStore;
pub(crate) use rocks::Rocks;
use row_cache::RowCache;
pub(crate) use rows::{FIRST_GENERATION, GENERATION};
pub use rows::{Rows, View};
pub(crate) use storage::{Snapshot, Storage};
pub use writer::Flushing;
use writer::{Completion, Submission, Vitals};
pub(crate) use writer::{Runner, Then};

/// A key and its value.
pub type Row = (Bytes, Bytes);

/// Why rows could not be read or written. Either way the disk has failed for good.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiskError {
    /// Stored bytes are not what was written; names file and place.
    #[error("{0}")]
    Corrupt(String),
    #[error("{0}")]
    Failed(String),
}

/// What a read that must not wait for the disk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    Found(T),
    Absent,
    /// Only the disk can tell: ask again where waiting is allowed.
    Cold,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Serving,
    /// A write or a flush has been under way for this long.
    Stalled {
        millis: u64,
    },
    /// Nothing can be written any more by this process.
    Failed {
        reason: String,
    },
}

#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// `false`: an answer does not wait for a flush, and power loss loses acknowledged changes.
    pub flush: bool,
    /// Blocks of table files kept in memory, their indexes and filters included.
    pub block_cache_bytes: usize,
    /// Newest values of rows that a machine keeps in memory, see [`crate::ShardMachine::keeps`]. 0: none.
    pub row_cache_bytes: usize,
    /// All memtables together, beside the block cache.
    pub memtable_bytes: usize,
    /// The write-ahead log beyond this is cut by writing the oldest memtables out.
    pub wal_bytes: u64,
    /// So many bytes of table files are read to the end at the start, newest first; the rest when rows are read.
    pub start_check_bytes_max: u64,
    pub observer: DiskObserver,
}

/// Who is told how the disk does; called on the disk's own threads, so it must not wait.
#[derive(Clone, Copy, Debug)]
pub struct DiskObserver {
    /// A flush took so long.
    pub flushed: fn(std::time::Duration),
    /// The disk has failed for good.
    pub failed: fn(),
}

impl Default for DiskObserver {
    /// Nobody.
    fn default() -> Self {
        Self { flushed: |_| {}, failed: || {} }
    }
}

/// The database of a node. Cheap to clone; it is closed when the last handle is gone.
#[derive(Clone)]
pub struct Disk {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Arc<dyn Storage>,
    /// Nothing may wait on the one thread there is: see [`Runner::Tasks`].
    is_on_one_thread: bool,
    kept: RowCache,
    vitals: Arc<Vitals>,
    queue: mpsc::Sender<Submission>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Disk {
    pub(crate) fn start(
        storage: Arc<dyn Storage>,
        flush: bool,
        row_cache_bytes: usize,
        observer: DiskObserver,
    ) -> std::io::Result<Self> {
        Self::start_by(Runner::Threads, storage, flush, row_cache_bytes, observer)
    }

    pub(crate) fn start_by(
        runner: Runner,
        storage: Arc<dyn Storage>,
        flush: bool,
        row_cache_bytes: usize,
        observer: DiskObserver,
    ) -> std::io::Result<Self> {
        let vitals = Arc::new(Vitals::new(observer));
        let is_on_one_thread = matches!(runner, Runner::Tasks(_));
        let (queue, threads) = writer::start(runner, storage.clone(), vitals.clone(), flush)?;
        let (kept, threads) = (RowCache::new(row_cache_bytes), Mutex::new(threads));
        Ok(Self { inner: Arc::new(Inner { storage, is_on_one_thread, kept, vitals, queue, threads }) })
    }

    /// What a flush takes these days: a mean in which the last few weigh most; 0 before the first.
    pub fn flush_time(&self) -> std::time::Duration {
        self.inner.vitals.flush_time()
    }

    /// How long the flush that is under way has lasted; 0 if none is.
    pub fn current_flush(&self) -> std::time::Duration {
        self.inner.vitals.current_flush()
    }

    /// Whether the disk takes writes.
    pub fn health(&self) -> Health {
        self.inner.vitals.health()
    }

    /// Why the disk has failed, if stored bytes are not what was written: that does not pass.
    pub(crate) fn damage(&self) -> Option<String> {
        match self.failure() {
            Some(DiskError::Corrupt(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Why the disk has failed, if it has.
    pub(crate) fn failure(&self) -> Option<DiskError> {
        self.inner.vitals.check().err()
    }

    /// Returns when the disk has failed; does not keep it open until then.
    pub(crate) fn until_failed(&self) -> impl Future<Output = ()> + use<> {
        self.inner.vitals.until_failed()
    }

    /// Writes a batch and returns when it survives a crash.
    ///
    /// # Errors
    /// The disk has failed or is closed. The batch may or may not survive.
    pub async fn submit(&self, batch: Batch) -> Result<(), DiskError> {
        self.reserve().await?.done(batch, Then::Flushed).await
    }

    /// Waits for a place in the queue. What is sent to it after that is written in the order it is sent.
    pub(crate) async fn reserve(&self) -> Result<Place<'_>, DiskError> {
        self.inner.vitals.check()?;
        self.inner.queue.reserve().await.map(Place).map_err(|_| closed())
    }

    /// A place in the queue if there is one now; for callers that cannot wait.
    pub(crate) fn try_reserve(&self) -> Result<Place<'_>, DiskError> {
        self.inner.vitals.check()?;
        self.inner
            .queue
            .try_reserve()
            .map(Place)
            .map_err(|error| DiskError::Failed(format!("the disk's queue: {error}")))
    }

    /// Reads a written row in place.
    pub(crate) fn get<T>(
        &self,
        family: Family,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, DiskError> {
        self.checked(decoded(decode, |found| self.inner.storage.get(family, key, found))).map(|((), value)| value)
    }

    fn kept(&self) -> &RowCache {
        &self.inner.kept
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.inner.storage
    }

    /// Runs work where it may wait for the disk; if it is told `false`, it may wait for nothing.
    pub(crate) fn run_aside(&self, work: impl FnOnce(bool) + Send + 'static) {
        match self.inner.is_on_one_thread {
            true => drop(tokio::spawn(async move { work(false) })),
            false => drop(tokio::task::spawn_blocking(move || work(true))),
        }
    }

    /// Passes a result on; a failed read fails the disk: a replica with a damaged row must not go on serving.
    pub(crate) fn checked<T>(&self, result: Result<T, DiskError>) -> Result<T, DiskError> {
        result.inspect_err(|error| self.inner.vitals.fail(error))
    }

    /// Stops everything for good.
    pub(crate) fn fail(&self, error: &DiskError) {
        self.inner.vitals.fail(error);
    }

    /// Ends the threads after everything submitted so far; later submissions fail.
    pub(crate) async fn close(&self) {
        // An error says the writer has ended already.
        let _ = self.inner.queue.send(Submission::Close).await;
        let threads = std::mem::take(&mut *self.inner.threads.lock());
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().for_each(|thread| {
                // A thread that panicked has failed the disk, which was logged.
                let _ = thread.join();
            });
        });
        let _ = joined.await;
    }
}

/// A place in the queue of the writer.
pub(crate) struct Place<'a>(mpsc::Permit<'a, Submission>);

impl Place<'_> {
    pub(crate) fn send(self, batch: Batch, then: Then) {
        self.0.send(Submission::Write(batch, then));
    }

    /// Sends a batch and returns when readers see it.
    pub(crate) async fn write(self, batch: Batch) -> Result<(), DiskError> {
        self.done(batch, Then::Written).await
    }

    async fn done(self, batch: Batch, then: impl FnOnce(Completion) -> Then) -> Result<(), DiskError> {
        let (done, result) = oneshot::channel();
        let completion = move |result| {
            // Whoever asked may have gone away; then nobody needs to know.
            let _ = done.send(result);
        };
        self.send(batch, then(Box::new(completion)));
        result.await.unwrap_or_else(|_| Err(closed()))
    }
}

/// Decodes in place what `read` finds, if it finds something; with what `read` itself says.
fn decoded<T, R>(
    decode: impl FnOnce(&[u8]) -> T,
    read: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<R, DiskError>,
) -> Result<(R, Option<T>), DiskError> {
    let (mut decode, mut value) = (Some(decode), None);
    let said = read(&mut |bytes| value = decode.take().map(|decode| decode(bytes)))?;
    Ok((said, value))
}

fn closed() -> DiskError {
    DiskError::Failed("the disk is closed".into())
}

#[cfg(test)]
mod tests;
