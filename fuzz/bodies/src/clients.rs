//! A server and clients that mean harm.
//!
//! An input is a byte with the options, one that says how often to run and how to cut, and a list of
//! steps, each a byte that says which, see [`World::step`], and the bytes that the step takes. There
//! are a few places for connections; a step names the place. Whatever the clients do, the server goes
//! on, and serves the next honest one.

mod honest;
mod options;
mod requests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use zk_proto::{ConnectRequest, ErrorCode, OpCode, Password, SessionId, Zxid, frame};
use zk_rig::world::epoch;
use zk_server::{ConnId, Fault, Matcher, Output, Standalone};

use crate::cursor::Cursor;
use options::Limits;

/// Connections at the same time.
const PLACES: usize = 5;

/// The connection of an honest client.
const HONEST: ConnId = ConnId(0);

/// What operators ask.
const WORDS: [&str; 16] = [
    "ruok", "srvr", "mntr", "stat", "cons", "dump", "wchs", "wchc", "wchp", "envi", "conf", "isro",
    "crst", "srst", "dirs", "gtmk",
];

/// The most that the server keeps for a byte that it received. A watch has the most beside its path:
/// places in several tables.
const EACH: u64 = 512;
/// What it takes anyway, and what a reply takes that gathers the data of many nodes.
const LEAST: u64 = 4 << 20;

/// A server whose clients are hostile.
///
/// # Panics
/// If the server breaks a promise, takes more memory than what it received accounts for, or does not
/// do the same again.
pub fn server_bytes(input: &[u8]) {
    let mut cursor = Cursor::new(input);
    let options = cursor.byte();
    let check = cursor.byte();
    let steps = cursor.rest();
    let once = run(options, usize::MAX, steps);
    let piece = match check % 4 {
        0 | 1 => return,
        2 => usize::MAX,
        _ => 1 + usize::from(check / 4),
    };
    let again = run(options, piece, steps);
    assert_eq!(once, again, "not the same again, in pieces of {piece}");
}

/// Runs the steps, with all that is sent in pieces, and says what was answered on each connection.
fn run(options: u8, piece: usize, steps: &[u8]) -> BTreeMap<ConnId, Heard> {
    let mut heard = None;
    let mut received = 0;
    let taken = allocation_counter::measure(|| {
        let mut cursor = Cursor::new(steps);
        let mut world = World::new(options, piece);
        while !cursor.is_empty() {
            world.step(&mut cursor);
        }
        world.finish();
        received = world.received;
        heard = Some(world.heard);
    });
    let all = received + steps.len() as u64;
    let bound = EACH * all + LEAST;
    let most = taken.bytes_max;
    assert!(most <= bound, "{received} bytes received took {most}");
    heard.expect("it ran just now")
}

/// What a connection was sent.
#[derive(Debug, Eq, PartialEq)]
struct Heard {
    bytes: u64,
    /// FNV-1a of them.
    sum: u64,
    /// How it was closed by the server.
    closed: Option<bool>,
}

impl Heard {
    const NOTHING: Self = Self {
        bytes: 0,
        sum: 0xcbf2_9ce4_8422_2325,
        closed: None,
    };

    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sum = bytes.iter().fold(self.sum, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    }
}

struct World {
    server: Standalone,
    limits: Limits,
    now: std::time::Instant,
    places: [Option<ConnId>; PLACES],
    /// Connections whose clients do not read.
    full: [bool; PLACES],
    next: u64,
    piece: usize,
    heard: BTreeMap<ConnId, Heard>,
    received: u64,
    /// Sessions that were opened, with their passwords.
    sessions: Vec<(SessionId, Password)>,
    out: Vec<u8>,
    /// What the honest client was answered.
    answer: Vec<u8>,
}

impl World {
    fn new(flags: u8, piece: usize) -> Self {
        let (options, limits) = options::options(flags);
        let wall = UNIX_EPOCH + Duration::from_millis(1_700_000_000_000);
        Self {
            server: Standalone::new(Arc::new(options), [7; 32], epoch(), wall),
            limits,
            now: epoch(),
            places: [None; PLACES],
            full: [false; PLACES],
            next: 1,
            piece,
            heard: BTreeMap::new(),
            received: 0,
            sessions: Vec::new(),
            out: Vec::new(),
            answer: Vec::new(),
        }
    }

