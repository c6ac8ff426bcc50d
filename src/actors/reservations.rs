//! Limits that span shards, held by the leader of the shard where the count is.
//!
//! A place is held from the moment it is asked for until its settling message changes the count, it is given back,
//! or [`HELD_FOR`] has passed. The answer rests on the count + places held, so concurrent callers cannot both have
//! the last one. The count is the one that the host has been told of, not the row's: rows may be ahead of what the
//! host knows, and a place would be counted twice until the host hears that it is settled.

use std::time::{Duration, Instant};

use muster_cluster::DiskError;
use rustc_hash::FxHashMap;

use super::message::{Cancel, Grant, Reserve};
use crate::group::AppLimit;
use crate::id::{AccountId, AppId};
use crate::shard::{Count, Lookups};

/// A place that is neither settled nor given back by then is free again.
const HELD_FOR: Duration = Duration::from_secs(10);

/// One limit of which places are held.
#[derive(Debug)]
struct Held {
    /// Without the places.
    count: i64,
    /// When each falls back; never empty.
    places: Vec<Instant>,
}

/// Places held in one leadership.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    accounts: FxHashMap<(AppId, AccountId), Held>,
    quotas: FxHashMap<(AppId, i32), Held>,
    apps: FxHashMap<(AppId, AppLimit), AppPlaces>,
    /// Places in limits of apps that were given back so far.
    given_back: u64,
}

/// Places in a limit on all groups of an app. The count beside them is never remembered: shards count for themselves,
/// and a place is given back as soon as its group is counted.
#[derive(Debug, Default)]
struct AppPlaces {
    /// When each falls back.
    held: Vec<Instant>,
    /// Those given back, in the order of their numbers, and when they may be forgotten.
    given_back: Vec<(u64, Instant)>,
}

impl AppPlaces {
    /// Places that are held, or were so after `since` had been given back: a count that was begun then may be without
    /// their groups.
    fn count(&self, since: u64) -> u64 {
        let later = self.given_back.iter().rev().take_while(|(number, _)| *number > since).count();
        (self.held.len() + later) as u64
    }
}

/// How much room there is for what was asked for.
#[derive(Debug)]
pub(super) struct Room {
    accounts: Vec<(AccountId, Place)>,
    quota: Option<(i32, Place)>,
    /// Whether there is a place of each.
    apps: Vec<(AppLimit, bool)>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    count: i64,
    is_free: bool,
}

impl Room {
    /// Whether there is a place of everything.
    pub fn is_enough(&self) -> bool {
        self.accounts.iter().all(|(_, place)| place.is_free)
            && self.quota.is_none_or(|(_, place)| place.is_free)
            && self.apps.iter().all(|(_, is_free)| *is_free)
    }
}

impl Reservations {
    /// To be taken before the groups of an app are counted; see [`Reservations::room`].
    pub fn mark(&self) -> u64 {
        self.given_back
    }

    /// Looks what there is room for; holds nothing. `groups` counts the app's groups that a limit is about, those at
    /// least that were made before places numbered after `since` were given back.
    ///
    /// # Errors
    /// A count that cannot be read.
    pub fn room(
        &self,
        lookups: &Lookups,
        reserve: &Reserve,
        since: u64,
        groups: impl Fn(AppLimit) -> Result<u64, DiskError>,
    ) -> Result<Room, DiskError> {
        let (app, limits) = (reserve.app, &reserve.limits);
        let mut accounts = Vec::with_capacity(reserve.accounts.len());
        for account in &reserve.accounts {
            let limit = if limits.groups_per_user == 0 { u64::MAX } else { limits.groups_per_user };
            let row = || lookups.joined_count(app, account).map(signed);
            accounts.push((account.clone(), place(&self.accounts, &(app, account.clone()), signed(limit), row)?));
        }
        let quota = match reserve.quota_day {
            Some(day) => {
                let limit = signed(limits.daily_net_groups);
                Some((day, place(&self.quotas, &(app, day), limit, || lookups.net_groups(app, day))?))
            }
            None => None,
        };
        let mut apps = Vec::with_capacity(reserve.app_limits.len());
        for &limit in &reserve.app_limits {
            let held = self.apps.get(&(app, limit)).map_or(0, |places| places.count(since));
            apps.push((limit, groups(limit)?.saturating_add(held) < limit.of(limits)));
        }
        Ok(Room { accounts, quota, apps })
    }

