//! Waiting for something with a name, and not for ever.

use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until the condition holds.
///
/// # Panics
/// If it does not within `bound`.
pub async fn until(what: &str, bound: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < bound, "{what}: not within {bound:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
