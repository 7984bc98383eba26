//! [`History`]: what clients asked and saw, in the order in which it happened.
//!
//! A simulator does one thing at a time, so the order of recording is the order of events; times are
//! kept besides, to compare with the log of the servers and with the deadlines that clients were
//! told. What a user sees must be recorded in the order in which the user could see it: before the
//! result of an operation is recorded, what waits in the watches of that client.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use zk_proto::{EventType, SessionId, Zxid};

use super::command::{Command, Ended};
use super::violation::{Rule, Violation};

/// A client of the run.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "a number with a name")]
pub struct ClientNo(pub u32);

/// An operation of the history.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OpNo(pub(crate) u32);

/// A watch of the history.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WatchNo(pub(crate) u32);

/// What a watch watches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WatchKind {
    /// One change of the node: of a get or an exists.
    Data,
    /// One change of the list of children.
    Children,
    /// All changes of the node and of the list of its children.
    Persistent,
    /// All changes of the node and of those below it.
    Recursive,
}

impl WatchKind {
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Persistent | Self::Recursive)
    }
}

/// What a client says of its session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Standing {
    /// Usable.
    Connected {
        /// Which one.
        session: SessionId,
        /// Until when the servers cannot have dropped it, if the client was asked. If not, it is
        /// taken at its word until the next standing is recorded.
        until: Option<Duration>,
    },
    /// Without connection.
    Suspended {
        /// Which one.
        session: SessionId,
        /// Until when the servers cannot have dropped it.
        until: Duration,
    },
    /// There is none.
    Lost,
}

/// One line of a history.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An operation was submitted.
    Invoked {
        /// It.
        op: OpNo,
        /// By whom.
        client: ClientNo,
        /// What.
        command: Command,
    },
    /// An operation ended.
    Ended {
        /// It.
        op: OpNo,
        /// How.
        ended: Ended,
        /// The zxid in the reply's header, if known.
        zxid: Option<Zxid>,
    },
    /// A watch was set.
    WatchSet {
        /// It.
        watch: WatchNo,
        /// Whose.
        client: ClientNo,
        /// Of which node.
        path: String,
        /// What it watches.
        kind: WatchKind,
        /// The read that set it.
        op: Option<OpNo>,
        /// From which zxid on, if known: that in the header of the reply which confirmed it.
        since: Option<Zxid>,
    },
    /// A watch saw a change.
    Watched {
        /// It.
        watch: WatchNo,
        /// The kind of change.
        kind: EventType,
        /// Of which node.
        path: String,
        /// Of which transaction, if told.
        zxid: Option<Zxid>,
    },
    /// A stream says that it may have missed something.
    Gap {
        /// It.
        watch: WatchNo,
        /// All before and at this one was seen.
        from: Zxid,
        /// All after this one will be seen.
        to: Zxid,
    },
    /// A watch ended with a reason.
    WatchEnded {
        /// It.
        watch: WatchNo,
    },
    /// The user does not want a watch any more.
    WatchDropped {
        /// It.
        watch: WatchNo,
    },
    /// A client says where its session stands.
    Stands {
        /// Who.
        client: ClientNo,
        /// Where.
        standing: Standing,
    },
    /// A client was asked to close its session.
    Closing {
        /// Who.
        client: ClientNo,
    },
    /// Faults are over, everybody is connected or closed, and all that was on the way has arrived.
    Quiet {
        /// The newest transaction.
        zxid: Zxid,
    },
}

/// A position in the history, and when that was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark {
    pub(crate) index: usize,
    pub(crate) at: Duration,
}

/// An operation with both of its ends.
#[derive(Clone, Debug)]
pub(crate) struct Operation<'a> {
    pub(crate) op: OpNo,
    pub(crate) client: ClientNo,
    pub(crate) command: &'a Command,
    pub(crate) invoked: Mark,
    pub(crate) ended: Option<(Mark, &'a Ended)>,
    pub(crate) header: Option<Zxid>,
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, client, .. } = self;
        write!(f, "op {} of client {}: {}", op.0, client.0, self.command)?;
        match &self.ended {
            Some((mark, ended)) => write!(
                f,
                " => {ended} [events {}..{}]",
                self.invoked.index, mark.index
            ),
            None => write!(f, " => nothing [event {}]", self.invoked.index),
        }
    }
}

/// Everything that the users of all clients did and saw.
#[derive(Clone, Debug, Default)]
pub struct History {
    events: Vec<(Duration, Event)>,
    ops: u32,
    watches: u32,
}

impl History {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client submits an operation, at this time since the start of the run. It must be one
    /// request: of what sends several, each is an operation of its own.
    pub fn invoke(&mut self, at: Duration, client: ClientNo, command: Command) -> OpNo {
        let op = OpNo(self.ops);
        self.ops += 1;
        self.push(
            at,
            Event::Invoked {
                op,
                client,
                command,
            },
        );
        op
    }

    /// An operation ends.
    pub fn end(&mut self, at: Duration, op: OpNo, ended: Ended, zxid: Option<Zxid>) {
        self.push(at, Event::Ended { op, ended, zxid });
    }

