//! Results against the log, in a time that grows with its length only.
//!
//! ZooKeeper numbers its transactions. That makes it easy: each acknowledged write must have the
//! result that the model gives at its place in the log, and an operation that began after another
//! one was answered must have a higher zxid. It says nothing about writes that were refused, as the
//! log does not have them; for those there is [`super::linear`].

use zk_proto::Zxid;

use super::command::{Command, Compare, Ended, Strength};
use super::history::Operation;
use super::log::{CommittedLog, Ledger};
use super::outcomes::{Matching, write_of};
use super::violation::{Rule, Violation};

/// Plays the log, and compares what was answered with what had to be.
pub(crate) fn check_results<'a>(
    operations: &[Operation<'_>],
    matching: &Matching,
    log: &'a CommittedLog,
) -> Result<Ledger<'a>, Violation> {
    let behind = |entry| matching.operations.get(&entry).map(|at| &operations[*at]);
    Ledger::play(
        log,
        // Which of several that are alike was done without an answer cannot be known.
        |entry| {
            behind(entry)
                .filter(|operation| is_answered(operation))
                .and_then(write_of)
        },
        |entry, truth| {
            let Some(operation) = behind(entry) else {
                return Ok(());
            };
            match operation.ended {
                Some((_, Ended::Reply(reply))) if !Compare::Whole.fits(reply, truth) => {
                    let entry = &log.entries[entry];
                    let text = format!("{operation}, but {truth} by {entry}");
                    Err(Violation::new(Rule::Result, text))
                }
                _ => Ok(()),
            }
        },
    )
}

/// Whether the reads that ask for it are as fresh as they must be. Plain ones need not be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Deposed {
    /// No leader was ever cut off from its followers: a `synced` read is linearizable.
    #[default]
    Never,
    /// A leader that does not know yet that it is none any more may have answered a `sync`.
    Possible,
}

/// What each operation cannot be older than: the newest write, or linearizable read, that had been
/// answered when it began. Checks on the way that the zxids of writes say the same.
///
/// `seen` gives the zxid that a read is known to have seen at least.
pub(crate) fn check_real_time(
    operations: &[Operation<'_>],
    matching: &Matching,
    ledger: &Ledger<'_>,
    deposed: Deposed,
    seen: impl Fn(usize) -> Option<Zxid>,
) -> Result<Vec<Zxid>, Violation> {
    #[derive(Clone, Copy)]
    enum Side {
        Begin,
        End,
    }
    let mut moments = Vec::with_capacity(2 * operations.len());
    for (index, operation) in operations.iter().enumerate() {
        moments.push((operation.invoked.index, Side::Begin, index));
        if let Some((mark, Ended::Reply(_) | Ended::Applied)) = operation.ended {
            moments.push((mark.index, Side::End, index));
        }
    }
    moments.sort_unstable_by_key(|(at, ..)| *at);
    // Where a write may be in several places, the one that proves least.
    let zxids_of = |index: usize| match operations[index].command {
        Command::Write(_) => matching.zxids(index, ledger.entries),
        Command::Read(_, strength) if is_strong(*strength, deposed) => {
            seen(index).map(|zxid| (zxid, zxid))
        }
        Command::Read(..) => None,
    };
    let mut floors = vec![Zxid::ZERO; operations.len()];
    let (mut newest, mut by) = (Zxid::ZERO, None);
    for (_, side, index) in moments {
        match side {
            Side::Begin => {
                floors[index] = newest;
                let operation = &operations[index];
                let write = write_of(operation).filter(|_| is_answered(operation));
                let late = write.and_then(|_| zxids_of(index)).map(|(_, most)| most);
                if let (Some(zxid), Some(by)) = (late.filter(|zxid| *zxid <= newest), by) {
                    let earlier: &Operation<'_> = &operations[by];
                    let text = format!("{zxid} of {operation}, begun after {newest} of {earlier}");
                    return Err(Violation::new(Rule::RealTime, text));
                }
            }
            Side::End => {
                let least = zxids_of(index).map(|(least, _)| least);
                if let Some(zxid) = least.filter(|zxid| *zxid > newest) {
                    (newest, by) = (zxid, Some(index));
                }
            }
        }
    }
    Ok(floors)
}

/// Did the operation end with an answer?
pub(crate) fn is_answered(operation: &Operation<'_>) -> bool {
    matches!(operation.ended, Some((_, Ended::Reply(_))))
}

pub(crate) fn is_strong(strength: Strength, deposed: Deposed) -> bool {
    match strength {
        Strength::Plain => false,
        Strength::Synced => deposed == Deposed::Never,
        Strength::Linearizable => true,
    }
}
