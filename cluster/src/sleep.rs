//! Whether the machine has slept: a virtual machine that was suspended, a laptop whose lid was closed.
//!
//! A lease is measured on the monotonic clock, which stands still meanwhile. Whoever led goes on with a lease that looks
//! fresh, while the others have waited it out and elected somebody else. The boot-time clock goes on in sleep, so that the
//! two clocks moving apart tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Two readings of the monotonic clock, with one of the boot-time clock between them, may be so far apart.
const READING_MAX: Duration = Duration::from_millis(5);
/// Readings that are tried; a thread that is held up in each of them takes it for sleep.
const READINGS_MAX: u32 = 8;

/// Where clocks are read.
enum Clocks {
    System,
    /// A simulation's: how long the machine has slept, in milliseconds.
    Simulated(Arc<AtomicU64>),
}

/// By how much the boot-time clock is ahead of the monotonic one: bounds, as the two cannot be read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ahead {
    at_least: Duration,
    at_most: Duration,
}

/// Remembers when the machine was last found to have slept.
pub(crate) struct SleepWatch {
    clocks: Clocks,
    known: Mutex<Known>,
}

#[derive(Clone, Copy, Default)]
struct Known {
    /// The lowest upper bound since the last sleep: without sleep the truth stays the same, and each reading bounds it.
    ahead_at_most: Option<Duration>,
    /// When it was found that the machine had slept.
    slept: Option<Instant>,
}

impl SleepWatch {
    pub(crate) fn of_system() -> Self {
        Self::new(Clocks::System)
    }

    pub(crate) fn simulated(slept_ms: Arc<AtomicU64>) -> Self {
        Self::new(Clocks::Simulated(slept_ms))
    }

    fn new(clocks: Clocks) -> Self {
        let watch = Self { clocks, known: Mutex::default() };
        watch.look();
        watch
    }

    /// What happened so long ago at most, by the monotonic clock, happened after the machine last slept.
    ///
    /// To be asked after the request that rests on it has come: a sleep later than this makes the request's answer late,
    /// and not wrong.
    pub(crate) fn awake_for(&self) -> Duration {
        self.look().map_or(Duration::MAX, |slept| slept.elapsed())
    }

    fn look(&self) -> Option<Instant> {
        let ahead = self.clocks.ahead();
        let mut known = self.known.lock();
        if let Some(slept_for) = known.learn(ahead, Instant::now()) {
            tracing::warn!(
                slept_ms = slept_for.as_millis() as u64,
                "the machine slept, or stood still: leases are void until a majority has answered again"
            );
        }
        known.slept
    }
}

impl Known {
    /// How long the machine has slept since the last look, at least; `None`: as far as can be told it has not.
    fn learn(&mut self, ahead: Option<Ahead>, now: Instant) -> Option<Duration> {
        let Some(ahead) = ahead else {
            // It cannot be told, so it may have.
            self.slept = Some(now);
            return Some(Duration::ZERO);
        };
        match self.ahead_at_most {
            Some(before) if ahead.at_least > before => {
                *self = Self { ahead_at_most: Some(ahead.at_most), slept: Some(now) };
                Some(ahead.at_least - before)
            }
            before => {
                self.ahead_at_most = Some(before.map_or(ahead.at_most, |before| before.min(ahead.at_most)));
                None
            }
        }
    }
}

impl Clocks {
    fn ahead(&self) -> Option<Ahead> {
        match self {
            Clocks::System => (0..READINGS_MAX).find_map(|_| {
                let before = read(libc::CLOCK_MONOTONIC)?;
                let boot = read(libc::CLOCK_BOOTTIME)?;
                let after = read(libc::CLOCK_MONOTONIC)?;
                let ahead = Ahead { at_least: boot.saturating_sub(after), at_most: boot.saturating_sub(before) };
                (after.saturating_sub(before) <= READING_MAX).then_some(ahead)
            }),
            Clocks::Simulated(slept_ms) => {
                let slept = Duration::from_millis(slept_ms.load(Ordering::Acquire));
                Some(Ahead { at_least: slept, at_most: slept })
            }
        }
    }
}

fn read(clock: libc::clockid_t) -> Option<Duration> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the place to write to is ours and lives longer than the call.
    let refused = unsafe { libc::clock_gettime(clock, &mut now) } != 0;
    (!refused).then(|| Duration::new(now.tv_sec as u64, now.tv_nsec as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(at_least_ms: u64, at_most_ms: u64) -> Option<Ahead> {
        Some(Ahead { at_least: Duration::from_millis(at_least_ms), at_most: Duration::from_millis(at_most_ms) })
    }

    #[test]
    fn sleep_is_told_from_readings_that_are_not_exact() {
        let now = Instant::now();
        let mut known = Known::default();
        // Each says a little more of the same truth.
        for reading in [ahead(95, 104), ahead(99, 101), ahead(97, 103), ahead(101, 102)] {
            assert_eq!(known.learn(reading, now), None, "{reading:?}");
        }
        assert_eq!(known.learn(ahead(102, 103), now), Some(Duration::from_millis(1)));
        assert_eq!(known.slept, Some(now));
        let later = now + Duration::from_secs(1);
        assert_eq!(known.learn(ahead(100, 103), later), None);
        assert_eq!(known.slept, Some(now), "it slept once");
        assert_eq!(known.learn(ahead(3_600_102, 3_600_103), later), Some(Duration::from_millis(3_599_999)));
        assert_eq!(known.slept, Some(later));
    }

    #[test]
    fn clocks_that_cannot_be_read_may_hide_anything() {
        let mut known = Known::default();
        let now = Instant::now();
        assert!(known.learn(None, now).is_some());
        assert_eq!(known.slept, Some(now));
    }

    #[test]
    fn a_lease_is_as_old_as_the_last_sleep_at_most() {
        let slept_ms = Arc::new(AtomicU64::new(7));
        let watch = SleepWatch::simulated(slept_ms.clone());
        assert_eq!(watch.awake_for(), Duration::MAX, "what was before the start is nobody's lease");
        let before = Instant::now();
        slept_ms.fetch_add(1, Ordering::AcqRel);
        let first = watch.awake_for();
        assert!(first <= before.elapsed(), "{first:?}");
        std::thread::sleep(Duration::from_millis(20));
        let later = watch.awake_for();
        assert!(later >= first + Duration::from_millis(20) && later <= before.elapsed(), "{later:?}");
    }

    #[test]
    fn this_machine_does_not_sleep_while_it_is_asked() {
        let watch = SleepWatch::of_system();
        for _ in 0..10_000 {
            assert_eq!(watch.awake_for(), Duration::MAX);
        }
    }
}
