//! A session and a server that says what it wants.
//!
//! An input is a list of steps, each a byte that says which, see [`World::step`], and the bytes that
//! the step takes. A step is a call of the session, or something that the server sends. The server
//! knows which replies are awaited, so that the fuzzer need not guess xids to get anywhere; it may
//! also send whatever it likes.

mod calls;
mod config;
mod server;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error as _;
use std::io;
use std::time::{Duration, Instant};

use zk_proto::{OpCode, Xid, frame};
use zk_rig::checks::Checks;
use zk_rig::world::epoch;
use zk_session::{
    Action, ConnId, Event, Outcome, RequestId, SaslError, Session, State, TimerId, WatchId,
};

use crate::cursor::Cursor;

/// The most that a session takes for a byte of input. A byte can be a request, which has a place in
/// several tables, an event, and bytes on both ways.
const EACH: u64 = 4096;
/// What it takes anyway, and what one large reply takes that was announced and lent a buffer for.
const LEAST: u64 = (1 << 20) + 2 * MAX_REPLY as u64;
/// Large enough for a buffer to be lent.
const MAX_REPLY: usize = 256 * 1024;

/// A session whose server is hostile.
///
/// # Panics
/// If the session breaks a promise, or takes more memory than what it was given accounts for.
pub fn session_bytes(input: &[u8]) {
    let taken = allocation_counter::measure(|| {
        let mut cursor = Cursor::new(input);
        let mut world = World::new(&mut cursor);
        while !cursor.is_empty() {
            world.step(&mut cursor);
        }
        world.finish();
    });
    let bound = EACH * input.len() as u64 + LEAST;
    let most = taken.bytes_max;
    assert!(most <= bound, "{} bytes of input took {most}", input.len());
}

struct World {
    session: Session,
    checks: Checks,
    now: Instant,
    /// Connections, and whether they are up.
    wires: BTreeMap<ConnId, bool>,
    /// Those that are over.
    old: Vec<ConnId>,
    /// Requests that the server has seen and not answered.
    awaited: VecDeque<(Xid, OpCode)>,
    sasl: Vec<ConnId>,
    requests: Vec<RequestId>,
    watches: Vec<WatchId>,
    timers: Vec<TimerId>,
    tag: u64,
    zxid: i64,
}

impl World {
    fn new(cursor: &mut Cursor<'_>) -> Self {
        let session = Session::new(config::config(cursor), [7; 32], epoch());
        let mut checks = Checks::new(session.state());
        checks.honest = false;
        Self {
            session,
            checks,
            now: epoch(),
            wires: BTreeMap::new(),
            old: Vec::new(),
            awaited: VecDeque::new(),
            sasl: Vec::new(),
            requests: Vec::new(),
            watches: Vec::new(),
            timers: Vec::new(),
            tag: 0,
            zxid: 1,
        }
    }

    /// One step. Seeds are written with the same numbers: see `seeds`.
    fn step(&mut self, cursor: &mut Cursor<'_>) {
        let now = self.now;
        match cursor.byte() % 32 {
            step::RAW => {
                let length = cursor.byte();
                let bytes = cursor.take(usize::from(length)).to_vec();
                self.hear(cursor.byte(), &bytes);
            }
            step::FRAME => {
                let length = cursor.byte();
                let bytes = cursor.take(usize::from(length)).to_vec();
                let mut framed = Vec::new();
                frame(&mut framed, |out| out.extend_from_slice(&bytes));
                self.hear(cursor.byte(), &framed);
            }
            step::GREET => self.greet(cursor),
            step::REPLY => self.reply(cursor),
            step::LONG => self.announce(cursor),
            step::CONNECTED => {
                if let Some(conn) = self.pick(cursor.byte()) {
                    self.wires.insert(conn, true);
                    self.session.handle_connected(now, conn);
                }
            }
            step::TRANSMIT => self.transmit(usize::from(cursor.byte())),
            step::FORWARD => self.forward(cursor.byte()),
            step::ATTACH => self.attach(),
            step::CUT => self.cut(cursor.byte()),
            step::STALE => self.stale(cursor.byte()),
            step::SASL => {
                let good = cursor.byte() % 8 != 0;
                for conn in std::mem::take(&mut self.sasl) {
                    let bad = SaslError::new("no ticket");
                    let token = good.then(|| b"token".to_vec()).ok_or(bad);
                    self.session.handle_sasl(now, conn, token);
                }
            }
            step::DRAIN => self.drain(),
            step::WAIT => {
                self.now += Duration::from_millis(u64::from(cursor.short()));
                self.session.handle_timeout(self.now);
            }
            step::DUE => {
                self.drain();
                if let Some(due) = self.session.poll_timeout() {
                    // Not to the end of the world, where a limit of years lies.
                    let most = self.now + Duration::from_secs(1 << 20);
                    self.now = self.now.max(due.min(most));
                }
                self.session.handle_timeout(self.now);
                self.settle();
            }
            step::LOSE => {
                if let Some(conn) = self.pick(0) {
                    drop(self.session.lend(conn));
                }
            }
            step::SUBMIT.. => self.ask(cursor),
        }
    }

    fn pick(&self, which: u8) -> Option<ConnId> {
        let conns: Vec<ConnId> = self.wires.keys().copied().collect();
        (!conns.is_empty()).then(|| conns[usize::from(which) % conns.len()])
    }

