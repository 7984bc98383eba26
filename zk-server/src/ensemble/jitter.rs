//! Chance, from a seed: SplitMix64.

use std::time::Duration;

#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: [u8; 32], salt: u8) -> Self {
        let state = seed.iter().chain([&salt]).fold(0u64, |state, byte| {
            (state ^ u64::from(*byte))
                .wrapping_mul(0x0100_0000_01b3)
                .rotate_left(29)
        });
        Self(state)
    }

    /// Between this time and half as much more.
    pub(super) fn stretch(&mut self, time: Duration) -> Duration {
        let share = (self.next() >> 40) as u32;
        time + time.mul_f64(f64::from(share) / f64::from(1 << 25))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }
}
