//! The I/O loop: one thread for the connections of any number of clients.
//!
//! Each round serves those clients that have something to do: a socket of theirs is ready, a
//! deadline has come, or somebody rang their [`Bell`]. No other client is looked at. Serving one
//! means: read once from its socket, hand that to its core and take out what is to be done and to
//! be sent, all under one lock, then write without it. A client with more to do is served again in
//! the next round, after the others.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use zk_client::Core;
use zk_handler_base::{Process, Resolver, Threads, Workers, clock};
use zk_session::Action;

use crate::bell::Bell;
use crate::deadlines::Deadlines;
use crate::inbox::{Inbox, Letter};
use crate::link::Link;
use crate::slab::Slab;

mod connect;
mod serve;

use serve::After;

/// Bytes read at once at most, and so between two locks. Of a frame that lacks more than this the
/// rest is read straight into its place.
const READ: usize = 256 << 10;
/// How often callbacks are tried again when no thread could be started for them.
const STARVED: Duration = Duration::from_millis(100);

const WAKER: Token = Token(usize::MAX);

thread_local! {
    static IS_LOOP: Cell<bool> = const { Cell::new(false) };
}

/// Does this thread run an I/O loop?
pub(crate) fn is_loop_thread() -> bool {
    IS_LOOP.get()
}

/// What a loop needs from its handler.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) threads: Threads,
    pub(crate) workers: Arc<Workers>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) process: Process,
}

/// Starts a loop. It ends when it has nothing left to drive, and then takes no more letters.
pub(crate) fn start(around: &Surroundings, first: Letter) -> io::Result<Arc<Inbox>> {
    let poll = Poll::new()?;
    let inbox = Arc::new(Inbox::new(poll.registry(), WAKER)?);
    let mut io_loop = IoLoop::new(poll, Arc::clone(&inbox), around.clone());
    // Nobody has closed it yet.
    let _ = inbox.post(first);
    around.threads.spawn("zk-io", move || {
        IS_LOOP.set(true);
        let workers = Arc::clone(&io_loop.around.workers);
        workers.loop_started();
        match catch_unwind(AssertUnwindSafe(|| io_loop.run())) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the I/O loop cannot go on"),
            Err(_) => tracing::error!("the I/O loop panicked"),
        }
        io_loop.abandon_all();
        workers.loop_ended();
    })?;
    Ok(inbox)
}

struct IoLoop {
    poll: Poll,
    inbox: Arc<Inbox>,
    around: Surroundings,
    clients: Slab<Client>,
    links: Slab<Link>,
    /// The number of the last link.
    last_serial: u64,
    deadlines: Deadlines,
    /// Clients to be served in the next round.
    ready: Vec<usize>,
    /// Links that are closing, by the moment when that takes too long.
    closing: VecDeque<(Instant, usize, u64)>,
    /// Those of them that have more to be read right away.
    unread: Vec<(usize, u64)>,
    // Kept for reuse.
    buffer: Box<[u8]>,
    send_buffer: Vec<u8>,
    actions: Vec<Action>,
    letters: Vec<Letter>,
    batch: Vec<usize>,
}

struct Client {
    core: Arc<Core>,
    bell: Arc<Bell>,
    /// The places of its links: one, and a second one while it looks for a better server.
    links: Vec<usize>,
    /// Is it among those to be served?
    ready: bool,
    /// Has its deadline come?
    due: bool,
}

