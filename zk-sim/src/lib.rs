//! A universe for ZooKeeper clients, in one thread and from one seed: clock, network, servers, faults.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

mod alarm;
mod chaos;
mod clock;
mod driver;
mod error;
mod executor;
mod handler;
mod machine;
mod net;
mod network;
mod rng;
mod schedule;
mod serve;
mod server;
mod sim;
mod slab;
mod socket;
mod trace;
mod world;

pub use chaos::{Fault, FaultKind, FaultPlan, What};
pub use error::SimError;
pub use machine::{Crash, Machine, Running, Sleep};
pub use net::{Cut, Latency};
pub use network::{Network, PartitionId};
pub use rng::Rng;
pub use server::{Message, ServerConn, ServerOutput, SimServer};
pub use sim::{ServerHandle, Sim};
pub use socket::Socket;
