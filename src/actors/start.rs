//! Starts the shards of a node on their arbiters and wires their hosts to each other.

use std::sync::{Arc, OnceLock};

use actix_rt::ArbiterHandle;
use muster_cluster::{Cluster, OpenError, ShardId};
use tokio::sync::oneshot;

use super::host::{HostOptions, ShardHost};
use super::inbox::Held;
use super::line::Calls;
use super::message::{AppliedEntries, Introduced, RowsReplaced};
use super::mint::Minter;
use super::neighbours::{Neighbours, Peer};
use super::registry::{Hosted, RegistryActor};
use super::service::{AppLimits, Service};
use crate::shard::{Machine, Told};
use crate::time::{Clock, SystemClock};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("an arbiter ended while it started shard {shard}")]
    Arbiter { shard: u16 },
}

type Started = Result<Hosted, OpenError>;

/// Starts every shard of the cluster's folder; shard s lives on arbiter s mod A.
///
/// # Errors
/// [`StartError`] if a shard's replica does not start.
pub async fn start(
    cluster: Cluster,
    arbiters: &[ArbiterHandle],
    options: HostOptions,
    limits: AppLimits,
) -> Result<Service, StartError> {
    let by = cluster.clone();
    let calls: Calls = Arc::new(move |node, call, deadline| {
        let cluster = by.clone();
        Box::pin(async move { cluster.call(node, call, deadline).await })
    });
    let neighbours = Neighbours::new(cluster.node(), calls, cluster.shards(), limits.clone());
    start_by(Arc::new(SystemClock), neighbours, cluster, arbiters, options, limits).await
}

/// As [`start`], with a clock that the leaders of the shards tell the time by, and a way to other nodes.
pub(super) async fn start_by(
    clock: Arc<dyn Clock>,
    neighbours: Neighbours,
    cluster: Cluster,
    arbiters: &[ArbiterHandle],
    options: HostOptions,
    limits: AppLimits,
) -> Result<Service, StartError> {
    let shards = cluster.shards();
    let mut hosts = Vec::with_capacity(usize::from(shards));
    for shard in 0..shards {
        let arbiter = &arbiters[usize::from(shard) % arbiters.len()];
        let (done, started) = oneshot::channel::<Started>();
        let start = start_shard(cluster.clone(), ShardId(shard), options.clone(), clock.clone(), neighbours.clone());
        arbiter.spawn(async move {
            let _ = done.send(start.await);
        });
        hosts.push(started.await.map_err(|_| StartError::Arbiter { shard })??);
    }
    neighbours.introduce(hosts.iter().map(Peer::new).collect());
    // Those that began to lead before have spoken to nobody.
    hosts.iter().for_each(|hosted| hosted.host.do_send(Introduced));
    let (done, started) = oneshot::channel();
    let for_registry = hosts.clone();
    arbiters[0].spawn(async move {
        let _ = done.send(RegistryActor::start_here(for_registry));
    });
    let (routing, routes_changed) = started.await.map_err(|_| StartError::Arbiter { shard: 0 })?;
    let minter = Arc::new(Minter::new(Arc::new(SystemClock), cluster.mint_slot()));
    Ok(Service::new(routing, routes_changed, cluster, limits, minter, neighbours))
}

async fn start_shard(
    cluster: Cluster,
    shard: ShardId,
    options: HostOptions,
    clock: Arc<dyn Clock>,
    neighbours: Neighbours,
) -> Started {
    let shards = cluster.shards();
    // The machine speaks before its host exists: entries applied while the replica starts are nobody's.
    let host: Arc<OnceLock<actix::Addr<ShardHost>>> = Arc::new(OnceLock::new());
    let listener = host.clone();
    let sink = Arc::new(move |told: Told| match (listener.get(), told) {
        (Some(host), Told::Applied(applied)) => host.do_send(AppliedEntries(applied)),
        (Some(host), Told::Replaced) => host.do_send(RowsReplaced),
        (None, _) => {}
    });
    let handle = cluster.start_shard(shard, Box::new(Machine::new(shard, shards, sink))).await?;
    let held = Held::default();
    let address = ShardHost::start_here(handle.clone(), shards, options, clock, neighbours, held.clone());
    let _ = host.set(address.clone());
    Ok(Hosted { host: address, handle, held })
}
