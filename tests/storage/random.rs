//! Choices that a printed number repeats.

use std::time::{SystemTime, UNIX_EPOCH};

const SEED_VARIABLE: &str = "MUSTER_TEST_SEED";

/// Splitmix64: its whole state is its seed.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
pub struct Random(u64);

impl Random {
    /// Starts from `MUSTER_TEST_SEED`, or else from the clock; prints the seed.
    pub fn of_test(name: &str) -> Self {
        let seed = match std::env::var(SEED_VARIABLE) {
            Ok(text) => text.parse().unwrap_or_else(|e| panic!("{SEED_VARIABLE}={text}: {e}")),
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos() as u64,
        };
        println!("{name}: {SEED_VARIABLE}={seed}");
        Self::of_seed(seed)
    }

    /// Starts from that number.
    pub fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own.
    pub fn fork(&mut self) -> Self {
        Self(self.bits())
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// A number from `from` up to and without `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from)
    }
}
