//! Outcomes: every operation ends once, and what its end says is true.
//!
//! Operations are matched with the entries of the log, client by client. The entries of a client are
//! in the order in which it submitted them, so the log is a word, and the operations an expression:
//! what was acknowledged must be there, what ended as not applied must not, what is unknown may.
//! All matchings are followed at once, and one of those that reach the end is kept.

use std::collections::BTreeMap;

use zk_proto::{SessionId, Zxid};

use super::command::{Command, Ended, Reply, Write};
use super::history::{ClientNo, Event, History, Operation, Standing};
use super::log::{CommittedLog, Entry, Txn, explains};
use super::violation::{Rule, Violation};

/// What the log may hold besides what the history does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unrecorded {
    /// Nothing, of the clients of the history.
    #[default]
    Nothing,
    /// Writes of recipes, for example. A write that is done twice cannot be noticed then.
    Writes,
}

/// May an operation be in the log?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Presence {
    Must,
    Never,
    May,
}

/// Which operation made which entry of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matching {
    /// Entry by operation.
    pub(crate) entries: BTreeMap<usize, usize>,
    /// Operation by entry.
    pub(crate) operations: BTreeMap<usize, usize>,
}

/// Every operation has ended.
pub(crate) fn check_ends(operations: &[Operation<'_>]) -> Result<(), Violation> {
    match operations
        .iter()
        .find(|operation| operation.ended.is_none())
    {
        Some(hangs) => Err(Violation::new(Rule::EndsOnce, hangs)),
        None => Ok(()),
    }
}

/// Finds out which operation made which entry.
pub(crate) fn match_up(
    history: &History,
    operations: &[Operation<'_>],
    log: &CommittedLog,
    unrecorded: Unrecorded,
) -> Result<Matching, Violation> {
    let owners = owners(history);
    let mut entries: BTreeMap<ClientNo, Vec<usize>> = BTreeMap::new();
    for (index, entry) in log.entries.iter().enumerate() {
        // An empty transaction is the first half of a linearizable read.
        let changes = matches!(&entry.txn, Txn::Change(effects) if !effects.is_empty());
        if let (true, Some(client)) = (changes, owners.get(&entry.session)) {
            entries.entry(*client).or_default().push(index);
        }
    }
    let mut writes: BTreeMap<ClientNo, Vec<usize>> = BTreeMap::new();
    for (index, operation) in operations.iter().enumerate() {
        if write_of(operation).is_some_and(has_effects) {
            writes.entry(operation.client).or_default().push(index);
            entries.entry(operation.client).or_default();
        }
    }
    let mut matching = Matching::default();
    for (client, entries) in entries {
        let run = Run {
            operations,
            log: &log.entries,
            writes: writes.get(&client).map_or(&[][..], Vec::as_slice),
            unrecorded,
        };
        for (operation, entry) in run.match_up(&entries)? {
            matching.entries.insert(operation, entry);
            matching.operations.insert(entry, operation);
        }
    }
    Ok(matching)
}

/// Whose session is whose.
pub(crate) fn owners(history: &History) -> BTreeMap<SessionId, ClientNo> {
    let mut owners = BTreeMap::new();
    for (_, event) in history.events() {
        if let Event::Stands {
            client,
            standing: Standing::Connected { session, .. } | Standing::Suspended { session, .. },
        } = event
        {
            owners.insert(*session, *client);
        }
    }
    owners
}

pub(crate) fn write_of<'a>(operation: &Operation<'a>) -> Option<&'a Write> {
    match operation.command {
        Command::Write(write) => Some(write),
        Command::Read(..) => None,
    }
}

fn has_effects(write: &Write) -> bool {
    match write {
        Write::Check { .. } => false,
        Write::Multi(parts) => parts.iter().any(has_effects),
        Write::Create { .. }
        | Write::Delete { .. }
        | Write::SetData { .. }
        | Write::SetAcl { .. } => true,
    }
}

fn presence(operation: &Operation<'_>) -> Presence {
    match operation.ended {
        Some((_, Ended::Reply(Reply::Refused(_)) | Ended::NotApplied)) => Presence::Never,
        Some((_, Ended::Reply(_) | Ended::Applied)) => Presence::Must,
        Some((_, Ended::Unknown)) | None => Presence::May,
    }
}

/// The zxid of a write, as far as its reply shows it.
fn zxid_of(reply: &Reply) -> Option<Zxid> {
    match reply {
        Reply::Created { stat, .. } => stat.map(|stat| stat.czxid),
        Reply::Multi(parts) => parts.iter().find_map(zxid_of),
        // That of a new access control list shows older zxids only.
        Reply::Deleted
        | Reply::Set(_)
        | Reply::Checked
        | Reply::Data { .. }
        | Reply::Exists(_)
        | Reply::Children { .. }
        | Reply::Refused(_) => None,
    }
}

/// The writes of one client against its entries.
struct Run<'a> {
    operations: &'a [Operation<'a>],
    log: &'a [Entry],
    writes: &'a [usize],
    unrecorded: Unrecorded,
}

/// That the first so many writes are dealt with, and the place in the step before this came from.
#[derive(Clone, Copy)]
struct Reached {
    writes: usize,
    from: usize,
}

