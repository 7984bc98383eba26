//! A member without a leader, which looks for one (`FastLeaderElection` of the Java server).
//!
//! Everybody says whom it would follow: the candidate with the newest epoch, then the longest log,
//! that it has heard of. Once a majority says the same, and nobody better turns up for a moment, it is
//! so. Whoever comes late asks those who have a leader.
//!
//! An election only has to find somebody. That nothing committed is lost does not depend on it:
//! [`leading`](super::leading) makes sure of that.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use zk_proto::Zxid;

use super::{
    core::Core,
    message::{Body, Notice, Stance, Vote},
    state::Next,
};
use crate::MemberId;

/// How long a member waits for an election before it serves those who can do without a leader; at
/// least a tick (`QuorumPeer.run` of the Java server).
const READ_ONLY_GRACE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Looking {
    proposed: Vote,
    /// What the others who look say, in this round.
    votes: BTreeMap<MemberId, Vote>,
    /// Whom the others follow who do not look.
    settled: BTreeMap<MemberId, (MemberId, Stance)>,
    /// When it is decided, if nothing comes in between.
    decide_at: Option<Instant>,
    resend_at: Instant,
    resent: u32,
    read_only_at: Option<Instant>,
}

impl Looking {
    pub(super) fn begin(core: &mut Core<'_>) -> Self {
        core.memory.round += 1;
        let options = &core.site.options;
        let grace = READ_ONLY_GRACE.max(options.tick);
        let read_only_at = options.read_only_mode.then(|| core.now() + grace);
        let mut looking = Self {
            proposed: core.own_vote(),
            votes: BTreeMap::new(),
            settled: BTreeMap::new(),
            decide_at: None,
            resend_at: core.after_pause(1),
            resent: 0,
            read_only_at,
        };
        looking.announce(core);
        looking.count(core);
        looking
    }

    pub(super) fn handle_notice(
        &mut self,
        core: &mut Core<'_>,
        from: MemberId,
        notice: Notice,
    ) -> Next {
        if notice.stance != Stance::Looking {
            self.votes.remove(&from);
            self.settled
                .insert(from, (notice.vote.leader, notice.stance));
            return self.join(core, notice.vote.leader);
        }
        self.settled.remove(&from);
        if notice.round < core.memory.round {
            core.send(from, self.notice(core));
            return Next::Stay;
        }
        let mut better = notice.vote > self.proposed;
        if notice.round > core.memory.round {
            core.memory.round = notice.round;
            self.votes.clear();
            self.proposed = core.own_vote();
            self.decide_at = None;
            better = notice.vote > self.proposed;
            if !better {
                self.announce(core);
            }
        }
        if better {
            self.proposed = notice.vote;
            self.decide_at = None;
            self.announce(core);
        }
        self.votes.insert(from, notice.vote);
        self.count(core);
        self.decide(core)
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core<'_>) -> Next {
        let now = core.now();
        if self.read_only_at.is_some_and(|at| at <= now) {
            self.read_only_at = None;
            core.memory.member.enter_read_only(now);
        }
        if self.resend_at <= now {
            self.resent += 1;
            self.resend_at = core.after_pause(1 + self.resent);
            self.announce(core);
        }
        self.decide(core)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let times = [self.decide_at, self.read_only_at, Some(self.resend_at)];
        times.into_iter().flatten().min()
    }

    /// Whether a majority follows this leader, and it knows.
    fn join(&self, core: &Core<'_>, leader: MemberId) -> Next {
        let count = self
            .settled
            .values()
            .filter(|(other, _)| *other == leader)
            .count();
        let leads = self.settled.get(&leader) == Some(&(leader, Stance::Leading));
        if leads && core.is_quorum(count) {
            Next::Follow(leader)
        } else {
            Next::Stay
        }
    }

    /// Sets the moment of decision if a majority agrees.
    fn count(&mut self, core: &mut Core<'_>) {
        let agree = 1 + self
            .votes
            .values()
            .filter(|vote| **vote == self.proposed)
            .count();
        if !core.is_quorum(agree) {
            self.decide_at = None;
        } else if agree == core.site.ensemble.voters.len() {
            self.decide_at = Some(core.now());
        } else if self.decide_at.is_none() {
            self.decide_at = Some(core.after_pause(0));
        }
    }

    fn decide(&self, core: &Core<'_>) -> Next {
        if self.decide_at.is_none_or(|at| at > core.now()) {
            Next::Stay
        } else if self.proposed.leader == core.id() {
            Next::Lead
        } else {
            Next::Follow(self.proposed.leader)
        }
    }

    fn announce(&self, core: &mut Core<'_>) {
        let notice = self.notice(core);
        core.broadcast(&notice);
    }

    fn notice(&self, core: &Core<'_>) -> Body {
        Body::Notice(Notice {
            stance: Stance::Looking,
            round: core.memory.round,
            vote: self.proposed,
        })
    }
}

/// Tells somebody who looks for a leader who it is.
pub(super) fn point_to(core: &mut Core<'_>, to: MemberId, leader: MemberId) {
    let stance = if leader == core.id() {
        Stance::Leading
    } else {
        Stance::Following
    };
    let vote = Vote {
        epoch: core.site.disk.current,
        last: Zxid::ZERO,
        leader,
    };
    let round = core.memory.round;
    core.send(
        to,
        Body::Notice(Notice {
            stance,
            round,
            vote,
        }),
    );
}
