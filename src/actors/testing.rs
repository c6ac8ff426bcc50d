//! Services for tests: one that leads all of its shards, and others over the same rows that lead none or few of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use arc_swap::ArcSwap;
use muster_cluster::{Cluster, ClusterOptions, DiskObserver, DiskOptions, NodeId};

use super::{AppLimits, HostOptions, Service, start};
use crate::group::Limits;
use crate::id::AppId;

/// Shards of a service of tests.
pub const SHARDS: u16 = 4;

pub fn options(folder: &Path) -> ClusterOptions {
    ClusterOptions {
        data_dir: folder.to_owned(),
        shards: SHARDS,
        disk: DiskOptions {
            flush: false,
            block_cache_bytes: 8 << 20,
            row_cache_bytes: 1 << 20,
            memtable_bytes: 8 << 20,
            wal_bytes: 64 << 20,
            start_check_bytes_max: u64::MAX,
            observer: DiskObserver::default(),
        },
        heartbeat: Duration::from_millis(150),
        election_min: Duration::from_millis(600),
        election_max: Duration::from_millis(1000),
        log_bytes_max: 16 << 20,
        reads: muster_cluster::ReadPolicy::Lease,
        nodes: muster_cluster::NodesOptions::default(),
    }
}

/// A service on a folder of its own, on the calling arbiter.
pub async fn a_service(folder: &Path, app: AppId) -> Service {
    let cluster = Cluster::open(options(folder)).expect("a folder of its own");
    let limits: AppLimits = Arc::new([(app, Arc::new(Limits::default()))].into_iter().collect());
    let started = start(cluster, &[Arbiter::current()], HostOptions::default(), limits).await;
    let service = started.expect("its shards start");
    service.until_ready(Duration::from_secs(10)).await.expect("it leads them");
    service
}

/// The same rows, as a node sees them that leads only the shard of that number, if any; `leader` leads the others.
pub fn leading_only(service: &Service, shard: Option<u16>, leader: Option<NodeId>) -> Service {
    let routing = service.routing.load().leading_only(shard, leader);
    let mut other = service.clone();
    other.routing = Arc::new(ArcSwap::from_pointee(routing));
    other
}
