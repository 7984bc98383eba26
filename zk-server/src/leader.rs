//! The one that decides: who has a session, and what becomes of writes.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use zk_proto::{ErrorCode, Reader, SessionId, Zxid};

use crate::{
    Alive, Caller, FromLeader, Options, Standing, Ticket, ToLeader, Tree, Txn, TxnKind, Write,
    clock::{Clock, millis},
    decode::decode,
    prepare, prepare_reap,
    sessions::{Ownership, Sessions},
};

/// How many nodes are reaped in one go (`znode.container.maxPerMinute` of the Java server).
const MAX_REAPED: usize = 10_000;

/// Decides who has a session, and what becomes of writes.
///
/// A leader holds no data. It is given the tree with everything that it has decided so far, and
/// decides on one thing after the other:
///
/// ```text
/// handle(message), handle_timeout(now)      in any number
/// poll(&tree) -> FromLeader                 a commit is applied to that tree before the next call
/// ```
///
/// A leader that is elected is a new value: [`new`](Self::new) takes the sessions and the data that it
/// begins with, and gives every session its whole timeout again.
pub struct Leader {
    options: Arc<Options>,
    clock: Clock,
    sessions: Sessions,
    zxid: Zxid,
    inbox: VecDeque<Work>,
    next_reap: Instant,
}

enum Work {
    Message(ToLeader),
    Expire(SessionId),
    /// Look for nodes to reap.
    Look,
    Reap(Arc<str>),
}

impl Leader {
    /// A leader that begins behind `last`, in the same epoch. `wall` is the time of day at `now`.
    pub fn new(
        options: Arc<Options>,
        last: Zxid,
        sessions: impl IntoIterator<Item = (SessionId, i32)>,
        now: Instant,
        wall: SystemTime,
    ) -> Self {
        let clock = Clock::new(now, wall);
        let mut table = Sessions::new(options.tick);
        #[cfg(zk_planted)]
        {
            table.deaf = options.planted == Some(crate::Planted::DeafTracker);
        }
        for (session, timeout) in sessions {
            table.add(Duration::ZERO, session, duration(timeout), None);
        }
        Self {
            clock,
            sessions: table,
            zxid: last,
            inbox: VecDeque::new(),
            next_reap: now + options.reap_interval,
            options,
        }
    }

    /// The last number of the epoch before: what a leader of `epoch` begins behind.
    pub fn begin_of(epoch: i32) -> Zxid {
        Zxid(i64::from(epoch) << 32)
    }

    /// The next message of a member.
    pub fn handle(&mut self, now: Instant, message: ToLeader) {
        self.clock.advance(now);
        if let ToLeader::Touch { sessions, .. } = message {
            for session in sessions {
                self.sessions.touch(self.clock.elapsed(), session);
            }
        } else {
            self.inbox.push_back(Work::Message(message));
        }
    }

    /// A session was heard of.
    pub(crate) fn touch(&mut self, now: Instant, session: SessionId) {
        self.clock.advance(now);
        self.sessions.touch(self.clock.elapsed(), session);
    }

