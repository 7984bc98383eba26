//! Delays between attempts: exponential, capped, jittered from the session's own generator.

use std::time::Duration;

use crate::rng::Rng;

/// How long to wait between attempts, and when to stop (kazoo's `KazooRetry`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BackoffPolicy {
    /// Attempts in all; `None` for no limit. Default none.
    pub max_tries: Option<u32>,
    /// The first delay. Default 100 ms.
    pub delay: Duration,
    /// What the delay is multiplied with after each attempt. Default 2.
    pub factor: f64,
    /// The longest delay. Default 5 s (kazoo: an hour).
    pub max_delay: Duration,
    /// Each delay is drawn between `1 - jitter` and `1 + jitter` times its value; 0 to 1.
    /// Default 0.4.
    pub jitter: f64,
    /// No attempt starts later than this after the first one. Default none.
    pub deadline: Option<Duration>,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self {
            max_tries: None,
            delay: Duration::from_millis(100),
            factor: 2.0,
            max_delay: Duration::from_secs(5),
            jitter: 0.4,
            deadline: None,
        }
    }
}

impl BackoffPolicy {
    /// The default policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`max_tries`](Self::max_tries).
    #[must_use]
    pub fn max_tries(mut self, tries: u32) -> Self {
        self.max_tries = Some(tries);
        self
    }

    /// Sets [`delay`](Self::delay).
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets [`factor`](Self::factor).
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets [`max_delay`](Self::max_delay).
    #[must_use]
    pub fn max_delay(mut self, max_delay: Duration) -> Self {
        self.max_delay = max_delay;
        self
    }

    /// Sets [`jitter`](Self::jitter).
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets [`deadline`](Self::deadline).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Is every number usable? Used by [`ConfigBuilder::build`](crate::ConfigBuilder::build).
    pub fn is_valid(&self) -> bool {
        self.max_tries != Some(0)
            && self.factor.is_finite()
            && self.factor >= 1.0
            && (0.0..=1.0).contains(&self.jitter)
    }
}

/// A [`BackoffPolicy`] at work. Knows no clock: the caller says how much time has passed.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    tries: u32,
    next: Duration,
}

impl Backoff {
    /// Starts afresh: the next attempt is the first.
    pub fn new(policy: BackoffPolicy) -> Self {
        let next = policy.delay.min(policy.max_delay);
        Self {
            policy,
            tries: 0,
            next,
        }
    }

    /// Forgets all failures.
    pub fn reset(&mut self) {
        self.tries = 0;
        self.next = self.policy.delay.min(self.policy.max_delay);
    }

    /// An attempt succeeded. The delays stay long until [`reset`](Self::reset): it may not last.
    pub fn succeeded(&mut self) {
        self.tries = 0;
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.tries
    }

    /// An attempt failed, `elapsed` after the first one began: how long to wait before the next,
    /// never more than `cap`; `None` when there is to be no other.
    pub fn after_failure(
        &mut self,
        rng: &mut Rng,
        elapsed: Duration,
        cap: Duration,
    ) -> Option<Duration> {
        self.tries = self.tries.saturating_add(1);
        if self.policy.max_tries.is_some_and(|max| self.tries >= max) {
            return None;
        }
        let wait = self.pause(rng, cap);
        let too_late = |limit| elapsed.saturating_add(wait) > limit;
        if self.policy.deadline.is_some_and(too_late) {
            return None;
        }
        Some(wait)
    }

    /// The next delay, never more than `cap`, without counting an attempt.
    pub fn pause(&mut self, rng: &mut Rng, cap: Duration) -> Duration {
        // What chance adds does not go beyond the cap, and is not cut off there: then many would
        // come at the same moment.
        let most = scale(cap, 1.0 / (1.0 + self.policy.jitter));
        let wait = rng.jittered(self.next.min(most), self.policy.jitter);
        let wait = wait.min(cap);
        self.next = scale(self.next, self.policy.factor).min(self.policy.max_delay);
        wait
    }
}

/// `d` times `by`, saturating.
pub(crate) fn scale(d: Duration, by: f64) -> Duration {
    Duration::try_from_secs_f64(d.as_secs_f64() * by).unwrap_or(Duration::MAX)
}
