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
pub mod double_barrier;
pub mod election;
mod guard;
pub mod layout;
pub mod leader_latch;
pub mod lease;
mod line;
pub mod lock;
pub mod locking_queue;
mod mine;
pub mod multi_lock;
mod node;
pub mod partitioner;
pub mod party;
mod pending;
pub mod persistent_node;
mod planted;
pub mod queue;
pub mod rwlock;
pub mod semaphore;
mod signal;
mod texts;
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
pub use double_barrier::DoubleBarrier;
pub use election::Election;
pub use leader_latch::LeaderLatch;
pub use lease::{MultiNonBlockingLease, NonBlockingLease};
pub use lock::Lock;
pub use locking_queue::LockingQueue;
pub use multi_lock::{MultiGuard, MultiLock};
pub use partitioner::SetPartitioner;
pub use party::{Party, ShallowParty};
pub use persistent_node::PersistentNode;
pub use queue::Queue;
pub use rwlock::{ReadLock, WriteLock};
pub use semaphore::Semaphore;
pub use tree_cache::TreeCache;
pub use watch::{ChildrenWatch, DataWatch, PatientChildrenWatch};

#[cfg(zk_planted)]
pub use planted::Planted;

use together::either;
