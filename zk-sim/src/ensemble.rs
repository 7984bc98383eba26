//! [`EnsembleServer`]: a member of a `zk_server::Ensemble` as a server in a universe, and all of them.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use zk_proto::SessionId;
use zk_server::{ConnId, Ensemble, MemberId, Output, Peer, PeerMessage, Txn, TxnKind};

use crate::check::CommittedLog;
use crate::executor::lock;
use crate::log::committed_log;
use crate::server::{Message, ServerConn, ServerOutput, SimServer};
use crate::sim::ServerHandle;

/// One member of an ensemble on its machine. When that crashes, the member keeps what it has
/// logged. See [`Sim::ensemble`](crate::Sim::ensemble).
#[derive(Debug)]
pub struct EnsembleServer {
    peer: Peer,
    /// The names of the machines; member 1 is on the first.
    machines: Arc<[String]>,
    record: Arc<Mutex<Record>>,
    /// The time in the universe, whatever the clock of the machine says.
    time: Arc<AtomicU64>,
    /// How many commits of this member are in the record, and how many it has applied.
    recorded: usize,
    applied: usize,
}

/// What the members have committed, seen from outside.
#[derive(Debug, Default)]
struct Record {
    commits: Vec<(Duration, Arc<Txn>)>,
    closes: Vec<SessionClose>,
}

/// A member has applied the end of a session, and shows it to its clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "this is what there is to say")]
pub struct SessionClose {
    /// When, since the beginning of the universe.
    pub at: Duration,
    /// Which member.
    pub member: MemberId,
    /// Which session.
    pub session: SessionId,
}

/// The members of an ensemble. See [`Sim::ensemble`](crate::Sim::ensemble).
pub struct EnsembleHandle {
    servers: Vec<ServerHandle<EnsembleServer>>,
    hosts: String,
    record: Arc<Mutex<Record>>,
}

impl EnsembleServer {
    /// The member, to look at it or to cause its faults.
    pub fn peer(&mut self) -> &mut Peer {
        &mut self.peer
    }

    fn machine_of(&self, member: MemberId) -> Option<&String> {
        self.machines.get(usize::from(member.0).checked_sub(1)?)
    }

    /// Takes down what has been committed and applied.
    fn record(&mut self) {
        let committed = self.peer.committed();
        self.recorded = self.recorded.min(committed.len());
        self.applied = self.applied.min(committed.len());
        let last = self.peer.tree().map(zk_server::Tree::last_zxid);
        let is_applied = |txn: &&Arc<Txn>| last.is_some_and(|last| txn.zxid <= last);
        let behind = self.applied == committed.len();
        if self.recorded == committed.len() && behind {
            return;
        }
        let at = Duration::from_nanos(self.time.load(Ordering::Relaxed));
        let mut record = lock(&self.record);
        for (place, txn) in committed.iter().enumerate().skip(self.recorded) {
            match record.commits.get(place) {
                None => record.commits.push((at, Arc::clone(txn))),
                Some((_, first)) if first == txn => {}
                Some((_, first)) => {
                    let member = self.peer.id();
                    tracing::error!(%member, place, ?first, ?txn, "two transactions in one place");
                }
            }
        }
        self.recorded = committed.len();
        for txn in committed[self.applied..].iter().take_while(is_applied) {
            self.applied += 1;
            if txn.kind == TxnKind::CloseSession {
                record.closes.push(SessionClose {
                    at,
                    member: self.peer.id(),
                    session: txn.session,
                });
            }
        }
    }
}

impl SimServer for EnsembleServer {
    fn start(&mut self, now: Instant, wall: SystemTime) {
        self.peer.start(now, wall);
        self.record();
    }

    fn accept(&mut self, now: Instant, conn: ServerConn, peer: SocketAddr) {
        self.peer.handle_accept(now, ConnId(conn.0), peer);
    }

    fn data(&mut self, now: Instant, conn: ServerConn, bytes: &[u8]) {
        self.peer.handle_data(now, ConnId(conn.0), bytes);
        self.record();
    }

    fn closed(&mut self, now: Instant, conn: ServerConn) {
        self.peer.handle_closed(now, ConnId(conn.0));
        self.record();
    }

