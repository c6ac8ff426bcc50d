//! The steward of a shard: while this replica leads, it brings the shard's membership to what is planned, one step
//! at a time.
//!
//! New copies are learners first and become voters all at once when they have caught up: from one voter to three in
//! one joint change, never through two, where either one's death would stop the shard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::{ChangeMembers, Instant as _, RaftMetrics, ServerState};
use tokio::sync::watch;
use tokio::time::Instant;

use super::replica::Gate;
use super::types::{Raft, Types};
use crate::disk::{Disk, Health};
use crate::peer::NodeId;
use crate::placement::Plan;
use crate::slot::ShardId;

/// How often the plan is compared with what is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A learner that lacks fewer entries has caught up: what is still on its way will have arrived with the change.
const LAG_ENTRIES_MAX: u64 = 128;
/// Leadership is moved to where it is planned only if this replica has led for so long: after a failure, service
/// comes before order.
const LED_FOR_MIN: Duration = Duration::from_secs(5);
/// Whoever has not answered for so long is not handed anything.
const ALIVE_WITHIN: Duration = Duration::from_secs(1);
/// A disk whose flush takes so long serves nobody: others lead.
const STALLED_MS: u64 = 5000;
/// A step that is not done by then is begun again.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Steward {
    pub(super) shard: ShardId,
    pub(super) node: u64,
    pub(super) raft: Raft,
    pub(super) gate: Gate,
    pub(super) plan: watch::Receiver<Plan>,
    /// Set before others may vote: from then on this replica no more answers for the shard alone.
    pub(super) has_company: Arc<AtomicBool>,
    pub(super) disk: Disk,
}

enum Step {
    AddLearner(u64),
    SetVoters(BTreeSet<u64>),
    /// Incarnations that others have taken the place of.
    Forget(BTreeSet<u64>),
    Transfer(u64),
}

/// Whether these voters may follow those.
pub(super) fn is_to_be(wanted: &BTreeSet<u64>, voters: &BTreeSet<u64>) -> bool {
    // An even number of voters bears no more failures than one less, and stops sooner.
    let is_odd = wanted.len() % 2 == 1;
    // Whoever has just been started may remember fewer nodes than there are: copies are not given up for that.
    is_odd && wanted.len() >= voters.len()
}

/// Incarnations without a vote that others of the same node have taken the place of.
pub(super) fn replaced(plan: &Plan, known: &BTreeSet<u64>, voters: &BTreeSet<u64>) -> BTreeSet<u64> {
    let is_replaced = |node: &u64| {
        let number = NodeId(*node).number();
        let mut planned = plan.voters.iter().chain(&plan.learners);
        !voters.contains(node) && planned.any(|now| now != node && NodeId(*now).number() == number)
    };
    known.iter().copied().filter(is_replaced).collect()
}

