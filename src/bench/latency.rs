//! From when a latency counts, and how latencies are kept; for every load, so that their figures can stand side by side.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};

/// Longest latency told apart from longer ones, in microseconds: above the longest wait for an answer.
const LATENCY_US_MAX: u64 = 600_000_000;
/// Three digits: the figures are within 0.1 %.
const LATENCY_DIGITS: u8 = 3;

/// An empty histogram of microseconds; any two add up.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, LATENCY_DIGITS).expect("bounds and digits are in range")
}

/// Counts a latency.
pub fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX));
}

/// By how much an operation of an open loop begins after it was due, and why.
#[derive(Clone, Copy, Debug)]
pub enum Lateness {
    /// No connection was free: the wait belongs to the operation.
    Waited(Duration),
    /// This process woke up late; the server has no part in that.
    Late(Duration),
}

/// Waits until an operation is due; gives the moment its latency counts from, and how late that is.
pub async fn start(due: Instant) -> (Instant, Lateness) {
    let now = Instant::now();
    if due <= now {
        return (due, Lateness::Waited(now - due));
    }
    sleep_until(due).await;
    let now = Instant::now();
    (now, Lateness::Late(now - due))
}
