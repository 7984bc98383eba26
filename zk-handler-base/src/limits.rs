//! [`Limits`]: how many threads there are for callbacks.

use std::thread;
use std::time::Duration;

/// How many threads run a handler's callbacks, and when there are more. A number that is given as 0
/// counts as 1.
#[derive(Clone, Copy, Debug)]
#[must_use = "a handler has to be given it"]
pub struct Limits {
    /// Workers that run at the same time, not counting those that block.
    pub(crate) parallel: usize,
    /// Workers, all in all.
    pub(crate) workers: usize,
    /// How long work waits while nobody takes any, before the standby steps in.
    pub(crate) patience: Duration,
    /// How long a worker with nothing to do stays.
    pub(crate) linger: Duration,
}

impl Limits {
    /// The defaults, which are named below.
    pub fn new() -> Self {
        let processors = thread::available_parallelism().map_or(2, usize::from);
        Self {
            parallel: processors.clamp(1, 4),
            workers: 64,
            patience: Duration::from_millis(20),
            linger: Duration::from_secs(5),
        }
    }

    /// How many callbacks run at the same time, those that block not counted. Default: the number
    /// of processors, at most 4.
    pub fn parallel_callbacks(mut self, threads: usize) -> Self {
        self.parallel = threads.max(1);
        self
    }

    /// How many threads there are for callbacks at most, those that block included. Beyond that
    /// callbacks wait, and a warning is logged. Default 64.
    pub fn max_callback_threads(mut self, threads: usize) -> Self {
        self.workers = threads.max(1);
        self
    }

    /// How long callbacks may wait while none of the threads for them takes any, before there is
    /// one more thread. For callbacks that sleep, or wait for something else than results of a
    /// client; for those a thread is added at once. Default 20 ms.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long a callback thread with nothing to do stays. Default 5 s; none stays when no client
    /// is left.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
