//! One run: operations from a seed, on two servers.

use std::collections::BTreeSet;
use std::env;
use std::net::SocketAddr;
use std::time::Instant;

use zk_proto::{ErrorCode, MultiOp, OpCode, Password, Reply, Request, WireMode};

use super::compare::Seen;
use super::listed::{FOREIGN_WATCH, WATCH_WITHOUT_SLASH};
use super::lockstep::{Claim, Greet, Lockstep};
use super::odd::MAX_FRAME;
use super::requests::{self, Ask};
use super::rng::Rng;
use super::world::World;

/// How many connections there are at a time.
const SLOTS: usize = 6;

/// How many operations there are between two looks at the whole tree.
const WALK: usize = 3_000;

/// When set, the numbers of answers are shown.
const COUNTS: &str = "ZK_DIFF_COUNTS";

/// From how many operations on each kind must have been there.
const ENOUGH: usize = 10_000;

/// The operations that succeed now and then.
const SUCCEED: [OpCode; 26] = [
    OpCode::CREATE,
    OpCode::CREATE2,
    OpCode::CREATE_CONTAINER,
    OpCode::CREATE_TTL,
    OpCode::DELETE,
    OpCode::EXISTS,
    OpCode::GET_DATA,
    OpCode::SET_DATA,
    OpCode::GET_ACL,
    OpCode::SET_ACL,
    OpCode::GET_CHILDREN,
    OpCode::GET_CHILDREN2,
    OpCode::SYNC,
    OpCode::PING,
    OpCode::MULTI,
    OpCode::MULTI_READ,
    OpCode::ADD_WATCH,
    OpCode::CHECK_WATCHES,
    OpCode::REMOVE_WATCHES,
    OpCode::SET_WATCHES,
    OpCode::SET_WATCHES2,
    OpCode::AUTH,
    OpCode::WHO_AM_I,
    OpCode::GET_EPHEMERALS,
    OpCode::GET_ALL_CHILDREN_NUMBER,
    OpCode::CLOSE_SESSION,
];

/// No session ends by itself during a run.
pub(super) const SESSION_TIMEOUT: (i32, i32) = (600_000, 900_000);

/// Two servers that have just been started.
pub(super) struct Pair {
    pub(super) title: String,
    pub(super) addresses: [SocketAddr; 2],
    /// Whether they are of 3.8: there, a check outside of a multi is not answered when it succeeds.
    pub(super) is_3_8: bool,
}

struct Run {
    is_3_8: bool,
    rng: Rng,
    world: World,
    both: Lockstep,
}

/// Compares two servers, and panics where they differ.
pub(super) fn run(pair: &Pair, seed: u64, operations: usize) {
    let title = format!("{}, ZK_DIFF_SEED={seed}", pair.title);
    println!("differential: {title}, {operations} operations");
    let begin = Instant::now();
    let mut run = Run {
        is_3_8: pair.is_3_8,
        rng: Rng::new(seed),
        world: World::default(),
        both: Lockstep::new(pair.addresses, SLOTS, title.clone()),
    };
    let (mut next_walk, mut walks) = (WALK, 0);
    while run.both.count < operations {
        run.step();
        if run.both.count >= next_walk {
            next_walk = run.both.count + WALK;
            walks += 1;
            run.walk(walks % 3 == 0);
        }
    }
    run.walk(true);
    let taken = begin.elapsed().as_secs_f64();
    println!(
        "differential: {title}: {} operations in {taken:.1} s, {} listed differences",
        run.both.count, run.both.forgiven
    );
    if env::var_os(COUNTS).is_some() {
        println!("events: {:?}", run.both.events);
        for ((opcode, err), count) in &run.both.answers {
            println!("{opcode}: {}: {count}", ErrorCode(*err));
        }
    }
    if operations >= ENOUGH {
        run.assert_covered();
    }
}

impl Run {
    /// A generator that asks for nothing would find no difference.
    fn assert_covered(&self) {
        for opcode in SUCCEED {
            let count = self.both.answers.get(&(opcode, 0)).copied();
            let count = count.unwrap_or_default();
            assert!(count > 2, "{opcode} has succeeded {count} times");
        }
        for kind in 1..=4 {
            let count = self.both.events.get(&kind).copied().unwrap_or_default();
            assert!(count > 50, "event {kind} was seen {count} times");
        }
        let codes: BTreeSet<_> = self.both.answers.keys().map(|(_, err)| *err).collect();
        assert!(codes.len() >= 12, "only these were seen: {codes:?}");
    }

