//! What all nodes and clients of a run share: the trace, and what must be true of all nodes together.
//!
//! Nothing here is of the cluster under test: a node knows the others by the network alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use muster_cluster::simulation::{flushed_entry, written_entry};
use muster_cluster::testing::MemoryStore;
use muster_cluster::{Committed, NodeId, Payload, ReadPolicy, Rows, SLOTS, ShardId, Slot, shard_of_slot};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::history::{Moment, Operation};
use crate::host::Submit;
use crate::random::Random;

pub const SHARDS: u16 = 2;
/// A change of voters that follows an entry is at most so many entries behind it.
const CHANGED_WITHIN: u64 = 16;
/// Where a process writes the trace of its run.
pub const TRACE: &str = "MUSTER_SIMULATION_TRACE";
/// A run has fast disks or slow ones.
const USUAL_FLUSH_US_MAX: [u64; 3] = [1_000, 4_000, 16_000];

/// The name of a node's replicas.
pub fn node_id(node: usize) -> NodeId {
    NodeId((node as u64 + 1) << 32 | 1)
}

fn node_of(id: u64) -> usize {
    NodeId(id).number() as usize - 1
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
    /// How nodes that are started now answer reads.
    pub reads: Mutex<ReadPolicy>,
    trace: Mutex<String>,
    moments: Mutex<u64>,
    /// Of the driver, which acts between the steps of the simulation.
    now: Mutex<Duration>,
    logs: Mutex<BTreeMap<ShardId, Log>>,
    /// Whose first entry a node has applied: shard and term.
    begun: Mutex<BTreeSet<(usize, ShardId, u64)>>,
    /// Who led in which term, and after which of its starts.
    leaders: Mutex<BTreeMap<(ShardId, u64), (usize, u64)>>,
    /// The term that each node leads now.
    leading: Mutex<BTreeMap<(usize, ShardId), u64>>,
    pub history: Mutex<Vec<Operation>>,
    pub nodes: Vec<NodeState>,
    pub tally: Mutex<Tally>,
}

/// A shard's log as far as anybody has applied it.
#[derive(Default)]
struct Log {
    entries: BTreeMap<u64, Applied>,
    /// Who had to agree from the entry of that index on.
    voters: BTreeMap<u64, Vec<BTreeSet<u64>>>,
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
    /// Of each shard that is started.
    pub rows: Mutex<Vec<Rows>>,
    pub starts: Mutex<u64>,
    /// How far the node's clock is ahead, in milliseconds.
    pub clock_ahead_ms: u64,
    /// How long its machine has slept, in milliseconds: the simulation's time stands still in it.
    pub slept_ms: Arc<AtomicU64>,
}

