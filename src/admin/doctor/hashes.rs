//! Rows of every replica of a shard, hashed at the same index of its log.
//!
//! The index is chosen so that all replicas have yet to come to it, or are there: at rest the one they are at, under load
//! one a little ahead of the foremost, by as much as they were found to move on while they were asked. Replicas that did
//! not meet there are asked again for another one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use muster_cluster::{NodeCard, NodeId, SLOTS};

use super::{DoctorReport, Progress};
use crate::admin::gather::{OTHER_ANSWER, Told};
use crate::admin::hashing::REACH_TIMEOUT;
use crate::admin::status::{NodeStatus, Place, ReplicaStatus, label};
use crate::admin::wire::{Answer, Question, SlotForm};
use crate::admin::{ANSWER_TIMEOUT, Admin};

/// Indexes that are tried until all replicas are seen at the same one.
const TRIES_MAX: usize = 16;
/// The first step ahead once replicas have moved on meanwhile, in entries.
const AHEAD_MIN: u64 = 8;
/// The last one. At full load it is reached in some seconds.
const AHEAD_MAX: u64 = 4096;
/// How often it is asked whether rows are hashed.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Questions that may stay without an answer, one after the other.
const SILENCES_MAX: u32 = 5;
/// How long one shard may take.
const SHARD_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The hashes of a replica, or why there are none.
type Hashes = Told<Vec<SlotForm>>;

impl Admin {
    /// Compares the rows of all replicas that are heard, one shard after the other.
    pub(super) async fn compare_rows(
        &self,
        all: &[(NodeCard, Told<NodeStatus>)],
        report: &mut DoctorReport,
        progress: &Progress,
    ) {
        let heard: Vec<&NodeStatus> = all.iter().filter_map(|(_, answer)| answer.as_ref().ok()).collect();
        let shards: BTreeSet<Place> = heard.iter().flat_map(|node| &node.replicas).map(ReplicaStatus::place).collect();
        for (_, shard) in shards {
            let has = |node: &&&NodeStatus| node.replicas.iter().any(|replica| replica.shard == shard);
            let replicas: Vec<NodeId> = heard.iter().filter(has).map(|node| NodeId(node.node)).collect();
            progress.doing(format!("comparing rows of {} on {} nodes", label(shard), replicas.len()));
            let (index, hashes) = self.hashes(shard, &replicas).await;
            let mut seen = Vec::new();
            for (node, of_node) in replicas.iter().zip(hashes) {
                match of_node {
                    Ok(slots) => seen.push((node.number(), slots)),
                    Err(reason) => {
                        let what = format!("rows of {} on node {}", label(shard), node.number());
                        report.not_compared.push(format!("{what}: {reason}"));
                    }
                }
            }
            report.shards += 1;
            report.replicas += seen.len();
            report.rows += seen.first().map_or(0, |(_, slots)| slots.iter().map(|slot| slot.rows).sum());
            report.differ(differences(shard, index, &seen));
        }
    }

    /// Hashes a shard at one index on all of these nodes; the index, and what came of each.
    async fn hashes(&self, shard: Option<u16>, nodes: &[NodeId]) -> (u64, Vec<Hashes>) {
        let (mut ahead, mut tries) = (0, 1);
        loop {
            let job: u64 = rand::random();
            let index = self.foremost(shard, nodes).await + ahead;
            let begun = join_all(nodes.iter().map(|node| self.begin_hash(*node, shard, index, job))).await;
            let have_met = begun.iter().all(|begun| !matches!(begun, Ok(Answer::Missed { .. })));
            if have_met || tries == TRIES_MAX {
                let hashes = nodes.iter().zip(begun).map(|(node, begun)| self.hashed(*node, begun, index, job));
                return (index, join_all(hashes).await);
            }
            ahead = next_step(ahead, index, begun.iter().flatten());
            tries += 1;
        }
    }

    /// Where the foremost of the replicas is.
    async fn foremost(&self, shard: Option<u16>, nodes: &[NodeId]) -> u64 {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let asked = nodes.iter().map(|node| self.ask(*node, Question::Applied { shard }, deadline));
        let applied = join_all(asked).await.into_iter().filter_map(|answer| match answer {
            Ok(Answer::Applied { index }) => Some(index),
            // It says so again when it is asked for its rows.
            _ => None,
        });
        applied.max().unwrap_or(0)
    }

    async fn begin_hash(&self, node: NodeId, shard: Option<u16>, index: u64, job: u64) -> Told<Answer> {
        let deadline = Instant::now() + REACH_TIMEOUT + ANSWER_TIMEOUT;
        self.ask(node, Question::Hash { shard, index, job }, deadline).await
    }

