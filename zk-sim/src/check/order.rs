//! Linearizability of what clients did to the tree: [`super::linear`] with the model of it.
//!
//! Which nodes an operation may touch is known beforehand, but for two things. A sequential create
//! touches any child, so the children of such a parent stay together. And the end of a session
//! touches the ephemeral nodes that it created. Otherwise a node and its parent are searched apart
//! as long as nothing but creates and deletes of its children has to do with that parent, and the
//! parent is one that is there from the start.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zk_proto::{SessionId, Zxid};

use super::command::{Command, Compare, Ended, Reply, Strength, Write};
use super::history::{History, Operation};
use super::linear::{Model, Span, search};
use super::log::{CommittedLog, Entry, Txn};
use super::outcomes::{has_effects, write_of};
use super::results::{Deposed, is_strong};
use super::tree::{Journal, Stamp, Tree, key, parent};
use super::violation::{Rule, Violation};
use super::{Options, Undecided};

mod footprint;

use footprint::Footprint;

/// A step of the search.
#[derive(Clone, Debug)]
struct Step<'a> {
    session: SessionId,
    action: Action<'a>,
    paths: BTreeSet<&'a str>,
    footprint: Footprint<'a>,
}

#[derive(Clone, Debug)]
enum Action<'a> {
    Operation(&'a Operation<'a>),
    /// The servers end a session.
    Close(&'a Entry),
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action {
            Action::Operation(operation) => operation.fmt(f),
            Action::Close(entry) => entry.fmt(f),
        }
    }
}

struct Searched<'a> {
    tree: Tree,
    /// Only here to say how long the steps live.
    steps: std::marker::PhantomData<&'a ()>,
}

impl<'a> Model for Searched<'a> {
    type Op = Step<'a>;
    type Undo = Journal;

    fn apply(&mut self, step: &Step<'a>) -> Option<Journal> {
        let mut journal = Journal::new();
        let operation = match step.action {
            Action::Close(_) => {
                let _ = self.tree.close_down(step.session, STAMP, &mut journal);
                return Some(journal);
            }
            Action::Operation(operation) => operation,
        };
        let truth = match operation.command {
            Command::Read(read, _) => self.tree.read(read),
            Command::Write(write) => {
                match self
                    .tree
                    .write_down(step.session, STAMP, write, &mut journal)
                {
                    Ok((reply, _)) => reply,
                    Err(refusal) => Reply::Refused(refusal),
                }
            }
        };
        let fits = match operation.ended {
            Some((_, Ended::Reply(reply))) => Compare::Counters.fits(reply, &truth),
            Some((_, Ended::Applied)) => !matches!(truth, Reply::Refused(_)),
            Some((_, Ended::Unknown | Ended::NotApplied)) | None => true,
        };
        if fits {
            return Some(journal);
        }
        self.tree.undo(journal);
        None
    }

    fn undo(&mut self, journal: Journal) {
        self.tree.undo(journal);
    }

    fn fingerprint(&self) -> u128 {
        self.tree.fingerprint()
    }

    fn is_look(step: &Step<'a>) -> bool {
        let Action::Operation(operation) = step.action else {
            return false;
        };
        matches!(operation.ended, Some((_, Ended::Reply(Reply::Refused(_)))))
            || !may_change(operation)
    }

    fn related(left: &Step<'a>, right: &Step<'a>) -> bool {
        left.footprint.meets(&right.footprint)
    }

    fn alike(left: &Step<'a>, right: &Step<'a>) -> bool {
        match (&left.action, &right.action) {
            (Action::Operation(one), Action::Operation(other)) => {
                one.command == other.command
                    && (left.session == right.session || !creates_ephemeral(one))
            }
            (Action::Operation(_) | Action::Close(_), _) => false,
        }
    }
}

/// Can it change anything? A read cannot, and neither can checks.
fn may_change(operation: &Operation<'_>) -> bool {
    write_of(operation).is_some_and(has_effects)
}

