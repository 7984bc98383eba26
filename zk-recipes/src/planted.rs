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
