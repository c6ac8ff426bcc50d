//! The active groups of one host, and which of them are let go.
//!
//! A sweep must not look at every group: of a million it would keep the arbiter busy for longer than a turn may
//! wait. So there is a queue beside the map, and a sweep looks at its front only. A group that was used since it
//! came into the queue goes to the back once more; one that was not, is let go (second chance).

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Addr;
use rustc_hash::FxHashSet;

use super::group::GroupActor;
use super::message::{Badge, GroupKey};
use crate::metrics;

/// Groups that one sweep looks at: with four sweeps a second more than any node activates.
const SWEPT_GROUPS_MAX: usize = 16_384;

/// An active group as its host sees it; found by its name.
pub(super) struct Active<G = Addr<GroupActor>> {
    pub group: G,
    pub badge: Arc<Badge>,
}

impl<G> Active<G> {
    pub fn new(group: G, badge: Arc<Badge>) -> Self {
        metrics::get().activations.increment(1);
        metrics::get().groups_active.increment(1.0);
        Self { group, badge }
    }
}

impl<G> Drop for Active<G> {
    fn drop(&mut self) {
        metrics::get().groups_active.decrement(1.0);
    }
}

impl<G> Borrow<GroupKey> for Active<G> {
    fn borrow(&self) -> &GroupKey {
        &self.badge.key
    }
}

impl<G> Hash for Active<G> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.badge.key.hash(state);
    }
}

impl<G> PartialEq for Active<G> {
    fn eq(&self, other: &Self) -> bool {
        self.badge.key == other.badge.key
    }
}

impl<G> Eq for Active<G> {}

/// By name, with the order in which they are looked at. Dropping a group's address ends its actor.
pub(super) struct ActiveGroups<G = Addr<GroupActor>> {
    groups: FxHashSet<Active<G>>,
    /// With the last use that is known of each; groups that are gone are passed over.
    queue: VecDeque<(u64, Arc<Badge>)>,
    /// Uses are counted in milliseconds from here: a moment takes half the memory then.
    began: Instant,
}

impl<G> ActiveGroups<G> {
    pub fn new(began: Instant) -> Self {
        Self { groups: FxHashSet::default(), queue: VecDeque::new(), began }
    }

