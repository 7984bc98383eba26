//! Drives [`zk_client`]'s clients on a [`tokio`] runtime.
//!
//! ```
//! # let server = zk_server::Server::builder().quiet().start()?;
//! # let hosts = server.hosts();
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn example(hosts: &str) -> Result<(), zk_client::Error> {
//! let client = zk_handler_tokio::connect(hosts).await?; // such as "h1:2181,h2:2181/app"
//! client.ensure_path("/my/favorite").await?;
//! let stat = client.set("/my/favorite", b"a value").await?;
//! assert_eq!(stat.version, 1);
//! client.close().await?;
//! # Ok(()) }
//! # example(&hosts)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each client is one task. [`connect`] puts it on the runtime that it is called in; a
//! [`TokioHandler`] drives any number of clients, on the runtime that it was made with. Both
//! flavours will do, with `enable_all()`. A current-thread runtime drives its clients only while
//! somebody runs it, as it does with all of its tasks.
//!
//! # Which thread runs what
//!
//! * **The runtime's** serve the sockets, and poll background tasks. No callback runs there.
//! * **`zk-callback`** threads run what the application has registered: in order, one at a time
//!   for one client, in parallel for different ones. A callback may block, also on a result of its
//!   own client; a thread that blocks is made up for.
//! * **`zk-resolve`** threads look names up, each name once for all clients that ask for it.
//!
//! The latter two start when there is something for them to do, and end with the last client.
//!
//! # Waiting
//!
//! `.await` is for everywhere. `.wait()` blocks the thread, and is refused
//! ([`Error::WouldDeadlock`](zk_client::Error::WouldDeadlock)) wherever tokio knows of a current
//! runtime, as it may be the one that is to bring the result; but not in callbacks, and not inside
//! of [`blocking`].
//!
//! # The end
//!
//! Close clients, and wait for it. When a runtime is shut down before, each of its clients writes
//! what was queued and asks the server to close the session, as far as the socket takes that at
//! once: its ephemeral nodes go immediately. What is still waited for fails.
//!
//! The clock goes on while the machine is suspended (on Linux), as the servers' clocks do. Tokio's
//! paused clock of tests does not stop it. In a forked child nothing hangs and nothing is written
//! to the parent's connections; make a new runtime and new clients there.

#![forbid(unsafe_code)]

mod handler;
mod runtime;

use std::sync::Arc;

use zk_client::{Client, Connect};

pub use handler::{TokioHandler, blocking};
pub use zk_handler_base::{Limits, Resolve};

/// Starts a client on the runtime that this is called in: await it.
///
/// `hosts` is such as `h1:2181,h2:2182,[::1]:2183/app/a`, the root path included. For options, or
/// another runtime: `Client::builder(hosts).connect(handler)`. Called outside of a runtime, it
/// looks for one when it is first polled.
pub fn connect(hosts: impl AsRef<str>) -> Connect {
    Client::builder(hosts).connect(Arc::new(TokioHandler::current()))
}
