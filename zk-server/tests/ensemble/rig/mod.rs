//! Machines, the network between them, and what must always be true of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use zk_server::{ConnId, Ensemble, MemberId, Options, Output, Peer, PeerMessage, PeerState, Txn};

pub(crate) mod chance;
pub(crate) mod client;
mod watch;

pub(crate) use chance::Chance;
pub(crate) use client::{Client, Got};
use watch::Watch;

pub(crate) const TICK: Duration = Duration::from_millis(200);
pub(crate) const SYNC_LIMIT: u32 = 5;

/// Machines are known by their places; member 1 is at place 0.
pub(crate) struct World {
    pub(crate) peers: Vec<Peer>,
    pub(crate) now: Instant,
    start: Instant,
    pub(crate) chance: Chance,
    /// What is under way, by arrival.
    flying: BTreeMap<(Instant, u64), (usize, usize, PeerMessage)>,
    sent: u64,
    /// The last arrival of each direction: nothing overtakes.
    last: BTreeMap<(usize, usize), Instant>,
    /// Directions in which nothing arrives.
    cut: BTreeSet<(usize, usize)>,
    pub(crate) latency: (Duration, Duration),
    /// One of so many messages is lost; 0 is none.
    pub(crate) loss: u64,
    pub(crate) clients: Vec<Client>,
    pub(crate) conns: BTreeMap<ConnId, (usize, usize)>,
    next_conn: u64,
    /// The last time that something went wrong in the network or with a machine.
    pub(crate) disturbed: Instant,
    pub(crate) watch: Watch,
    pub(crate) steps: u64,
}

pub(crate) fn options() -> Options {
    Options::new().tick(TICK).sync_limit(SYNC_LIMIT)
}

impl World {
    pub(crate) fn new(count: u8, seed: u64) -> Self {
        Self::with(count, seed, options(), |ensemble| ensemble)
    }

