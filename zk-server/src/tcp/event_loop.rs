//! The thread of a server: sockets in, sockets out.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, ErrorKind, Read, Write},
    net::Shutdown,
    sync::mpsc::{Receiver, TryRecvError},
    time::{Duration, Instant},
};

use mio::{
    Events, Interest, Poll, Token, Waker,
    net::{TcpListener, TcpStream},
};

use super::FIRST_CONN;
use super::security::{Gate, Over, Security};
use crate::{ConnId, Output, Standalone};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const SECURE_LISTENER: Token = Token(2);
/// Bytes read from a socket at once.
const READ_BYTES: usize = 64 * 1024;
/// How often one socket is read before the others have their turn.
const READS_PER_TURN: usize = 4;
/// How many connections are accepted before the others have their turn.
const ACCEPTS_PER_TURN: usize = 64;
/// How long accepting rests when the system has run out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long the last bytes of a connection may take.
const LINGER: Duration = Duration::from_secs(10);

/// What the owner of the server wants.
pub(super) enum Command {
    Call(Work),
    Stop,
}

/// Something to be done on the thread of the server.
pub(super) type Work = Box<dyn FnOnce(&mut Standalone, Instant) + Send>;

pub(super) struct EventLoop {
    poll: Poll,
    listener: TcpListener,
    /// The port for clients with TLS, and what they go through.
    secure: Option<(TcpListener, Gate)>,
    server: Standalone,
    inbox: Receiver<Command>,
    sockets: BTreeMap<ConnId, Socket>,
    next_conn: ConnId,
    input: Vec<u8>,
    /// What clients have said and are to be told, without TLS around it.
    plain: Vec<u8>,
    /// Sockets that may have more to read than their turn allowed, or that were not read as the
    /// server had enough.
    readable: Vec<ConnId>,
    accept_again: Option<Instant>,
    /// Sockets that are closed once all is written, and until when, in that order.
    closing: VecDeque<(Instant, ConnId)>,
}

struct Socket {
    stream: TcpStream,
    security: Option<Security>,
    /// Taken from the server, encoded and not written yet.
    output: Vec<u8>,
    written: usize,
    writable: bool,
    /// Close once all is written.
    closing: bool,
    /// The client was told by TLS that nothing more will come.
    said_so: bool,
    /// It is among the readable ones.
    queued: bool,
}

impl EventLoop {
    /// Registers what the loop listens to, and makes what wakes it.
    pub(super) fn register(
        poll: &Poll,
        listener: &mut TcpListener,
        secure: Option<&mut TcpListener>,
    ) -> io::Result<Waker> {
        let registry = poll.registry();
        registry.register(listener, LISTENER, Interest::READABLE)?;
        if let Some(listener) = secure {
            registry.register(listener, SECURE_LISTENER, Interest::READABLE)?;
        }
        Waker::new(poll.registry(), WAKER)
    }