    /// Waits for the hashes of one replica.
    async fn hashed(&self, node: NodeId, begun: Told<Answer>, index: u64, job: u64) -> Hashes {
        match begun? {
            Answer::Seen {} => {}
            Answer::Missed { applied } => return Err(format!("it was at {applied} where the others met at {index}")),
            _ => return Err(OTHER_ANSWER.to_owned()),
        }
        let (until, mut silences) = (Instant::now() + SHARD_TIMEOUT, 0);
        while Instant::now() < until {
            match self.ask(node, Question::Hashed { job }, Instant::now() + ANSWER_TIMEOUT).await {
                Ok(Answer::Hashed { slots }) => return Ok(slots),
                Ok(Answer::Hashing { .. }) => silences = 0,
                Ok(_) => return Err(OTHER_ANSWER.to_owned()),
                Err(reason) if silences == SILENCES_MAX => return Err(reason),
                Err(_) => silences += 1,
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Err(format!("its rows were not read within {} s", SHARD_TIMEOUT.as_secs()))
    }
}

/// How far ahead of the foremost replica to look next, after some of them missed an index that was `ahead` of it.
fn next_step<'a>(ahead: u64, index: u64, begun: impl Iterator<Item = &'a Answer>) -> u64 {
    let missed = begun.filter_map(|begun| if let Answer::Missed { applied } = begun { Some(*applied) } else { None });
    match missed.map(|applied| applied.saturating_sub(index)).max() {
        // Nobody has passed it, and somebody never came there: the log stands still, or moves slowly.
        Some(0) | None => ahead / 4,
        Some(passed) => (2 * (ahead + passed)).clamp(AHEAD_MIN, AHEAD_MAX),
    }
}

/// Slots whose rows are not the same on all nodes.
fn differences(shard: Option<u16>, index: u64, seen: &[(u32, Vec<SlotForm>)]) -> Vec<String> {
    let all: BTreeSet<u16> = seen.iter().flat_map(|(_, hashes)| hashes).map(|of| of.slot).collect();
    // A slot without rows is not told of; slots come in order.
    let of_node = |slot: u16, hashes: &[SlotForm]| match hashes.binary_search_by_key(&slot, |of| of.slot) {
        Ok(at) => hashes[at],
        Err(_) => SlotForm { slot, rows: 0, hash: (0, 0) },
    };
    let of_slot = |slot: u16| seen.iter().map(|(node, hashes)| (*node, of_node(slot, hashes))).collect::<Vec<_>>();
    let slots = all.into_iter().map(|slot| (slot, of_slot(slot)));
    let differing = slots.filter(|(_, of)| of.windows(2).any(|two| two[0].1 != two[1].1));
    differing
        .map(|(slot, of)| {
            let place = match slot.checked_sub(SLOTS) {
                Some(_) => format!("rows of {} as a whole", label(shard)),
                None => format!("rows of {}, slot {slot}", label(shard)),
            };
            let each = of.iter().map(|(node, of)| format!("node {node} has {} with hash {:016x}", of.rows, of.hash.0));
            format!("{place}, at index {index}: {}", each.collect::<Vec<_>>().join(", "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(rows: &[(u16, u64, u64)]) -> Vec<SlotForm> {
        rows.iter().map(|&(slot, rows, hash)| SlotForm { slot, rows, hash: (hash, 0) }).collect()
    }

    #[test]
    fn a_slot_that_differs_is_named_with_what_each_node_has() {
        let same = slots(&[(0, 2, 7), (1, 0, 0), (1024, 3, 9)]);
        let of = |other: &[(u16, u64, u64)]| differences(Some(0), 5, &[(1, same.clone()), (2, slots(other))]);
        assert_eq!(of(&[(0, 2, 7), (1, 0, 0), (1024, 3, 9)]), Vec::<String>::new());
        assert_eq!(
            of(&[(0, 2, 8), (1, 0, 0), (1024, 3, 9)]),
            [
                "rows of shard 0, slot 0, at index 5: node 1 has 2 with hash 0000000000000007, node 2 has 2 with hash 0000000000000008"
            ]
        );
        assert!(
            of(&[(0, 2, 7), (1, 0, 0), (1024, 2, 9)])[0]
                .starts_with("rows of shard 0 as a whole, at index 5: node 1 has 3")
        );
        let missing = of(&[(0, 2, 7), (1, 0, 0)]);
        assert!(missing[0].ends_with("node 2 has 0 with hash 0000000000000000"), "{missing:?}");
        let low_half = |low| vec![SlotForm { slot: 0, rows: 1, hash: (1, low) }];
        assert_eq!(differences(None, 5, &[(1, low_half(1)), (2, low_half(2))]).len(), 1);
        assert_eq!(differences(None, 5, &[(1, low_half(1))]), Vec::<String>::new(), "one replica agrees with itself");
    }

    #[test]
    fn the_step_grows_with_the_load_and_is_none_at_rest() {
        let missed =
            |applied: &[u64]| applied.iter().map(|applied| Answer::Missed { applied: *applied }).collect::<Vec<_>>();
        let step = |ahead, applied: &[u64]| next_step(ahead, 100, missed(applied).iter());
        assert_eq!(step(0, &[101]), AHEAD_MIN);
        assert_eq!(step(8, &[90, 130]), 76);
        assert_eq!(step(AHEAD_MAX, &[900]), AHEAD_MAX);
        assert_eq!(step(64, &[99, 60]), 16);
        assert_eq!(step(3, &[99]), 0);
    }
}