/// How a node's flushes go.
pub struct DiskFate {
    pub random: Random,
    /// A usual flush takes less than this, in microseconds.
    pub usual_us_max: u64,
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

/// However a run ends, its trace is kept.
impl Drop for World {
    fn drop(&mut self) {
        if let Ok(path) = std::env::var(TRACE) {
            std::fs::write(path, self.trace.get_mut()).expect("the trace written");
        }
    }
}

impl World {
    pub fn new(seed: u64, nodes: usize, random: &mut Random) -> Arc<Self> {
        let usual_us_max = USUAL_FLUSH_US_MAX[random.below(USUAL_FLUSH_US_MAX.len() as u64) as usize];
        let node = |_| NodeState {
            store: Mutex::new(MemoryStore::new()),
            disk: Mutex::new(DiskFate {
                random: random.fork(),
                usual_us_max,
                hangs_for: Duration::ZERO,
                fails: false,
                has_failed: false,
            }),
            port: Mutex::new(None),
            rows: Mutex::default(),
            starts: Mutex::new(0),
            clock_ahead_ms: random.below(2_000),
            slept_ms: Arc::default(),
        };
        let nodes = (0..nodes).map(node).collect();
        Arc::new(Self {
            seed,
            reads: Mutex::default(),
            trace: Mutex::default(),
            moments: Mutex::default(),
            now: Mutex::default(),
            logs: Mutex::default(),
            begun: Mutex::default(),
            leaders: Mutex::default(),
            leading: Mutex::default(),
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

    /// The next moment of the one order in which everything happens.
    pub fn moment(&self) -> Moment {
        let mut moments = self.moments.lock();
        *moments += 1;
        Moment(*moments)
    }

    /// A replica applies entries: every other one must apply, or have applied, the same, and a majority must have
    /// flushed them.
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
            let mut logs = self.logs.lock();
            let log = logs.entry(shard).or_default();
            match log.entries.get(&index) {
                Some(first) => {
                    assert_eq!(*first, applied, "two replicas differ in entry {index} of shard {}", shard.0);
                }
                None => {
                    log.entries.insert(index, applied);
                    self.is_committed(log, shard, index, entry.term);
                }
            }
            if entry.payload == Payload::Blank {
                self.begun.lock().insert((node, shard, entry.term));
            }
        }
    }

    /// Looks for the entry on the disks, as power loss would leave them.
    ///
    /// # Panics
    /// If no majority has it.
    fn is_committed(&self, log: &mut Log, shard: ShardId, index: u64, term: u64) {
        let on_disk = |node: usize| flushed_entry(&self.nodes[node].store.lock(), shard, index);
        let found: Vec<_> = (0..self.nodes.len()).map(on_disk).collect();
        let has = |node: usize| found[node].as_ref().is_some_and(|entry| entry.term == term);
        if let Some(voters) = (0..found.len()).filter(|node| has(*node)).find_map(|node| found[node].clone()?.voters) {
            log.voters.insert(index, voters);
        }
        let holders = |voters: &BTreeSet<u64>| voters.iter().filter(|voter| has(node_of(**voter))).count();
        let agree = |majorities: &[BTreeSet<u64>]| majorities.iter().all(|voters| holders(voters) > voters.len() / 2);
        let (&since, majorities) = log.voters.range(..=index).next_back().expect("voters before anything is applied");
        let next = self.next_voters(log, shard, since, index);
        assert!(
            agree(majorities) || next.is_some_and(|next| agree(&next)),
            "entry {index} of shard {} is applied, and of {majorities:x?} not enough have flushed it: {found:?}",
            shard.0
        );
    }

    /// Those whose majorities count by now, if it is others than those since an earlier entry: whoever leads goes by
    /// the last change of voters in its log, whose first half must be committed before the second is made.
    fn next_voters(&self, log: &Log, shard: ShardId, since: u64, index: u64) -> Option<Vec<BTreeSet<u64>>> {
        log.entries.get(&since)?;
        let voters = |index| {
            let written = |node: &NodeState| written_entry(&node.store.lock(), shard, index)?.voters;
            self.nodes.iter().find_map(written)
        };
        (index + 1..=index + CHANGED_WITHIN).find_map(voters)
    }

    /// A replica leads: nobody else may in that term, nor this one before it was started again, and it must have
    /// applied the first entry of it.
    pub fn leads(&self, node: usize, shard: ShardId, term: u64) {
        self.note(format_args!("n{node} s{} leads t{term}", shard.0));
        let has_begun = self.begun.lock().contains(&(node, shard, term));
        assert!(has_begun, "node {node} leads shard {} before it has applied an entry of term {term}", shard.0);
        self.leading.lock().insert((node, shard), term);
        let leader = (node, *self.nodes[node].starts.lock());
        let first = *self.leaders.lock().entry((shard, term)).or_insert(leader);
        assert_eq!(first, leader, "two processes lead shard {} in term {term}", shard.0);
    }

    pub fn leads_no_more(&self, node: usize, shard: ShardId) {
        if self.leading.lock().remove(&(node, shard)).is_some() {
            self.note(format_args!("n{node} s{} leads no more", shard.0));
        }
    }

    /// Who leads a shard in the latest term, if that one still does.
    pub fn leader(&self, shard: ShardId) -> Option<(usize, u64)> {
        let leaders = self.leaders.lock();
        let (&(_, term), &(node, _)) = leaders.range((shard, 0)..=(shard, u64::MAX)).next_back()?;
        (self.leading.lock().get(&(node, shard)) == Some(&term)).then_some((node, term))
    }

    /// How many nodes have a vote in each shard, in all that has to agree.
    pub fn voters(&self) -> Vec<usize> {
        let logs = self.logs.lock();
        let newest = |shard| logs.get(&ShardId(shard)).and_then(|log| log.voters.values().next_back());
        let least = |voters: &Vec<BTreeSet<u64>>| voters.iter().map(BTreeSet::len).min();
        (0..SHARDS).map(|shard| newest(shard).and_then(least).unwrap_or(0)).collect()
    }

    /// A node's process has ended.
    pub fn ends(&self, node: usize) {
        *self.nodes[node].port.lock() = None;
        self.nodes[node].rows.lock().clear();
        self.leading.lock().retain(|(other, _), _| *other != node);
        self.begun.lock().retain(|(other, ..)| *other != node);
    }

    /// Nothing is under way any more: all replicas hold the same rows.
    ///
    /// # Panics
    /// If they do not.
    pub fn has_equal_rows(&self) {
        let first = self.rows_of(0);
        assert!(!first.is_empty(), "no rows");
        for node in 1..self.nodes.len() {
            let other = self.rows_of(node);
            let differs = |(key, value): &(&Vec<u8>, &Vec<u8>)| other.get(*key) != Some(value);
            let row = first.iter().find(differs);
            assert_eq!((row, first.len()), (None, other.len()), "rows of node 0 and node {node} differ");
        }
    }

    /// By their keys without the generation, which replicas need not share.
    fn rows_of(&self, node: usize) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let state = &self.nodes[node];
        let generations: Vec<u32> = state.rows.lock().iter().map(Rows::generation).collect();
        let mut found = BTreeMap::new();
        for (key, value) in state.store.lock().rows() {
            let number =
                |range: std::ops::Range<usize>| key[range].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            let (slot, generation) = (number(0..2) as u16, number(2..6));
            let shard = if slot < SLOTS { shard_of_slot(Slot(slot), SHARDS) } else { ShardId(slot - SLOTS) };
            if generations[usize::from(shard.0)] == generation {
                found.insert([&key[..2], &key[6..]].concat(), value.to_vec());
            }
        }
        found
    }

    /// How many leaderships there have been.
    pub fn leaderships(&self) -> usize {
        self.leaders.lock().len()
    }
}
