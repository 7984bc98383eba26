//! [`StandaloneServer`]: `zk_server::Standalone` as a server in a universe.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use zk_server::{ConnId, Options, Output, Standalone, Txn};

use crate::check::CommittedLog;
use crate::log::committed_log;
use crate::server::{ServerConn, ServerOutput, SimServer};

/// A ZooKeeper server that is alone. When its machine crashes it keeps its data and its sessions, as
/// on a disk to which everything is written at once, and gives every session its whole timeout when
/// it starts again. See [`Sim::standalone`](crate::Sim::standalone).
#[derive(Debug)]
pub struct StandaloneServer {
    options: Arc<Options>,
    seed: [u8; 32],
    server: Option<Standalone>,
    conns: BTreeSet<ConnId>,
    crashed: bool,
    /// The time in the universe, whatever the clock of the machine says.
    time: Arc<AtomicU64>,
    commits: Vec<(Duration, Arc<Txn>)>,
}

impl StandaloneServer {
    pub(crate) fn new(options: Arc<Options>, seed: [u8; 32], time: Arc<AtomicU64>) -> Self {
        Self {
            options,
            seed,
            server: None,
            conns: BTreeSet::new(),
            crashed: false,
            time,
            commits: Vec::new(),
        }
    }

    /// Everything that was committed, in order, and when.
    pub fn commits(&self) -> &[(Duration, Arc<Txn>)] {
        &self.commits
    }

    /// The same for the checks.
    pub fn committed_log(&self) -> CommittedLog {
        committed_log(&self.commits)
    }

    /// Takes down what was committed.
    fn record(&mut self) {
        let at = Duration::from_nanos(self.time.load(Ordering::Relaxed));
        while let Some(txn) = self.server.as_mut().and_then(Standalone::poll_committed) {
            self.commits.push((at, txn));
        }
    }

    /// The server itself, to look at it or to cause its faults; `None` until the universe has run.
    pub fn get_mut(&mut self) -> Option<&mut Standalone> {
        self.server.as_mut()
    }
}

impl SimServer for StandaloneServer {
    fn start(&mut self, now: Instant, wall: SystemTime) {
        let Self { options, seed, .. } = self;
        let server = self
            .server
            .get_or_insert_with(|| Standalone::new(Arc::clone(options), *seed, now, wall));
        server.keep_committed();
        if std::mem::take(&mut self.crashed) {
            // What was on its way to connections that are gone goes nowhere.
            server.become_read_only(now);
            for conn in std::mem::take(&mut self.conns) {
                server.handle_closed(now, conn);
            }
            server.become_writable(now);
            while server.poll_output().is_some() {}
        }
    }

    fn accept(&mut self, now: Instant, conn: ServerConn, peer: SocketAddr) {
        let conn = ConnId(conn.0);
        if let Some(server) = &mut self.server {
            self.conns.insert(conn);
            server.handle_accept(now, conn, peer);
        }
    }

    fn data(&mut self, now: Instant, conn: ServerConn, bytes: &[u8]) {
        if let Some(server) = &mut self.server {
            server.handle_data(now, ConnId(conn.0), bytes);
        }
        self.record();
    }

    fn closed(&mut self, now: Instant, conn: ServerConn) {
        let conn = ConnId(conn.0);
        self.conns.remove(&conn);
        if let Some(server) = &mut self.server {
            server.handle_closed(now, conn);
        }
    }

    fn timeout(&mut self, now: Instant) {
        if let Some(server) = &mut self.server {
            server.handle_timeout(now);
        }
        self.record();
    }

    fn transmit(&mut self, conn: ServerConn, out: &mut Vec<u8>) -> usize {
        let server = self.server.as_mut();
        let taken = server.map_or(0, |server| server.poll_transmit(ConnId(conn.0), out));
        self.record();
        taken
    }

    fn poll_output(&mut self) -> Option<ServerOutput> {
        // Of what was done from outside, such as an expiry.
        self.record();
        Some(match self.server.as_mut()?.poll_output()? {
            Output::Transmit(conn) => ServerOutput::Transmit(ServerConn(conn.0)),
            Output::Close { conn, abort } => {
                self.conns.remove(&conn);
                let conn = ServerConn(conn.0);
                ServerOutput::Close { conn, abort }
            }
        })
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.server.as_ref()?.poll_timeout()
    }

    fn wants_read(&self, conn: ServerConn) -> bool {
        let server = self.server.as_ref();
        server.is_some_and(|server| server.wants_read(ConnId(conn.0)))
    }

    fn crash(&mut self) {
        self.crashed = true;
    }
}
