//! Drives [`zk_client`]'s clients on [`async_io`], smol's reactor.
//!
//! ```
//! # let server = zk_server::Server::builder().quiet().start()?;
//! # let hosts = server.hosts();
//! # async_io::block_on(async {
//! let client = zk_handler_smol::connect(hosts).await?; // such as "h1:2181,h2:2181/app"
//! client.ensure_path("/my/favorite").await?;
//! let stat = client.set("/my/favorite", b"a value").await?;
//! assert_eq!(stat.version, 1);
//! client.close().await
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each client is one task. [`connect`] and [`SmolHandler::new`] run the tasks on a thread of
//! their own, which waits for the sockets itself; so clients are driven whatever the executors of
//! the program do. [`SmolHandler::on`] gives the tasks to an executor of yours: that saves two
//! changes of threads for each call that is awaited there before the next is made.
//!
//! # Which thread runs what
//!
//! * **`zk-smol`**, or your executor, serves the sockets and polls background tasks. No callback
//!   runs there.
//! * **`zk-callback`** threads run what the application has registered: in order, one at a time
//!   for one client, in parallel for different ones. A callback may block, also on a result of its
//!   own client; a thread that blocks is made up for.
//! * **`zk-resolve`** threads look names up, each name once for all clients that ask for it.
//!
//! All of them start when there is something for them to do, and end with the last client.
//!
//! # Waiting
//!
//! `.await` is for everywhere. `.wait()` blocks the thread, and is refused
//! ([`Error::WouldDeadlock`](zk_client::Error::WouldDeadlock)) on threads that drive clients of
//! the same handler: on `zk-smol`, or on those of your executor's threads that have done so.
//!
//! # The end
//!
//! Close clients, and wait for it. When an executor is dropped before, each of its clients writes
//! what was queued and asks the server to close the session, as far as the socket takes that at
//! once: its ephemeral nodes go immediately. What is still waited for fails.
//!
//! The clock goes on while the machine is suspended (on Linux), as the servers' clocks do. In a
//! forked child nothing hangs and nothing is written to the parent's connections; async-io itself
//! does not survive a fork.

#![forbid(unsafe_code)]

mod handler;
mod home;
mod runtime;

use std::sync::Arc;

use zk_client::{Client, Connect};

pub use handler::SmolHandler;
pub use zk_handler_base::{Limits, Resolve};

/// Starts a client on a handler of its own, with a thread of its own: await it.
///
/// `hosts` is such as `h1:2181,h2:2182,[::1]:2183/app/a`, the root path included. For options, to
/// share a handler, or for your executor: `Client::builder(hosts).connect(handler)`.
pub fn connect(hosts: impl AsRef<str>) -> Connect {
    Client::builder(hosts).connect(Arc::new(SmolHandler::new()))
}
