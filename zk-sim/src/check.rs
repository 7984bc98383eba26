//! Judges: was what the clients of a run saw what they were promised?
//!
//! A run leaves two things behind, the [`History`] of what users asked and saw, and the
//! [`CommittedLog`] of what the servers agreed on. [`check_all`] holds one against the other, by
//! rules of their own each; a [`Violation`] is the proof that one is broken. Nothing here knows the
//! simulator: whoever has a history can have it judged.
//!
//! ```text
//!  History --> operations --+--> outcomes: which operation made which entry of the log
//!     |                     |        |
//!     |                     |    results: the log, played on the model, gives all answers
//!     |                     |        |
//!     |                     +--> reads: forwards, from states that there were
//!     |                     |        |
//!     +--> watches, streams <--------+      nothing lost, nothing invented, in order
//!     |                     |
//!     +--> sessions         +--> order: linearizability, without believing in zxids
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `command`, `history`, `log` | what is judged |
//! | `tree` | the model: what a server would answer, said as simply as possible |
//! | `linear` | the search for an order, for any model |
//! | `outcomes`, `results`, `reads`, `watches`, `streams`, `sessions`, `order` | a rule each |

use std::collections::BTreeMap;

use zk_proto::SessionId;

mod command;
mod history;
mod linear;
mod log;
mod order;
mod outcomes;
mod reads;
mod results;
mod sessions;
mod streams;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tree;
mod violation;
mod watches;

pub use command::{Command, Effect, Ended, Read, Refusal, Reply, Strength, Write};
pub use history::{ClientNo, Event, History, OpNo, Standing, WatchKind, WatchNo};
pub use linear::{Model, Span, Verdict, linearize};
pub use log::{CommittedLog, Entry, Txn};
pub use outcomes::Unrecorded;
pub use results::Deposed;
pub use sessions::{check_leaks, check_sessions};
pub use tree::{Stamp, Tree};
pub use violation::{Rule, Violation};
pub use watches::Recorded;

use history::Operation;
use log::Ledger;
use outcomes::Matching;

/// Whether a history goes on to its end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ends {
    /// Every operation must have ended.
    #[default]
    All,
    /// It was cut off: what has not ended is unknown.
    Cut,
}

/// What it means that the search for an order was given up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Undecided {
    /// That there is none. The order of the log is tried first, and of a run that kept its promises
    /// it is the one: only where it is not, there is much to search.
    #[default]
    Refused,
    /// Nothing: it is counted.
    Counted,
}

/// What is known about a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "options to be named one by one, the rest by default"
)]
pub struct Options {
    /// Whether all operations must have ended.
    pub ends: Ends,
    /// What the history leaves out.
    pub unrecorded: Unrecorded,
    /// Whether `synced` reads are linearizable.
    pub deposed: Deposed,
    /// Whether events of watches are in order with replies.
    pub recorded: Recorded,
    /// The steps that the search for an order may take, in each part of the tree. 0 leaves it out.
    pub budget: usize,
    /// What it means to have taken them.
    pub undecided: Undecided,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ends: Ends::default(),
            unrecorded: Unrecorded::default(),
            deposed: Deposed::default(),
            recorded: Recorded::default(),
            budget: 100_000,
            undecided: Undecided::default(),
        }
    }
}

/// What was found to be right: a check of nothing is worth nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Operations.
    pub operations: usize,
    /// Those that are in the log.
    pub applied: usize,
    /// Reads that were placed between writes.
    pub reads: usize,
    /// One-shot watches.
    pub watches: usize,
    /// Streams.
    pub streams: usize,
    /// What clients said of their sessions.
    pub standings: usize,
    /// Parts of the tree for which an order was looked for. None where others wrote, too.
    pub parts: usize,
    /// Those where it was given up.
    pub undecided: usize,
}

/// Checks everything.
///
/// # Errors
/// The first violation.
pub fn check_all(
    history: &History,
    log: &CommittedLog,
    options: Options,
) -> Result<Summary, Violation> {
    let operations = history.operations()?;
    if options.ends == Ends::All {
        outcomes::check_ends(&operations)?;
    }
    // The search would be misled by a result that does not fit the log only after a long time.
    let (matching, ledger) = check_log(history, &operations, log, options)?;
    let seens = reads::check_reads(history, &operations, &matching, &ledger, options.deposed)?;
    let scene = watches::Scene::new(
        history,
        &operations,
        &matching,
        &ledger,
        &seens,
        options.recorded,
    )?;
    let mut summary = Summary {
        operations: operations.len(),
        applied: matching.entries.len(),
        reads: seens.len(),
        watches: watches::check_one_shots(&scene)?,
        streams: streams::check_streams(&scene)?,
        standings: check_sessions(history, log)?,
        ..Summary::default()
    };
    let changes =
        |entry: &&Entry| matches!(&entry.txn, Txn::Change(effects) if !effects.is_empty());
    let all_recorded = log.entries.iter().filter(changes).count() == matching.operations.len();
    if all_recorded && options.budget > 0 {
        let searches = check_order(history, &operations, &matching, log, options)?;
        (summary.parts, summary.undecided) = (searches.parts, searches.undecided);
    }
    Ok(summary)
}

/// Checks that outcomes and results are those of the log.
fn check_log<'a>(
    history: &History,
    operations: &[Operation<'_>],
    log: &'a CommittedLog,
    options: Options,
) -> Result<(Matching, Ledger<'a>), Violation> {
    let matching = outcomes::match_up(history, operations, log, options.unrecorded)?;
    let ledger = results::check_results(operations, &matching, log)?;
    Ok((matching, ledger))
}

fn check_order(
    history: &History,
    operations: &[Operation<'_>],
    matching: &Matching,
    log: &CommittedLog,
    options: Options,
) -> Result<order::Searches, Violation> {
    let mut sessions: BTreeMap<ClientNo, Vec<(usize, SessionId)>> = BTreeMap::new();
    for (mark, event) in history.marked() {
        if let Event::Stands {
            client,
            standing: Standing::Connected { session, .. },
        } = event
        {
            let known = sessions.entry(*client).or_default();
            known.push((mark.index, *session));
        }
    }
    // One that is not in the log belongs to the session that its client had when it ended.
    let session_of = |index: usize| match matching.entries.get(&index) {
        Some(entry) => Some(log.entries[*entry].session),
        None => {
            let operation = &operations[index];
            let known = sessions.get(&operation.client)?;
            let (end, _) = operation.ended?;
            let count = known.partition_point(|(at, _)| *at < end.index);
            Some(known[count.checked_sub(1)?].1)
        }
    };
    order::check_order(
        history,
        operations,
        session_of,
        |index| {
            let entry = matching.entries.get(&index)?;
            Some(log.entries[*entry].zxid)
        },
        log,
        options,
    )
}
