//! Sessions, the server, and a model of the tree that shares nothing with either.
//!
//! One to three sessions work on one server. All that goes over their connections is read on the way:
//! each request is carried out on the model at the moment at which the server carries it out, and the
//! server's reply must be that of the model, stats and error codes included. What the session then
//! tells its user must be that reply, and the events must be those of the model's changes.

mod asked;
mod client;
mod truth;
mod watcher;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use zk_proto::{EventType, SessionId, Zxid};
use zk_rig::world::epoch;
use zk_server::{ConnId, Options, Output, Release, Standalone};
use zk_sim::check::{Effect, Read, Reply, Stamp, Tree};

use crate::cursor::Cursor;
use asked::Watches;
use client::Client;
use watcher::Change;

/// No case has more steps.
const MOST: usize = 200;

/// The time of day at the beginning, in milliseconds.
const WALL: u64 = 1_700_000_000_000;

/// What an input says.
#[derive(Debug)]
pub struct ModelCase {
    older: bool,
    clients: u8,
    /// Of each client, whether it has a chroot, and whether it sends little at once.
    flags: u8,
    steps: Vec<Step>,
}

/// The first number is the client's.
#[derive(Clone, Debug)]
enum Step {
    Ask(u8, asked::Ask),
    Turn(u8),
    Carry(u8, Carry),
    Unwatch(u8, u8),
    Wait(u8),
    Rare(u8, Rare),
}

#[derive(Clone, Copy, Debug)]
enum Carry {
    Connect,
    Transmit,
    Serve(u8),
    Deliver(u8),
}

#[derive(Clone, Copy, Debug)]
enum Rare {
    /// The connection breaks. What is on its way to the server arrives, or does not.
    Cut(bool),
    Expire,
    Rest,
    Reconnect,
}

/// Sessions against a server and a model.
///
/// # Panics
/// If they disagree.
pub fn model(input: &[u8]) {
    let case = model_case(input);
    World::new(&case).run(&case.steps);
}

/// What an input of [`model`] stands for: a byte with the release, the number of clients and their
/// flags, and five for each step.
pub fn model_case(input: &[u8]) -> ModelCase {
    let mut cursor = Cursor::new(input);
    let (first, flags) = (cursor.byte(), cursor.byte());
    let mut case = ModelCase {
        older: first & 1 != 0,
        clients: first >> 1 & 3,
        flags,
        steps: Vec::new(),
    };
    if flags & 0x40 == 0 {
        // Most of what can be asked needs these.
        case.steps
            .extend(asked::begin().map(|ask| Step::Ask(0, ask)));
        case.steps.push(Step::Turn(0));
    }
    let watches = Watches::of(first >> 3);
    while !cursor.is_empty() && case.steps.len() < MOST {
        case.steps.push(step(&mut cursor, watches));
    }
    case
}

fn step(cursor: &mut Cursor<'_>, watches: Watches) -> Step {
    let (what, who) = (cursor.byte(), cursor.byte());
    let numbers = [cursor.byte(), cursor.byte(), cursor.byte()];
    let [first, second, _] = numbers;
    match what % 32 {
        0..16 => Step::Ask(who, asked::Ask::new(numbers, watches)),
        16..21 => Step::Turn(who),
        21..27 => Step::Carry(
            who,
            match first % 8 {
                0 => Carry::Connect,
                1 | 2 => Carry::Transmit,
                3..6 => Carry::Serve(second),
                _ => Carry::Deliver(second),
            },
        ),
        27 => Step::Unwatch(who, first % 16),
        28 => Step::Wait(first),
        29 => Step::Rare(who, Rare::Rest),
        30 => Step::Rare(who, Rare::Cut(first & 1 != 0)),
        _ if first < 64 => Step::Rare(who, Rare::Expire),
        _ => Step::Rare(who, Rare::Reconnect),
    }
}

struct World {
    shared: Shared,
    clients: Vec<Client>,
}

/// What is not any client's.
struct Shared {
    server: Standalone,
    release: Release,
    tree: Tree,
    now: Instant,
    /// What the model has done, in order.
    changes: Vec<Change>,
    /// The sessions that the server knows.
    alive: BTreeSet<SessionId>,
    next_conn: u64,
}

