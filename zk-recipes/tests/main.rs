//! Recipes in universes of the simulator: the same every time, whatever goes wrong in them.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod caches;
mod members;
mod universe;
mod watches;
