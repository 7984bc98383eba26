//! [`ReadLock`] and [`WriteLock`]: many readers at a time, or one writer, in the order in which they
//! came.
//!
//! ```
//! # use zk_client::{Client, Error};
//! # use zk_recipes::{ReadLock, WriteLock};
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(machine.handler()).await?;
//! let (read, write) = (ReadLock::new(&client, "/table"), WriteLock::new(&client, "/table"));
//! let (one, two) = (read.acquire().await?, read.acquire().await?);
//! assert!(write.try_acquire().await?.is_none());
//! one.release().await?;
//! two.release().await?;
//! let guard = write.acquire().await?;
//! println!("the token is {}", guard.token());
//! # Ok::<(), Error>(())
//! # })??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Both stand in one line. A reader waits for the writers before it, and a writer for all before it; so
//! neither starves, and whoever waits watches one node only. There is no upgrade and no downgrade.
//!
//! On the server: `PATH/U__rlock__N` and `PATH/U__lock__N`, ephemeral and sequential, with the
//! identifier as data. A [`Lock`] does not see readers, as in kazoo: use a
//! [`WriteLock`] where there are any.
//!
//! What `Suspended` and `Lost` mean, and what it costs, is as for [`Lock`](crate::lock). A
//! reader's guard has no token: a store that keeps the greatest would refuse other readers.
//!
//! kazoo's readers and writers contend with these. What is different is as for
//! [`Lock`](crate::lock).

use zk_client::Client;

use crate::layout;
use crate::lock::Lock;
use crate::{Guard, LockGuard, Pending};

/// A lock that readers share. See the [module](self).
#[derive(Clone, Debug)]
pub struct ReadLock(Lock);

impl ReadLock {
    /// A reader at this path, which is made if it does not exist.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let rivals = [layout::LOCK];
        Self(Lock::with_suffix(
            client,
            path.into(),
            layout::READ_LOCK,
            &rivals,
        ))
    }

    /// What others see of who waits and who reads. Default empty.
    pub fn identifier(self, identifier: impl Into<Vec<u8>>) -> Self {
        Self(self.0.identifier(identifier))
    }

    /// Nodes whose names end with one of these, and then a number, are waited for as writers are.
    pub fn extra_patterns<P: Into<String>>(self, patterns: impl IntoIterator<Item = P>) -> Self {
        Self(self.0.extra_patterns(patterns))
    }

    /// A place among the readers, when all writers who came before have left.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn acquire(&self) -> Pending<Guard> {
        self.0.acquire_shared()
    }

    /// A place among the readers, if no writer is there or waits; else `None`.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn try_acquire(&self) -> Pending<Option<Guard>> {
        self.0.try_acquire_shared()
    }

    /// Gives up all that waits through this object or its clones.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// The identifiers of readers and writers, in their order.
    ///
    /// # Errors
    /// As [`Lock::contenders`].
    pub fn contenders(&self) -> Pending<Vec<String>> {
        self.0.contenders()
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(self, planted: crate::Planted) -> Self {
        Self(self.0.planted(planted))
    }
}

/// A lock that one writer holds, and no reader. See the [module](self).
#[derive(Clone, Debug)]
pub struct WriteLock(Lock);

impl WriteLock {
    /// A writer at this path, which is made if it does not exist.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let rivals = [layout::LOCK, layout::READ_LOCK];
        Self(Lock::with_suffix(
            client,
            path.into(),
            layout::LOCK,
            &rivals,
        ))
    }

    /// What others see of who waits and who writes. Default empty.
    pub fn identifier(self, identifier: impl Into<Vec<u8>>) -> Self {
        Self(self.0.identifier(identifier))
    }

    /// Nodes whose names end with one of these, and then a number, are waited for, too.
    pub fn extra_patterns<P: Into<String>>(self, patterns: impl IntoIterator<Item = P>) -> Self {
        Self(self.0.extra_patterns(patterns))
    }

    /// The lock, when all who came before have left.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn acquire(&self) -> Pending<LockGuard> {
        self.0.acquire()
    }

    /// The lock if it is free, else `None`.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn try_acquire(&self) -> Pending<Option<LockGuard>> {
        self.0.try_acquire()
    }

    /// Gives up all that waits through this object or its clones.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// The identifiers of readers and writers, in their order.
    ///
    /// # Errors
    /// As [`Lock::contenders`].
    pub fn contenders(&self) -> Pending<Vec<String>> {
        self.0.contenders()
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(self, planted: crate::Planted) -> Self {
        Self(self.0.planted(planted))
    }
}
