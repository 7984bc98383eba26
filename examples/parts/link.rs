//! A connection of a session, on a `mio` socket that never blocks: what `poll_loop` and
//! `own_handler` have in common.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use zk::session::{ConnId, Flow, Session, Wire};

pub(crate) struct Link {
    pub(crate) conn: ConnId,
    /// Until it is connected.
    connecting: Option<TcpStream>,
    /// After that.
    wire: Wire<TcpStream>,
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
        let (connecting, wire) = (Some(stream), Wire::new());
        Ok(Self {
            conn,
            connecting,
            wire,
        })
    }

    /// Goes on with what is possible now. `mio` tells of changes only: whoever does not go on until
    /// nothing is possible is not woken.
    pub(crate) fn go_on(&mut self, session: &mut Session, now: impl Fn() -> Instant) -> Flow {
        if let Some(stream) = self.connecting.take() {
            match is_up(&stream) {
                Ok(false) => {
                    self.connecting = Some(stream);
                    return Flow::Idle;
                }
                up => {
                    let up = up.map(|_| stream);
                    self.wire.open(session, now(), self.conn, up);
                }
            }
        }
        self.wire.turn(session, now)
    }

    /// Ends it: what is left is short, and goes out unless the socket is full.
    pub(crate) fn close(mut self, session: &mut Session, now: Instant) {
        self.wire.close(session, now, self.conn);
    }
}

fn is_up(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => stream.set_nodelay(true).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
