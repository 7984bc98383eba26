//! Ensembles on a network that delays, loses and parts, from one seed each.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests"
)]

mod rig;

mod chaos;
mod elections;
mod sessions;
