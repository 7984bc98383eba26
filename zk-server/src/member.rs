//! A server with its clients: connections, watches, and the data as far as it is committed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Instant, SystemTime},
};

use zk_proto::{Id, SessionId};

use crate::{
    Change, ConnId, Options, ToLeader, Tree,
    connection::{Connection, Ending, Stage},
};

mod commit;
mod credentials;
mod faults;
mod greet;
mod local;
mod mode;
mod serve;
mod shared;

pub(crate) use mode::Mode;
pub use mode::Role;
pub(crate) use shared::Shared;

/// What a driver is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a new output must break every driver that does not know it"
)]
pub enum Output {
    /// There are bytes for this connection. Said once until `poll_transmit` is called for it.
    Transmit(ConnId),
    /// Close this connection, and forget it.
    Close {
        /// The connection.
        conn: ConnId,
        /// At once, by a reset if possible. Otherwise after everything that `poll_transmit` has for
        /// it.
        abort: bool,
    },
}

/// One server of an ensemble, or the only one, with its clients.
///
/// A member answers reads by itself. Writes, syncs and the beginnings and ends of sessions go to the
/// leader, wherever it is, and come back as [`FromLeader`](crate::FromLeader). Replies of one connection keep the order
/// of its requests: a read waits while a write before it is under way. Credentials alone are
/// answered at once.
pub struct Member {
    pub(crate) conns: BTreeMap<ConnId, Connection>,
    pub(crate) shared: Shared,
    changes: Vec<Change>,
    heard: BTreeSet<ConnId>,
    event: Vec<u8>,
}

impl Member {
    /// A member with this data, which serves nobody until it has [a leader](Self::follow).
    ///
    /// `secret` is what passwords are made from; all members of an ensemble have the same. `wall` is
    /// the time of day at `now`.
    pub fn new(
        options: Arc<Options>,
        tree: Tree,
        secret: [u8; 32],
        now: Instant,
        wall: SystemTime,
    ) -> Self {
        #[cfg(zk_planted)]
        let tree = {
            let mut tree = tree;
            tree.planted = options.planted;
            tree
        };
        Self {
            conns: BTreeMap::new(),
            shared: Shared::new(options, tree, secret, now, wall),
            changes: Vec::new(),
            heard: BTreeSet::new(),
            event: Vec::new(),
        }
    }

    /// The sessions that go with the data it was made with: those of
    /// [`sessions`](Self::sessions) where that data came from.
    pub fn restore_sessions(&mut self, sessions: impl IntoIterator<Item = (SessionId, i32)>) {
        self.shared.sessions.extend(sessions);
    }

    /// A client has connected.
    pub fn handle_accept(&mut self, now: Instant, conn: ConnId, peer: SocketAddr) {
        let shared = &mut self.shared;
        shared.clock.advance(now);
        if self.conns.contains_key(&conn) {
            return;
        }
        let count = shared.per_address.entry(peer.ip()).or_default();
        let limit = shared.options.max_connections_per_address;
        if limit > 0 && *count >= limit {
            tracing::debug!(%peer, limit, "too many connections");
            shared
                .outputs
                .push_back(Output::Close { conn, abort: true });
            return;
        }
        *count += 1;
        let deadline = shared.clock.now() + shared.options.greeting_timeout;
        shared.deadlines.insert((deadline, conn));
        let connection = Connection::new(
            conn,
            peer,
            shared.options.max_frame,
            deadline,
            shared.clock.wall_millis(),
        );
        self.conns.insert(conn, connection);
    }

    /// A client has proven below the protocol who it is: by a certificate, for example.
    pub fn handle_identity(&mut self, conn: ConnId, id: Id) {
        if let Some(connection) = self.conns.get_mut(&conn) {
            connection.client.add_id(id);
        }
    }

    /// Bytes have arrived. Those of a connection that is not there are ignored.
    pub fn handle_data(&mut self, now: Instant, conn: ConnId, data: &[u8]) {
        self.shared.clock.advance(now);
        let Some(connection) = self.conns.get_mut(&conn) else {
            return;
        };
        if !matches!(connection.client.stage, Stage::Gone { .. }) {
            connection.decoder.push(data);
            self.run(conn);
        }
    }

    /// A connection is gone.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId) {
        self.shared.clock.advance(now);
        if let Some(connection) = self.conns.remove(&conn) {
            self.shared.detach(&connection.client);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let shared = &mut self.shared;
        shared.clock.advance(now);
        let now = shared.clock.now();
        while let Some(&(at, conn)) = shared.deadlines.first().filter(|(at, _)| *at <= now) {
            shared.deadlines.remove(&(at, conn));
            shared.evict(conn, Ending::Abort);
        }
        while let Some(&(at, conn)) = self.shared.releases.first().filter(|(at, _)| *at <= now) {
            self.shared.releases.remove(&(at, conn));
            if let Some(connection) = self.conns.get_mut(&conn) {
                connection.client.output.release_due(now);
                self.released(conn);
            }
        }
        let shared = &mut self.shared;
        if shared.flush_at.is_some_and(|at| at <= now) {
            self.flush_touched();
        }
        self.check_leader();
        self.settle();
    }

    /// Appends what is to be sent on a connection, and returns how many bytes that were. Requests
    /// that waited for the room are answered then.
    pub fn poll_transmit(&mut self, conn: ConnId, out: &mut Vec<u8>) -> usize {
        let Some(connection) = self.conns.get_mut(&conn) else {
            return 0;
        };
        let taken = connection.client.output.take(out);
        if taken == 0 {
            return 0;
        }
        if matches!(connection.client.stage, Stage::Gone { .. }) {
            self.forget_if_done(conn);
        } else {
            self.run(conn);
        }
        taken
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.outputs.pop_front()
    }

