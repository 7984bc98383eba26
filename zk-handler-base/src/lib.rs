//! What `zk`'s handlers share: all that they ask of the operating system besides sockets, and the
//! [`Driver`] of those that run on an async runtime.
//!
//! For whoever writes a handler, or has a loop that is to drive clients: see [`OwnLoop`]. Programs
//! that use a handler need nothing of this.
//!
//! ```text
//!  zk-handler-threads     zk-handler-tokio    zk-handler-smol     a loop of yours
//!        |                      |                    |                   |
//!        |                      +- Runtime, Socket --+                   |     what differs
//!        |                                |                              |
//!        |                    Driver: one task a client             OwnHandler  what does not
//!        v                                v                              v
//!  Workers (callbacks)     Resolver (names)     clock     Process (forks)
//! ```

#![forbid(unsafe_code)]

mod base;
mod blocking_word;
mod callbacks;
pub mod clock;
mod connect;
mod driver;
mod limits;
mod link;
mod own;
mod process;
mod resolve;
mod runtime;
mod task;
mod tasks;
mod threads;
mod word;

// For a loop of one's own.
pub use own::{OwnHandler, OwnLoop};

// For every handler.
pub use blocking_word::ask_blocking;
pub use callbacks::Workers;
pub use limits::Limits;
pub use process::Process;
pub use resolve::{Answer, Resolve, Resolver, Wanted};
pub use task::RunningTask;
pub use threads::{BlockingPool, Threads, lock};

// For handlers on an async runtime.
pub use base::Base;
pub use driver::Driver;
pub use runtime::{Connecting, Runtime, Socket, Timer};
pub use tasks::Tasks;
pub use word::ask;
