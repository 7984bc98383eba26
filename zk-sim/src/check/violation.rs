//! [`Violation`]: a promise that was broken, and the proof of it.

use std::fmt;

/// What is promised.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Rule {
    /// The servers' log follows from the empty tree, with zxids that grow.
    Log,
    /// There is one order of all writes, and of the reads that ask for it, that explains all results
    /// and is no other than that of time.
    Linearizable,
    /// A result is the one that the log gives.
    Result,
    /// What was answered before another operation began is before it in the log.
    RealTime,
    /// What ended as applied is in the log.
    Applied,
    /// What ended as not applied, or was never asked, is not in the log; nothing is there twice.
    NotApplied,
    /// The reads of a session show a state that there was, and never go back.
    Reads,
    /// Every operation ends once.
    EndsOnce,
    /// No change is lost on a watch.
    WatchLost,
    /// A watch shows no change that there was not, and a one-shot no second one.
    WatchInvented,
    /// A watch shows a change before any reply that does.
    WatchOrder,
    /// A stream ends once, and says nothing afterwards.
    WatchEnd,
    /// At the end nothing is left over.
    Leak,
    /// A session lives while its client says so.
    SessionTruth,
}

/// A rule that was broken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{rule:?} is broken: {text}")]
#[non_exhaustive]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// By what, for people to read.
    pub text: String,
}

impl Violation {
    pub(crate) fn new(rule: Rule, text: impl fmt::Display) -> Self {
        Self {
            rule,
            text: text.to_string(),
        }
    }
}
