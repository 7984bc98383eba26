//! How long bytes are under way.

use std::time::Duration;

use crate::rng::{Rng, nanos};

/// The distribution of the time that bytes take in one direction: uniform between two bounds, with
/// a rare long tail. Bytes of one connection never overtake each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    low: Duration,
    high: Duration,
    tail: f64,
    tail_high: Duration,
}

impl Default for Latency {
    /// 0.2 to 1.2 ms, and one time in a hundred up to 30 ms.
    fn default() -> Self {
        Self::uniform(Duration::from_micros(200), Duration::from_micros(1200))
            .tail(0.01, Duration::from_millis(30))
    }
}

impl Latency {
    /// Always the same.
    pub const fn fixed(latency: Duration) -> Self {
        Self::uniform(latency, latency)
    }

    /// Anything between the two.
    pub const fn uniform(low: Duration, high: Duration) -> Self {
        Self {
            low,
            high,
            tail: 0.0,
            tail_high: high,
        }
    }

    /// With this probability anything between the upper bound and `high` instead.
    pub const fn tail(mut self, probability: f64, high: Duration) -> Self {
        self.tail = probability;
        self.tail_high = high;
        self
    }

    pub(crate) fn draw(&self, rng: &mut Rng) -> u64 {
        let (low, high) = (nanos(self.low), nanos(self.high));
        if rng.chance(self.tail) {
            return rng.between(high, nanos(self.tail_high));
        }
        rng.between(low, high)
    }
}
