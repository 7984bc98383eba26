//! A universe for ZooKeeper clients, in one thread and from one seed: clock, network, servers, faults.

#![forbid(unsafe_code)]

pub mod check;
