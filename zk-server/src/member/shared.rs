//! What the connections of a member have in common.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use zk_proto::{Password, SessionId};

use super::{
    Output,
    mode::{Mode, Role},
};
use crate::{
    ConnId, Options, ToLeader, Tree,
    clock::Clock,
    connection::{Client, Ending, Stage},
    fault::Faults,
    watches::Watches,
};

/// How long what is left of the output may take after a connection was closed.
const LINGER: Duration = Duration::from_secs(10);

/// What the connections of a member have in common.
pub(crate) struct Shared {
    pub(crate) options: Arc<Options>,
    pub(crate) clock: Clock,
    pub(crate) tree: Tree,
    /// The sessions that the whole ensemble knows, with their timeouts in milliseconds.
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    /// Where the client of a session is connected.
    pub(crate) attached: BTreeMap<SessionId, ConnId>,
    pub(crate) watches: Watches,
    pub(crate) faults: Faults,
    pub(crate) mode: Mode,
    /// Four-letter words to be answered.
    pub(crate) words: VecDeque<(ConnId, [u8; 4])>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(super) outputs: VecDeque<Output>,
    pub(super) to_leader: VecDeque<ToLeader>,
    /// Connections to be closed by what happened on another one.
    pub(super) evicted: Vec<(ConnId, Ending)>,
    pub(super) touched: Vec<SessionId>,
    pub(super) flush_at: Option<Instant>,
    /// When what a fault holds back is released.
    pub(super) releases: BTreeSet<(Instant, ConnId)>,
    /// When connections without a session are closed.
    pub(super) deadlines: BTreeSet<(Instant, ConnId)>,
    pub(super) per_address: BTreeMap<IpAddr, usize>,
    pub(super) secret: [u64; 4],
    pub(crate) next_session: i64,
    pub(super) sasl_exchanges: u64,
}

impl Shared {
    pub(super) fn new(
        options: Arc<Options>,
        tree: Tree,
        secret: [u8; 32],
        now: Instant,
        wall: SystemTime,
    ) -> Self {
        let clock = Clock::new(now, wall);
        let watches = Watches::new(options.release);
        // As `SessionTrackerImpl.initializeNextSessionId` of the Java server.
        let time = ((clock.wall_millis() as u64) << 24) >> 8;
        let next_session = (u64::from(options.member.0) << 56 | time) as i64;
        let mut halves = [0; 4];
        for (half, bytes) in halves.iter_mut().zip(secret.chunks_exact(8)) {
            *half = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        }
        Self {
            options,
            clock,
            tree,
            sessions: BTreeMap::new(),
            attached: BTreeMap::new(),
            watches,
            faults: Faults::default(),
            mode: Mode::Down,
            words: VecDeque::new(),
            received: 0,
            sent: 0,
            outputs: VecDeque::new(),
            to_leader: VecDeque::new(),
            evicted: Vec::new(),
            touched: Vec::new(),
            flush_at: None,
            releases: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            per_address: BTreeMap::new(),
            secret: halves,
            next_session,
            sasl_exchanges: 0,
        }
    }

    /// Nothing may be held back any more on a connection: then one that is over can go, too.
    pub(super) fn released(&mut self, client: &mut Client) {
        self.announce(client);
        if client.stage == (Stage::Gone { deadline: None }) && !client.output.is_held() {
            let deadline = self.clock.now() + LINGER;
            client.stage = Stage::Gone {
                deadline: Some(deadline),
            };
            self.deadlines.insert((deadline, client.id));
            let (conn, abort) = (client.id, false);
            self.outputs.push_back(Output::Close { conn, abort });
        }
    }

    /// Forgets what a connection had.
    pub(super) fn detach(&mut self, client: &Client) {
        if let Some(deadline) = client.stage.deadline() {
            self.deadlines.remove(&(deadline, client.id));
        }
        if let Some(session) = client.session()
            && self.attached.get(&session) == Some(&client.id)
        {
            self.attached.remove(&session);
        }
        self.watches.remove_conn(client.id);
        self.releases.retain(|(_, conn)| *conn != client.id);
        let address = client.peer.ip();
        if let Some(count) = self.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
    }

    /// Tells the driver that there is output, unless it knows.
    pub(super) fn announce(&mut self, client: &mut Client) {
        if !client.output.announced && client.output.ready() > 0 {
            client.output.announced = true;
            self.outputs.push_back(Output::Transmit(client.id));
        }
    }

    pub(super) fn evict(&mut self, conn: ConnId, ending: Ending) {
        self.evicted.push((conn, ending));
    }

    /// A session was heard of.
    pub(super) fn touch(&mut self, client: &mut Client) {
        if client.touched {
            return;
        }
        if let Stage::Active {
            session,
            local: false,
            ..
        } = client.stage
        {
            client.touched = true;
            self.touched.push(session);
            let half_a_tick = self.options.tick / 2;
            let at = self.clock.now() + half_a_tick;
            self.flush_at.get_or_insert(at);
        }
    }

    /// Whether the next request of a client can be worked on. A leader at hand decides on one
    /// before the next is looked at, so that none has to be kept.
    pub(super) fn may_serve(&self, client: &Client) -> bool {
        let most = match self.mode {
            Mode::Serving(Role::Standalone) => 1,
            Mode::Serving(_) | Mode::ReadOnly | Mode::Down => self.options.max_outstanding,
        };
        client.ending.is_none()
            && client.waiting.len() < most
            && client.output.len() < self.options.output_high_water
            && matches!(client.stage, Stage::Greeting { .. } | Stage::Active { .. })
    }

    /// The password of a session: any member can tell it.
    pub(crate) fn password(&self, session: SessionId) -> Password {
        let [a, b, c, d] = self.secret;
        let id = session.0 as u64;
        let first = mix(mix(id ^ a).wrapping_add(b));
        let second = mix(mix(id ^ c).wrapping_add(d));
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&first.to_be_bytes());
        bytes[8..].copy_from_slice(&second.to_be_bytes());
        Password::from(bytes)
    }

    /// Thirty-two bytes that no other exchange gets.
    pub(super) fn exchange_seed(&mut self) -> [u8; 32] {
        self.sasl_exchanges += 1;
        let mut seed = [0; 32];
        for (chunk, half) in seed.chunks_exact_mut(8).zip(self.secret) {
            chunk.copy_from_slice(&mix(half ^ mix(self.sasl_exchanges)).to_be_bytes());
        }
        seed
    }
}

/// The finalizer of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
