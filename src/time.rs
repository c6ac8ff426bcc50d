//! Moments and spans. No other module reads a clock for a decision.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = u64;

/// A moment given by a shard's leader: max(its clock, the last stamp applied in the shard).
///
/// Stamps of one shard never go back, whoever leads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Stamp(pub Millis);

impl Stamp {
    /// Unix seconds, as the REST API shows every moment.
    pub fn secs(self) -> u64 {
        self.0 / 1000
    }
}

/// What a node tells the time by; tests pass their own.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> Millis;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Millis {
        // A clock before 1970 is a machine that was never set: stamps then start at 0 and only grow.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
    }
}
