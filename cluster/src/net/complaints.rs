//! What is logged of connections that come to nothing: each kind of failure of each address now and then, so that
//! nobody who reaches the port can fill the log.

use std::mem::Discriminant;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::handshake::HandshakeError;

/// The same of the same address is said again after so long.
const QUIET_FOR: Duration = Duration::from_secs(60);
/// So many are remembered; nothing is said of further ones until one of these is old.
const KEPT_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Complaints(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    said: FxHashMap<(IpAddr, Discriminant<HandshakeError>), Instant>,
    /// Failures since the last line, of which nothing was said.
    unsaid: u64,
}

impl Complaints {
    /// Logs that a connection was refused, unless that would be the same again.
    pub(super) fn say(&self, from: SocketAddr, error: &HandshakeError) {
        if let Some(unsaid) = self.0.lock().take(from.ip(), error, Instant::now()) {
            tracing::warn!(%from, %error, unsaid, "a connection to the cluster's port was refused");
        }
    }
}

impl Kept {
    /// Whether to say it, and how much was not said before.
    fn take(&mut self, from: IpAddr, error: &HandshakeError, now: Instant) -> Option<u64> {
        let key = (from, std::mem::discriminant(error));
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= QUIET_FOR;
        if self.said.len() >= KEPT_MAX {
            self.said.retain(|_, at| !is_old(at));
        }
        let is_news = match self.said.get(&key) {
            Some(at) => is_old(at),
            None => self.said.len() < KEPT_MAX,
        };
        if !is_news {
            self.unsaid += 1;
            return None;
        }
        self.said.insert(key, now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_said_once_in_a_while_and_no_flood_says_more() {
        let mut kept = Kept::default();
        let address = |n: u32| IpAddr::V4(n.into());
        let (now, key, late) = (Instant::now(), HandshakeError::WrongKey, HandshakeError::TimedOut);
        assert_eq!(kept.take(address(1), &key, now), Some(0));
        assert_eq!(kept.take(address(1), &key, now), None);
        assert_eq!(kept.take(address(1), &late, now), Some(1), "another failure is news");
        let said = (0..1000).filter(|n| kept.take(address(100 + n), &key, now).is_some()).count();
        assert_eq!(said, KEPT_MAX - 2);
        let later = now + QUIET_FOR;
        assert_eq!(kept.take(address(1), &key, later), Some(1000 - said as u64));
        assert!(kept.said.len() <= KEPT_MAX);
    }
}
