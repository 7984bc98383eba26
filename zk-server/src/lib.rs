//! A ZooKeeper-compatible server that is held in memory: for development, tests and simulation.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

mod access;
mod applied;
mod change;
mod clock;
mod connection;
mod data;
mod ensemble;
mod fault;
mod id;
mod leader;
mod member;
mod message;
mod options;
mod path;
mod prepare;
mod quota;
mod read;
mod release;
mod sasl;
mod sessions;
mod settings;
mod standalone;
mod tree;
mod txn;
mod watches;
mod words;

// A server, and what a driver needs to run it.
pub use id::ConnId;
pub use member::Output;
pub use options::Options;
pub use release::UnknownRelease;
pub use sasl::{SaslFactory, SaslServer, SaslStep};
pub use standalone::Standalone;

// Faults by call.
pub use fault::{Fault, Matcher};

// An ensemble, and its parts.
pub use ensemble::{Ensemble, Peer, PeerMessage, PeerState};
pub use id::{MemberId, Ticket};
pub use leader::Leader;
pub use member::{Member, Role};
pub use message::{Alive, FromLeader, ToLeader, Write};

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

#[cfg(feature = "tcp")]
mod tcp;

// The server on a port.
#[cfg(feature = "tcp")]
pub use tcp::{Server, ServerBuilder, SetupError, StartError};
