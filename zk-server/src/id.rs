//! Names of connections, members and requests under way.

use std::fmt;

/// A connection of a client. The driver chooses the number, and never uses one twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A member of an ensemble: the number in its configuration, which is also the high byte of the
/// sessions that it opens. A standalone server is number 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MemberId(pub u8);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A request that a member has sent to the leader, to find the client that waits for its outcome.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket {
    /// The member that the client is connected to.
    pub member: MemberId,
    /// The connection.
    pub conn: ConnId,
    /// The position among the requests of that connection.
    pub serial: u64,
}
