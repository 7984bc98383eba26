//! Outcomes: every operation ends once, and what its end says is true.
//!
//! Operations are matched with the entries of the log, client by client. The entries of a client are
//! in the order in which it submitted them, so the log is a word, and the operations an expression:
//! what was acknowledged must be there, what ended as not applied must not, what is unknown may.
//! All matchings are followed at once, and one of those that reach the end is kept, with how far
//! the others go.
//!
//! | module | what it is |
//! |---|---|
//! | `makers` | which writes can have made an entry, taken by itself |
//! | `run` | which of them, taken all together |

use std::collections::BTreeMap;

use zk_proto::{SessionId, Zxid};

use super::command::{Command, Ended, Reply, Write};
use super::history::{ClientNo, Event, History, Operation, Standing};
use super::log::{CommittedLog, Entry, Txn};
use super::violation::{Rule, Violation};

mod makers;
mod run;

use makers::Makers;
use run::Run;

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
    /// The first and the last entry of each operation that must have one: it may be another one
    /// where some are alike, and what follows from it follows only if it does from all.
    pub(crate) spread: BTreeMap<usize, (usize, usize)>,
}

impl Matching {
    /// The least and the highest zxid that an operation can have.
    pub(crate) fn zxids(&self, operation: usize, log: &[Entry]) -> Option<(Zxid, Zxid)> {
        let entry = *self.entries.get(&operation)?;
        let spread = self.spread.get(&operation).copied();
        let (first, last) = spread.unwrap_or((entry, entry));
        Some((log[first].zxid, log[last].zxid))
    }
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
    let makers = Makers::new(operations, &writes, &owners, log)?;
    let mut matching = Matching::default();
    for (client, entries) in entries {
        let writes = writes.get(&client).map_or(&[][..], Vec::as_slice);
        let run = Run::new(operations, &log.entries, writes, &makers, unrecorded);
        run.match_up(&entries, &mut matching)?;
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

pub(crate) fn has_effects(write: &Write) -> bool {
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
