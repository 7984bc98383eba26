//! Recipes in universes of the simulator: the same every time, whatever goes wrong in them.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod barrier;
mod counter;
mod guards;
mod herd;
mod locks;
mod races;
mod rig;
mod shared;
mod stage;
mod universe;
mod watches;
