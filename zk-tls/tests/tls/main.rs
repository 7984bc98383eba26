//! TLS in memory: options, and a client's layer against the server's side of this crate.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod hostile;
mod options;
mod pair;
mod wire;
