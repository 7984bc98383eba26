//! One connection of one client, from the look-up of its server's name to its end.
//!
//! | stage | left by |
//! |---|---|
//! | `Resolving` | the resolver's answer |
//! | `Connecting` | the socket's being connected; failure of the last address |
//! | `Up` | the end of the stream, an error |
//! | `Failed` | being reported |
//!
//! All of them are left when the session lets go of the connection. What is then still to be
//! written goes out first if the session says so: the link is closing.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};
use zk_handler_base::{Answer, Wanted};
use zk_proto::Lent;
use zk_session::ConnId;

use crate::output::Output;

mod attempt;

use attempt::{begin, check, next_address};

/// A read or write of less than asked for has emptied or filled the socket: epoll tells of every
/// change after that (epoll(7), question 9). Elsewhere one more call has to find out.
const SHORT_MEANS_DONE: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// How much is read at once, as long as no more is known to come. A large frame of which this has
/// arrived is then read straight into its place, and little of it is copied.
const BITE: usize = 64 << 10;
/// How often a connection that is closing is read in a row: its peer may send without end.
const READS: usize = 4;

#[derive(Debug)]
pub(crate) struct Link {
    /// The number of this link, as places are reused.
    pub(crate) serial: u64,
    pub(crate) conn: ConnId,
    /// The place of the client. Without one the link is closing.
    pub(crate) client: Option<usize>,
    /// There was more to send than goes out at once.
    pub(crate) more_to_send: bool,
    stage: Stage,
    token: Token,
}

#[derive(Debug)]
enum Stage {
    Resolving { attempt: u32, _wanted: Arc<Wanted> },
    Connecting(Attempt),
    Up(Socket),
    Failed(ErrorKind),
}

#[derive(Debug)]
struct Attempt {
    stream: TcpStream,
    /// Something has happened to the socket.
    ready: bool,
    addresses: Arc<[SocketAddr]>,
    /// The address that is next to be tried, and how many are left.
    next: usize,
    left: usize,
}

#[derive(Debug)]
struct Socket {
    stream: Arc<TcpStream>,
    readable: bool,
    /// The end of the stream is there to be read.
    hung_up: bool,
    writable: bool,
    output: Option<Output>,
    lent: Option<Lent>,
    /// How much is read at once.
    bite: usize,
}

/// What has happened on a connection.
#[derive(Debug)]
pub(crate) enum News {
    Connected,
    /// So many bytes are at the front of the buffer.
    Data(usize),
    /// A buffer of the session was filled further.
    Lent(Lent),
    Lost(ErrorKind),
}

impl Link {
    /// A link that waits for addresses.
    pub(crate) fn resolving(
        (serial, token): (u64, Token),
        (client, conn): (usize, ConnId),
        attempt: u32,
        wanted: Arc<Wanted>,
    ) -> Self {
        let stage = Stage::Resolving {
            attempt,
            _wanted: wanted,
        };
        Self {
            serial,
            conn,
            client: Some(client),
            more_to_send: false,
            stage,
            token,
        }
    }

    /// A link to one of these addresses.
    pub(crate) fn connecting(
        (serial, token): (u64, Token),
        (client, conn): (usize, ConnId),
        attempt: u32,
        addresses: Answer,
        registry: &Registry,
    ) -> Self {
        let stage = begin(attempt, addresses, registry, token);
        Self {
            serial,
            conn,
            client: Some(client),
            more_to_send: false,
            stage,
            token,
        }
    }

    /// The resolver has answered.
    pub(crate) fn resolved(&mut self, answer: Answer, registry: &Registry) {
        if let Stage::Resolving { attempt, .. } = self.stage {
            self.stage = begin(attempt, answer, registry, self.token);
        }
    }

    /// The operating system tells of the socket.
    pub(crate) fn on_event(&mut self, event: &Event) {
        match &mut self.stage {
            Stage::Connecting(attempt) => attempt.ready = true,
            Stage::Up(socket) => {
                let over = event.is_read_closed() || event.is_error();
                socket.hung_up |= over;
                socket.readable |= event.is_readable() || over;
                if event.is_writable() || event.is_write_closed() || over {
                    socket.writable = true;
                }
            }
            Stage::Resolving { .. } | Stage::Failed(_) => {}
        }
    }

    /// Goes on with what has become possible, and tells what came of it. Reads once.
    pub(crate) fn advance(&mut self, registry: &Registry, buffer: &mut [u8]) -> Option<News> {
        match &mut self.stage {
            Stage::Resolving { .. } => None,
            Stage::Failed(kind) => Some(News::Lost(*kind)),
            Stage::Connecting(attempt) if !attempt.ready => None,
            Stage::Connecting(attempt) => {
                attempt.ready = false;
                match check(&attempt.stream) {
                    Ok(false) => None,
                    Ok(true) => {
                        self.up();
                        Some(News::Connected)
                    }
                    Err(error) => {
                        let last = attempt.next.wrapping_sub(1) % attempt.addresses.len();
                        let address = attempt.addresses[last];
                        tracing::debug!(conn = %self.conn, %address, %error, "not connected");
                        let addresses = Arc::clone(&attempt.addresses);
                        let (next, left) = (attempt.next, attempt.left);
                        self.stage =
                            next_address(addresses, next, left, error.kind(), registry, self.token);
                        match self.stage {
                            Stage::Failed(kind) => Some(News::Lost(kind)),
                            Stage::Resolving { .. } | Stage::Connecting(_) | Stage::Up(_) => None,
                        }
                    }
                }
            }
            Stage::Up(socket) => socket.advance(buffer),
        }
    }