    pub(super) fn new(
        poll: Poll,
        listener: TcpListener,
        secure: Option<(TcpListener, Gate)>,
        server: Standalone,
        inbox: Receiver<Command>,
    ) -> Self {
        Self {
            poll,
            listener,
            secure,
            server,
            inbox,
            sockets: BTreeMap::new(),
            next_conn: FIRST_CONN,
            input: vec![0; READ_BYTES],
            plain: Vec::new(),
            readable: Vec::new(),
            accept_again: None,
            closing: VecDeque::new(),
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "the event loop ends");
                    return;
                }
            }
            for event in &events {
                match event.token() {
                    LISTENER | SECURE_LISTENER => self.accept(),
                    WAKER => {}
                    Token(token) => {
                        let conn = ConnId(token as u64);
                        if event.is_writable() {
                            if let Some(socket) = self.sockets.get_mut(&conn) {
                                socket.writable = true;
                            }
                            self.write(conn);
                        }
                        if event.is_readable() || event.is_read_closed() || event.is_error() {
                            self.queue(conn);
                        }
                    }
                }
            }
            for conn in std::mem::take(&mut self.readable) {
                if let Some(socket) = self.sockets.get_mut(&conn) {
                    socket.queued = false;
                    self.read(conn);
                }
            }
            if self.accept_again.is_some_and(|at| at <= now()) {
                self.accept_again = None;
                self.accept();
            }
            while self.closing.front().is_some_and(|(at, _)| *at <= now()) {
                if let Some((_, conn)) = self.closing.pop_front() {
                    self.remove(conn);
                }
            }
            if self.server.poll_timeout().is_some_and(|at| at <= now()) {
                self.server.handle_timeout(now());
            }
            if !self.obey() {
                return;
            }
            self.drain();
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let rest = |at: Instant| at.saturating_duration_since(now());
        let busy = self
            .readable
            .iter()
            .any(|conn| self.server.wants_read(*conn));
        if busy {
            return Some(Duration::ZERO);
        }
        let closing = self.closing.front().map(|(at, _)| *at);
        let due = [self.server.poll_timeout(), self.accept_again, closing];
        // The poll counts milliseconds and must not come back too early over and over.
        due.into_iter()
            .flatten()
            .min()
            .map(|at| rest(at) + Duration::from_millis(1))
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN {
            let (accepted, gate) = match (self.listener.accept(), &self.secure) {
                (Err(error), Some((listener, gate))) if error.kind() == ErrorKind::WouldBlock => {
                    (listener.accept(), Some(gate))
                }
                (accepted, _) => (accepted, None),
            };
            match accepted {
                Ok((mut stream, peer)) => {
                    let conn = self.next_conn;
                    self.next_conn = ConnId(conn.0 + 1);
                    // Without it answers are late, no more.
                    let _ = stream.set_nodelay(true);
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    let Ok(token) = usize::try_from(conn.0) else {
                        continue;
                    };
                    let registry = self.poll.registry();
                    if registry
                        .register(&mut stream, Token(token), interest)
                        .is_err()
                    {
                        continue;
                    }
                    let security = gate.map(Security::new);
                    if matches!(security, Some(None)) {
                        continue;
                    }
                    let socket = Socket {
                        stream,
                        security: security.flatten(),
                        output: Vec::new(),
                        written: 0,
                        writable: true,
                        closing: false,
                        said_so: false,
                        queued: false,
                    };
                    self.sockets.insert(conn, socket);
                    self.server.handle_accept(now(), conn, peer);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if is_about_the_peer(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    self.accept_again = Some(now() + ACCEPT_PAUSE);
                    return;
                }
            }
        }
        self.accept_again = Some(now());
    }

    fn queue(&mut self, conn: ConnId) {
        if let Some(socket) = self.sockets.get_mut(&conn)
            && !std::mem::replace(&mut socket.queued, true)
        {
            self.readable.push(conn);
        }
    }

    fn read(&mut self, conn: ConnId) {
        for _ in 0..READS_PER_TURN {
            let Some(socket) = self.sockets.get_mut(&conn) else {
                return;
            };
            if socket.closing {
                return;
            }
            if !self.server.wants_read(conn) {
                return self.queue(conn);
            }
            match socket.stream.read(&mut self.input) {
                Ok(0) => return self.lose(conn),
                Ok(count) => {
                    let input = &self.input[..count];
                    let Some(security) = &mut socket.security else {
                        self.server.handle_data(now(), conn, input);
                        self.drain();
                        continue;
                    };
                    self.plain.clear();
                    let result = security.decode(input, &mut self.plain, &mut socket.output);
                    if let Some(id) = security.identity() {
                        self.server.handle_identity(conn, id);
                    }
                    if !self.plain.is_empty() {
                        self.server.handle_data(now(), conn, &self.plain);
                        self.drain();
                    }
                    self.write(conn);
                    if let Err(Over) = result {
                        return self.lose(conn);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.lose(conn),
            }
        }
        self.queue(conn);
    }

    /// Does what the server wants.
    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit(conn) => self.write(conn),
                Output::Close { conn, abort: true } => {
                    self.remove(conn);
                }
                Output::Close { conn, abort: false } => {
                    if let Some(socket) = self.sockets.get_mut(&conn) {
                        socket.closing = true;
                        self.closing.push_back((now() + LINGER, conn));
                    }
                    self.write(conn);
                }
            }
        }
    }

    fn write(&mut self, conn: ConnId) {
        let Some(socket) = self.sockets.get_mut(&conn) else {
            return;
        };
        while socket.writable {
            if socket.written == socket.output.len() {
                socket.output.clear();
                socket.written = 0;
                match &mut socket.security {
                    None => {
                        self.server.poll_transmit(conn, &mut socket.output);
                    }
                    Some(security) => {
                        self.plain.clear();
                        self.server.poll_transmit(conn, &mut self.plain);
                        if self.plain.is_empty() {
                            if socket.closing && !std::mem::replace(&mut socket.said_so, true) {
                                security.close(&mut socket.output);
                            }
                        } else if security.encode(&self.plain, &mut socket.output).is_err() {
                            return self.lose(conn);
                        }
                    }
                }
                if socket.output.is_empty() {
                    break;
                }
            }
            match socket.stream.write(&socket.output[socket.written..]) {
                Ok(count) => socket.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => socket.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.lose(conn),
            }
        }
        if socket.closing && socket.written == socket.output.len() && socket.writable {
            // The peer sees an end, not a reset, even if it has sent more than was read.
            let _ = socket.stream.shutdown(Shutdown::Write);
            self.remove(conn);
        }
    }

    fn lose(&mut self, conn: ConnId) {
        self.server.handle_closed(now(), conn);
        self.remove(conn);
    }

    fn remove(&mut self, conn: ConnId) {
        if let Some(mut socket) = self.sockets.remove(&conn) {
            // It is closed in any case.
            let _ = self.poll.registry().deregister(&mut socket.stream);
        }
    }

    /// Does what the owner wants; `false` is to stop.
    fn obey(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Call(work)) => {
                    work(&mut self.server, now());
                    self.drain();
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }
}

/// Errors of accept that are about one connection, which is gone.
fn is_about_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

#[expect(clippy::disallowed_methods, reason = "here the server meets the clock")]
fn now() -> Instant {
    Instant::now()
}
