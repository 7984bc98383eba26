//! [`MUTANTS`]: faults planted in client and server, each of which a campaign must find.
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
}

/// A fault that was planted, by its name.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// What to call it.
    pub name: &'static str,
    /// So many seeds after the first its hunt begins: few seeds show it, and none before that one.
    pub(crate) skip: u64,
    #[cfg_attr(not(zk_planted), expect(dead_code, reason = "there are none"))]
    pub(crate) site: Site,
}

macro_rules! mutants {
    ($($side:ident { $($name:ident $(+ $skip:literal)?)+ })+) => {
        /// All of them; none unless built with `--cfg zk_planted`.
        pub const MUTANTS: &[Mutant] = &[$($(
            #[cfg(zk_planted)]
            Mutant {
                name: concat!(stringify!($side), "::", stringify!($name)),
                skip: 0 $(+ $skip)?,
                site: mutants!(@site $side $name),
            },
        )+)+];
    };
    (@site client $name:ident) => { Site::Client(zk_session::Planted::$name) };
    (@site server $name:ident) => { Site::Server(zk_server::Planted::$name) };
}

mutants! {
    client {
        SkipRestore RestoreTooNew ResendWrite SentIsNotApplied AnyProof ReadProof ProofFromAnswer
        SilentSubstitution DropEvent ReplyBeforeEvent LoseCompletion NoGap SkipAuth KeepUnsent
        KeepWaiting SeenByEvent SkipCloseOld + 470 ForgetDrop LeaveWatches KeepWatches SwapReplies
    }
    server {
        DropEvent ReplyBeforeEvent ApplyTwice KeepEphemeral StillPzxid StillVersion LocalSync + 220
        DeafTracker NoCatchUp RaiseDead ReuseZxid CommitAlone LoseCommitted + 560
    }
}

impl Mutant {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        MUTANTS.iter().find(|mutant| mutant.name == name).copied()
    }
}