    fn step(&mut self) {
        let at = self.rng.below(SLOTS);
        if self.both.slots[at].is_none() {
            self.open(at);
            return;
        }
        match self.rng.weighted(&[9500, 200, 60, 40, 15]) {
            0 => self.ask(at),
            1 => self.burst(at),
            2 => self.both.abandon(at),
            3 => self.close_session(at),
            _ => self.junk(at),
        }
    }

    fn ask(&mut self, at: usize) {
        let ask = requests::any(&self.world, &mut self.rng);
        let ask = self.listed(ask);
        let special = [0, -8, -2, -4, i32::MIN, i32::MAX];
        let xid = self.rng.one_in(200).then(|| *self.rng.pick(&special));
        let large = ask.body.len() > MAX_FRAME / 2;
        if large {
            // A connection that is closed while it is sent to may lose what was on its way back.
            self.both.drain(at, false);
        }
        let seen = if self.is_3_8 && ask.opcode == OpCode::CHECK {
            let ping = Ask::of(Request::Ping);
            self.both.ask(at, &[&ask, &ping], None)
        } else {
            self.both.ask(at, &[&ask], xid)
        };
        self.learn(&[ask], &seen);
        if self.both.slots[at].is_none() {
            return;
        }
        // The errors that cost a connection: of an unknown operation, and of a bad credential.
        let fatal = |seen: &Seen| match seen {
            Seen::Reply { zxid, err, .. } => {
                (*err == ErrorCode::UNIMPLEMENTED && *zxid == -1) || *err == ErrorCode::AUTH_FAILED
            }
            _ => false,
        };
        if seen.iter().any(fatal) {
            self.both.expect_close(at, false);
        } else if large {
            self.both.drain(at, false);
        }
    }

    /// Several requests, one behind the other.
    fn burst(&mut self, at: usize) {
        let mut asks: Vec<Ask> = Vec::new();
        let mut writes = 0;
        for _ in 0..2 + self.rng.below(6) {
            let request = requests::good(&self.world, &mut self.rng);
            match &request {
                // Neither is answered in its turn.
                Request::Auth { .. } | Request::Check { .. } => continue,
                // When 3.8 gives up on one, what it has done so far may be seen by what follows.
                Request::Multi(ops) if ops.iter().any(has_odd_mode) => continue,
                // Quotas are checked against what is used before the writes that are under way.
                request if self.world.hard_quota && request.is_write() && writes > 0 => continue,
                _ => {}
            }
            writes += usize::from(request.is_write());
            // The new list does not hold for the writes behind it until it is in the tree, and until
            // then the flags of a node count for its children, whatever the operation made of them.
            let is_last = match &request {
                Request::SetAcl { .. } => true,
                Request::Create { mode, .. } => matches!(mode, WireMode::Raw(_)),
                _ => false,
            };
            asks.push(self.listed(Ask::of(request)));
            if is_last {
                break;
            }
        }
        let all: Vec<_> = asks.iter().collect();
        if !all.is_empty() {
            let seen = self.both.ask(at, &all, None);
            self.learn(&asks, &seen);
        }
    }

    /// The request with what is known of its answers.
    fn listed(&self, ask: Ask) -> Ask {
        if !self.is_3_8 || ask.opcode != OpCode::CHECK_WATCHES {
            return ask;
        }
        // The length of the path is in front of it.
        if ask.body.get(4) == Some(&b'/') {
            ask.listed(&FOREIGN_WATCH)
        } else {
            ask.listed(&WATCH_WITHOUT_SLASH)
        }
    }

    fn learn(&mut self, asks: &[Ask], seen: &[Seen]) {
        let replies = seen
            .iter()
            .filter(|seen| matches!(seen, Seen::Reply { .. }));
        for (ask, reply) in asks.iter().zip(replies) {
            if let Some(request) = &ask.request {
                self.world.learn(request, reply);
            }
            if let Seen::Reply { zxid, .. } = reply {
                self.world.zxid = self.world.zxid.max(*zxid);
            }
        }
    }

    fn close_session(&mut self, at: usize) {
        let Some(slot) = &self.both.slots[at] else {
            return;
        };
        let session = slot.session;
        self.both.drain_all(false);
        let close = Ask::of(Request::CloseSession);
        self.both.ask(at, &[&close], None);
        self.both.sessions[session].open = false;
        if self.both.slots[at].is_some() {
            self.both.expect_close(at, true);
        }
        // The nodes of a session are deleted in no particular order.
        self.both.drain_all(true);
    }

