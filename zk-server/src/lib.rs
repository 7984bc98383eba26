//! A ZooKeeper-compatible server that is held in memory: for development, tests and simulation.
//!
//! Everything is gone when it stops: this is not a place to keep data.
//!
//! # On a port
//!
//! [`Server`] listens on a port that the system picks, in the process that starts it, and stops when
//! it is dropped. Other people's clients can be tried against it; what they do when things go wrong
//! can be provoked by call.
//!
//! ```
//! # #[cfg(feature = "tcp")] {
//! use zk_proto::OpCode;
//! use zk_server::Server;
//!
//! let server = Server::builder().quiet().node("/config", "v1").start()?;
//! println!("connect to {}", server.hosts());
//! // The next create is executed, but its client never hears of it.
//! server.cut_after(OpCode::CREATE);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Without I/O
//!
//! [`Standalone`] is the same as a value: connections, bytes and time go in, bytes and what to do
//! come out. It has no clock, thread, socket or random source, so that it can be simulated.
//!
//! ```
//! # use std::{sync::Arc, time::{Instant, SystemTime}};
//! use zk_server::{ConnId, Options, Output, Standalone};
//!
//! # let (now, wall) = (Instant::now(), SystemTime::now());
//! let mut server = Standalone::new(Arc::new(Options::new()), [0; 32], now, wall);
//! let conn = ConnId(1);
//! server.handle_accept(now, conn, "127.0.0.1:50000".parse()?);
//! server.handle_data(now, conn, b"ruok");
//! let mut answer = Vec::new();
//! while let Some(output) = server.poll_output() {
//!     match output {
//!         Output::Transmit(conn) => {
//!             server.poll_transmit(conn, &mut answer);
//!         }
//!         Output::Close { .. } => break,
//!     }
//! }
//! assert_eq!(answer, b"imok");
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
//!
//! An ensemble is made of the same parts: [`Member`]s with clients, and a [`Leader`] wherever it is,
//! with [`ToLeader`] and [`FromLeader`] between them.
//!
//! # What is different from a real server
//!
//! * Nothing is on disk. Latencies in the four-letter words are 0, and there is no HTTP.
//! * Children and other unordered lists come in alphabetical order, and watchers of one change hear
//!   of it in the order of their connections.
//! * A local session ends with its connection, and is not upgraded.
//! * Nodes with a time to live are allowed, and the whitelist of four-letter words is `*`, unless the
//!   [`Options`] say otherwise.
//! * A client that does not read is answered no more, and closed at last; so is one that watches
//!   beyond measure, or asks for too much in one request.
//! * A connection has at most fifty identities, and 4 KiB of them. A credential beyond that is
//!   refused like a wrong one.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `tcp` (default) | [`Server`], and the program `zk-server` |
//! | `sasl` | `DigestMd5`: users who sign in by name and password |
//! | `tls` | `Acceptor`: a second port, for clients with TLS, whose certificates are identities of the scheme `x509` |

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

mod access;
mod applied;
mod change;
mod clock;
mod connection;
mod data;
mod decode;
mod ensemble;
mod fault;
mod id;
mod leader;
mod member;
mod message;
mod options;
mod path;
#[cfg(zk_planted)]
mod planted;
mod prepare;
mod quota;
mod read;
mod release;
mod sasl;
mod sessions;
mod settings;
mod standalone;
#[cfg(test)]
mod testing;
mod tree;
mod txn;
mod watches;
mod words;

// A server, and what a driver needs to run it.
pub use id::ConnId;
pub use member::Output;
pub use options::Options;
#[cfg(zk_planted)]
pub use planted::Planted;
pub use release::UnknownRelease;
#[cfg(feature = "sasl")]
pub use sasl::DigestMd5;
pub use sasl::{SaslFactory, SaslServer, SaslStep};
pub use standalone::Standalone;

// Faults by call.
pub use fault::{Fault, Matcher};

// An ensemble, and its parts.
pub use ensemble::{Ensemble, Peer, PeerMessage, PeerState};
pub use id::{MemberId, Ticket};
pub use leader::Leader;
pub use member::{Member, Role};
pub use message::{Alive, FromLeader, ToLeader, Write};

// The data tree, and what changes it.
pub use applied::Applied;
pub use change::{Change, NodePath};
pub use data::NodeData;
pub use tree::{Owner, Tree, Znode};
pub use txn::{Txn, TxnKind, TxnOp};

// Requests against it.
pub use access::{Caller, Standing};
pub use prepare::{prepare, prepare_reap};
pub use read::read;
pub use settings::{Membership, Release, Settings};

#[cfg(feature = "tcp")]
mod tcp;

// The server on a port.
#[cfg(feature = "tcp")]
pub use tcp::{Server, ServerBuilder, SetupError, StartError};
#[cfg(feature = "tls")]
pub use zk_tls::server::{Acceptor, AcceptorBuilder, Certificates};