    /// Holds what is free.
    pub fn hold(&mut self, app: AppId, room: Room, now: Instant) -> Grant {
        let mut grant = Grant::default();
        let until = now + HELD_FOR;
        for (account, place) in room.accounts {
            if place.is_free {
                hold(&mut self.accounts, (app, account.clone()), place, until);
                grant.held.push(account);
            } else {
                grant.full.push(account);
            }
        }
        if let Some((day, place)) = room.quota {
            if place.is_free {
                hold(&mut self.quotas, (app, day), place, until);
            }
            (grant.quota_held, grant.quota_spent) = (place.is_free, !place.is_free);
        }
        for (limit, is_free) in room.apps {
            if is_free {
                self.apps.entry((app, limit)).or_default().held.push(until);
                grant.app_held.push(limit);
            } else {
                grant.app_full = Some(limit);
            }
        }
        grant
    }

    /// A count has changed; what was added had a place, which is counted now.
    pub fn settle(&mut self, count: &Count) {
        match count {
            Count::Groups { app, account, count, has_joined } => {
                if !self.accounts.is_empty() {
                    settle(&mut self.accounts, &(*app, account.clone()), signed(*count), i64::from(*has_joined));
                }
            }
            Count::Net { app, day, net, delta } => settle(&mut self.quotas, &(*app, *day), *net, *delta),
        }
    }

    pub fn cancel(&mut self, cancel: Cancel, now: Instant) {
        for account in cancel.accounts {
            release(&mut self.accounts, &(cancel.app, account));
        }
        if let Some(day) = cancel.quota_day {
            release(&mut self.quotas, &(cancel.app, day));
        }
        for limit in cancel.app_limits {
            if let Some(places) = self.apps.get_mut(&(cancel.app, limit))
                && places.held.pop().is_some()
            {
                self.given_back += 1;
                // Nobody counts for longer than a place is held.
                places.given_back.push((self.given_back, now + HELD_FOR));
            }
        }
    }