impl World {
    fn new(case: &ModelCase) -> Self {
        let release = if case.older {
            Release::V3_8
        } else {
            Release::V3_9
        };
        let options = Arc::new(Options::new().release(release));
        let wall = UNIX_EPOCH + Duration::from_millis(WALL);
        let flag = |bit: u8| case.flags & (1 << bit) != 0;
        Self {
            shared: Shared {
                server: Standalone::new(options, [7; 32], epoch(), wall),
                release,
                tree: Tree::new(),
                now: epoch(),
                changes: Vec::new(),
                alive: BTreeSet::new(),
                next_conn: 1,
            },
            clients: (0..1 + case.clients % 3)
                .map(|n| Client::new(n, flag(n), flag(n + 3)))
                .collect(),
        }
    }

    fn run(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(step);
            for client in &mut self.clients {
                client.look(&mut self.shared);
            }
        }
        self.rest();
        for at in 0..self.clients.len() {
            self.clients[at]
                .session
                .close(self.shared.now, Duration::from_secs(3));
            self.quiesce();
            self.rest();
            assert!(self.clients[at].session.is_finished());
        }
        // Sessions that their clients never heard of live until they are missed.
        self.advance(Duration::from_secs(60));
        assert!(self.shared.alive.is_empty(), "a session outlived its close");
        self.shared.compare();
        assert_eq!(self.shared.server.member().connections(), 0);
    }

    fn step(&mut self, step: &Step) {
        let count = self.clients.len();
        let which = |n: &u8| usize::from(*n) % count;
        match step {
            Step::Ask(n, ask) => {
                self.clients[which(n)].ask(self.shared.now, ask);
            }
            Step::Turn(n) => {
                self.turn(which(n));
            }
            Step::Carry(n, carry) => {
                let client = &mut self.clients[which(n)];
                match carry {
                    Carry::Connect => client.connect(&mut self.shared),
                    Carry::Transmit => client.transmit(self.shared.now),
                    Carry::Serve(times) => {
                        (0..=times % 8).fold(false, |_, _| client.serve(&mut self.shared))
                    }
                    Carry::Deliver(bytes) => {
                        client.deliver(self.shared.now, usize::from(*bytes) + 1)
                    }
                };
                self.outputs();
            }
            Step::Unwatch(n, id) => {
                self.clients[which(n)].unwatch(self.shared.now, usize::from(*id))
            }
            Step::Wait(time) => self.advance(Duration::from_millis(u64::from(*time) * 20)),
            Step::Rare(n, rare) => self.rarely(which(n), *rare),
        }
    }

    fn rarely(&mut self, at: usize, rare: Rare) {
        let client = &mut self.clients[at];
        match rare {
            Rare::Cut(served) => {
                while served && client.serve(&mut self.shared) {}
                client.cut(&mut self.shared);
                self.outputs();
            }
            Rare::Expire => {
                if let Some((id, _)) = client.session.credentials() {
                    self.shared.server.expire(self.shared.now, id);
                    self.shared.settle();
                    self.outputs();
                }
            }
            Rare::Rest => self.rest(),
            Rare::Reconnect => client.session.reconnect(self.shared.now),
        }
    }

    /// Carries all that one client has to say, and all that it is told.
    fn turn(&mut self, at: usize) -> bool {
        let client = &mut self.clients[at];
        client.look(&mut self.shared);
        let mut moved = client.connect(&mut self.shared);
        moved |= client.transmit(self.shared.now);
        while client.serve(&mut self.shared) {
            moved = true;
        }
        self.outputs();
        let client = &mut self.clients[at];
        moved |= client.deliver(self.shared.now, usize::MAX);
        client.look(&mut self.shared);
        moved
    }

    fn quiesce(&mut self) {
        for _ in 0..10_000 {
            let mut moved = false;
            for at in 0..self.clients.len() {
                moved |= self.turn(at);
            }
            if !moved {
                return;
            }
        }
        panic!("they never come to rest");
    }

    /// Waits until everybody is connected and nothing is on its way, and looks at everything.
    fn rest(&mut self) {
        for _ in 0..100 {
            self.quiesce();
            if self.clients.iter().all(Client::is_idle) {
                break;
            }
            self.advance(Duration::from_millis(500));
        }
        for client in &self.clients {
            assert!(client.is_idle(), "{:?} does not get on", client.session);
            client.at_rest(&self.shared);
        }
        self.shared.compare();
    }

    fn advance(&mut self, time: Duration) {
        let end = self.shared.now + time;
        for _ in 0..1000 {
            let own = self
                .clients
                .iter()
                .filter_map(|client| client.session.poll_timeout());
            let next = own.chain(self.shared.server.poll_timeout()).min();
            let next = next
                .filter(|at| *at < end)
                .unwrap_or(end)
                .max(self.shared.now);
            // Times are whole milliseconds, as they are told in stats.
            let since = next.duration_since(epoch());
            let millis = u64::try_from(since.as_nanos().div_ceil(1_000_000)).expect("not so long");
            self.shared.now = epoch() + Duration::from_millis(millis);
            for client in &mut self.clients {
                client.session.handle_timeout(self.shared.now);
                client.look(&mut self.shared);
            }
            self.shared.server.handle_timeout(self.shared.now);
            self.shared.settle();
            self.outputs();
            if self.shared.now >= end {
                return;
            }
        }
        panic!("timers without end");
    }

    /// Does what the server asks for.
    fn outputs(&mut self) {
        while let Some(output) = self.shared.server.poll_output() {
            let (Output::Transmit(conn) | Output::Close { conn, .. }) = output;
            let client = self.clients.iter_mut().find(|client| client.is_at(conn));
            let Some(client) = client else { continue };
            let abort = matches!(output, Output::Close { abort: true, .. });
            if !abort {
                client.hear(&mut self.shared);
            }
            if matches!(output, Output::Close { .. }) {
                client.hung_up();
            }
        }
    }
}

