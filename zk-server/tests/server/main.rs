//! The server as its clients see it: frames in, frames out.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests"
)]

mod rig;

mod ensemble;
mod faults;
mod golden;
mod greeting;
mod hostile;
mod oddities;
mod requests;
#[cfg(feature = "tcp")]
mod tcp;
mod watching;
mod words;
