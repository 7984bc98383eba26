//! Four-letter words without a runtime: a connection each, on a thread that may block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use zk_client::{AsyncResult, FourLetterWord, LinkError};
use zk_proto::ServerAddr;

use crate::word::Promise;
use crate::{BlockingPool, Resolver, clock};

/// Asks `word` and reads the answer to its end, within `limit`.
pub fn ask_blocking(
    pool: &Arc<BlockingPool>,
    resolver: &Arc<Resolver>,
    word: FourLetterWord,
    limit: Duration,
) -> AsyncResult<String> {
    let (mut promise, result) = Promise::new();
    // A limit further away than the clock can say is none worth speaking of.
    let now = clock::now();
    let until = now
        .checked_add(limit)
        .unwrap_or(now + Duration::from_secs(3600));
    let resolver = Arc::clone(resolver);
    let job = move || promise.keep(exchange(&resolver, word, until));
    if let Err(error) = pool.run(job) {
        tracing::warn!(%error, "cannot start a thread for a four-letter word");
    }
    result
}

fn exchange(
    resolver: &Arc<Resolver>,
    mut word: FourLetterWord,
    until: Instant,
) -> Result<String, LinkError> {
    let addresses = addresses(resolver, word.server(), until);
    let stream = addresses.and_then(|addresses| connect(&addresses, until));
    let mut stream = stream.map_err(|error| LinkError::Io(error.kind()))?;
    word.handle_connected();
    let (mut out, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        word.poll_transmit(&mut out);
        let written = write(&mut stream, &out, until);
        out.clear();
        if let Some(answer) = word.take_answer() {
            return answer;
        }
        match written.and_then(|()| read(&mut stream, &mut piece, until)) {
            Ok(0) => word.handle_disconnected(ErrorKind::UnexpectedEof),
            Ok(count) => word.handle_data(&piece[..count]),
            Err(error) => word.handle_disconnected(error.kind()),
        }
    }
}

fn write(stream: &mut TcpStream, bytes: &[u8], until: Instant) -> io::Result<()> {
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(bytes).map_err(timed_out)
}

fn read(stream: &mut TcpStream, piece: &mut [u8], until: Instant) -> io::Result<usize> {
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result.map_err(timed_out),
        }
    }
}

/// How a socket says that its timeout has passed depends on the system.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock {
        ErrorKind::TimedOut.into()
    } else {
        error
    }
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
