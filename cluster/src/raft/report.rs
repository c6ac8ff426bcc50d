//! What a replica says of itself and, where it leads, of the others: for those who look after the cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, RaftMetrics, ServerState};

use super::steward;
use super::types::{Raft, Types};
use crate::peer::NodeId;
use crate::placement::Plan;
use crate::slot::ShardId;

/// One replica at one moment, as far as it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaReport {
    /// `None`: of the meta group.
    pub shard: Option<ShardId>,
    pub term: u64,
    /// Who leads in that term: a hint, unless it is this replica and `leads` is set.
    pub leader: Option<NodeId>,
    /// It leads and has applied the blank entry of its term.
    pub leads: bool,
    /// It does nothing any more: its disk has failed, or the node stops.
    pub stopped: bool,
    /// Up to here the log is committed, as far as it knows.
    pub committed: u64,
    /// Up to here the log is in its rows.
    pub applied: u64,
    /// See [`crate::ShardHandle::heard`].
    pub heard: Option<Duration>,
    pub voters: Vec<NodeId>,
    pub learners: Vec<NodeId>,
    /// The others, as their leader sees them; empty where it does not lead.
    pub peers: Vec<PeerReport>,
    /// What its steward is about to change; empty where it does not lead.
    pub moves: Vec<Move>,
}

/// Another replica, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerReport {
    pub node: NodeId,
    /// Up to here it is known to have the log; `None`: this leader has not heard yet.
    pub matched: Option<u64>,
    /// How long ago it answered an append or a heartbeat; `None`: not since this replica leads.
    pub answered: Option<Duration>,
}

/// A difference between where a shard should be and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The node gets a replica.
    Fill(NodeId),
    /// The node's replica gets a vote once it has caught up.
    Promote(NodeId),
    /// The node's replica loses its vote and follows.
    Demote(NodeId),
    /// A change of the voters was begun and is to be finished.
    Finish,
    /// The incarnation was replaced by another one of the same node.
    Forget(NodeId),
    /// The node should lead, if it can.
    Lead(NodeId),
}

/// Who the replicas of a shard are.
pub(super) struct Replicas {
    pub(super) known: BTreeSet<u64>,
    pub(super) voters: BTreeSet<u64>,
    pub(super) is_joint: bool,
}

impl Replicas {
    pub(super) fn of(metrics: &RaftMetrics<Types>) -> Self {
        let membership = metrics.membership_config.membership();
        Self {
            known: membership.nodes().map(|(node, ())| *node).collect(),
            voters: membership.voter_ids().collect(),
            is_joint: membership.get_joint_config().len() > 1,
        }
    }
}

/// What is left to do until the replicas are as planned, led by `leader`.
pub(super) fn moves(plan: &Plan, replicas: &Replicas, leader: u64) -> Vec<Move> {
    let Replicas { known, voters, is_joint } = replicas;
    let planned = plan.voters.iter().chain(&plan.learners).copied();
    let mut moves: Vec<Move> =
        planned.filter(|node| !known.contains(node)).map(|node| Move::Fill(NodeId(node))).collect();
    if *is_joint {
        moves.push(Move::Finish);
    }
    let wanted: BTreeSet<u64> = plan.voters.iter().copied().collect();
    if steward::is_to_be(&wanted, voters) {
        moves.extend(wanted.difference(voters).map(|node| Move::Promote(NodeId(*node))));
        moves.extend(voters.difference(&wanted).map(|node| Move::Demote(NodeId(*node))));
    }
    moves.extend(steward::replaced(plan, known, voters).into_iter().map(|node| Move::Forget(NodeId(node))));
    let heir = plan.voters.first().filter(|heir| **heir != leader && voters.contains(heir));
    moves.extend(heir.map(|heir| Move::Lead(NodeId(*heir))));
    moves
}

/// What consensus knows, to be completed by the replica itself.
pub(super) fn of_raft(raft: &Raft, node: u64, plan: &Plan) -> ReplicaReport {
    let metrics = raft.metrics();
    let now = metrics.borrow_watched();
    let replicas = Replicas::of(&now);
    let leads = now.state == ServerState::Leader;
    let id = |node: &u64| NodeId(*node);
    ReplicaReport {
        shard: None,
        term: now.current_term,
        leader: now.current_leader.map(NodeId),
        leads: false,
        stopped: now.running_state.is_err(),
        committed: now.local_committed.map_or(0, |id| id.index()),
        applied: 0,
        heard: None,
        voters: replicas.voters.iter().map(id).collect(),
        learners: replicas.known.difference(&replicas.voters).map(id).collect(),
        peers: if leads { peers(&now, node) } else { Vec::new() },
        moves: if leads { moves(plan, &replicas, node) } else { Vec::new() },
    }
}

fn peers(now: &RaftMetrics<Types>, own: u64) -> Vec<PeerReport> {
    let Some(replication) = &now.replication else { return Vec::new() };
    // Of appends and heartbeats: whoever takes the ones is sent none of the others.
    let answered = |node: &u64| now.heartbeat.as_ref()?.get(node)?.as_ref().map(|at| at.elapsed());
    let others = replication.iter().filter(|(node, _)| **node != own);
    others
        .map(|(node, matched)| PeerReport {
            node: NodeId(*node),
            matched: matched.as_ref().map(|id| id.index()),
            answered: answered(node),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nodes: &[u64]) -> BTreeSet<u64> {
        nodes.iter().copied().collect()
    }

    fn left(plan: (&[u64], &[u64]), voters: &[u64], learners: &[u64], leader: u64) -> Vec<Move> {
        let plan = Plan { voters: plan.0.to_vec(), learners: plan.1.to_vec() };
        let known = set(voters).union(&set(learners)).copied().collect();
        moves(&plan, &Replicas { known, voters: set(voters), is_joint: false }, leader)
    }

    #[test]
    fn what_is_planned_and_is_not_so_is_a_move() {
        const OLD: u64 = 3 << 32 | 7;
        let [a, b, c, d] = [1 << 32, 2 << 32, 3 << 32, 4 << 32];
        assert_eq!(left((&[a], &[]), &[a], &[], a), []);
        assert_eq!(left((&[a, b, c], &[]), &[a, b, c], &[], a), []);
        // Nobody knows the nodes yet: nothing is planned.
        assert_eq!(left((&[], &[]), &[a], &[], a), []);
        let filled = [Move::Fill(NodeId(b)), Move::Fill(NodeId(c)), Move::Promote(NodeId(b)), Move::Promote(NodeId(c))];
        assert_eq!(left((&[a, b, c], &[]), &[a], &[], a), filled);
        // Two voters bear no more than one, so the second one follows.
        assert_eq!(left((&[a, b], &[]), &[a], &[b], a), []);
        assert_eq!(left((&[b, a, c], &[]), &[a, b, c], &[], a), [Move::Lead(NodeId(b))]);
        assert_eq!(left((&[a, b, d], &[c]), &[a, b, c], &[d], a), [Move::Promote(NodeId(d)), Move::Demote(NodeId(c))]);
        assert_eq!(left((&[a, b, c], &[]), &[a, b, c], &[OLD], a), [Move::Forget(NodeId(OLD))]);
    }

    #[test]
    fn a_change_that_was_begun_is_finished() {
        let replicas = Replicas { known: set(&[1, 2, 3]), voters: set(&[1, 2, 3]), is_joint: true };
        let plan = Plan { voters: vec![1, 2, 3], learners: vec![] };
        assert_eq!(moves(&plan, &replicas, 1), [Move::Finish]);
    }
}
