//! What all nodes and clients of a run share: the trace, and what must be true of all nodes together.
//!
//! Nothing here is of the cluster under test: a node knows the others by the network alone.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use muster_cluster::testing::MemoryStore;
use muster_cluster::{Committed, NodeId, Payload, ShardId};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::history::{Moment, Operation};
use crate::host::Submit;
use crate::random::Random;

pub const NODES: usize = 3;
pub const SHARDS: u16 = 2;

/// The name of a node's replicas.
pub fn node_id(node: usize) -> NodeId {
    NodeId((node as u64 + 1) << 32 | 1)
}

/// The host that a node is in the simulation.
pub fn host_name(node: usize) -> String {
    format!("node-{node}")
}

/// A hash that is the same in every process.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

pub struct World {
    pub seed: u64,
    trace: Mutex<String>,
    moments: Mutex<u64>,
    /// Of the driver, which acts between the steps of the simulation.
    now: Mutex<Duration>,
    applied: Mutex<BTreeMap<(ShardId, u64), Applied>>,
    /// Who led in which term.
    leaders: Mutex<BTreeMap<(ShardId, u64), usize>>,
    pub history: Mutex<Vec<Operation>>,
    pub nodes: Vec<NodeState>,
    pub tally: Mutex<Tally>,
}

/// An entry as the first replica to apply it saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Applied {
    term: u64,
    payload: u64,
}

/// What of a node outlives its process, and where clients find it.
pub struct NodeState {
    pub store: Mutex<MemoryStore>,
    pub disk: Mutex<DiskFate>,
    pub port: Mutex<Option<mpsc::UnboundedSender<Submit>>>,
    pub starts: Mutex<u64>,
    /// How far the node's clock is ahead, in milliseconds.
    pub clock_ahead_ms: u64,
}

/// How a node's flushes go.
pub struct DiskFate {
    pub random: Random,
    /// The next flush takes so much longer.
    pub hangs_for: Duration,
    pub fails: bool,
    /// A flush has failed, so the process is of no use any more.
    pub has_failed: bool,
}

/// What has happened in a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub done: u64,
    pub refused: u64,
    pub unavailable: u64,
    pub unknown: u64,
    pub repeated: u64,
    /// Calls between nodes without an answer.
    pub lost: u64,
    pub crashes: u64,
    pub batches_lost: u64,
    pub failed_flushes: u64,
    pub filled: u64,
    pub conflicts: u64,
}

impl World {
    pub fn new(seed: u64, random: &mut Random) -> Arc<Self> {
        let node = |_| NodeState {
            store: Mutex::new(MemoryStore::new()),
            disk: Mutex::new(DiskFate {
                random: random.fork(),
                hangs_for: Duration::ZERO,
                fails: false,
                has_failed: false,
            }),
            port: Mutex::new(None),
            starts: Mutex::new(0),
            clock_ahead_ms: random.below(2_000),
        };
        let nodes = (0..NODES).map(node).collect();
        Arc::new(Self {
            seed,
            trace: Mutex::default(),
            moments: Mutex::default(),
            now: Mutex::default(),
            applied: Mutex::default(),
            leaders: Mutex::default(),
            history: Mutex::default(),
            nodes,
            tally: Mutex::default(),
        })
    }

    /// Notes something that happened at a moment of the simulation.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        let now = self.elapsed();
        let mut trace = self.trace.lock();
        writeln!(trace, "{:>9} {what}", now.as_micros()).expect("memory");
    }

    /// Since the beginning of the run.
    pub fn elapsed(&self) -> Duration {
        turmoil::sim_elapsed().unwrap_or_else(|| *self.now.lock())
    }

    /// Between two steps the simulation has no moment of its own.
    pub fn set_now(&self, now: Duration) {
        *self.now.lock() = now;
    }

    pub fn take_trace(&self) -> String {
        std::mem::take(&mut *self.trace.lock())
    }

    /// The next moment of the one order in which everything happens.
    pub fn moment(&self) -> Moment {
        let mut moments = self.moments.lock();
        *moments += 1;
        Moment(*moments)
    }

    /// A replica applies entries: every other one must apply, or have applied, the same.
    pub fn applies(&self, node: usize, shard: ShardId, entries: &[Committed]) {
        for entry in entries {
            let payload = match &entry.payload {
                Payload::Blank => 1,
                Payload::Membership => 2,
                Payload::Data(bytes) => hash(bytes),
            };
            let applied = Applied { term: entry.term, payload };
            let index = entry.index;
            self.note(format_args!("n{node} s{} applies {index} t{} {payload:016x}", shard.0, entry.term));
            let first = *self.applied.lock().entry((shard, index)).or_insert(applied);
            assert_eq!(first, applied, "two replicas differ in entry {index} of shard {}", shard.0);
        }
    }

    /// A replica leads: nobody else may in that term.
    pub fn leads(&self, node: usize, shard: ShardId, term: u64) {
        self.note(format_args!("n{node} s{} leads t{term}", shard.0));
        let first = *self.leaders.lock().entry((shard, term)).or_insert(node);
        assert_eq!(first, node, "two nodes lead shard {} in term {term}", shard.0);
    }

    /// How many leaderships there have been.
    pub fn leaderships(&self) -> usize {
        self.leaders.lock().len()
    }
}
