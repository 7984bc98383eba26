//! A world that keeps every promise, to make histories that must be accepted.
//!
//! Servers are one log, and a replica for each client that lags behind it. What a server sends to a
//! client waits in a queue, and is recorded when it arrives there. A fault loses the queue.

use std::collections::VecDeque;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use zk_proto::{EventType, SessionId, Zxid};

use super::history::Event;
use super::log::{covers, write_of};
use super::tree::parent;
use super::{
    ClientNo, Command, CommittedLog, Effect, Ended, Entry, History, OpNo, Read, Reply, Stamp,
    Standing, Strength, Tree, Txn, WatchKind, WatchNo,
};

mod asked;
mod faults;

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) clients: u32,
    pub(crate) operations: u32,
    /// Of a thousand steps, how many lose a connection.
    pub(crate) faults: u32,
    /// Whether replies have their zxid in the history.
    pub(crate) headers: bool,
    /// Whether all share a few nodes, or have some of their own.
    pub(crate) shared: bool,
    pub(crate) watches: bool,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            clients: 4,
            operations: 200,
            faults: 10,
            headers: seed % 2 == 0,
            shared: seed % 3 != 0,
            watches: true,
        }
    }
}

enum Delivery {
    Reply(OpNo, Reply, Zxid, Option<usize>),
    Stream(usize, Zxid),
    Event(usize, EventType, String, Zxid),
}

#[derive(Clone)]
struct Watching {
    path: String,
    kind: WatchKind,
    no: Option<WatchNo>,
    over: bool,
    was_missing: bool,
}

struct Peer {
    no: ClientNo,
    session: SessionId,
    replica: Tree,
    applied: usize,
    /// Submitted and not carried out; whether the client still waits for it.
    queue: VecDeque<(OpNo, Command, bool)>,
    inbox: VecDeque<Delivery>,
    watches: Vec<Watching>,
    last_zxid: Zxid,
}

pub(crate) struct World {
    plan: Plan,
    rng: ChaCha8Rng,
    now: Duration,
    tree: Tree,
    log: CommittedLog,
    history: History,
    peers: Vec<Peer>,
    sessions: i64,
    begun: u32,
}

/// Runs a plan to its end.
pub(crate) fn run(plan: Plan) -> (History, CommittedLog) {
    let mut world = World {
        plan,
        rng: ChaCha8Rng::seed_from_u64(plan.seed),
        now: Duration::ZERO,
        tree: Tree::new(),
        log: CommittedLog::default(),
        history: History::new(),
        peers: Vec::new(),
        sessions: 0,
        begun: 0,
    };
    for no in 0..plan.clients {
        let replica = world.tree.clone();
        world.peers.push(Peer {
            no: ClientNo(no),
            session: SessionId::NONE,
            replica,
            applied: 0,
            queue: VecDeque::new(),
            inbox: VecDeque::new(),
            watches: Vec::new(),
            last_zxid: Zxid::ZERO,
        });
        world.open(no as usize);
    }
    while world.begun < plan.operations {
        world.step();
    }
    world.settle();
    (world.history, world.log)
}

impl World {
    fn below(&mut self, limit: u32) -> u32 {
        self.rng.next_u32() % limit
    }

    fn step(&mut self) {
        let pause = self.below(3);
        self.now += Duration::from_micros(u64::from(pause));
        let at = self.below(self.plan.clients) as usize;
        match self.below(1000) {
            roll if roll < self.plan.faults => self.lose(at),
            roll if roll < self.plan.faults * 5 / 4 => self.expire(at),
            roll if roll < 350 => self.submit(at),
            roll if roll < 600 => self.carry_out(at),
            roll if roll < 750 => self.catch_up(at, 1),
            _ => self.deliver(at),
        }
    }

