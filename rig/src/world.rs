//! A session, a model of its servers, and a network between them that does as it is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use zk_proto::ServerAddr;
use zk_session::{Action, Config, ConnId, Event, Session, State};

use crate::checks::Checks;
use crate::cluster::{Cluster, Freight, Phase};

/// An anchor, the same for all runs of this process. Nothing depends on its value.
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(|| Instant::now() + Duration::from_secs(1_000_000))
}

pub fn server(member: usize) -> ServerAddr {
    ServerAddr::new(&format!("h{member}"), 2181)
}

/// How a frame is cut on its way to the client, beyond what the test asks for.
#[derive(Clone, Copy, Debug)]
pub enum Cuts {
    None,
    Every(usize),
    /// Anyhow; what can be read into a loan is.
    Random(u32),
}

/// A connection, seen from the driver.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Wire {
    Connecting(usize),
    Up,
}

pub struct Rig {
    pub session: Session,
    pub cluster: Cluster,
    pub checks: Checks,
    /// The true time: the latest that the session was told.
    pub now: Instant,
    /// How much earlier than that it is told for a while.
    pub skew: Duration,
    wires: BTreeMap<ConnId, Wire>,
    pub old: Vec<ConnId>,
    pub sasl: Vec<ConnId>,
    pub cuts: Cuts,
    /// Bytes are hidden by the security layer of these tests.
    pub layered: bool,
    /// Sessions that were ended by force, of which no deadline can know.
    pub killed: bool,
    pub transcript: String,
    /// Look at once at what a frame has led to.
    pub prompt: bool,
    freight: Freight,
    /// Events, and what the frame carried that led to them.
    pub events: Vec<(Freight, Event)>,
}

impl Rig {
    pub fn new(config: Arc<Config>, seed: u8, cluster: Cluster) -> Self {
        let now = epoch();
        let session = Session::new(config, [seed; 32], now);
        Self {
            checks: Checks::new(session.state()),
            session,
            cluster,
            now,
            skew: Duration::ZERO,
            wires: BTreeMap::new(),
            old: Vec::new(),
            sasl: Vec::new(),
            cuts: Cuts::None,
            layered: false,
            killed: false,
            transcript: String::new(),
            prompt: false,
            freight: Freight::Other,
            events: Vec::new(),
        }
    }

    /// What the session is told the time is.
    pub fn told(&self) -> Instant {
        self.now - self.skew
    }

    pub fn note(&mut self, text: std::fmt::Arguments<'_>) {
        self.transcript.write_fmt(text).expect("a string grows");
        self.transcript.push('\n');
    }

    /// Fetches all actions and events, of which there is an end.
    pub fn drain(&mut self) {
        let mut turns = 0;
        while let Some(action) = self.session.poll_action() {
            turns += 1;
            assert!(turns < 10_000, "actions without end");
            self.note(format_args!("{action:?}"));
            self.act(action);
        }
        while let Some(event) = self.session.poll_event() {
            turns += 1;
            assert!(turns < 100_000, "events without end");
            self.note(format_args!("{event:?}"));
            self.checks.event(&event);
            self.events.push((self.freight, event));
        }
        if !self.checks.is_closed() {
            self.checks.at_rest(self.session.state());
        }
        self.check_deadline();
    }

    fn check_deadline(&self) {
        if self.killed {
            return;
        }
        let Some((id, _)) = self.session.credentials() else {
            return;
        };
        let Cluster {
            sessions, expired, ..
        } = &self.cluster;
        let Some(record) = sessions.get(&id.0).or_else(|| expired.get(&id.0)) else {
            return;
        };
        let allowed = record.touched + record.timeout;
        self.checks.deadline(self.session.deadline(), Some(allowed));
        if let State::Suspended { until } = self.session.state() {
            // What is past promises nothing.
            let until = Some(until).filter(|at| *at > self.now);
            self.checks.deadline(until, Some(allowed));
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { conn, server, .. } => {
                let member = server.host().trim_start_matches('h').parse::<usize>();
                let member = member.expect("h and a number") % self.cluster.members.len();
                let known = self.wires.insert(conn, Wire::Connecting(member));
                assert!(known.is_none() && !self.old.contains(&conn), "{conn} twice");
                assert!(self.wires.len() <= 2, "one connection and one probe");
            }
            Action::Disconnect { conn, .. } => {
                // It may have ended by itself meanwhile.
                if self.wires.remove(&conn).is_some() {
                    self.hang_up(conn);
                } else {
                    assert!(self.old.contains(&conn), "{conn} was never asked for");
                }
            }
            Action::Sasl { conn, .. } => self.sasl.push(conn),
        }
    }

    fn hang_up(&mut self, conn: ConnId) {
        self.old.push(conn);
        // What is in its buffers is still carried out, unless the test says otherwise.
        while self.cluster.serve(conn) {}
        self.cluster.peers.remove(&conn);
    }

    pub fn conns(&self) -> Vec<ConnId> {
        self.wires.keys().copied().collect()
    }

    pub fn pick(&self, which: usize) -> Option<ConnId> {
        let conns = self.conns();
        (!conns.is_empty()).then(|| conns[which % conns.len()])
    }

    /// A connection that is being made is up.
    pub fn connected(&mut self, conn: ConnId) {
        if let Some(Wire::Connecting(member)) = self.wires.get(&conn).cloned() {
            self.wires.insert(conn, Wire::Up);
            self.cluster.accept(conn, member);
            self.session.handle_connected(self.told(), conn);
        }
    }

