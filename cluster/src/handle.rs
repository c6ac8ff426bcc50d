//! What a node does with its shards: propose, wait for a read barrier, watch who leads.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::application::ShardMachine;
use crate::disk::{self, Batch, Disk, DiskError, DiskOptions, Family, Folder, Health, Rocks, Rows, Storage};
use crate::peer::{Attendant, CallError, NodeId};
use crate::raft::{self, RunningReplica, Timings};
use crate::slot::ShardId;

/// How many numbers a node can mint ids under before they come round.
///
/// Source: docs/spec/identifiers.md section 5.
const MINT_SLOTS: u64 = 4096;

/// One leadership of one shard by this process: it begins when the process has applied the blank entry of its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Leadership {
    pub term: u64,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    #[error("data folder {path} is in use by another process")]
    InUse { path: PathBuf },
    #[error("data folder {path} was written by format {found}, this binary reads up to {known}")]
    NewerFormat { path: PathBuf, found: u32, known: u32 },
    #[error("data folder {path} was written by format {found}, this binary reads from {oldest} on")]
    OlderFormat { path: PathBuf, found: u32, oldest: u32 },
    #[error(
        "data folder {path} holds {found} shards, cluster.shards asks for {wanted}; the number is fixed when the folder is made"
    )]
    ShardsDiffer { path: PathBuf, found: u16, wanted: u16 },
    #[error("data folder {path} is damaged: {reason}")]
    Corrupt { path: PathBuf, reason: String },
    #[error("data folder {path} cannot be used: {reason}")]
    Failed { path: PathBuf, reason: String },
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    /// Refused before it was appended: it did not and will not happen.
    #[error("not the leader of this shard in that term")]
    NotLeader,
    /// It may yet be committed; the log will tell.
    #[error("the outcome is known to the log alone")]
    Unknown,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum BarrierError {
    #[error("not the leader of this shard, or no quorum answers")]
    NotLeader,
    #[error("the replica has stopped")]
    Stopped,
}

#[derive(Clone, Debug)]
pub struct ClusterOptions {
    pub data_dir: PathBuf,
    /// Fixed when the folder is made.
    pub shards: u16,
    pub disk: DiskOptions,
    pub heartbeat: Duration,
    pub election_min: Duration,
    pub election_max: Duration,
    /// A shard's log beyond this is cut behind what is applied and durable.
    pub log_bytes_max: u64,
}

/// Resolves when the proposal was refused, or applied by this replica and its rows are written.
pub type Proposed = Pin<Box<dyn Future<Output = Result<(), ProposeError>> + Send>>;

/// A node's part in its shards. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    options: ClusterOptions,
    disk: Disk,
    node: u64,
    mint_slot: u16,
    /// Shards that were started: a second replica on the same log would ruin it.
    started: Mutex<BTreeSet<ShardId>>,
    replicas: Mutex<Vec<Arc<RunningReplica>>>,
    /// Who answers the calls of other nodes.
    attendant: OnceLock<Arc<dyn Attendant>>,
}

impl Cluster {
    /// How many shards a data folder holds; `None`: it was never made.
    ///
    /// # Errors
    /// Its format file cannot be read, or is damaged or newer.
    pub fn shards_of(data_dir: &Path) -> Result<Option<u16>, OpenError> {
        Folder::shards_of(data_dir)
    }

    /// Opens the data folder, making it if absent.
    ///
    /// Reads the whole write-ahead log, and tables up to [`DiskOptions::start_check_bytes_max`]; damage there is found
    /// here. Damage elsewhere fails the disk when it is read, see [`Cluster::remember_damage`].
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed unless the folder is new.
    pub fn open(options: ClusterOptions) -> Result<Self, OpenError> {
        let folder = Folder::open(&options.data_dir, options.shards)?;
        let node = folder.identity().node;
        let storage = Rocks::open(folder, &options.disk)?;
        Self::start(Arc::new(storage), node, options)
    }

