//! A model of an ensemble: what it knows of sessions, time, and each connection.
//!
//! The leader drops a session `T` after the last time that it heard of it: by a handshake, or by a
//! follower, which reports the sessions that were touched every half tick. A follower that is cut
//! off goes on answering pings and reads; what needs the leader stalls on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use zk_proto::{
    ErrorCode, EventType, KeeperState, MultiOp, Reply, ReplyHeader, Request, WatcherEvent, Xid,
    Zxid, frame,
};
use zk_session::ConnId;

use crate::registry::{Flavour, Registry};
use crate::tree::{Change, Tree};

/// `T` is at least two of these.
pub const TICK: Duration = Duration::from_millis(2000);

/// A session at the leader.
#[derive(Clone, Debug)]
pub struct Record {
    pub password: [u8; 16],
    pub timeout: Duration,
    /// When the leader heard of it last.
    pub touched: Instant,
    /// Local to a server without a quorum.
    pub local: bool,
}

/// A server.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Hears nothing from the leader.
    pub isolated: bool,
    pub read_only: bool,
    touched: BTreeSet<i64>,
}

/// What a frame on its way to the client carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Freight {
    /// An event of the change with this zxid.
    Change(i64),
    /// An event that setWatches has found due.
    CatchUp,
    Other,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    Fresh,
    Open(i64),
    Closed,
}

/// A connection, at the server.
#[derive(Debug)]
pub struct Peer {
    pub member: usize,
    pub phase: Phase,
    pub raw: Vec<u8>,
    pub inbox: VecDeque<Vec<u8>>,
    pub out: VecDeque<(Freight, Vec<u8>)>,
    pub registry: Registry,
    /// The next request is answered with this code.
    pub next_error: Option<ErrorCode>,
}

/// The ensemble.
#[derive(Debug)]
pub struct Cluster {
    pub flavour: Flavour,
    pub tree: Tree,
    pub changes: Vec<Change>,
    pub sessions: BTreeMap<i64, Record>,
    /// Those that the leader has dropped for their silence.
    pub expired: BTreeMap<i64, Record>,
    pub members: Vec<Member>,
    pub peers: BTreeMap<ConnId, Peer>,
    pub now: Instant,
    half_tick: Instant,
    pub next_session: i64,
    /// The next handshake is answered with a session of another id.
    pub substitute: bool,
    /// What requests carried whose effect took place, and those that were refused.
    pub applied: BTreeSet<u64>,
    pub served: u64,
}

impl Cluster {
    pub fn new(flavour: Flavour, members: usize, paths: &[&str], now: Instant) -> Self {
        Self {
            flavour,
            tree: Tree::new(paths),
            changes: Vec::new(),
            sessions: BTreeMap::new(),
            expired: BTreeMap::new(),
            members: vec![Member::default(); members],
            peers: BTreeMap::new(),
            now,
            half_tick: now,
            next_session: 0x1000,
            substitute: false,
            applied: BTreeSet::new(),
            served: 0,
        }
    }

    pub fn accept(&mut self, conn: ConnId, member: usize) {
        let peer = Peer {
            member,
            phase: Phase::Fresh,
            raw: Vec::new(),
            inbox: VecDeque::new(),
            out: VecDeque::new(),
            registry: Registry::new(self.flavour),
            next_error: None,
        };
        self.peers.insert(conn, peer);
    }

    /// Time passes: followers report, and the leader drops sessions.
    pub fn advance(&mut self, now: Instant) {
        if now.duration_since(self.half_tick) > 1000 * TICK {
            // A jump of hours: nobody was awake to report.
            self.half_tick = now - TICK;
        }
        while self.half_tick + TICK / 2 <= now {
            self.half_tick += TICK / 2;
            self.now = self.half_tick;
            for member in 0..self.members.len() {
                self.report(member);
            }
            self.expire_due();
        }
        self.now = self.now.max(now);
        self.expire_due();
    }

    fn report(&mut self, member: usize) {
        let at = self.now;
        if self.members[member].isolated || self.members[member].read_only {
            return;
        }
        for id in std::mem::take(&mut self.members[member].touched) {
            if let Some(record) = self.sessions.get_mut(&id) {
                record.touched = record.touched.max(at);
            }
        }
    }

    /// The leader is in touch with the server again, whose report was held up.
    pub fn heal(&mut self, member: usize) {
        self.members[member].isolated = false;
        self.members[member].read_only = false;
        self.report(member);
    }

