//! The client against real ZooKeeper servers, 3.8 and 3.9: one suite, mounted once per handler.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod faults;
mod on_threads;
mod suite;
mod support;
