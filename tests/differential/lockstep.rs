//! Two servers, asked the same things at the same time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use zk_proto::{ConnectReply, ConnectRequest, OpCode, Password, SessionId, Xid, frame, put_int};

use super::compare::{Seen, Side, compare_times, sort_events};
use super::listed::Listed;
use super::odd::hex;
use super::requests::Ask;
use super::wire::{Got, Wire};

/// How many of the last operations are shown with a difference.
const SHOWN: usize = 40;

/// A connection to each of the two servers.
pub(super) struct Slot {
    wires: [Wire; 2],
    pub(super) session: usize,
    xid: i32,
}

/// A session with each of the two servers.
pub(super) struct Session {
    ids: [(SessionId, Password); 2],
    /// Whether it was not closed.
    pub(super) open: bool,
    pub(super) slot: Option<usize>,
}

/// Which session a greeting is for, and what is wrong with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Claim {
    New,
    Known(usize),
    WrongPassword(usize),
    Unknown,
}

/// How a connection begins.
#[derive(Clone, Debug)]
pub(super) struct Greet {
    pub(super) claim: Claim,
    pub(super) timeout: i32,
    pub(super) last_zxid: i64,
    pub(super) read_only: Option<bool>,
    /// For a new session.
    pub(super) password: Password,
    pub(super) version: i32,
}

