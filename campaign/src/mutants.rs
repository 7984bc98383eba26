//! [`MUTANTS`]: faults planted in client, server and recipes, each of which a campaign must find.
//!
//! They are in the crates only if these are built with `--cfg zk_planted`, as `cargo xtask sim
//! --mutants` does.

/// Where a fault is planted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Site {
    #[cfg(zk_planted)]
    Client(zk_session::Planted),
    #[cfg(zk_planted)]
    Server(zk_server::Planted),
    #[cfg(zk_planted)]
    Recipe(zk_recipes::Planted),
}

/// A fault that was planted, by its name.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// What to call it.
    pub name: &'static str,
    /// So many seeds after the first its hunt begins: few seeds show it, and none before that one.
    pub(crate) skip: u64,
    /// The recipe that shows it.
    pub(crate) recipe: Option<&'static str>,
    #[cfg_attr(not(zk_planted), expect(dead_code, reason = "there are none"))]
    pub(crate) site: Site,
}

macro_rules! mutants {
    ($($side:ident of $recipe:literal { $($name:ident $(+ $skip:literal)?)+ })+) => {
        /// All of them; none unless built with `--cfg zk_planted`.
        pub const MUTANTS: &[Mutant] = &[$($(
            #[cfg(zk_planted)]
            Mutant {
                name: concat!(stringify!($side), "::", stringify!($name)),
                skip: 0 $(+ $skip)?,
                recipe: if $recipe.is_empty() { None } else { Some($recipe) },
                site: mutants!(@site $side $name),
            },
        )+)+];
    };
    (@site client $name:ident) => { Site::Client(zk_session::Planted::$name) };
    (@site server $name:ident) => { Site::Server(zk_server::Planted::$name) };
    (@site recipe $name:ident) => { Site::Recipe(zk_recipes::Planted::$name) };
}

mutants! {
    client of "" {
        SkipRestore RestoreTooNew ResendWrite SentIsNotApplied AnyProof ReadProof ProofFromAnswer
        SilentSubstitution DropEvent ReplyBeforeEvent LoseCompletion NoGap SkipAuth KeepUnsent
        KeepWaiting SeenByEvent SkipCloseOld + 470 ForgetDrop LeaveWatches KeepWatches SwapReplies
    }
    server of "" {
        DropEvent ReplyBeforeEvent ApplyTwice KeepEphemeral StillPzxid StillVersion LocalSync
        DeafTracker NoCatchUp RaiseDead ReuseZxid CommitAlone LoseCommitted + 825
    }
    recipe of "lock" {
        AnyOwner IgnoreDeadline NoWatch ResendCreate ReleaseOnce KeepNode EarlyLook SecondIsFirst
        MissNothing SessionToken LosePlace
    }
    recipe of "election" { KeepLeading + 210 }
    recipe of "semaphore" { OneTooMany EarlyUnlock }
    recipe of "cache" {
        KeepMissing TrustReplies QuietSession
    }
    recipe of "counter" { AddAgain ReadBack AnyVersion }
    recipe of "queue" { KeepItem DeleteFirst SilentLoss }
    recipe of "locking-queue" { ConsumeUnheld ForgetClaim DoneUnseen }
    recipe of "double-barrier" { LeaveAtOnce OldReady SkipReady LateLook + 210 }
    recipe of "barrier" { AnyEvent NextBarrier StaleLook }
    recipe of "lease" { TakeEarly FromReply BlindRecord + 350 }
    recipe of "multi-lease" { SecondSlot }
    recipe of "partition" {
        SkipLetGo IgnoreMembers
    }
    recipe of "party" {
        SetOnce + 630 ForeignNode LeaveDoubt
    }
}

impl Mutant {
    /// The fault of a recipe that it is.
    #[cfg(zk_planted)]
    pub(crate) fn of_recipe(self) -> Option<zk_recipes::Planted> {
        match self.site {
            Site::Recipe(planted) => Some(planted),
            Site::Client(_) | Site::Server(_) => None,
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        MUTANTS.iter().find(|mutant| mutant.name == name).copied()
    }
}
