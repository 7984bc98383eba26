//! A member with a leader elsewhere (`Learner` and `Follower` of the Java server).
//!
//! ```text
//! follower                                 leader
//!    Info      ─────────────────────────►     until the leader answers
//!              ◄─────────────────────────  Epoch        once it has a majority
//!    Joined    ─────────────────────────►     from here on no older leader is followed
//!              ◄─────────────────────────  Sync         once a majority has joined
//!    Ack       ─────────────────────────►     the logs are the same
//!              ◄─────────────────────────  UpToDate     once a majority has it
//!    Forward, Ack, Pong  ◄─────────────►  Proposal, Commit, Answer, Ping
//! ```

use std::{collections::VecDeque, time::Instant};

use zk_proto::Zxid;

use super::{
    core::Core,
    link::{Link, LinkId},
    message::{Body, Packet},
    state::Next,
};
use crate::{FromLeader, MemberId, Role, Ticket};

/// How often a follower calls a leader that does not answer.
const CALLS: u32 = 5;

#[derive(Debug)]
pub(super) struct Following {
    pub(super) leader: MemberId,
    link: Link,
    stage: Stage,
    deadline: Instant,
    /// Who of our clients waits for which proposal.
    tickets: VecDeque<(Zxid, Ticket)>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Calling { calls: u32, again: Instant },
    Synchronising,
    Serving,
}

impl Following {
    pub(super) fn begin(core: &mut Core<'_>, leader: MemberId) -> Self {
        // Whom it has served without a leader has to find another server.
        core.stand_down();
        Self {
            leader,
            link: call(core, leader),
            stage: Stage::Calling {
                calls: 1,
                again: core.after_pause(0),
            },
            deadline: core.after_ticks(core.init_limit()),
            tickets: VecDeque::new(),
        }
    }

    pub(super) fn is_at(&self, from: MemberId, link: LinkId) -> bool {
        self.leader == from && self.link.id == link
    }

    pub(super) fn handle_packet(
        &mut self,
        core: &mut Core<'_>,
        number: u64,
        packet: Packet,
    ) -> Next {
        if !self.link.expects(number) {
            tracing::debug!(member = %core.id(), leader = %self.leader, "a message was lost");
            return self.leave(core);
        }
        let limit = match self.stage {
            Stage::Serving => core.sync_limit(),
            Stage::Calling { .. } | Stage::Synchronising => core.init_limit(),
        };
        self.deadline = core.after_ticks(limit);
        core.memory
            .member
            .handle_leader_heard(core.memory.clock.now());
        match packet {
            Packet::Epoch { epoch } => return self.join(core, epoch),
            Packet::Sync(history) => match core.site.disk.take_over(*history) {
                Ok(image) => {
                    if let Some(image) = image {
                        core.restore(image);
                    }
                    core.rewind();
                    self.acknowledge(core);
                }
                Err(base) => {
                    tracing::debug!(member = %core.id(), %base, "the log has a hole");
                    let current = None;
                    let last = Zxid::ZERO;
                    self.link.send(core, Packet::Joined { current, last });
                }
            },
            Packet::UpToDate { committed } => {
                let heard = core.now();
                core.catch_up(committed);
                core.memory.member.follow(heard, Role::Follower { heard });
                self.stage = Stage::Serving;
                self.deadline = core.after_ticks(core.sync_limit());
            }
            Packet::Proposal { txn, ticket } => {
                let ours = ticket.filter(|ticket| ticket.member == core.id());
                self.tickets.extend(ours.map(|ticket| (txn.zxid, ticket)));
                core.site.disk.append(txn);
                self.acknowledge(core);
            }
            Packet::Commit { zxid } => self.commit(core, zxid),
            Packet::Answer(answer) => core.deliver(answer),
            Packet::Ping => self.link.send(core, Packet::Pong),
            Packet::Info { .. }
            | Packet::Joined { .. }
            | Packet::Ack { .. }
            | Packet::Forward(_)
            | Packet::Pong => {}
        }
        Next::Stay
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core<'_>) -> Next {
        let now = core.now();
        if self.deadline <= now {
            tracing::debug!(member = %core.id(), leader = %self.leader, "the leader is silent");
            return self.leave(core);
        }
        if let Stage::Calling { calls, again } = self.stage
            && again <= now
        {
            if calls == CALLS {
                return self.leave(core);
            }
            self.link = call(core, self.leader);
            self.stage = Stage::Calling {
                calls: calls + 1,
                again: core.after_pause(calls),
            };
        }
        Next::Stay
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        match self.stage {
            Stage::Calling { again, .. } => self.deadline.min(again),
            Stage::Synchronising | Stage::Serving => self.deadline,
        }
    }

    /// Sends what the clients want to the leader.
    pub(super) fn settle(&mut self, core: &mut Core<'_>) {
        while let Some(message) = core.poll_leader() {
            self.link.send(core, Packet::Forward(message));
        }
    }

    fn leave(&self, core: &mut Core<'_>) -> Next {
        self.link.reset(core);
        Next::Look
    }

    fn join(&mut self, core: &mut Core<'_>, epoch: i32) -> Next {
        let disk = &mut core.site.disk;
        if epoch < disk.accepted {
            return self.leave(core);
        }
        // Who has promised this epoch to somebody already must not count twice.
        let current = (epoch > disk.accepted).then_some(disk.current);
        disk.accepted = epoch;
        let last = disk.last();
        self.stage = Stage::Synchronising;
        self.link.send(core, Packet::Joined { current, last });
        Next::Stay
    }

    fn acknowledge(&mut self, core: &mut Core<'_>) {
        let zxid = core.site.disk.acknowledged();
        self.link.send(core, Packet::Ack { zxid });
    }

    fn commit(&mut self, core: &mut Core<'_>, zxid: Zxid) {
        while let Some(txn) = core.site.disk.commit_next(zxid) {
            let waits = self
                .tickets
                .front()
                .filter(|(waits_for, _)| *waits_for == txn.zxid);
            let ticket = waits.map(|(_, ticket)| *ticket);
            if ticket.is_some() {
                self.tickets.pop_front();
            }
            core.deliver(FromLeader::Commit { txn, ticket });
        }
    }
}

/// Begins a link.
fn call(core: &mut Core<'_>, leader: MemberId) -> Link {
    core.memory.links += 1;
    let number = u64::from(core.site.disk.starts) << 32 | core.memory.links;
    let id = LinkId {
        follower: core.id(),
        number,
    };
    let mut link = Link::new(id, leader);
    let accepted = core.site.disk.accepted;
    link.send(core, Packet::Info { accepted });
    link
}

/// Tells whoever uses a link that is not there.
pub(super) fn refuse(core: &mut Core<'_>, to: MemberId, link: LinkId) {
    core.send(to, Body::Reset(link));
}