    pub(crate) fn with(
        count: u8,
        seed: u64,
        options: Options,
        adjust: impl FnOnce(Ensemble) -> Ensemble,
    ) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an anchor, whatever its value")]
        let start = Instant::now();
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let ids = (1..=count).map(MemberId);
        let ensemble = Arc::new(adjust(Ensemble::new(ids.clone(), options, bytes)));
        let mut world = Self {
            peers: ids.map(|id| Peer::new(id, Arc::clone(&ensemble))).collect(),
            now: start,
            start,
            chance: Chance::new(seed),
            flying: BTreeMap::new(),
            sent: 0,
            last: BTreeMap::new(),
            cut: BTreeSet::new(),
            latency: (Duration::from_millis(1), Duration::from_millis(5)),
            loss: 0,
            clients: Vec::new(),
            conns: BTreeMap::new(),
            next_conn: 1,
            disturbed: start,
            watch: Watch::new(usize::from(count)),
            steps: 0,
        };
        for at in 0..usize::from(count) {
            world.start(at);
        }
        world
    }

    /// Since the world began.
    pub(crate) fn time(&self) -> Duration {
        self.now - self.start
    }

    pub(crate) fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_700_000_000_000) + self.time()
    }

    pub(crate) fn start(&mut self, at: usize) {
        let (now, wall) = (self.now, self.wall());
        self.disturbed = now;
        self.peers[at].start(now, wall);
        self.drain(at);
    }

    pub(crate) fn crash(&mut self, at: usize) {
        self.disturbed = self.now;
        self.peers[at].crash();
        let lost: Vec<_> = self
            .conns
            .iter()
            .filter(|(_, (peer, _))| *peer == at)
            .collect();
        let lost: Vec<_> = lost
            .into_iter()
            .map(|(conn, (_, client))| (*conn, *client))
            .collect();
        for (conn, client) in lost {
            self.conns.remove(&conn);
            self.clients[client].closed = true;
        }
    }

    /// Cuts a machine off from the others.
    pub(crate) fn isolate(&mut self, at: usize) {
        for other in (0..self.peers.len()).filter(|other| *other != at) {
            self.part(at, other);
        }
    }

    /// Nothing arrives between two machines, not even what is under way.
    pub(crate) fn part(&mut self, a: usize, b: usize) {
        self.disturbed = self.now;
        self.cut.insert((a, b));
        self.cut.insert((b, a));
        self.flying
            .retain(|_, (from, to, _)| (*from, *to) != (a, b) && (*from, *to) != (b, a));
    }

    /// Nothing arrives in one direction.
    pub(crate) fn mute(&mut self, from: usize, to: usize) {
        self.disturbed = self.now;
        self.cut.insert((from, to));
    }

    pub(crate) fn heal(&mut self) {
        self.disturbed = self.now;
        self.cut.clear();
    }

    /// Whether nothing is cut and everybody is up.
    pub(crate) fn is_calm(&self) -> bool {
        self.cut.is_empty()
            && self
                .peers
                .iter()
                .all(|peer| peer.state() != PeerState::Down)
    }

    /// Does what is next, if that is not after `end`.
    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        let timeouts = self.peers.iter().enumerate();
        let timeout = timeouts
            .filter_map(|(at, peer)| Some((peer.poll_timeout()?, at)))
            .min();
        let wake = (0..self.clients.len())
            .filter_map(|client| Some((self.clients[client].wakes?, client)))
            .min();
        let first = [arrival, timeout.map(|(at, _)| at), wake.map(|(at, _)| at)];
        let Some(at) = first.into_iter().flatten().min().filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(at);
        self.steps += 1;
        if arrival == Some(at) {
            let (_, (from, to, message)) = self.flying.pop_first().unwrap();
            self.peers[to].handle_message(self.now, MemberId(from as u8 + 1), message);
            self.drain(to);
        } else if let Some((_, peer)) = timeout.filter(|(due, _)| *due == at) {
            self.peers[peer].handle_timeout(self.now);
            self.drain(peer);
        } else if let Some((_, client)) = wake {
            self.act(client);
        }
        true
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    pub(crate) fn ticks(&mut self, ticks: u32) {
        self.run(TICK * ticks);
    }

    /// Goes on until something is so, for at most so many ticks. `false` if it never was.
    pub(crate) fn until(&mut self, ticks: u32, mut is_so: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + TICK * ticks;
        while !is_so(self) {
            if !self.step(end) {
                self.now = end;
                return is_so(self);
            }
        }
        true
    }

    /// Carries what a machine has to send, and looks whether all is well.
    pub(crate) fn drain(&mut self, at: usize) {
        while let Some(output) = self.peers[at].poll_output() {
            match output {
                Output::Transmit(conn) => self.transmit(at, conn),
                Output::Close { conn, abort } => {
                    if !abort {
                        self.transmit(at, conn);
                    }
                    if let Some((_, client)) = self.conns.remove(&conn) {
                        self.clients[client].closed = true;
                    }
                }
            }
        }
        while let Some((to, message)) = self.peers[at].poll_message() {
            let to = usize::from(to.0) - 1;
            let is_lost = self.loss > 0 && self.chance.below(self.loss) == 0;
            if is_lost {
                self.disturbed = self.now;
            }
            if is_lost || self.cut.contains(&(at, to)) || self.state(to) == PeerState::Down {
                continue;
            }
            let (least, most) = self.latency;
            let spread = (most - least).as_micros() as u64 + 1;
            let delay = least + Duration::from_micros(self.chance.below(spread));
            let last = self.last.entry((at, to)).or_insert(self.now);
            *last = (*last).max(self.now + delay);
            self.sent += 1;
            self.flying.insert((*last, self.sent), (at, to, message));
        }
        self.look(at);
    }

    fn transmit(&mut self, at: usize, conn: ConnId) {
        let mut bytes = Vec::new();
        while self.peers[at].poll_transmit(conn, &mut bytes) > 0 {}
        if let Some((_, client)) = self.conns.get(&conn) {
            self.clients[*client].receive(self.now, &bytes);
        }
    }

    pub(crate) fn next_conn(&mut self) -> ConnId {
        self.next_conn += 1;
        ConnId(self.next_conn)
    }

    pub(crate) fn state(&self, at: usize) -> PeerState {
        self.peers[at].state()
    }

    /// Who leads and serves; the one of the newest epoch if several do.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leads = |at: &usize| self.peers[*at].leader().is_some();
        (0..self.peers.len())
            .filter(leads)
            .max_by_key(|at| self.peers[*at].leader().map(|leader| leader.last_zxid()))
    }

    /// Whether there is a leader, and all machines that are up serve with it.
    pub(crate) fn is_whole(&self) -> bool {
        self.leader().is_some()
            && self
                .peers
                .iter()
                .all(|peer| peer.is_serving() || peer.state() == PeerState::Down)
    }

    /// Goes on until all serve, and says who leads.
    pub(crate) fn settle(&mut self) -> usize {
        assert!(self.until(40, Self::is_whole), "no leader: {self:?}");
        self.leader().unwrap()
    }

    /// A machine that follows.
    pub(crate) fn follower(&self) -> usize {
        let leader = self.leader().unwrap();
        (0..self.peers.len())
            .find(|at| *at != leader && self.state(*at) != PeerState::Down)
            .unwrap()
    }

    pub(crate) fn committed(&self, at: usize) -> &[Arc<Txn>] {
        self.peers[at].committed()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {:?}, cut {:?}", self.time(), self.cut)?;
        for peer in &self.peers {
            let last = peer.logged().last().map(|txn| txn.zxid);
            let (state, serving) = (peer.state(), peer.is_serving());
            let (id, committed) = (peer.id(), peer.committed().len());
            write!(
                f,
                "\n{id}: {state:?} serving {serving}, log to {last:?}, {committed} committed"
            )?;
        }
        Ok(())
    }
}
