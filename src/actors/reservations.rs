//! Limits that span shards, held by the leader of the shard where the count is.
//!
//! A place is held from the moment it is asked for until its settling message changes the count, it is given back,
//! or [`HELD_FOR`] has passed. The answer rests on the count + places held, so concurrent callers cannot both have
//! the last one. The count is the one that the host has been told of, not the row's: rows may be ahead of what the
//! host knows, and a place would be counted twice until the host hears that it is settled.
//!
//! Who gives a place back names it, so it is that place and no other, and once. A settling message names none: see
//! [`Places`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use muster_cluster::DiskError;
use rustc_hash::FxHashMap;

use super::message::{Cancel, Grant, PlaceId, Reserve};
use crate::group::AppLimit;
use crate::id::{AccountId, AppId};
use crate::shard::{Count, Lookups};

/// A place that is neither settled nor given back by then is free again.
const HELD_FOR: Duration = Duration::from_secs(10);

/// Places of one limit.
///
/// A settling message is an effect in the log: it says what changed, and not for whose place. So the oldest places are
/// taken for those that were settled. Then as many places are held as are not settled, or more, and each falls back no
/// earlier than the one it may stand for: nobody loses a place because others come and go meanwhile.
///
/// The price is that a place which nothing will ever settle (its command was lost with a node) may seem settled in
/// place of a younger one, and live on as that. No information here tells the two apart. It harms little: such a place
/// matters only where a limit is full, nobody gets a place of a full limit, and [`HELD_FOR`] after the last place was
/// taken none is left. As long as somebody takes one every few seconds, as others leave, the limit may be too strict
/// by what was lost; it is never too lax.
#[derive(Debug, Default)]
struct Places {
    /// When each falls back, by its number, which grows with the moment.
    taken: BTreeMap<u64, Instant>,
    /// So many of the oldest are taken for settled. They stay until their time is over, so that one of them that is
    /// given back is still known: then a younger one was settled.
    settled: usize,
}

impl Places {
    fn count(&self) -> usize {
        self.taken.len() - self.settled
    }

    fn take(&mut self, number: u64, until: Instant) {
        self.taken.insert(number, until);
    }

    fn settle(&mut self) {
        self.settled = self.taken.len().min(self.settled + 1);
    }

    /// Whether it was there: it may have fallen back before.
    fn give_back(&mut self, number: u64) -> bool {
        let was_there = self.taken.remove(&number).is_some();
        self.settled = self.settled.min(self.taken.len());
        was_there
    }

    fn expire(&mut self, now: Instant) {
        while let Some(oldest) = self.taken.first_entry().filter(|oldest| *oldest.get() <= now) {
            oldest.remove();
            self.settled = self.settled.saturating_sub(1);
        }
    }
}

/// One limit of which places are held.
#[derive(Debug)]
struct Held {
    /// Without the places.
    count: i64,
    /// Never none.
    places: Places,
}

/// Places held in one leadership.
#[derive(Debug)]
pub(super) struct Reservations {
    /// Of the leadership: places of another are none here.
    term: u64,
    /// Places were numbered through here.
    last_number: u64,
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
    held: Places,
    /// Those given back, in the order of their numbers, and when they may be forgotten.
    given_back: Vec<(u64, Instant)>,
}

