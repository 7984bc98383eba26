//! A ZooKeeper client for Rust: one API, every way to wait, on a sans-IO core.
//!
//! ```no_run
//! fn main() -> Result<(), zk::Error> {
//!     let client = zk::threads::connect("127.0.0.1:2181").wait()?;
//!     client.ensure_path("/my/favorite").wait()?;
//!     client.create("/my/favorite/node", b"a value").wait()?;
//!     let (data, stat) = client.get("/my/favorite/node").wait()?;
//!     println!("version {}: {:?}", stat.version, data);
//!     client.close().wait()
//! }
//! ```
//!
//! A call such as [`Client::get`] gives an [`Op`]. Refine it, then `.await` it under any executor,
//! [`wait`](Op::wait) for it on a thread, or [`send`](Op::send) it now and look at the
//! [`AsyncResult`] later. Nothing is sent before, and dropping either takes the call back.
//!
//! # What to hold on to
//!
//! * [`State`] is the truth about the session: `Connected`, `Suspended` with the moment until which
//!   the servers cannot have dropped it, or `Lost`. See [`Client::add_listener`].
//! * An [`Error`] says what became of a write: [`Error::outcome`] is not applied, applied, or
//!   unknown. Nothing is repeated behind your back; [`Client::retry`] repeats what is safe.
//! * Watches survive the loss of a connection, or report a [`Notice::Gap`].
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `threads` (default) | [`zk::threads`](threads): plain threads, for programs without a runtime |
//! | `tokio` | `zk::tokio`: a task for each client on a tokio runtime |
//! | `smol` | `zk::smol`: async-io, on a thread of its own or on an executor of yours |
//! | `recipes` (default) | [`zk::recipes`](recipes): locks, elections, queues, caches and more |
//! | `own-loop` | `zk::own_loop`: an event loop of yours, which drives clients |
//! | `metrics` | `zk::metrics`: figures of clients for the `metrics` facade |
//! | `sasl` | `zk::sasl`: signing in by SASL DIGEST-MD5, for [`Builder::sasl`] |
//! | `sasl-gssapi` | `zk::sasl::Gssapi`: by Kerberos; needs the system's Kerberos library, on Debian `libkrb5-dev` and `libclang-dev` |
//! | `tls` | `zk::tls`: TLS by rustls, for [`Builder::tls`]; `tls-aws-lc-rs` is the same with other cryptography |
//!
//! # Layers
//!
//! [`proto`] is the wire format, [`session`] the state machine without I/O that can be embedded in
//! any event loop, [`client`] what handlers and their users share.

#![forbid(unsafe_code)]

pub use zk_client as client;
pub use zk_proto as proto;
pub use zk_session as session;

pub use zk_client::*;

/// Plain threads: one for I/O for any number of clients, and some for callbacks and look-ups.
#[cfg(feature = "threads")]
pub mod threads {
    pub use zk_handler_threads::*;
}

/// A tokio runtime: a task for each client.
///
/// Write its name in full: `use zk::tokio` would hide the crate of that name.
///
/// ```
/// use zk::prelude::*;
///
/// #[tokio::main]
/// async fn main() -> Result<(), Error> {
///     let server = zk_server::Server::builder().quiet().start().unwrap();
///     let client: Client = zk::tokio::connect(server.hosts()).await?;
///     client.ensure_path("/my/favorite").await?;
///     client.close().await
/// }
/// ```
#[cfg(feature = "tokio")]
pub mod tokio {
    pub use zk_handler_tokio::*;
}

/// async-io, smol's reactor: on a thread of its own, or on an executor of yours.
///
/// ```
/// # async_io::block_on(async {
/// let server = zk_server::Server::builder().quiet().start().unwrap();
/// let client = zk::smol::connect(server.hosts()).await?;
/// client.ensure_path("/my/favorite").await?;
/// client.close().await
/// # })?; Ok::<(), zk::Error>(())
/// ```
#[cfg(feature = "smol")]
pub mod smol {
    pub use zk_handler_smol::*;
}

/// Locks, elections, queues, caches and more, as kazoo has them on the server.
#[cfg(feature = "recipes")]
pub mod recipes {
    pub use zk_recipes::*;
}

/// An event loop of one's own, which drives clients: implement [`OwnLoop`](own_loop::OwnLoop) for
/// it.
///
/// The example `own_handler` is such a program.
#[cfg(feature = "own-loop")]
pub mod own_loop {
    pub use zk_handler_base::{Answer, OwnHandler, OwnLoop, Resolve, Resolver, Wanted, clock};
}

/// Figures of clients for the [`metrics`](https://docs.rs/metrics) facade.
#[cfg(feature = "metrics")]
pub mod metrics {
    pub use zk_metrics::*;
}

/// Signing in by SASL: with `DigestMd5`, which is deprecated cryptography, or with the feature
/// `sasl-gssapi` and Kerberos tickets, `Gssapi`.
///
/// ```no_run
/// # fn main() -> Result<(), zk::Error> {
/// # #[cfg(feature = "threads")]
/// let client = zk::Client::builder("127.0.0.1:2181")
///     .sasl(zk::sasl::DigestMd5::new("bob", "secret"))
///     .connect(std::sync::Arc::new(zk::threads::ThreadsHandler::new()))
///     .wait()?;
/// # Ok(()) }
/// ```
#[cfg(feature = "sasl")]
pub mod sasl {
    pub use zk_sasl::*;
}

/// TLS, by rustls.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "threads")] {
/// let tls = zk::tls::Tls::builder().ca_file("ca.pem").build()?;
/// let client = zk::Client::builder("zk1.example.com:2281")
///     .tls(tls)
///     .connect(std::sync::Arc::new(zk::threads::ThreadsHandler::new()))
///     .wait()?;
/// # }
/// # Ok(()) }
/// ```
#[cfg(any(feature = "tls", feature = "tls-aws-lc-rs"))]
pub mod tls {
    pub use zk_tls::*;
}

/// What most programs need, without any handler's module: `use zk::prelude::*` never hides a
/// runtime of the same name.
pub mod prelude {
    pub use zk_client::{
        AsyncResult, Client, Error, EventType, Listen, Notice, Op, Outcome, State, StateChange,
        Watch, WatchStream,
    };
}

/// The code of the README, so that it compiles.
#[cfg(all(doctest, feature = "threads", feature = "tokio", feature = "recipes"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the lines of the page for those who come from kazoo.
#[cfg(all(doctest, feature = "threads", feature = "recipes"))]
#[doc = include_str!("../docs/from-kazoo.md")]
pub struct FromKazoo;
