//! The steward of a shard: while this replica leads, it brings the shard's membership to what is planned, one step
//! at a time.
//!
//! New copies are learners first and become voters all at once when they have caught up: from one voter to three in
//! one joint change, never through two, where either one's death would stop the shard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::replica::Gate;
use super::types::Raft;
use crate::placement::Plan;
use crate::slot::ShardId;

/// How often the plan is compared with what is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A learner that lacks fewer entries has caught up: what is still on its way will have arrived with the change.
const LAG_ENTRIES_MAX: u64 = 128;
/// Leadership is moved to where it is planned only if this replica has led for so long: after a failure, service
/// comes before order.
const LED_FOR_MIN: Duration = Duration::from_secs(5);
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
}

enum Step {
    AddLearner(u64),
    SetVoters(BTreeSet<u64>),
    Transfer(u64),
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
            let Some(call) = self.gate.enter().await else { return };
            if tokio::time::timeout(STEP_TIMEOUT, self.take(step)).await.is_err() {
                tracing::warn!(shard = self.shard.0, "a change of the shard's replicas takes long");
            }
            drop(call);
        }
    }

    /// What is to be done next, if anything.
    fn next(&self, may_transfer: bool) -> Option<Step> {
        let plan = self.plan.borrow().replicas.clone();
        let metrics = self.raft.metrics();
        let now = metrics.borrow_watched();
        let replication = now.replication.as_ref()?;
        let membership = now.membership_config.membership();
        let known: BTreeSet<u64> = membership.nodes().map(|(node, ())| *node).collect();
        if let Some(missing) = plan.iter().find(|node| !known.contains(node)) {
            return Some(Step::AddLearner(*missing));
        }
        let last = now.last_log_index.unwrap_or(0);
        let lag = |node: &u64| match replication.get(node) {
            Some(Some(matched)) => last.saturating_sub(matched.index()),
            _ => u64::MAX,
        };
        let has_caught_up = |node: &u64| *node == self.node || lag(node) <= LAG_ENTRIES_MAX;
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let wanted: BTreeSet<u64> = plan.iter().copied().collect();
        let is_joint = membership.get_joint_config().len() > 1;
        // An even number of voters bears no more failures than one less, and stops sooner.
        let is_odd = wanted.len() % 2 == 1;
        // Whoever has just been started may remember fewer nodes than there are: copies are not given up for that.
        let is_enough = wanted.len() >= voters.len();
        if is_odd && is_enough && (is_joint || voters != wanted || known != wanted) && wanted.iter().all(has_caught_up)
        {
            return Some(Step::SetVoters(wanted));
        }
        if is_joint {
            // Begun by a leader that is gone, towards a plan that has changed: to be finished all the same.
            return membership.get_joint_config().last().cloned().map(Step::SetVoters);
        }
        let best = *plan.first()?;
        let is_due = may_transfer && best != self.node && voters.contains(&best) && has_caught_up(&best);
        is_due.then_some(Step::Transfer(best))
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
                if let Err(error) = self.raft.change_membership(voters, false).await {
                    tracing::debug!(shard, %error, "the replicas were not changed; tried again");
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