    /// One step. Seeds are written with the same numbers: see `seeds`.
    fn step(&mut self, cursor: &mut Cursor<'_>) {
        let step = cursor.byte() % 24;
        match step {
            step::WAIT => return self.advance(Duration::from_millis(u64::from(cursor.short()))),
            step::DUE => {
                let due = self.server.poll_timeout();
                // Not to the end of the world, where the time to live of a node may lie.
                let most = self.now + Duration::from_secs(1 << 20);
                self.now = due.map_or(self.now, |due| self.now.max(due.min(most)));
                return self.settle();
            }
            step::FAULT => return self.fault(cursor),
            step::CALL => return self.call(cursor.byte()),
            _ => {}
        }
        let place = usize::from(cursor.byte());
        let (place, how) = (place % PLACES, place / PLACES);
        match step {
            step::RAW | step::FRAME | step::LONG => {
                let length = match step {
                    step::LONG => usize::from(cursor.short()) % 4096,
                    _ => usize::from(cursor.byte()),
                };
                let bytes = cursor.take(length);
                let mut framed = Vec::new();
                match step {
                    step::FRAME => frame(&mut framed, |out| out.extend_from_slice(bytes)),
                    _ => framed.extend_from_slice(bytes),
                }
                self.say(place, &framed);
            }
            step::GREET => {
                let greeting = self.greeting(cursor);
                self.say(place, &greeting);
            }
            step::OPEN => {
                self.close(place);
                let greeting = self.greeting(&mut Cursor::new(&[]));
                self.say(place, &greeting);
            }
            step::WORD => {
                let word = WORDS[how % WORDS.len()];
                self.say(place, word.as_bytes());
            }
            step::FLOOD => {
                let times = usize::from(cursor.byte());
                let bytes = requests::request(cursor).repeat(1 + times % 64);
                self.say(place, &bytes);
            }
            step::MUTATE => {
                let mut bytes = requests::request(cursor);
                let at = usize::from(cursor.byte()) % bytes.len();
                match how % 4 {
                    0 => bytes[at] = cursor.byte(),
                    1 => bytes[at] ^= cursor.byte(),
                    2 => bytes.truncate(at),
                    _ => {
                        // Shorter, and honest about it.
                        bytes.truncate(at.max(4));
                        let length = u32::try_from(bytes.len() - 4).expect("it is short");
                        bytes[..4].copy_from_slice(&length.to_be_bytes());
                    }
                }
                self.say(place, &bytes);
            }
            step::FULL => self.full[place] = how % 2 == 0,
            step::TAKE => {
                if let Some(conn) = self.places[place] {
                    self.take(conn);
                }
            }
            step::CLOSED => self.close(place),
            step::GHOST => {
                let ghost = ConnId(1 << 40 | place as u64);
                self.server.handle_data(self.now, ghost, b"ruok");
                self.server.handle_closed(self.now, ghost);
                assert_eq!(self.server.poll_transmit(ghost, &mut self.out), 0);
                assert!(!self.server.wants_read(ghost));
            }
            _ => {
                let bytes = requests::request(cursor);
                self.say(place, &bytes);
            }
        }
        self.drain();
    }

