//! [`Relay`]: a proxy on a machine of a universe, with the ways to misbehave of the one on TCP.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Instant, SystemTime};

use zk_sim::{Machine, ServerConn, ServerHandle, ServerOutput, Sim, SimServer, Socket};
use zk_testkit::Direction;

/// How much is taken in one direction of a connection before it has been passed on.
const BUFFER: usize = 64 << 10;

/// The side that is a server. A task on the same machine, the pump, has the connections to the
/// target.
#[derive(Default)]
pub(crate) struct Relay {
    links: BTreeMap<ServerConn, Link>,
    /// What is still to be written to connections that end.
    last: BTreeMap<ServerConn, Vec<u8>>,
    outputs: VecDeque<ServerOutput>,
    to_server: Way,
    to_client: Way,
    accepted: u64,
    pump: Option<Waker>,
}

#[derive(Default)]
struct Link {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    client_is_gone: bool,
}

/// One direction of all connections.
#[derive(Default)]
struct Way {
    stalled: bool,
    cut_after: Option<u64>,
    passed: u64,
}

impl Way {
    /// How many of so many bytes may pass, and whether the connection is cut then.
    fn pass(&mut self, count: usize) -> (usize, bool) {
        let left = self.cut_after.map_or(usize::MAX, |left| left as usize);
        let passes = count.min(left);
        self.passed += passes as u64;
        let cuts = count > 0 && (left == 0 || passes == left);
        self.cut_after = match cuts {
            true => None,
            false => self.cut_after.map(|left| left - passes as u64),
        };
        (passes, cuts)
    }
}

impl Relay {
    /// Starts one at an address in a universe.
    pub(crate) fn start(sim: &Sim, address: &str, target: SocketAddr) -> Arc<ServerHandle<Self>> {
        let handle = Arc::new(sim.server(address, Self::default()));
        let mut pump = Pump {
            relay: Arc::clone(&handle),
            target,
            ways: BTreeMap::new(),
        };
        let machine = handle.machine().clone();
        drop(machine.spawn(poll_fn(move |cx| pump.poll(cx))));
        handle
    }

    pub(crate) fn stall(&mut self, direction: Direction) {
        self.way(direction).stalled = true;
    }

    pub(crate) fn resume(&mut self) {
        (self.to_server.stalled, self.to_client.stalled) = (false, false);
        self.wake();
    }

    pub(crate) fn cut(&mut self) {
        for conn in self.links.keys().copied().collect::<Vec<_>>() {
            self.end(conn);
        }
    }

    pub(crate) fn cut_after(&mut self, direction: Direction, bytes: u64) {
        self.way(direction).cut_after = Some(bytes);
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// Ends a connection, after what has passed already.
    fn end(&mut self, conn: ServerConn) {
        if let Some(link) = self.links.remove(&conn) {
            if !link.client_is_gone {
                self.last.insert(conn, link.to_client);
                self.outputs
                    .push_back(ServerOutput::Close { conn, abort: false });
            }
            self.wake();
        }
    }

    fn wake(&mut self) {
        if let Some(pump) = self.pump.take() {
            pump.wake();
        }
    }

    /// Bytes for the server.
    fn waiting(&self, conn: ServerConn) -> Vec<u8> {
        let Some(link) = self.links.get(&conn).filter(|_| !self.to_server.stalled) else {
            return Vec::new();
        };
        let limit = self
            .to_server
            .cut_after
            .map_or(usize::MAX, |left| left as usize);
        link.to_server[..link.to_server.len().min(limit)].to_vec()
    }

    /// So many have been written.
    fn written(&mut self, conn: ServerConn, count: usize) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.to_server.drain(..count);
            let (_, cuts) = self.to_server.pass(count);
            if cuts {
                self.end(conn);
            }
        }
    }

    /// The server has sent this.
    fn received(&mut self, conn: ServerConn, bytes: &[u8]) {
        let (count, cuts) = self.to_client.pass(bytes.len());
        if let Some(link) = self.links.get_mut(&conn) {
            link.to_client.extend_from_slice(&bytes[..count]);
            self.outputs.push_back(ServerOutput::Transmit(conn));
        }
        if cuts {
            self.end(conn);
        }
    }

    /// Ends what is over, and says whether it did.
    fn settle(&mut self, conn: ServerConn) -> bool {
        let stalled = self.to_server.stalled;
        let is_over = self.links.get(&conn).is_some_and(|link| {
            let cut_at_once = self.to_server.cut_after == Some(0) && !link.to_server.is_empty();
            let gone = link.client_is_gone && link.to_server.is_empty();
            !stalled && (cut_at_once || gone)
        });
        if is_over {
            if self.to_server.cut_after == Some(0) {
                self.to_server.cut_after = None;
            }
            self.end(conn);
        }
        is_over
    }

    fn reads_from_server(&self, conn: ServerConn) -> bool {
        let link = self.links.get(&conn);
        !self.to_client.stalled && link.is_some_and(|link| link.to_client.len() < BUFFER)
    }
}

