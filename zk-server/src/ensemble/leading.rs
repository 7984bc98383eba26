//! A member that leads, or is about to (`Leader` of the Java server).
//!
//! | stage | until | then |
//! |---|---|---|
//! | gathering | a majority has called | chooses an epoch newer than all that it has heard of |
//! | joining | a majority has promised to follow no older one, and none of it has more | its own log is the history |
//! | synchronising | a majority has this history | all of it is committed |
//! | broadcasting | no majority has been heard of for `sync_limit` ticks | looks for a leader |
//!
//! Whoever comes later is taken through the same. The first three stages take no longer than twice
//! `sync_limit` ticks.

use std::{collections::BTreeMap, time::Instant};

use zk_proto::Zxid;

use super::{
    core::Core,
    disk::{Base, History, Image},
    link::{Link, LinkId},
    message::Packet,
    state::Next,
};
use crate::{Leader, MemberId, ToLeader};

mod broadcast;

use broadcast::Broadcast;

#[derive(Debug)]
pub(super) struct Leading {
    stage: Stage,
    followers: BTreeMap<MemberId, Follower>,
    /// The end of the first stages.
    deadline: Instant,
    ping_at: Instant,
    pings: u64,
}

#[derive(Debug)]
enum Stage {
    Gathering,
    Joining { epoch: i32 },
    Synchronising { epoch: i32 },
    Broadcasting(Box<Broadcast>),
}

/// What a leader knows of one that follows it.
#[derive(Debug)]
struct Follower {
    link: Link,
    accepted: i32,
    /// The epoch it comes from, unless it had promised ours before, and the last that it has.
    joined: Option<(Option<i32>, Zxid)>,
    /// It gets all that is proposed.
    is_synced: bool,
    /// It gets all that is committed.
    is_serving: bool,
    /// All up to here is in its log.
    acked: Option<Zxid>,
    heard: Instant,
}

impl Leading {
    pub(super) fn begin(core: &mut Core<'_>) -> (Self, Next) {
        core.stand_down();
        let mut leading = Self {
            stage: Stage::Gathering,
            followers: BTreeMap::new(),
            deadline: core.after_ticks(core.init_limit()),
            ping_at: core.now() + core.site.options.tick / 2,
            pings: 0,
        };
        let next = leading.advance(core);
        (leading, next)
    }

    pub(super) fn handle_reset(&mut self, from: MemberId, link: LinkId) {
        if self
            .followers
            .get(&from)
            .is_some_and(|follower| follower.link.id == link)
        {
            self.followers.remove(&from);
        }
    }

    /// `None` if there is no such link.
    pub(super) fn handle_packet(
        &mut self,
        core: &mut Core<'_>,
        from: MemberId,
        id: LinkId,
        number: u64,
        packet: Packet,
    ) -> Option<Next> {
        if let Packet::Info { accepted } = packet {
            let mut link = Link::new(id, from);
            return link
                .expects(number)
                .then(|| self.call(core, from, link, accepted));
        }
        let now = core.now();
        let follower = self
            .followers
            .get_mut(&from)
            .filter(|follower| follower.link.id == id)?;
        if !follower.link.expects(number) {
            tracing::debug!(member = %core.id(), %from, "a message was lost");
            self.followers.remove(&from);
            return None;
        }
        follower.heard = now;
        match packet {
            Packet::Joined { current, last } => {
                follower.joined = Some((current, last));
                let has_more = current > Some(core.site.disk.current)
                    || current == Some(core.site.disk.current) && last > core.site.disk.last();
                match self.stage {
                    Stage::Joining { .. } if has_more => return Some(Next::Look),
                    Stage::Synchronising { .. } | Stage::Broadcasting(_) => {
                        self.synchronise(core, from);
                    }
                    Stage::Gathering | Stage::Joining { .. } => {}
                }
            }
            Packet::Ack { zxid } => {
                follower.acked = Some(zxid);
                self.serve(core, from);
            }
            Packet::Forward(message) => self.forward(core, message),
            Packet::Pong
            | Packet::Info { .. }
            | Packet::Epoch { .. }
            | Packet::Sync(_)
            | Packet::UpToDate { .. }
            | Packet::Proposal { .. }
            | Packet::Commit { .. }
            | Packet::Answer(_)
            | Packet::Ping => {}
        }
        Some(self.advance(core))
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core<'_>) -> Next {
        let now = core.now();
        if let Stage::Broadcasting(broadcast) = &mut self.stage {
            broadcast.leader.handle_timeout(now);
        } else if self.deadline <= now {
            return Next::Look;
        }
        if self.ping_at <= now {
            self.ping_at = now + core.site.options.tick / 2;
            return self.ping(core);
        }
        Next::Stay
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        match &self.stage {
            Stage::Broadcasting(broadcast) => {
                let leader = broadcast.leader.poll_timeout();
                leader.map_or(self.ping_at, |at| at.min(self.ping_at))
            }
            Stage::Gathering | Stage::Joining { .. } | Stage::Synchronising { .. } => {
                self.ping_at.min(self.deadline)
            }
        }
    }

