//! [`Barrier`]: a node that keeps all who wait until it is gone.
//!
//! ```
//! # use zk_client::{Client, Error};
//! use zk_recipes::Barrier;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let handler = sim.machine("app").handler();
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(handler).await?;
//! let barrier = Barrier::new(&client, "/maintenance");
//! barrier.create().await?;
//! let waiting = barrier.wait().send();
//! assert!(barrier.remove().await?);
//! waiting.await?;
//! # Ok::<_, Error>(()) })??; Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # On the server
//!
//! `PATH`, persistent and without data.
//!
//! # What waiting promises
//!
//! Whoever waits is released by the removal of the very barrier that was there when the wait began;
//! all who waited for it are. That holds for those, too, whose connection was away meanwhile, and
//! though a new barrier stands there by then: the node has another `czxid`. kazoo's waiters are
//! released by neither: they miss what happens after a connection was lost. And whoever begins to
//! wait when a barrier is there is not let through by a server that has not heard of it yet.
//!
//! # Suspended and lost
//!
//! A barrier belongs to no session. Waiting goes on while the connection is away, and in a new
//! session.
//!
//! # Requests
//!
//! Two in one flight to wait, the first of them a write that changes nothing (kazoo: the other one
//! alone), and the same for each change of the node's data meanwhile.

use std::sync::Arc;

use zk_client::{BackoffPolicy, Client, Error, EventType};

use crate::Pending;
use crate::planted::{Plan, Planted};

/// A barrier for anybody. See the [module](self).
#[derive(Clone, Debug)]
pub struct Barrier {
    client: Client,
    path: Arc<str>,
    plan: Plan,
}

impl Barrier {
    /// The barrier at `path`. Nothing is sent.
    pub fn new(client: &Client, path: &str) -> Self {
        Self {
            client: client.clone(),
            path: path.into(),
            plan: Plan::default(),
        }
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: Planted) -> Self {
        self.plan = Plan::of(planted);
        self
    }

    /// Sets it up, with the nodes above it. One that is there already is fine.
    ///
    /// # Errors
    /// Those of [`Client::ensure_path`], and [`Error::RetryFailed`].
    pub fn create(&self) -> Pending<()> {
        let Self { client, path, .. } = self.clone();
        Pending::new(&self.client, async move {
            client.retry_default(client.ensure_path(&path)).await
        })
    }

    /// Removes it, which releases all who wait. `false` if there was none.
    ///
    /// # Errors
    /// Those of [`Client::delete`], and [`Error::RetryFailed`].
    pub fn remove(&self) -> Pending<bool> {
        let Self { client, path, .. } = self.clone();
        Pending::new(&self.client, async move {
            match client.retry_default(client.delete(&path)).await {
                Ok(()) => Ok(true),
                Err(Error::NoNode) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    /// Resolves when the barrier is removed; at once if there is none (kazoo: `True`).
    ///
    /// With a [limit](Pending::timeout) it ends in [`Error::Timeout`] (kazoo: `False`).
    ///
    /// # Errors
    /// Those of [`Client::exists`] that do not pass.
    pub fn wait(&self) -> Pending<()> {
        let Self { client, path, plan } = self.clone();
        Pending::new(&self.client, async move {
            let patience = BackoffPolicy::new();
            let mut waited_for = None;
            loop {
                // What a server that lags behind shows may be from before the barrier.
                let look = client.exists(&path).watched();
                let look = if plan.has(Planted::StaleLook) {
                    look
                } else {
                    look.linearizable()
                };
                let (stat, watch) = client.retry(&patience, look).await?;
                let Some(stat) = stat else {
                    return Ok(());
                };
                // Another one than that of the first look: that was removed meanwhile.
                let next = *waited_for.get_or_insert(stat.czxid) != stat.czxid;
                if next && !plan.has(Planted::NextBarrier) {
                    return Ok(());
                }
                match watch.await {
                    Ok(_) if plan.has(Planted::AnyEvent) => return Ok(()),
                    Ok(event) if event.kind == EventType::NODE_DELETED => return Ok(()),
                    // Its data was changed, or its session has ended.
                    Ok(_) | Err(Error::WatchEnded(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        })
    }
}
