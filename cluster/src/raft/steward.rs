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
/// A leadership that has not arrived by then is handed over again, to somebody else perhaps.
const HAND_AGAIN_AFTER: Duration = Duration::from_secs(1);
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
    /// This node is about to stop: it leads nothing that somebody else can lead.
    pub(super) leaving: watch::Receiver<bool>,
}

#[derive(Debug, PartialEq, Eq)]
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
        let mut handed_at: Option<Instant> = None;
        loop {
            tokio::select! {
                changed = self.plan.changed() => if changed.is_err() { return },
                changed = self.leaving.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let leads = self.raft.server_metrics().borrow_watched().state == ServerState::Leader;
            led_since = if leads { Some(led_since.unwrap_or_else(Instant::now)) } else { None };
            let Some(since) = led_since else { continue };
            let may_transfer = match *self.leaving.borrow() {
                true => handed_at.is_none_or(|at| at.elapsed() >= HAND_AGAIN_AFTER),
                false => since.elapsed() >= LED_FOR_MIN,
            };
            let Some(step) = self.next(may_transfer) else { continue };
            if let Step::Transfer(_) = step {
                // While leadership is on its way the shard takes no changes: not again before long.
                (led_since, handed_at) = (Some(Instant::now()), Some(Instant::now()));
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
        let is_leaving = *self.leaving.borrow();
        let is_stalled = matches!(self.disk.health(), Health::Stalled { millis } if millis >= STALLED_MS);
        let gives_up = (is_leaving || is_stalled).then_some(self.shard);
        let leader = || next_leader(self.node, &plan, &now, gives_up).filter(|_| may_transfer);
        match is_leaving {
            true => leader(),
            false => next_membership(self.node, &plan, &now).or_else(leader),
        }
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
                if voters.iter().any(|voter| *voter != self.node) {
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
                tracing::info!(shard, to = format_args!("{to:016x}"), "leadership is handed over");
                if let Err(error) = self.raft.trigger().transfer_leader(to).await {
                    tracing::debug!(shard, %error, "leadership was not handed over; tried again");
                }
            }
        }
    }
}

