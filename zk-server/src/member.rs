//! A server with its clients: connections, watches, and the data as far as it is committed.
//!
//! A member answers reads by itself. Writes, syncs and the beginnings and ends of sessions go to the
//! leader, wherever it is, and come back as [`FromLeader`]. Replies of one connection keep the order
//! of its requests: a read waits while a write before it is under way. Credentials alone are
//! answered at once.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use zk_proto::{Password, SessionId};

use crate::{
    Change, ConnId, Options, ToLeader, Tree,
    clock::Clock,
    connection::{Client, Connection, Ending, Stage},
    fault::Faults,
    watches::Watches,
};

mod commit;
mod credentials;
mod faults;
mod greet;
mod local;
mod mode;
mod serve;

pub(crate) use mode::Mode;
pub use mode::Role;

/// How long what is left of the output may take after a connection was closed.
const LINGER: Duration = Duration::from_secs(10);

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

/// One server of an ensemble, or the only one. See the [module](self).
pub struct Member {
    pub(crate) conns: BTreeMap<ConnId, Connection>,
    pub(crate) shared: Shared,
    changes: Vec<Change>,
    heard: BTreeSet<ConnId>,
    event: Vec<u8>,
}

/// What the connections of a member have in common.
pub(crate) struct Shared {
    pub(crate) options: Arc<Options>,
    pub(crate) clock: Clock,
    pub(crate) tree: Tree,
    /// The sessions that the whole ensemble knows, with their timeouts in milliseconds.
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    /// Where the client of a session is connected.
    pub(crate) attached: BTreeMap<SessionId, ConnId>,
    pub(crate) watches: Watches,
    pub(crate) faults: Faults,
    pub(crate) mode: Mode,
    /// Four-letter words to be answered.
    pub(crate) words: VecDeque<(ConnId, [u8; 4])>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    outputs: VecDeque<Output>,
    to_leader: VecDeque<ToLeader>,
    /// Connections to be closed by what happened on another one.
    evicted: Vec<(ConnId, Ending)>,
    touched: Vec<SessionId>,
    flush_at: Option<Instant>,
    /// When what a fault holds back is released.
    releases: BTreeSet<(Instant, ConnId)>,
    /// When connections without a session are closed.
    deadlines: BTreeSet<(Instant, ConnId)>,
    per_address: BTreeMap<IpAddr, usize>,
    secret: [u64; 4],
    next_session: i64,
    sasl_exchanges: u64,
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
        let clock = Clock::new(now, wall);
        let watches = Watches::new(options.release);
        // As `SessionTrackerImpl.initializeNextSessionId` of the Java server.
        let time = ((clock.wall_millis() as u64) << 24) >> 8;
        let next_session = (u64::from(options.member.0) << 56 | time) as i64;
        let mut halves = [0; 4];
        for (half, bytes) in halves.iter_mut().zip(secret.chunks_exact(8)) {
            *half = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        }
        Self {
            conns: BTreeMap::new(),
            shared: Shared {
                options,
                clock,
                tree,
                sessions: BTreeMap::new(),
                attached: BTreeMap::new(),
                watches,
                faults: Faults::default(),
                mode: Mode::Down,
                words: VecDeque::new(),
                received: 0,
                sent: 0,
                outputs: VecDeque::new(),
                to_leader: VecDeque::new(),
                evicted: Vec::new(),
                touched: Vec::new(),
                flush_at: None,
                releases: BTreeSet::new(),
                deadlines: BTreeSet::new(),
                per_address: BTreeMap::new(),
                secret: halves,
                next_session,
                sasl_exchanges: 0,
            },
            changes: Vec::new(),
            heard: BTreeSet::new(),
            event: Vec::new(),
        }
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
        while let Some(&(at, conn)) = shared.releases.first().filter(|(at, _)| *at <= now) {
            shared.releases.remove(&(at, conn));
            if let Some(connection) = self.conns.get_mut(&conn) {
                connection.client.output.release();
                shared.announce(&mut connection.client);
            }
        }
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
            if connection.client.output.len() == 0 {
                self.handle_closed(self.shared.clock.now(), conn);
            }
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
        client.output.release();
        let abort = ending == Ending::Abort;
        if abort || client.output.len() == 0 {
            self.conns.remove(&conn);
        } else {
            let deadline = shared.clock.now() + LINGER;
            client.stage = Stage::Gone { deadline };
            shared.deadlines.insert((deadline, conn));
            let count = shared.per_address.entry(client.peer.ip()).or_default();
            *count += 1;
            shared.announce(client);
        }
        shared.outputs.push_back(Output::Close { conn, abort });
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

impl Shared {
    /// Forgets what a connection had.
    fn detach(&mut self, client: &Client) {
        if let Some(deadline) = client.stage.deadline() {
            self.deadlines.remove(&(deadline, client.id));
        }
        if let Some(session) = client.session()
            && self.attached.get(&session) == Some(&client.id)
        {
            self.attached.remove(&session);
        }
        self.watches.remove_conn(client.id);
        self.releases.retain(|(_, conn)| *conn != client.id);
        let address = client.peer.ip();
        if let Some(count) = self.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
    }

    /// Tells the driver that there is output, unless it knows.
    fn announce(&mut self, client: &mut Client) {
        if !client.output.announced && client.output.ready() > 0 {
            client.output.announced = true;
            self.outputs.push_back(Output::Transmit(client.id));
        }
    }

    fn evict(&mut self, conn: ConnId, ending: Ending) {
        self.evicted.push((conn, ending));
    }

    /// A session was heard of.
    fn touch(&mut self, client: &mut Client) {
        if client.touched {
            return;
        }
        if let Stage::Active {
            session,
            local: false,
            ..
        } = client.stage
        {
            client.touched = true;
            self.touched.push(session);
            let half_a_tick = self.options.tick / 2;
            let at = self.clock.now() + half_a_tick;
            self.flush_at.get_or_insert(at);
        }
    }

    /// Whether the next request of a client can be worked on.
    fn may_serve(&self, client: &Client) -> bool {
        client.ending.is_none()
            && client.waiting.len() < self.options.max_outstanding
            && client.output.len() < self.options.output_high_water
            && matches!(client.stage, Stage::Greeting { .. } | Stage::Active { .. })
    }

    /// The password of a session: any member can tell it.
    pub(crate) fn password(&self, session: SessionId) -> Password {
        let [a, b, c, d] = self.secret;
        let id = session.0 as u64;
        let first = mix(mix(id ^ a).wrapping_add(b));
        let second = mix(mix(id ^ c).wrapping_add(d));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&first.to_be_bytes());
        bytes[8..].copy_from_slice(&second.to_be_bytes());
        Password::from(bytes)
    }

    /// Thirty-two bytes that no other exchange gets.
    fn exchange_seed(&mut self) -> [u8; 32] {
        self.sasl_exchanges += 1;
        let mut seed = [0; 32];
        for (chunk, half) in seed.chunks_exact_mut(8).zip(self.secret) {
            chunk.copy_from_slice(&mix(half ^ mix(self.sasl_exchanges)).to_be_bytes());
        }
        seed
    }
}

/// The finalizer of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
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
