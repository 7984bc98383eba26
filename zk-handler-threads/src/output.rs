//! The writing half of a connection.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::Instant;

use mio::net::TcpStream;
use zk_session::ConnId;

/// Memory that an idle connection may keep for what it will send.
const KEPT: usize = 4 << 10;

/// What is to be written to one connection, and where it is to be written.
///
/// It belongs to the I/O loop, or, while nothing is going on, to the client's
/// [`Bell`](crate::bell::Bell), where whoever submits the next request finds it.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) conn: ConnId,
    /// Not later than this the loop looks after the client by itself.
    pub(crate) looked_after: Option<Instant>,
    stream: Arc<TcpStream>,
    bytes: Vec<u8>,
    written: usize,
    full: bool,
    failed: Option<ErrorKind>,
}

impl Output {
    pub(crate) fn new(conn: ConnId, stream: Arc<TcpStream>) -> Self {
        let (bytes, looked_after) = (Vec::new(), None);
        Self {
            conn,
            looked_after,
            stream,
            bytes,
            written: 0,
            full: false,
            failed: None,
        }
    }

    /// Is everything written, and may more be?
    pub(crate) fn is_clear(&self) -> bool {
        self.bytes.is_empty() && self.failed.is_none()
    }

    /// Why nothing can be written any more.
    pub(crate) fn failed(&self) -> Option<ErrorKind> {
        self.failed
    }

    /// Where to put what is to be written, once it [is clear](Self::is_clear).
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Exchanges the empty buffer for a larger one.
    pub(crate) fn take_buffer(&mut self, large: &mut Vec<u8>) {
        if self.bytes.capacity() < large.capacity() {
            std::mem::swap(&mut self.bytes, large);
        }
    }

    /// Gives the larger buffer back, once it is empty.
    pub(crate) fn return_buffer(&mut self, large: &mut Vec<u8>) {
        if self.bytes.capacity() > large.capacity() {
            std::mem::swap(&mut self.bytes, large);
        }
        self.bytes.shrink_to(KEPT);
    }

    /// The socket takes bytes again.
    pub(crate) fn has_room(&mut self) {
        self.full = false;
    }

    /// Writes until all is written or the socket is full.
    pub(crate) fn write(&mut self) {
        while self.written < self.bytes.len() && !self.full && self.failed.is_none() {
            match (&*self.stream).write(&self.bytes[self.written..]) {
                Ok(0) => self.failed = Some(ErrorKind::WriteZero),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.full = true,
                Err(error) => self.failed = Some(error.kind()),
            }
        }
        if self.written == self.bytes.len() {
            self.written = 0;
            self.bytes.clear();
        }
    }
}