/// The next step of the replica `me`, which leads, towards the voters and learners that are planned.
fn next_membership(me: u64, plan: &Plan, now: &RaftMetrics<Types>) -> Option<Step> {
    let membership = now.membership_config.membership();
    let known: BTreeSet<u64> = membership.nodes().map(|(node, ())| *node).collect();
    let planned = || plan.voters.iter().chain(&plan.learners);
    if let Some(missing) = planned().find(|node| !known.contains(node)) {
        return Some(Step::AddLearner(*missing));
    }
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let wanted: BTreeSet<u64> = plan.voters.iter().copied().collect();
    let is_joint = membership.get_joint_config().len() > 1;
    let have_caught_up = || wanted.iter().all(|node| has_caught_up(me, *node, now));
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

/// Who had best lead, if somebody else than the replica `me`, which does. Of a shard that it `gives_up` anybody who can:
/// what one node led is spread over the others, as every so many shards are planned to be led by the same node.
fn next_leader(me: u64, plan: &Plan, now: &RaftMetrics<Types>, gives_up: Option<ShardId>) -> Option<Step> {
    // Of appends and heartbeats: whoever takes the ones is sent none of the others.
    let answered = |node: &u64| now.heartbeat.as_ref()?.get(node)?.as_ref().map(|at| at.elapsed());
    let voters: BTreeSet<u64> = now.membership_config.membership().voter_ids().collect();
    let can_lead = |node: &&u64| {
        **node != me
            && voters.contains(node)
            && has_caught_up(me, **node, now)
            && answered(node).is_some_and(|ago| ago < ALIVE_WITHIN)
    };
    let heirs: Vec<u64> = match gives_up {
        Some(_) => voters.iter().filter(can_lead).copied().collect(),
        None => plan.voters.first().filter(can_lead).copied().into_iter().collect(),
    };
    let turn = gives_up.map_or(0, |shard| usize::from(shard.0) / (heirs.len() + 1));
    (!heirs.is_empty()).then(|| Step::Transfer(heirs[turn % heirs.len()]))
}

fn has_caught_up(me: u64, node: u64, now: &RaftMetrics<Types>) -> bool {
    let matched = now.replication.as_ref().and_then(|replication| replication.get(&node)?.as_ref());
    let last = now.last_log_index.unwrap_or(0);
    node == me || matched.is_some_and(|matched| last.saturating_sub(matched.index()) <= LAG_ENTRIES_MAX)
}

#[cfg(test)]
mod tests {
    use openraft::type_config::TypeConfigExt;
    use openraft::{Membership, StoredMembership};

    use super::*;
    use crate::raft::types::LogId;

    const LAST: u64 = 1000;
    const GIVEN_UP: Option<ShardId> = Some(ShardId(0));

    /// The first incarnation of a node.
    fn node(number: u64) -> u64 {
        number << 32
    }

    fn set(numbers: &[u64]) -> BTreeSet<u64> {
        numbers.iter().copied().map(node).collect()
    }

    fn plan(voters: &[u64], learners: &[u64]) -> Plan {
        let nodes = |numbers: &[u64]| numbers.iter().copied().map(node).collect();
        Plan { voters: nodes(voters), learners: nodes(learners) }
    }

    /// What node 1 knows as the leader of a shard in which everybody has everything and has just answered.
    fn leads(configs: &[&[u64]], learners: &[u64]) -> RaftMetrics<Types> {
        let configs: Vec<BTreeSet<u64>> = configs.iter().map(|voters| set(voters)).collect();
        let all: BTreeSet<u64> = configs.iter().flatten().copied().chain(set(learners)).collect();
        let membership = Membership::new(configs, all.clone()).expect("a membership");
        let mut now = RaftMetrics::<Types>::new_initial(node(1));
        now.membership_config = Arc::new(StoredMembership::new(None, membership));
        now.last_log_index = Some(LAST);
        now.replication = Some(all.iter().map(|node| (*node, Some(LogId::new(1.into(), LAST)))).collect());
        now.heartbeat = Some(all.iter().map(|node| (*node, Some(Types::now().into()))).collect());
        now
    }

    fn lags(now: &mut RaftMetrics<Types>, number: u64, by: Option<u64>) {
        let matched = by.map(|by| LogId::new(1.into(), LAST - by));
        now.replication.as_mut().expect("it leads").insert(node(number), matched);
    }

    fn membership(plan: &Plan, now: &RaftMetrics<Types>) -> Option<Step> {
        next_membership(node(1), plan, now)
    }

    #[test]
    fn from_one_voter_to_three_in_one_step_when_both_have_caught_up() {
        let wanted = plan(&[2, 1, 3], &[]);
        assert_eq!(membership(&wanted, &leads(&[&[1]], &[])), Some(Step::AddLearner(node(2))));
        assert_eq!(membership(&wanted, &leads(&[&[1]], &[2])), Some(Step::AddLearner(node(3))));
        let mut now = leads(&[&[1]], &[2, 3]);
        for lag in [None, Some(LAG_ENTRIES_MAX + 1)] {
            lags(&mut now, 3, lag);
            assert_eq!(membership(&wanted, &now), None, "one of them is not there yet: {lag:?}");
        }
        lags(&mut now, 3, Some(LAG_ENTRIES_MAX));
        assert_eq!(membership(&wanted, &now), Some(Step::SetVoters(set(&[1, 2, 3]))));
        assert_eq!(membership(&wanted, &leads(&[&[1, 2, 3]], &[])), None);
    }

    #[test]
    fn an_even_number_and_fewer_than_there_are_do_not_vote() {
        assert_eq!(membership(&plan(&[1, 2], &[]), &leads(&[&[1]], &[2])), None);
        assert_eq!(
            membership(&plan(&[1], &[]), &leads(&[&[1, 2, 3]], &[])),
            None,
            "it remembers fewer nodes than there are"
        );
    }

    #[test]
    fn a_voter_makes_room_for_another_in_one_step() {
        let now = leads(&[&[1, 2, 3]], &[4]);
        assert_eq!(membership(&plan(&[1, 2, 4], &[3]), &now), Some(Step::SetVoters(set(&[1, 2, 4]))));
        assert_eq!(membership(&plan(&[2, 3, 4], &[1]), &now), Some(Step::SetVoters(set(&[2, 3, 4]))), "also its own");
    }

    #[test]
    fn a_change_that_somebody_has_begun_is_finished() {
        let now = leads(&[&[1, 2, 3], &[1, 2, 4]], &[]);
        // Four have a vote meanwhile, and three are not to be fewer: what was begun first, then what is planned.
        assert_eq!(membership(&plan(&[1, 3, 4], &[2]), &now), Some(Step::SetVoters(set(&[1, 2, 4]))));
        let mut now = leads(&[&[1], &[1, 2, 3]], &[4]);
        let wanted = plan(&[1, 3, 4], &[2]);
        assert_eq!(membership(&wanted, &now), Some(Step::SetVoters(set(&[1, 3, 4]))), "the plan has changed");
        lags(&mut now, 4, None);
        assert_eq!(membership(&wanted, &now), Some(Step::SetVoters(set(&[1, 2, 3]))), "and has to wait");
    }

    #[test]
    fn who_came_back_with_a_new_folder_takes_the_old_place_and_then_the_old_name_is_forgotten() {
        let again = node(3) + 1;
        let wanted = Plan { voters: vec![node(1), node(2), again], learners: vec![] };
        assert_eq!(membership(&wanted, &leads(&[&[1, 2, 3]], &[])), Some(Step::AddLearner(again)));
        let new: BTreeSet<u64> = wanted.voters.iter().copied().collect();
        let with = |voters: &BTreeSet<u64>| {
            let mut now = leads(&[&[1, 2, 3]], &[]);
            let all: BTreeSet<u64> = new.iter().copied().chain([node(3)]).collect();
            let membership = Membership::new(vec![voters.clone()], all).expect("a membership");
            now.membership_config = Arc::new(StoredMembership::new(None, membership));
            now.replication.as_mut().expect("it leads").insert(again, Some(LogId::new(1.into(), LAST)));
            now
        };
        assert_eq!(membership(&wanted, &with(&set(&[1, 2, 3]))), Some(Step::SetVoters(new.clone())));
        assert_eq!(membership(&wanted, &with(&new)), Some(Step::Forget(set(&[3]))));
    }

    #[test]
    fn leadership_goes_where_it_is_planned_if_somebody_is_there_to_take_it() {
        let wanted = plan(&[3, 1, 2], &[4]);
        let leader = |plan: &Plan, now: &RaftMetrics<Types>| next_leader(node(1), plan, now, None);
        let mut now = leads(&[&[1, 2, 3]], &[4]);
        assert_eq!(leader(&wanted, &now), Some(Step::Transfer(node(3))));
        assert_eq!(leader(&plan(&[1, 2, 3], &[4]), &now), None, "it leads already");
        assert_eq!(leader(&plan(&[4, 1, 2], &[3]), &now), None, "it has no vote yet");
        lags(&mut now, 3, Some(LAG_ENTRIES_MAX + 1));
        assert_eq!(leader(&wanted, &now), None, "it lacks too much");
        let mut now = leads(&[&[1, 2, 3]], &[4]);
        for heard in [None, Some(Types::now() - ALIVE_WITHIN)] {
            now.heartbeat.as_mut().expect("it leads").insert(node(3), heard.map(Into::into));
            assert_eq!(leader(&wanted, &now), None, "it has not answered of late");
        }
    }

    #[test]
    fn whose_disk_hangs_hands_over_to_anybody_who_answers() {
        let wanted = plan(&[1, 2, 3], &[]);
        let mut now = leads(&[&[1, 2, 3]], &[]);
        assert_eq!(next_leader(node(1), &wanted, &now, GIVEN_UP), Some(Step::Transfer(node(2))));
        lags(&mut now, 2, None);
        assert_eq!(next_leader(node(1), &wanted, &now, GIVEN_UP), Some(Step::Transfer(node(3))));
        now.heartbeat = None;
        assert_eq!(next_leader(node(1), &wanted, &now, GIVEN_UP), None);
    }
}
