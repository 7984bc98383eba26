//! What a member has in every state, and what the states do with it.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use zk_proto::Zxid;

use super::{
    Ensemble,
    disk::{Disk, Image},
    jitter::Jitter,
    message::{Body, PeerMessage, Vote},
};
use crate::{FromLeader, Member, MemberId, Options, ToLeader, clock::Clock};

/// A machine, whether it runs or not.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) id: MemberId,
    pub(super) ensemble: Arc<Ensemble>,
    pub(super) options: Arc<Options>,
    pub(super) disk: Disk,
    pub(super) jitter: Jitter,
    pub(super) apply_delay: Duration,
}

/// What is lost in a crash.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) member: Member,
    pub(super) clock: Clock,
    start: (Instant, SystemTime),
    pub(super) outbox: VecDeque<(MemberId, PeerMessage)>,
    /// What the member is to be told, and when.
    applying: VecDeque<(Instant, FromLeader)>,
    /// The count of elections.
    pub(super) round: u64,
    /// The number of links begun.
    pub(super) links: u64,
}

/// All of a member but its state.
#[derive(Debug)]
pub(super) struct Core<'a> {
    pub(super) site: &'a mut Site,
    pub(super) memory: &'a mut Memory,
}

impl Site {
    pub(super) fn boot(&mut self, now: Instant, wall: SystemTime) -> Memory {
        self.disk.starts = self.disk.starts.wrapping_add(1);
        let image = self.disk.image.take();
        let Image { tree, sessions } = image.unwrap_or_else(|| Image::new(&self.ensemble.config));
        let options = Arc::clone(&self.options);
        let mut member = Member::new(options, tree, self.ensemble.seed, now, wall);
        let shared = &mut member.shared;
        shared.sessions = sessions;
        shared.next_session = shared.next_session.max(self.disk.next_session);
        Memory {
            member,
            clock: Clock::new(now, wall),
            start: (now, wall),
            outbox: VecDeque::new(),
            applying: VecDeque::new(),
            round: 0,
            links: 0,
        }
    }
}

impl Memory {
    pub(super) fn next_apply(&self) -> Option<Instant> {
        self.applying.front().map(|(at, _)| *at)
    }
}

impl Core<'_> {
    pub(super) fn now(&self) -> Instant {
        self.memory.clock.now()
    }

    pub(super) fn wall(&self) -> SystemTime {
        let (start, wall) = self.memory.start;
        wall.checked_add(self.now().duration_since(start))
            .unwrap_or(wall)
    }

    pub(super) fn id(&self) -> MemberId {
        self.site.id
    }

    pub(super) fn is_quorum(&self, count: usize) -> bool {
        count >= self.site.ensemble.quorum()
    }

    /// After so many ticks, from now.
    pub(super) fn after_ticks(&self, ticks: u32) -> Instant {
        self.now() + self.site.options.tick.saturating_mul(ticks)
    }

    /// For how many ticks a leader and a follower bear each other's silence.
    pub(super) fn sync_limit(&self) -> u32 {
        self.site.options.sync_limit.max(1)
    }

    /// How many ticks a leader may take to gather its followers (`initLimit`).
    pub(super) fn init_limit(&self) -> u32 {
        self.sync_limit().saturating_mul(2)
    }

    /// After the time in which members answer each other, if all is well, and some chance.
    pub(super) fn after_pause(&mut self, doubled: u32) -> Instant {
        let pause = (self.site.options.tick / 10).min(Duration::from_millis(200));
        let pause = pause.max(Duration::from_millis(1)) * (1 << doubled.min(5));
        self.now() + self.site.jitter.stretch(pause)
    }

    /// What this member has to offer as a leader.
    pub(super) fn own_vote(&self) -> Vote {
        Vote {
            epoch: self.site.disk.current,
            last: self.site.disk.last(),
            leader: self.id(),
        }
    }

    pub(super) fn send(&mut self, to: MemberId, body: Body) {
        self.memory.outbox.push_back((to, PeerMessage(body)));
    }

    pub(super) fn broadcast(&mut self, body: &Body) {
        let id = self.site.id;
        for voter in self.site.ensemble.voters().filter(|voter| *voter != id) {
            self.memory
                .outbox
                .push_back((voter, PeerMessage(body.clone())));
        }
    }

    /// Tells the member something of its leader, after what it was told before, and not before the
    /// delay.
    pub(super) fn deliver(&mut self, message: FromLeader) {
        let now = self.now();
        let delay = self.site.apply_delay;
        if delay.is_zero() && self.memory.applying.is_empty() {
            self.memory.member.handle_leader(now, message);
        } else {
            let at = now.checked_add(delay);
            let at = at.unwrap_or_else(|| now + Duration::from_secs(u32::MAX.into()));
            self.memory.applying.push_back((at, message));
        }
    }

    /// Tells the member what is due.
    pub(super) fn apply_due(&mut self) {
        let now = self.now();
        while self
            .memory
            .applying
            .front()
            .is_some_and(|(at, _)| *at <= now)
        {
            if let Some((_, message)) = self.memory.applying.pop_front() {
                self.memory.member.handle_leader(now, message);
            }
        }
    }

    pub(super) fn poll_leader(&mut self) -> Option<ToLeader> {
        self.memory.member.poll_leader()
    }

    /// Applies all that is committed up to `zxid`. There are no clients yet, or no more.
    pub(super) fn catch_up(&mut self, zxid: Zxid) {
        let now = self.now();
        self.memory.applying.clear();
        while self.site.disk.commit_next(zxid).is_some() {}
        let applied = self
            .site
            .disk
            .position(self.memory.member.tree().last_zxid());
        let committed = self.site.disk.committed();
        for txn in committed.get(applied..).unwrap_or_default() {
            let commit = FromLeader::Commit {
                txn: Arc::clone(txn),
                ticket: None,
            };
            self.memory.member.handle_leader(now, commit);
        }
    }

    /// There is no leader: drops all clients.
    pub(super) fn stand_down(&mut self) {
        let now = self.now();
        self.memory.member.stop(now);
        self.catch_up(Zxid::ZERO);
    }

    /// Puts data in the place of what the member has.
    pub(super) fn restore(&mut self, image: Image) {
        self.memory.applying.clear();
        self.memory.member.shared.tree = image.tree;
        self.memory.member.shared.sessions = image.sessions;
    }

    /// Plays the committed log again if the data is not what the log led to: a disk has lost what was
    /// written to it.
    pub(super) fn rewind(&mut self) {
        if !self.site.disk.has(self.memory.member.tree().last_zxid()) {
            let mut image = Image::new(&self.site.ensemble.config);
            image.replay(self.site.disk.committed());
            self.restore(image);
        }
    }
}
