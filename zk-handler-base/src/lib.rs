//! What `zk`'s handlers share: all that they ask of the operating system besides sockets, and the
//! [`Driver`] of those that run on an async runtime.
//!
//! For whoever writes a handler. Programs use a handler, and need nothing of this.
//!
//! ```text
//!  zk-handler-threads        zk-handler-tokio       zk-handler-smol
//!        |                         |                       |
//!        |                         +--- Runtime, Socket ---+      what differs
//!        |                                     |
//!        |                         Driver: one task a client      what does not
//!        v                                     v
//!  Workers (callbacks)   Resolver (names)   clock   Process (forks)
//! ```

#![forbid(unsafe_code)]

mod base;
mod callbacks;
pub mod clock;
mod connect;
mod driver;
mod limits;
mod link;
mod process;
mod resolve;
mod runtime;
mod task;
mod tasks;
mod threads;
mod word;

// For every handler.
pub use callbacks::Workers;
pub use limits::Limits;
pub use process::Process;
pub use resolve::{Answer, Resolve, Resolver, Wanted};
pub use task::RunningTask;
pub use threads::{BlockingPool, Threads, lock};
pub use word::{MAX_ANSWER, Promise, text};

// For handlers on an async runtime.
pub use base::Base;
pub use driver::Driver;
pub use runtime::{Connecting, Runtime, Socket, Timer};
pub use tasks::Tasks;
pub use word::ask;
