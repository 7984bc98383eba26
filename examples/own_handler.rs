//! A program with an event loop of its own that hands out real clients: the loop drives them, next
//! to whatever else it does. What it has to know of handlers is the `impl OwnLoop` below.
//!
//! ```text
//! cargo run --features own-loop --example own_handler   # a server in this process
//! cargo run --features own-loop --example own_handler -- --hosts h1:2181,h2:2181
//! ```
//!
//! The loop is this program's main thread, and counts ticks of a clock besides. Another thread
//! uses two clients in every way, closes them, and tells the loop to end.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use zk::own_loop::{Answer, OwnHandler, OwnLoop, Resolver, Wanted, clock};
use zk::session::{Action, ConnId, Flow, SaslError, Session};
use zk::{BackoffPolicy, Client, ClientId, Core, Handler, Listen, StartError};

#[path = "parts/link.rs"]
mod link;

use link::Link;

/// The way to the loop, from other threads.
#[derive(Clone)]
struct Door {
    letters: Sender<Letter>,
    bell: Arc<Bell>,
    thread: ThreadId,
}

/// The handler: all that a loop has to say to have clients.
impl OwnLoop for Door {
    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        self.post(Letter::Drive(core))
            .map_err(|_| StartError::ShutDown)
    }

    fn is_here(&self) -> bool {
        thread::current().id() == self.thread
    }
}

enum Letter {
    /// A client to be driven.
    Drive(Arc<Core>),
    /// What a name stands for that a client's connection waits for.
    Resolved(ClientId, ConnId, Answer),
    /// The program is over.
    Quit { all_is_well: bool },
}

impl Door {
    fn post(&self, letter: Letter) -> Result<(), mpsc::SendError<Letter>> {
        self.letters.send(letter)?;
        self.bell.wake_by_ref();
        Ok(())
    }
}

/// Wakes the loop.
struct Bell(mio::Waker);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails only where the loop cannot poll either.
        let _ = self.0.wake();
    }
}

/// A client that the loop drives.
struct Served {
    core: Arc<Core>,
    links: Vec<Link>,
    /// Connections whose server's name is being looked up, and which address is wanted.
    names: Vec<(ConnId, usize, Arc<Wanted>)>,
    deadline: Option<Instant>,
}

struct MyLoop {
    poll: Poll,
    door: Door,
    letters: Receiver<Letter>,
    resolver: Arc<Resolver>,
    clients: Vec<Served>,
}

/// All sockets have this one: a loop with many clients gives each a token, and keeps account of
/// those that have something to do.
const SOCKET: Token = Token(1);
const BELL: Token = Token(0);
const TICK: Duration = Duration::from_millis(20);

impl MyLoop {
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let bell = Arc::new(Bell(mio::Waker::new(poll.registry(), BELL)?));
        let (sender, letters) = mpsc::channel();
        let thread = thread::current().id();
        let door = Door {
            letters: sender,
            bell,
            thread,
        };
        let resolver = Resolver::on_threads();
        let clients = Vec::new();
        Ok(Self {
            poll,
            door,
            letters,
            resolver,
            clients,
        })
    }

    /// Runs until it is told to quit and no client is left. Gives what it was told, and how often
    /// its clock has ticked.
    fn run(mut self) -> io::Result<(bool, u32)> {
        let mut events = Events::with_capacity(64);
        let (mut quit, mut ticks, mut next_tick) = (None, 0, clock::now() + TICK);
        loop {
            while let Ok(letter) = self.letters.try_recv() {
                match letter {
                    Letter::Drive(core) => self.take_over(core),
                    Letter::Resolved(client, conn, answer) => self.resolved(client, conn, answer),
                    Letter::Quit { all_is_well } => quit = Some(all_is_well),
                }
            }
            let mut until = next_tick;
            for client in &mut self.clients {
                client.serve(&self.resolver, &self.door);
                until = until.min(client.deadline.unwrap_or(until));
            }
            self.clients.retain(|client| !client.core.is_finished());
            if let (Some(all_is_well), true) = (quit, self.clients.is_empty()) {
                return Ok((all_is_well, ticks));
            }
            // Whatever a client has to do from here on rings the bell.
            let rest = self
                .clients
                .iter()
                .all(|client| client.core.prepare_sleep());
            let left = until.saturating_duration_since(clock::now());
            self.poll
                .poll(&mut events, Some(if rest { left } else { Duration::ZERO }))?;
            if next_tick <= clock::now() {
                ticks += 1;
                next_tick += TICK;
            }
        }
    }

    fn take_over(&mut self, core: Arc<Core>) {
        core.set_waker(Waker::from(Arc::clone(&self.door.bell)));
        let (links, names, deadline) = (Vec::new(), Vec::new(), None);
        self.clients.push(Served {
            core,
            links,
            names,
            deadline,
        });
    }

    fn resolved(&mut self, client: ClientId, conn: ConnId, answer: Answer) {
        let Some(client) = self.clients.iter_mut().find(|it| it.core.id() == client) else {
            return;
        };
        let Some(place) = client.names.iter().position(|(other, ..)| *other == conn) else {
            return;
        };
        let (_, turn, _) = client.names.remove(place);
        let link = answer.map_err(io::Error::from).and_then(|addresses| {
            let address = addresses[turn % addresses.len()];
            Link::connect(conn, address, self.poll.registry(), SOCKET)
        });
        match link {
            Ok(link) => client.links.push(link),
            Err(error) => client
                .core
                .with(|session| session.handle_disconnected(clock::now(), conn, error.kind())),
        }
    }
}

