//! [`Makers`]: which writes can have made an entry of the log, taken by itself.
//!
//! It is not committed before it is asked for nor after it is answered, no later than its answer
//! says, and it does what the model says that the write does there. A write that was answered must
//! have been answered what the model says, too; but if there is no such entry its answer is wrong,
//! and it is matched with one that does the same, so that this is found out.

use std::collections::{BTreeMap, BTreeSet};

use zk_proto::SessionId;

use super::super::command::{Compare, Effect, Ended, Reply};
use super::super::history::{ClientNo, Operation};
use super::super::log::{CommittedLog, Entry, Txn, apply, explains};
use super::super::tree::{Journal, Tree};
use super::super::violation::Violation;
use super::{Presence, presence, write_of};

/// The operations that can have made each entry.
pub(super) struct Makers {
    by_entry: BTreeMap<usize, Vec<Maker>>,
    /// Those that were answered what the model says for some entry.
    answered_right: BTreeSet<usize>,
}

/// An operation that does what an entry does.
struct Maker {
    operation: usize,
    /// It was answered what the model says.
    fits: bool,
}

impl Makers {
    /// `writes` are the operations of each client that may be in the log, in order.
    pub(super) fn new(
        operations: &[Operation<'_>],
        writes: &BTreeMap<ClientNo, Vec<usize>>,
        owners: &BTreeMap<SessionId, ClientNo>,
        log: &CommittedLog,
    ) -> Result<Self, Violation> {
        let mut makers = Self {
            by_entry: BTreeMap::new(),
            answered_right: BTreeSet::new(),
        };
        let mut open: BTreeMap<ClientNo, Open<'_>> = BTreeMap::new();
        for (client, writes) in writes {
            open.insert(*client, Open::new(writes));
        }
        let mut tree = Tree::new();
        for (index, entry) in log.entries.iter().enumerate() {
            match &entry.txn {
                Txn::Open | Txn::Refused(_) => {}
                Txn::Close => {
                    let _ = tree.close(entry.session, entry.stamp());
                }
                Txn::Change(effects) => {
                    let open = owners
                        .get(&entry.session)
                        .and_then(|client| open.get_mut(client));
                    if let (Some(open), false) = (open, effects.is_empty()) {
                        open.advance(operations, entry);
                        makers.ask(operations, index, entry, &open.writes, &mut tree);
                    }
                    apply(&mut tree, entry, effects)?;
                }
            }
        }
        Ok(makers)
    }

    /// Those of an entry, in the order of their submission.
    pub(super) fn of(&self, entry: usize) -> impl Iterator<Item = usize> {
        let makers = self.by_entry.get(&entry).map_or(&[][..], Vec::as_slice);
        makers
            .iter()
            .filter(|maker| maker.fits || !self.answered_right.contains(&maker.operation))
            .map(|maker| maker.operation)
    }

    fn ask(
        &mut self,
        operations: &[Operation<'_>],
        index: usize,
        entry: &Entry,
        writes: &[usize],
        tree: &mut Tree,
    ) {
        let Txn::Change(effects) = &entry.txn else {
            return;
        };
        let mut makers = Vec::new();
        for at in writes {
            let operation = &operations[*at];
            if !looks_like(operation, entry) || operation.header.is_some_and(|at| entry.zxid > at) {
                continue;
            }
            let fits = does(operation, entry, effects, tree);
            if let Some((_, Ended::Reply(_))) = operation.ended {
                if fits {
                    self.answered_right.insert(*at);
                }
            } else if !fits {
                continue;
            }
            makers.push(Maker {
                operation: *at,
                fits,
            });
        }
        self.by_entry.insert(index, makers);
    }
}

/// Does a write ask for what an entry does, versions and the like aside?
pub(super) fn looks_like(operation: &Operation<'_>, entry: &Entry) -> bool {
    match (&entry.txn, write_of(operation)) {
        (Txn::Change(effects), Some(write)) => explains(write, entry.session, effects),
        _ => false,
    }
}

/// Does it do that, and is its answer right if it has one?
fn does(operation: &Operation<'_>, entry: &Entry, effects: &[Effect], tree: &mut Tree) -> bool {
    let Some(write) = write_of(operation) else {
        return false;
    };
    let mut journal = Journal::new();
    let done = tree.write_down(entry.session, entry.stamp(), write, &mut journal);
    tree.undo(journal);
    let Ok((truth, done)) = done else {
        return false;
    };
    let is_right = |reply: &Reply| Compare::Whole.fits(reply, &truth);
    done == effects
        && match operation.ended {
            Some((_, Ended::Reply(reply))) => is_right(reply),
            Some((_, Ended::Applied | Ended::NotApplied | Ended::Unknown)) | None => true,
        }
}

/// The writes of a client that have been asked for, without those that are over.
struct Open<'a> {
    writes: Vec<usize>,
    later: &'a [usize],
}

impl<'a> Open<'a> {
    fn new(later: &'a [usize]) -> Self {
        Self {
            writes: Vec::new(),
            later,
        }
    }

    /// Goes on to when an entry was committed.
    fn advance(&mut self, operations: &[Operation<'_>], entry: &Entry) {
        let begun = |at: &usize| operations[*at].invoked.at <= entry.at;
        let count = self.later.partition_point(begun);
        let (begun, later) = self.later.split_at(count);
        self.later = later;
        let may_be = |at: &&usize| presence(&operations[**at]) != Presence::Never;
        self.writes.extend(begun.iter().filter(may_be));
        self.writes.retain(|at| match operations[*at].ended {
            Some((mark, Ended::Reply(_) | Ended::Applied)) => entry.at <= mark.at,
            Some((_, Ended::Unknown | Ended::NotApplied)) | None => true,
        });
    }
}