    /// A connect request: of a new session, or of one that there is or was.
    fn greeting(&self, cursor: &mut Cursor<'_>) -> Vec<u8> {
        let flags = cursor.byte();
        let known = usize::from(flags >> 4).checked_sub(1);
        let known = known.and_then(|which| self.sessions.get(which));
        let (session_id, mut password) =
            known.map_or((SessionId::NONE, Password::EMPTY), |known| *known);
        if flags & 12 == 12 {
            password = Password::from([flags; 16]);
        }
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(if flags & 12 == 8 { i64::MAX } else { 0 }),
            timeout: [10_000, 1, -5, i32::MAX][usize::from(flags & 3)],
            session_id: if flags & 15 == 15 {
                SessionId(-1)
            } else {
                session_id
            },
            password,
            read_only: [Some(false), Some(true), None, Some(false)][usize::from(flags >> 2 & 3)],
        };
        let mut bytes = Vec::new();
        frame(&mut bytes, |out| request.encode(out));
        bytes
    }

    /// Sends, on a connection that is made if there is none.
    fn say(&mut self, place: usize, bytes: &[u8]) {
        let conn = match self.places[place] {
            Some(conn) => conn,
            None => self.accept(place),
        };
        self.received += bytes.len() as u64;
        for piece in bytes.chunks(self.piece.min(bytes.len()).max(1)) {
            self.server.handle_data(self.now, conn, piece);
        }
    }

    fn accept(&mut self, place: usize) -> ConnId {
        let conn = ConnId(self.next);
        self.next += 1;
        let peer: SocketAddr = ([10, 0, 0, place as u8 / 2], 4000).into();
        self.places[place] = Some(conn);
        self.full[place] = false;
        self.heard.insert(conn, Heard::NOTHING);
        self.server.handle_accept(self.now, conn, peer);
        conn
    }

    fn close(&mut self, place: usize) {
        if let Some(conn) = self.places[place].take() {
            self.server.handle_closed(self.now, conn);
        }
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now);
        self.drain();
    }

    /// What is due is done, after which nothing more is due. A reply that was held back until now
    /// makes room for requests behind it, whose replies may be held back until now as well.
    fn settle(&mut self) {
        for _ in 0..8 + self.server.pending_faults() {
            self.server.handle_timeout(self.now);
            self.drain();
            if self.server.poll_timeout().is_none_or(|due| due > self.now) {
                return;
            }
        }
        panic!("a busy loop");
    }

    /// Does what the server asks for.
    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit(conn) => {
                    let place = self.places.iter().position(|place| *place == Some(conn));
                    if place.is_none_or(|place| !self.full[place]) {
                        self.take(conn);
                    }
                }
                Output::Close { conn, abort } => {
                    if !abort {
                        self.take(conn);
                    }
                    self.server.handle_closed(self.now, conn);
                    let heard = self.heard.get_mut(&conn).expect("it was accepted");
                    assert_eq!(heard.closed.replace(abort), None, "{conn} closed twice");
                    for place in &mut self.places {
                        place.take_if(|place| *place == conn);
                    }
                }
            }
        }
        self.look();
    }

    /// Takes all that there is for a connection, as its socket would.
    fn take(&mut self, conn: ConnId) {
        loop {
            self.out.clear();
            let taken = self.server.poll_transmit(conn, &mut self.out);
            assert_eq!(taken, self.out.len(), "it says what it appends");
            assert!(taken <= self.limits.output, "{taken} bytes waited");
            if taken == 0 {
                break;
            }
            let heard = self.heard.get_mut(&conn).expect("it was accepted");
            assert_eq!(
                heard.closed, None,
                "{conn} was sent something after its end"
            );
            let greeted = heard.bytes == 0;
            heard.add(&self.out);
            if conn == HONEST {
                self.answer.extend_from_slice(&self.out);
            }
            if greeted {
                self.sessions.extend(honest::credentials(&self.out));
            }
        }
    }

    /// What can be seen from outside is consistent.
    fn look(&self) {
        let member = self.server.member();
        assert!(member.connections() <= 2 * PLACES + 1);
        let tree = self.server.tree();
        assert!(tree.data_size() as u64 <= 1000 + 2 * self.received);
        assert!(tree.node_count() as u64 <= 10 + self.received / 16);
        assert!(tree.ephemeral_count() <= tree.node_count());
    }

    fn fault(&mut self, cursor: &mut Cursor<'_>) {
        let (which, how) = (cursor.byte(), cursor.byte());
        let mut matcher = Matcher::any().skip(usize::from(how >> 4 & 3));
        if which & 8 != 0 {
            matcher = matcher.opcode(OpCode(i32::from(how & 15)));
        }
        if which & 16 != 0 {
            matcher = matcher.path("/a");
        }
        let fault = match which & 7 {
            0 => Fault::CutBefore,
            1 => Fault::CutAfter,
            2 => Fault::Hold,
            3 => Fault::Delay(Duration::from_millis(u64::from(how) * 50)),
            4 => Fault::Corrupt,
            _ => Fault::Answer(ErrorCode(-i32::from(how))),
        };
        if self.server.pending_faults() < 20 {
            self.server.inject(matcher, fault);
        }
    }

    fn call(&mut self, which: u8) {
        let now = self.now;
        let conn = self.places[usize::from(which >> 4) % PLACES].unwrap_or(ConnId(1));
        let session = self.sessions.get(usize::from(which >> 4));
        let session = session.map_or(SessionId(1), |(session, _)| *session);
        match which % 12 {
            0 => self.server.cut(now, conn),
            1 => self.server.cut_session(now, session),
            2 => self.server.cut_all(now),
            3 => self.server.hold(conn),
            4 => self.server.release(now),
            5 => self.server.expire(now, session),
            6 => self.server.refuse_connects(),
            7 => self.server.accept_connects(),
            8 => self.server.substitute_session(session),
            9 => self.server.become_read_only(now),
            10 => self.server.become_writable(now),
            _ => self.server.clear_faults(),
        }
        self.drain();
    }
}

/// The numbers of the steps.
pub(crate) mod step {
    pub(crate) const RAW: u8 = 0;
    pub(crate) const FRAME: u8 = 1;
    pub(crate) const LONG: u8 = 2;
    pub(crate) const GREET: u8 = 3;
    /// A connection with a new session.
    pub(crate) const OPEN: u8 = 4;
    pub(crate) const WORD: u8 = 5;
    pub(crate) const FLOOD: u8 = 6;
    pub(crate) const MUTATE: u8 = 7;
    pub(crate) const FULL: u8 = 8;
    pub(crate) const TAKE: u8 = 9;
    pub(crate) const CLOSED: u8 = 10;
    pub(crate) const GHOST: u8 = 11;
    pub(crate) const WAIT: u8 = 12;
    pub(crate) const DUE: u8 = 13;
    pub(crate) const FAULT: u8 = 14;
    pub(crate) const CALL: u8 = 15;
    /// This one and all above.
    pub(crate) const REQUEST: u8 = 16;
}