impl Shared {
    /// When what has just been done was done.
    fn stamp(&self) -> Stamp {
        let since = self.now.duration_since(epoch()).as_millis();
        Stamp {
            zxid: self.server.tree().last_zxid(),
            millis: i64::try_from(u128::from(WALL) + since).expect("not so long"),
        }
    }

    /// Ends the sessions in the model that the server has ended, which has done so in the order of
    /// their numbers.
    fn settle(&mut self) {
        let there: BTreeSet<SessionId> = self.server.member().sessions().keys().copied().collect();
        let gone: Vec<SessionId> = self.alive.difference(&there).copied().collect();
        let Stamp { zxid, millis } = self.stamp();
        let count = i64::try_from(gone.len()).expect("few");
        for (n, session) in (1..).zip(&gone) {
            let zxid = Zxid(zxid.0 - count + n);
            let effects = self.tree.close(*session, Stamp { zxid, millis });
            self.changed(zxid, &effects);
        }
        self.alive = there;
    }

    fn changed(&mut self, zxid: Zxid, effects: &[Effect]) {
        for effect in effects {
            let (kind, path) = match effect {
                Effect::Create { path, .. } => (EventType::NODE_CREATED, path),
                Effect::Delete { path } => (EventType::NODE_DELETED, path),
                Effect::SetData { path, .. } => (EventType::NODE_DATA_CHANGED, path),
                _ => continue,
            };
            let path = path.clone();
            self.changes.push(Change { zxid, kind, path });
        }
    }

    /// The server's tree is that of the model, node by node.
    fn compare(&self) {
        let tree = self.server.tree();
        let mut owners: BTreeMap<SessionId, usize> = BTreeMap::new();
        for path in self.tree.paths() {
            let Reply::Data { data, stat } = self.tree.read(&Read::Get(path.to_owned())) else {
                panic!("the model denies {path}");
            };
            let node = tree
                .node(path)
                .unwrap_or_else(|| panic!("{path} is missing"));
            assert_eq!(node.stat(), stat, "{path}");
            assert_eq!(node.data(), data.as_option(), "{path}");
            assert!(node.children().eq(self.tree.children(path)), "{path}");
            if !stat.ephemeral_owner.is_none() {
                *owners.entry(stat.ephemeral_owner).or_default() += 1;
            }
        }
        // Servers count the root twice.
        assert_eq!(tree.node_count(), self.tree.paths().count() + 1);
        for (owner, count) in owners {
            assert!(self.alive.contains(&owner), "{owner} is gone");
            assert_eq!(tree.ephemerals(owner).count(), count);
        }
    }

    fn accept(&mut self) -> ConnId {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        let peer = ([10, 0, 0, 1], 4000).into();
        self.server.handle_accept(self.now, conn, peer);
        conn
    }
}
