//! Who is let in, and who is told at once that there is too much to do: 60018, nothing happened.
//!
//! ```text
//!            more than CALM_MAX wait, all through OVERLOADED_AFTER, although the node is at work
//!     calm ───────────────────────────────────────────────────────────────────────────────────► shedding
//!   lets all in ◄──────────────────────────────────────────────────────────────── lets SHEDDING_MAX in at a time
//!            less than one in ten was refused for CALM_AFTER
//! ```
//!
//! A queue that comes and goes is good: it is a burst, or the disk has hesitated, and waiting is what a caller would
//! choose. A queue that *stands* while the node works at its full rate only makes everybody wait; then fewer are let
//! in, so that those are answered about as fast as ever. What stands is the least number that was under way within an
//! interval, as in the CoDel discipline of routers (RFC 8289).
//!
//! Requests whose change is being flushed wait for the disk and not for each other. On a slow disk many such are
//! needed to keep the node busy, so the bounds grow with the time that a flush takes: [`Interval::at_disk`].
//!
//! Reads and changes have a lane each: a disk that hesitates holds up changes only, and no read is refused for that.
//!
//! Deliberately not here: how fast one app may ask (`rates`), and the queues behind the door, which refuse by
//! themselves when they are full.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often a lane is judged. Shorter than anybody notices, longer than a usual request takes.
const INTERVAL: Duration = Duration::from_millis(50);
/// So many under way at once are never a reason to refuse anybody: busy servers keep a few hundred connections.
const CALM_MAX: usize = 256;
/// How many are let in at a time while a lane sheds load. As many as keep two cores busy; answers take the longer the
/// more there are.
const SHEDDING_MAX: usize = 64;
/// How long a queue must stand. Longer than bursts take, and a small part of what callers wait for at most.
const OVERLOADED_AFTER: Duration = Duration::from_millis(500);
/// An interval with less than one in so many of the answers that are usual is a stall: the queue is no fault of the
/// callers.
const STALL_SHARE: f64 = 0.25;
/// A queue may stand for so many times the stall before it. What came in meanwhile is worked off by what the load
/// leaves free: at four fifths of the peak that takes four times as long as it took to pile up.
const GRACE_PER_STALL: u32 = 4;
/// Bound of that: a disk that stalls all the time does not take more and more in.
const GRACE_MAX: Duration = Duration::from_secs(5);
/// How long next to nobody must be refused until all are let in again.
const CALM_AFTER: Duration = Duration::from_secs(1);
/// One refused to so many let in is next to nobody: chance alone brings some together.
const NEXT_TO_NOBODY: u64 = 10;
/// How long it takes to forget what rate was usual.
const USUAL_FOR: Duration = Duration::from_secs(5);

/// What a request wants: two kinds that do not wait for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Reads,
    Changes,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// `actors.inflight_max` are under way.
    Full,
    /// More come than can be answered.
    Overloaded,
}

/// The door's count of requests under way, and its bounds.
pub struct Admission {
    under_way: AtomicUsize,
    under_way_max: usize,
    reads: Gate,
    changes: Gate,
    /// What a flush of the disk takes these days.
    flush_time: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl Admission {
    pub fn new(
        under_way_max: usize,
        began: Instant,
        flush_time: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            under_way_max,
            reads: Gate::new(began),
            changes: Gate::new(began),
            flush_time: Box::new(flush_time),
        }
    }

    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Whether a lane refuses some of those who come.
    pub fn is_shedding(&self, lane: Lane) -> bool {
        self.gate(lane).window.load(Ordering::Relaxed) != usize::MAX
    }

    /// Lets a request in, or says why not. Costs a few counters: it comes before any work is done for the request.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn admit(&self, lane: Lane, now: Instant) -> Result<Place<'_>, NotNow> {
        if !self.gate(lane).lets_in(now, || self.flush_time_of(lane)) {
            return Err(NotNow::Overloaded);
        }
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.under_way);
        if under_way >= self.under_way_max { Err(NotNow::Full) } else { Ok(place) }
    }

    /// Counts a request of which all has arrived, until its answer is ready. Not before: senders who take their time
    /// are no load.
    pub fn begin(&self, lane: Lane) -> Turn<'_> {
        let gate = self.gate(lane);
        gate.under_way.fetch_add(1, Ordering::Relaxed);
        Turn(gate)
    }

    fn gate(&self, lane: Lane) -> &Gate {
        match lane {
            Lane::Reads => &self.reads,
            Lane::Changes => &self.changes,
        }
    }

    fn flush_time_of(&self, lane: Lane) -> Duration {
        match lane {
            Lane::Reads => Duration::ZERO,
            Lane::Changes => (self.flush_time)(),
        }
    }
}

