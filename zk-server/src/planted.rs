//! Faults planted on purpose, to see whether campaigns find them. Built with `--cfg zk_planted` only.

/// What a server does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "for campaigns of this workspace only"
)]
pub enum Planted {
    /// Every tenth event is not sent.
    DropEvent,
    /// A reply comes before the events of its own transaction.
    ReplyBeforeEvent,
    /// Every twentieth write is done twice.
    ApplyTwice,
    /// The end of a session leaves its first ephemeral node.
    KeepEphemeral,
    /// The list of children is not newer after a deletion.
    StillPzxid,
    /// Not every version of data is counted.
    StillVersion,
    /// A `sync` is answered by the member alone.
    LocalSync,
    /// Pings and reads do not keep a session alive.
    DeafTracker,
    /// Registrations are not caught up with what happened meanwhile.
    NoCatchUp,
    /// A session that has ended goes on.
    RaiseDead,
    /// A transaction that is refused takes no number.
    ReuseZxid,
    /// The leader commits what only it has logged.
    CommitAlone,
    /// A leader forgets the last transaction that it has committed when it takes over.
    LoseCommitted,
}
