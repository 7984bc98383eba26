//! Recipes in simulated universes: scenarios with a name, each about one thing that can go wrong.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, helpers among them included"
)]

mod guards;
mod locks;
mod races;
mod rig;
