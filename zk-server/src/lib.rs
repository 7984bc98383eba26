//! A ZooKeeper-compatible server that is held in memory: for development, tests and simulation.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

mod access;
mod applied;
mod change;
mod data;
mod path;
mod prepare;
mod quota;
mod read;
mod settings;
mod tree;
mod txn;

// The data tree, and what changes it.
pub use applied::Applied;
pub use change::{Change, NodePath};
pub use data::NodeData;
pub use tree::{Owner, Tree, Znode};
pub use txn::{Txn, TxnKind, TxnOp};

// Requests against it.
pub use access::{Caller, Standing};
pub use prepare::{prepare, prepare_reap};
pub use read::read;
pub use settings::{Membership, Release, Settings};
