//! Runs clients and servers under all faults, seed by seed, and judges what they did.

#![forbid(unsafe_code)]

mod actor;
mod acts;
mod eyes;
mod log;
mod record;
mod run;
mod servers;
mod setup;

pub use run::{Options, Outcome, run};
