//! A connection of a session, on a `mio` socket that never blocks: what `poll_loop` and
//! `own_handler` have in common.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use zk::session::{ConnId, Session};

/// What is read at once. Of a frame that lacks more, the rest is read straight into its place.
pub(crate) const READ: usize = 64 << 10;
/// Bytes that may wait here to be written; the rest waits in the session.
const WRITE: usize = 64 << 10;

pub(crate) struct Link {
    pub(crate) conn: ConnId,
    stream: TcpStream,
    is_up: bool,
    out: Vec<u8>,
    written: usize,
}

impl Link {
    /// Begins to connect. Events of the socket come with the token.
    pub(crate) fn connect(
        conn: ConnId,
        address: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let (is_up, out, written) = (false, Vec::new(), 0);
        Ok(Self {
            conn,
            stream,
            is_up,
            out,
            written,
        })
    }

    /// Goes on with what is possible now. `true`: something was, so that more may be. After an
    /// error the connection is of no use, and the session is to be told.
    ///
    /// `mio` tells of changes only: whoever does not go on until nothing is possible is not woken.
    pub(crate) fn go_on(
        &mut self,
        session: &mut Session,
        now: Instant,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        if !self.is_up {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            match self.stream.peer_addr() {
                Ok(_) => self.stream.set_nodelay(true)?,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
                Err(error) => return Err(error),
            }
            self.is_up = true;
            session.handle_connected(now, self.conn);
        }
        let wrote = self.send(session, now)?;
        // `wants_read` asks to leave bytes where they are while events pile up.
        let read = session.wants_read(self.conn) && self.receive(session, now, buffer)?;
        Ok(wrote || read)
    }

    /// Fetches bytes while they can be written. A socket takes a part of them, or none.
    fn send(&mut self, session: &mut Session, now: Instant) -> io::Result<bool> {
        let mut wrote = false;
        loop {
            while self.out.len() < WRITE && session.poll_transmit(now, self.conn, &mut self.out) > 0
            {
            }
            if !self.write()? || self.out.is_empty() {
                return Ok(wrote);
            }
            wrote = true;
            self.out.drain(..self.written);
            self.written = 0;
        }
    }

    /// `false`: the socket is full.
    pub(crate) fn write(&mut self) -> io::Result<bool> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads once. A large reply goes where it will stay.
    fn receive(
        &mut self,
        session: &mut Session,
        now: Instant,
        buffer: &mut [u8],
    ) -> io::Result<bool> {
        let is_large = session.read_hint(self.conn) > READ;
        let mut lent = is_large.then(|| session.lend(self.conn)).flatten();
        let room = match &mut lent {
            Some(lent) => lent.unfilled(),
            None => buffer,
        };
        let count = loop {
            match self.stream.read(room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => break count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break 0,
                Err(error) => return Err(error),
            }
        };
        match lent {
            Some(mut lent) => {
                lent.advance(count);
                session.handle_lent(now, self.conn, lent);
            }
            // Nothing is no news.
            None => session.handle_data(now, self.conn, &buffer[..count]),
        }
        Ok(count > 0)
    }
}
