//! Groups that are gone while some of their members are still to be told: joined lists leave them out.

use std::sync::Arc;

use muster_cluster::ShardId;
use parking_lot::RwLock;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::shard::Job;

/// Groups, each with the shard it belongs to.
pub type Ending = FxHashSet<(ShardId, Job)>;

/// The groups of the shards that are led here, at one moment.
#[derive(Clone, Debug, Default)]
pub struct EndingHere {
    /// Whose groups these are: the shards, each with the term of its leadership.
    pub led: FxHashMap<ShardId, u64>,
    pub groups: Ending,
}

/// Shared by the hosts of a node, which write it, and by reads.
#[derive(Clone, Debug, Default)]
pub struct Disbanding(Arc<RwLock<Arc<EndingHere>>>);

impl Disbanding {
    /// A leadership begins, with the groups that an earlier one left behind.
    pub(super) fn lead(&self, shard: ShardId, term: u64, jobs: impl Iterator<Item = Job>) {
        let mut now = self.0.write();
        let here = Arc::make_mut(&mut now);
        here.led.insert(shard, term);
        here.groups.extend(jobs.map(|job| (shard, job)));
    }

    /// The leadership is over: what becomes of its groups is not known here any more.
    pub(super) fn step_down(&self, shard: ShardId) {
        let mut now = self.0.write();
        let here = Arc::make_mut(&mut now);
        here.led.remove(&shard);
        here.groups.retain(|(of, _)| *of != shard);
    }

    pub(super) fn begin(&self, shard: ShardId, job: Job) {
        Arc::make_mut(&mut self.0.write()).groups.insert((shard, job));
    }

    /// The last members' shards have applied what they were to be told.
    pub(super) fn end(&self, shard: ShardId, job: Job) {
        Arc::make_mut(&mut self.0.write()).groups.remove(&(shard, job));
    }

    /// What a read has to leave out if it looks at rows that are newer than this: what has ended by now is in them,
    /// and what has not is here.
    pub fn now(&self) -> Arc<EndingHere> {
        self.0.read().clone()
    }
}
