//! Drives [`zk_client`]'s clients on plain threads.
//!
//! ```no_run
//! let client = zk_handler_threads::connect("127.0.0.1:2181").wait()?;
//! client.ensure_path("/my/favorite").wait()?;
//! client.close().wait()
//! # .map(drop)
//! # ; Ok::<(), zk_client::Error>(())
//! ```
//!
//! [`connect`] makes a handler for one client. Any number of clients can share one: make a
//! [`ThreadsHandler`] and give it to each client's builder. It knows nothing of runtimes, and
//! starts no thread before the first client is driven.
//!
//! # Which thread runs what
//!
//! ```text
//!  your threads          zk-io: one               zk-callback: a few       zk-resolve, zk-word
//!
//!  submit, wait          sockets, deadlines       listeners, watches,      names, four-letter
//!  write, if nothing     results resolve and      on_complete              words: what blocks
//!  is in flight          wake those who wait      background tasks
//! ```
//!
//! * **`zk-io`** serves the sockets of all clients. No callback runs there; wakers do, as they are
//!   quick. A [`wait`](zk_client::AsyncResult::wait) there, in a waker that polls by itself, is
//!   [`Error::WouldDeadlock`](zk_client::Error::WouldDeadlock).
//! * **`zk-callback`** threads run what the application has registered: in order, one at a time for
//!   one client, in parallel for different ones. A callback may block, also on a result of its own
//!   client, as results come from `zk-io`. Other clients' callbacks go on meanwhile, on a thread
//!   that takes the blocked one's place, up to a
//!   [limit](ThreadsHandlerBuilder::max_callback_threads). The callbacks of its own client wait
//!   behind it: a callback that waits for *another callback* of its client waits for ever.
//! * **`zk-resolve`** threads look names up, before each attempt to connect, by the operating system
//!   or by a [`Resolve`] of yours. A name whose name servers are silent takes one of them, and is
//!   made up for; a name that is being looked up is not looked up twice.
//!
//! All of them end when there is nothing left to do for them. Clients keep their handler alive:
//! dropping your own handle to it changes nothing for them.
//!
//! # Suspend and fork
//!
//! [`Handler::now`](zk_client::Handler::now) goes on while the machine is suspended (on Linux), as
//! the servers' clocks do.
//!
//! Threads do not survive a fork. In the child, waiting for a result is
//! [`Error::Forked`](zk_client::Error::Forked); an operation that finds its connection idle fails,
//! and nothing is written to the parent's connections. Make a new handler and new clients there.

#![forbid(unsafe_code)]

mod bell;
mod deadlines;
mod handler;
mod inbox;
mod io_loop;
mod link;
mod output;
mod slab;

use std::sync::Arc;

use zk_client::{Client, Connect};

pub use handler::{ThreadsHandler, ThreadsHandlerBuilder};
pub use zk_handler_base::Resolve;

/// Starts a client on a handler of its own: wait for it, or await it.
///
/// `hosts` is such as `h1:2181,h2:2182,[::1]:2183/app/a`, the root path included. For options, or
/// to share a handler: `Client::builder(hosts).connect(handler)`.
pub fn connect(hosts: impl AsRef<str>) -> Connect {
    Client::builder(hosts).connect(Arc::new(ThreadsHandler::new()))
}
