//! A loop of one's own: a session on a plain non-blocking socket, without any handler.
//!
//! ```text
//! cargo run --example custom_loop                      # a server in this process
//! cargo run --example custom_loop -- --hosts 127.0.0.1:2181
//! ```
//!
//! The six steps are those of the `zk-session` crate's front page.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use zk::proto::{Acl, CreateMode, Request, ServerAddr, parse_hosts};
use zk::session::{Action, Call, Config, ConnId, Event, Session};

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
    fn connect(conn: ConnId, server: &ServerAddr) -> io::Result<Self> {
        let stream = TcpStream::connect((server.host(), server.port()))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let out = Vec::new();
        Ok(Self { conn, stream, out })
    }

    /// Writes and reads until something has come, or until `until`. A real loop asks its system to
    /// be woken (epoll, kqueue, io_uring) where this one naps.
    fn wait(&mut self, buffer: &mut [u8], until: Option<Instant>) -> Woken {
        loop {
            match self.stream.write(&self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Woken::Gone(error.kind()),
            }
            match self.stream.read(buffer) {
                Ok(0) => return Woken::Gone(ErrorKind::UnexpectedEof),
                Ok(n) => return Woken::Got(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Woken::Gone(error.kind()),
            }
            if until.is_some_and(|at| at <= Instant::now()) {
                return Woken::Due;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let hosts = match (args.next().as_deref(), args.next()) {
        (None, None) => None,
        (Some("--hosts"), Some(hosts)) => Some(hosts),
        _ => {
            eprintln!("usage: custom_loop [--hosts HOST:PORT,..[/CHROOT]]");
            return ExitCode::from(2);
        }
    };
    let ended = match hosts {
        Some(hosts) => run(&hosts),
        None => zk_server::Server::start()
            .map_err(Box::from)
            .and_then(|server| run(&server.hosts())),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// `false`: the session did not get to its end.
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn run(hosts: &str) -> Result<bool, Box<dyn Error>> {
    let (servers, chroot) = parse_hosts(hosts)?;
    let config = Config::builder(servers).build()?;
    // Programs that run in many places take a seed from their system instead.
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&std::process::id().to_le_bytes());

    let mut session = Session::new(config, seed, Instant::now());
    let create = Request::Create {
        path: "/custom-loop-".into(),
        data: Some(b"made by a loop of my own".as_slice().into()),
        acl: Acl::open_unsafe().into(),
        mode: CreateMode::EphemeralSequential.into(),
        with_stat: true,
    };
    session.submit(Instant::now(), Call::new(&create, &chroot))?;

    let mut is_done = false;
    let mut socket: Option<Socket> = None;
    let mut buffer = vec![0; LIMIT];
    loop {
        // 1. Carry out the actions.
        while let Some(action) = session.poll_action() {
            match action {
                Action::Connect { conn, server, .. } => match Socket::connect(conn, &server) {
                    Ok(connected) => {
                        socket = Some(connected);
                        session.handle_connected(Instant::now(), conn);
                    }
                    Err(e) => session.handle_disconnected(Instant::now(), conn, e.kind()),
                },
                Action::Disconnect { conn, .. } => socket = socket.filter(|s| s.conn != conn),
                Action::Sasl { .. } => unreachable!("no mechanism is configured"),
            }
        }
        // 2. Act on what happened. It may lead to new requests.
        while let Some(event) = session.poll_event() {
            println!("{event:?}");
            if let Event::Completed { result, .. } = event {
                is_done = result.is_ok();
                session.close(Instant::now(), Duration::from_secs(5));
            } else if let Event::ConnectFailed { .. } = event {
                session.close(Instant::now(), Duration::ZERO);
            }
        }
        // 3. Stop when all is over.
        if session.is_finished() {
            return Ok(is_done);
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
            Some(s) => match s.wait(&mut buffer, until) {
                Woken::Got(n) => session.handle_data(Instant::now(), s.conn, &buffer[..n]),
                Woken::Gone(why) => {
                    session.handle_disconnected(Instant::now(), s.conn, why);
                    socket = None;
                }
                Woken::Due => session.handle_timeout(Instant::now()),
            },
            None => {
                let left = until.map(|at| at.saturating_duration_since(Instant::now()));
                std::thread::sleep(left.unwrap_or_default());
                session.handle_timeout(Instant::now());
            }
        }
    }
}