    /// Everything arrives, then the history says so.
    fn settle(&mut self) {
        for at in 0..self.peers.len() {
            while !self.peers[at].queue.is_empty() {
                self.carry_out(at);
            }
        }
        for at in 0..self.peers.len() {
            self.catch_up(at, usize::MAX);
            while !self.peers[at].inbox.is_empty() {
                self.deliver(at);
            }
        }
        self.now += Duration::from_millis(1);
        let zxid = self.newest();
        self.history.push(self.now, Event::Quiet { zxid });
    }

    fn newest(&self) -> Zxid {
        self.log
            .entries
            .last()
            .map_or(Zxid::ZERO, |entry| entry.zxid)
    }

    fn commit(&mut self, session: SessionId, txn: Txn) {
        let zxid = Zxid(self.newest().0 + 1);
        self.log.entries.push(Entry {
            zxid,
            session,
            at: self.now,
            millis: zxid.0 * 10,
            txn,
        });
    }

    fn open(&mut self, at: usize) {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        self.commit(session, Txn::Open);
        let (client, until) = (self.peers[at].no, None);
        self.peers[at].session = session;
        let standing = Standing::Connected { session, until };
        self.history
            .push(self.now, Event::Stands { client, standing });
    }

    /// Does the client's next operation.
    fn carry_out(&mut self, at: usize) {
        let Some((op, command, waits)) = self.peers[at].queue.pop_front() else {
            return;
        };
        let session = self.peers[at].session;
        let (reply, watch) = match command {
            Command::Write(write) => {
                let stamp = Stamp {
                    zxid: Zxid(self.newest().0 + 1),
                    millis: (self.newest().0 + 1) * 10,
                };
                let reply = match self.tree.write(session, stamp, &write) {
                    Ok((reply, effects)) => {
                        self.commit(session, Txn::Change(effects));
                        reply
                    }
                    Err(refusal) => {
                        self.commit(session, Txn::Refused(refusal.code));
                        Reply::Refused(refusal)
                    }
                };
                self.catch_up(at, usize::MAX);
                (reply, None)
            }
            Command::Read(read, strength) => {
                if strength != Strength::Plain {
                    self.catch_up(at, usize::MAX);
                }
                let reply = self.peers[at].replica.read(&read);
                let watched = waits && self.plan.watches && self.below(2) == 0;
                (
                    reply.clone(),
                    watched.then(|| self.watch(at, &read, &reply)).flatten(),
                )
            }
        };
        if waits {
            let zxid = self.applied(at);
            let reply = Delivery::Reply(op, reply, zxid, watch);
            self.peers[at].inbox.push_back(reply);
        }
        if self.plan.watches && self.below(40) == 0 {
            let (path, zxid) = (self.path(at), self.applied(at));
            let kind = if self.below(2) == 0 {
                WatchKind::Persistent
            } else {
                WatchKind::Recursive
            };
            let watch = self.add_watch(at, path, kind, false);
            self.peers[at]
                .inbox
                .push_back(Delivery::Stream(watch, zxid));
        }
    }

    fn watch(&mut self, at: usize, read: &Read, reply: &Reply) -> Option<usize> {
        let missing = matches!(reply, Reply::Refused(_) | Reply::Exists(None));
        let kind = match read {
            Read::Exists(_) => WatchKind::Data,
            Read::Get(_) if !missing => WatchKind::Data,
            Read::Children(_) if !missing => WatchKind::Children,
            Read::Get(_) | Read::Children(_) => return None,
        };
        Some(self.add_watch(at, read.path().to_owned(), kind, missing))
    }

    fn add_watch(&mut self, at: usize, path: String, kind: WatchKind, missing: bool) -> usize {
        self.peers[at].watches.push(Watching {
            path,
            kind,
            no: None,
            over: false,
            was_missing: missing,
        });
        self.peers[at].watches.len() - 1
    }

    fn applied(&self, at: usize) -> Zxid {
        let count = self.peers[at].applied;
        count
            .checked_sub(1)
            .map_or(Zxid::ZERO, |last| self.log.entries[last].zxid)
    }