impl Served {
    /// Does what is possible now. Events stay in the core: it brings them to whom they concern.
    fn serve(&mut self, resolver: &Arc<Resolver>, door: &Door) {
        let Self {
            core,
            links,
            names,
            deadline,
        } = self;
        let client = core.id();
        *deadline = core.with(|session| {
            session.handle_timeout(clock::now());
            loop {
                while let Some(action) = session.poll_action() {
                    match action {
                        Action::Connect {
                            conn,
                            server,
                            attempt,
                        } => {
                            let door = door.clone();
                            let tell = move |answer| {
                                // A loop that has ended does not want to know.
                                let _ = door.post(Letter::Resolved(client, conn, answer));
                            };
                            let wanted = resolver.ask(server.host(), server.port(), tell);
                            names.push((conn, attempt as usize, wanted));
                        }
                        Action::Disconnect { conn, .. } => {
                            names.retain(|(other, ..)| *other != conn);
                            if let Some(place) = links.iter().position(|it| it.conn == conn) {
                                links.remove(place).close(session, clock::now());
                            }
                        }
                        Action::Sasl { conn, .. } => {
                            let error = SaslError::new("this loop does no I/O for mechanisms");
                            session.handle_sasl(clock::now(), conn, Err(error));
                        }
                    }
                }
                if !go_on(session, links) {
                    return session.poll_timeout();
                }
            }
        });
    }
}

/// Goes on with all connections of a client. `true`: something was possible.
fn go_on(session: &mut Session, links: &mut Vec<Link>) -> bool {
    let mut any = false;
    links.retain_mut(|link| {
        let flow = link.go_on(session, clock::now);
        any |= flow != Flow::Idle;
        flow != Flow::Over
    });
    any
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let hosts = match (args.next().as_deref(), args.next()) {
        (None, None) => None,
        (Some("--hosts"), Some(hosts)) => Some(hosts),
        _ => {
            eprintln!("usage: own_handler [--hosts HOST:PORT,..[/CHROOT]]");
            return ExitCode::from(2);
        }
    };
    let ended = match hosts {
        Some(hosts) => run(hosts),
        None => zk_server::Server::start()
            .map_err(Box::from)
            .and_then(|server| run(server.hosts())),
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

fn run(hosts: String) -> Result<bool, Box<dyn Error>> {
    let own = MyLoop::new()?;
    let door = own.door.clone();
    let handler = OwnHandler::new(door.clone()).with_resolver(Arc::clone(&own.resolver));
    let user = thread::spawn(move || {
        let used = use_clients(&hosts, &(Arc::new(handler) as Arc<dyn Handler>));
        if let Err(error) = &used {
            say(&format!("failed: {error}"));
        }
        let all_is_well = used.is_ok();
        door.post(Letter::Quit { all_is_well }).is_ok()
    });
    let (all_is_well, ticks) = own.run()?;
    say(&format!("the loop has ended, after {ticks} ticks"));
    Ok(user.join().is_ok_and(|told| told) && all_is_well)
}

/// What the rest of the program does: it knows nothing of the loop.
fn use_clients(hosts: &str, handler: &Arc<dyn Handler>) -> Result<(), zk::Error> {
    let connect = || {
        let mut builder = Client::builder(hosts);
        builder.connection_retry(BackoffPolicy::new().max_tries(5));
        builder.connect(Arc::clone(handler))
    };
    let (one, other) = (connect().wait()?, connect().wait()?);
    one.add_listener(|change| {
        say(&format!("[listener] {:?}", change.reason));
        Listen::Keep
    });
    let path = one
        .create("/own-handler-", b"one")
        .ephemeral()
        .sequential()
        .wait()?;
    say(&format!("created {path}"));
    // A large reply.
    let large = vec![7; 900 << 10];
    other.set(&path, &large).wait()?;
    let (data, _, watch) = one.get(&path).watched().wait()?;
    say(&format!("read {} bytes", data.len()));
    // Called back, and in the background.
    let (tell, told) = mpsc::channel();
    other.set(&path, b"two").send().on_complete(move |stat| {
        let _ = tell.send(stat);
    });
    say(&format!("watched: {:?}", watch.wait()?.kind));
    if let Ok(stat) = told.recv() {
        say(&format!("called back: version {}", stat?.version));
    }
    let (clone, node) = (one.clone(), path);
    let (data, _) = one
        .run(async move { clone.get(&node).synced().await })
        .wait()?;
    say(&format!(
        "in the background: {:?}",
        String::from_utf8_lossy(&data)
    ));
    let version = one.server_version().wait()?;
    say(&format!("a four-letter word: {version:?}"));
    other.close().wait()?;
    one.close().wait()
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn say(what: &str) {
    println!("{what}");
}