    pub(super) fn leader(&self) -> Option<&Leader> {
        match &self.stage {
            Stage::Broadcasting(broadcast) => Some(&broadcast.leader),
            Stage::Gathering | Stage::Joining { .. } | Stage::Synchronising { .. } => None,
        }
    }

    pub(super) fn leader_mut(&mut self) -> Option<&mut Leader> {
        match &mut self.stage {
            Stage::Broadcasting(broadcast) => Some(&mut broadcast.leader),
            Stage::Gathering | Stage::Joining { .. } | Stage::Synchronising { .. } => None,
        }
    }

    /// Decides and commits until there is nothing more to do.
    pub(super) fn settle(&mut self, core: &mut Core<'_>) {
        if let Stage::Broadcasting(broadcast) = &mut self.stage {
            broadcast.settle(core, &mut self.followers);
        }
    }

    /// Somebody wants to follow.
    fn call(&mut self, core: &mut Core<'_>, from: MemberId, link: Link, accepted: i32) -> Next {
        let follower = Follower {
            link,
            accepted,
            joined: None,
            is_synced: false,
            is_serving: false,
            acked: None,
            heard: core.now(),
        };
        self.followers.insert(from, follower);
        let epoch = match &self.stage {
            Stage::Gathering => return self.advance(core),
            Stage::Joining { epoch } | Stage::Synchronising { epoch } => *epoch,
            Stage::Broadcasting(_) => core.site.disk.current,
        };
        // It could never follow us.
        if accepted > epoch {
            return Next::Look;
        }
        if let Some(follower) = self.followers.get_mut(&from) {
            follower.link.send(core, Packet::Epoch { epoch });
        }
        Next::Stay
    }

    /// Goes on to the next stages as far as a majority is there.
    fn advance(&mut self, core: &mut Core<'_>) -> Next {
        let heard_of = |counts: fn(&Follower) -> bool| {
            1 + self
                .followers
                .values()
                .filter(|follower| counts(follower))
                .count()
        };
        match self.stage {
            Stage::Gathering if core.is_quorum(heard_of(|_| true)) => {
                let accepted = self.followers.values().map(|follower| follower.accepted);
                let newest = accepted.max().unwrap_or(0).max(core.site.disk.accepted);
                let epoch = newest.saturating_add(1);
                core.site.disk.accepted = epoch;
                for follower in self.followers.values_mut() {
                    follower.link.send(core, Packet::Epoch { epoch });
                }
                self.stage = Stage::Joining { epoch };
            }
            Stage::Joining { epoch }
                if core.is_quorum(heard_of(|it| matches!(it.joined, Some((Some(_), _))))) =>
            {
                #[cfg(zk_planted)]
                if core.site.options.planted == Some(crate::Planted::LoseCommitted) {
                    // As if what was not known to be committed here was not anywhere.
                    let known = core.site.disk.committed().len();
                    core.site.disk.truncate(known);
                }
                core.site.disk.current = epoch;
                self.stage = Stage::Synchronising { epoch };
                let joined = self.followers.iter().filter(|(_, it)| it.joined.is_some());
                let joined: Vec<_> = joined.map(|(id, _)| *id).collect();
                for id in joined {
                    self.synchronise(core, id);
                }
            }
            Stage::Synchronising { .. } if core.is_quorum(heard_of(|it| it.acked.is_some())) => {
                self.stage = Stage::Broadcasting(Box::new(Broadcast::begin(core)));
                let acked = self.followers.iter().filter(|(_, it)| it.acked.is_some());
                let acked: Vec<_> = acked.map(|(id, _)| *id).collect();
                for id in acked {
                    self.serve(core, id);
                }
            }
            Stage::Gathering
            | Stage::Joining { .. }
            | Stage::Synchronising { .. }
            | Stage::Broadcasting(_) => return Next::Stay,
        }
        self.advance(core)
    }

