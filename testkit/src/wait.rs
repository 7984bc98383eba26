//! Waiting for a condition with a deadline, never for a length of time.

use std::thread;
use std::time::{Duration, Instant};

/// How long to leave the processor to others between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer or `limit` has passed; the last look is at or after the deadline.
///
/// ```
/// use std::time::Duration;
/// let mut looks = 0;
/// let found = zk_testkit::eventually(Duration::from_secs(5), || {
///     looks += 1;
///     (looks == 3).then_some("there")
/// });
/// assert_eq!(found, Some("there"));
/// ```
pub fn eventually<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let late = Instant::now() >= deadline;
        if let Some(found) = look() {
            return Some(found);
        }
        if late {
            return None;
        }
        thread::sleep(PAUSE);
    }
}