    /// Frames that are too short for a request, or have no length.
    fn junk(&mut self, at: usize) {
        self.both.drain(at, false);
        let bytes = match self.rng.below(4) {
            0 => vec![0xff, 0xff, 0xff, 0xff],
            1 => vec![0x7f, 0xff, 0xff, 0xff],
            2 => b"ruok".to_vec(),
            _ => {
                let length = self.rng.below(8);
                let mut bytes: Vec<u8> = vec![0, 0, 0, length as u8];
                bytes.resize(4 + length, 0);
                bytes
            }
        };
        self.both.send_raw(at, &bytes);
        self.both.expect_close(at, false);
    }

    /// Begins a connection.
    fn open(&mut self, at: usize) {
        let sessions = &self.both.sessions;
        let open: Vec<_> = (0..sessions.len())
            .filter(|at| sessions[*at].open)
            .collect();
        let away: Vec<_> = (open.iter().copied())
            .filter(|at| sessions[*at].slot.is_none())
            .collect();
        let rng = &mut self.rng;
        let claim = match rng.weighted(&[40, 40, 5, 4, 4, 3, 4]) {
            6 => return self.strange(),
            5 if !sessions.is_empty() => Claim::WrongPassword(rng.below(sessions.len())),
            4 => Claim::Unknown,
            3 if !sessions.is_empty() => Claim::Known(rng.below(sessions.len())),
            2 if !open.is_empty() => Claim::Known(*rng.pick(&open)),
            0 if away.len() < 4 => Claim::New,
            _ if !away.is_empty() => Claim::Known(*rng.pick(&away)),
            _ => Claim::New,
        };
        let zxid = self.world.zxid;
        let greet = Greet {
            claim,
            timeout: *rng.pick(&[600_000, 700_000, 900_000, 0, -1, 1, i32::MAX, i32::MIN]),
            last_zxid: *rng.pick(&[0, 0, zxid, zxid, zxid - 5, -1, zxid + 100, i64::MAX]),
            read_only: *rng.pick(&[Some(false), Some(false), Some(true), None]),
            password: *rng.pick(&[
                Password::NULL,
                Password::EMPTY,
                Password::from([0; 16]),
                Password::from([7; 16]),
            ]),
            version: *rng.pick(&[0, 0, 0, 7, -1]),
        };
        self.both.greet(at, &greet);
    }

    /// A connection of somebody who does not speak the protocol.
    fn strange(&mut self) {
        let words: [&[u8]; 8] = [
            b"ruok",
            b"isro",
            b"xxxx",
            b"GET / HTTP/1.1\r\n\r\n",
            &[0, 0, 0, 0],
            &[0, 0, 0, 3, 0, 0, 0],
            &[0xff; 4],
            &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        self.both.strangers(self.rng.pick::<&[u8]>(&words));
    }

    /// Looks at every node, as somebody for whom no list counts; afterwards there is none, if so
    /// asked.
    fn walk(&mut self, clear: bool) {
        self.both.drain_all(false);
        self.both.check_times();
        let at = 0;
        let greet = Greet {
            claim: Claim::New,
            timeout: 600_000,
            last_zxid: 0,
            read_only: Some(false),
            password: Password::from([0; 16]),
            version: 0,
        };
        if self.both.slots[at].is_none() {
            assert!(self.both.greet(at, &greet));
        }
        let sign_in = Ask::of(Request::Auth {
            scheme: "digest".into(),
            data: Some(b"super:superpw".into()),
        });
        self.both.ask(at, &[&sign_in], None);
        self.walk_below("/", clear);
        self.both.check_times();
        if clear {
            self.world.nodes.clear();
            self.world.hard_quota = false;
        }
    }

    fn walk_below(&mut self, path: &str, clear: bool) {
        let path_of = || path.to_owned().into();
        let asks = [
            Request::GetChildren {
                path: path_of(),
                watch: false,
                with_stat: true,
            },
            Request::GetData {
                path: path_of(),
                watch: false,
            },
            Request::GetAcl { path: path_of() },
        ]
        .map(Ask::of);
        let all: Vec<_> = asks.iter().collect();
        let seen = self.both.ask(0, &all, None);
        let children = seen.iter().find_map(|seen| match seen.body() {
            Some(Reply::ChildrenStat { children, .. }) => Some(children.to_vec()),
            _ => None,
        });
        for child in children.into_iter().flatten() {
            let child = if path == "/" {
                format!("/{child}")
            } else {
                format!("{path}/{child}")
            };
            self.walk_below(&child, clear);
        }
        let special = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        if clear && !special.contains(&path) {
            let delete = Ask::of(Request::Delete {
                path: path.to_owned().into(),
                version: -1,
            });
            self.both.ask(0, &[&delete], None);
        }
    }
}

fn has_odd_mode(op: &MultiOp<'_>) -> bool {
    matches!(
        op,
        MultiOp::Create {
            mode: WireMode::Raw(_),
            ..
        }
    )
}
