//! [`CommittedLog`]: what the servers agreed on, and [`Ledger`]: what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use zk_proto::{CreateMode, ErrorCode, EventType, SessionId, Zxid};

use super::command::{Effect, Read, Reply, Write};
use super::tree::{Node, Stamp, Tree, child_name, parent};
use super::violation::{Rule, Violation};

/// One transaction.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever has a log")]
pub struct Entry {
    /// Its number.
    pub zxid: Zxid,
    /// Whose it is; [`SessionId::NONE`] for the servers' own.
    pub session: SessionId,
    /// When it was committed, since the start of the run and by a clock that is right.
    pub at: Duration,
    /// The time that it bears, in milliseconds since 1970.
    pub millis: i64,
    /// What it does.
    pub txn: Txn,
}

impl Entry {
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            zxid: self.zxid,
            millis: self.millis,
        }
    }

    fn broken(&self, why: &str) -> Violation {
        Violation::new(Rule::Log, format!("{why}: {self}"))
    }
}

/// What a transaction does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Txn {
    /// Begins a session.
    Open,
    /// Ends a session, and with it its ephemeral nodes.
    Close,
    /// Changes nodes.
    Change(Vec<Effect>),
    /// Nothing: a write was refused.
    Refused(ErrorCode),
}

/// Everything that the servers agreed on, from the empty tree on.
#[derive(Clone, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "made by whoever has a log")]
pub struct CommittedLog {
    /// In the order of zxids.
    pub entries: Vec<Entry>,
}

impl fmt::Display for CommittedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            writeln!(f, "{entry}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { zxid, session, .. } = self;
        write!(f, "{zxid} of {session} at {:?}:", self.at)?;
        match &self.txn {
            Txn::Open => f.write_str(" open"),
            Txn::Close => f.write_str(" close"),
            Txn::Refused(code) => write!(f, " refused, {code}"),
            Txn::Change(effects) => effects.iter().try_for_each(|effect| match effect {
                Effect::Create { path, .. } => write!(f, " create {path}"),
                Effect::Delete { path } => write!(f, " delete {path}"),
                Effect::SetData { path, .. } => write!(f, " set {path}"),
                Effect::SetAcl { path } => write!(f, " set_acls {path}"),
            }),
        }
    }
}

/// A change that watches see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub(crate) zxid: Zxid,
    pub(crate) kind: EventType,
    pub(crate) path: String,
    /// The end of a session deletes in no particular order.
    pub(crate) unordered: bool,
}

/// Every state that a node was in, each from a zxid on.
type States = Vec<(Zxid, Option<Node>)>;

/// The log, played on the model.
#[derive(Debug)]
pub(crate) struct Ledger<'a> {
    pub(crate) entries: &'a [Entry],
    pub(crate) changes: Vec<Change>,
    pub(crate) closes: BTreeMap<SessionId, &'a Entry>,
    states: BTreeMap<String, States>,
    /// Places in `changes`, by path.
    by_path: BTreeMap<String, Vec<usize>>,
}

