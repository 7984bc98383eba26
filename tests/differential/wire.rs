//! A connection as plain as can be: frames out, frames in.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One TCP connection to one server.
pub(super) struct Wire(BufReader<TcpStream>);

/// What was read.
#[derive(Clone, Debug)]
pub(super) enum Got {
    /// A frame, without its length.
    Frame(Bytes),
    /// The server has closed the connection.
    Closed,
    /// The server says nothing.
    Silence,
}

impl Wire {
    /// `None` if nobody listens.
    pub(super) fn open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Some(Self(BufReader::with_capacity(1 << 16, stream)))
    }

    /// Sends bytes. That the server has gone shows when it is read from.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes);
    }

    pub(super) fn read(&mut self) -> Got {
        let mut length = [0; 4];
        let body = self.0.read_exact(&mut length).and_then(|()| {
            let mut body = vec![0; u32::from_be_bytes(length) as usize];
            self.0.read_exact(&mut body).map(|()| body)
        });
        match body {
            Ok(body) => Got::Frame(body.into()),
            Err(error) => Got::without(&error),
        }
    }

    /// Reads whatever comes until the server closes.
    pub(super) fn read_to_end(&mut self) -> (Vec<u8>, Got) {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => (bytes, Got::Closed),
            Err(error) => (bytes, Got::without(&error)),
        }
    }
}

impl Got {
    fn without(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silence,
            // A server that closes with something unread resets the connection.
            _ => Self::Closed,
        }
    }
}