    pub fn expire(&mut self, now: Instant) {
        let is_held = |held: &mut Held| {
            held.places.retain(|until| *until > now);
            !held.places.is_empty()
        };
        self.accounts.retain(|_, held| is_held(held));
        self.quotas.retain(|_, held| is_held(held));
        self.apps.retain(|_, places| {
            places.held.retain(|until| *until > now);
            places.given_back.retain(|(_, until)| *until > now);
            !places.held.is_empty() || !places.given_back.is_empty()
        });
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// With no place held the row is as good as what the host knows: nothing can be counted twice.
fn place<K: std::hash::Hash + Eq>(
    limits: &FxHashMap<K, Held>,
    key: &K,
    limit: i64,
    row: impl FnOnce() -> Result<i64, DiskError>,
) -> Result<Place, DiskError> {
    let (count, places) = match limits.get(key) {
        Some(held) => (held.count, held.places.len()),
        None => (row()?, 0),
    };
    Ok(Place { count, is_free: count.saturating_add(places as i64) < limit })
}

fn hold<K: std::hash::Hash + Eq>(limits: &mut FxHashMap<K, Held>, key: K, place: Place, until: Instant) {
    limits.entry(key).or_insert(Held { count: place.count, places: Vec::new() }).places.push(until);
}

fn settle<K: std::hash::Hash + Eq>(limits: &mut FxHashMap<K, Held>, key: &K, count: i64, added: i64) {
    if let Some(held) = limits.get_mut(key) {
        held.count = count;
    }
    for _ in 0..added {
        release(limits, key);
    }
}

fn release<K: std::hash::Hash + Eq>(limits: &mut FxHashMap<K, Held>, key: &K) {
    if let Some(held) = limits.get_mut(key) {
        held.places.pop();
        if held.places.is_empty() {
            limits.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId(1);
    const DAY: i32 = 20_000;

    /// Asks for one of a day's new groups where the limit is 2; whether it was to be had.
    fn take(held: &mut Reservations, row: i64, now: Instant) -> bool {
        let place = place(&held.quotas, &(APP, DAY), 2, || Ok(row)).expect("a count");
        let room = Room { accounts: Vec::new(), quota: Some((DAY, place)), apps: Vec::new() };
        assert_eq!(room.is_enough(), place.is_free);
        let grant = held.hold(APP, room, now);
        assert_eq!(grant.quota_spent, !grant.quota_held);
        grant.quota_held
    }

    fn net(net: i64, delta: i64) -> Count {
        Count::Net { app: APP, day: DAY, net, delta }
    }

    #[test]
    fn a_place_is_held_until_it_is_counted_and_never_counted_twice() {
        let (mut held, now) = (Reservations::default(), Instant::now());
        assert!(take(&mut held, 0, now));
        // The row has the first group already, and the host has not heard of it: one place is left all the same.
        assert!(take(&mut held, 1, now));
        assert!(!take(&mut held, 1, now));
        held.settle(&net(1, 1));
        assert!(!take(&mut held, 1, now));
        held.settle(&net(2, 1));
        assert!(!take(&mut held, 2, now));
        held.settle(&net(1, -1));
        assert!(take(&mut held, 1, now));
    }

    #[test]
    fn what_ends_makes_room_and_takes_no_place_from_others() {
        let (mut held, now) = (Reservations::default(), Instant::now());
        assert!(take(&mut held, 1, now));
        held.settle(&net(0, -1));
        assert!(take(&mut held, 0, now));
        assert!(!take(&mut held, 0, now));
    }

    #[test]
    fn places_are_given_back_and_fall_back() {
        let (mut held, now) = (Reservations::default(), Instant::now());
        assert!(take(&mut held, 1, now) && !take(&mut held, 1, now));
        held.cancel(Cancel { quota_day: Some(DAY), ..Cancel::nothing(APP) }, now);
        assert!(take(&mut held, 1, now) && !take(&mut held, 1, now));
        held.expire(now + HELD_FOR);
        assert!(take(&mut held, 1, now));
    }

    #[test]
    fn accounts_have_places_of_their_own() {
        let (mut held, now) = (Reservations::default(), Instant::now());
        let ann = AccountId::parse("ann").expect("a name");
        let bob = AccountId::parse("bob").expect("a name");
        let mut take = |account: &AccountId, count: &Count| {
            held.settle(count);
            let place = place(&held.accounts, &(APP, account.clone()), 1, || Ok(0)).expect("a count");
            let room = Room { accounts: vec![(account.clone(), place)], quota: None, apps: Vec::new() };
            held.hold(APP, room, now).full.is_empty()
        };
        let groups = |account: &AccountId, count, has_joined| Count::Groups {
            app: APP,
            account: account.clone(),
            count,
            has_joined,
        };
        assert!(take(&ann, &groups(&bob, 5, true)));
        assert!(take(&bob, &groups(&bob, 0, false)));
        assert!(!take(&ann, &groups(&bob, 0, false)));
        // Leaving another group gives back no place that is held for a join.
        assert!(!take(&ann, &groups(&ann, 0, false)));
    }

    #[test]
    fn an_app_has_as_many_places_as_groups_are_missing() {
        let (mut held, now) = (Reservations::default(), Instant::now());
        let take = |held: &mut Reservations, groups: u64| {
            let places = held.apps.get(&(APP, AppLimit::Groups)).map_or(0, |places| places.count(held.mark()));
            let room = Room { accounts: vec![], quota: None, apps: vec![(AppLimit::Groups, groups + places < 2)] };
            held.hold(APP, room, now).app_full.is_none()
        };
        let back = || Cancel { app_limits: vec![AppLimit::Groups], ..Cancel::nothing(APP) };
        assert!(take(&mut held, 0) && take(&mut held, 0) && !take(&mut held, 0));
        // The first is counted where it is, and its place given back.
        held.cancel(back(), now);
        assert!(!take(&mut held, 1));
        held.cancel(back(), now);
        assert!(!take(&mut held, 2));
        assert!(take(&mut held, 1));
        held.expire(now + HELD_FOR);
        assert!(take(&mut held, 0) && take(&mut held, 0));
    }

    #[test]
    fn a_group_that_was_counted_while_others_count_is_in_no_gap() {
        let (mut held, now) = (Reservations::default(), Instant::now());
        let taken = Room { accounts: vec![], quota: None, apps: vec![(AppLimit::Groups, true)] };
        held.hold(APP, taken, now);
        let places = |held: &Reservations, since| held.apps[&(APP, AppLimit::Groups)].count(since);
        let begun = held.mark();
        // Whoever counts since then may have looked at the shard before the group was there.
        held.cancel(Cancel { app_limits: vec![AppLimit::Groups], ..Cancel::nothing(APP) }, now);
        assert_eq!((places(&held, begun), places(&held, held.mark())), (1, 0));
        held.expire(now + HELD_FOR);
        assert!(held.apps.is_empty());
    }
}
