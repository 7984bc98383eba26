//! An ensemble, for simulations: several members that elect a leader and agree on what is written.
//!
//! ```text
//!  clients ──► Member ──► Leader ──► log ──► other peers     while it leads
//!              Member ──────────────────────► the leader     while it follows
//! ```
//!
//! The protocol between members is Zab, as ZooKeeper has it: `looking` elects, `leading` and
//! `following` discover, synchronise and broadcast, each over a `link` that notices losses.

use std::{
    collections::BTreeSet,
    fmt::{self, Write as _},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use crate::{ConnId, Leader, Member, MemberId, Membership, Options, Output, Tree, Txn};

mod core;
mod disk;
mod faults;
mod following;
mod jitter;
mod leading;
mod link;
mod looking;
mod message;
mod state;

pub use message::PeerMessage;

use self::{
    core::{Core, Memory, Site},
    disk::{Disk, Image},
    jitter::Jitter,
    state::State,
};

/// What all members of an ensemble have in common.
#[derive(Clone)]
pub struct Ensemble {
    voters: BTreeSet<MemberId>,
    options: Options,
    seed: [u8; 32],
    config: String,
    snapshot_behind: usize,
}

/// One member of an ensemble, with its machine: for simulations.
///
/// It is not for production, and cannot be: its disk is a field that a [`crash`](Self::crash) spares,
/// and there are no sockets between members. But the protocol between them is that of ZooKeeper
/// (election, discovery, synchronisation, broadcast), so that clients meet what makes their promises
/// hard: followers that lag, members that answer although the leader has dropped their sessions,
/// leaders that do not know that they are deposed, writes of which nobody can say whether they count.
///
/// It is driven as a [`Standalone`](crate::Standalone) is, and besides:
///
/// ```text
/// start, crash, handle_message      what happened
/// poll_message                      what to carry to which member; it may be late or lost
/// ```
///
/// A member that becomes the leader copies the tree once, as it then has two: with and without what
/// is not committed. Reconfiguration changes what clients read in `/zookeeper/config`, not who votes.
#[derive(Debug)]
pub struct Peer {
    site: Site,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    memory: Memory,
    state: State,
}

/// What a member of an ensemble does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PeerState {
    /// It is not running.
    Down,
    /// It looks for a leader.
    Looking,
    /// It has chosen this leader. It serves clients once the leader has told it all.
    Following(MemberId),
    /// It leads or is about to. It serves clients once a majority has what it has.
    Leading,
}

impl Ensemble {
    /// An ensemble of these members. The number in `options` is replaced by that of each. Passwords
    /// of sessions and the chance in elections are made from `seed`.
    pub fn new(
        voters: impl IntoIterator<Item = MemberId>,
        options: Options,
        seed: [u8; 32],
    ) -> Self {
        let voters: BTreeSet<_> = voters.into_iter().collect();
        let mut config = String::new();
        for voter in &voters {
            // Writing to a string does not fail.
            let _ = writeln!(
                config,
                "server.{voter}=member-{voter}:2888:3888:participant;2181"
            );
        }
        config.push_str("version=0");
        Self {
            voters,
            options,
            seed,
            config,
            snapshot_behind: 500,
        }
    }

    /// What `/zookeeper/config` holds at first. Default: one line for each member, with the host
    /// `member-` and its number.
    #[must_use]
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = text.into();
        self
    }

    /// How many transactions a follower may lack before it is sent the data as a whole. Default 500.
    #[must_use]
    pub fn snapshot_behind(mut self, txns: usize) -> Self {
        self.snapshot_behind = txns;
        self
    }

    /// The members, in the order of their numbers.
    pub fn voters(&self) -> impl Iterator<Item = MemberId> {
        self.voters.iter().copied()
    }

    /// How many members are a majority.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}