/// All at the same time: only the log knows zxids and times, and they are not compared.
const STAMP: Stamp = Stamp {
    zxid: Zxid::ZERO,
    millis: 0,
};

/// What was searched.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Searches {
    pub(crate) parts: usize,
    pub(crate) undecided: usize,
}

/// Searches for an order of the writes of everybody, and of the reads that promise to be in it.
///
/// The log is asked only which operation was done in which session, and when sessions ended; and in
/// which order to try, but it is not believed.
pub(crate) fn check_order<'a>(
    history: &'a History,
    operations: &'a [Operation<'a>],
    session_of: impl Fn(usize) -> Option<SessionId>,
    zxid_of: impl Fn(usize) -> Option<Zxid>,
    log: &'a CommittedLog,
    options: Options,
) -> Result<Searches, Violation> {
    let mut steps = Vec::new();
    let mut ephemerals: BTreeMap<SessionId, (BTreeSet<&str>, Footprint<'_>)> = BTreeMap::new();
    for (index, operation) in operations.iter().enumerate() {
        let Some(span) = span(operation, options.deposed) else {
            continue;
        };
        let session = session_of(index).unwrap_or_default();
        let mut paths = BTreeSet::new();
        paths_of(operation, &mut paths);
        let footprint = Footprint::of(operation);
        if creates_ephemeral(operation) {
            let (all, nodes) = ephemerals.entry(session).or_default();
            all.extend(&paths);
            nodes.extend(&footprint);
        }
        let hint = zxid_of(index).map_or(u64::MAX, |zxid| zxid.0.unsigned_abs());
        steps.push((
            hint,
            span,
            Step {
                session,
                action: Action::Operation(operation),
                paths,
                footprint,
            },
        ));
    }
    for entry in log
        .entries
        .iter()
        .filter(|entry| matches!(entry.txn, Txn::Close))
    {
        let Some((paths, footprint)) = ephemerals.remove(&entry.session) else {
            continue;
        };
        let events = history.events();
        let begin = events.partition_point(|(at, _)| *at < entry.at);
        let end = events.partition_point(|(at, _)| *at <= entry.at);
        steps.push((
            entry.zxid.0.unsigned_abs(),
            Span::Within(before(begin), before(end).max(before(begin) + 1)),
            Step {
                session: entry.session,
                action: Action::Close(entry),
                paths,
                footprint,
            },
        ));
    }
    // Where the log says nothing: what ends first, first.
    steps.sort_by_key(|(hint, span, _)| match *span {
        Span::Within(_, end) => (*hint, end),
        Span::AfterOrNever(_) => (*hint, u64::MAX),
    });
    let steps = steps.into_iter().map(|(_, span, step)| (span, step));
    let mut searches = Searches::default();
    for part in split(steps.collect()) {
        searches.parts += 1;
        let mut model = Searched {
            tree: Tree::new(),
            steps: std::marker::PhantomData,
        };
        let Err(stuck) = search(&mut model, &part, options.budget) else {
            continue;
        };
        match (stuck.given_up, options.undecided) {
            (Some(_), Undecided::Counted) => searches.undecided += 1,
            (Some(steps), Undecided::Refused) => {
                let text = format!(
                    "the order of the log is none, and not decided in {steps} steps: {}",
                    stuck.text
                );
                return Err(Violation::new(Rule::Linearizable, text));
            }
            (None, _) => return Err(Violation::new(Rule::Linearizable, stuck.text)),
        }
    }
    Ok(searches)
}

/// A moment between the event at an index and the one before it.
fn before(index: usize) -> u64 {
    3 * index as u64
}

/// The moment of the event at an index.
fn at(index: usize) -> u64 {
    3 * index as u64 + 2
}

fn span(operation: &Operation<'_>, deposed: Deposed) -> Option<Span> {
    let begin = at(operation.invoked.index);
    let is_write = match operation.command {
        Command::Write(_) => true,
        Command::Read(_, strength) if is_strong(*strength, deposed) => false,
        Command::Read(_, Strength::Plain | Strength::Synced | Strength::Linearizable) => {
            return None;
        }
    };
    match operation.ended {
        Some((_, Ended::NotApplied)) => None,
        Some((mark, Ended::Reply(_))) => Some(Span::Within(begin, at(mark.index))),
        Some((mark, Ended::Applied)) => is_write.then(|| Span::Within(begin, at(mark.index))),
        Some((_, Ended::Unknown)) | None => {
            may_change(operation).then_some(Span::AfterOrNever(begin))
        }
    }
}

fn paths_of<'a>(operation: &'a Operation<'a>, paths: &mut BTreeSet<&'a str>) {
    match operation.command {
        Command::Read(read, _) => {
            paths.insert(key(read.path()));
        }
        Command::Write(write) => paths_of_write(write, paths),
    }
    if let Some((_, Ended::Reply(reply))) = &operation.ended {
        paths_of_reply(reply, paths);
    }
}

