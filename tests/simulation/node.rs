//! What runs on a host of the simulation: a node's replicas, and one who decides for each shard.

use std::sync::Arc;
use std::time::Duration;

use muster::shard::{Machine, Told, slot_of};
use muster_cluster::simulation::{self, Flushing};
use muster_cluster::testing::{self, MemoryStore};
use muster_cluster::{
    Cluster, ClusterOptions, Committed, DiskError, Keeps, NodesOptions, Release, Rows, ShardId, ShardMachine,
    Transaction, shard_of_slot,
};
use tokio::sync::mpsc;

use crate::actions::{APP, group_id};
use crate::host::{Heard, Host};
use crate::network::Post;
use crate::world::{SHARDS, World, node_id};

/// So little that the log is cut in every run, and a replica that was away is filled from rows.
const LOG_BYTES_MAX: u64 = 24 << 10;
/// One flush in so many takes ten times as long as usual.
const SLOW_ONE_IN: u64 = 30;

/// Every node has a vote.
fn options(world: &World) -> ClusterOptions {
    let usual = testing::options("simulated", SHARDS);
    let nodes = NodesOptions { copies: world.nodes.len(), ..usual.nodes };
    ClusterOptions { log_bytes_max: LOG_BYTES_MAX, reads: *world.reads.lock(), nodes, ..usual }
}

/// Runs a node from one start to the crash after it.
pub async fn run(world: Arc<World>, node: usize) -> turmoil::Result {
    let state = &world.nodes[node];
    let start = {
        let mut starts = state.starts.lock();
        *starts += 1;
        *starts
    };
    world.note(format_args!("n{node} starts"));
    let store = state.store.lock().clone();
    let (post, leaving) = Post::new(world.clone(), node, start);
    let simulated = simulation::World {
        node: node_id(node),
        nodes: (0..world.nodes.len()).map(node_id).collect(),
        carrier: post.clone(),
        flushing: flushing(world.clone(), node, store.clone()),
        slept_ms: state.slept_ms.clone(),
    };
    let cluster = simulation::open(&store, options(&world), simulated)?;
    tokio::task::spawn_local(post.work(cluster.clone(), leaving));
    let mut hosts = Vec::new();
    for shard in (0..SHARDS).map(ShardId) {
        match start_shard(&world, node, &cluster, shard).await {
            Ok(host) => hosts.push(host),
            Err(error) => {
                // Its disk has failed already; the driver starts it again.
                assert!(state.disk.lock().has_failed, "shard {} does not start: {error}", shard.0);
                std::future::pending::<()>().await;
            }
        }
    }
    let (port, mut submitted) = mpsc::unbounded_channel();
    *state.port.lock() = Some(port);
    while let Some(submit) = submitted.recv().await {
        let shard = shard_of_slot(slot_of(APP, &group_id(submit.group)), SHARDS);
        let _ = hosts[usize::from(shard.0)].send(Heard::Submit(submit));
    }
    Ok(())
}

async fn start_shard(
    world: &Arc<World>,
    node: usize,
    cluster: &Cluster,
    shard: ShardId,
) -> Result<mpsc::UnboundedSender<Heard>, muster_cluster::OpenError> {
    let (to_self, heard) = mpsc::unbounded_channel();
    let ear = to_self.clone();
    let sink = Arc::new(move |told: Told| drop(ear.send(Heard::Told(told))));
    let machine = Watched { inner: Machine::new(shard, SHARDS, sink), world: world.clone(), node, shard };
    let handle = cluster.start_shard(shard, Box::new(machine)).await?;
    world.nodes[node].rows.lock().push(handle.rows().clone());
    tokio::spawn(Host::new(world.clone(), node, shard, handle, to_self.clone()).work(heard));
    Ok(to_self)
}

/// Flushes as the run has it: after a while, too late, or not at all.
fn flushing(world: Arc<World>, node: usize, store: MemoryStore) -> Box<dyn Fn() -> Flushing + Send> {
    Box::new(move || {
        let covered = store.unflushed();
        let (takes, fails) = {
            let fate = &mut *world.nodes[node].disk.lock();
            let slow = if fate.random.below(SLOW_ONE_IN) == 0 { 10 } else { 1 };
            let takes = Duration::from_micros(fate.random.below(fate.usual_us_max) * slow);
            (takes + std::mem::take(&mut fate.hangs_for), fate.fails)
        };
        let (world, store) = (world.clone(), store.clone());
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            if fails {
                world.nodes[node].disk.lock().has_failed = true;
                world.tally.lock().failed_flushes += 1;
                world.note(format_args!("n{node} fails to flush"));
                return Err(DiskError::Failed("the flush failed, as the simulation has it".into()));
            }
            world.note(format_args!("n{node} flushes {covered}"));
            store.flush_oldest(covered);
            Ok(())
        })
    })
}

/// The machine of a shard, and who looks at what it is given.
struct Watched {
    inner: Machine,
    world: Arc<World>,
    node: usize,
    shard: ShardId,
}

impl ShardMachine for Watched {
    fn keeps(&self) -> Keeps {
        self.inner.keeps()
    }

    fn apply(&mut self, entries: &[Committed], tx: &mut Transaction<'_>) -> Result<Option<Release>, DiskError> {
        self.world.applies(self.node, self.shard, entries);
        self.inner.apply(entries, tx)
    }

    fn restored(&mut self, rows: &Rows) -> Result<(), DiskError> {
        self.inner.restored(rows)
    }
}