impl IoLoop {
    fn new(poll: Poll, inbox: Arc<Inbox>, around: Surroundings) -> Self {
        Self {
            poll,
            inbox,
            around,
            clients: Slab::default(),
            links: Slab::default(),
            last_serial: 0,
            deadlines: Deadlines::default(),
            ready: Vec::new(),
            closing: VecDeque::new(),
            unread: Vec::new(),
            buffer: vec![0; READ].into_boxed_slice(),
            send_buffer: Vec::new(),
            actions: Vec::new(),
            letters: Vec::new(),
            batch: Vec::new(),
        }
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            self.read_letters();
            self.look_at_clock();
            self.close_on_all();
            self.serve_all();
            let idle = self.clients.is_empty() && self.links.is_empty();
            if idle && self.inbox.close_if_empty() {
                return Ok(());
            }
            self.sleep(&mut events)?;
            for event in &events {
                self.on_event(event);
            }
        }
    }

    fn sleep(&mut self, events: &mut Events) -> io::Result<()> {
        let rests = self.ready.is_empty() && self.unread.is_empty();
        let may_sleep = rests && self.inbox.prepare_sleep();
        let limit = if may_sleep {
            self.time_to_sleep()
        } else {
            Some(Duration::ZERO)
        };
        let polled = self.poll.poll(events, limit);
        self.inbox.awake();
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn time_to_sleep(&self) -> Option<Duration> {
        let closing = self.closing.front().map(|(at, ..)| *at);
        let next = [self.deadlines.next(), closing].into_iter().flatten().min();
        let limit = next.map(|at| at.saturating_duration_since(clock::now()));
        let starved = self.around.workers.is_starved().then_some(STARVED);
        [limit, starved].into_iter().flatten().min()
    }

    fn on_event(&mut self, event: &mio::event::Event) {
        let Token(place) = event.token();
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        link.on_event(event);
        match link.client {
            Some(client) => self.make_ready(client),
            None => self.close_on(place),
        }
    }

    fn read_letters(&mut self) {
        let mut letters = std::mem::take(&mut self.letters);
        self.inbox.read(&mut letters);
        for letter in letters.drain(..) {
            match letter {
                Letter::Drive(core) => self.add(core),
                Letter::Work(client) => self.make_ready(client),
                #[cfg(test)]
                Letter::Panic => panic!("as the test wants it"),
                Letter::Resolved {
                    link,
                    serial,
                    answer,
                } => {
                    let link = self
                        .links
                        .get_mut(link)
                        .filter(|link| link.serial == serial);
                    let Some(link) = link else { continue };
                    link.resolved(answer, self.poll.registry());
                    if let Some(client) = link.client {
                        self.make_ready(client);
                    }
                }
            }
        }
        self.letters = letters;
    }

    fn look_at_clock(&mut self) {
        let now = clock::now();
        while let Some(client) = self.deadlines.pop_due(now) {
            if let Some(due) = self.clients.get_mut(client) {
                due.due = true;
                self.make_ready(client);
            }
        }
        while let Some(&(at, place, serial)) = self.closing.front() {
            if at > now {
                break;
            }
            self.closing.pop_front();
            if self.is_still(place, serial) {
                self.drop_link(place);
            }
        }
        if self.around.workers.is_starved() {
            self.around.workers.retry();
        }
    }

    fn make_ready(&mut self, client: usize) {
        let Some(entry) = self.clients.get_mut(client) else {
            return;
        };
        if !std::mem::replace(&mut entry.ready, true) {
            self.ready.push(client);
        }
    }

    fn add(&mut self, core: Arc<Core>) {
        let place = self.clients.next_place();
        let bell = Bell::new(place, &core, &self.inbox, self.around.process.clone());
        core.set_waker(Arc::clone(&bell).into());
        self.clients.insert(Client {
            core,
            bell,
            links: Vec::new(),
            ready: false,
            due: false,
        });
        self.make_ready(place);
    }

    fn remove(&mut self, client: usize) -> Option<Arc<Core>> {
        let entry = self.clients.remove(client)?;
        entry.bell.close();
        entry
            .links
            .into_iter()
            .for_each(|place| self.drop_link(place));
        self.deadlines.set(client, None);
        Some(entry.core)
    }

    fn serve_all(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        std::mem::swap(&mut batch, &mut self.ready);
        for client in batch.drain(..) {
            let Some(entry) = self.clients.get_mut(client) else {
                continue;
            };
            entry.ready = false;
            // A waker of the application that panics takes down its own client only.
            match catch_unwind(AssertUnwindSafe(|| self.serve(client))) {
                Ok(After::Rest) => {}
                Ok(After::More) => self.make_ready(client),
                Ok(After::Finished) => drop(self.remove(client)),
                Err(_) => {
                    tracing::error!("driving a client panicked; it is given up, others go on");
                    self.give_up(client);
                }
            }
        }
        self.batch = batch;
    }

    /// The loop ends: nobody is to hang.
    fn abandon_all(&mut self) {
        for letter in self.inbox.close() {
            if let Letter::Drive(core) = letter {
                abandon(core);
            }
        }
        for client in self.clients.places() {
            self.give_up(client);
        }
        self.links = Slab::default();
    }

    fn give_up(&mut self, client: usize) {
        if catch_unwind(AssertUnwindSafe(|| self.say_farewell(client))).is_err() {
            tracing::error!("a client that was given up panicked when it closed its session");
        }
        self.remove(client).into_iter().for_each(abandon);
    }
}

fn abandon(core: Arc<Core>) {
    let give_up = AssertUnwindSafe(|| {
        core.abandon(clock::now());
        drop(core);
    });
    if catch_unwind(give_up).is_err() {
        tracing::error!("giving a client up panicked");
    }
}
