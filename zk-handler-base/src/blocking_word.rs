//! Four-letter words without a runtime: a connection each, on a thread that may block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use zk_client::AsyncResult;
use zk_proto::ServerAddr;

use crate::word::{MAX_ANSWER, Promise, text};
use crate::{BlockingPool, Resolver, clock};

/// Sends `word` to `server` and reads the answer to its end, within `limit`.
pub fn ask_blocking(
    pool: &Arc<BlockingPool>,
    resolver: &Arc<Resolver>,
    server: ServerAddr,
    word: [u8; 4],
    limit: Duration,
) -> AsyncResult<String> {
    let (mut promise, result) = Promise::new();
    // A limit further away than the clock can say is none worth speaking of.
    let now = clock::now();
    let until = now
        .checked_add(limit)
        .unwrap_or(now + Duration::from_secs(3600));
    let resolver = Arc::clone(resolver);
    let job = move || {
        let answer = exchange(&resolver, &server, word, until).map_err(|error| {
            tracing::debug!(%server, %error, "a four-letter word was not answered");
            error.kind()
        });
        promise.keep(answer);
    };
    if let Err(error) = pool.run(job) {
        tracing::warn!(%error, "cannot start a thread for a four-letter word");
    }
    result
}

fn exchange(
    resolver: &Arc<Resolver>,
    server: &ServerAddr,
    word: [u8; 4],
    until: Instant,
) -> io::Result<String> {
    let mut stream = connect(&addresses(resolver, server, until)?, until)?;
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(&word)?;
    let mut answer = Vec::new();
    let mut limited = (&mut stream).take(MAX_ANSWER as u64 + 1);
    loop {
        limited.get_ref().set_read_timeout(Some(left(until)?))?;
        let mut piece = [0; 4096];
        match limited.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
    if answer.len() > MAX_ANSWER {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok(text(answer))
}

fn addresses(
    resolver: &Arc<Resolver>,
    server: &ServerAddr,
    until: Instant,
) -> io::Result<Arc<[SocketAddr]>> {
    let (host, port) = (server.host(), server.port());
    if let Some(address) = Resolver::literal(host, port) {
        return Ok(Arc::from([address]));
    }
    let (send, answers) = mpsc::sync_channel(1);
    let _wanted = resolver.ask(host, port, move |answer| {
        // The limit may have passed meanwhile.
        let _ = send.send(answer);
    });
    match answers.recv_timeout(left(until)?) {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ErrorKind::TimedOut.into()),
    }
}

/// Connects to the first address that answers.
fn connect(addresses: &[SocketAddr], until: Instant) -> io::Result<TcpStream> {
    let mut last = Err(ErrorKind::NotFound.into());
    for (index, address) in addresses.iter().enumerate() {
        // One that is silent does not use up the time of the others.
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        last = TcpStream::connect_timeout(address, (left(until)? / others).max(TICK));
        if last.is_ok() {
            break;
        }
    }
    last
}

/// Timeouts of sockets must not be zero.
const TICK: Duration = Duration::from_millis(1);

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(clock::now());
    if left < TICK {
        Err(ErrorKind::TimedOut.into())
    } else {
        Ok(left)
    }
}
