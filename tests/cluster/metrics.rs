//! What a node counts, and what of it tells that a fault was one.

use std::collections::BTreeMap;

/// The node's own number in the cluster, as others name it; labels of shards have it for a leader.
const NODE_NUMBER: &str = "muster_node_number";
/// By shard, the number of the node that leads it as far as this node knows; 0: unknown.
const SHARD_LEADER: &str = "muster_shard_leader";
/// How many shards this node leads.
const SHARDS_LED: &str = "muster_shards_led";
/// In how many shards this node has a vote: it has caught up with them.
const SHARDS_VOTING: &str = "muster_shards_voting";
/// How often this node learnt that a shard is led by another node than before.
const LEADER_CHANGES: &str = "muster_leader_changes_total";
/// Appends to other nodes that were refused, could not be sent, or were not answered in time.
const APPEND_FAILURES: &str = "muster_append_failures_total";
/// Snapshots of shards that this node has taken from another.
const SNAPSHOTS_INSTALLED: &str = "muster_snapshots_installed_total";

/// The values of one node at one moment.
#[derive(Clone, Debug, Default)]
pub struct Metrics(BTreeMap<String, f64>);

/// What a fault did to the cluster, added up over its nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bite {
    pub leader_changes: u64,
    pub append_failures: u64,
    pub snapshots: u64,
}

impl Metrics {
    /// Reads the Prometheus text format, as far as nodes use it.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(values.collect())
    }

    /// A node that knows of no cluster has no such metrics.
    fn count(&self, series: &str) -> u64 {
        self.0.get(series).map_or(0, |value| *value as u64)
    }

    pub fn node_number(&self) -> u64 {
        self.count(NODE_NUMBER)
    }

    pub fn shards_led(&self) -> u64 {
        self.count(SHARDS_LED)
    }

    pub fn shards_voting(&self) -> u64 {
        self.count(SHARDS_VOTING)
    }

    /// The number of the node that leads the shard; `None`: this node does not know.
    pub fn leader(&self, shard: u16) -> Option<u64> {
        Some(self.count(&format!("{SHARD_LEADER}{{shard=\"{shard}\"}}"))).filter(|number| *number != 0)
    }

    /// What has happened since an earlier moment; a node that was started again counts from 0.
    pub fn since(&self, earlier: &Self) -> Bite {
        let grown = |series| {
            let (before, now) = (earlier.count(series), self.count(series));
            if now < before { now } else { now - before }
        };
        Bite {
            leader_changes: grown(LEADER_CHANGES),
            append_failures: grown(APPEND_FAILURES),
            snapshots: grown(SNAPSHOTS_INSTALLED),
        }
    }
}

impl Bite {
    pub fn and(self, other: Self) -> Self {
        Self {
            leader_changes: self.leader_changes + other.leader_changes,
            append_failures: self.append_failures + other.append_failures,
            snapshots: self.snapshots + other.snapshots,
        }
    }

    /// Whether there was a fault at all, as far as the cluster noticed.
    pub fn is_one(self) -> bool {
        self.leader_changes > 0 || self.append_failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_happened_is_counted_over_a_restart() {
        let before = Metrics::parse(
            "# TYPE muster_leader_changes_total counter\nmuster_leader_changes_total 5\nmuster_append_failures_total 2\n",
        );
        let later = "muster_leader_changes_total 7\nmuster_append_failures_total 1\nmuster_shard_leader{shard=\"3\"} 2\nmuster_shard_leader{shard=\"4\"} 0\n";
        let later = Metrics::parse(later);
        let bite = later.since(&before);
        assert_eq!(bite, Bite { leader_changes: 2, append_failures: 1, snapshots: 0 });
        assert!(bite.is_one() && !later.since(&later).is_one());
        assert_eq!([3, 4, 5].map(|shard| later.leader(shard)), [Some(2), None, None]);
    }
}
