//! The handler against a scripted server on loopback.

#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

#[path = "suite/callbacks.rs"]
mod callbacks;
#[path = "suite/connecting.rs"]
mod connecting;
#[path = "suite/ending.rs"]
mod ending;
#[path = "suite/support.rs"]
mod support;
#[path = "suite/transfer.rs"]
mod transfer;
