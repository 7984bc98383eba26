//! A server that is alone: a member and its leader, joined. A write is decided on, committed and
//! applied within the call that brought it.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use zk_proto::{Id, SessionId};

use crate::{ConnId, Fault, FromLeader, Leader, Matcher, Member, Options, Output, Role, Tree, Txn};

/// A ZooKeeper in memory, without I/O: a driver calls it.
///
/// ```text
/// handle_accept, handle_data, handle_closed, handle_timeout     what happened
/// poll_output, poll_transmit, poll_timeout, wants_read          what to do
/// ```
///
/// Calls in any order are safe. The same calls with the same arguments give the same answers.
#[derive(Debug)]
pub struct Standalone {
    member: Member,
    leader: Leader,
    options: Arc<Options>,
    start: (Instant, SystemTime),
    now: Instant,
    /// What was committed and not taken, if anybody takes it.
    committed: Option<VecDeque<Arc<Txn>>>,
}

impl Standalone {
    /// An empty server. `wall` is the time of day at `now`; from there on it advances with `now`.
    /// Passwords of sessions are made from `seed`.
    pub fn new(options: Arc<Options>, seed: [u8; 32], now: Instant, wall: SystemTime) -> Self {
        let tree = Tree::new(Bytes::new());
        let mut member = Member::new(Arc::clone(&options), tree, seed, now, wall);
        member.follow(now, Role::Standalone);
        let last = member.tree().last_zxid();
        Self {
            leader: Leader::new(Arc::clone(&options), last, [], now, wall),
            member,
            options,
            start: (now, wall),
            now,
            committed: None,
        }
    }

    /// Keeps what is committed from now on for [`poll_committed`](Self::poll_committed).
    pub fn keep_committed(&mut self) {
        self.committed.get_or_insert_default();
    }

    /// The next transaction, if [`keep_committed`](Self::keep_committed) was called.
    pub fn poll_committed(&mut self) -> Option<Arc<Txn>> {
        self.committed.as_mut()?.pop_front()
    }

    /// A client has connected. The driver chooses `conn`, and never uses one twice.
    pub fn handle_accept(&mut self, now: Instant, conn: ConnId, peer: SocketAddr) {
        self.advance(now);
        self.member.handle_accept(now, conn, peer);
    }

    /// A client has proven below the protocol who it is, by a certificate, for example: of the scheme
    /// `x509` then. To be told before its first bytes.
    pub fn handle_identity(&mut self, conn: ConnId, id: Id) {
        self.member.handle_identity(conn, id);
    }

    /// Bytes have arrived.
    pub fn handle_data(&mut self, now: Instant, conn: ConnId, data: &[u8]) {
        self.advance(now);
        self.member.handle_data(self.now, conn, data);
        self.settle();
    }

