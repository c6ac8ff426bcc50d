//! One node of a simulated cluster: everything runs on the calling thread, in an order that a seed repeats.
//!
//! What the simulation brings is all that a node has of the world: a store in memory, how long a flush takes and whether
//! it fails, and a way to other nodes that may lose, delay and reorder what is said. The nodes are known from the
//! beginning: forming a cluster and letting nodes in are not part of it.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

pub use crate::disk::Flushing;
use crate::disk::{Family, Identity, MemoryStore, Runner};
use crate::handle::{Cluster, ClusterOptions, OpenError};
use crate::meta::{Members, NodeCard};
use crate::net::wire::Answer;
use crate::peer::{CallError, NodeId};
use crate::raft::{Way, decode, decode_entry, encode, log_key, voters_of};
use crate::reception;
use crate::sleep::SleepWatch;
use crate::slot::ShardId;

/// An answer on its way.
pub type Carried = Pin<Box<dyn Future<Output = Result<Vec<u8>, CallError>> + Send>>;

/// The way to other nodes.
pub trait Carrier: Send + Sync + 'static {
    /// Has a node [`answer`] a call. If that takes longer than `within`, the answer is [`CallError::Lost`].
    fn carry(&self, node: NodeId, call: Vec<u8>, within: Duration) -> Carried;
}

/// What a simulation brings for a node.
pub struct World {
    pub node: NodeId,
    /// All nodes of the cluster; the first one makes its shards.
    pub nodes: Vec<NodeId>,
    pub carrier: Arc<dyn Carrier>,
    /// Waits as long as a flush takes, and then does it; it covers what was written before it was made.
    pub flushing: Box<dyn Fn() -> Flushing + Send>,
    /// How long the machine has slept, in milliseconds: the time of the simulation stood still for it.
    pub slept_ms: Arc<AtomicU64>,
}

/// Opens a node on a store.
///
/// # Errors
/// The store holds what cannot be read.
pub fn open(store: &MemoryStore, options: ClusterOptions, world: World) -> Result<Cluster, OpenError> {
    let founder = world.nodes.first() == Some(&world.node);
    let identity = Identity { shards: options.shards, cluster: 1, node: world.node.0, founder };
    let (runner, way) = (Runner::Tasks(world.flushing), Way::Carried(world.carrier));
    let sleep = SleepWatch::simulated(world.slept_ms);
    let cluster = Cluster::start_by(runner, Arc::new(store.clone()), identity, options, (None, Some(way)), sleep)?;
    let card = |node: &NodeId| {
        let address = node.to_string();
        NodeCard { node: node.0, address, name: String::new(), zone: String::new() }
    };
    cluster.inner.is_told(Members::new(world.nodes.iter().map(card).collect()));
    Ok(cluster)
}

/// An entry of a log, as far as others agree on it.
#[derive(Clone, Debug)]
pub struct LoggedEntry {
    pub term: u64,
    /// Majorities of all of these must have it and what follows it; `None`: those of an earlier entry.
    pub voters: Option<Vec<BTreeSet<u64>>>,
}

/// An entry as power loss would leave it on a store.
///
/// # Panics
/// If it is none.
pub fn flushed_entry(store: &MemoryStore, shard: ShardId, index: u64) -> Option<LoggedEntry> {
    store.flushed(Family::Log, &log_key(shard, index)).map(|stored| logged(&stored, shard, index))
}

/// An entry as the end of the process alone would leave it.
///
/// # Panics
/// If it is none.
pub fn written_entry(store: &MemoryStore, shard: ShardId, index: u64) -> Option<LoggedEntry> {
    store.written(Family::Log, &log_key(shard, index)).map(|stored| logged(&stored, shard, index))
}

fn logged(stored: &[u8], shard: ShardId, index: u64) -> LoggedEntry {
    let entry = decode_entry(stored).unwrap_or_else(|error| panic!("entry {index} of shard {}: {error}", shard.0));
    LoggedEntry { term: entry.log_id.committed_leader_id().term, voters: voters_of(&entry) }
}

/// What a node says to a call that was carried to it.
pub async fn answer(cluster: &Cluster, from: NodeId, call: &[u8]) -> Vec<u8> {
    let answer = match decode(call) {
        // Calls of replicas have no deadline: one that comes late is no more than late.
        Ok(call) => reception::within(cluster.inner.clone(), from.0, call, Instant::now()).await,
        Err(error) => Answer::Refused(error.to_string()),
    };
    encode(&answer).unwrap_or_default()
}