    fn millis(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.began).as_millis() as u64
    }

    /// Finds a group that is going to be used.
    pub fn get(&self, key: &GroupKey, now: Instant) -> Option<&Active<G>> {
        self.groups.get(key).inspect(|active| active.badge.use_at(self.millis(now)))
    }

    pub fn insert(&mut self, active: Active<G>, now: Instant) {
        let now = self.millis(now);
        active.badge.use_at(now);
        self.queue.push_back((now, active.badge.clone()));
        self.groups.replace(active);
    }

    pub fn remove(&mut self, key: &GroupKey) {
        self.groups.remove(key);
    }

    /// Lets go of groups that were idle for so long, and of those used longest ago beyond so many; returns how many.
    pub fn sweep(&mut self, now: Instant, idle: Duration, groups_max: usize) -> usize {
        let before = self.groups.len();
        let (now, idle) = (self.millis(now), idle.as_millis() as u64);
        for _ in 0..self.queue.len().min(SWEPT_GROUPS_MAX) {
            let is_over = self.groups.len() > groups_max;
            let is_old = |(used, _): &(u64, Arc<Badge>)| now.saturating_sub(*used) >= idle;
            if !is_over && !self.queue.front().is_some_and(is_old) {
                break;
            }
            let Some((used, badge)) = self.queue.pop_front() else { break };
            if !self.groups.get(&badge.key).is_some_and(|active| Arc::ptr_eq(&active.badge, &badge)) {
                continue;
            }
            if badge.is_busy() {
                self.queue.push_back((now, badge));
            } else if badge.last_used() > used {
                self.queue.push_back((badge.last_used(), badge));
            } else {
                self.groups.remove(&badge.key);
            }
        }
        before - self.groups.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::message::Busy;
    use crate::id::{AppId, GroupId};

    const IDLE: Duration = Duration::from_secs(60);

    fn key(n: usize) -> GroupKey {
        GroupKey { app: AppId(1), id: GroupId::parse(&format!("g{n}")).expect("an id") }
    }

    /// Groups 0.. used in that order, a second between two.
    fn groups(count: usize, start: Instant) -> ActiveGroups<()> {
        let mut groups = ActiveGroups::new(start);
        for n in 0..count {
            activate(&mut groups, n, start + Duration::from_secs(n as u64));
        }
        groups
    }

    fn activate(groups: &mut ActiveGroups<()>, n: usize, now: Instant) {
        groups.insert(Active::new((), Badge::new(key(n))), now);
    }

    fn enter(groups: &ActiveGroups<()>, n: usize) -> Busy {
        groups.groups.get(&key(n)).expect("active").badge.enter()
    }

    fn left(groups: &ActiveGroups<()>, count: usize) -> Vec<usize> {
        (0..count).filter(|n| groups.groups.contains(&key(*n))).collect()
    }

    #[test]
    fn only_what_was_idle_for_so_long_is_let_go() {
        let start = Instant::now();
        let mut all = groups(5, start);
        all.get(&key(1), start + IDLE).expect("active");
        let busy = enter(&all, 2);
        assert_eq!(all.sweep(start + Duration::from_secs(59), IDLE, 9), 0);
        assert_eq!(all.sweep(start + Duration::from_secs(63), IDLE, 9), 2);
        assert_eq!(left(&all, 5), [1, 2, 4]);
        drop(busy);
        assert_eq!(all.sweep(start + Duration::from_secs(64), IDLE, 9), 1);
        assert_eq!(left(&all, 5), [1, 2], "one was used, one was busy a second ago");
        assert_eq!(all.sweep(start + Duration::from_secs(123), IDLE, 9), 2);
        assert_eq!(all.groups.len(), 0);
    }

    #[test]
    fn beyond_so_many_those_used_longest_ago_are_let_go() {
        let start = Instant::now();
        let mut all = groups(10, start);
        all.get(&key(0), start + Duration::from_secs(20)).expect("active");
        let _busy = enter(&all, 1);
        assert_eq!(all.sweep(start + Duration::from_secs(20), IDLE, 4), 6);
        assert_eq!(left(&all, 10), [0, 1, 8, 9]);
    }

    #[test]
    fn what_cannot_be_let_go_does_not_hold_a_sweep_up() {
        let start = Instant::now();
        let mut all = groups(10, start);
        let _busy: Vec<_> = (0..10).map(|n| enter(&all, n)).collect();
        assert_eq!(all.sweep(start + IDLE * 2, IDLE, 4), 0);
        assert_eq!(all.groups.len(), 10);
    }

    #[test]
    fn one_sweep_looks_at_so_many_groups_only() {
        let start = Instant::now();
        let mut all = groups(SWEPT_GROUPS_MAX + 1, start);
        let late = start + IDLE + Duration::from_secs(SWEPT_GROUPS_MAX as u64 + 1);
        assert_eq!(all.sweep(late, IDLE, usize::MAX), SWEPT_GROUPS_MAX);
        assert_eq!(all.sweep(late, IDLE, usize::MAX), 1);
    }

    #[test]
    fn a_group_that_went_and_came_back_is_swept_as_what_it_is_now() {
        let start = Instant::now();
        let mut all = groups(1, start);
        all.remove(&key(0));
        activate(&mut all, 0, start + IDLE);
        assert_eq!(all.sweep(start + IDLE, IDLE, 9), 0);
        assert_eq!(all.sweep(start + IDLE * 2, IDLE, 9), 1);
        assert_eq!(all.sweep(start + IDLE * 9, IDLE, 9), 0);
    }
}
