//! Drives one client: what its sockets and timers have to tell goes into its core; actions and bytes
//! come out.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Wake, Waker};
use std::time::Instant;

use zk_client::Core;
use zk_session::{Action, ConnId, SaslWork, Session, State as SessionState};

use crate::clock::Clock;
use crate::executor::{Job, Place, Queue, Queued, lock};
use crate::net::{News, Owner};
use crate::slab::Key;
use crate::trace::Kind;
use crate::world::{Event, World};

/// A client and its connections.
pub(crate) struct Driver {
    pub(crate) core: Arc<Core>,
    pub(crate) place: Place,
    /// The client's number in this universe.
    pub(crate) number: u64,
    clock: Arc<Mutex<Clock>>,
    queued: Queued,
    queue: Arc<Queue>,
    /// It was told that there is nothing left to drive. The core may have another driver by now.
    dismissed: AtomicBool,
    body: Mutex<Body>,
}

#[derive(Default)]
struct Body {
    links: Vec<Link>,
    /// For when it is to be served without anything else happening.
    armed: Option<u64>,
    state: &'static str,
    /// Tokens to be worked out once the session is left.
    work: Vec<(ConnId, SaslWork)>,
    /// Kept for reuse.
    buffer: Vec<u8>,
}

struct Link {
    conn: ConnId,
    stream: Key,
    connected: bool,
    /// The session has let go of it: what is left is written, then it is closed.
    closing: bool,
    out: Vec<u8>,
    written: usize,
}

/// What came of a turn.
pub(crate) enum After {
    Rest,
    Finished,
}

/// Wakes a driver. Weak, as the core that holds it is held by the driver.
struct Bell(Weak<Driver>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(driver) = self.0.upgrade() {
            driver.schedule();
        }
    }
}

impl Driver {
    pub(crate) fn new(
        core: Arc<Core>,
        place: Place,
        number: u64,
        clock: Arc<Mutex<Clock>>,
        queue: &Arc<Queue>,
    ) -> Arc<Self> {
        let driver = Arc::new(Self {
            core,
            place,
            number,
            clock,
            queued: Queued::default(),
            queue: Arc::clone(queue),
            dismissed: AtomicBool::new(false),
            body: Mutex::default(),
        });
        let bell = Arc::new(Bell(Arc::downgrade(&driver)));
        driver.core.set_waker(Waker::from(bell));
        driver
    }

    pub(crate) fn schedule(self: &Arc<Self>) {
        if self.queued.set() {
            self.queue.push(Job::Driver(Arc::clone(self)));
        }
    }

    /// A planned moment has come; `false` if it was planned anew meanwhile.
    pub(crate) fn timer(self: &Arc<Self>, at: u64) {
        let mut body = lock(&self.body);
        if body.armed == Some(at) {
            body.armed = None;
            drop(body);
            self.schedule();
        }
    }

    /// The clock has changed: what was planned may come too late.
    pub(crate) fn clock_changed(self: &Arc<Self>) {
        lock(&self.body).armed = None;
        self.schedule();
    }

    /// Goes on with everything that can go on now.
    pub(crate) fn serve(self: &Arc<Self>, world: &World) -> After {
        self.queued.clear();
        if self.dismissed.load(Ordering::Relaxed) {
            return After::Finished;
        }
        // Taken out, as results that reach their owners run code of theirs.
        let mut body = std::mem::take(&mut *lock(&self.body));
        let after = self.serve_with(&mut body, world);
        *lock(&self.body) = body;
        after
    }

    fn serve_with(self: &Arc<Self>, body: &mut Body, world: &World) -> After {
        let now = lock(&self.clock).now(world.now());
        self.core
            .with(|session| body.turn(self, world, session, now));
        for (conn, work) in body.work.drain(..) {
            self.core.authenticate(conn, work);
        }
        // The next `with` takes the loop for awake, and so would forget what those who were woken
        // by this one have asked for.
        if !self.core.prepare_sleep() {
            self.schedule();
        }
        // Asked again, now that the core has taken out all events.
        let (deadline, state, finished) = self
            .core
            .with(|session| (session.poll_timeout(), name(session), session.is_finished()));
        if std::mem::replace(&mut body.state, state) != state {
            world.enter(|world| {
                let host = &world.hosts[self.place.host].name;
                let line = format!("{host} client {} is {state}", self.number);
                world.note_line(Kind::State, &line);
            });
        }
        if finished {
            let links = std::mem::take(&mut body.links);
            world.enter(|world| {
                links
                    .iter()
                    .for_each(|link| world.close(link.stream, 0, true))
            });
            self.core.set_waker(Waker::noop().clone());
            // The answer must be heard, as it lets others start the client again.
            if self.core.is_finished() {
                self.dismissed.store(true, Ordering::Relaxed);
                return After::Finished;
            }
            return After::Rest;
        }
        let at = deadline.map(|at| lock(&self.clock).true_time_of(at));
        if at.is_some_and(|at| at <= world.now()) {
            self.schedule();
        } else if let Some(at) = at.filter(|at| body.armed.is_none_or(|armed| *at < armed)) {
            body.armed = Some(at);
            let event = Event::Driver(Arc::downgrade(self), at);
            world.enter(|world| world.schedule.plan(at, event));
        }
        if !self.core.prepare_sleep() {
            self.schedule();
        }
        After::Rest
    }
}

