//! A TCP proxy which a test can make misbehave.

mod event_loop;
mod link;

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use crate::error::Error;
use crate::ports::Port;
use event_loop::{Command, EventLoop, Order};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two directions")]
pub enum Direction {
    /// From the client, which connected to the proxy, to the server.
    ToServer,
    /// From the server back to the client.
    ToClient,
}

/// A TCP proxy on loopback in front of one server, with a thread of its own; dropping it closes all
/// its connections.
///
/// What a method asks for has happened when it returns: after [`stall`](Self::stall) not one byte is
/// forwarded, after [`cut`](Self::cut) every connection has been closed. Bytes already forwarded may
/// still wait in the system's buffers to be read by their receiver.
pub struct Proxy {
    address: SocketAddr,
    counters: Arc<Counters>,
    orders: Sender<Order>,
    waker: UnixStream,
    thread: Option<JoinHandle<()>>,
}

/// What the event loop tells about itself.
#[derive(Debug, Default)]
struct Counters {
    open: AtomicUsize,
    accepted: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

impl Counters {
    fn bytes(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

impl Proxy {
    /// Starts to accept connections and to forward each to `target`, which need not exist yet: a
    /// connection that finds no server there is closed.
    ///
    /// # Errors
    ///
    /// [`Error::NoHome`], [`Error::NoPorts`] or [`Error::Io`].
    pub fn start(target: SocketAddr) -> Result<Self, Error> {
        let port = Port::claim()?;
        let address = port.address();
        let counters = Arc::new(Counters::default());
        let (orders, inbox) = channel();
        let (waker, wake) = UnixStream::pair().map_err(Error::io("make the waker of a proxy"))?;
        let thread = EventLoop::new(port, target, inbox, wake, Arc::clone(&counters))
            .and_then(|event_loop| {
                let thread = thread::Builder::new().name(format!("proxy {}", address.port()));
                thread.spawn(move || event_loop.run())
            })
            .map_err(Error::io(format!("start a proxy on {address}")))?;
        Ok(Self {
            address,
            counters,
            orders,
            waker,
            thread: Some(thread),
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops forwarding both ways. Connections stay open, new ones are accepted, and nobody learns
    /// when the other side closes.
    pub fn stall(&self) {
        self.stall_towards_server();
        self.stall_towards_client();
    }

    /// Stops forwarding what clients send.
    pub fn stall_towards_server(&self) {
        let _ = self.order(Command::Stall(Direction::ToServer));
    }

    /// Stops forwarding what the server sends.
    pub fn stall_towards_client(&self) {
        let _ = self.order(Command::Stall(Direction::ToClient));
    }

    /// Forwards again both ways, beginning with what was held up.
    pub fn resume(&self) {
        let _ = self.order(Command::Resume);
    }

    /// Closes every connection now, also those that are stalled; what was held up is lost.
    pub fn cut(&self) {
        let _ = self.order(Command::Cut);
    }

    /// Cuts the connection that carries the `bytes`th byte from now on in that direction, counted
    /// over all connections, right after that byte has been forwarded; with 0, the connection that
    /// carries the next byte, and without it. Happens once; a later call for the same direction
    /// replaces an earlier one.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        let _ = self.order(Command::CutAfter(direction, bytes));
    }

    /// Whether the system refuses new connections, as it does on a port where nobody listens.
    /// Connections that are open stay so.
    ///
    /// # Errors
    ///
    /// When the port cannot be listened on again.
    pub fn refuse(&self, refuse: bool) -> io::Result<()> {
        self.order(Command::Refuse(refuse))
    }

    /// The number of connections that are open now.
    pub fn connections(&self) -> usize {
        self.counters.open.load(Ordering::SeqCst)
    }

    /// The number of connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.counters.accepted.load(Ordering::SeqCst)
    }

    /// The number of bytes forwarded so far in a direction, over all connections.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.counters.bytes(direction).load(Ordering::SeqCst)
    }

    /// Hands the event loop a command and waits until it has been carried out.
    fn order(&self, command: Command) -> io::Result<()> {
        let (done, result) = channel();
        let gone = || io::Error::other("the proxy's thread ended");
        self.orders
            .send(Order { command, done })
            .map_err(|_| gone())?;
        (&self.waker).write_all(&[1])?;
        result.recv().map_err(|_| gone())?
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.order(Command::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Proxy");
        out.field("address", &self.address)
            .field("counters", &self.counters);
        out.finish_non_exhaustive()
    }
}
