//! A ZooKeeper session without I/O: bytes and timers in; bytes, events and states out.
//!
//! Nothing in this crate reads a clock, a socket, a thread or a random source. Time and a seed are
//! arguments, so that the same inputs give the same outputs, byte for byte: the session can be
//! embedded in any event loop, simulated, and fuzzed.
//!
//! # How to drive a session
//!
//! 1. Carry out every [`Action`] of [`Session::poll_action`]: connections to start and to end.
//! 2. Fetch every [`Event`] of [`Session::poll_event`] and act on it; it may lead to new requests.
//! 3. Stop if [`Session::is_finished`].
//! 4. Fetch bytes with [`Session::poll_transmit`] for each connection and write them. While a
//!    socket is full, leave the rest where it is: that is the backpressure.
//! 5. Wait for a socket, or until [`Session::poll_timeout`].
//! 6. Tell what happened, by one of the `handle_*` methods, and begin again.
//!
//! A [`Wire`] does 4 and 6 for a connection, and most of 1, over whatever reads and writes.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use zk_proto::{Chroot, Request, parse_hosts};
//! use zk_session::{Action, Call, Config, Session};
//!
//! let (servers, chroot) = parse_hosts("127.0.0.1:2181/app")?;
//! let config = Config::builder(servers).session_timeout(Duration::from_secs(6)).build()?;
//! let start = Instant::now();
//! let mut session = Session::new(config, [7; 32], start);
//!
//! // The session wants a connection.
//! let Some(Action::Connect { conn, server, .. }) = session.poll_action() else { unreachable!() };
//! assert_eq!(server.to_string(), "127.0.0.1:2181");
//! session.handle_connected(start, conn);
//! let mut out = Vec::new();
//! session.poll_transmit(start, conn, &mut out);
//! assert_eq!(out.len(), 49, "a connect request");
//!
//! // Requests can be submitted at any time. They wait for the session.
//! let get = Request::GetData { path: "/config".into(), watch: false };
//! session.submit(start, Call::new(&get, &chroot))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! * Every submitted request ends in exactly one [`Event::Completed`], unless it is cancelled.
//! * A change of [`State`] comes before the failures it causes, a watch event before the reply that
//!   reveals its change, replies in the order of submission.
//! * [`RequestError::outcome`] is true: what is called "not applied" never reached a server.
//! * [`Session::deadline`] can only be early, as long as clocks drift less than
//!   [`ConfigBuilder::clock_margin`], the servers' `minSessionTimeout` is at least two ticks, all of
//!   them grant the same timeout, and no deposed leader goes on answering as if it were in office.
//! * Watches survive the loss of a connection, or say that they may have missed something.

#![warn(clippy::disallowed_methods, clippy::disallowed_types)]

mod backoff;
mod call;
mod config;
mod error;
mod event;
mod id;
mod layer;
mod link;
mod liveness;
#[cfg(zk_planted)]
mod planted;
mod queue;
mod rng;
mod sasl;
mod servers;
mod session;
mod timers;
mod watch;
mod wire;
mod word;

pub use backoff::{Backoff, BackoffPolicy};
pub use call::{Call, Cancelled, Submitted};
pub use config::{Config, ConfigBuilder, ConfigError, GiveUp};
pub use error::{LinkError, Outcome, ProtocolError, Refused, RequestError, SaslError, Stranger};
pub use event::{
    Action, AuthFailure, CloseOutcome, Event, Notice, State, StateReason, TimeoutReason,
    WatchedEvent,
};
pub use id::{ConnId, RequestId, TimerId, WatchId};
pub use layer::{Layer, LayerError, LayerErrorKind, LayerFactory};
pub use liveness::KeepAlive;
#[cfg(zk_planted)]
pub use planted::Planted;
pub use rng::Rng;
pub use sasl::{Challenge, Mechanism, MechanismFactory, SaslWork, Step};
pub use session::{Session, Stats};
pub use wire::{Flow, Wire};
pub use word::FourLetterWord;