impl Run<'_> {
    /// Pairs of operation and entry.
    fn match_up(&self, entries: &[usize]) -> Result<Vec<(usize, usize)>, Violation> {
        let mut steps = vec![vec![Reached { writes: 0, from: 0 }]];
        for entry in entries {
            let before = steps.last().map_or(&[][..], Vec::as_slice);
            let next = self.step(before, *entry);
            if next.is_empty() {
                return Err(self.explain(before, *entry));
            }
            steps.push(next);
        }
        let last = steps.last().map_or(&[][..], Vec::as_slice);
        let missing = |reached: &Reached| self.missing(reached.writes..self.writes.len());
        let Some(mut at) = last.iter().position(|reached| missing(reached).is_none()) else {
            let operation = last
                .last()
                .and_then(missing)
                .map_or(0, |at| self.writes[at]);
            let text = format!("not in the log: {}", self.operations[operation]);
            return Err(Violation::new(Rule::Applied, text));
        };
        let mut pairs = Vec::new();
        for (step, entry) in steps.windows(2).zip(entries).rev() {
            let reached = step[1][at];
            if reached.writes > step[0][reached.from].writes {
                pairs.push((self.writes[reached.writes - 1], *entry));
            }
            at = reached.from;
        }
        Ok(pairs)
    }

    fn step(&self, before: &[Reached], entry: usize) -> Vec<Reached> {
        let mut next: Vec<Reached> = Vec::new();
        let mut reach = |writes, from| {
            if next.iter().all(|reached| reached.writes != writes) {
                next.push(Reached { writes, from });
            }
        };
        for (from, reached) in before.iter().enumerate() {
            for at in reached.writes..self.writes.len() {
                let presence = self.presence(at);
                if presence != Presence::Never && self.can_be(at, entry) {
                    reach(at + 1, from);
                }
                if presence == Presence::Must {
                    break;
                }
            }
            if self.unrecorded == Unrecorded::Writes {
                reach(reached.writes, from);
            }
        }
        next.sort_by_key(|reached| reached.writes);
        next
    }

    fn presence(&self, at: usize) -> Presence {
        presence(&self.operations[self.writes[at]])
    }

    /// The first write of these that must be in the log.
    fn missing(&self, mut range: std::ops::Range<usize>) -> Option<usize> {
        range.find(|at| self.presence(*at) == Presence::Must)
    }

    /// Can a write have made an entry? It is not committed before it is asked for, nor after it is
    /// answered.
    fn can_be(&self, at: usize, entry: usize) -> bool {
        let (operation, entry) = (&self.operations[self.writes[at]], &self.log[entry]);
        if operation.invoked.at > entry.at || !self.looks_like(at, entry) {
            return false;
        }
        let Some((mark, ended)) = operation.ended else {
            return true;
        };
        match ended {
            Ended::Reply(reply) => {
                let ours = zxid_of(reply).filter(|zxid| self.is_like(at, *zxid));
                entry.at <= mark.at
                    && operation.header.is_none_or(|header| entry.zxid <= header)
                    && ours.is_none_or(|zxid| zxid == entry.zxid)
            }
            Ended::Applied => entry.at <= mark.at,
            Ended::NotApplied | Ended::Unknown => true,
        }
    }

    /// Is there such an entry of this number? If not, the reply is wrong, and found to be later.
    fn is_like(&self, at: usize, zxid: Zxid) -> bool {
        let found = self.log.binary_search_by_key(&zxid, |entry| entry.zxid);
        found.is_ok_and(|entry| self.looks_like(at, &self.log[entry]))
    }

    fn looks_like(&self, at: usize, entry: &Entry) -> bool {
        let write = write_of(&self.operations[self.writes[at]]);
        match (&entry.txn, write) {
            (Txn::Change(effects), Some(write)) => explains(write, entry.session, effects),
            _ => false,
        }
    }

    /// Why no operation can have made an entry.
    fn explain(&self, before: &[Reached], entry: usize) -> Violation {
        let entry = &self.log[entry];
        let done = before.last().map_or(0, |reached| reached.writes);
        let like: Vec<usize> = (0..self.writes.len())
            .filter(|at| self.looks_like(*at, entry))
            .collect();
        let of = |at: usize| &self.operations[self.writes[at]];
        let missing = self.missing(done..self.writes.len());
        let denied = like
            .iter()
            .find(|at| **at >= done && self.presence(**at) == Presence::Never);
        let (rule, text) = if let Some(at) = denied {
            let operation = of(*at);
            (
                Rule::NotApplied,
                format!("in the log as {entry}: {operation}"),
            )
        } else if let Some(at) = like.iter().find(|at| **at < done) {
            let operation = of(*at);
            (
                Rule::NotApplied,
                format!("once more in the log, as {entry}: {operation}"),
            )
        } else if let (Some(missing), false) = (missing, like.is_empty()) {
            let operation = of(missing);
            (
                Rule::Applied,
                format!("not in the log at its time, by {entry}: {operation}"),
            )
        } else {
            (Rule::NotApplied, format!("nobody asked for it: {entry}"))
        };
        Violation::new(rule, text)
    }
}