impl AppPlaces {
    /// Places that are held, or were so after `since` had been given back: a count that was begun then may be without
    /// their groups.
    fn count(&self, since: u64) -> u64 {
        let later = self.given_back.iter().rev().take_while(|(number, _)| *number > since).count();
        (self.held.count() + later) as u64
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
    pub fn new(term: u64) -> Self {
        Self {
            term,
            last_number: 0,
            accounts: FxHashMap::default(),
            quotas: FxHashMap::default(),
            apps: FxHashMap::default(),
            given_back: 0,
        }
    }

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

    /// Holds what is free, all under one name.
    pub fn hold(&mut self, app: AppId, room: Room, now: Instant) -> Grant {
        self.last_number += 1;
        let (number, until) = (self.last_number, now + HELD_FOR);
        let mut grant = Grant { place: PlaceId { term: self.term, number }, ..Grant::default() };
        for (account, place) in room.accounts {
            if place.is_free {
                hold(&mut self.accounts, (app, account.clone()), place, number, until);
                grant.held.push(account);
            } else {
                grant.full.push(account);
            }
        }
        if let Some((day, place)) = room.quota {
            if place.is_free {
                hold(&mut self.quotas, (app, day), place, number, until);
            }
            (grant.quota_held, grant.quota_spent) = (place.is_free, !place.is_free);
        }
        for (limit, is_free) in room.apps {
            if is_free {
                self.apps.entry((app, limit)).or_default().held.take(number, until);
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

    /// What was given back already, fell back, or was granted in another leadership is none of the places held.
    pub fn cancel(&mut self, cancel: Cancel, now: Instant) {
        let PlaceId { term, number } = cancel.place;
        if term != self.term {
            return;
        }
        for account in cancel.accounts {
            give_back(&mut self.accounts, &(cancel.app, account), number);
        }
        if let Some(day) = cancel.quota_day {
            give_back(&mut self.quotas, &(cancel.app, day), number);
        }
        for limit in cancel.app_limits {
            if let Some(places) = self.apps.get_mut(&(cancel.app, limit))
                && places.held.give_back(number)
            {
                self.given_back += 1;
                // Nobody counts for longer than a place is held.
                places.given_back.push((self.given_back, now + HELD_FOR));
            }
        }
    }

    pub fn expire(&mut self, now: Instant) {
        let is_held = |held: &mut Held| {
            held.places.expire(now);
            held.places.count() > 0
        };
        self.accounts.retain(|_, held| is_held(held));
        self.quotas.retain(|_, held| is_held(held));
        self.apps.retain(|_, places| {
            places.held.expire(now);
            places.given_back.retain(|(_, until)| *until > now);
            places.held.count() > 0 || !places.given_back.is_empty()
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
        Some(held) => (held.count, held.places.count()),
        None => (row()?, 0),
    };
    Ok(Place { count, is_free: count.saturating_add(places as i64) < limit })
}

fn hold<K: std::hash::Hash + Eq>(limits: &mut FxHashMap<K, Held>, key: K, place: Place, number: u64, until: Instant) {
    let held = limits.entry(key).or_insert_with(|| Held { count: place.count, places: Places::default() });
    held.places.take(number, until);
}

fn settle<K: std::hash::Hash + Eq>(limits: &mut FxHashMap<K, Held>, key: &K, count: i64, added: i64) {
    let Some(held) = limits.get_mut(key) else { return };
    held.count = count;
    (0..added).for_each(|_| held.places.settle());
    forget_unheld(limits, key);
}

fn give_back<K: std::hash::Hash + Eq>(limits: &mut FxHashMap<K, Held>, key: &K, number: u64) {
    if let Some(held) = limits.get_mut(key) {
        held.places.give_back(number);
        forget_unheld(limits, key);
    }
}

fn forget_unheld<K: std::hash::Hash + Eq>(limits: &mut FxHashMap<K, Held>, key: &K) {
    if limits.get(key).is_some_and(|held| held.places.count() == 0) {
        limits.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AppId = AppId(1);
    const DAY: i32 = 20_000;
    const TERM: u64 = 3;

    /// Asks for one of a day's new groups where the limit is 2; whether it was to be had.
    fn take(held: &mut Reservations, row: i64, now: Instant) -> bool {
        taken(held, row, now).quota_held
    }

    /// The same; what was granted.
    fn taken(held: &mut Reservations, row: i64, now: Instant) -> Grant {
        let place = place(&held.quotas, &(APP, DAY), 2, || Ok(row)).expect("a count");
        let room = Room { accounts: Vec::new(), quota: Some((DAY, place)), apps: Vec::new() };
        assert_eq!(room.is_enough(), place.is_free);
        let grant = held.hold(APP, room, now);
        assert_eq!(grant.quota_spent, !grant.quota_held);
        grant
    }

    fn back(place: PlaceId) -> Cancel {
        Cancel { quota_day: Some(DAY), ..Cancel::nothing(APP, place) }
    }

    fn net(net: i64, delta: i64) -> Count {
        Count::Net { app: APP, day: DAY, net, delta }
    }

    #[test]
    fn a_place_is_held_until_it_is_counted_and_never_counted_twice() {
        let (mut held, now) = (Reservations::new(TERM), Instant::now());
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
        let (mut held, now) = (Reservations::new(TERM), Instant::now());
        assert!(take(&mut held, 1, now));
        held.settle(&net(0, -1));
        assert!(take(&mut held, 0, now));
        assert!(!take(&mut held, 0, now));
    }

    #[test]
    fn places_are_given_back_and_fall_back() {
        let (mut held, now) = (Reservations::new(TERM), Instant::now());
        let place = taken(&mut held, 1, now).place;
        assert!(!take(&mut held, 1, now));
        held.cancel(back(place), now);
        assert!(take(&mut held, 1, now) && !take(&mut held, 1, now));
        held.expire(now + HELD_FOR);
        assert!(take(&mut held, 1, now));
    }

    /// Two callers whose times overlap, one after the other without end: whoever has a place has it for its own time.
    #[test]
    fn places_that_come_and_go_take_no_time_from_those_that_stay() {
        let (mut held, begun) = (Reservations::new(TERM), Instant::now());
        let mut now = begun;
        assert!(take(&mut held, 0, now));
        for count in 1..100 {
            now += Duration::from_millis(200);
            held.expire(now);
            assert!(take(&mut held, 0, now), "the limit is full at {count}");
            assert!(!take(&mut held, 0, now), "a place was lost at {count}");
            // The older of the two is settled; somebody else's group ends, so that there is room again.
            held.settle(&net(1, 1));
            held.settle(&net(0, -1));
        }
        assert!(now > begun + HELD_FOR);
    }

    #[test]
    fn a_place_that_is_never_settled_does_not_outlive_the_last_one_taken_by_more_than_its_time() {
        let (mut held, mut now) = (Reservations::new(TERM), Instant::now());
        // The first is lost.
        assert!(take(&mut held, 0, now));
        for _ in 0..20 {
            now += Duration::from_secs(1);
            held.expire(now);
            assert!(take(&mut held, 0, now));
            held.settle(&net(0, 1));
        }
        assert!(take(&mut held, 0, now) && !take(&mut held, 0, now));
        held.expire(now + HELD_FOR);
        assert!(take(&mut held, 0, now) && take(&mut held, 0, now));
    }

    #[test]
    fn who_gives_a_place_back_gives_back_its_own_and_once() {
        let (mut held, now) = (Reservations::new(TERM), Instant::now());
        let first = taken(&mut held, 0, now).place;
        held.expire(now + HELD_FOR);
        // It has fallen back: neither of these is free because its caller says so late, or says so twice.
        let second = taken(&mut held, 0, now + HELD_FOR).place;
        assert!(take(&mut held, 0, now + HELD_FOR));
        held.cancel(back(first), now);
        assert!(!take(&mut held, 0, now));
        let of_another_leadership = PlaceId { term: TERM - 1, ..second };
        held.cancel(back(of_another_leadership), now);
        assert!(!take(&mut held, 0, now));
        held.cancel(back(second), now);
        held.cancel(back(second), now);
        assert!(take(&mut held, 0, now) && !take(&mut held, 0, now));
    }

    #[test]
    fn who_was_taken_for_settled_can_give_back_its_place() {
        let (mut held, now) = (Reservations::new(TERM), Instant::now());
        let older = taken(&mut held, 0, now).place;
        assert!(take(&mut held, 0, now));
        // It was the younger one whose group is counted.
        held.settle(&net(1, 1));
        assert!(!take(&mut held, 1, now));
        held.cancel(back(older), now);
        assert!(take(&mut held, 1, now) && !take(&mut held, 1, now));
    }

    #[test]
    fn accounts_have_places_of_their_own() {
        let (mut held, now) = (Reservations::new(TERM), Instant::now());
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
        let (mut held, now) = (Reservations::new(TERM), Instant::now());
        let take = |held: &mut Reservations, groups: u64| {
            let places = held.apps.get(&(APP, AppLimit::Groups)).map_or(0, |places| places.count(held.mark()));
            let room = Room { accounts: vec![], quota: None, apps: vec![(AppLimit::Groups, groups + places < 2)] };
            let grant = held.hold(APP, room, now);
            grant.app_full.is_none().then_some(grant.place)
        };
        let back = |place| Cancel { app_limits: vec![AppLimit::Groups], ..Cancel::nothing(APP, place) };
        let first = take(&mut held, 0).expect("nobody has a place");
        let second = take(&mut held, 0).expect("one has a place");
        assert_eq!(take(&mut held, 0), None);
        // The first is counted where it is, and its place given back.
        held.cancel(back(first), now);
        assert_eq!(take(&mut held, 1), None);
        held.cancel(back(first), now);
        assert_eq!(take(&mut held, 1), None, "the second's place is the second's");
        held.cancel(back(second), now);
        assert_eq!(take(&mut held, 2), None);
        assert!(take(&mut held, 1).is_some());
        held.expire(now + HELD_FOR);
        assert!(take(&mut held, 0).is_some() && take(&mut held, 0).is_some());
    }

    #[test]
    fn a_group_that_was_counted_while_others_count_is_in_no_gap() {
        let (mut held, now) = (Reservations::new(TERM), Instant::now());
        let taken = Room { accounts: vec![], quota: None, apps: vec![(AppLimit::Groups, true)] };
        let place = held.hold(APP, taken, now).place;
        let places = |held: &Reservations, since| held.apps[&(APP, AppLimit::Groups)].count(since);
        let begun = held.mark();
        // Whoever counts since then may have looked at the shard before the group was there.
        held.cancel(Cancel { app_limits: vec![AppLimit::Groups], ..Cancel::nothing(APP, place) }, now);
        assert_eq!((places(&held, begun), places(&held, held.mark())), (1, 0));
        held.expire(now + HELD_FOR);
        assert!(held.apps.is_empty());
    }
}
