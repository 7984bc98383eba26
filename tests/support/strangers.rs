//! What may listen where a ZooKeeper server was expected.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Instant, SystemTime};

use zk_sim::{ServerConn, ServerOutput, SimServer};

/// What it does with a connection that has sent its first bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stranger {
    /// Answers with these bytes, then closes.
    Answers(&'static [u8]),
    /// Never says a word.
    Silent,
    /// Closes.
    HangsUp,
}

impl Stranger {
    /// Lets one listen on a port of its own until the test process ends.
    pub(crate) fn listen(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut first = [0; 4096];
                if stream.read(&mut first).is_ok_and(|read| read > 0) {
                    match self {
                        Self::Answers(bytes) => drop(stream.write_all(bytes)),
                        Self::Silent => open.push(stream),
                        Self::HangsUp => {}
                    }
                }
            }
        });
        address
    }
}

/// A port where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A stranger in a universe.
#[derive(Debug)]
pub(crate) struct SimStranger {
    kind: Stranger,
    outputs: VecDeque<ServerOutput>,
    answers: VecDeque<ServerConn>,
}

impl SimStranger {
    pub(crate) fn new(kind: Stranger) -> Self {
        Self {
            kind,
            outputs: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }
}

impl SimServer for SimStranger {
    fn start(&mut self, _now: Instant, _wall: SystemTime) {}

    fn accept(&mut self, _now: Instant, _conn: ServerConn, _peer: SocketAddr) {}

    fn data(&mut self, _now: Instant, conn: ServerConn, _bytes: &[u8]) {
        let close = ServerOutput::Close { conn, abort: false };
        match self.kind {
            Stranger::Answers(_) => {
                self.answers.push_back(conn);
                self.outputs.push_back(close);
            }
            Stranger::Silent => {}
            Stranger::HangsUp => self.outputs.push_back(close),
        }
    }

    fn closed(&mut self, _now: Instant, _conn: ServerConn) {}

    fn timeout(&mut self, _now: Instant) {}

    fn transmit(&mut self, conn: ServerConn, out: &mut Vec<u8>) -> usize {
        let Stranger::Answers(bytes) = self.kind else {
            return 0;
        };
        let Some(place) = self.answers.iter().position(|other| *other == conn) else {
            return 0;
        };
        self.answers.remove(place);
        out.extend_from_slice(bytes);
        bytes.len()
    }

    fn poll_output(&mut self) -> Option<ServerOutput> {
        self.outputs.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        None
    }
}
