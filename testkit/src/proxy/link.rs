//! One proxied connection.
//!
//! Each direction has a buffer that is filled from one socket and emptied into the other before it
//! is filled again, so a slow or stalled receiver slows its sender down through TCP itself.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::Direction;

const CHUNK: usize = 64 * 1024;

/// What one direction of a connection waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Want {
    /// More bytes from the sender.
    Read,
    /// Room at the receiver.
    Write,
}

/// What became of the bytes that were to be forwarded.
pub(super) enum Forwarded {
    /// So many went on, perhaps none.
    Bytes(usize),
    /// The connection is of no more use.
    Broken,
}

#[derive(Debug)]
pub(super) struct Link {
    client: TcpStream,
    server: TcpStream,
    to_server: Half,
    to_client: Half,
}

#[derive(Debug, Default)]
struct Half {
    buffer: Vec<u8>,
    ended: bool,
}

impl Link {
    /// Takes a client and starts to connect to the server; when that fails, the link breaks.
    pub(super) fn new(client: TcpStream, target: SocketAddr) -> io::Result<Self> {
        client.set_nonblocking(true)?;
        let server = start_to_connect(target)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        Ok(Self {
            client,
            server,
            to_server: Half::default(),
            to_client: Half::default(),
        })
    }

    /// The socket to wait on for this direction, and for what; none when it has ended.
    pub(super) fn want(&self, direction: Direction) -> Option<(&TcpStream, Want)> {
        let (half, from, to) = match direction {
            Direction::ToServer => (&self.to_server, &self.client, &self.server),
            Direction::ToClient => (&self.to_client, &self.server, &self.client),
        };
        if !half.buffer.is_empty() {
            Some((to, Want::Write))
        } else if half.ended {
            None
        } else {
            Some((from, Want::Read))
        }
    }

    /// Fills the direction's buffer, or passes on that the sender has no more.
    pub(super) fn read(&mut self, direction: Direction) -> Forwarded {
        let (half, from, to) = self.parts(direction);
        half.buffer.resize(CHUNK, 0);
        let read = (&mut &*from).read(&mut half.buffer);
        half.buffer.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => {
                half.ended = true;
                match to.shutdown(Shutdown::Write) {
                    Ok(()) => Forwarded::Bytes(0),
                    Err(_) => Forwarded::Broken,
                }
            }
            Ok(_) => Forwarded::Bytes(0),
            Err(error) => later(&error),
        }
    }

    /// Forwards up to `limit` bytes of the direction's buffer.
    pub(super) fn write(&mut self, direction: Direction, limit: u64) -> Forwarded {
        let (half, _, to) = self.parts(direction);
        let size = half
            .buffer
            .len()
            .min(usize::try_from(limit).unwrap_or(usize::MAX));
        match (&mut &*to).write(&half.buffer[..size]) {
            Ok(count) => {
                half.buffer.drain(..count);
                Forwarded::Bytes(count)
            }
            Err(error) => later(&error),
        }
    }

    /// Whether both sides have said that they have no more, and all of it was passed on.
    pub(super) fn is_finished(&self) -> bool {
        self.to_server.ended && self.to_client.ended
    }

    /// The direction's half with the socket it is read from and the one it is written to.
    fn parts(&mut self, direction: Direction) -> (&mut Half, &TcpStream, &TcpStream) {
        match direction {
            Direction::ToServer => (&mut self.to_server, &self.client, &self.server),
            Direction::ToClient => (&mut self.to_client, &self.server, &self.client),
        }
    }
}

fn later(error: &io::Error) -> Forwarded {
    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
        Forwarded::Bytes(0)
    } else {
        Forwarded::Broken
    }
}

/// Starts a connection without waiting for it: a server that does not accept must not hold up the
/// other connections. A failure shows when the socket is first used.
fn start_to_connect(target: SocketAddr) -> io::Result<TcpStream> {
    let family = if target.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket.into()),
        Err(errno) => Err(errno.into()),
    }
}
