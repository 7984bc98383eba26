//! A ZooKeeper-compatible server that is held in memory: for development, tests and simulation.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]