    /// A one-shot watch is set by a read, right after its end was recorded.
    pub fn watch(
        &mut self,
        at: Duration,
        client: ClientNo,
        path: &str,
        kind: WatchKind,
        op: OpNo,
    ) -> WatchNo {
        self.watch_set(at, client, path, kind, Some(op), None)
    }

    /// A stream is set up, which sees what comes after `since`.
    pub fn stream(
        &mut self,
        at: Duration,
        client: ClientNo,
        path: &str,
        kind: WatchKind,
        since: Option<Zxid>,
    ) -> WatchNo {
        self.watch_set(at, client, path, kind, None, since)
    }

    fn watch_set(
        &mut self,
        at: Duration,
        client: ClientNo,
        path: &str,
        kind: WatchKind,
        op: Option<OpNo>,
        since: Option<Zxid>,
    ) -> WatchNo {
        let watch = WatchNo(self.watches);
        self.watches += 1;
        let path = path.to_owned();
        self.push(
            at,
            Event::WatchSet {
                watch,
                client,
                path,
                kind,
                op,
                since,
            },
        );
        watch
    }

    /// A watch sees a change. Servers before 3.9 do not tell its zxid, nor do others for what
    /// happened while the client was away: [`Zxid::ZERO`] is for none.
    pub fn watched(
        &mut self,
        at: Duration,
        watch: WatchNo,
        kind: EventType,
        path: &str,
        zxid: Zxid,
    ) {
        let (path, zxid) = (path.to_owned(), zxid.is_positive().then_some(zxid));
        self.push(
            at,
            Event::Watched {
                watch,
                kind,
                path,
                zxid,
            },
        );
    }

    /// Anything else.
    pub fn push(&mut self, at: Duration, event: Event) {
        self.events.push((at, event));
    }

    /// All of it.
    pub fn events(&self) -> &[(Duration, Event)] {
        &self.events
    }

    /// All of it, to be tampered with: checkers are tested so.
    #[cfg(test)]
    pub(crate) fn events_mut(&mut self) -> &mut Vec<(Duration, Event)> {
        &mut self.events
    }

    pub(crate) fn marked(&self) -> impl Iterator<Item = (Mark, &Event)> {
        let numbered = self.events.iter().enumerate();
        numbered.map(|(index, (at, event))| (Mark { index, at: *at }, event))
    }

    /// The operations in the order of their submission.
    ///
    /// # Errors
    /// [`Rule::EndsOnce`].
    pub(crate) fn operations(&self) -> Result<Vec<Operation<'_>>, Violation> {
        let mut operations: Vec<Operation<'_>> = Vec::new();
        let mut places = BTreeMap::new();
        for (mark, event) in self.marked() {
            if let Event::Invoked {
                op,
                client,
                command,
            } = event
            {
                if places.insert(*op, operations.len()).is_some() {
                    let text = format!("op {} was begun twice", op.0);
                    return Err(Violation::new(Rule::EndsOnce, text));
                }
                operations.push(Operation {
                    op: *op,
                    client: *client,
                    command,
                    invoked: mark,
                    ended: None,
                    header: None,
                });
            } else if let Event::Ended { op, ended, zxid } = event {
                let Some(operation) = places.get(op).map(|at| &mut operations[*at]) else {
                    let text = format!("op {} ended but was not begun: {ended}", op.0);
                    return Err(Violation::new(Rule::EndsOnce, text));
                };
                if operation.ended.is_some() {
                    let text = format!("{operation}; and once more: {ended}");
                    return Err(Violation::new(Rule::EndsOnce, text));
                }
                operation.ended = Some((mark, ended));
                operation.header = zxid.filter(|zxid| zxid.is_positive());
            }
        }
        Ok(operations)
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (at, event)) in self.events.iter().enumerate() {
            writeln!(f, "{index:>6} {:>12.6} {event}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |zxid: &Option<Zxid>| zxid.map_or_else(String::new, |zxid| format!(" @{zxid}"));
        match self {
            Self::Invoked {
                op,
                client,
                command,
            } => write!(f, "client {} op {}: {command}", client.0, op.0),
            Self::Ended { op, ended, zxid } => write!(f, "op {} => {ended}{}", op.0, told(zxid)),
            Self::WatchSet {
                watch,
                client,
                path,
                kind,
                since,
                ..
            } => {
                let (watch, client, since) = (watch.0, client.0, told(since));
                write!(f, "client {client} watch {watch}: {kind:?} {path}{since}")
            }
            Self::Watched {
                watch,
                kind,
                path,
                zxid,
            } => write!(f, "watch {} => {kind} {path}{}", watch.0, told(zxid)),
            Self::Gap { watch, from, to } => write!(f, "watch {} => gap {from}..{to}", watch.0),
            Self::WatchEnded { watch } => write!(f, "watch {} => end", watch.0),
            Self::WatchDropped { watch } => write!(f, "watch {} is dropped", watch.0),
            Self::Stands { client, standing } => write!(f, "client {} {standing:?}", client.0),
            Self::Closing { client } => write!(f, "client {} closes", client.0),
            Self::Quiet { zxid } => write!(f, "quiet @{zxid}"),
        }
    }
}
