//! [`Election`]: one leader at a time, for as long as its work takes.
//!
//! ```
//! # use zk_client::{Client, Error};
//! # use zk_recipes::Election;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(machine.handler()).await?;
//! let election = Election::new(&client, "/leader").identifier("host 7");
//! let done = election.run(|leadership| async move {
//!     // The leader's work, which ends when `leadership.lost()` does.
//!     leadership.transaction().create("/done", "").commit().await?;
//!     Ok("well done")
//! });
//! assert_eq!(done.await?, "well done");
//! # Ok::<(), Error>(())
//! # })??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! On the server it is a [`Lock`](crate::lock), and everything said there holds here: programs of kazoo
//! take part. To a leader see [`Guard`](crate::Guard): `Suspended` means that it leads until
//! the deadline, `Lost` that it does not.
//!
//! # As in kazoo, and not
//!
//! * [`run`](Election::run) is one round, as there: lead once, work, step down. What fails in the work is
//!   its error.
//! * The work gets the [`LockGuard`], and is *dropped* when leadership is lost before it ends:
//!   [`Error::NotHeld`] (kazoo: the leader is not told, and works on beside the next one). Where work
//!   must be ended in order, use [`lead`](Election::lead) and wait for
//!   [`lost`](crate::Guard::lost).
//! * [`cancel`](Election::cancel) ends what waits with [`Error::Cancelled`] (kazoo: `run` returns as if it had
//!   led), and nothing later.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use zk_client::{Client, Error};

use crate::lock::Lock;
use crate::{LockGuard, Pending};

/// One leader at a time. See the [module](self).
#[derive(Clone)]
pub struct Election {
    client: Client,
    lock: Lock,
}

impl Election {
    /// An election at this path, which is made if it does not exist.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self {
            client: client.clone(),
            lock: Lock::new(client, path),
        }
    }

    /// What others see of who leads and who wants to ([`contenders`](Self::contenders)). Default
    /// empty.
    pub fn identifier(mut self, identifier: impl Into<Vec<u8>>) -> Self {
        self.lock = self.lock.identifier(identifier);
        self
    }

    /// Leads, when all who came before have stepped down, does this, and steps down.
    ///
    /// The work is dropped when leadership is lost.
    ///
    /// # Errors
    /// Those of the work; [`Error::NotHeld`] if leadership was lost before it was done;
    /// [`Error::Cancelled`]; those of [`Lock::acquire`].
    pub fn run<T, F, W>(&self, work: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(LockGuard) -> W + Send + 'static,
        W: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let lead = self.lead();
        Pending::new(&self.client, async move {
            let guard = lead.await?;
            let mut lost = pin!(guard.lost());
            let mut work = pin!(work(guard));
            poll_fn(|cx| {
                if let Poll::Ready(result) = work.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                match lost.as_mut().poll(cx) {
                    // It has given the guard back, and goes on.
                    Poll::Ready(Ok(crate::Loss::Released)) | Poll::Pending => Poll::Pending,
                    Poll::Ready(_) => Poll::Ready(Err(Error::NotHeld)),
                }
            })
            .await
        })
    }

    /// Leadership, when all who came before have stepped down. Dropping it is stepping down.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn lead(&self) -> Pending<LockGuard> {
        self.lock.acquire()
    }

    /// Leadership, if nobody leads or waits for it; else `None`.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub fn try_lead(&self) -> Pending<Option<LockGuard>> {
        self.lock.try_acquire()
    }

    /// Gives up all that waits through this object or its clones. Who leads goes on.
    pub fn cancel(&self) {
        self.lock.cancel();
    }

    /// The identifiers of those who take part, the leader's first.
    ///
    /// # Errors
    /// As [`Lock::contenders`].
    pub fn contenders(&self) -> Pending<Vec<String>> {
        self.lock.contenders()
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: crate::Planted) -> Self {
        self.lock = self.lock.planted(planted);
        self
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Election").field(&self.lock.path()).finish()
    }
}