    fn timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
        self.record();
    }

    fn message(&mut self, now: Instant, from: &str, message: Message) {
        let named = |name: &String| name.eq_ignore_ascii_case(from);
        let place = self.machines.iter().position(named);
        let place = place.and_then(|place| u8::try_from(place + 1).ok());
        if let (Some(place), Ok(message)) = (place, message.take::<PeerMessage>()) {
            self.peer.handle_message(now, MemberId(place), message);
            self.record();
        }
    }

    fn transmit(&mut self, conn: ServerConn, out: &mut Vec<u8>) -> usize {
        let taken = self.peer.poll_transmit(ConnId(conn.0), out);
        self.record();
        taken
    }

    fn poll_output(&mut self) -> Option<ServerOutput> {
        if let Some(output) = self.peer.poll_output() {
            return Some(match output {
                Output::Transmit(conn) => ServerOutput::Transmit(ServerConn(conn.0)),
                Output::Close { conn, abort } => {
                    let conn = ServerConn(conn.0);
                    ServerOutput::Close { conn, abort }
                }
            });
        }
        while let Some((to, message)) = self.peer.poll_message() {
            if let Some(to) = self.machine_of(to).cloned() {
                let message = Message::new(message.label(), message);
                return Some(ServerOutput::Send { to, message });
            }
        }
        None
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.peer.poll_timeout()
    }

    fn wants_read(&self, conn: ServerConn) -> bool {
        self.peer.wants_read(ConnId(conn.0))
    }

    fn crash(&mut self) {
        self.peer.crash();
    }
}

impl EnsembleHandle {
    /// Makes the servers, which are not in the universe yet.
    pub(crate) fn servers(
        ensemble: Ensemble,
        machines: &[String],
        time: &Arc<AtomicU64>,
    ) -> Vec<EnsembleServer> {
        let ensemble = Arc::new(ensemble);
        let machines: Arc<[String]> = machines.into();
        let record = Arc::default();
        let server = |member| EnsembleServer {
            peer: Peer::new(member, Arc::clone(&ensemble)),
            machines: Arc::clone(&machines),
            record: Arc::clone(&record),
            time: Arc::clone(time),
            recorded: 0,
            applied: 0,
        };
        ensemble.voters().map(server).collect()
    }

    pub(crate) fn new(servers: Vec<ServerHandle<EnsembleServer>>) -> Self {
        let hosts: Vec<_> = servers.iter().map(ServerHandle::hosts).collect();
        let first = servers.first();
        Self {
            hosts: hosts.join(","),
            record: first.map_or_else(Arc::default, |it| it.with(|it| Arc::clone(&it.record))),
            servers,
        }
    }

    /// All addresses: a connect string.
    pub fn hosts(&self) -> &str {
        &self.hosts
    }

    /// The members, in the order of their addresses.
    pub fn members(&self) -> &[ServerHandle<EnsembleServer>] {
        &self.servers
    }

    /// Looks at a member, or changes it. The first has the number 1.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn with<R>(&self, member: MemberId, f: impl FnOnce(&mut Peer) -> R) -> R {
        let place = usize::from(member.0).checked_sub(1);
        let server = place.and_then(|place| self.servers.get(place));
        let Some(server) = server else {
            panic!("there is no member {member} among {}", self.servers.len());
        };
        server.with(|server| f(server.peer()))
    }

    /// Who leads, and has been told so by a majority. Of several the one with the newest epoch: the
    /// others are deposed, and do not know.
    pub fn leader(&self) -> Option<MemberId> {
        let leads = self.servers.iter().filter_map(|server| {
            server.with(|server| {
                let last = server.peer().leader()?.last_zxid();
                Some((last, server.peer().id()))
            })
        });
        leads.max().map(|(_, member)| member)
    }

    /// Ends a session as if it had not been heard of for too long. `false` if nobody leads.
    pub fn expire(&self, session: SessionId) -> bool {
        let Some(leader) = self.leader() else {
            return false;
        };
        let place = usize::from(leader.0) - 1;
        let now = self.servers[place].machine().now();
        self.with(leader, |peer| peer.expire(now, session));
        true
    }

    /// Everything that was committed, in order, and when the first member knew it.
    pub fn commits(&self) -> Vec<(Duration, Arc<Txn>)> {
        lock(&self.record).commits.clone()
    }

    /// The same for the checks.
    pub fn committed_log(&self) -> CommittedLog {
        committed_log(&self.commits())
    }

    /// When which member has applied the end of which session.
    pub fn session_closes(&self) -> Vec<SessionClose> {
        lock(&self.record).closes.clone()
    }
}

impl fmt::Debug for EnsembleHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EnsembleHandle").field(&self.hosts).finish()
    }
}