impl<'a> Ledger<'a> {
    /// Plays the log. `asked` gives the request behind the entry at an index, where it is known;
    /// `answered` gets what the model answers to it.
    pub(crate) fn play<'w>(
        log: &'a CommittedLog,
        asked: impl Fn(usize) -> Option<&'w Write>,
        mut answered: impl FnMut(usize, &Reply) -> Result<(), Violation>,
    ) -> Result<Self, Violation> {
        let mut ledger = Self {
            entries: &log.entries,
            changes: Vec::new(),
            closes: BTreeMap::new(),
            states: BTreeMap::new(),
            by_path: BTreeMap::new(),
        };
        let mut tree = Tree::new();
        for path in tree.paths() {
            let state = (Zxid::ZERO, tree.node(path).cloned());
            ledger.states.insert(path.to_owned(), vec![state]);
        }
        let mut last = Zxid::ZERO;
        for (index, entry) in log.entries.iter().enumerate() {
            let broken = |why: &str| entry.broken(why);
            if entry.zxid <= last {
                return Err(broken("the zxid does not grow"));
            }
            last = entry.zxid;
            // Servers ask nobody whether a session may do nothing at all.
            let idle = match &entry.txn {
                Txn::Refused(_) => true,
                Txn::Change(effects) => effects.is_empty(),
                Txn::Open | Txn::Close => false,
            };
            if ledger.closes.contains_key(&entry.session) && !idle {
                return Err(broken("the session has ended before"));
            }
            let stamp = entry.stamp();
            match &entry.txn {
                Txn::Open | Txn::Refused(_) => {}
                Txn::Close => {
                    ledger.closes.insert(entry.session, entry);
                    let effects = tree.close(entry.session, stamp);
                    ledger.note(&tree, entry, &effects);
                }
                Txn::Change(effects) => {
                    if let Some(write) = asked(index) {
                        let (reply, done) = tree
                            .write(entry.session, stamp, write)
                            .map_err(|why| broken(&Reply::Refused(why).to_string()))?;
                        if done != *effects {
                            return Err(broken(&format!("{write} does something else")));
                        }
                        answered(index, &reply)?;
                    } else {
                        apply(&mut tree, entry, effects)?;
                    }
                    ledger.note(&tree, entry, effects);
                }
            }
        }
        Ok(ledger)
    }

    /// The newest zxid that was committed by then.
    pub(crate) fn newest_at(&self, at: Duration) -> Zxid {
        let count = self.entries.partition_point(|entry| entry.at <= at);
        count
            .checked_sub(1)
            .map_or(Zxid::ZERO, |last| self.entries[last].zxid)
    }

    /// The changes of this node itself that come after a zxid.
    pub(crate) fn changes_of(&self, path: &str, after: Zxid) -> impl Iterator<Item = &Change> {
        let places = self.by_path.get(path).map_or(&[][..], Vec::as_slice);
        let start = places.partition_point(|at| self.changes[*at].zxid <= after);
        places[start..].iter().map(|at| &self.changes[*at])
    }

    pub(crate) fn exists_at(&self, path: &str, zxid: Zxid) -> bool {
        self.node_at(path, zxid).is_some()
    }

    /// Is this what a read at that zxid shows?
    pub(crate) fn shows(&self, read: &Read, reply: &Reply, zxid: Zxid) -> bool {
        let node = self.node_at(read.path(), zxid);
        match (reply, node) {
            (Reply::Data { data, stat }, Some(node)) => node.data == *data && node.stat() == *stat,
            (Reply::Exists(Some(stat)), Some(node)) => node.stat() == *stat,
            (Reply::Exists(None), None) => true,
            (Reply::Refused(refusal), None) => refusal.code == ErrorCode::NO_NODE,
            (Reply::Children { names, stat }, Some(node)) => {
                stat.is_none_or(|stat| stat == node.stat())
                    && usize::try_from(node.stat().num_children) == Ok(names.len())
                    && names.iter().collect::<BTreeSet<_>>().len() == names.len()
                    && names.iter().all(|name| {
                        let above = read.path().trim_end_matches('/');
                        self.exists_at(&format!("{above}/{name}"), zxid)
                    })
            }
            _ => false,
        }
    }

    /// The first and the last zxid, from `floor` to `newest`, at which a read shows this. The
    /// answers between them may differ, but only where a state comes back: a node that is missing.
    pub(crate) fn shown_between(
        &self,
        read: &Read,
        reply: &Reply,
        floor: Zxid,
        newest: Zxid,
    ) -> Option<(Zxid, Zxid)> {
        let states = self.states.get(read.path()).map_or(&[][..], Vec::as_slice);
        let inside = states
            .iter()
            .map(|(zxid, _)| *zxid)
            .skip_while(|zxid| *zxid <= floor)
            .take_while(|zxid| *zxid <= newest);
        let mut found: Option<(Zxid, Zxid)> = None;
        let mut showing = false;
        for from in std::iter::once(floor).chain(inside) {
            // Shown up to here: one before the next state begins.
            if let (true, Some((_, last))) = (showing, &mut found) {
                *last = Zxid(from.0 - 1);
            }
            showing = self.shows(read, reply, from);
            if showing {
                found = Some((found.map_or(from, |(first, _)| first), from));
            }
        }
        if let (true, Some((_, last))) = (showing, &mut found) {
            *last = newest.max(*last);
        }
        found
    }

    fn node_at(&self, path: &str, zxid: Zxid) -> Option<&Node> {
        let states = self.states.get(path)?;
        let count = states.partition_point(|(from, _)| *from <= zxid);
        states[count.checked_sub(1)?].1.as_ref()
    }

    /// Keeps what has become of the nodes that a transaction touched, and what watches see of it.
    fn note(&mut self, tree: &Tree, entry: &Entry, effects: &[Effect]) {
        let unordered = matches!(entry.txn, Txn::Close);
        for effect in effects {
            let (path, kind) = match effect {
                Effect::Create { path, .. } => (path, Some(EventType::NODE_CREATED)),
                Effect::Delete { path } => (path, Some(EventType::NODE_DELETED)),
                Effect::SetData { path, .. } => (path, Some(EventType::NODE_DATA_CHANGED)),
                Effect::SetAcl { path } => (path, None),
            };
            self.note_state(tree, entry.zxid, path);
            let Some(kind) = kind else { continue };
            self.note_change(entry.zxid, kind, path, unordered);
            if kind != EventType::NODE_DATA_CHANGED {
                let above = parent(path);
                self.note_state(tree, entry.zxid, above);
                self.note_change(
                    entry.zxid,
                    EventType::NODE_CHILDREN_CHANGED,
                    above,
                    unordered,
                );
            }
        }
    }

    fn note_state(&mut self, tree: &Tree, zxid: Zxid, path: &str) {
        let states = match self.states.get_mut(path) {
            Some(states) => states,
            None => self.states.entry(path.to_owned()).or_default(),
        };
        let node = tree.node(path).cloned();
        match states.last_mut() {
            Some((from, last)) if *from == zxid => *last = node,
            _ => states.push((zxid, node)),
        }
    }

    fn note_change(&mut self, zxid: Zxid, kind: EventType, path: &str, unordered: bool) {
        let place = self.changes.len();
        self.by_path.entry(path.to_owned()).or_default().push(place);
        self.changes.push(Change {
            zxid,
            kind,
            path: path.to_owned(),
            unordered,
        });
    }
}

