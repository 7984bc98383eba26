//! A universe for ZooKeeper clients, in one thread and from one seed: clock, network, servers, faults.
//!
//! A program that uses ZooKeeper is easily right on a good day. Here it has many bad ones, quickly:
//! a minute with five clients, three servers and a fault every two seconds takes some 30 ms, and
//! whatever goes wrong is repeated by its seed, step by step.
//!
//! ```
//! use std::time::Duration;
//! use zk_client::{Client, Error};
//! use zk_sim::{FaultPlan, Sim};
//!
//! // The code to be tested. It does not know where it runs.
//! async fn count_up(client: &Client) -> Result<(), Error> {
//!     let (data, stat) = client.get("/counter").await?;
//!     let count: u64 = String::from_utf8_lossy(&data).parse().unwrap_or(0);
//!     let next = (count + 1).to_string();
//!     client.set("/counter", next).version(stat.version).await?;
//!     Ok(())
//! }
//!
//! for seed in 0..10 {
//!     let sim = Sim::new(seed);
//!     let server = sim.standalone("s1:2181", zk_server::Options::new());
//!     for name in ["app1", "app2"] {
//!         let hosts = server.hosts().to_owned();
//!         // Started again after each crash.
//!         sim.machine(name).boot(move |machine| {
//!             let builder = Client::builder(&hosts);
//!             async move {
//!                 let client = builder.start(machine.handler()).expect("the options are valid");
//!                 client.create("/counter", "0").await.ok();
//!                 loop {
//!                     count_up(&client).await.ok();
//!                     machine.sleep(Duration::from_millis(500)).await;
//!                 }
//!             }
//!         });
//!     }
//!     // A minute of everything, then a quiet one in which all must be well.
//!     sim.unleash(&FaultPlan::new(&["app1", "app2"], &["s1"]));
//!     sim.run_for(Duration::from_secs(120))?;
//!     let observer = sim.machine("observer");
//!     let count = sim.block_on(async {
//!         let client = Client::builder(server.hosts()).connect(observer.handler()).await?;
//!         let (data, stat) = client.get("/counter").await?;
//!         assert_eq!(String::from_utf8_lossy(&data), stat.version.to_string());
//!         Ok::<_, Error>(stat.version)
//!     })??;
//!     assert!(count > 100, "seed {seed}: only {count}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What there is
//!
//! | | |
//! |---|---|
//! | [`Sim`] | the universe: makes everything, and runs it |
//! | [`Machine`] | a host: its clocks drift and jump; it is paused, crashes, starts again |
//! | [`Machine::handler`] | drives clients there, as any [`Handler`](zk_client::Handler) does |
//! | [`Sim::standalone`], [`SimServer`] | a ZooKeeper server; or a server of your own |
//! | [`Sim::ensemble`] | several that elect a leader, lag behind it, and lose it |
//! | [`Network`] | latency, splits, bounded buffers; cuts, one-way and two-way partitions |
//! | [`FaultPlan`] | all of that at random, from the seed, with a quiet end |
//! | [`Sim::trace`], [`Sim::trace_hash`] | what has happened |
//! | [`check`] | judges of what clients saw |
//! | [`SimError`] | a future that waits for nothing, a logged error, time that stands still |
//!
//! # What is promised
//!
//! * The same seed and program give the same trace, byte for byte, in any process. That takes a
//!   program that has its time and its random numbers from the universe ([`Machine::now`],
//!   [`Sim::rng`]), starts no threads, and does not iterate over hash maps.
//! * Time passes only while nothing can run. What can run at the same moment does so in an order
//!   drawn from the seed.
//! * Every component draws from a stream of its own.
//! * No lock is held while code of a program runs: callbacks, wakers and drops may use the universe.
//! * Nobody may block: [`Op::wait`](zk_client::Op::wait) and the like fail with
//!   [`Error::WouldDeadlock`](zk_client::Error::WouldDeadlock). Await, within [`Sim::block_on`] or a
//!   program. Code that has to block is put on other threads, and the universe is run by
//!   [`Sim::run_paced`]; what happens then is no longer a matter of the seed.
//!
//! # What is left out
//!
//! Names resolve at once, and to one address. TCP is taken for perfect: nothing is lost but by a
//! fault, and a connection that is cut off lives until somebody gives it up. Running takes no time.

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

mod alarm;
mod chaos;
pub mod check;
mod clock;
mod driver;
mod ensemble;
mod error;
mod executor;
mod handler;
mod log;
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
mod standalone;
mod trace;
mod world;

// The universe and what is in it.
pub use machine::{Crash, Machine, Running, Sleep};
pub use rng::Rng;
pub use sim::{Pace, ServerHandle, Sim};
pub use socket::Socket;

// What goes wrong.
pub use chaos::{Fault, FaultKind, FaultPlan, What};
pub use error::SimError;
pub use net::{Cut, Latency};
pub use network::{Network, PartitionId};

// Servers.
pub use ensemble::{EnsembleHandle, EnsembleServer, SessionClose};
pub use server::{Message, ServerConn, ServerOutput, SimServer};
pub use standalone::StandaloneServer;
