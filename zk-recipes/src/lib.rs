//! Recipes: what programs build on ZooKeeper, written once, for every handler.
//!
//! A recipe is made of a [`Client`](zk_client::Client) and a path. What it does over time is a
//! [`Pending`]: awaited, waited for, or dropped, which takes it back. It reads no clock and starts
//! no thread: time, chance and background work are the client's, so that the same code runs on
//! threads, on a runtime, and in a simulated universe.
//!
//! On the server everything looks as kazoo's does ([`layout`]): programs of both contend for the
//! same locks, take from the same queues, and meet at the same barriers.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

mod again;
pub mod barrier;
pub mod cache;
mod cancel;
mod cell;
mod changes;
pub mod counter;
mod either;
mod guard;
pub mod layout;
mod line;
pub mod lock;
mod mine;
mod node;
pub mod partitioner;
pub mod party;
mod pending;
pub mod persistent_node;
mod planted;
mod signal;
mod together;
pub mod tree_cache;
pub mod watch;

// What calls give.
pub use changes::{Calls, Changes};
pub use guard::{Guard, LockGuard, Loss};
pub use pending::Pending;

// What is there.
pub use barrier::Barrier;
pub use cache::Cache;
pub use counter::Counter;
pub use lock::Lock;
pub use partitioner::SetPartitioner;
pub use party::{Party, ShallowParty};
pub use persistent_node::PersistentNode;
pub use tree_cache::TreeCache;
pub use watch::{ChildrenWatch, DataWatch, PatientChildrenWatch};

#[cfg(zk_planted)]
pub use planted::Planted;

use either::either;
