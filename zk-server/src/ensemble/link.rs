//! A link between a leader and a follower: messages with numbers, so that a loss is noticed.

use crate::MemberId;

use super::{
    core::Core,
    message::{Body, Packet},
};

/// The name of a link. Whoever follows chooses it, and never twice the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct LinkId {
    pub(super) follower: MemberId,
    pub(super) number: u64,
}

/// One end of a link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    peer: MemberId,
    sent: u64,
    received: u64,
}

impl Link {
    pub(super) fn new(id: LinkId, peer: MemberId) -> Self {
        Self {
            id,
            peer,
            sent: 0,
            received: 0,
        }
    }

    pub(super) fn send(&mut self, core: &mut Core<'_>, packet: Packet) {
        let body = Body::Linked {
            link: self.id,
            number: self.sent,
            packet,
        };
        self.sent += 1;
        core.send(self.peer, body);
    }

    /// Whether this is the next message. Otherwise one was lost, and the link is of no use.
    pub(super) fn expects(&mut self, number: u64) -> bool {
        let expected = number == self.received;
        self.received += 1;
        expected
    }

    /// Tells the other end that this is over.
    pub(super) fn reset(&self, core: &mut Core<'_>) {
        core.send(self.peer, Body::Reset(self.id));
    }
}
