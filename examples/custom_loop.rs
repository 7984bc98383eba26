//! A loop of one's own: a session on a plain socket, without any handler.
//!
//! ```text
//! cargo run --example custom_loop -- 127.0.0.1:2181
//! ```
//!
//! The six steps are those of the `zk-session` crate's front page. The socket blocks here until
//! something arrives or the session's next deadline comes; in an event loop this is where the
//! loop's own waiting goes.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use zk::proto::{CreateMode, Request, parse_hosts};
use zk::session::{Action, Call, CloseOutcome, Config, ConnId, Event, Session, State};

const LIMIT: usize = 64 << 10;

/// The one socket, and bytes that it did not take yet.
struct Socket {
    conn: ConnId,
    stream: TcpStream,
    out: Vec<u8>,
}

/// What the wait ended with.
enum Woken {
    Got(usize),
    Gone(ErrorKind),
    Due,
}

impl Socket {
    fn wait(&mut self, buffer: &mut [u8], until: Option<Instant>) -> Woken {
        if let Err(error) = self.stream.write_all(&self.out) {
            return Woken::Gone(error.kind());
        }
        self.out.clear();
        let left = until.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Woken::Due;
        }
        let result = self
            .stream
            .set_read_timeout(left)
            .and_then(|()| self.stream.read(buffer));
        match result {
            Ok(0) => Woken::Gone(ErrorKind::UnexpectedEof),
            Ok(n) => Woken::Got(n),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Woken::Due
            }
            Err(error) => Woken::Gone(error.kind()),
        }
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let address = (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or(ErrorKind::NotFound)?;
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(3))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let (servers, chroot) = parse_hosts(&hosts)?;
    let config = Config::builder(servers).build()?;
    let mut session = Session::new(config, seed(), Instant::now());
    let mut socket: Option<Socket> = None;
    let mut buffer = vec![0; LIMIT];

    let create = Request::Create {
        path: "/custom-loop-".into(),
        data: Some(b"made by a loop of my own".as_slice().into()),
        acl: zk::proto::Acl::open_unsafe().into(),
        mode: CreateMode::EphemeralSequential.into(),
        with_stat: true,
    };
    session.submit(Instant::now(), Call::new(&create, &chroot))?;

    loop {
        // 1. Carry out the actions.
        while let Some(action) = session.poll_action() {
            match action {
                Action::Connect { conn, server, .. } => {
                    match connect(server.host(), server.port()) {
                        Ok(stream) => {
                            socket = Some(Socket {
                                conn,
                                stream,
                                out: Vec::new(),
                            });
                            session.handle_connected(Instant::now(), conn);
                        }
                        Err(error) => {
                            session.handle_disconnected(Instant::now(), conn, error.kind());
                        }
                    }
                }
                Action::Disconnect { conn, .. } => socket = socket.filter(|s| s.conn != conn),
                Action::Sasl { .. } => unreachable!("no mechanism is configured"),
            }
        }
        // 2. Act on what happened. It may lead to new requests.
        while let Some(event) = session.poll_event() {
            match event {
                Event::StateChanged { to, reason, .. } => println!("{to:?}: {reason:?}"),
                Event::Completed { result, .. } => {
                    println!("created: {result:?}");
                    session.close(Instant::now(), Duration::from_secs(5));
                }
                Event::ConnectFailed { server, error } => {
                    println!("{server}: {error}");
                    if session.state() == State::Lost {
                        session.close(Instant::now(), Duration::ZERO);
                    }
                }
                Event::Closed {
                    outcome: CloseOutcome::Confirmed,
                } => println!("closed"),
                other @ (Event::Closed { .. } | _) => println!("{other:?}"),
            }
        }
        // 3. Stop when all is over.
        if session.is_finished() {
            return Ok(());
        }
        // 4. Fetch what is to be sent.
        if let Some(s) = &mut socket {
            while s.out.len() < LIMIT
                && session.poll_transmit(Instant::now(), s.conn, &mut s.out) > 0
            {}
        }
        // 5. Wait. 6. Tell what happened.
        let until = session.poll_timeout();
        match &mut socket {
            None => {
                let left = until.map(|at| at.saturating_duration_since(Instant::now()));
                std::thread::sleep(left.unwrap_or(Duration::from_millis(100)));
                session.handle_timeout(Instant::now());
            }
            Some(s) => match s.wait(&mut buffer, until) {
                Woken::Got(n) => session.handle_data(Instant::now(), s.conn, &buffer[..n]),
                Woken::Gone(why) => session.handle_disconnected(Instant::now(), s.conn, why),
                Woken::Due => session.handle_timeout(Instant::now()),
            },
        }
    }
}

/// Clients that share a machine should not share a seed: others take one from their system.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&std::process::id().to_le_bytes());
    seed
}