    fn expire_due(&mut self) {
        let due: Vec<i64> = self
            .sessions
            .iter()
            .filter(|(_, r)| r.touched + r.timeout + TICK < self.now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let record = self.sessions.get(&id).cloned();
            self.expired.extend(record.map(|record| (id, record)));
            self.expire(id);
        }
    }

    pub fn expire(&mut self, id: i64) {
        self.sessions.remove(&id);
        for peer in self.peers.values_mut() {
            if peer.phase == Phase::Open(id) {
                peer.phase = Phase::Closed;
                peer.inbox.clear();
            }
        }
    }

    pub fn touch(&mut self, member: usize, id: i64) {
        self.members[member].touched.insert(id);
        if member == 0 && !self.members[0].isolated {
            self.report(0);
        }
    }

    /// Someone writes.
    pub fn write(&mut self, op: MultiOp<'_>) -> bool {
        match self.tree.commit(&[op]) {
            Ok((_, changes)) => {
                self.notify(&changes);
                true
            }
            Err(_) => false,
        }
    }

    pub fn notify(&mut self, changes: &[Change]) {
        for change in changes {
            let seen = match self.flavour {
                Flavour::Replacing => Zxid(-1),
                Flavour::Coexisting => Zxid(change.zxid),
            };
            for peer in self.peers.values_mut() {
                if !matches!(peer.phase, Phase::Open(_)) {
                    continue;
                }
                for (kind, path) in peer.registry.change(change.kind, &change.path) {
                    peer.event(kind, &path, seen, Freight::Change(change.zxid));
                }
            }
            self.changes.push(change.clone());
            if change.kind != EventType::NODE_DATA_CHANGED {
                if let Some(parent) = crate::registry::parent_of(&change.path) {
                    self.changes.push(Change {
                        zxid: change.zxid,
                        kind: EventType::NODE_CHILDREN_CHANGED,
                        path: parent.to_owned(),
                    });
                }
            }
        }
    }

    /// Bytes from the client. What the network layer answers is answered at once.
    pub fn receive(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(&conn) else {
            return;
        };
        if peer.phase == Phase::Closed {
            return;
        }
        peer.raw.extend_from_slice(bytes);
        if peer.raw == b"isro" {
            let member = &self.members[peer.member];
            let answer: &[u8] = if member.read_only { b"ro" } else { b"rw" };
            peer.out.push_back((Freight::Other, answer.to_vec()));
            peer.phase = Phase::Closed;
            return;
        }
        while let Some(length) = peer.raw.first_chunk().map(|l| u32::from_be_bytes(*l)) {
            let end = 4 + length as usize;
            if peer.raw.len() < end {
                break;
            }
            let rest = peer.raw.split_off(end);
            let frame = std::mem::replace(&mut peer.raw, rest);
            peer.inbox.push_back(frame[4..].to_vec());
        }
        self.network_layer(conn);
    }
}

impl Peer {
    pub fn reply(&mut self, xid: Xid, zxid: i64, err: ErrorCode, body: &[u8]) {
        let mut out = Vec::new();
        frame(&mut out, |out| {
            let zxid = Zxid(zxid);
            ReplyHeader { xid, zxid, err }.encode(out);
            out.extend_from_slice(body);
        });
        self.out.push_back((Freight::Other, out));
    }

    pub fn answer(
        &mut self,
        xid: Xid,
        zxid: i64,
        request: &Request<'_>,
        result: Result<Reply, ErrorCode>,
    ) {
        let mut body = Vec::new();
        let err = match result {
            Ok(reply) => {
                reply.encode(request.opcode(), &mut body);
                ErrorCode::OK
            }
            Err(code) => code,
        };
        self.reply(xid, zxid, err, &body);
    }

    pub fn event(&mut self, kind: EventType, path: &str, zxid: Zxid, freight: Freight) {
        let mut out = Vec::new();
        frame(&mut out, |out| {
            ReplyHeader {
                xid: Xid::WATCH,
                zxid,
                err: ErrorCode::OK,
            }
            .encode(out);
            WatcherEvent {
                kind,
                state: KeeperState::SYNC_CONNECTED,
                path: path.to_owned(),
            }
            .encode(out);
        });
        self.out.push_back((freight, out));
    }
}
