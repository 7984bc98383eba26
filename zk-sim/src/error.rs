//! Why a universe cannot go on.

use std::time::Duration;

/// Why a run has ended without what it was to bring about. Each names the seed that repeats it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// Nothing can run, and nothing is planned: what is waited for will never come.
    #[error(
        "seed {seed}: after {at:?} nothing can ever happen again: the future waits for nothing"
    )]
    Deadlock {
        /// The seed of the universe.
        seed: u64,
        /// Virtual time since its beginning.
        at: Duration,
    },
    /// It has taken longer than [`Sim::set_limit`](crate::Sim::set_limit) allows.
    #[error("seed {seed}: not done after {at:?}: the future hangs, or set_limit is too low")]
    TimeLimit {
        /// The seed of the universe.
        seed: u64,
        /// Virtual time since its beginning.
        at: Duration,
    },
    /// Something wakes itself over and over, so that time cannot go on.
    #[error("seed {seed}: time stands still at {at:?}: something runs in a circle without waiting")]
    Livelock {
        /// The seed of the universe.
        seed: u64,
        /// Virtual time since its beginning.
        at: Duration,
    },
    /// Something was logged as an error, which is for bugs.
    #[error("seed {seed}: an error was logged at {at:?}: {message}")]
    ErrorLogged {
        /// The seed of the universe.
        seed: u64,
        /// Virtual time since its beginning.
        at: Duration,
        /// What was logged.
        message: String,
    },
    /// The universe runs already: this was called by something within it, which should await.
    #[error("seed {seed}: the universe runs already: await instead, within it")]
    Nested {
        /// The seed of the universe.
        seed: u64,
    },
}
