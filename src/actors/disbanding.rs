//! Groups that are gone while some of their members are still to be told: joined lists leave them out.

use std::sync::Arc;

use muster_cluster::ShardId;
use parking_lot::RwLock;
use rustc_hash::FxHashSet;

use crate::shard::Job;

/// The groups at one moment, each with the shard it belongs to.
pub type Ending = FxHashSet<(ShardId, Job)>;

/// Shared by the hosts of a node, which write it, and by reads.
#[derive(Clone, Debug, Default)]
pub struct Disbanding(Arc<RwLock<Arc<Ending>>>);

impl Disbanding {
    pub(super) fn begin(&self, shard: ShardId, job: Job) {
        Arc::make_mut(&mut self.0.write()).insert((shard, job));
    }

    /// The last members' shards have received what they are to be told.
    pub(super) fn end(&self, shard: ShardId, job: Job) {
        Arc::make_mut(&mut self.0.write()).remove(&(shard, job));
    }

    /// What a read has to leave out if it waits afterwards for what its shard has received: what has ended by now is
    /// received, and what has not is here.
    pub fn now(&self) -> Arc<Ending> {
        self.0.read().clone()
    }
}