    /// What to tell the leader next.
    pub fn poll_leader(&mut self) -> Option<ToLeader> {
        self.shared.to_leader.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let shared = &self.shared;
        let deadline = shared.deadlines.first().map(|(at, _)| *at);
        let release = shared.releases.first().map(|(at, _)| *at);
        [deadline, release, shared.flush_at, self.leader_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether to read from a connection: not while its requests cannot be answered.
    pub fn wants_read(&self, conn: ConnId) -> bool {
        self.conns.get(&conn).is_some_and(|connection| {
            let client = &connection.client;
            match client.stage {
                Stage::Greeting { .. } | Stage::Active { .. } => self.shared.may_serve(client),
                Stage::Opening(_) => connection.decoder.buffered() <= self.shared.options.max_frame,
                Stage::Asked | Stage::Gone { .. } => false,
            }
        })
    }

    /// The data, as far as it is committed here.
    pub fn tree(&self) -> &Tree {
        &self.shared.tree
    }

    /// The sessions that the whole ensemble knows, with their timeouts in milliseconds: what a new
    /// leader needs besides the data.
    pub fn sessions(&self) -> &BTreeMap<SessionId, i32> {
        &self.shared.sessions
    }

    /// The number of connections.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// The connection that the client of a session has here.
    pub fn connection_of(&self, session: SessionId) -> Option<ConnId> {
        self.shared.attached.get(&session).copied()
    }

    /// The session of a connection.
    pub fn session_of(&self, conn: ConnId) -> Option<SessionId> {
        self.conns.get(&conn)?.client.session()
    }

    /// The number of watches that a connection has set and that have not fired. One that stays counts
    /// twice: for the node and for its children.
    pub fn watches_of(&self, conn: ConnId) -> usize {
        self.shared.watches.count_of(conn)
    }

    /// Takes one session that has been heard of, where the leader is at hand.
    pub(crate) fn pop_touched(&mut self) -> Option<SessionId> {
        let session = self.shared.touched.pop()?;
        self.untouch(session);
        self.shared.flush_at = None;
        Some(session)
    }

    /// Works on what a connection has sent, as far as that can be answered.
    fn run(&mut self, conn: ConnId) {
        let Some(Connection { decoder, client }) = self.conns.get_mut(&conn) else {
            return;
        };
        self.shared.serve(client, decoder);
        self.finish(conn);
        self.settle();
    }

    /// Tells the driver what came of a call on a connection.
    pub(crate) fn finish(&mut self, conn: ConnId) {
        let Some(Connection { client, .. }) = self.conns.get_mut(&conn) else {
            return;
        };
        let shared = &mut self.shared;
        if client.output.len() > shared.options.output_cap {
            tracing::debug!(%conn, "closed: the client does not read");
            client.end(Ending::Abort);
        }
        let Some(ending) = client.ending.take() else {
            shared.announce(client);
            return;
        };
        let gone = matches!(client.stage, Stage::Gone { .. });
        if gone && ending == Ending::Flush {
            return;
        }
        shared.detach(client);
        client.waiting.clear();
        let abort = ending == Ending::Abort;
        if abort || client.output.len() == 0 && !client.output.is_held() {
            self.conns.remove(&conn);
            shared.outputs.push_back(Output::Close { conn, abort });
            return;
        }
        client.stage = Stage::Gone { deadline: None };
        let count = shared.per_address.entry(client.peer.ip()).or_default();
        *count += 1;
        let releases = client.output.releases().map(|at| (at, conn));
        shared.releases.extend(releases);
        shared.released(client);
    }

    /// Something that was held back on a connection is not any more.
    fn released(&mut self, conn: ConnId) {
        if let Some(Connection { client, .. }) = self.conns.get_mut(&conn) {
            self.shared.released(client);
            self.forget_if_done(conn);
        }
    }

    /// Of a connection that is over nothing is left once the driver knows, and has all of its output.
    fn forget_if_done(&mut self, conn: ConnId) {
        let done = self.conns.get(&conn).is_some_and(|connection| {
            let client = &connection.client;
            matches!(client.stage, Stage::Gone { deadline: Some(_) }) && client.output.len() == 0
        });
        if done {
            self.handle_closed(self.shared.clock.now(), conn);
        }
    }

    /// Closes the connections that have to go by what happened elsewhere.
    fn settle(&mut self) {
        while let Some((conn, ending)) = self.shared.evicted.pop() {
            if let Some(connection) = self.conns.get_mut(&conn) {
                connection.client.end(ending);
                self.finish(conn);
            }
        }
    }

    fn untouch(&mut self, session: SessionId) {
        let conn = self.shared.attached.get(&session);
        if let Some(connection) = conn.and_then(|conn| self.conns.get_mut(conn)) {
            connection.client.touched = false;
        }
    }

    fn flush_touched(&mut self) {
        self.shared.flush_at = None;
        let mut sessions = std::mem::take(&mut self.shared.touched);
        sessions.sort_unstable();
        sessions.dedup();
        for &session in &sessions {
            self.untouch(session);
        }
        if !sessions.is_empty() {
            let member = self.shared.options.member;
            self.shared
                .to_leader
                .push_back(ToLeader::Touch { member, sessions });
        }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("member", &self.shared.options.member)
            .field("mode", &self.shared.mode)
            .field("connections", &self.conns.len())
            .field("last_zxid", &self.shared.tree.last_zxid())
            .finish_non_exhaustive()
    }
}
