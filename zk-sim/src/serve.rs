//! Drives one server.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::clock::Clock;
use crate::executor::{Job, Queue, Queued, lock};
use crate::net::{News, address};
use crate::rng::Rng;
pub(crate) use crate::server::Message;
use crate::server::{ServerConn, ServerOutput, SimServer};
use crate::slab::Key;
use crate::trace::Kind;
use crate::world::{Event, World};

/// A server on a machine.
pub(crate) struct ServerCell {
    pub(crate) host: usize,
    pub(crate) port: u16,
    clock: Arc<Mutex<Clock>>,
    server: Arc<Mutex<dyn SimServer>>,
    refuses: AtomicBool,
    queued: Queued,
    queue: Arc<Queue>,
    /// Connections on which something has happened.
    touched: Mutex<Vec<Key>>,
    /// Messages from other machines.
    inbox: Mutex<VecDeque<(Arc<str>, Message)>>,
    body: Mutex<Body>,
}

struct Body {
    started: bool,
    conns: BTreeMap<u64, Conn>,
    /// Connections from which the server did not want to read.
    unread: BTreeSet<u64>,
    armed: Option<u64>,
    rng: Rng,
    buffer: Vec<u8>,
}

struct Conn {
    stream: Key,
    out: Vec<u8>,
    written: usize,
    closing: bool,
}

impl ServerCell {
    pub(crate) fn new(
        (host, port): (usize, u16),
        clock: Arc<Mutex<Clock>>,
        server: Arc<Mutex<dyn SimServer>>,
        queue: &Arc<Queue>,
        rng: Rng,
    ) -> Arc<Self> {
        Arc::new(Self {
            host,
            port,
            clock,
            server,
            refuses: AtomicBool::new(false),
            queued: Queued::default(),
            queue: Arc::clone(queue),
            touched: Mutex::default(),
            inbox: Mutex::default(),
            body: Mutex::new(Body {
                started: false,
                conns: BTreeMap::new(),
                unread: BTreeSet::new(),
                armed: None,
                rng,
                buffer: Vec::new(),
            }),
        })
    }

    pub(crate) fn schedule(self: &Arc<Self>) {
        if self.queued.set() {
            self.queue.push(Job::Server(Arc::clone(self)));
        }
    }

    pub(crate) fn touch(self: &Arc<Self>, stream: Key) {
        lock(&self.touched).push(stream);
        self.schedule();
    }

    pub(crate) fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    pub(crate) fn set_refuses(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    pub(crate) fn deliver(self: &Arc<Self>, from: Arc<str>, message: Message) {
        lock(&self.inbox).push_back((from, message));
        self.schedule();
    }

    pub(crate) fn timer(self: &Arc<Self>, at: u64) {
        let mut body = lock(&self.body);
        if body.armed == Some(at) {
            body.armed = None;
            drop(body);
            self.schedule();
        }
    }

    pub(crate) fn clock_changed(self: &Arc<Self>) {
        lock(&self.body).armed = None;
        self.schedule();
    }

    /// Its machine has crashed.
    pub(crate) fn crash(&self) {
        lock(&self.touched).clear();
        let lost = std::mem::take(&mut *lock(&self.inbox));
        let mut body = lock(&self.body);
        let was_started = std::mem::take(&mut body.started);
        body.conns.clear();
        body.unread.clear();
        body.armed = None;
        drop((body, lost));
        self.queued.clear();
        if was_started {
            lock(&self.server).crash();
        }
    }

    /// Forgets the queue's entry that was dropped while the machine was down.
    pub(crate) fn unqueued(&self) {
        self.queued.clear();
    }

    /// Goes on with everything that can go on now.
    pub(crate) fn serve(self: &Arc<Self>, world: &World) {
        self.queued.clear();
        let mut body = lock(&self.body);
        let mut server = lock(&self.server);
        let (now, wall) = {
            let clock = lock(&self.clock);
            (clock.now(world.now()), clock.wall(world.now()))
        };
        if !std::mem::replace(&mut body.started, true) {
            server.start(now, wall);
        }
        let touched = std::mem::take(&mut *lock(&self.touched));
        for stream in touched {
            body.hear(world, &mut *server, now, stream);
        }
        let inbox = std::mem::take(&mut *lock(&self.inbox));
        for (from, message) in inbox {
            server.message(now, &from, message);
        }
        if server.next_timeout().is_some_and(|at| at <= now) {
            server.timeout(now);
        }
        loop {
            while let Some(output) = server.poll_output() {
                body.carry_out(self, world, &mut *server, output);
            }
            if !body.read_on(world, &mut *server, now) {
                break;
            }
        }
        let deadline = server.next_timeout();
        drop(server);
        let at = deadline.map(|at| lock(&self.clock).true_time_of(at));
        if at.is_some_and(|at| at <= world.now()) {
            self.schedule();
        } else if let Some(at) = at.filter(|at| body.armed.is_none_or(|armed| *at < armed)) {
            body.armed = Some(at);
            let event = Event::Server(Arc::clone(self), at);
            world.lock().schedule.plan(at, event);
        }
        drop(body);
        world.enter(|_| {});
    }
}

impl Body {
    /// Tells the server what has happened on a connection.
    fn hear(&mut self, world: &World, server: &mut dyn SimServer, now: Instant, stream: Key) {
        let conn = ServerConn(stream.serial);
        if let Entry::Vacant(place) = self.conns.entry(stream.serial) {
            let host = {
                let state = world.lock();
                let found = state.net.streams.get(stream);
                let held = found.filter(|it| !it.ends[1].owner.is_nobody());
                held.map(|it| it.hosts[0])
            };
            // It may be over and forgotten on this side.
            let Some(host) = host else { return };
            server.accept(now, conn, address(host, stream.serial));
            place.insert(Conn {
                stream,
                out: Vec::new(),
                written: 0,
                closing: false,
            });
        }
        self.read(world, server, now, conn);
        self.flush(world, server, conn);
    }

