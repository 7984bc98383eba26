//! Tests of the simulator, with tiny servers of their own.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, helpers among them included"
)]

mod chaos;
mod clients;
mod echo;
mod endings;
mod ensemble;
mod machines;
mod network;
mod paced;
mod servers;
mod standalone;
mod tiny;