    /// Starts the disk's threads on a store that is open.
    pub(crate) fn start(storage: Arc<dyn Storage>, node: u64, options: ClusterOptions) -> Result<Self, OpenError> {
        let path = &options.data_dir;
        let mint_slot = count_start(&*storage).map_err(|error| OpenError::of(path, error))?;
        let DiskOptions { flush, row_cache_bytes, observer, .. } = options.disk;
        let disk = Disk::start(storage, flush, row_cache_bytes, observer)
            .map_err(|error| OpenError::Failed { path: path.clone(), reason: error.to_string() })?;
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                disk,
                node,
                mint_slot,
                started: Mutex::default(),
                replicas: Mutex::default(),
                attendant: OnceLock::new(),
            }),
        })
    }

    /// How many shards the folder holds.
    pub fn shards(&self) -> u16 {
        self.inner.options.shards
    }

    /// This node's number among its cluster's id slots, below 4096; a fresh one at every start.
    pub fn mint_slot(&self) -> u16 {
        self.inner.mint_slot
    }

    pub fn disk(&self) -> &Disk {
        &self.inner.disk
    }

    /// This incarnation of this node.
    pub fn node(&self) -> NodeId {
        NodeId(self.inner.node)
    }

    /// Says who answers the calls of other nodes; the first one stays.
    pub fn attend(&self, attendant: Arc<dyn Attendant>) {
        let _ = self.inner.attendant.set(attendant);
    }

    /// Has another node's [`Attendant`] answer a call.
    ///
    /// # Errors
    /// [`CallError`]; only [`CallError::Lost`] may have been carried out.
    pub async fn call(&self, node: NodeId, _call: Bytes, _deadline: Instant) -> Result<Bytes, CallError> {
        tracing::debug!(%node, "a cluster of one reaches nobody");
        Err(CallError::NotSent)
    }

    pub fn health(&self) -> Health {
        self.inner.disk.health()
    }

    /// What a flush of the disk takes these days; 0 before the first.
    pub fn flush_time(&self) -> Duration {
        self.inner.disk.flush_time()
    }

    /// The damage that failed the disk, if it was damage: [`OpenError::Corrupt`] with file and place.
    ///
    /// It is remembered in the folder: the next start reads every table to the end, whatever its options say, and
    /// refuses the folder while the damage is there.
    pub fn remember_damage(&self) -> Option<OpenError> {
        let reason = self.inner.disk.damage()?;
        let path = self.inner.options.data_dir.clone();
        if let Err(error) = disk::mark_damaged(&path, &reason) {
            tracing::error!(%error, "the damage cannot be remembered for the next start");
        }
        Some(OpenError::Corrupt { path, reason })
    }

    /// Starts this node's replica of a shard; its tasks run on the calling runtime.
    ///
    /// The first start makes the shard, with this node as its only voter.
    ///
    /// # Errors
    /// What was stored cannot be read, the timings contradict each other, there is no such shard, or it was
    /// started before.
    pub async fn start_shard(&self, shard: ShardId, machine: Box<dyn ShardMachine>) -> Result<ShardHandle, OpenError> {
        let Inner { options, disk, node, .. } = &*self.inner;
        let failed = |reason: String| OpenError::Failed {
            path: options.data_dir.clone(),
            reason: format!("shard {}: {reason}", shard.0),
        };
        if shard.0 >= options.shards || !self.inner.started.lock().insert(shard) {
            return Err(failed("it does not exist, or was started before".into()));
        }
        let timings = Timings {
            heartbeat: options.heartbeat,
            election_min: options.election_min,
            election_max: options.election_max,
            log_bytes_max: options.log_bytes_max,
        };
        let replica = RunningReplica::start(disk, *node, shard, machine, &timings).await;
        let replica = replica.map_err(|reason| match disk.failure() {
            Some(error) => OpenError::of(&options.data_dir, error),
            None => failed(reason),
        })?;
        let replica = Arc::new(replica);
        self.inner.replicas.lock().push(replica.clone());
        Ok(ShardHandle { replica })
    }

    /// Stops all replicas, ends the disk's threads. What a log has taken is carried out; what comes later is refused.
    ///
    /// Waits for a flush under way, however long it takes.
    /// The folder is free for another process when the last handle to the cluster, its shards and rows is gone.
    pub async fn stop(&self) {
        let replicas = std::mem::take(&mut *self.inner.replicas.lock());
        // All before any: a shard must not be asked by another one when it is gone.
        for replica in &replicas {
            replica.retire().await;
        }
        for replica in &replicas {
            replica.stop().await;
        }
        self.inner.disk.close().await;
    }
}

impl OpenError {
    pub(crate) fn of(path: &Path, error: DiskError) -> Self {
        let path = path.to_owned();
        match error {
            DiskError::Corrupt(reason) => Self::Corrupt { path, reason },
            DiskError::Failed(reason) => Self::Failed { path, reason },
        }
    }
}

/// Counts a start, durably, and returns the number modulo [`MINT_SLOTS`].
///
/// Flushed before it is used: an id minted under a number that a crash takes back could be minted again.
fn count_start(storage: &dyn Storage) -> Result<u16, DiskError> {
    let mut before = Ok(0);
    storage.get(Family::Meta, &raft::starts_key(), &mut |value| before = raft::decode::<u64>(value))?;
    let starts = before.map_err(|error| DiskError::Corrupt(format!("counter of starts: {error}")))? + 1;
    let mut batch = Batch::default();
    let value = raft::encode(&starts).map_err(|error| DiskError::Failed(error.to_string()))?;
    batch.put(Family::Meta, raft::starts_key(), value);
    storage.write(&[batch])?;
    storage.flush()?;
    Ok((starts % MINT_SLOTS) as u16)
}

/// One shard as its host on this node uses it. Cheap to clone.
#[derive(Clone)]
pub struct ShardHandle {
    replica: Arc<RunningReplica>,
}

impl ShardHandle {
    pub fn id(&self) -> ShardId {
        self.replica.shard()
    }

    pub fn rows(&self) -> &Rows {
        self.replica.rows()
    }

    /// `Some` while this process leads and has applied the blank entry of that term.
    ///
    /// It may skip what was true only for a moment; a leadership of another term is always a different value.
    pub fn leadership(&self) -> watch::Receiver<Option<Leadership>> {
        self.replica.leadership()
    }

    /// Who leads the shard as far as this replica knows: a hint, as it may be over. [`ShardHandle::leadership`] alone
    /// says that this process does.
    pub fn leader(&self) -> watch::Receiver<Option<NodeId>> {
        self.replica.leader()
    }

    /// Hands a payload to the log of exactly this leadership. Payloads handed over by one task keep their order.
    ///
    /// Returns when the payload is in the log or refused. A leader whose lease has run out is asked again for
    /// at most one election timeout.
    ///
    /// # Errors
    /// [`ProposeError::NotLeader`]: it is not in the log. [`ProposeError::Unknown`]: the replica stopped in between.
    pub async fn propose(&self, leadership: Leadership, payload: Bytes) -> Result<Proposed, ProposeError> {
        self.replica.propose(leadership, payload).await
    }

    /// Returns when everything committed before the call is applied by this replica and written, and somebody was
    /// still the leader after the call began: this process, or the one that was asked.
    ///
    /// # Errors
    /// [`BarrierError`]; then nothing is known of what was read.
    pub async fn read_barrier(&self) -> Result<(), BarrierError> {
        self.replica.read_barrier().await
    }
}