impl SimServer for Relay {
    fn start(&mut self, _now: Instant, _wall: SystemTime) {}

    fn accept(&mut self, _now: Instant, conn: ServerConn, _peer: SocketAddr) {
        self.accepted += 1;
        self.links.insert(conn, Link::default());
        self.wake();
    }

    fn data(&mut self, _now: Instant, conn: ServerConn, bytes: &[u8]) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.to_server.extend_from_slice(bytes);
        }
        self.wake();
    }

    fn closed(&mut self, _now: Instant, conn: ServerConn) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.client_is_gone = true;
        }
        self.wake();
    }

    fn timeout(&mut self, _now: Instant) {}

    fn transmit(&mut self, conn: ServerConn, out: &mut Vec<u8>) -> usize {
        let link = self.links.get_mut(&conn);
        let bytes = match link {
            Some(link) => std::mem::take(&mut link.to_client),
            None => self.last.remove(&conn).unwrap_or_default(),
        };
        out.extend_from_slice(&bytes);
        if !bytes.is_empty() {
            // There is room for more.
            self.wake();
        }
        bytes.len()
    }

    fn poll_output(&mut self) -> Option<ServerOutput> {
        self.outputs.pop_front()
    }

    fn next_timeout(&self) -> Option<Instant> {
        None
    }

    fn wants_read(&self, conn: ServerConn) -> bool {
        let link = self.links.get(&conn);
        !self.to_server.stalled && link.is_none_or(|link| link.to_server.len() < BUFFER)
    }
}

/// Has the connections to the target.
struct Pump {
    relay: Arc<ServerHandle<Relay>>,
    target: SocketAddr,
    ways: BTreeMap<ServerConn, Onward>,
}

enum Onward {
    Connecting(Pin<Box<dyn Future<Output = io::Result<Socket>> + Send>>),
    Open(Socket),
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.turn(cx) {}
        Poll::Pending
    }

    /// `true`: there may be more to do.
    fn turn(&mut self, cx: &mut Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let conns: Vec<ServerConn> = self.relay.with(|relay| {
            relay.pump = Some(waker);
            relay.links.keys().copied().collect()
        });
        self.ways.retain(|conn, _| conns.contains(conn));
        let mut any = false;
        for conn in conns {
            let machine = self.relay.machine();
            let target = self.target;
            let onward = self.ways.entry(conn);
            let onward = onward.or_insert_with(|| Onward::Connecting(connect(machine, target)));
            match onward {
                Onward::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                    Poll::Ready(Ok(socket)) => {
                        *onward = Onward::Open(socket);
                        any = true;
                    }
                    Poll::Ready(Err(_)) => {
                        self.relay.with(|relay| relay.end(conn));
                        any = true;
                    }
                    Poll::Pending => {}
                },
                Onward::Open(socket) => any |= exchange(&self.relay, conn, socket, cx),
            }
        }
        any
    }
}

fn connect(
    machine: &Machine,
    target: SocketAddr,
) -> Pin<Box<dyn Future<Output = io::Result<Socket>> + Send>> {
    let machine = machine.clone();
    Box::pin(async move {
        machine
            .connect(&target.ip().to_string(), target.port())
            .await
    })
}

/// Passes on what can be passed on, in both directions. `true` if there was something.
fn exchange(
    relay: &ServerHandle<Relay>,
    conn: ServerConn,
    socket: &mut Socket,
    cx: &mut Context<'_>,
) -> bool {
    if relay.with(|relay| relay.settle(conn)) {
        return true;
    }
    let mut any = false;
    let bytes = relay.with(|relay| relay.waiting(conn));
    if !bytes.is_empty() {
        match pin!(socket.write(&bytes)).poll(cx) {
            Poll::Ready(Ok(count)) => {
                relay.with(|relay| relay.written(conn, count));
                any = true;
            }
            Poll::Ready(Err(_)) => {
                relay.with(|relay| relay.end(conn));
                return true;
            }
            Poll::Pending => {}
        }
    }
    if relay.with(|relay| relay.reads_from_server(conn)) {
        match pin!(socket.read()).poll(cx) {
            Poll::Ready(Ok(bytes)) if !bytes.is_empty() => {
                relay.with(|relay| relay.received(conn, &bytes));
                any = true;
            }
            Poll::Ready(_) => {
                relay.with(|relay| relay.end(conn));
                return true;
            }
            Poll::Pending => {}
        }
    }
    any
}
