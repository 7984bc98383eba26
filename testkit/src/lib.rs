//! Real ZooKeeper servers on loopback, for tests.
//!
//! The harness downloads Apache ZooKeeper, starts a standalone server or an ensemble, and lets a
//! test pause, kill, restart and cut off members. Everything blocks, and needs no runtime:
//!
//! ```no_run
//! use std::time::Duration;
//! use zk_testkit::{Cluster, Options, Version};
//!
//! # fn main() -> Result<(), zk_testkit::Error> {
//! let options = Options::new().ensemble(3).tick(Duration::from_millis(200));
//! let cluster = Cluster::start(Version::V3_9, &options)?;
//! println!("connect to {}", cluster.connect_string());
//! if let Some(leader) = cluster.leader() {
//!     cluster.kill(leader);
//!     cluster.restart(leader)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it needs
//!
//! Linux with `sh`, `apt-get` and `dpkg` for the download, and Java, which it installs itself when it
//! runs as root, as it does with a [Kerberos server](Kdc) and with a JDK for [Curator] where one is asked for. Downloads and data go below `ZK_TESTKIT_HOME`, by default `~/.cache/zk-testkit`. The
//! Debian mirror is `ZK_TESTKIT_MIRROR`, by default the one that the system's apt sources name.
//!
//! # What it leaves behind
//!
//! Nothing that runs: servers are killed when their [`Cluster`] is dropped, and also when the test
//! process is itself killed. The data of a cluster goes with it; that of a killed test process goes
//! when the next cluster starts.

#![forbid(unsafe_code)]

mod apt;
mod cluster;
mod config;
mod curator;
mod dist;
mod error;
mod fetch;
mod four_letter;
mod home;
mod jar;
mod kdc;
mod log;
mod member;
mod options;
mod peers;
mod ports;
mod process;
mod proxy;
mod wait;

pub use cluster::Cluster;
pub use curator::{Curator, curator};
pub use dist::{Dist, Version};
pub use error::Error;
pub use fetch::fetch;
pub use four_letter::{Mode, four_letter};
pub use kdc::{Kdc, REALM};
pub use options::{ClientAuth, Options, SASL_USERS, Sasl, Tls};
pub use peers::{KAZOO, Peers, peers};
pub use proxy::{Direction, Proxy};
pub use wait::eventually;
