//! Random numbers that are the same in every harness that runs these workloads.
//!
//! Not for anything that must not be guessed: the generator's whole state is its seed.

/// Splitmix64, the generator all harnesses of these workloads share.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts a stream at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts the stream of one connection; connections of one run never share one.
    pub fn of_connection(seed: u64, connection: u64) -> Self {
        Self::new(seed ^ (connection << 32))
    }

    /// Draws 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Draws a number below `bound`.
    ///
    /// By remainder, as the other harnesses do: the bias is below `bound` / 2^64.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// Draws a number in [0, 1), from the upper 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Draws ranks of which the n-th is 1 / n^exponent times as likely as the first.
#[derive(Debug)]
pub struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Prepares ranks 0 to `ranks` - 1.
    ///
    /// # Panics
    /// If `ranks` is 0.
    pub fn new(ranks: u64, exponent: f64) -> Self {
        assert!(ranks > 0, "a distribution needs at least one rank");
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (1..=ranks)
            .map(|rank| {
                sum += 1.0 / (rank as f64).powf(exponent);
                sum
            })
            .collect();
        for share in &mut cumulative {
            *share /= sum;
        }
        Self { cumulative }
    }

    /// Draws a rank; 0 is the most frequent.
    pub fn rank(&self, random: &mut SplitMix64) -> u64 {
        let share = random.unit();
        // The last share may round to a little below 1.
        self.cumulative.partition_point(|upper| *upper < share).min(self.cumulative.len() - 1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        // First outputs of the reference implementation for seed 1234567.
        let mut random = SplitMix64::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn connections_draw_different_numbers() {
        let first = |connection| SplitMix64::of_connection(7, connection).bits();
        assert_ne!(first(0), first(1));
        assert_eq!(first(0), SplitMix64::new(7).bits());
    }

    #[test]
    fn ranks_are_as_frequent_as_their_shares() {
        let zipf = Zipf::new(100, 0.99);
        let mut random = SplitMix64::new(1);
        let mut seen = [0u64; 100];
        const DRAWS: u64 = 200_000;
        for _ in 0..DRAWS {
            seen[zipf.rank(&mut random) as usize] += 1;
        }
        let harmonic: f64 = (1..=100).map(|rank| f64::from(rank).powf(-0.99)).sum();
        for rank in [1usize, 2, 10, 100] {
            let expected = DRAWS as f64 * (rank as f64).powf(-0.99) / harmonic;
            let off = (seen[rank - 1] as f64 - expected).abs();
            // Five standard deviations of a binomial count.
            assert!(off < 5.0 * expected.sqrt(), "rank {rank}: {} draws, expected {expected:.0}", seen[rank - 1]);
        }
    }
}
