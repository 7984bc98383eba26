//! [`MultiLock`]: several locks, all or none.
//!
//! ```
//! # use zk_client::{Client, Error};
//! # use zk_recipes::MultiLock;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(machine.handler()).await?;
//! let both = MultiLock::new(&client, ["/accounts/7", "/accounts/3"]);
//! let guard = both.acquire().await?;
//! assert!(guard.is_held());
//! guard.release().await?;
//! # Ok::<(), Error>(())
//! # })??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each is a [`Lock`] of its own on the server, and contends with those who want it alone, kazoo's
//! included. They are acquired one after the other *in the order of their paths*, whatever the order
//! in which they are named, so that two of these never wait for each other. (Curator's
//! `InterProcessMultiLock` takes the order given, and so can.) Two that are one path are one lock.
//!
//! What `Suspended` and `Lost` mean, and what it costs, is as for each [`Lock`](crate::lock).

use std::fmt;

use zk_client::{Client, Transaction, Zxid};

use crate::guard::Loss;
use crate::lock::Lock;
use crate::{LockGuard, Pending};

/// Several locks, all or none. See the [module](self).
#[derive(Clone)]
pub struct MultiLock {
    client: Client,
    locks: Vec<Lock>,
}

impl MultiLock {
    /// Locks at these paths, which are made if they do not exist.
    pub fn new<P: Into<String>>(client: &Client, paths: impl IntoIterator<Item = P>) -> Self {
        let mut paths: Vec<String> = paths.into_iter().map(P::into).collect();
        let key = |path: &String| path.trim_matches('/').to_owned();
        paths.sort_by_key(key);
        paths.dedup_by_key(|path| key(path));
        let locks = paths.into_iter().map(|path| Lock::new(client, path));
        Self {
            client: client.clone(),
            locks: locks.collect(),
        }
    }

    /// What others see of who waits and who holds. Default empty.
    pub fn identifier(mut self, identifier: impl Into<Vec<u8>>) -> Self {
        let identifier = identifier.into();
        let locks = self.locks.into_iter();
        self.locks = locks
            .map(|lock| lock.identifier(identifier.clone()))
            .collect();
        self
    }

    /// All of them.
    ///
    /// # Errors
    /// As [`Lock::acquire`]. None is held then.
    pub fn acquire(&self) -> Pending<MultiGuard> {
        let (client, locks) = (self.client.clone(), self.locks.clone());
        Pending::new(&self.client, async move {
            loop {
                let mut guards = Vec::new();
                for lock in &locks {
                    guards.push(lock.acquire().await?);
                }
                // Some may have been lost while others were waited for.
                if guards.iter().all(|guard| guard.is_held()) {
                    return Ok(MultiGuard { client, guards });
                }
            }
        })
    }

    /// All of them if all are free, else `None`. Nothing is left behind then.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn try_acquire(&self) -> Pending<Option<MultiGuard>> {
        let (client, locks) = (self.client.clone(), self.locks.clone());
        Pending::new(&self.client, async move {
            let mut guards = Vec::new();
            for lock in &locks {
                let Some(guard) = lock.try_acquire().await? else {
                    for guard in guards {
                        LockGuard::release(guard).await.ok();
                    }
                    return Ok(None);
                };
                guards.push(guard);
            }
            let all = MultiGuard { client, guards };
            Ok(all.is_held().then_some(all))
        })
    }

    /// Gives up all that waits through this object or its clones.
    pub fn cancel(&self) {
        self.locks.iter().for_each(Lock::cancel);
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: crate::Planted) -> Self {
        let locks = self.locks.into_iter();
        self.locks = locks.map(|lock| lock.planted(planted)).collect();
        self
    }
}

/// Several locks that are held. See [`Guard`](crate::Guard).
#[must_use = "dropping the guard gives the locks back"]
pub struct MultiGuard {
    client: Client,
    /// In the order in which they were acquired.
    guards: Vec<LockGuard>,
}

impl MultiGuard {
    /// Are all held for certain, at this moment?
    pub fn is_held(&self) -> bool {
        self.guards.iter().all(|guard| guard.is_held())
    }

    /// Resolves when one of them is not held any more, and says why.
    pub fn lost(&self) -> Pending<Loss> {
        let mut losses: Vec<_> = self.guards.iter().map(|guard| guard.lost()).collect();
        Pending::new(&self.client, async move {
            std::future::poll_fn(|cx| {
                use std::future::Future;
                use std::pin::Pin;
                use std::task::Poll;
                for loss in &mut losses {
                    if let Poll::Ready(loss) = Pin::new(loss).poll(cx) {
                        return Poll::Ready(loss);
                    }
                }
                // Of no locks none is lost.
                Poll::Pending
            })
            .await
        })
    }

    /// The fencing tokens, in the order of the paths. See [`LockGuard::token`].
    pub fn tokens(&self) -> Vec<Zxid> {
        self.guards.iter().map(LockGuard::token).collect()
    }

    /// The paths of the nodes that stand for them, in the order of the locks' paths.
    pub fn znodes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.guards.iter().map(|guard| guard.znode())
    }

    /// Writes that are carried out only while all of them are held. The first is checked as
    /// [`Guard::transaction`](crate::Guard::transaction) does; the others are plain checks, which
    /// count among the results.
    pub fn transaction(&self) -> Transaction<'_> {
        let mut guards = self.guards.iter();
        let Some(first) = guards.next() else {
            return self.client.transaction();
        };
        guards.fold(first.transaction(), |transaction, guard| {
            transaction.check(guard.znode(), -1)
        })
    }

    /// Gives all back, the last acquired first.
    ///
    /// # Errors
    /// The first, if there is one; all are given back in any case.
    pub fn release(self) -> Pending<()> {
        let Self { client, guards } = self;
        Pending::new(&client, async move {
            let mut result = Ok(());
            for guard in guards.into_iter().rev() {
                let released = guard.release().await;
                result = result.and(released);
            }
            result
        })
    }
}

impl fmt::Debug for MultiGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MultiGuard").field(&self.guards).finish()
    }
}

impl fmt::Debug for MultiLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.locks.iter().map(Lock::path);
        f.debug_list().entries(paths).finish()
    }
}
