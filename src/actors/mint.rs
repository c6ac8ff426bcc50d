//! Mints group ids without coordination. Source: docs/spec/identifiers.md 5.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::group::Kind;
use crate::id::GroupId;
use crate::time::Clock;

/// 2025-01-01T00:00:00Z, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_735_689_600_000;
const TIME_BITS: u32 = 41;
const SLOT_BITS: u32 = 12;
const SEQ_BITS: u32 = 12;
const BODY_CHARS: usize = 13;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// A clock that lags further behind what was minted than this is not trusted.
const LAG_MAX_MS: u64 = 5_000;

/// The clock went back further than [`LAG_MAX_MS`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock is {lag_ms} ms behind the last minted id")]
pub struct ClockLags {
    lag_ms: u64,
}

/// Mints ids that no node has minted: the slot is this process's own.
#[derive(Debug)]
pub struct Minter<C> {
    clock: Arc<C>,
    slot: u16,
    last: Mutex<(u64, u16)>,
}

impl<C: Clock> Minter<C> {
    /// `slot`: below 4,096, given to this process alone.
    pub fn new(clock: Arc<C>, slot: u16) -> Self {
        Self { clock, slot: slot & ((1 << SLOT_BITS) - 1), last: Mutex::new((0, 0)) }
    }

    /// # Errors
    /// [`ClockLags`] while the clock is too far behind.
    pub fn mint(&self, kind: Kind) -> Result<GroupId, ClockLags> {
        let (ms, seq) = self.next()?;
        let body = body(ms, self.slot, seq);
        let text = match kind {
            Kind::Community => format!("@TGS#_@TGS#c{body}"),
            _ => format!("@TGS#2{body}"),
        };
        Ok(GroupId::parse(&text).unwrap_or_else(|error| unreachable!("minted {text}: {error}")))
    }

    fn next(&self) -> Result<(u64, u16), ClockLags> {
        let now = self.clock.now().saturating_sub(EPOCH_MS);
        let mut last = self.last.lock();
        let (mut ms, mut seq) = *last;
        if now > ms {
            (ms, seq) = (now, 0);
        } else {
            let lag_ms = ms - now;
            if lag_ms > LAG_MAX_MS {
                return Err(ClockLags { lag_ms });
            }
            seq += 1;
            if seq == 1 << SEQ_BITS {
                // 4,096 ids in this millisecond: borrow the next one.
                (ms, seq) = (ms + 1, 0);
            }
        }
        *last = (ms, seq);
        Ok((ms, seq))
    }
}

/// 65 bits, reversed so that neighbours differ at the head, in base32.
fn body(ms: u64, slot: u16, seq: u16) -> String {
    let bits = u128::from(ms & ((1 << TIME_BITS) - 1)) << (SLOT_BITS + SEQ_BITS)
        | u128::from(slot) << SEQ_BITS
        | u128::from(seq);
    let width = TIME_BITS + SLOT_BITS + SEQ_BITS;
    let reversed = bits.reverse_bits() >> (128 - width);
    (0..BODY_CHARS as u32)
        .map(|at| {
            let shift = width - 5 * (at + 1);
            char::from(ALPHABET[(reversed >> shift) as usize & 31])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Fixed(AtomicU64);

    impl Clock for Fixed {
        fn now(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn minter() -> (Arc<Fixed>, Minter<Fixed>) {
        let clock = Arc::new(Fixed(AtomicU64::new(EPOCH_MS + 1_000_000)));
        (clock.clone(), Minter::new(clock, 7))
    }

    #[test]
    fn ids_look_as_the_spec_says_and_never_repeat() {
        let (_, minter) = minter();
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            let id = minter.mint(Kind::Public).unwrap();
            assert_eq!(id.as_str().len(), 19);
            assert!(id.as_str().starts_with("@TGS#2"));
            assert!(seen.insert(id));
        }
        let community = minter.mint(Kind::Community).unwrap();
        assert_eq!(community.as_str().len(), 25);
        assert!(community.as_str().starts_with("@TGS#_@TGS#c"));
    }

    #[test]
    fn neighbours_share_the_tail_and_differ_at_the_head() {
        let (_, minter) = minter();
        let (a, b) = (minter.mint(Kind::Work).unwrap(), minter.mint(Kind::Work).unwrap());
        let (a, b) = (&a.as_str()[6..], &b.as_str()[6..]);
        assert_ne!(a[..3], b[..3]);
        assert_eq!(a[3..], b[3..]);
    }

    #[test]
    fn a_clock_that_steps_back_is_borne_for_five_seconds() {
        let (clock, minter) = minter();
        let first = minter.mint(Kind::Public).unwrap();
        clock.0.fetch_sub(LAG_MAX_MS, Ordering::Relaxed);
        assert_ne!(minter.mint(Kind::Public).unwrap(), first);
        clock.0.fetch_sub(1_000, Ordering::Relaxed);
        assert_eq!(minter.mint(Kind::Public), Err(ClockLags { lag_ms: LAG_MAX_MS + 1_000 }));
    }
}
