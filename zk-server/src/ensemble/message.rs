//! What members of an ensemble send to each other.

use std::{fmt, sync::Arc};

use zk_proto::Zxid;

use super::{disk::History, link::LinkId};
use crate::{FromLeader, MemberId, Ticket, ToLeader, Txn};

/// A message from one member to another. Whoever carries it may delay it or lose it; messages of one
/// direction between two members keep their order.
#[derive(Clone)]
pub struct PeerMessage(pub(super) Body);

#[derive(Clone, Debug)]
pub(super) enum Body {
    /// For the election.
    Notice(Notice),
    /// Between a leader and its follower. The numbers of one direction have no gap.
    Linked {
        link: LinkId,
        number: u64,
        packet: Packet,
    },
    /// There is no such link any more.
    Reset(LinkId),
}

/// What a member thinks of who should lead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notice {
    pub(super) stance: Stance,
    /// The count of elections, so that those who vote mean the same one.
    pub(super) round: u64,
    pub(super) vote: Vote,
}

/// What the sender of a notice does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stance {
    Looking,
    Following,
    Leading,
}

/// A candidate. The greatest wins: who has seen the newest epoch, then who has logged most.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Vote {
    pub(super) epoch: i32,
    pub(super) last: Zxid,
    pub(super) leader: MemberId,
}

/// What a leader and a follower say to each other, in the order of a session between them.
#[derive(Clone, Debug)]
pub(super) enum Packet {
    /// The follower: this epoch is the newest that I know of (`FOLLOWERINFO`).
    Info { accepted: i32 },
    /// The leader: this will be ours (`LEADERINFO`).
    Epoch { epoch: i32 },
    /// The follower: I join none that is older, and this is what I have. Without an epoch if I had
    /// joined before (`ACKEPOCH`).
    Joined { current: Option<i32>, last: Zxid },
    /// The leader: this is what all shall have (`DIFF`, `TRUNC`, `SNAP`, and `NEWLEADER` behind it).
    Sync(Box<History>),
    /// The follower: all up to here is logged (`ACK`).
    Ack { zxid: Zxid },
    /// The leader: all up to here is committed; serve (`UPTODATE`).
    UpToDate { committed: Zxid },
    /// The leader: log this (`PROPOSAL`).
    Proposal {
        txn: Arc<Txn>,
        ticket: Option<Ticket>,
    },
    /// The leader: all up to here is committed (`COMMIT`).
    Commit { zxid: Zxid },
    /// The follower: for the leader (`REQUEST`, `REVALIDATE`).
    Forward(ToLeader),
    /// The leader: for a client of the follower.
    Answer(FromLeader),
    /// The leader, every half tick.
    Ping,
    /// The follower, at once.
    Pong,
}

impl PeerMessage {
    /// What kind of message it is, in one word.
    pub fn label(&self) -> &'static str {
        match &self.0 {
            Body::Notice(_) => "vote",
            Body::Reset(_) => "reset",
            Body::Linked { packet, .. } => match packet {
                Packet::Info { .. } => "info",
                Packet::Epoch { .. } => "epoch",
                Packet::Joined { .. } => "joined",
                Packet::Sync(_) => "sync",
                Packet::Ack { .. } => "ack",
                Packet::UpToDate { .. } => "up-to-date",
                Packet::Proposal { .. } => "proposal",
                Packet::Commit { .. } => "commit",
                Packet::Forward(_) => "forward",
                Packet::Answer(_) => "answer",
                Packet::Ping => "ping",
                Packet::Pong => "pong",
            },
        }
    }
}

impl fmt::Debug for PeerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