impl fmt::Debug for Ensemble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ensemble")
            .field("voters", &self.voters)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// A member with an empty disk that was not started yet.
    pub fn new(id: MemberId, ensemble: Arc<Ensemble>) -> Self {
        let mut options = ensemble.options.clone().member(id);
        options.settings.membership = Membership::Ensemble {
            synced: ensemble.voters().map(|voter| i64::from(voter.0)).collect(),
        };
        Self {
            site: Site {
                id,
                jitter: Jitter::new(ensemble.seed, id.0),
                options: Arc::new(options),
                disk: Disk::new(),
                apply_delay: Duration::ZERO,
                ensemble,
            },
            running: None,
        }
    }

    /// The machine starts; it has what is on its disk, and no connections. `wall` is the time of day
    /// at `now`. A machine that runs is [crashed](Self::crash) before.
    pub fn start(&mut self, now: Instant, wall: SystemTime) {
        self.crash();
        let mut memory = self.site.boot(now, wall);
        let mut core = Core {
            site: &mut self.site,
            memory: &mut memory,
        };
        let state = State::begin(&mut core);
        self.running = Some(Running { memory, state });
    }

    /// The machine stops, and everything that was not on its disk is lost: connections, watches,
    /// faults to come, what was about to be sent.
    pub fn crash(&mut self) {
        if let Some(Running { memory, .. }) = self.running.take() {
            let shared = memory.member.shared;
            self.site.disk.next_session = shared.next_session;
            self.site.disk.image = Some(Image {
                tree: shared.tree,
                sessions: shared.sessions,
            });
        }
    }

    /// The machine stops, and its disk has not kept the last `count` transactions that were written
    /// to it. ZooKeeper is not made for this: what it had acknowledged can be lost.
    pub fn crash_losing(&mut self, count: usize) {
        self.crash();
        let disk = &mut self.site.disk;
        disk.truncate(disk.log().len().saturating_sub(count));
        if disk
            .image
            .as_ref()
            .is_some_and(|image| !disk.has(image.tree.last_zxid()))
        {
            let mut image = Image::new(&self.site.ensemble.config);
            image.replay(disk.committed());
            disk.image = Some(image);
        }
    }

    /// A client has connected. The driver chooses `conn`, and never uses one twice.
    pub fn handle_accept(&mut self, now: Instant, conn: ConnId, peer: SocketAddr) {
        self.run(now, |core, _| {
            let now = core.now();
            core.memory.member.handle_accept(now, conn, peer);
        });
    }

    /// Bytes have arrived.
    pub fn handle_data(&mut self, now: Instant, conn: ConnId, data: &[u8]) {
        self.run(now, |core, _| {
            let now = core.now();
            core.memory.member.handle_data(now, conn, data);
        });
    }

    /// A connection is gone.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId) {
        self.run(now, |core, _| {
            let now = core.now();
            core.memory.member.handle_closed(now, conn);
        });
    }

    /// A message of another member has arrived.
    pub fn handle_message(&mut self, now: Instant, from: MemberId, message: PeerMessage) {
        self.run(now, |core, state| state.handle_message(core, from, message));
    }

    /// Does what is due. Early calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run(now, |core, state| {
            state.handle_timeout(core);
            let now = core.now();
            core.memory.member.handle_timeout(now);
        });
    }

    /// Appends what is to be sent on a connection, and returns how many bytes that were.
    pub fn poll_transmit(&mut self, conn: ConnId, out: &mut Vec<u8>) -> usize {
        let Some(running) = &mut self.running else {
            return 0;
        };
        let taken = running.memory.member.poll_transmit(conn, out);
        let now = running.memory.clock.now();
        self.run(now, |_, _| {});
        taken
    }

    /// What to do next for a connection.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.running.as_mut()?.memory.member.poll_output()
    }

    /// What to send to which member next.
    pub fn poll_message(&mut self) -> Option<(MemberId, PeerMessage)> {
        self.running.as_mut()?.memory.outbox.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let Running { memory, state } = self.running.as_ref()?;
        let applying = memory.next_apply();
        [memory.member.poll_timeout(), state.poll_timeout(), applying]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether to read from a connection.
    pub fn wants_read(&self, conn: ConnId) -> bool {
        self.member().is_some_and(|member| member.wants_read(conn))
    }

    /// Its number.
    pub fn id(&self) -> MemberId {
        self.site.id
    }

    /// What it does.
    pub fn state(&self) -> PeerState {
        match self.running.as_ref().map(|running| &running.state) {
            None => PeerState::Down,
            Some(State::Looking(_)) => PeerState::Looking,
            Some(State::Following(following)) => PeerState::Following(following.leader),
            Some(State::Leading(_)) => PeerState::Leading,
        }
    }

    /// Its connections and what can be seen of them, while it runs.
    pub fn member(&self) -> Option<&Member> {
        self.running.as_ref().map(|running| &running.memory.member)
    }

    /// Whether it serves writes, too.
    pub fn is_serving(&self) -> bool {
        self.member()
            .is_some_and(|member| member.is_serving() && !member.is_read_only())
    }

    /// Who decides, if it is here.
    pub fn leader(&self) -> Option<&Leader> {
        self.running.as_ref()?.state.leader()
    }

    /// The data as it shows it to clients, or last did.
    pub fn tree(&self) -> Option<&Tree> {
        let image = self.site.disk.image.as_ref().map(|image| &image.tree);
        self.member().map(Member::tree).or(image)
    }

    /// Every transaction that it knows to be committed, in order. It may not have applied all.
    pub fn committed(&self) -> &[Arc<Txn>] {
        self.site.disk.committed()
    }

    /// Every transaction on its disk, whether committed or not.
    pub fn logged(&self) -> &[Arc<Txn>] {
        self.site.disk.log()
    }

    fn run(&mut self, now: Instant, action: impl FnOnce(&mut Core<'_>, &mut State)) {
        if let Some(Running { memory, state }) = &mut self.running {
            memory.clock.advance(now);
            let mut core = Core {
                site: &mut self.site,
                memory,
            };
            action(&mut core, state);
            state.settle(&mut core);
        }
    }
}

#[cfg(test)]
mod tests;
