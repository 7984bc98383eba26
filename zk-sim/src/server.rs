//! [`SimServer`]: what can be a server in a universe.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

/// A connection, as a server knows it. Numbers are never used again within a universe.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerConn(pub u64);

/// A message between servers, such as a vote or a proposal: a value of any type, and what the trace
/// calls it.
pub struct Message {
    label: String,
    body: Box<dyn Any + Send>,
}

impl Message {
    /// A message that the trace calls `label`.
    pub fn new<T: Any + Send>(label: impl Into<String>, body: T) -> Self {
        Self {
            label: label.into(),
            body: Box::new(body),
        }
    }

    /// What the trace calls it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The value, if it is of this type.
    ///
    /// # Errors
    /// The message itself, if it is of another type.
    pub fn take<T: Any>(self) -> Result<T, Self> {
        let Self { label, body } = self;
        match body.downcast::<T>() {
            Ok(body) => Ok(*body),
            Err(body) => Err(Self { label, body }),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Message").field(&self.label).finish()
    }
}

/// What a server wants to be done. Exhaustive on purpose: a new output must break every driver.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver must not ignore an output"
)]
pub enum ServerOutput {
    /// There are bytes to be written to this connection.
    Transmit(ServerConn),
    /// End a connection.
    Close {
        /// The connection.
        conn: ServerConn,
        /// `false`: after what is queued was written. `true`: at once.
        abort: bool,
    },
    /// Send a message to the server on this machine. Messages between two machines keep their
    /// order. What arrives during a partition or at a machine that is down is lost.
    Send {
        /// The machine's name.
        to: String,
        /// The message.
        message: Message,
    },
}

/// A server without I/O: connections, bytes and time in; bytes and messages out.
///
/// Time is that of the server's own machine. The calls are those of a driver of
/// `zk_server::Standalone`.
pub trait SimServer: Send + 'static {
    /// The machine has started, or started again after a crash: there are no connections. What a
    /// server keeps on its disk is what it still knows.
    fn start(&mut self, now: Instant, wall: SystemTime);

    /// A client has connected.
    fn accept(&mut self, now: Instant, conn: ServerConn, peer: SocketAddr);

    /// Bytes have arrived.
    fn data(&mut self, now: Instant, conn: ServerConn, bytes: &[u8]);

    /// The connection has ended; not called for those that the server has closed.
    fn closed(&mut self, now: Instant, conn: ServerConn);

    /// [`next_timeout`](Self::next_timeout) has come.
    fn timeout(&mut self, now: Instant);

    /// Another server has sent this.
    fn message(&mut self, _now: Instant, _from: &str, _message: Message) {}

    /// Appends bytes for this connection and says how many. Not called while the socket is full.
    fn transmit(&mut self, conn: ServerConn, out: &mut Vec<u8>) -> usize;

    /// What is to be done next.
    fn poll_output(&mut self) -> Option<ServerOutput>;

    /// When [`timeout`](Self::timeout) is to be called, if nothing else happens.
    fn next_timeout(&self) -> Option<Instant>;

    /// Whether more is to be read from this connection now.
    fn wants_read(&self, _conn: ServerConn) -> bool {
        true
    }

    /// The machine has crashed. What was only in memory is to be forgotten.
    fn crash(&mut self) {}
}