    /// A connection breaks, in either state.
    pub fn cut(&mut self, conn: ConnId, why: io::ErrorKind, served: bool) {
        if self.wires.remove(&conn).is_some() {
            if !served {
                self.cluster.peers.remove(&conn);
            }
            self.hang_up(conn);
            self.session.handle_disconnected(self.told(), conn, why);
        }
    }

    /// Writes what the session has to send, at most so many times.
    pub fn transmit(&mut self, conn: ConnId, times: usize) -> bool {
        if self.wires.get(&conn) != Some(&Wire::Up) {
            return false;
        }
        let mut any = false;
        for _ in 0..times {
            let mut out = Vec::new();
            let told = self.session.poll_transmit(self.told(), conn, &mut out);
            assert_eq!(told, out.len(), "it says what it appends");
            if out.is_empty() {
                return any;
            }
            any = true;
            self.note(format_args!("{conn} > {out:?}"));
            if self.layered {
                out.iter_mut().for_each(|b| *b ^= MASK);
            }
            self.cluster.receive(conn, &out);
            self.checks.transmitted(&out);
        }
        any
    }

    /// Carries one frame to the client, cut into pieces of so many bytes.
    pub fn deliver(&mut self, conn: ConnId, piece: usize) -> Option<Freight> {
        if self.wires.get(&conn) != Some(&Wire::Up) {
            return None;
        }
        let peer = self.cluster.peers.get_mut(&conn)?;
        let Some((freight, mut bytes)) = peer.out.pop_front() else {
            if peer.phase == Phase::Closed {
                self.cut(conn, io::ErrorKind::UnexpectedEof, true);
            }
            return None;
        };
        if self.layered {
            bytes.iter_mut().for_each(|b| *b ^= MASK);
        }
        if self.prompt {
            self.drain();
            self.freight = freight;
        }
        self.hand_over(conn, &bytes, piece);
        if self.prompt {
            self.drain();
            self.freight = Freight::Other;
        }
        Some(freight)
    }

    fn hand_over(&mut self, conn: ConnId, mut bytes: &[u8], piece: usize) {
        let now = self.told();
        while !bytes.is_empty() {
            let size = match &mut self.cuts {
                Cuts::None => piece.max(1),
                // Large frames would take too long by single bytes.
                Cuts::Every(size) => *size.max(&mut (bytes.len() / 300)),
                Cuts::Random(seed) => {
                    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let most = 1 << (*seed >> 28);
                    1 + (*seed >> 8) as usize % most
                }
            };
            let (chunk, rest) = bytes.split_at(size.min(bytes.len()));
            let random = matches!(self.cuts, Cuts::Random(_));
            let loan = if random {
                self.session.lend(conn)
            } else {
                None
            };
            let Some(mut loan) = loan else {
                self.session.handle_data(now, conn, chunk);
                bytes = rest;
                continue;
            };
            let free = loan.unfilled();
            let fits = free.len().min(chunk.len());
            free[..fits].copy_from_slice(&chunk[..fits]);
            loan.advance(fits);
            self.session.handle_lent(now, conn, loan);
            bytes = &bytes[fits..];
        }
    }

    /// Time passes, and what is due is done: after which nothing more is due.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
        self.cluster.advance(self.now);
        self.skew = Duration::ZERO;
        self.session.handle_timeout(self.now);
        self.settle();
    }

    pub fn settle(&mut self) {
        for _ in 0..64 {
            self.drain();
            let next = self.session.poll_timeout();
            if next.is_none_or(|at| at > self.now) {
                return;
            }
            self.session.handle_timeout(self.now);
        }
        panic!("a busy loop over {:?}", self.session.timeout_reason());
    }

    /// One turn in which everyone does all that can be done. Was there anything?
    pub fn turn(&mut self) -> bool {
        let mut any = false;
        self.settle();
        for conn in self.conns() {
            if matches!(self.wires.get(&conn), Some(Wire::Connecting(_))) {
                self.connected(conn);
                any = true;
            }
            any |= self.transmit(conn, 10_000);
            while self.cluster.serve(conn) {
                any = true;
            }
            for member in std::mem::take(&mut self.sasl) {
                let token = Ok(b"later".to_vec());
                self.session.handle_sasl(self.told(), member, token);
                any = true;
            }
            while self.wires.contains_key(&conn) {
                let closed = self.deliver(conn, usize::MAX).is_none();
                self.drain();
                if closed {
                    break;
                }
                any = true;
            }
        }
        self.drain();
        any
    }

    /// Turns until nothing is left to do at this moment.
    pub fn quiesce(&mut self) {
        for _ in 0..400 {
            if !self.turn() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Ends the session and looks at what is left of it.
    pub fn finish(&mut self, cooperative: bool) {
        self.skew = Duration::ZERO;
        for member in 0..self.cluster.members.len() {
            self.cluster.heal(member);
        }
        self.session.close(self.now, Duration::from_secs(3));
        for _ in 0..400 {
            self.settle();
            if self.session.is_finished() {
                break;
            }
            let turned = cooperative && self.turn();
            if !turned && !self.session.is_finished() {
                let next = self.session.poll_timeout().expect("something is awaited");
                self.advance(next.saturating_duration_since(self.now));
            }
        }
        assert!(self.session.is_finished(), "the close never ends");
        assert!(self.wires.is_empty(), "connections are left");
        self.checks.finished(&self.cluster.applied);
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

/// What the security layer of these tests does to each byte.
pub const MASK: u8 = 0x5a;