fn name(session: &Session) -> &'static str {
    match session.state() {
        SessionState::Lost => "lost",
        SessionState::Connected { read_only: false } => "connected",
        SessionState::Connected { read_only: true } => "connected, read-only",
        SessionState::Suspended { .. } => "suspended",
    }
}

impl Body {
    /// Repeats what can be done until there is nothing left. Wakes that the network owes to others
    /// are left to the next [`World::enter`].
    fn turn(&mut self, driver: &Arc<Driver>, world: &World, session: &mut Session, now: Instant) {
        loop {
            let mut progress = self.hear(world, session, now);
            if session.poll_timeout().is_some_and(|at| at <= now) {
                session.handle_timeout(now);
            }
            progress |= self.act(driver, world, session, now);
            progress |= self.transmit(world, session, now);
            // The last byte may have been what a close was waiting for.
            progress |= self.act(driver, world, session, now);
            if !progress {
                return;
            }
        }
    }

    /// Tells the session what has happened on its connections.
    fn hear(&mut self, world: &World, session: &mut Session, now: Instant) -> bool {
        let mut any = false;
        let mut index = 0;
        while let Some(link) = self.links.get_mut(index) {
            let (conn, stream) = (link.conn, link.stream);
            self.buffer.clear();
            let reads = link.closing || session.wants_read(conn);
            let buffer = reads.then_some(&mut self.buffer);
            let news = world.lock().news(stream, 0, link.connected, buffer);
            any |= news != News::Nothing;
            match news {
                News::Nothing => {
                    index += 1;
                    continue;
                }
                News::Connected => link.connected = true,
                News::Data => {}
                News::Over(kind) => {
                    let abort = kind != ErrorKind::UnexpectedEof;
                    world.lock().close(stream, 0, abort);
                }
            }
            if link.closing {
                if matches!(news, News::Over(_)) {
                    self.links.remove(index);
                }
                continue;
            }
            match news {
                News::Nothing => {}
                News::Connected => session.handle_connected(now, conn),
                News::Data => session.handle_data(now, conn, &self.buffer),
                News::Over(kind) => {
                    self.links.remove(index);
                    session.handle_disconnected(now, conn, kind);
                }
            }
        }
        any
    }

    /// Does what the session asks for.
    fn act(
        &mut self,
        driver: &Arc<Driver>,
        world: &World,
        session: &mut Session,
        now: Instant,
    ) -> bool {
        let mut any = false;
        while let Some(action) = session.poll_action() {
            any = true;
            match action {
                Action::Connect { conn, server, .. } => {
                    let owner = Owner::Driver(Arc::downgrade(driver));
                    let host = driver.place.host;
                    let stream = world.lock().connect(host, owner, &server);
                    match stream {
                        Ok(stream) => self.links.push(Link {
                            conn,
                            stream,
                            connected: false,
                            closing: false,
                            out: Vec::new(),
                            written: 0,
                        }),
                        Err(kind) => session.handle_disconnected(now, conn, kind),
                    }
                }
                Action::Disconnect { conn, abort } => {
                    let place = self.links.iter().position(|link| link.conn == conn);
                    let Some(place) = place else { continue };
                    let link = &mut self.links[place];
                    if abort || !link.connected || link.written == link.out.len() {
                        let stream = self.links.remove(place).stream;
                        world.lock().close(stream, 0, abort);
                    } else {
                        link.closing = true;
                    }
                }
                Action::Sasl { conn, work } => self.work.push((conn, work)),
            }
        }
        any
    }

    /// Writes what there is to be written and room for.
    fn transmit(&mut self, world: &World, session: &mut Session, now: Instant) -> bool {
        let mut any = false;
        let mut index = 0;
        while let Some(link) = self.links.get_mut(index) {
            index += 1;
            if !link.connected {
                continue;
            }
            loop {
                if link.written == link.out.len() {
                    link.out.clear();
                    link.written = 0;
                    if link.closing || session.poll_transmit(now, link.conn, &mut link.out) == 0 {
                        break;
                    }
                }
                let written = world
                    .lock()
                    .write(link.stream, 0, &link.out[link.written..]);
                link.written += written;
                any |= written > 0;
                if link.written < link.out.len() {
                    break;
                }
            }
            if link.closing && link.out.is_empty() {
                world.lock().close(link.stream, 0, false);
                index -= 1;
                self.links.remove(index);
            }
        }
        any
    }
}
