//! How often an app may ask: commands, listings of all groups, writes of attributes.
//!
//! Each bucket holds one second's calls and fills evenly. A node counts what it is asked; nothing is shared between
//! nodes. What is not limited (0) is not counted.
//!
//! Source: docs/spec/rest-api.md 2.5, docs/spec/limits.md 2 and 6.

use std::num::NonZeroU32;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::error::{self, Failure};
use crate::config;
use crate::id::{AccountId, GroupId};

/// Writers of attributes, each in one group, that are remembered per app; about 150 bytes each.
///
/// A writer is forgotten once its bucket is full again, one or two seconds later. So many in that time are more than a
/// node's disk takes; then writes are refused as overload rather than let through uncounted.
const WRITERS_MAX: usize = 1 << 16;

type Bucket<C> = RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;
type Writer = (GroupId, AccountId);
type Writers<C> = RateLimiter<Writer, HashMapStateStore<Writer>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The buckets of one app.
pub struct Rates<C: Clock = MonotonicClock> {
    all: Option<Bucket<C>>,
    /// One per command; none if they are not limited.
    commands: Vec<Bucket<C>>,
    listings: Option<Bucket<C>>,
    writers: Option<Writers<C>>,
    writers_max: usize,
}

impl Rates {
    /// Full buckets for so many commands; `attribute_writes`: per second, caller and group.
    pub fn new(rate: &config::Rate, commands: usize, attribute_writes: u32) -> Self {
        Self::with_clock(rate, commands, attribute_writes, WRITERS_MAX, &MonotonicClock)
    }
}

impl<C: Clock + Clone> Rates<C> {
    fn with_clock(rate: &config::Rate, commands: usize, attribute_writes: u32, writers_max: usize, clock: &C) -> Self {
        let bucket = |per_second| Some(Bucket::direct_with_clock(quota(per_second)?, clock.clone()));
        Self {
            all: bucket(rate.rest_per_app),
            commands: (0..commands).map_while(|_| bucket(rate.rest_per_command)).collect(),
            listings: bucket(rate.list_all_groups),
            writers: quota(attribute_writes).map(|quota| Writers::hashmap_with_clock(quota, clock.clone())),
            writers_max,
        }
    }

    /// Counts a request of the app, whatever it asks for.
    ///
    /// # Errors
    /// 60011.
    pub fn request(&self) -> Result<(), Failure> {
        take(self.all.as_ref(), error::APP_TOO_OFTEN, "too many requests of this app")
    }

    /// Counts a call of the command at that place in the table of commands.
    ///
    /// # Errors
    /// 60007.
    pub fn command(&self, place: usize) -> Result<(), Failure> {
        take(self.commands.get(place), error::COMMAND_TOO_OFTEN, "too many calls of this command")
    }

    /// Counts a listing of all groups.
    ///
    /// # Errors
    /// 10006.
    pub fn listing(&self) -> Result<(), Failure> {
        take(self.listings.as_ref(), error::TOO_OFTEN, "all groups are listed too often")
    }

    /// Counts a write of a group's attributes.
    ///
    /// # Errors
    /// 10049; 60018 if too many write at once to count them.
    pub fn attribute_write(&self, group: &GroupId, caller: &AccountId) -> Result<(), Failure> {
        let Some(writers) = &self.writers else { return Ok(()) };
        if writers.len() >= self.writers_max {
            writers.retain_recent();
            if writers.len() >= self.writers_max {
                return Err(Failure::new(error::OVERLOADED, "overloaded: too many writers of attributes"));
            }
        }
        match writers.check_key(&(group.clone(), caller.clone())) {
            Ok(()) => Ok(()),
            Err(_) => Err(Failure::new(error::ATTRIBUTES_TOO_OFTEN, "attributes are written too often")),
        }
    }
}

/// `None`: any number.
fn quota(per_second: u32) -> Option<Quota> {
    NonZeroU32::new(per_second).map(Quota::per_second)
}

fn take<C: Clock>(bucket: Option<&Bucket<C>>, code: u32, what: &'static str) -> Result<(), Failure> {
    match bucket.map(Bucket::check) {
        None | Some(Ok(())) => Ok(()),
        Some(Err(_)) => Err(Failure::new(code, what)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rates(
        of: fn(&mut config::Rate),
        attribute_writes: u32,
        writers_max: usize,
    ) -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
        let (mut rate, clock) = (config::Rate::default(), FakeRelativeClock::default());
        of(&mut rate);
        (Rates::with_clock(&rate, 2, attribute_writes, writers_max, &clock), clock)
    }

    /// The code of each of so many calls, one right after the other.
    fn codes(count: usize, call: impl Fn() -> Result<(), Failure>) -> Vec<u32> {
        (0..count).map(|_| call().map_or_else(|failure| failure.code, |()| 0)).collect()
    }

    fn names(group: &str, caller: &str) -> (GroupId, AccountId) {
        (GroupId::parse(group).unwrap(), AccountId::parse(caller).unwrap())
    }

    #[test]
    fn a_bucket_holds_a_second_and_fills_evenly() {
        let (rates, clock) = rates(|rate| rate.rest_per_app = 2, 0, 10);
        assert_eq!(codes(3, || rates.request()), [0, 0, 60011]);
        clock.advance(Duration::from_millis(500));
        assert_eq!(codes(2, || rates.request()), [0, 60011]);
        clock.advance(Duration::from_secs(60));
        assert_eq!(codes(3, || rates.request()), [0, 0, 60011]);
    }

    #[test]
    fn commands_are_counted_apart() {
        let (per_command, _) = rates(|rate| rate.rest_per_command = 1, 0, 10);
        assert_eq!(codes(2, || per_command.command(0)), [0, 60007]);
        assert_eq!(codes(2, || per_command.command(1)), [0, 60007]);
        assert_eq!(codes(2, || per_command.request()), [0, 0]);
        let (listing, _) = rates(|rate| rate.list_all_groups = 1, 0, 10);
        assert_eq!(codes(2, || listing.listing()), [0, 10006]);
        assert_eq!(codes(2, || listing.command(0)), [0, 0]);
    }

    #[test]
    fn zero_is_no_limit() {
        let (rates, _) = rates(|_| {}, 0, 0);
        let (group, caller) = names("g", "a");
        assert_eq!(codes(100, || rates.request()), [0; 100]);
        assert_eq!(codes(100, || rates.attribute_write(&group, &caller)), [0; 100]);
    }

    #[test]
    fn writers_are_counted_by_group_and_caller_and_forgotten_again() {
        let (rates, clock) = rates(|_| {}, 2, 4);
        let write = |group: &str, caller: &str| {
            let (group, caller) = names(group, caller);
            rates.attribute_write(&group, &caller)
        };
        assert_eq!(codes(3, || write("g", "a")), [0, 0, 10049]);
        assert_eq!(codes(3, || write("g", "b")), [0, 0, 10049]);
        assert_eq!(codes(3, || write("h", "a")), [0, 0, 10049]);
        assert_eq!(codes(1, || write("h", "b")), [0]);
        // The memory is full of writers that are still counted.
        assert_eq!(codes(1, || write("h", "c")), [60018]);
        clock.advance(Duration::from_secs(2));
        assert_eq!(codes(3, || write("h", "c")), [0, 0, 10049]);
        assert_eq!(rates.writers.as_ref().map(RateLimiter::len), Some(1));
    }
}
