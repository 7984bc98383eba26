//! [`Wire`]: what every loop does with a connection, over whatever reads and writes.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use zk_proto::{Lent, ServerAddr};

use crate::{Action, ConnId, Session};

/// Bytes read at once.
const READ: usize = 64 << 10;
/// Of a frame that lacks more than this the rest is read straight into its place. For less the new
/// memory costs more than the copy.
const LARGE: usize = 256 << 10;
/// Bytes taken out of the session before they are written, about.
const WRITE: usize = 64 << 10;

/// The connection of a [`Session`], on a stream of the program's, while there is one: fetches and
/// writes what is to be sent, reads what there is, and tells the session. What is left to a loop is
/// what only it can know: how to connect, and how to wait.
///
/// The stream may be one that never blocks, or one that blocks for as long as its timeout for
/// reading says.
///
/// ```no_run
/// use std::{io, net::TcpStream, time::Instant};
/// use zk_session::{Session, Wire};
///
/// fn turn(session: &mut Session, wire: &mut Wire<TcpStream>) {
///     wire.follow(session, Instant::now, |server, _| {
///         TcpStream::connect((server.host(), server.port()))
///     });
///     wire.turn(session, Instant::now);
///     session.handle_timeout(Instant::now());
/// }
/// ```
#[derive(Debug)]
pub struct Wire<S>(Option<Open<S>>);

#[derive(Debug)]
struct Open<S> {
    conn: ConnId,
    stream: S,
    out: Vec<u8>,
    written: usize,
    buffer: Box<[u8]>,
}

/// What has come of a [`turn`](Wire::turn).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a loop must know whether to wait, to go on, or to let go"
)]
pub enum Flow {
    /// Nothing was possible: the stream has nothing, and takes nothing or is to be sent nothing.
    Idle,
    /// Bytes went one way or the other, and there may be more of them.
    Moved,
    /// There is no connection, or it has just ended; the session knows.
    Over,
}

impl<S> Wire<S> {
    /// Without a connection.
    pub const fn new() -> Self {
        Self(None)
    }

    /// The stream, if there is a connection.
    pub fn stream(&self) -> Option<&S> {
        self.0.as_ref().map(|open| &open.stream)
    }

    /// The stream, for what an event queue wants of it.
    pub fn stream_mut(&mut self) -> Option<&mut S> {
        self.0.as_mut().map(|open| &mut open.stream)
    }

    /// Takes a connection up and tells the session, or that it could not be made. Another one that
    /// was here is dropped.
    pub fn open(&mut self, session: &mut Session, now: Instant, conn: ConnId, up: io::Result<S>) {
        match up {
            Ok(stream) => {
                session.handle_connected(now, conn);
                self.0 = Some(Open {
                    conn,
                    stream,
                    out: Vec::new(),
                    written: 0,
                    buffer: vec![0; READ].into_boxed_slice(),
                });
            }
            Err(error) => {
                session.handle_disconnected(now, conn, error.kind());
                self.0 = None;
            }
        }
    }
}

impl<S: Read + Write> Wire<S> {
    /// Carries out all [actions](Action) of a session that has one connection at a time: of every
    /// session that is not [`read_only`](crate::ConfigBuilder::read_only). `connect` gets the server
    /// and how often it was tried before; it may block, and so may a SASL mechanism.
    pub fn follow(
        &mut self,
        session: &mut Session,
        now: impl Fn() -> Instant,
        mut connect: impl FnMut(&ServerAddr, u32) -> io::Result<S>,
    ) {
        while let Some(action) = session.poll_action() {
            match action {
                Action::Connect {
                    conn,
                    server,
                    attempt,
                } => {
                    let up = connect(&server, attempt);
                    self.open(session, now(), conn, up);
                }
                Action::Disconnect { conn, .. } => self.close(session, now(), conn),
                Action::Sasl { conn, work } => {
                    let token = work.run();
                    session.handle_sasl(now(), conn, token);
                }
            }
        }
    }

    /// Writes what is to be sent, as far as the stream takes it, then reads once. `now` is asked
    /// after each of the two, as both may block.
    ///
    /// A loop that is told only of changes, as `epoll` does when it is asked for edges, goes on until
    /// this is [`Flow::Idle`].
    pub fn turn(&mut self, session: &mut Session, now: impl Fn() -> Instant) -> Flow {
        let Some(open) = &mut self.0 else {
            return Flow::Over;
        };
        let moved = open.send(session, now()).and_then(|wrote| {
            // Bytes are left where they are while events pile up.
            let read = session.wants_read(open.conn) && open.receive(session, &now)?;
            Ok(wrote || read)
        });
        match moved {
            Ok(true) => Flow::Moved,
            Ok(false) => Flow::Idle,
            Err(error) => {
                session.handle_disconnected(now(), open.conn, error.kind());
                self.0 = None;
                Flow::Over
            }
        }
    }

    /// Ends the connection, if it is this one, as [`Action::Disconnect`] asks for: what is left goes
    /// out as far as the stream takes it.
    pub fn close(&mut self, session: &mut Session, now: Instant, conn: ConnId) {
        if let Some(mut open) = self.0.take_if(|open| open.conn == conn) {
            // It is over in any case.
            let _ = open.send(session, now);
        }
    }
}

impl<S> Default for Wire<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Read + Write> Open<S> {
    /// Fetches bytes while they can be written. `true`: some were.
    fn send(&mut self, session: &mut Session, now: Instant) -> io::Result<bool> {
        let mut wrote = false;
        loop {
            while self.out.len() < WRITE && session.poll_transmit(now, self.conn, &mut self.out) > 0
            {
            }
            while self.written < self.out.len() {
                match self.stream.write(&self.out[self.written..]) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(count) => self.written += count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) if is_later(&error) => return Ok(wrote),
                    Err(error) => return Err(error),
                }
                wrote = true;
            }
            if self.out.is_empty() {
                return Ok(wrote);
            }
            self.out.clear();
            self.written = 0;
        }
    }

    /// Reads once. A large reply goes where it will stay.
    fn receive(&mut self, session: &mut Session, now: impl Fn() -> Instant) -> io::Result<bool> {
        let is_large = session.read_hint(self.conn) > LARGE;
        let mut lent = is_large.then(|| session.lend(self.conn)).flatten();
        let room = lent.as_mut().map_or(&mut self.buffer[..], Lent::unfilled);
        let read = loop {
            match self.stream.read(room) {
                Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_later(&error) => break Ok(0),
                result => break result,
            }
        };
        let count = *read.as_ref().unwrap_or(&0);
        match lent {
            Some(mut lent) => {
                lent.advance(count);
                session.handle_lent(now(), self.conn, lent);
            }
            // Nothing is no news.
            None => session.handle_data(now(), self.conn, &self.buffer[..count]),
        }
        read.map(|count| count > 0)
    }
}

/// Nothing is wrong: the stream would block, or has blocked for as long as it may.
fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