    fn cut(&mut self, which: u8) {
        const KINDS: [io::ErrorKind; 4] = [
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::NotFound,
            io::ErrorKind::TimedOut,
        ];
        if let Some(conn) = self.pick(which & 1) {
            self.over(conn);
            let why = KINDS[usize::from(which >> 1) % KINDS.len()];
            self.session.handle_disconnected(self.now, conn, why);
        }
    }

    fn over(&mut self, conn: ConnId) {
        self.wires.remove(&conn);
        self.old.push(conn);
        self.awaited.clear();
    }

    /// News of a connection that is over.
    fn stale(&mut self, which: u8) {
        let Some(conn) = self.old.get(usize::from(which >> 3)).copied() else {
            return;
        };
        let now = self.now;
        match which & 7 {
            0 => self.session.handle_connected(now, conn),
            1 => self.session.handle_data(now, conn, b"late news"),
            2 => self
                .session
                .handle_disconnected(now, conn, io::ErrorKind::BrokenPipe),
            3 => self.session.handle_sasl(now, conn, Ok(Vec::new())),
            _ => {
                assert!(self.session.lend(conn).is_none(), "nothing is under way");
                assert_eq!(self.session.poll_transmit(now, conn, &mut Vec::new()), 0);
                assert!(!self.session.wants_read(conn));
                assert_eq!(self.session.read_hint(conn), 0);
            }
        }
    }

    /// Fetches all actions and events.
    fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            let _ = format!("{action:?}");
            match action {
                Action::Connect { conn, .. } => {
                    let known = self.wires.insert(conn, false);
                    assert!(known.is_none() && !self.old.contains(&conn), "{conn} twice");
                    assert!(self.wires.len() <= 2, "one connection and one probe");
                }
                Action::Disconnect { conn, .. } => {
                    let known = self.wires.contains_key(&conn) || self.old.contains(&conn);
                    assert!(known, "{conn} was never asked for");
                    self.over(conn);
                }
                Action::Sasl { conn, .. } => self.sasl.push(conn),
            }
        }
        while let Some(event) = self.session.poll_event() {
            let _ = format!("{event:?}");
            self.checks.event(&event);
            if let Event::Completed {
                result: Err(error), ..
            } = event
            {
                let _ = format!("{error} {:?}", error.source().map(ToString::to_string));
                let again = error.is_retryable();
                let applied = error.outcome() == Outcome::Applied;
                assert!(!(applied && again), "twice: {error:?}");
            }
        }
        if !self.checks.is_closed() {
            self.checks.at_rest(self.session.state());
        }
        self.look();
    }

    /// What can be seen from outside is consistent.
    fn look(&self) {
        let session = &self.session;
        let _ = format!("{session:?} {:?}", session.timeout_reason());
        let _ = session.last_zxid();
        let there = session.state() != State::Lost;
        assert!(there || session.deadline().is_none(), "{session:?}");
        assert_eq!(there, session.credentials().is_some(), "{session:?}");
        assert_eq!(there, session.negotiated_timeout().is_some());
        assert!(!session.servers().is_empty());
        if let Some((server, error)) = session.last_error() {
            let _ = format!("{server}: {error}");
        }
        let connected = session.state().is_connected();
        assert!(!connected || session.server().is_some(), "{session:?}");
    }

    /// What is due is done, after which nothing more is due.
    fn settle(&mut self) {
        for _ in 0..64 {
            self.drain();
            if self.session.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            self.session.handle_timeout(self.now);
        }
        panic!("a busy loop over {:?}", self.session.timeout_reason());
    }

    /// Ends the session, whether or not the server helps, and looks at what is left.
    fn finish(&mut self) {
        self.session.close(self.now, Duration::from_secs(3));
        for _ in 0..200 {
            self.settle();
            if self.session.is_finished() {
                break;
            }
            self.transmit(100);
            self.drain();
            let next = self.session.poll_timeout();
            if self.session.is_finished() {
                break;
            }
            self.now = self.now.max(next.expect("something is awaited"));
            self.session.handle_timeout(self.now);
        }
        assert!(self.session.is_finished(), "the close never ends");
        assert!(self.wires.is_empty(), "connections are left");
        self.checks.finished(&BTreeSet::new());
        let stats = self.session.stats();
        let left = [
            stats.in_flight,
            stats.queued,
            stats.pending_bytes,
            stats.watches,
            stats.watched_paths,
            stats.timers,
            stats.deadlines,
            stats.events,
        ];
        assert_eq!(left, [0; 8], "something is left: {stats:?}");
    }
}

/// The numbers of the steps.
pub(crate) mod step {
    pub(crate) const RAW: u8 = 0;
    pub(crate) const FRAME: u8 = 1;
    pub(crate) const GREET: u8 = 2;
    pub(crate) const REPLY: u8 = 3;
    pub(crate) const LONG: u8 = 4;
    pub(crate) const CONNECTED: u8 = 5;
    pub(crate) const TRANSMIT: u8 = 6;
    pub(crate) const FORWARD: u8 = 7;
    pub(crate) const ATTACH: u8 = 8;
    pub(crate) const CUT: u8 = 9;
    pub(crate) const STALE: u8 = 10;
    pub(crate) const SASL: u8 = 11;
    pub(crate) const DRAIN: u8 = 12;
    pub(crate) const WAIT: u8 = 13;
    pub(crate) const DUE: u8 = 14;
    /// A loan is dropped, and with it a part of the stream.
    pub(crate) const LOSE: u8 = 15;
    /// This one and all above.
    pub(crate) const SUBMIT: u8 = 16;
}
