//! The proxy's thread: one loop around `poll` that owns every socket.
//!
//! Commands come through a channel and are answered once carried out. As nothing else touches the
//! sockets, a command takes effect between two steps of forwarding, never in the middle of one.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::link::{Forwarded, Link, Want};
use super::{Counters, Direction};
use crate::ports::Port;
use crate::wait::eventually;

const DIRECTIONS: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// How long a port may be taken.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the loop can be told to do.
#[derive(Debug)]
pub(super) enum Command {
    Stall(Direction),
    Resume,
    Cut,
    CutAfter(Direction, u64),
    Refuse(bool),
    End,
}

/// A command, and whom to tell that it has been carried out.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) command: Command,
    pub(super) done: Sender<io::Result<()>>,
}

/// What holds for one direction of all connections.
#[derive(Debug, Default)]
struct Gate {
    stalled: bool,
    cut_after: Option<u64>,
}

/// What a polled descriptor belongs to.
#[derive(Clone, Copy, Debug)]
enum Source {
    Waker,
    Listener,
    Link(usize, Direction, Want),
}

#[derive(Debug)]
pub(super) struct EventLoop {
    listener: Option<TcpListener>,
    links: Vec<Option<Link>>, // none: closed, and forgotten at the end of the step
    to_server: Gate,
    to_client: Gate,
    target: SocketAddr,
    inbox: Receiver<Order>,
    wake: UnixStream,
    counters: Arc<Counters>,
    port: Port, // claimed for as long as the loop runs
}

impl EventLoop {
    pub(super) fn new(
        port: Port,
        target: SocketAddr,
        inbox: Receiver<Order>,
        wake: UnixStream,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        wake.set_nonblocking(true)?;
        Ok(Self {
            listener: Some(listen(port.address())?),
            links: Vec::new(),
            to_server: Gate::default(),
            to_client: Gate::default(),
            target,
            inbox,
            wake,
            counters,
            port,
        })
    }

    /// Runs until it is told to end.
    pub(super) fn run(mut self) {
        loop {
            let ready = match self.poll() {
                Ok(ready) => ready,
                Err(errno) => {
                    eprintln!(
                        "testkit: the proxy on {} ends: {errno}",
                        self.port.address()
                    );
                    return;
                }
            };
            for source in ready {
                match source {
                    Source::Waker => {
                        if self.obey() {
                            return;
                        }
                    }
                    Source::Listener => self.accept(),
                    Source::Link(index, direction, want) => self.forward(index, direction, want),
                }
            }
            self.links.retain(Option::is_some);
            self.count_open();
        }
    }

    /// Waits until there is something to do.
    fn poll(&self) -> Result<Vec<Source>, Errno> {
        let mut sources = vec![Source::Waker];
        let mut polled = vec![PollFd::new(&self.wake, PollFlags::IN)];
        if let Some(listener) = &self.listener {
            sources.push(Source::Listener);
            polled.push(PollFd::new(listener, PollFlags::IN));
        }
        for (index, link) in self.links.iter().enumerate() {
            for direction in DIRECTIONS
                .into_iter()
                .filter(|one| !self.gate(*one).stalled)
            {
                let Some((socket, want)) = link.as_ref().and_then(|link| link.want(direction))
                else {
                    continue;
                };
                let flags = match want {
                    Want::Read => PollFlags::IN,
                    Want::Write => PollFlags::OUT,
                };
                sources.push(Source::Link(index, direction, want));
                polled.push(PollFd::new(socket, flags));
            }
        }
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        }
        let ready = sources.into_iter().zip(&polled);
        Ok(ready
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(source, _)| source)
            .collect())
    }

    /// Carries out the commands that have come; true when the loop is to end.
    fn obey(&mut self) -> bool {
        let mut drain = [0; 64];
        while matches!((&self.wake).read(&mut drain), Ok(1..)) {}
        while let Ok(Order { command, done }) = self.inbox.try_recv() {
            let mut result = Ok(());
            match command {
                Command::Stall(direction) => self.gate_mut(direction).stalled = true,
                Command::Resume => {
                    self.to_server.stalled = false;
                    self.to_client.stalled = false;
                }
                Command::Cut => {
                    self.accept(); // also those that wait to be accepted
                    self.links.iter_mut().for_each(|link| *link = None);
                    self.count_open();
                }
                Command::CutAfter(direction, bytes) => {
                    self.gate_mut(direction).cut_after = Some(bytes);
                }
                Command::Refuse(true) => self.listener = None,
                Command::Refuse(false) => {
                    if self.listener.is_none() {
                        result = listen(self.port.address()).map(|new| self.listener = Some(new));
                    }
                }
                Command::End => return true,
            }
            let _ = done.send(result);
        }
        false
    }

    /// Accepts whoever waits.
    fn accept(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        loop {
            match listener.accept() {
                Ok((client, _)) => {
                    self.counters.accepted.fetch_add(1, Ordering::SeqCst);
                    // Without a way to the server the client is closed at once.
                    if let Ok(link) = Link::new(client, self.target) {
                        self.links.push(Some(link));
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nobody waits, or the one who did has gone.
                Err(_) => break,
            }
        }
        self.count_open();
    }

    /// Takes one step in one direction of one connection.
    fn forward(&mut self, index: usize, direction: Direction, want: Want) {
        if self.gate(direction).stalled {
            return; // by a command that came in the same step
        }
        let limit = self.gate(direction).cut_after.unwrap_or(u64::MAX);
        let Some(link) = &mut self.links[index] else {
            return;
        };
        let step = match want {
            Want::Read => link.read(direction),
            Want::Write if limit == 0 => Forwarded::Bytes(0),
            Want::Write => link.write(direction, limit),
        };
        let over = match step {
            Forwarded::Broken => true,
            Forwarded::Bytes(_) if link.is_finished() => true,
            Forwarded::Bytes(count) => want == Want::Write && self.spend(direction, count as u64),
        };
        if over {
            self.links[index] = None;
        }
    }

    /// Counts forwarded bytes; true when the connection that carried them is to be cut.
    fn spend(&mut self, direction: Direction, count: u64) -> bool {
        self.counters
            .bytes(direction)
            .fetch_add(count, Ordering::SeqCst);
        let gate = self.gate_mut(direction);
        let Some(left) = &mut gate.cut_after else {
            return false;
        };
        *left = left.saturating_sub(count);
        let spent = *left == 0;
        if spent {
            gate.cut_after = None;
        }
        spent
    }

    fn count_open(&self) {
        let open = self.links.iter().flatten().count();
        self.counters.open.store(open, Ordering::SeqCst);
    }

    fn gate(&self, direction: Direction) -> &Gate {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    fn gate_mut(&mut self, direction: Direction) -> &mut Gate {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// Listens on a port of ours. A process that is just being started has a copy of whatever was open,
/// so that the port may be taken for a moment after it was given up.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let mut taken = io::Error::from(ErrorKind::AddrInUse);
    let bound = eventually(PATIENCE, || match TcpListener::bind(address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            taken = error;
            None
        }
        other => Some(other),
    });
    let listener = bound.unwrap_or(Err(taken))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