/// A reply that is to come: its operation, and how it may differ.
type Expected = (OpCode, Option<&'static Listed>);

pub(super) struct Lockstep {
    addresses: [SocketAddr; 2],
    sides: [Side; 2],
    pub(super) slots: Vec<Option<Slot>>,
    pub(super) sessions: Vec<Session>,
    /// How many operations there were.
    pub(super) count: usize,
    /// How many known differences there were.
    pub(super) forgiven: usize,
    /// How often each operation was answered with each code.
    pub(super) answers: BTreeMap<(OpCode, i32), usize>,
    /// How often each event was seen.
    pub(super) events: BTreeMap<i32, usize>,
    log: VecDeque<String>,
    frames: [Vec<Bytes>; 2],
    title: String,
}

impl Lockstep {
    pub(super) fn new(addresses: [SocketAddr; 2], slots: usize, title: String) -> Self {
        Self {
            addresses,
            sides: Default::default(),
            slots: (0..slots).map(|_| None).collect(),
            sessions: Vec::new(),
            count: 0,
            forgiven: 0,
            answers: BTreeMap::new(),
            events: BTreeMap::new(),
            log: VecDeque::new(),
            frames: Default::default(),
            title,
        }
    }

    /// Sends requests in one go and compares all that comes until they are answered. `xid` replaces
    /// the number of the first.
    pub(super) fn ask(&mut self, at: usize, asks: &[&Ask], xid: Option<i32>) -> Vec<Seen> {
        let slot = self.slots[at].as_mut().unwrap();
        let mut bytes = Vec::new();
        for (index, ask) in asks.iter().enumerate() {
            slot.xid += 1;
            let usual = match ask.opcode {
                OpCode::PING => Xid::PING.0,
                OpCode::AUTH => Xid::AUTH.0,
                _ => slot.xid,
            };
            let xid = xid.filter(|_| index == 0).unwrap_or(usual);
            frame(&mut bytes, |out| {
                put_int(out, xid);
                put_int(out, ask.opcode.0);
                out.extend_from_slice(&ask.body);
            });
        }
        for wire in &mut slot.wires {
            wire.send(&bytes);
        }
        for ask in asks {
            self.note(format!("{at}: {}", ask.what));
        }
        let expected: Vec<_> = asks.iter().map(|ask| (ask.opcode, ask.listed)).collect();
        let unordered = asks.iter().any(|ask| ask.opcode == OpCode::CLOSE_SESSION);
        self.hear(at, &expected, unordered)
    }

    /// Compares what comes until a ping is answered, or the connection has been closed.
    pub(super) fn drain(&mut self, at: usize, unordered: bool) -> Vec<Seen> {
        let slot = self.slots[at].as_mut().unwrap();
        let mut bytes = Vec::new();
        frame(&mut bytes, |out| {
            put_int(out, Xid::PING.0);
            put_int(out, OpCode::PING.0);
        });
        for wire in &mut slot.wires {
            wire.send(&bytes);
        }
        self.hear(at, &[(OpCode::PING, None)], unordered)
    }

    pub(super) fn drain_all(&mut self, unordered: bool) {
        for at in 0..self.slots.len() {
            if self.slots[at].is_some() {
                self.drain(at, unordered);
            }
        }
    }

    /// Compares what comes until both servers have closed the connection.
    pub(super) fn expect_close(&mut self, at: usize, unordered: bool) -> Vec<Seen> {
        let endless = [(OpCode::ERROR, None); 1000];
        self.hear(at, &endless, unordered)
    }

    /// Sends bytes that are not a frame of a request.
    pub(super) fn send_raw(&mut self, at: usize, bytes: &[u8]) {
        self.note(format!("{at}: bytes {}", hex(bytes)));
        for wire in &mut self.slots[at].as_mut().unwrap().wires {
            wire.send(bytes);
        }
    }

    /// Reads replies, and the events between, from both, and compares. A slot which both have closed
    /// is empty after it.
    fn hear(&mut self, at: usize, expected: &[Expected], unordered: bool) -> Vec<Seen> {
        let slot = self.slots[at].as_mut().unwrap();
        let [mut real, mut ours] = [0, 1].map(|server| {
            let mut seen = Vec::new();
            self.frames[server].clear();
            let mut expected = expected.iter().map(|(opcode, _)| *opcode);
            let mut next = expected.next();
            while let Some(opcode) = next {
                let message = match slot.wires[server].read() {
                    Got::Frame(frame) => {
                        let message = self.sides[server].message(&frame, opcode);
                        self.frames[server].push(frame);
                        message
                    }
                    Got::Closed => Seen::Closed,
                    Got::Silence => Seen::Silence,
                };
                match message {
                    Seen::Event { .. } => {}
                    Seen::Closed | Seen::Silence => next = None,
                    // A check that succeeds is not answered by 3.8.
                    Seen::Reply { xid, .. } if xid == Xid::PING.0 && opcode == OpCode::CHECK => {
                        next = None;
                    }
                    _ => next = expected.next(),
                }
                seen.push(message);
            }
            seen
        });
        if unordered {
            sort_events(&mut real);
            sort_events(&mut ours);
        }
        self.forgive(expected, &real, &mut ours);
        if real != ours || real.contains(&Seen::Silence) {
            self.differ(&real, &ours);
        }
        self.take_count(expected, &real);
        if let Some(last) = self.log.back_mut() {
            if real.len() > 1 || expected != [(OpCode::PING, None)] {
                let _ = write!(last, "\n      {real:?}");
            }
        }
        if real.last() == Some(&Seen::Closed) {
            self.abandon(at);
        }
        real
    }

    fn take_count(&mut self, expected: &[Expected], seen: &[Seen]) {
        let mut expected = expected.iter();
        for seen in seen {
            match seen {
                Seen::Event { event, .. } => *self.events.entry(event.kind.0).or_default() += 1,
                Seen::Reply { err, .. } => {
                    if let Some((opcode, _)) = expected.next() {
                        *self.answers.entry((*opcode, err.0)).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes the known differences out of what ours has said.
    fn forgive(&mut self, expected: &[Expected], real: &[Seen], ours: &mut [Seen]) {
        let replies = |seen: &&Seen| matches!(seen, Seen::Reply { .. });
        let theirs = real.iter().filter(replies);
        let mine = ours.iter_mut().filter(|seen| replies(&&**seen));
        for ((theirs, mine), (_, listed)) in theirs.zip(mine).zip(expected) {
            if listed.is_some_and(|listed| listed.forgive(theirs, mine)) {
                self.forgiven += 1;
            }
        }
    }

    /// Closes a connection from here.
    pub(super) fn abandon(&mut self, at: usize) {
        if let Some(slot) = self.slots[at].take() {
            let session = &mut self.sessions[slot.session];
            if session.slot == Some(at) {
                session.slot = None;
            }
        }
    }

    /// Opens a connection in an empty slot. Returns whether there is a session on it.
    pub(super) fn greet(&mut self, at: usize, greet: &Greet) -> bool {
        let held_at = match greet.claim {
            Claim::Known(number) | Claim::WrongPassword(number) => self.sessions[number].slot,
            Claim::New | Claim::Unknown => None,
        };
        if let Some(other) = held_at {
            // What is on its way when the connection is closed may be lost.
            self.drain(other, false);
        }
        self.note(format!("{at}: {greet:?}"));
        let number = self.sessions.len();
        let mut ids = [(SessionId::NONE, Password::NULL); 2];
        let mut seen = [Seen::Silence, Seen::Silence];
        let wires = [0, 1].map(|server| {
            let mut wire = self.wire(server);
            let mut bytes = Vec::new();
            frame(&mut bytes, |out| self.request(server, greet).encode(out));
            wire.send(&bytes);
            seen[server] = match wire.read() {
                Got::Frame(frame) => {
                    let (seen, reply) = self.sides[server].greeting(&frame, number);
                    if let Some(ConnectReply::Response(response)) = reply {
                        ids[server] = (response.session_id, response.password);
                    }
                    seen
                }
                Got::Closed => Seen::Closed,
                Got::Silence => Seen::Silence,
            };
            wire
        });
        let [real, ours] = &seen;
        if real != ours || *real == Seen::Silence {
            self.differ(std::slice::from_ref(real), std::slice::from_ref(ours));
        }
        if let Some(last) = self.log.back_mut() {
            let _ = write!(last, "\n      {real:?}");
        }
        let session = match real {
            Seen::Greeting { session, .. } => *session,
            _ => None,
        };
        if let Some(session) = session {
            if session == number {
                self.sessions.push(Session {
                    ids,
                    open: true,
                    slot: None,
                });
            }
            self.sessions[session].slot = Some(at);
            self.slots[at] = Some(Slot {
                wires,
                session,
                xid: 0,
            });
        } else if *real != Seen::Closed {
            self.both_close(wires);
        }
        if let Some(other) = held_at {
            self.drain(other, false);
        }
        session.is_some()
    }

    /// Sends bytes to new connections, of which the servers are to say the same and then hang up.
    pub(super) fn strangers(&mut self, bytes: &[u8]) {
        self.note(format!("new connection: bytes {}", hex(bytes)));
        let wires = [0, 1].map(|server| {
            let mut wire = self.wire(server);
            wire.send(bytes);
            wire
        });
        self.both_close(wires);
    }

    fn wire(&self, server: usize) -> Wire {
        Wire::open(self.addresses[server]).unwrap_or_else(|| {
            let mut seen: [&[Seen]; 2] = Default::default();
            seen[server] = &[Seen::Silence];
            self.differ(seen[0], seen[1])
        })
    }

    fn both_close(&mut self, wires: [Wire; 2]) {
        let [real, ours] = wires.map(|mut wire| {
            let (bytes, end) = wire.read_to_end();
            let end = match end {
                Got::Closed => Seen::Closed,
                Got::Frame(_) | Got::Silence => Seen::Silence,
            };
            [Seen::Other(bytes), end]
        });
        if real != ours || real.contains(&Seen::Silence) {
            self.differ(&real, &ours);
        }
    }

    fn request(&self, server: usize, greet: &Greet) -> ConnectRequest {
        let (session_id, password) = match greet.claim {
            Claim::New => (SessionId::NONE, greet.password),
            Claim::Known(number) => self.sessions[number].ids[server],
            Claim::WrongPassword(number) => (self.sessions[number].ids[server].0, greet.password),
            Claim::Unknown => (SessionId(0x0123_4567_89ab), greet.password),
        };
        ConnectRequest {
            protocol_version: greet.version,
            last_zxid_seen: zk_proto::Zxid(greet.last_zxid),
            timeout: greet.timeout,
            session_id,
            password,
            read_only: greet.read_only,
        }
    }

    /// Compares when the servers did what they did.
    pub(super) fn check_times(&mut self) {
        if let Some(fault) = compare_times(&self.sides[0], &self.sides[1]) {
            panic!("{}: {fault}", self.title);
        }
    }

    fn note(&mut self, what: String) {
        self.count += 1;
        if self.log.len() == SHOWN {
            self.log.pop_front();
        }
        self.log.push_back(what);
    }

    fn differ(&self, real: &[Seen], ours: &[Seen]) -> ! {
        let mut text = format!("{}: they differ at operation {}\n", self.title, self.count);
        for line in &self.log {
            let _ = writeln!(text, "  {line}");
        }
        for (name, seen, frames) in [
            ("real", real, &self.frames[0]),
            ("ours", ours, &self.frames[1]),
        ] {
            for seen in seen {
                let _ = writeln!(text, "{name}: {seen:?}");
            }
            for frame in frames {
                let _ = writeln!(text, "{name}: {}", hex(frame));
            }
        }
        panic!("{text}");
    }
}
