//! The ZooKeeper client that every handler of `zk` drives: [`Client`], the calls it gives ([`Op`]),
//! their results ([`AsyncResult`]), and the seam to the outside world ([`Handler`], [`Core`]).
//!
//! It is not a runtime, and names none: no thread is started here, no clock read, no socket opened.
//! A handler does that, and one line chooses it.
//!
//! ```text
//!  your code            this crate                     a handler             the network
//!
//!  client.get("/a") --> Op --> Core { Session } <----- with(): bytes, time <--- socket
//!  .await / .wait() <-- AsyncResult <-- events  -----> bytes to send       ---> socket
//!  a listener       <-- callbacks --------------------> dispatch()
//! ```
//!
//! # One API, every way to wait
//!
//! ```no_run
//! # fn f(client: zk_client::Client) -> Result<(), zk_client::Error> {
//! let (data, stat) = client.get("/a").wait()?;                // blocks
//! let pending = client.set("/a", b"new").version(stat.version).send();   // goes on
//! client.get("/a").send().on_complete(|result| println!("{result:?}"));  // calls back
//! # async fn g(client: zk_client::Client) -> Result<(), zk_client::Error> {
//! let (data, stat, watch) = client.get("/a").watched().await?;  // under any executor
//! println!("{:?}", watch.await?);
//! # Ok(()) }
//! # drop(data); pending.wait()?; Ok(()) }
//! ```

#![forbid(unsafe_code)]
#![warn(clippy::disallowed_methods)]

mod async_result;
mod block_on;
mod buffer;
mod builder;
mod client;
mod core;
mod ensemble;
mod error;
mod handler;
pub mod op;
mod recipe_error;
mod stats;
pub mod testing;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod watcher;

// Using a client.
pub use async_result::{AsyncResult, Completer};
pub use block_on::block_on;
pub use builder::{Builder, Connect, WhenFull};
pub use client::{Client, SyncKeepAlive, WeakClient};
pub use core::{Listen, ListenerId, StateChange};
pub use error::Error;
pub use op::{
    Doubt, Fate, Op, Resolved, ServerVersion, Transaction, TransactionError, TransactionResult,
    Walk, Walked, WriteKind,
};
pub use recipe_error::RecipeError;
pub use stats::Stats;
pub use watcher::{EventStream, StateStream, Watch, WatchStream};

// Driving one.
pub use core::Core;
pub use handler::{Callback, ClientId, Handler, StartError, Task};

// What calls give and take.
pub use zk_proto::{
    Acl, Children, ClientInfo, Data, EnsembleConfig, ErrorCode, EventType, Id, IntoData, Password,
    Payload, Perms, ReadResult, ServerAddr, SessionId, Stat, WatcherType, Zxid,
};
pub use zk_session::{
    AuthFailure, BackoffPolicy, Config, FourLetterWord, GiveUp, LayerError, LayerErrorKind,
    LinkError, Notice, Outcome, State, StateReason, WatchedEvent,
};
