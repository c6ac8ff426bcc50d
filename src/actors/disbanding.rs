//! Groups that are gone while some of their members are still to be told: joined lists leave them out.

use std::sync::Arc;

use muster_cluster::{ShardId, Slot};
use parking_lot::RwLock;
use rustc_hash::FxHashSet;

use crate::id::Gno;
use crate::shard::Job;

/// Shared by the hosts of a node, which write it, and by reads.
#[derive(Clone, Debug, Default)]
pub struct Disbanding(Arc<RwLock<FxHashSet<(ShardId, Job)>>>);

impl Disbanding {
    pub(super) fn begin(&self, shard: ShardId, job: Job) {
        self.0.write().insert((shard, job));
    }

    pub(super) fn end(&self, shard: ShardId, job: Job) {
        self.0.write().remove(&(shard, job));
    }

    pub fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    pub fn holds(&self, shard: ShardId, slot: Slot, gno: Gno) -> bool {
        self.0.read().contains(&(shard, Job { slot, gno }))
    }
}