/// Does what an entry does.
pub(crate) fn apply(tree: &mut Tree, entry: &Entry, effects: &[Effect]) -> Result<(), Violation> {
    for effect in effects {
        tree.write(owner(effect), entry.stamp(), &write_of(effect))
            .map_err(|why| entry.broken(&Reply::Refused(why).to_string()))?;
    }
    Ok(())
}

/// The session that an unconditional write needs, to have this effect.
fn owner(effect: &Effect) -> SessionId {
    match effect {
        Effect::Create { owner, .. } => *owner,
        Effect::Delete { .. } | Effect::SetData { .. } | Effect::SetAcl { .. } => SessionId::NONE,
    }
}

pub(crate) fn write_of(effect: &Effect) -> Write {
    match effect.clone() {
        Effect::Create { path, data, owner } => Write::Create {
            path,
            data,
            mode: if owner.is_none() {
                CreateMode::Persistent
            } else {
                CreateMode::Ephemeral
            },
        },
        Effect::Delete { path } => Write::Delete { path, version: -1 },
        Effect::SetData { path, data } => Write::SetData {
            path,
            data,
            version: -1,
        },
        Effect::SetAcl { path } => Write::SetAcl { path, version: -1 },
    }
}

/// Can this request have had these effects?
pub(crate) fn explains(write: &Write, session: SessionId, effects: &[Effect]) -> bool {
    let mut effects = effects.iter();
    explains_some(write, session, &mut effects) && effects.next().is_none()
}

fn explains_some<'a>(
    write: &Write,
    session: SessionId,
    effects: &mut impl Iterator<Item = &'a Effect>,
) -> bool {
    match write {
        Write::Multi(parts) => parts
            .iter()
            .all(|part| explains_some(part, session, effects)),
        Write::Check { .. } => true,
        Write::Create { .. }
        | Write::Delete { .. }
        | Write::SetData { .. }
        | Write::SetAcl { .. } => effects
            .next()
            .is_some_and(|effect| explains_one(write, session, effect)),
    }
}

fn explains_one(write: &Write, session: SessionId, effect: &Effect) -> bool {
    match (write, effect) {
        (
            Write::Create { path, data, mode },
            Effect::Create {
                path: made,
                data: given,
                owner,
            },
        ) => {
            let named = if mode.is_sequential() {
                made.strip_prefix(path.as_str())
                    .is_some_and(|count| count.len() >= 10 && !count.contains('/'))
            } else {
                made == path
            };
            let owned = if mode.is_ephemeral() {
                *owner == session
            } else {
                owner.is_none()
            };
            named && owned && data == given
        }
        (Write::Delete { path, .. }, Effect::Delete { path: done })
        | (Write::SetAcl { path, .. }, Effect::SetAcl { path: done }) => path == done,
        (
            Write::SetData { path, data, .. },
            Effect::SetData {
                path: done,
                data: given,
            },
        ) => path == done && data == given,
        _ => false,
    }
}

/// Does a watch of this path see a change, if it sees all below it?
pub(crate) fn covers(above: &str, path: &str) -> bool {
    above == path || above == "/" || child_name(above, path).is_some() || {
        path.strip_prefix(above)
            .is_some_and(|rest| rest.starts_with('/'))
    }
}
