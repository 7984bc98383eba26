//! A loop of one's own, around several bare sessions: one `mio::Poll`, sockets that never block,
//! no handler and no thread.
//!
//! ```text
//! cargo run --example poll_loop                        # a server in this process
//! cargo run --example poll_loop -- --hosts h1:2181,h2:2181
//! ```
//!
//! Each session writes a large node of its own, reads it back, and closes; the program ends with
//! the last of them, or when no server can be reached.

use std::error::Error;
use std::net::ToSocketAddrs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};
use zk::BackoffPolicy;
use zk::proto::{Acl, Chroot, CreateMode, Reply, Request, parse_hosts};
use zk::session::{Action, Call, Config, Event, Flow, Session, State};

#[path = "parts/link.rs"]
mod link;

use link::Link;

const SESSIONS: usize = 3;
/// Too much for one write to a socket, and for one read.
const SIZE: usize = 900 << 10;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let hosts = match (args.next().as_deref(), args.next()) {
        (None, None) => None,
        (Some("--hosts"), Some(hosts)) => Some(hosts),
        _ => {
            eprintln!("usage: poll_loop [--hosts HOST:PORT,..[/CHROOT]]");
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

/// `false`: some session did not get to its end.
fn run(hosts: &str) -> Result<bool, Box<dyn Error>> {
    let (servers, chroot) = parse_hosts(hosts)?;
    let mut config = Config::builder(servers);
    config.reconnect(BackoffPolicy::new().max_tries(5));
    let config = config.build()?;
    let mut peers = Vec::new();
    for number in 0..SESSIONS {
        // Programs that run in many places take a seed from their system instead.
        let mut seed = [number as u8; 32];
        seed[..4].copy_from_slice(&std::process::id().to_le_bytes());
        let session = Session::new(config.clone(), seed, Instant::now());
        peers.push(Peer::new(number, session, &chroot)?);
    }

    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(64);
    loop {
        for peer in peers.iter_mut().filter(|peer| peer.is_ready()) {
            peer.serve(poll.registry());
        }
        let left = peers.iter().filter(|peer| !peer.session.is_finished());
        let Some(next) = left
            .map(|peer| peer.session.poll_timeout())
            .min_by_key(earliest)
        else {
            return Ok(peers.iter().all(|peer| peer.is_done));
        };
        let wait = next.map(|at| at.saturating_duration_since(Instant::now()));
        poll.poll(&mut events, wait)?;
        for event in &events {
            peers[event.token().0].is_woken = true;
        }
    }
}

/// Without a deadline, there is none that is earlier.
fn earliest(deadline: &Option<Instant>) -> (bool, Option<Instant>) {
    (deadline.is_none(), *deadline)
}

/// A session, its connections, and what is to be done in it.
struct Peer {
    number: usize,
    session: Session,
    chroot: Chroot,
    /// One, and a second one while a session that may only read looks for a better server.
    links: Vec<Link>,
    is_woken: bool,
    is_done: bool,
}

impl Peer {
    fn new(number: usize, mut session: Session, chroot: &Chroot) -> Result<Self, Box<dyn Error>> {
        let content = content(number);
        let create = Request::Create {
            path: "/poll-loop-".into(),
            data: Some(content.as_slice().into()),
            acl: Acl::open_unsafe().into(),
            mode: CreateMode::EphemeralSequential.into(),
            with_stat: false,
        };
        session.submit(Instant::now(), Call::new(&create, chroot))?;
        Ok(Self {
            number,
            session,
            chroot: chroot.clone(),
            links: Vec::new(),
            is_woken: true,
            is_done: false,
        })
    }

    fn is_ready(&self) -> bool {
        let due = |at| at <= Instant::now();
        self.is_woken || self.session.poll_timeout().is_some_and(due)
    }

    /// The six steps of the `zk-session` crate's front page, until there is nothing left to do but
    /// to wait.
    fn serve(&mut self, registry: &Registry) {
        self.is_woken = false;
        self.session.handle_timeout(Instant::now());
        loop {
            while let Some(action) = self.session.poll_action() {
                self.act(action, registry);
            }
            while let Some(event) = self.session.poll_event() {
                self.hear(event);
            }
            let mut any = false;
            let session = &mut self.session;
            self.links.retain_mut(|link| {
                let flow = link.go_on(session, Instant::now);
                any |= flow != Flow::Idle;
                flow != Flow::Over
            });
            if !any {
                return;
            }
        }
    }

    fn act(&mut self, action: Action, registry: &Registry) {
        match action {
            Action::Connect {
                conn,
                server,
                attempt,
            } => {
                // This look-up blocks all sessions. Where names matter, look them up on a thread:
                // the example `own_handler` does.
                let addresses = (server.host(), server.port()).to_socket_addrs();
                let link = addresses.and_then(|addresses| {
                    let addresses: Vec<_> = addresses.collect();
                    let turn = attempt as usize % addresses.len().max(1);
                    let address = addresses.get(turn).ok_or(std::io::ErrorKind::NotFound)?;
                    Link::connect(conn, *address, registry, Token(self.number))
                });
                match link {
                    Ok(link) => self.links.push(link),
                    Err(e) => self
                        .session
                        .handle_disconnected(Instant::now(), conn, e.kind()),
                }
            }
            Action::Disconnect { conn, .. } => {
                if let Some(place) = self.links.iter().position(|link| link.conn == conn) {
                    let link = self.links.remove(place);
                    link.close(&mut self.session, Instant::now());
                }
            }
            Action::Sasl { .. } => unreachable!("no mechanism is configured"),
        }
    }

    /// Acts on what has happened, which may lead to new requests.
    fn hear(&mut self, event: Event) {
        let Event::Completed { result, .. } = event else {
            if let Event::StateChanged { to, reason, .. } = &event {
                let (server, to) = (self.session.server(), name(*to));
                self.say(&match server {
                    Some(server) => format!("{to} at {server}: {reason:?}"),
                    None => format!("{to}: {reason:?}"),
                });
            }
            return;
        };
        match result {
            Ok(Reply::Path(path)) => {
                self.say(&format!("created {path}, of {SIZE} bytes"));
                let get = Request::GetData {
                    path: path.into(),
                    watch: false,
                };
                let call = Call::new(&get, &self.chroot);
                if self.session.submit(Instant::now(), call).is_ok() {
                    return;
                }
            }
            Ok(Reply::Data { data, .. }) => {
                self.is_done = data[..] == content(self.number);
                self.say(if self.is_done {
                    "read it back"
                } else {
                    "read something else"
                });
            }
            Ok(other) => self.say(&format!("unexpected: {other:?}")),
            Err(error) => self.say(&format!("failed: {error}")),
        }
        self.session.close(Instant::now(), Duration::from_secs(5));
    }

    #[expect(clippy::print_stdout, reason = "an example shows what it does")]
    fn say(&self, what: &str) {
        println!("[session {}] {what}", self.number);
    }
}

fn content(number: usize) -> Vec<u8> {
    (0..SIZE).map(|n| (n * 7 + number) as u8).collect()
}

fn name(state: State) -> &'static str {
    match state {
        State::Connected { .. } => "connected",
        State::Suspended { .. } => "suspended",
        State::Lost => "lost",
    }
}
