//! The server as its clients see it: frames in, frames out.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests"
)]

mod rig;

mod golden;
mod greeting;
mod requests;
#[cfg(feature = "tcp")]
mod tcp;
mod watching;
