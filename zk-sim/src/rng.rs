//! The tree of generators: each component draws from a stream of its own, so that one more draw in
//! one of them does not shift those of the others.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The root of the tree: makes a generator for every name.
#[derive(Clone, Debug)]
pub(crate) struct Seeds {
    seed: u64,
}

impl Seeds {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The generator of the component that these words name.
    pub(crate) fn stream(&self, name: &str, number: u64) -> Rng {
        let mut inner = ChaCha12Rng::seed_from_u64(self.seed);
        // FNV-1a: two names in use that fall together would share their numbers, and no more.
        let bytes = name.bytes().chain(number.to_le_bytes());
        inner.set_stream(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }));
        Rng(inner)
    }
}

/// A ChaCha generator. The same seed gives the same numbers, on every platform.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha12Rng);

impl Rng {
    /// A number below `bound`, or 0 if `bound` is 0. Nothing is drawn where there is no choice.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound < 2 {
            return 0;
        }
        // The bias is below 2^-32 for the lengths in use.
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number from `low` up to, not including, `high`; `low` if there is none.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let width = high.saturating_sub(low);
        if width == 0 {
            return low;
        }
        low + ((u128::from(self.0.next_u64()) * u128::from(width)) >> 64) as u64
    }

    /// A duration between the two.
    pub fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        Duration::from_nanos(self.between(nanos(low), nanos(high)))
    }

    /// A number from 0 up to, not including, 1.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether something of this probability happens. Nothing is drawn for what never does.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// The pause before the next event of a Poisson process with this mean.
    pub fn pause(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.unit()).ln())
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }
}

/// Nanoseconds, up to 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_do_not_depend_on_each_other() {
        let seeds = Seeds::new(7);
        let mut first = seeds.stream("net", 1);
        let numbers: Vec<_> = (0..4).map(|_| first.below(1 << 40)).collect();
        let mut other = seeds.stream("net", 2);
        assert_ne!(other.below(1 << 40), numbers[0]);
        let mut again = seeds.stream("net", 1);
        assert!(numbers.iter().all(|number| again.below(1 << 40) == *number));
        assert_ne!(Seeds::new(8).stream("net", 1).below(1 << 40), numbers[0]);
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut rng = Seeds::new(1).stream("test", 0);
        let mut seen = [0; 3];
        for _ in 0..300 {
            seen[rng.below(3)] += 1;
            let number = rng.between(5, 9);
            assert!((5..9).contains(&number));
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
        assert_eq!((rng.below(0), rng.between(4, 4)), (0, 4));
    }
}
