//! The active groups of one host, and which of them are let go.
//!
//! A sweep must not look at every group: of a million it would keep the arbiter busy for longer than a turn may
//! wait. So there is a queue beside the map, and a sweep looks at its front only. A group that was used since it
//! came into the queue goes to the back once more; one that was not, is let go (second chance).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix::Addr;
use rustc_hash::FxHashMap;

use super::group::GroupActor;
use super::message::{BusyCount, GroupKey};
use crate::metrics;

/// Groups that one sweep looks at: with four sweeps a second more than any node activates.
const SWEPT_GROUPS_MAX: usize = 16_384;

/// An active group as its host sees it.
pub(super) struct Active<G = Addr<GroupActor>> {
    pub group: G,
    pub busy: BusyCount,
    pub last_used: Instant,
}

impl<G> Active<G> {
    pub fn new(group: G) -> Self {
        metrics::get().activations.increment(1);
        metrics::get().groups_active.increment(1.0);
        Self { group, busy: BusyCount::default(), last_used: Instant::now() }
    }
}

impl<G> Drop for Active<G> {
    fn drop(&mut self) {
        metrics::get().groups_active.decrement(1.0);
    }
}

/// By key, with the order in which they are looked at. Dropping a group's address ends its actor.
pub(super) struct ActiveGroups<G = Addr<GroupActor>> {
    groups: FxHashMap<GroupKey, Active<G>>,
    /// With the last use that is known of each; keys of groups that are gone are passed over.
    queue: VecDeque<(Instant, GroupKey)>,
}

impl<G> Default for ActiveGroups<G> {
    fn default() -> Self {
        Self { groups: FxHashMap::default(), queue: VecDeque::new() }
    }
}

impl<G> ActiveGroups<G> {
    pub fn get_mut(&mut self, key: &GroupKey) -> Option<&mut Active<G>> {
        self.groups.get_mut(key)
    }

    pub fn insert(&mut self, key: GroupKey, active: Active<G>) {
        self.queue.push_back((active.last_used, key.clone()));
        self.groups.insert(key, active);
    }

    pub fn remove(&mut self, key: &GroupKey) {
        self.groups.remove(key);
    }

    /// Lets go of groups that were idle for so long, and of those used longest ago beyond so many; returns how many.
    pub fn sweep(&mut self, now: Instant, idle: Duration, groups_max: usize) -> usize {
        let before = self.groups.len();
        for _ in 0..self.queue.len().min(SWEPT_GROUPS_MAX) {
            let is_over = self.groups.len() > groups_max;
            let is_old = |(used, _): &(Instant, GroupKey)| now.saturating_duration_since(*used) >= idle;
            if !is_over && !self.queue.front().is_some_and(is_old) {
                break;
            }
            let Some((used, key)) = self.queue.pop_front() else { break };
            let Some(active) = self.groups.get(&key) else { continue };
            if !active.busy.is_zero() {
                self.queue.push_back((now, key));
            } else if active.last_used > used {
                self.queue.push_back((active.last_used, key));
            } else {
                self.groups.remove(&key);
            }
        }
        before - self.groups.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AppId, GroupId};

    const IDLE: Duration = Duration::from_secs(60);

    fn active(last_used: Instant) -> Active<()> {
        let mut active = Active::new(());
        active.last_used = last_used;
        active
    }

    fn key(n: usize) -> GroupKey {
        GroupKey { app: AppId(1), id: GroupId::parse(&format!("g{n}")).expect("an id") }
    }

    /// Groups 0.. used in that order, a second between two.
    fn groups(count: usize, start: Instant) -> ActiveGroups<()> {
        let mut groups = ActiveGroups::default();
        for n in 0..count {
            groups.insert(key(n), active(start + Duration::from_secs(n as u64)));
        }
        groups
    }

    fn left(groups: &mut ActiveGroups<()>, count: usize) -> Vec<usize> {
        (0..count).filter(|n| groups.get_mut(&key(*n)).is_some()).collect()
    }

    #[test]
    fn only_what_was_idle_for_so_long_is_let_go() {
        let start = Instant::now();
        let mut all = groups(5, start);
        all.get_mut(&key(1)).expect("active").last_used = start + IDLE;
        let busy = all.get_mut(&key(2)).expect("active").busy.enter();
        assert_eq!(all.sweep(start + Duration::from_secs(59), IDLE, 9), 0);
        assert_eq!(all.sweep(start + Duration::from_secs(63), IDLE, 9), 2);
        assert_eq!(left(&mut all, 5), [1, 2, 4]);
        drop(busy);
        assert_eq!(all.sweep(start + Duration::from_secs(64), IDLE, 9), 1);
        assert_eq!(left(&mut all, 5), [1, 2], "one was used, one was busy a second ago");
        assert_eq!(all.sweep(start + Duration::from_secs(123), IDLE, 9), 2);
        assert_eq!(all.groups.len(), 0);
    }

    #[test]
    fn beyond_so_many_those_used_longest_ago_are_let_go() {
        let start = Instant::now();
        let mut all = groups(10, start);
        all.get_mut(&key(0)).expect("active").last_used = start + Duration::from_secs(20);
        let _busy = all.get_mut(&key(1)).expect("active").busy.enter();
        assert_eq!(all.sweep(start + Duration::from_secs(20), IDLE, 4), 6);
        assert_eq!(left(&mut all, 10), [0, 1, 8, 9]);
    }

    #[test]
    fn what_cannot_be_let_go_does_not_hold_a_sweep_up() {
        let start = Instant::now();
        let mut all = groups(10, start);
        let _busy: Vec<_> = (0..10).map(|n| all.get_mut(&key(n)).expect("active").busy.enter()).collect();
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
        all.insert(key(0), active(start + IDLE));
        assert_eq!(all.sweep(start + IDLE, IDLE, 9), 0);
        assert_eq!(all.sweep(start + IDLE * 2, IDLE, 9), 1);
        assert_eq!(all.sweep(start + IDLE * 9, IDLE, 9), 0);
    }
}
