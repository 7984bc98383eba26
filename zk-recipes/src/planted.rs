//! Faults planted on purpose, to see whether campaigns find them: with `--cfg zk_planted` only.

/// What a recipe does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(
    zk_planted,
    expect(
        clippy::exhaustive_enums,
        reason = "for campaigns of this workspace only"
    )
)]
#[cfg_attr(
    not(zk_planted),
    expect(unreachable_pub, reason = "it is public where faults are planted")
)]
pub enum Planted {
    /// A node counts as ours whatever session it belongs to.
    AnyOwner,
    /// What is guarded is taken for held after the deadline.
    IgnoreDeadline,
    /// The predecessor is looked at without a watch.
    NoWatch,
    /// A create whose reply was lost is sent again without a look.
    ResendCreate,
    /// A release whose reply was lost is left at that.
    ReleaseOnce,
    /// A wait that is given up leaves its node.
    KeepNode,
    /// The line is looked at before our node is in it.
    EarlyLook,
    /// The second in line is taken for the first.
    SecondIsFirst,
    /// A node of ours that was deleted by somebody else is not missed.
    MissNothing,
    /// A semaphore gives one lease too many.
    OneTooMany,
    /// A semaphore gives its inner lock back before the lease is there.
    EarlyUnlock,
    /// What is missing after a gap stays in a cache.
    KeepMissing,
    /// A reply is put into a cache though an event about its node has come since.
    TrustReplies,
    /// What has changed between two sessions is not told.
    QuietSession,
    /// A node of another session is taken for the one that is wanted.
    ForeignNode,
    /// A node whose create was lost is looked for once.
    LeaveDoubt,
    /// Data whose write was lost is not written again.
    SetOnce,
    /// Items are said to be let go, and are not.
    SkipLetGo,
    /// Nobody looks whether members come or go.
    IgnoreMembers,
    /// The token is the session's id.
    SessionToken,
    /// Whoever waits goes to the end of the line whenever it looks.
    LosePlace,
    /// Who was elected leads until it hears that its session has ended.
    KeepLeading,
    /// A change whose answer was lost is made again.
    AddAgain,
    /// What a counter was changed to is read from it afterwards.
    ReadBack,
    /// A counter is written whatever version it has.
    AnyVersion,
    /// An item is given out and stays in its queue.
    KeepItem,
    /// An item is deleted before it is read.
    DeleteFirst,
    /// An item that is perhaps lost is not told of.
    SilentLoss,
    /// An item is consumed whoever holds it.
    ConsumeUnheld,
    /// A claim whose answer was lost is taken for none.
    ForgetClaim,
    /// A consumption whose answer was lost is taken for done.
    DoneUnseen,
    /// Whoever leaves a double barrier does not wait for the others.
    LeaveAtOnce,
    /// Whoever enters a double barrier is let in by a round that is over.
    OldReady,
    /// Whoever enters a double barrier does not look whether it is open.
    SkipReady,
    /// What was read before and after a lost connection is taken for one look.
    SplitLook,
    /// Whoever enters a double barrier misses what its server does not show yet.
    LateLook,
    /// Whoever waits at a barrier is released by any event.
    AnyEvent,
    /// Whoever waits at a barrier and finds the next one waits for that.
    NextBarrier,
    /// Whether there is a barrier is asked of a server that may not know it yet.
    StaleLook,
    /// A lease is taken before it has ended.
    TakeEarly,
    /// A lease is said to last from its answer on.
    FromReply,
    /// A record is replaced whoever has written it, with the lock or without.
    BlindRecord,
    /// Whoever has one of several leases takes another one.
    SecondSlot,
}

/// What is planted, if anything is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    #[cfg(zk_planted)]
    planted: Option<Planted>,
}

impl Plan {
    #[cfg(zk_planted)]
    pub(crate) fn of(planted: Planted) -> Self {
        let planted = Some(planted);
        Self { planted }
    }

    #[cfg(zk_planted)]
    pub(crate) fn has(self, fault: Planted) -> bool {
        self.planted == Some(fault)
    }

    #[cfg(not(zk_planted))]
    pub(crate) const fn has(self, _: Planted) -> bool {
        let Self {} = self;
        false
    }
}
