//! What members and their leader say to each other. An ensemble may delay these messages or lose
//! them with the link, but never swap two of one direction.

use std::sync::Arc;

use bytes::Bytes;
use zk_proto::{Id, OpCode, SessionId};

use crate::{MemberId, Ticket, Txn};

/// From a member to the leader.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ToLeader {
    /// A client wants a new session. The member has chosen its id.
    CreateSession {
        /// Who waits.
        ticket: Ticket,
        /// The new session.
        session: SessionId,
        /// Its timeout, in milliseconds.
        timeout: i32,
    },
    /// A client presents a session, with the right password.
    Revalidate {
        /// Who waits.
        ticket: Ticket,
        /// The session.
        session: SessionId,
        /// Its timeout from now on, in milliseconds.
        timeout: i32,
    },
    /// A client wants to end its session.
    CloseSession {
        /// Who waits.
        ticket: Ticket,
        /// The session.
        session: SessionId,
    },
    /// A write.
    Write(Write),
    /// The client wants to see all that is committed by now.
    Sync {
        /// Who waits.
        ticket: Ticket,
    },
    /// These sessions have been heard of since the last message of this kind.
    Touch {
        /// From which member.
        member: MemberId,
        /// The sessions, in ascending order.
        sessions: Vec<SessionId>,
    },
}

/// A write on its way to the leader. Its body has been decoded once, so it will be again.
#[derive(Clone)]
pub struct Write {
    /// Who waits.
    pub ticket: Ticket,
    /// The session that it is made in.
    pub session: SessionId,
    /// The operation.
    pub opcode: OpCode,
    /// Its body.
    pub body: Bytes,
    /// The identities of the connection.
    pub ids: Arc<[Id]>,
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write")
            .field("ticket", &self.ticket)
            .field("session", &self.session)
            .field("opcode", &self.opcode)
            .field("length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// From the leader to its members. Each message takes effect once every [`Commit`](Self::Commit)
/// before it has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FromLeader {
    /// For all members: the next transaction. In an ensemble it is proposed, and reaches the members
    /// once enough of them have it.
    Commit {
        /// The transaction.
        txn: Arc<Txn>,
        /// Who waits for it.
        ticket: Option<Ticket>,
    },
    /// For one member: the answer to [`ToLeader::Sync`].
    Synced {
        /// Who waits.
        ticket: Ticket,
    },
    /// For one member: the answer to [`ToLeader::Revalidate`].
    Revalidated {
        /// Who waits.
        ticket: Ticket,
        /// Whether the session is alive.
        alive: Alive,
    },
    /// For one member: a write was not made, as its session has moved to another member.
    Moved {
        /// Who waits.
        ticket: Ticket,
    },
}

impl FromLeader {
    /// The one member that it is for; `None` is all of them.
    pub fn member(&self) -> Option<MemberId> {
        match self {
            Self::Commit { .. } => None,
            Self::Synced { ticket } | Self::Revalidated { ticket, .. } | Self::Moved { ticket } => {
                Some(ticket.member)
            }
        }
    }
}

/// Whether a session that a client came back with goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it is or it is not")]
pub enum Alive {
    /// It does, on the member that asked.
    Yes,
    /// It has expired, was closed, or never was.
    No,
}