    /// A replica applies more of the log, and tells its client what it watches.
    fn catch_up(&mut self, at: usize, limit: usize) {
        for _ in 0..limit {
            let peer = &mut self.peers[at];
            let Some(entry) = self.log.entries.get(peer.applied) else {
                return;
            };
            peer.applied += 1;
            for effect in apply(&mut peer.replica, entry) {
                for (kind, path) in events(&effect) {
                    for (index, watch) in peer.watches.iter_mut().enumerate() {
                        if !watch.over && sees(watch, kind, &path) {
                            watch.over = !watch.kind.is_stream();
                            let event = Delivery::Event(index, kind, path.clone(), entry.zxid);
                            peer.inbox.push_back(event);
                        }
                    }
                }
            }
        }
    }

    fn deliver(&mut self, at: usize) {
        let Some(delivery) = self.peers[at].inbox.pop_front() else {
            return;
        };
        let (now, headers) = (self.now, self.plan.headers);
        let bare = self.below(3) == 0;
        let peer = &mut self.peers[at];
        match delivery {
            Delivery::Reply(op, reply, zxid, watch) => {
                peer.last_zxid = peer.last_zxid.max(zxid);
                let reply = if bare { without_stat(reply) } else { reply };
                let header = headers.then_some(zxid);
                self.history.end(now, op, Ended::Reply(reply), header);
                if let Some(watch) = watch {
                    let watching = &mut peer.watches[watch];
                    let (path, kind) = (watching.path.clone(), watching.kind);
                    watching.no = Some(self.history.watch(now, peer.no, &path, kind, op));
                }
            }
            Delivery::Stream(watch, zxid) => {
                let watching = &mut peer.watches[watch];
                let (path, kind) = (watching.path.clone(), watching.kind);
                let since = Some(zxid);
                watching.no = Some(self.history.stream(now, peer.no, &path, kind, since));
            }
            Delivery::Event(watch, kind, path, zxid) => {
                if let Some(no) = peer.watches[watch].no {
                    self.history.watched(now, no, kind, &path, zxid);
                }
            }
        }
    }
}

fn apply(tree: &mut Tree, entry: &Entry) -> Vec<Effect> {
    let stamp = Stamp {
        zxid: entry.zxid,
        millis: entry.millis,
    };
    match &entry.txn {
        Txn::Open | Txn::Refused(_) => Vec::new(),
        Txn::Close => tree.close(entry.session, stamp),
        Txn::Change(effects) => {
            for effect in effects {
                tree.write(entry.session, stamp, &write_of(effect)).unwrap();
            }
            effects.clone()
        }
    }
}

fn events(effect: &Effect) -> Vec<(EventType, String)> {
    let (kind, path) = match effect {
        Effect::Create { path, .. } => (EventType::NODE_CREATED, path),
        Effect::Delete { path } => (EventType::NODE_DELETED, path),
        Effect::SetData { path, .. } => return vec![(EventType::NODE_DATA_CHANGED, path.clone())],
        Effect::SetAcl { .. } => return Vec::new(),
    };
    let above = (EventType::NODE_CHILDREN_CHANGED, parent(path).to_owned());
    vec![(kind, path.clone()), above]
}

fn sees(watch: &Watching, kind: EventType, path: &str) -> bool {
    let of_children = kind == EventType::NODE_CHILDREN_CHANGED;
    match watch.kind {
        WatchKind::Data => watch.path == path && !of_children,
        WatchKind::Children => {
            watch.path == path && (of_children || kind == EventType::NODE_DELETED)
        }
        WatchKind::Persistent => watch.path == path,
        WatchKind::Recursive => covers(&watch.path, path) && !of_children,
    }
}

fn without_stat(reply: Reply) -> Reply {
    match reply {
        Reply::Created { path, .. } => Reply::Created { path, stat: None },
        Reply::Set(_) => Reply::Set(None),
        Reply::Children { names, .. } => Reply::Children { names, stat: None },
        Reply::Deleted
        | Reply::Checked
        | Reply::Multi(_)
        | Reply::Data { .. }
        | Reply::Exists(_)
        | Reply::Refused(_) => reply,
    }
}
