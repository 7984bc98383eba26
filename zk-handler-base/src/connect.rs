//! Connecting to a server: its name, then its addresses in turn.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use zk_client::{AsyncResult, Error};
use zk_proto::ServerAddr;

use crate::{Answer, Resolver, Runtime, Socket};

/// Looks the server's name up and connects to the first of its addresses that answers. It begins
/// with the address that it is this attempt's turn to begin with: one that is silent uses up an
/// attempt.
pub(crate) async fn connect<R: Runtime>(
    runtime: Arc<R>,
    resolver: Arc<Resolver>,
    server: ServerAddr,
    attempt: u32,
) -> io::Result<R::Socket> {
    let addresses = look_up(&resolver, &server).await?;
    let mut last = ErrorKind::NotFound.into();
    let first = attempt as usize % addresses.len();
    for address in addresses[first..].iter().chain(&addresses[..first]) {
        let connected = runtime.connect(*address).await;
        match connected.and_then(|socket| is_somebody_else(&socket).map(|()| socket)) {
            Ok(socket) => return Ok(socket),
            Err(error) => {
                tracing::debug!(%server, %address, %error, "not connected");
                last = error;
            }
        }
    }
    Err(last)
}

async fn look_up(resolver: &Arc<Resolver>, server: &ServerAddr) -> Answer {
    let (host, port) = (server.host(), server.port());
    if let Some(address) = Resolver::literal(host, port) {
        return Ok(Arc::from([address]));
    }
    let (completer, answer) = AsyncResult::pair();
    // Lives as long as somebody wants to know.
    let _wanted = resolver.ask(host, port, move |found| completer.complete(Ok(found)));
    answer
        .await
        .unwrap_or(Err(ErrorKind::NotFound))
}

/// Where nothing listens, a port of this machine can be connected to itself.
fn is_somebody_else(socket: &impl Socket) -> io::Result<()> {
    let (local, peer): (SocketAddr, SocketAddr) = socket.addresses()?;
    if local == peer {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(())
}
