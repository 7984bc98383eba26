//! Recipes in universes of the simulator: the same every time, whatever goes wrong in them.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod barrier;
mod caches;
mod corners;
mod counter;
mod double_barrier;
mod futures;
mod guards;
mod herd;
mod lease;
mod locking_queue;
mod locks;
mod members;
mod partitions;
mod queue;
mod races;
mod reports;
mod rig;
mod shared;
mod slow;
mod stage;
mod starved;
mod universe;
mod watches;