fn paths_of_write<'a>(write: &'a Write, paths: &mut BTreeSet<&'a str>) {
    match write {
        Write::Create { path, mode, .. } => {
            // The counter is in the parent.
            paths.insert(if mode.is_sequential() {
                parent(path)
            } else {
                path
            });
        }
        Write::Delete { path, .. }
        | Write::SetData { path, .. }
        | Write::SetAcl { path, .. }
        | Write::Check { path, .. } => {
            paths.insert(key(path));
        }
        Write::Multi(parts) => parts.iter().for_each(|part| paths_of_write(part, paths)),
    }
}

/// Names that the server chose.
fn paths_of_reply<'a>(reply: &'a Reply, paths: &mut BTreeSet<&'a str>) {
    if let Reply::Created { path, .. } = reply {
        paths.insert(path);
    } else if let Reply::Multi(parts) = reply {
        parts.iter().for_each(|part| paths_of_reply(part, paths));
    }
}

fn creates_ephemeral(operation: &Operation<'_>) -> bool {
    fn creates(write: &Write) -> bool {
        match write {
            Write::Create { mode, .. } => mode.is_ephemeral(),
            Write::Multi(parts) => parts.iter().any(creates),
            Write::Delete { .. }
            | Write::SetData { .. }
            | Write::SetAcl { .. }
            | Write::Check { .. } => false,
        }
    }
    matches!(operation.command, Command::Write(write) if creates(write))
}

/// Parts that have nothing to do with each other.
fn split<'a>(steps: Vec<(Span, Step<'a>)>) -> Vec<Vec<(Span, Step<'a>)>> {
    let targets: BTreeSet<&str> = steps
        .iter()
        .flat_map(|(_, step)| step.paths.iter().copied())
        .collect();
    let mut groups = Groups::default();
    for (_, step) in &steps {
        let mut first = None;
        for path in &step.paths {
            // A parent that is asked for, or that comes and goes, is not to be told from its children.
            let above = parent(path);
            if targets.contains(above) {
                groups.join(path, above);
            }
            let first = *first.get_or_insert(*path);
            groups.join(first, path);
        }
    }
    let mut parts: BTreeMap<&str, Vec<(Span, Step<'a>)>> = BTreeMap::new();
    for (span, step) in steps {
        let root = step.paths.first().map_or("", |path| groups.root(path));
        parts.entry(root).or_default().push((span, step));
    }
    parts.into_values().collect()
}

/// Sets of paths, joined as it turns out.
#[derive(Default)]
struct Groups<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Groups<'a> {
    fn root(&self, path: &'a str) -> &'a str {
        let mut path = path;
        while let Some(next) = self.0.get(path) {
            path = next;
        }
        path
    }

    fn join(&mut self, left: &'a str, right: &'a str) {
        let (left, right) = (self.root(left), self.root(right));
        if left != right {
            self.0.insert(left, right);
        }
    }
}