    /// Ends a session as if it had not been heard of for too long.
    pub fn expire(&mut self, now: Instant, session: SessionId) {
        self.clock.advance(now);
        if self.sessions.remove(session) {
            self.inbox.push_back(Work::Expire(session));
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock.advance(now);
        while let Some(session) = self.sessions.pop_expired(self.clock.elapsed()) {
            tracing::debug!(%session, "expired");
            self.inbox.push_back(Work::Expire(session));
        }
        if self.next_reap <= self.clock.now() {
            self.next_reap = self.clock.now() + self.options.reap_interval;
            self.inbox.push_back(Work::Look);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let expiry = self.sessions.next_expiry().and_then(|at| self.clock.at(at));
        Some(expiry.map_or(self.next_reap, |expiry| expiry.min(self.next_reap)))
    }

    /// Decides on the next thing. `tree` is the data with every commit so far.
    pub fn poll(&mut self, tree: &Tree) -> Option<FromLeader> {
        loop {
            match self.inbox.pop_front()? {
                Work::Message(message) => {
                    if let Some(answer) = self.decide(tree, message) {
                        return Some(answer);
                    }
                }
                Work::Expire(session) => {
                    return Some(self.commit(session, TxnKind::CloseSession, None));
                }
                Work::Look => {
                    let now = self.clock.wall_millis();
                    let unused = self.options.max_unused_container.map(millis);
                    let found = tree.reapable(now, unused, MAX_REAPED);
                    self.inbox.extend(found.into_iter().map(Work::Reap));
                }
                Work::Reap(path) => {
                    if let Ok(kind) = prepare_reap(tree, &path) {
                        return Some(self.commit(SessionId::NONE, kind, None));
                    }
                }
            }
        }
    }

    /// The last transaction decided.
    pub fn last_zxid(&self) -> Zxid {
        self.zxid
    }

    /// Whether a session is alive.
    pub fn is_alive(&self, session: SessionId) -> bool {
        self.sessions.is_alive(session)
    }

    /// Sessions by the time, in milliseconds since the leader began, at which they expire if they
    /// are not heard of.
    pub(crate) fn expiries(&self) -> impl Iterator<Item = (Duration, &BTreeSet<SessionId>)> {
        self.sessions.buckets()
    }

    fn decide(&mut self, tree: &Tree, message: ToLeader) -> Option<FromLeader> {
        Some(match message {
            ToLeader::CreateSession {
                ticket,
                session,
                timeout,
            } => {
                let now = self.clock.elapsed();
                let owner = Some(ticket.member);
                self.sessions.add(now, session, duration(timeout), owner);
                self.commit(session, TxnKind::CreateSession { timeout }, Some(ticket))
            }
            ToLeader::Revalidate {
                ticket,
                session,
                timeout,
            } => {
                let (now, timeout) = (self.clock.elapsed(), duration(timeout));
                let alive = self.sessions.reattach(now, session, timeout, ticket.member);
                #[cfg(zk_planted)]
                let alive = alive || {
                    let raises = self.options.planted == Some(crate::Planted::RaiseDead);
                    if raises {
                        self.sessions
                            .add(now, session, timeout, Some(ticket.member));
                    }
                    raises
                };
                let alive = if alive { Alive::Yes } else { Alive::No };
                FromLeader::Revalidated { ticket, alive }
            }
            ToLeader::CloseSession { ticket, session } => {
                let kind = if self.sessions.remove(session) {
                    TxnKind::CloseSession
                } else {
                    TxnKind::Error(ErrorCode::SESSION_EXPIRED)
                };
                self.commit(session, kind, Some(ticket))
            }
            ToLeader::Sync { ticket } => FromLeader::Synced { ticket },
            #[cfg(zk_planted)]
            ToLeader::Write(write)
                if self.options.planted == Some(crate::Planted::ApplyTwice)
                    && self.zxid.0 % 20 == 0 =>
            {
                // Nobody waits for the second time.
                let mut again = write.clone();
                again.ticket.serial = u64::MAX;
                let again = ToLeader::Write(again);
                self.inbox.push_front(Work::Message(again));
                self.write(tree, &write)
            }
            ToLeader::Write(write) => self.write(tree, &write),
            ToLeader::Touch { .. } => return None,
        })
    }

    fn write(&mut self, tree: &Tree, write: &Write) -> FromLeader {
        let ticket = write.ticket;
        let standing = match self.sessions.check(write.session, ticket.member) {
            Ownership::Owned => Standing::Global,
            Ownership::Expired => Standing::Gone,
            Ownership::Moved => return FromLeader::Moved { ticket },
        };
        let caller = Caller {
            session: write.session,
            ids: &write.ids,
            standing,
        };
        let mut reader = Reader::new(&write.body);
        let kind = decode(write.opcode, &mut reader)
            .map_err(|_| ErrorCode::MARSHALLING_ERROR)
            .and_then(|request| prepare(tree, &caller, &request, &self.options.settings))
            .unwrap_or_else(TxnKind::Error);
        self.commit(write.session, kind, Some(ticket))
    }

    fn commit(&mut self, session: SessionId, kind: TxnKind, ticket: Option<Ticket>) -> FromLeader {
        #[cfg(zk_planted)]
        let taken = self.zxid;
        self.zxid = Zxid(self.zxid.0 + 1);
        #[cfg(zk_planted)]
        if let (TxnKind::Error(_), Some(crate::Planted::ReuseZxid)) = (&kind, self.options.planted)
        {
            self.zxid = taken;
        }
        let txn = Txn {
            zxid: self.zxid,
            time: self.clock.wall_millis(),
            session,
            kind,
        };
        FromLeader::Commit {
            txn: Arc::new(txn),
            ticket,
        }
    }
}

impl std::fmt::Debug for Leader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leader")
            .field("zxid", &self.zxid)
            .field("sessions", &self.sessions.len())
            .field("waiting", &self.inbox.len())
            .finish_non_exhaustive()
    }
}

/// A timeout of the protocol; nothing is shorter than zero.
fn duration(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
