//! The states of a member that runs, and what brings it from one to another.
//!
//! | from | when | to |
//! |---|---|---|
//! | looking | a majority wants this member | leading |
//! | looking | a majority wants another, or follows it | following |
//! | leading | no majority follows, or somebody has more | looking |
//! | following | the leader is silent or gone, or a message was lost | looking |

use std::time::Instant;

use super::{
    core::Core,
    following::{self, Following},
    leading::Leading,
    looking::{self, Looking},
    message::{Body, Notice, Packet, PeerMessage, Stance},
};
use crate::{Leader, MemberId};

#[derive(Debug)]
pub(super) enum State {
    Looking(Looking),
    Following(Following),
    Leading(Leading),
}

/// What a state leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    Stay,
    Look,
    Follow(MemberId),
    Lead,
}

impl State {
    pub(super) fn begin(core: &mut Core<'_>) -> Self {
        Self::Looking(Looking::begin(core))
    }

    pub(super) fn handle_message(
        &mut self,
        core: &mut Core<'_>,
        from: MemberId,
        message: PeerMessage,
    ) {
        let next = match message.0 {
            Body::Notice(notice) => self.handle_notice(core, from, notice),
            Body::Reset(link) => match self {
                Self::Following(following) if following.is_at(from, link) => Next::Look,
                Self::Leading(leading) => {
                    leading.handle_reset(from, link);
                    Next::Stay
                }
                Self::Looking(_) | Self::Following(_) => Next::Stay,
            },
            Body::Linked {
                link,
                number,
                packet,
            } => match self {
                Self::Following(following) if following.is_at(from, link) => {
                    following.handle_packet(core, number, packet)
                }
                Self::Leading(leading) if link.follower == from => leading
                    .handle_packet(core, from, link, number, packet)
                    .unwrap_or_else(|| {
                        following::refuse(core, from, link);
                        Next::Stay
                    }),
                // It calls again, and by then we may lead.
                Self::Looking(_) if matches!(packet, Packet::Info { .. }) => Next::Stay,
                Self::Looking(_) | Self::Following(_) | Self::Leading(_) => {
                    following::refuse(core, from, link);
                    Next::Stay
                }
            },
        };
        self.go(core, next);
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core<'_>) {
        core.apply_due();
        let next = match self {
            Self::Looking(looking) => looking.handle_timeout(core),
            Self::Following(following) => following.handle_timeout(core),
            Self::Leading(leading) => leading.handle_timeout(core),
        };
        self.go(core, next);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Looking(looking) => looking.poll_timeout(),
            Self::Following(following) => Some(following.poll_timeout()),
            Self::Leading(leading) => Some(leading.poll_timeout()),
        }
    }

    /// Carries what the member and its leader have for each other.
    pub(super) fn settle(&mut self, core: &mut Core<'_>) {
        match self {
            Self::Looking(_) => {}
            Self::Following(following) => following.settle(core),
            Self::Leading(leading) => leading.settle(core),
        }
        core.memory.member.answer_words(self.leader());
    }

    pub(super) fn leader(&self) -> Option<&Leader> {
        match self {
            Self::Leading(leading) => leading.leader(),
            Self::Looking(_) | Self::Following(_) => None,
        }
    }

    pub(super) fn leader_mut(&mut self) -> Option<&mut Leader> {
        match self {
            Self::Leading(leading) => leading.leader_mut(),
            Self::Looking(_) | Self::Following(_) => None,
        }
    }

    fn handle_notice(&mut self, core: &mut Core<'_>, from: MemberId, notice: Notice) -> Next {
        let leader = match self {
            Self::Looking(looking) => return looking.handle_notice(core, from, notice),
            Self::Following(following) => following.leader,
            Self::Leading(_) => core.id(),
        };
        if notice.stance == Stance::Looking {
            looking::point_to(core, from, leader);
        }
        Next::Stay
    }

    fn go(&mut self, core: &mut Core<'_>, next: Next) {
        let mut next = next;
        while next != Next::Stay {
            tracing::debug!(member = %core.id(), ?next, "changes its state");
            next = match next {
                Next::Stay => break,
                Next::Look => {
                    core.stand_down();
                    *self = Self::Looking(Looking::begin(core));
                    Next::Stay
                }
                Next::Follow(leader) => {
                    *self = Self::Following(Following::begin(core, leader));
                    Next::Stay
                }
                Next::Lead => {
                    let (leading, next) = Leading::begin(core);
                    *self = Self::Leading(leading);
                    next
                }
            };
        }
    }
}