/// A request's place among those under way; leaves it when dropped, also when the client went away.
pub struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is worked on.
pub struct Turn<'a>(&'a Gate);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let left = self.0.under_way.fetch_sub(1, Ordering::Relaxed) - 1;
        self.0.lowest.fetch_min(left, Ordering::Relaxed);
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// One lane: counts what passes, and has it judged once per interval, by whoever comes first then.
struct Gate {
    began: Instant,
    under_way: AtomicUsize,
    /// How many may be under way when another comes; `usize::MAX`: any number.
    window: AtomicUsize,
    /// The least that was under way in this interval.
    lowest: AtomicUsize,
    answered: AtomicU64,
    refused: AtomicU64,
    /// Microseconds from `began`.
    judged_us: AtomicU64,
    judge: Mutex<Judge>,
}

impl Gate {
    fn new(began: Instant) -> Self {
        Self {
            began,
            under_way: AtomicUsize::new(0),
            window: AtomicUsize::new(usize::MAX),
            lowest: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            judged_us: AtomicU64::new(0),
            judge: Mutex::new(Judge::default()),
        }
    }

    fn lets_in(&self, now: Instant, flush_time: impl FnOnce() -> Duration) -> bool {
        self.judge_if_due(now, flush_time);
        let is_let_in = self.under_way.load(Ordering::Relaxed) < self.window.load(Ordering::Relaxed);
        if !is_let_in {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        is_let_in
    }

    fn judge_if_due(&self, now: Instant, flush_time: impl FnOnce() -> Duration) {
        let now_us = now.saturating_duration_since(self.began).as_micros() as u64;
        let judged_us = self.judged_us.load(Ordering::Relaxed);
        let length = Duration::from_micros(now_us.saturating_sub(judged_us));
        if length < INTERVAL {
            return;
        }
        let exchanged = self.judged_us.compare_exchange(judged_us, now_us, Ordering::Relaxed, Ordering::Relaxed);
        // Somebody else judges: nobody waits for that.
        let (Ok(_), Some(mut judge)) = (exchanged, self.judge.try_lock()) else { return };
        let interval = Interval {
            length,
            lowest: self.lowest.swap(self.under_way.load(Ordering::Relaxed), Ordering::Relaxed),
            answered: self.answered.swap(0, Ordering::Relaxed),
            refused: self.refused.swap(0, Ordering::Relaxed),
            flush_time: flush_time(),
        };
        self.window.store(judge.judge(&interval), Ordering::Relaxed);
    }
}

/// What was seen of a lane in an interval.
#[derive(Clone, Copy, Debug)]
struct Interval {
    length: Duration,
    lowest: usize,
    answered: u64,
    refused: u64,
    flush_time: Duration,
}

impl Interval {
    fn per_sec(&self) -> f64 {
        self.answered as f64 / self.length.as_secs_f64()
    }

    /// How many of those under way wait for the disk: a change meets a flush that has begun, and waits for the next.
    fn at_disk(&self) -> usize {
        (self.per_sec() * 2.0 * self.flush_time.as_secs_f64()) as usize
    }
}

/// Decides between calm and shedding, interval by interval; knows no clock.
#[derive(Debug, Default)]
struct Judge {
    is_shedding: bool,
    /// Calm: how long the queue has stood while the node was at work.
    standing: Duration,
    /// Calm: how much longer it may, as a stall made it.
    grace: Duration,
    /// Shedding: how long next to nobody was refused.
    quiet: Duration,
    /// Answers per second of a lane at work.
    usual_per_sec: f64,
}

impl Judge {
    /// Takes an interval; gives how many may be under way from now on when another comes.
    fn judge(&mut self, interval: &Interval) -> usize {
        let is_stalled = interval.per_sec() < self.usual_per_sec * STALL_SHARE;
        self.remember(interval);
        if self.is_shedding {
            self.quiet = if interval.refused * NEXT_TO_NOBODY <= interval.answered {
                self.quiet + interval.length
            } else {
                Duration::ZERO
            };
            if self.quiet >= CALM_AFTER {
                *self = Self { usual_per_sec: self.usual_per_sec, ..Self::default() };
            }
        } else if interval.lowest <= CALM_MAX + interval.at_disk() {
            (self.standing, self.grace) = (Duration::ZERO, Duration::ZERO);
        } else if is_stalled {
            self.grace = (self.grace + interval.length * GRACE_PER_STALL).min(GRACE_MAX);
        } else {
            self.standing += interval.length;
            if self.standing >= OVERLOADED_AFTER + self.grace {
                *self = Self { is_shedding: true, usual_per_sec: self.usual_per_sec, ..Self::default() };
            }
        }
        if self.is_shedding { SHEDDING_MAX + interval.at_disk() } else { usize::MAX }
    }

    fn remember(&mut self, interval: &Interval) {
        let share = (interval.length.as_secs_f64() / USUAL_FOR.as_secs_f64()).min(1.0);
        self.usual_per_sec = interval.per_sec().max(self.usual_per_sec * (1.0 - share));
    }
}