impl Steward {
    pub(super) async fn run(mut self) {
        let mut led_since = None;
        loop {
            tokio::select! {
                changed = self.plan.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let leads = self.raft.server_metrics().borrow_watched().state == ServerState::Leader;
            led_since = if leads { Some(led_since.unwrap_or_else(Instant::now)) } else { None };
            let Some(since) = led_since else { continue };
            let Some(step) = self.next(since.elapsed() >= LED_FOR_MIN) else { continue };
            if let Step::Transfer(_) = step {
                // While leadership is on its way the shard takes no changes: not again before long.
                led_since = Some(Instant::now());
            }
            let Some(call) = self.gate.enter().await else { return };
            if tokio::time::timeout(STEP_TIMEOUT, self.take(step)).await.is_err() {
                tracing::warn!(shard = self.shard.0, "a change of the shard's replicas takes long");
            }
            drop(call);
        }
    }

    /// What is to be done next, if anything.
    fn next(&self, may_transfer: bool) -> Option<Step> {
        let plan = self.plan.borrow().clone();
        let metrics = self.raft.metrics();
        let now = metrics.borrow_watched();
        self.next_membership(&plan, &now).or_else(|| self.next_leader(&plan, &now).filter(|_| may_transfer))
    }

    fn next_membership(&self, plan: &Plan, now: &RaftMetrics<Types>) -> Option<Step> {
        let membership = now.membership_config.membership();
        let known: BTreeSet<u64> = membership.nodes().map(|(node, ())| *node).collect();
        let planned = || plan.voters.iter().chain(&plan.learners);
        if let Some(missing) = planned().find(|node| !known.contains(node)) {
            return Some(Step::AddLearner(*missing));
        }
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let wanted: BTreeSet<u64> = plan.voters.iter().copied().collect();
        let is_joint = membership.get_joint_config().len() > 1;
        let have_caught_up = || wanted.iter().all(|node| self.has_caught_up(*node, now));
        if is_to_be(&wanted, &voters) && (is_joint || voters != wanted) && have_caught_up() {
            return Some(Step::SetVoters(wanted));
        }
        if is_joint {
            // Begun by a leader that is gone, towards a plan that has changed: to be finished all the same.
            return membership.get_joint_config().last().cloned().map(Step::SetVoters);
        }
        let replaced = replaced(plan, &known, &voters);
        (!replaced.is_empty()).then_some(Step::Forget(replaced))
    }

    /// Who had best lead, if somebody else than this replica.
    fn next_leader(&self, plan: &Plan, now: &RaftMetrics<Types>) -> Option<Step> {
        // Of appends and heartbeats: whoever takes the ones is sent none of the others.
        let answered = |node: &u64| now.heartbeat.as_ref()?.get(node)?.as_ref().map(|at| at.elapsed());
        let voters: BTreeSet<u64> = now.membership_config.membership().voter_ids().collect();
        let can_lead = |node: &&u64| {
            **node != self.node
                && voters.contains(node)
                && self.has_caught_up(**node, now)
                && answered(node).is_some_and(|ago| ago < ALIVE_WITHIN)
        };
        let is_stalled = matches!(self.disk.health(), Health::Stalled { millis } if millis >= STALLED_MS);
        let heir = match is_stalled {
            true => voters.iter().find(can_lead),
            false => plan.voters.first().filter(can_lead),
        };
        heir.map(|heir| Step::Transfer(*heir))
    }

    fn has_caught_up(&self, node: u64, now: &RaftMetrics<Types>) -> bool {
        let matched = now.replication.as_ref().and_then(|replication| replication.get(&node)?.as_ref());
        let last = now.last_log_index.unwrap_or(0);
        node == self.node || matched.is_some_and(|matched| last.saturating_sub(matched.index()) <= LAG_ENTRIES_MAX)
    }

    async fn take(&self, step: Step) {
        let shard = self.shard.0;
        match step {
            Step::AddLearner(node) => {
                tracing::info!(shard, node = format_args!("{node:016x}"), "a new replica is being filled");
                if let Err(error) = self.raft.add_learner(node, (), false).await {
                    tracing::debug!(shard, %error, "a replica was not added; tried again");
                }
            }
            Step::SetVoters(voters) => {
                if voters.len() > 1 {
                    self.has_company.store(true, Ordering::Release);
                }
                tracing::info!(shard, voters = voters.len(), "the shard's replicas change");
                // Whoever votes no more follows.
                if let Err(error) = self.raft.change_membership(voters, true).await {
                    tracing::debug!(shard, %error, "the replicas were not changed; tried again");
                }
            }
            Step::Forget(nodes) => {
                tracing::info!(shard, nodes = nodes.len(), "replicas that were replaced are forgotten");
                if let Err(error) = self.raft.change_membership(ChangeMembers::RemoveNodes(nodes), true).await {
                    tracing::debug!(shard, %error, "a replica was not forgotten; tried again");
                }
            }
            Step::Transfer(to) => {
                tracing::info!(shard, to = format_args!("{to:016x}"), "leadership goes where it is planned");
                if let Err(error) = self.raft.trigger().transfer_leader(to).await {
                    tracing::debug!(shard, %error, "leadership was not handed over; tried again");
                }
            }
        }
    }
}