    /// A connection is gone.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId) {
        self.advance(now);
        self.member.handle_closed(self.now, conn);
    }

    /// Does what is due. Early calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.member.handle_timeout(self.now);
        if !self.member.is_read_only() {
            self.leader.handle_timeout(self.now);
        }
        self.settle();
    }

    /// Appends what is to be sent on a connection, and returns how many bytes that were; a driver
    /// whose socket is full does not call it. Requests that waited for the room are answered then.
    pub fn poll_transmit(&mut self, conn: ConnId, out: &mut Vec<u8>) -> usize {
        let taken = self.member.poll_transmit(conn, out);
        self.settle();
        taken
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.member.poll_output()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let leader = self
            .leader
            .poll_timeout()
            .filter(|_| !self.member.is_read_only());
        [self.member.poll_timeout(), leader]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether to read from a connection.
    pub fn wants_read(&self, conn: ConnId) -> bool {
        self.member.wants_read(conn)
    }

    /// The data.
    pub fn tree(&self) -> &Tree {
        self.member.tree()
    }

    /// The connections and what can be seen of them.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Whether a session is alive.
    pub fn is_alive(&self, session: SessionId) -> bool {
        self.leader.is_alive(session)
    }

    /// Lets something go wrong with the next request that matches.
    pub fn inject(&mut self, matcher: Matcher, fault: Fault) {
        self.member.inject(matcher, fault);
    }

    /// Takes back every fault that has not happened, refusals included. What is held stays so.
    pub fn clear_faults(&mut self) {
        self.member.clear_faults();
    }

    /// The number of faults that have not happened.
    pub fn pending_faults(&self) -> usize {
        self.member.pending_faults()
    }

    /// Cuts a connection. What waits to be sent is lost.
    pub fn cut(&mut self, now: Instant, conn: ConnId) {
        self.advance(now);
        self.member.cut(self.now, conn);
    }

    /// Cuts the connection that the client of a session has.
    pub fn cut_session(&mut self, now: Instant, session: SessionId) {
        if let Some(conn) = self.member.connection_of(session) {
            self.cut(now, conn);
        }
    }

    /// Cuts all connections.
    pub fn cut_all(&mut self, now: Instant) {
        self.advance(now);
        self.member.cut_all(self.now);
    }

    /// Sends nothing on a connection until [`release`](Self::release).
    pub fn hold(&mut self, conn: ConnId) {
        self.member.hold(conn);
    }

    /// Sends what was held back on all connections.
    pub fn release(&mut self, now: Instant) {
        self.advance(now);
        self.member.release(self.now);
        self.settle();
    }

    /// Ends a session as if it had not been heard of for too long.
    pub fn expire(&mut self, now: Instant, session: SessionId) {
        self.advance(now);
        self.leader.expire(self.now, session);
        self.settle();
    }

    /// Closes connections that want to open a session, until
    /// [`accept_connects`](Self::accept_connects).
    pub fn refuse_connects(&mut self) {
        self.member.refuse_connects();
    }

    /// Ends [`refuse_connects`](Self::refuse_connects).
    pub fn accept_connects(&mut self) {
        self.member.accept_connects();
    }

    /// The next reply to a connect request has this session in place of the right one.
    pub fn substitute_session(&mut self, session: SessionId) {
        self.member.substitute_session(session);
    }

    /// Drops all clients, as if the rest of the ensemble was lost. Who says that it can do without
    /// writes may come back, if [`local_sessions`](Options::local_sessions) lets it. Meanwhile no
    /// session expires.
    pub fn become_read_only(&mut self, now: Instant) {
        self.advance(now);
        if !self.member.is_read_only() {
            self.member.enter_read_only(self.now);
        }
    }

    /// Ends [`become_read_only`](Self::become_read_only): drops all clients again, and gives every
    /// session its whole timeout, as a newly elected leader does.
    pub fn become_writable(&mut self, now: Instant) {
        self.advance(now);
        if self.member.is_read_only() {
            let sessions = self.member.sessions().iter();
            self.leader = Leader::new(
                Arc::clone(&self.options),
                self.leader.last_zxid(),
                sessions.map(|(session, timeout)| (*session, *timeout)),
                self.now,
                self.wall(),
            );
            self.member.follow(self.now, Role::Standalone);
        }
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn wall(&self) -> SystemTime {
        let (start, wall) = self.start;
        let elapsed: Duration = self.now.duration_since(start);
        wall.checked_add(elapsed).unwrap_or(wall)
    }

    /// Carries messages between the member and the leader until there are none.
    fn settle(&mut self) {
        loop {
            while let Some(answer) = self.leader.poll(self.member.tree()) {
                if let (Some(kept), FromLeader::Commit { txn, .. }) = (&mut self.committed, &answer)
                {
                    kept.push_back(Arc::clone(txn));
                }
                self.member.handle_leader(self.now, answer);
            }
            // An answer may have let requests through that had waited for it.
            while let Some(session) = self.member.pop_touched() {
                self.leader.touch(self.now, session);
            }
            let Some(message) = self.member.poll_leader() else {
                break;
            };
            self.leader.handle(self.now, message);
        }
        self.member.answer_words(Some(&self.leader));
    }
}