    fn up(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Failed(ErrorKind::Other));
        let Stage::Connecting(Attempt { stream, .. }) = stage else {
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(conn = %self.conn, %error, "cannot set TCP_NODELAY");
        }
        let stream = Arc::new(stream);
        let output = Some(Output::new(self.conn, Arc::clone(&stream)));
        self.stage = Stage::Up(Socket {
            stream,
            readable: true,
            hung_up: false,
            writable: true,
            output,
            lent: None,
            bite: BITE,
        });
    }

    /// Is it connected?
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up(_))
    }

    /// May there be more to read than was read?
    pub(crate) fn is_readable(&self) -> bool {
        matches!(&self.stage, Stage::Up(socket) if socket.readable)
    }

    /// Has it failed without that being reported yet?
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.stage, Stage::Failed(_))
    }

    /// The place of the writing half, if the link is connected.
    pub(crate) fn output_place(&mut self) -> Option<&mut Option<Output>> {
        match &mut self.stage {
            Stage::Up(socket) => Some(&mut socket.output),
            Stage::Resolving { .. } | Stage::Connecting(_) | Stage::Failed(_) => None,
        }
    }

    /// The writing half, if it is here and everything is written.
    pub(crate) fn clear_output(&mut self) -> Option<&mut Output> {
        self.output_place()?
            .as_mut()
            .filter(|output| output.is_clear())
    }

    /// Writes what there is.
    pub(crate) fn write(&mut self) {
        let Stage::Up(socket) = &mut self.stage else {
            return;
        };
        let Some(output) = &mut socket.output else {
            return;
        };
        if std::mem::take(&mut socket.writable) {
            output.has_room();
        }
        output.write();
    }

    /// Reads the rest of a large reply into this.
    pub(crate) fn borrow(&mut self, lent: Lent) {
        if let Stage::Up(socket) = &mut self.stage {
            socket.lent = Some(lent);
        }
    }

    /// Says how much the frame under way lacks, so that it is not read in small bites.
    pub(crate) fn expect(&mut self, missing: usize) {
        if let Stage::Up(socket) = &mut self.stage {
            socket.bite = missing.max(BITE);
        }
    }

    /// Ends the connection, for both sides, at once.
    pub(crate) fn shut_down(&self) {
        if let Stage::Up(socket) = &self.stage {
            // It may have ended by itself.
            let _ = socket.stream.shutdown(Shutdown::Both);
        }
    }

    /// Goes on closing: writes what is left, says that there is no more, and waits for the peer to
    /// do so, so that what was written is not lost. `true`: it is over. Otherwise there may be more
    /// to do at once, if it [is readable](Self::is_readable).
    pub(crate) fn close_on(&mut self, buffer: &mut [u8]) -> bool {
        self.write();
        let Stage::Up(socket) = &mut self.stage else {
            return true;
        };
        socket.lent = None;
        match &socket.output {
            Some(output) if output.failed().is_some() => return true,
            Some(output) if !output.is_clear() => {}
            Some(_) => {
                socket.output = None;
                if socket.stream.shutdown(Shutdown::Write).is_err() {
                    return true;
                }
            }
            // Shut down before; or lent to a thread that is writing.
            None => {}
        }
        for _ in 0..READS {
            match socket.advance(buffer) {
                None => return false,
                Some(News::Lost(_)) => return true,
                Some(News::Connected | News::Data(_) | News::Lent(_)) => {}
            }
        }
        false
    }
}

impl Socket {
    fn advance(&mut self, buffer: &mut [u8]) -> Option<News> {
        while self.readable {
            let bite = self.bite.min(buffer.len());
            let room = self
                .lent
                .as_mut()
                .map_or(&mut buffer[..bite], Lent::unfilled);
            let size = room.len();
            match (&*self.stream).read(room) {
                Ok(0) if size > 0 => return Some(News::Lost(ErrorKind::UnexpectedEof)),
                Ok(count) => {
                    if SHORT_MEANS_DONE && count < size && !self.hung_up {
                        self.readable = false;
                    }
                    let Some(mut lent) = self.lent.take() else {
                        return Some(News::Data(count));
                    };
                    lent.advance(count);
                    return Some(News::Lent(lent));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) => return Some(News::Lost(error.kind())),
            }
        }
        // A failed write is not the end of what the peer has sent before; here that is read.
        self.output
            .as_ref()
            .and_then(Output::failed)
            .map(News::Lost)
    }
}
