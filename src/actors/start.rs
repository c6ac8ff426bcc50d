//! Starts the shards of a node on their arbiters and wires their hosts to each other.

use std::sync::{Arc, OnceLock};

use actix_rt::ArbiterHandle;
use muster_cluster::{Cluster, OpenError, ShardId};
use tokio::sync::oneshot;

use super::disbanding::Disbanding;
use super::host::{HostOptions, Neighbours, Peer, Peers, Recoveries, ShardHost};
use super::inbox::Held;
use super::message::AppliedEntries;
use super::mint::Minter;
use super::registry::{Hosted, RegistryActor};
use super::service::{AppLimits, Service};
use crate::shard::{Applied, Lookups, Machine};
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
    start_by(Arc::new(SystemClock), cluster, arbiters, options, limits).await
}

/// As [`start`], with a clock that the leaders of the shards tell the time by.
pub(super) async fn start_by(
    clock: Arc<dyn Clock>,
    cluster: Cluster,
    arbiters: &[ArbiterHandle],
    options: HostOptions,
    limits: AppLimits,
) -> Result<Service, StartError> {
    let peers: Peers = Arc::new(OnceLock::new());
    let shards = cluster.shards();
    let neighbours =
        Neighbours { peers: peers.clone(), disbanding: Disbanding::default(), recovered: Recoveries::new(shards) };
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
    let all = hosts
        .iter()
        .map(|hosted| Peer { host: hosted.host.clone(), lookups: Lookups::new(hosted.handle.rows().clone()) })
        .collect();
    // Hosts that recover before this is set deliver and announce again in their sweep.
    let _ = peers.set(all);
    let (done, started) = oneshot::channel();
    let for_registry = hosts.clone();
    arbiters[0].spawn(async move {
        let _ = done.send(RegistryActor::start_here(for_registry));
    });
    let (routing, routes_changed) = started.await.map_err(|_| StartError::Arbiter { shard: 0 })?;
    let minter = Arc::new(Minter::new(Arc::new(SystemClock), cluster.mint_slot()));
    let Neighbours { disbanding, recovered, .. } = neighbours;
    Ok(Service::new(routing, routes_changed, cluster, limits, minter, disbanding, recovered))
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
    let sink = Arc::new(move |applied: Vec<Applied>| {
        if let Some(host) = listener.get() {
            host.do_send(AppliedEntries(applied));
        }
    });
    let handle = cluster.start_shard(shard, Box::new(Machine::new(shard, shards, sink))).await?;
    let held = Held::default();
    let address = ShardHost::start_here(handle.clone(), shards, options, clock, neighbours, held.clone());
    let _ = host.set(address.clone());
    Ok(Hosted { host: address, handle, held })
}
