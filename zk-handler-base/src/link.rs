//! One connection of one client on an async runtime, from the look-up of its server's name to its
//! end.
//!
//! | stage | left by |
//! |---|---|
//! | `Connecting` | the socket's being connected, or the failure of the last address |
//! | `Up` | the end of the stream, an error |
//!
//! Both are left when the session lets go of the connection. What is then still to be written goes
//! out first if the session says so: the link is closing.

use std::io::ErrorKind;
use std::task::{Context, Poll};
use std::time::Instant;

use zk_proto::Lent;
use zk_session::{ConnId, Session};

use crate::{Connecting, Socket};

/// How much is read at once, as long as no more is known to come. A large frame of which this has
/// arrived is then read straight into its place, and little of it is copied.
const BITE: usize = 64 << 10;
/// Bytes read at once at most, and so between two locks. Of a frame that lacks more than this the
/// rest is read straight into its place.
pub(crate) const READ: usize = 256 << 10;
/// What is written at once is about as much as this, if there is that much.
const WRITE: usize = 256 << 10;
/// How often a connection that is closing is read in a row: its peer may send without end.
const READS: usize = 4;
/// Memory that an idle connection may keep for what it will send.
const KEPT: usize = 4 << 10;

pub(crate) struct Link<S> {
    pub(crate) conn: ConnId,
    /// There was more to send than goes out at once.
    pub(crate) more_to_send: bool,
    stage: Stage<S>,
    /// What is to be written, and how much of it is.
    out: Vec<u8>,
    written: usize,
    /// Why nothing can be written any more.
    failed: Option<ErrorKind>,
    lent: Option<Lent>,
    /// How much is read at once.
    bite: usize,
    /// The peer was told that nothing more will be written.
    shut_down: bool,
}

enum Stage<S> {
    Connecting(Connecting<S>),
    Up(S),
}

/// What has happened on a connection.
pub(crate) enum News {
    Connected,
    /// So many bytes are at the front of the buffer.
    Data(usize),
    /// A buffer of the session was filled further.
    Lent(Lent),
    Lost(ErrorKind),
}

impl<S: Socket> Link<S> {
    pub(crate) fn new(conn: ConnId, connecting: Connecting<S>) -> Self {
        Self {
            conn,
            more_to_send: false,
            stage: Stage::Connecting(connecting),
            out: Vec::new(),
            written: 0,
            failed: None,
            lent: None,
            bite: BITE,
            shut_down: false,
        }
    }

    /// Is it connected?
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up(_))
    }

    /// Goes on with what has become possible, and tells what came of it. Reads once. `None`: the
    /// task will be woken.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Option<News> {
        match &mut self.stage {
            Stage::Up(_) => self.read(cx, buffer),
            Stage::Connecting(connecting) => match connecting.as_mut().poll(cx) {
                Poll::Pending => None,
                Poll::Ready(Ok(socket)) => {
                    self.stage = Stage::Up(socket);
                    Some(News::Connected)
                }
                Poll::Ready(Err(error)) => Some(News::Lost(error.kind())),
            },
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Option<News> {
        let Stage::Up(socket) = &mut self.stage else {
            return None;
        };
        loop {
            let bite = self.bite.min(buffer.len());
            let room = self
                .lent
                .as_mut()
                .map_or(&mut buffer[..bite], Lent::unfilled);
            let size = room.len();
            match socket.poll_read(cx, room) {
                Poll::Ready(Ok(0)) if size > 0 => {
                    return Some(News::Lost(ErrorKind::UnexpectedEof));
                }
                Poll::Ready(Ok(count)) => {
                    let Some(mut lent) = self.lent.take() else {
                        return Some(News::Data(count));
                    };
                    lent.advance(count);
                    return Some(News::Lent(lent));
                }
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Some(News::Lost(error.kind())),
                // A failed write is not the end of what the peer has sent before.
                Poll::Pending => return self.failed.map(News::Lost),
            }
        }
    }

    /// Takes out of the session what is to be sent, if everything before is written, and a buffer
    /// for a large reply. `large` is a buffer for the former.
    pub(crate) fn fetch(&mut self, session: &mut Session, now: Instant, large: &mut Vec<u8>) {
        if !self.is_up() {
            return;
        }
        if self.is_clear() {
            if self.out.capacity() < large.capacity() {
                std::mem::swap(&mut self.out, large);
            }
            while self.out.len() < WRITE && session.poll_transmit(now, self.conn, &mut self.out) > 0
            {
            }
            self.more_to_send = self.out.len() >= WRITE;
        }
        let missing = session.read_hint(self.conn);
        self.bite = missing.max(BITE);
        if missing > READ {
            // `None` also while it is lent already.
            if let Some(lent) = session.lend(self.conn) {
                self.lent = Some(lent);
            }
        }
    }

    /// Takes out of the session all that is to be sent, whatever is still to be written.
    pub(crate) fn fetch_all(&mut self, session: &mut Session, now: Instant) {
        if self.is_up() {
            while session.poll_transmit(now, self.conn, &mut self.out) > 0 {}
        }
    }

    /// Is everything written, and may more be?
    fn is_clear(&self) -> bool {
        self.out.is_empty() && self.failed.is_none()
    }

    /// Writes until all is written or the socket is full; then the task will be woken.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>) {
        self.write_by(|socket, bytes| match socket.poll_write(cx, bytes) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        });
    }

    /// Writes what the socket takes, for the last time.
    pub(crate) fn write_last(&mut self) {
        self.write_by(Socket::try_write);
    }

    fn write_by(&mut self, mut write: impl FnMut(&mut S, &[u8]) -> std::io::Result<usize>) {
        let Stage::Up(socket) = &mut self.stage else {
            return;
        };
        while self.written < self.out.len() && self.failed.is_none() {
            match write(socket, &self.out[self.written..]) {
                Ok(0) => self.failed = Some(ErrorKind::WriteZero),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.failed = Some(error.kind()),
            }
        }
        if self.written == self.out.len() {
            self.written = 0;
            self.out.clear();
        }
    }

    /// Is there more to send, and room for it? Gives the large buffer back, once it is empty.
    pub(crate) fn wants_more(&mut self, large: &mut Vec<u8>) -> bool {
        if !self.is_clear() {
            return false;
        }
        if self.out.capacity() > large.capacity() {
            std::mem::swap(&mut self.out, large);
        }
        self.out.shrink_to(KEPT);
        self.more_to_send
    }

    /// Goes on closing: writes what is left, says that there is no more, and waits for the peer to
    /// do so, so that what was written is not lost. `true`: it is over.
    pub(crate) fn close_on(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> bool {
        self.write(cx);
        self.lent = None;
        if self.failed.is_some() {
            return true;
        }
        let Stage::Up(socket) = &mut self.stage else {
            return true;
        };
        if self.out.is_empty() && !self.shut_down {
            match socket.poll_shut_down(cx) {
                Poll::Ready(Ok(())) => self.shut_down = true,
                Poll::Ready(Err(_)) => return true,
                Poll::Pending => {}
            }
        }
        for _ in 0..READS {
            match self.read(cx, buffer) {
                None => return false,
                Some(News::Lost(_)) => return true,
                Some(News::Connected | News::Data(_) | News::Lent(_)) => {}
            }
        }
        cx.waker().wake_by_ref();
        false
    }
}
