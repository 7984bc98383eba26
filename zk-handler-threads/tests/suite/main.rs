//! The handler against a scripted server on loopback.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod callbacks;
mod connecting;
mod ending;
mod support;
mod transfer;