    /// Reads what has arrived, as long as the server wants it. `true` if there was something.
    fn read(
        &mut self,
        world: &World,
        server: &mut dyn SimServer,
        now: Instant,
        conn: ServerConn,
    ) -> bool {
        let mut any = false;
        while let Some(known) = self.conns.get(&conn.0) {
            let stream = known.stream;
            let reads = known.closing || server.wants_read(conn);
            self.buffer.clear();
            let buffer = reads.then_some(&mut self.buffer);
            let news = world.lock().news(stream, 1, true, buffer);
            match news {
                News::Nothing | News::Connected => {
                    if reads {
                        self.unread.remove(&conn.0);
                    } else {
                        self.unread.insert(conn.0);
                    }
                    return any;
                }
                News::Data if known.closing => {}
                News::Data => {
                    any = true;
                    server.data(now, conn, &self.buffer);
                }
                News::Over(kind) => {
                    let told = known.closing;
                    self.forget(world, conn, kind != ErrorKind::UnexpectedEof);
                    if !told {
                        server.closed(now, conn);
                    }
                    return true;
                }
            }
        }
        any
    }

    /// Reads from those that had to wait. `true` if there was something.
    fn read_on(&mut self, world: &World, server: &mut dyn SimServer, now: Instant) -> bool {
        let mut any = false;
        for conn in self.unread.clone() {
            any |= self.read(world, server, now, ServerConn(conn));
        }
        any
    }

    fn forget(&mut self, world: &World, conn: ServerConn, abort: bool) {
        self.unread.remove(&conn.0);
        if let Some(gone) = self.conns.remove(&conn.0) {
            world.lock().close(gone.stream, 1, abort);
        }
    }

    fn carry_out(
        &mut self,
        cell: &ServerCell,
        world: &World,
        server: &mut dyn SimServer,
        output: ServerOutput,
    ) {
        match output {
            ServerOutput::Transmit(conn) => self.flush(world, server, conn),
            ServerOutput::Close { conn, abort: true } => self.forget(world, conn, true),
            ServerOutput::Close { conn, abort: false } => {
                self.flush(world, server, conn);
                if let Some(known) = self.conns.get_mut(&conn.0) {
                    known.closing = true;
                    if known.out.is_empty() {
                        self.forget(world, conn, false);
                    }
                }
            }
            ServerOutput::Send { to, message } => self.send(cell, world, &to, message),
        }
    }

    /// Writes what there is to be written and room for.
    fn flush(&mut self, world: &World, server: &mut dyn SimServer, conn: ServerConn) {
        let Some(known) = self.conns.get_mut(&conn.0) else {
            return;
        };
        loop {
            if known.written == known.out.len() {
                known.out.clear();
                known.written = 0;
                if server.transmit(conn, &mut known.out) == 0 {
                    break;
                }
            }
            let left = &known.out[known.written..];
            known.written += world.lock().write(known.stream, 1, left);
            if known.written < known.out.len() {
                // The end of the other side's being full touches the connection.
                return;
            }
        }
        if known.closing {
            self.forget(world, conn, false);
        }
    }

    fn send(&mut self, cell: &ServerCell, world: &World, to: &str, message: Message) {
        world.enter(|state| {
            let from = cell.host;
            let name = &state.hosts[from].name;
            let line = format!("{name} -> {to} {}", message.label());
            let Some(&host) = state.names.get(&to.to_lowercase()) else {
                return state.note_line(Kind::Lost, &line);
            };
            state.note_line(Kind::Message, &line);
            let latency = state.net.links.draw(from, host, &mut self.rng);
            let last = state.net.messages.entry((from, host)).or_default();
            let at = (state.now + latency).max(*last);
            *last = at;
            if let Some(to) = state.hosts[host].servers.first().cloned() {
                state
                    .schedule
                    .plan(at, Event::Message { from, to, message });
            }
        });
    }
}
