//! Time, as it is given: a monotonic one for deadlines, and the wall clock it started with.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The latest moment seen. Never runs backwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    now: Instant,
    /// Milliseconds since 1970 at `start`.
    wall: i64,
}

impl Clock {
    pub(crate) fn new(now: Instant, wall: SystemTime) -> Self {
        let wall = wall.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            start: now,
            now,
            wall: millis(wall),
        }
    }

    pub(crate) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now.duration_since(self.start)
    }

    /// Milliseconds since 1970, by a wall clock that nobody sets.
    pub(crate) fn wall_millis(&self) -> i64 {
        self.wall.saturating_add(millis(self.elapsed()))
    }

    /// The moment so long after the start; `None` if it is out of range.
    pub(crate) fn at(&self, elapsed: Duration) -> Option<Instant> {
        self.start.checked_add(elapsed)
    }
}

/// In milliseconds, cut; out of range is the longest there is.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
