//! Recipes in universes of the simulator: the same every time, whatever goes wrong in them.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod barrier;
mod caches;
mod counter;
mod members;
mod stage;
mod universe;
mod watches;
