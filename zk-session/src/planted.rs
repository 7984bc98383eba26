//! Faults planted on purpose, to see whether campaigns find them. Built with `--cfg zk_planted` only.

/// What a session does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "for campaigns of this workspace only"
)]
pub enum Planted {
    /// Watches are not put back after a reconnect.
    SkipRestore,
    /// They are put back as if much more had been seen.
    RestoreTooNew,
    /// A write that was sent and not answered is sent again on the next connection.
    ResendWrite,
    /// A request that was sent and not answered is said not to be applied.
    SentIsNotApplied,
    /// Any answer proves that the session lives, also a ping's.
    AnyProof,
    /// So does any answer to a request, whoever gave it.
    ReadProof,
    /// The session lives from the answer on, not from the request.
    ProofFromAnswer,
    /// Another session in the place of the one asked for is not told.
    SilentSubstitution,
    /// Every fifth event is dropped.
    DropEvent,
    /// Events are told after the next reply.
    ReplyBeforeEvent,
    /// Every hundredth result is not told.
    LoseCompletion,
    /// Nobody is told of gaps.
    NoGap,
    /// Credentials are not presented again.
    SkipAuth,
    /// What was not sent yet when the connection was lost is sent on the next one.
    KeepUnsent,
    /// What waited for a connection when the session ended is sent in the next session.
    KeepWaiting,
    /// The newest zxid seen is that of an event.
    SeenByEvent,
    /// A session that was given up is not closed.
    SkipCloseOld,
    /// A watch that is dropped stays registered.
    ForgetDrop,
    /// It stays registered on the server alone.
    LeaveWatches,
    /// Watches do not end with their session.
    KeepWatches,
    /// A reply reaches the request behind the one that it answers.
    SwapReplies,
}