    /// Sends a follower what it lacks.
    fn synchronise(&mut self, core: &mut Core<'_>, id: MemberId) {
        let Some(follower) = self.followers.get_mut(&id) else {
            return;
        };
        let Some((_, last)) = follower.joined else {
            return;
        };
        follower.is_synced = true;
        let disk = &core.site.disk;
        let behind = disk.log().len() - disk.position(last);
        let member = &core.memory.member;
        let applied = member.tree().last_zxid();
        let (base, txns) = if behind > core.site.ensemble.snapshot_behind && applied > last {
            let image = Image {
                tree: member.tree().clone(),
                sessions: member.sessions().clone(),
            };
            let log = disk.log()[..disk.position(applied)].to_vec();
            (
                Base::Snapshot(Box::new(image), log),
                disk.history_behind(applied),
            )
        } else {
            (Base::Own(disk.at_most(last)), disk.history_behind(last))
        };
        let epoch = disk.current;
        let history = History { epoch, base, txns };
        follower.link.send(core, Packet::Sync(Box::new(history)));
    }

    /// Lets a follower serve that has the history, once a majority has.
    fn serve(&mut self, core: &mut Core<'_>, id: MemberId) {
        if let Stage::Broadcasting(_) = self.stage
            && let Some(follower) = self.followers.get_mut(&id)
            && !follower.is_serving
        {
            follower.is_serving = true;
            let committed = core
                .site
                .disk
                .committed()
                .last()
                .map_or(Zxid::ZERO, |txn| txn.zxid);
            follower.link.send(core, Packet::UpToDate { committed });
        }
    }

    fn forward(&mut self, core: &Core<'_>, message: ToLeader) {
        if let Stage::Broadcasting(broadcast) = &mut self.stage {
            broadcast.leader.handle(core.now(), message);
        }
    }

    /// Lets the followers know that the leader is there, every half tick, and gives up without a
    /// majority of them, every tick. So a leader can be one for a while after it was deposed.
    fn ping(&mut self, core: &mut Core<'_>) -> Next {
        let now = core.now();
        let tick = core.site.options.tick;
        let limit = match self.stage {
            Stage::Broadcasting(_) => core.sync_limit(),
            Stage::Gathering | Stage::Joining { .. } | Stage::Synchronising { .. } => {
                core.init_limit()
            }
        };
        let limit = tick.saturating_mul(limit);
        self.followers
            .retain(|_, follower| now.duration_since(follower.heard) < limit);
        let is_up = |follower: &&mut Follower| follower.is_serving;
        let serving = self.followers.values_mut().filter(is_up);
        let mut count = 1;
        for follower in serving {
            count += 1;
            follower.link.send(core, Packet::Ping);
        }
        self.pings += 1;
        let is_whole = self.pings % 2 == 0;
        let is_elected = matches!(self.stage, Stage::Broadcasting(_));
        if is_whole && is_elected && !core.is_quorum(count) {
            tracing::info!(member = %core.id(), "leads no more: there is no majority");
            return Next::Look;
        }
        Next::Stay
    }
}
