//! Recipes in universes of the simulator: the same every time, whatever goes wrong in them.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod barrier;
mod caches;
mod counter;
mod guards;
mod locks;
mod members;
mod partitions;
mod races;
mod rig;
mod stage;
mod universe;
mod watches;
