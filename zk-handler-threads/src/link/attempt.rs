//! Connecting to one of several addresses.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use zk_handler_base::Answer;

use super::{Attempt, Stage};

/// Begins with the address that it is this attempt's turn to begin with.
pub(super) fn begin(attempt: u32, addresses: Answer, registry: &Registry, token: Token) -> Stage {
    match addresses {
        Ok(addresses) => {
            let (first, count) = (attempt as usize, addresses.len());
            next_address(
                addresses,
                first,
                count,
                ErrorKind::NotFound,
                registry,
                token,
            )
        }
        Err(kind) => Stage::Failed(kind),
    }
}

/// Tries the addresses that are left, in turn. `why` the one before has failed.
pub(super) fn next_address(
    addresses: Arc<[SocketAddr]>,
    first: usize,
    left: usize,
    mut why: ErrorKind,
    registry: &Registry,
    token: Token,
) -> Stage {
    for (next, left) in (first..).zip((0..left).rev()) {
        let address = addresses[next % addresses.len()];
        let stream = TcpStream::connect(address).and_then(|mut stream| {
            registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => {
                let next = next + 1;
                return Stage::Connecting(Attempt {
                    stream,
                    ready: false,
                    addresses,
                    next,
                    left,
                });
            }
            Err(error) => why = error.kind(),
        }
    }
    Stage::Failed(why)
}

/// Is it connected? `Ok(false)`: not yet.
pub(super) fn check(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    let peer = match stream.peer_addr() {
        Ok(peer) => peer,
        Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
        Err(error) => return Err(error),
    };
    // Where nothing listens, a port of this machine can be connected to itself.
    if stream.local_addr().is_ok_and(|local| local == peer) {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(true)
}
