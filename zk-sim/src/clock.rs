//! The clocks of machines: each runs at a rate of its own, and can jump.

use std::time::{Duration, Instant, SystemTime};

use crate::rng::nanos;

/// Virtual time begins at this moment, 2023-11-14 22:13:20 UTC.
pub(crate) const EPOCH: SystemTime = SystemTime::UNIX_EPOCH;
pub(crate) const EPOCH_OFFSET: Duration = Duration::from_secs(1_700_000_000);

const MILLION: i128 = 1_000_000;

/// A machine's clock: a line through (`true_time`, `own_time`) until the next change.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// The one real moment, taken when the universe began. Only differences to it mean anything.
    base: Instant,
    true_time: u64,
    own_time: u64,
    /// How much faster than true time it runs, in millionths.
    drift: i32,
    /// What the wall clock is ahead of the steady one, beyond the epoch.
    wall_ahead: i64,
    /// What the steady clock showed at the beginning.
    offset: u64,
}

impl Clock {
    pub(crate) fn new(base: Instant, offset: u64) -> Self {
        Self {
            base,
            true_time: 0,
            own_time: offset,
            drift: 0,
            wall_ahead: 0,
            offset,
        }
    }

    fn own(&self, now: u64) -> u64 {
        let passed = i128::from(now.saturating_sub(self.true_time));
        let own = passed * (MILLION + i128::from(self.drift)) / MILLION;
        self.own_time
            .saturating_add(u64::try_from(own).unwrap_or(u64::MAX))
    }

    /// What the steady clock shows at a true time.
    pub(crate) fn now(&self, now: u64) -> Instant {
        self.base + Duration::from_nanos(self.own(now))
    }

    /// What the wall clock shows at a true time.
    pub(crate) fn wall(&self, now: u64) -> SystemTime {
        let steady = EPOCH + EPOCH_OFFSET + Duration::from_nanos(self.own(now) - self.offset);
        let ahead = Duration::from_nanos(self.wall_ahead.unsigned_abs());
        if self.wall_ahead < 0 {
            steady - ahead
        } else {
            steady + ahead
        }
    }

    /// The first true time at which the clock shows `at` or later, as far as one knows.
    pub(crate) fn true_time_of(&self, at: Instant) -> u64 {
        let own = nanos(at.saturating_duration_since(self.base));
        let ahead = i128::from(own.saturating_sub(self.own_time));
        let rate = MILLION + i128::from(self.drift);
        let passed = (ahead * MILLION + rate - 1) / rate;
        self.true_time
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Lets it run faster by so many millionths, or slower if negative. At least a tenth of the
    /// right rate is kept.
    pub(crate) fn set_drift(&mut self, now: u64, drift: i32) {
        self.rebase(now);
        self.drift = drift.max(-900_000);
    }

    /// Puts it forward, as a machine's that was suspended. The wall clock goes along.
    pub(crate) fn jump(&mut self, now: u64, by: Duration) {
        self.rebase(now);
        self.own_time = self.own_time.saturating_add(nanos(by));
    }

    /// Sets the wall clock forward or back by nanoseconds, as an operator does.
    pub(crate) fn jump_wall(&mut self, by: i64) {
        self.wall_ahead = self.wall_ahead.saturating_add(by);
    }

    fn rebase(&mut self, now: u64) {
        self.own_time = self.own(now);
        self.true_time = now;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the base is a real instant")]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_fast_clock_runs_ahead_and_its_deadlines_come_early() {
        let mut clock = Clock::new(Instant::now(), 5 * SECOND);
        let start = clock.now(0);
        clock.set_drift(0, 1_000);
        let after = clock.now(1000 * SECOND);
        assert_eq!(after - start, Duration::from_secs(1001));
        assert_eq!(clock.true_time_of(after), 1000 * SECOND);
        assert_eq!(clock.true_time_of(start), 0);
    }

    #[test]
    fn a_deadline_is_never_found_too_early() {
        for drift in [-333_333, -7, 0, 13, 250_001] {
            let mut clock = Clock::new(Instant::now(), 17);
            clock.set_drift(3, drift);
            for ahead in [1, 2, 999, 1_000_003, 7 * SECOND + 1] {
                let at = clock.now(3) + Duration::from_nanos(ahead);
                let found = clock.true_time_of(at);
                assert!(clock.now(found) >= at, "{drift} {ahead}");
                assert!(clock.now(found - 1) < at, "{drift} {ahead}");
            }
        }
    }

    #[test]
    fn jumps_move_the_steady_clock_forward_and_the_wall_clock_either_way() {
        let mut clock = Clock::new(Instant::now(), 0);
        let (start, wall) = (clock.now(0), clock.wall(0));
        clock.jump(SECOND, Duration::from_secs(10));
        assert_eq!(clock.now(SECOND) - start, Duration::from_secs(11));
        clock.jump_wall(-(60 * SECOND as i64));
        assert_eq!(
            wall.duration_since(clock.wall(SECOND)).unwrap(),
            Duration::from_secs(49)
        );
        assert_eq!(clock.now(SECOND) - start, Duration::from_secs(11));
    }
}
