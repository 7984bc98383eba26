//! A server that sends back what it reads.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use zk_sim::{ServerConn, ServerOutput, SimServer};

#[derive(Default)]
pub(crate) struct Echo {
    conns: BTreeMap<ServerConn, Vec<u8>>,
    outputs: VecDeque<ServerOutput>,
    /// The lengths of all that was read.
    pub(crate) pieces: Vec<usize>,
    pub(crate) heard: Vec<u8>,
    pub(crate) ended: u32,
    /// Answers nothing, but keeps it.
    pub(crate) mute: bool,
    pub(crate) deaf: bool,
    pub(crate) timeouts: Vec<Instant>,
    pub(crate) alarm: Option<Instant>,
}

impl Echo {
    /// Lets go of all connections.
    pub(crate) fn hang_up(&mut self, abort: bool) {
        for (conn, _) in std::mem::take(&mut self.conns) {
            self.outputs.push_back(ServerOutput::Close { conn, abort });
        }
    }

    /// What is there to be sent, and is not taken.
    pub(crate) fn unsent(&self) -> usize {
        self.conns.values().map(Vec::len).sum()
    }

    /// Sends so much to everybody.
    pub(crate) fn flood(&mut self, bytes: usize) {
        for (conn, out) in &mut self.conns {
            out.extend(std::iter::repeat_n(7, bytes));
            self.outputs.push_back(ServerOutput::Transmit(*conn));
        }
    }
}

impl SimServer for Echo {
    fn start(&mut self, _: Instant, _: SystemTime) {}

    fn accept(&mut self, _: Instant, conn: ServerConn, _: SocketAddr) {
        assert!(self.conns.insert(conn, Vec::new()).is_none());
    }

    fn data(&mut self, _: Instant, conn: ServerConn, bytes: &[u8]) {
        self.pieces.push(bytes.len());
        self.heard.extend_from_slice(bytes);
        if self.mute {
            return;
        }
        self.conns.get_mut(&conn).unwrap().extend_from_slice(bytes);
        self.outputs.push_back(ServerOutput::Transmit(conn));
    }

    fn closed(&mut self, _: Instant, conn: ServerConn) {
        assert!(self.conns.remove(&conn).is_some());
        self.ended += 1;
    }

    fn timeout(&mut self, now: Instant) {
        self.timeouts.push(now);
        self.alarm = None;
    }

    /// At most 100 bytes at once.
    fn transmit(&mut self, conn: ServerConn, out: &mut Vec<u8>) -> usize {
        let Some(queue) = self.conns.get_mut(&conn) else {
            return 0;
        };
        let count = queue.len().min(100);
        out.extend(queue.drain(..count));
        count
    }

    fn poll_output(&mut self) -> Option<ServerOutput> {
        self.outputs.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.alarm
    }

    fn wants_read(&self, _: ServerConn) -> bool {
        !self.deaf
    }

    fn crash(&mut self) {
        self.conns.clear();
        self.outputs.clear();
    }
}
