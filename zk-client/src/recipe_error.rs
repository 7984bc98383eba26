//! [`RecipeError`]: what recipes refuse, or find on the servers and cannot work with.

/// What a recipe refuses, or finds on the servers and cannot work with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Others give a semaphore another number of leases.
    #[error("{path} has {theirs} leases for others and {ours} here: agree on one number")]
    LimitDiffers {
        /// The semaphore's znode.
        path: String,
        /// The number given here.
        ours: u32,
        /// The number on the server.
        theirs: i64,
    },
    /// A name in a waiting line has no place in its order.
    #[error("{name} below {path} has no place in the order: give this recipe a path of its own")]
    Unordered {
        /// The parent of the line.
        path: String,
        /// The name.
        name: String,
    },
    /// A znode's data is not what this recipe writes.
    #[error("the data of {path} is not {expected}: does something else use it?")]
    NotUnderstood {
        /// The znode.
        path: String,
        /// What it should be, such as "a number".
        expected: &'static str,
    },
    /// An argument, or a sum, is out of bounds.
    #[error("{what} is out of bounds: {bounds}")]
    OutOfBounds {
        /// Which, such as "the priority".
        what: &'static str,
        /// The bounds, in words.
        bounds: &'static str,
    },
    /// While this client was away others may have gone on without it.
    #[error("others may have gone on at {path} while this client was away: begin again")]
    Missed {
        /// The recipe's znode.
        path: String,
    },
    /// The call does not fit the state that the recipe is in.
    #[error("cannot {call}: {why}")]
    WrongState {
        /// What was asked.
        call: &'static str,
        /// Why not, and what to do.
        why: &'static str,
    },
}
