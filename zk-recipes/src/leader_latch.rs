//! [`LeaderLatch`]: takes part in an election all the time, in the background.
//!
//! ```
//! # use zk_client::{Client, Error};
//! # use zk_recipes::LeaderLatch;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(machine.handler()).await?;
//! let latch = LeaderLatch::start(&client, "/leader", "host 7");
//! let token = latch.leading().await?;
//! assert!(latch.is_leader());
//! if let Some(transaction) = latch.transaction() {
//!     transaction.create("/term", token.0.to_string()).commit().await?;
//! }
//! latch.close().await?;
//! # Ok::<(), Error>(())
//! # })??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It stands in the line of an [`Election`](crate::election), programs of kazoo beside it, and goes to
//! the end of it whenever leadership is lost. Curator's `LeaderLatch` is this on another layout;
//! kazoo has nothing like it.
//!
//! `Suspended` leaves the leader in office until the deadline, `Lost` ends it; either way
//! [`is_leader`](LeaderLatch::is_leader) tells, and [`changed`](LeaderLatch::changed) resolves.
//! It costs what a [`Lock`](crate::lock) does.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use zk_client::{AsyncResult, Client, Error, Transaction, Zxid};

use crate::guard::Handle;
use crate::lock::Lock;
use crate::signal::{Listening, Signal};
use crate::{LockGuard, Pending};

/// Takes part in an election all the time. See the [module](self).
///
/// Dropping it steps down, and takes part no more.
pub struct LeaderLatch {
    client: Client,
    lock: Lock,
    office: Arc<Office>,
    /// The part in the background.
    running: AsyncResult<()>,
}

/// Who leads, as far as we are concerned.
#[derive(Default)]
struct Office {
    state: Mutex<State>,
    signal: Arc<Signal>,
}

#[derive(Default)]
struct State {
    guard: Option<LockGuard>,
    /// How often leadership came or went.
    changes: u64,
    ended: Option<Error>,
}

impl Office {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, guard: Option<LockGuard>) {
        let before = {
            let mut state = self.state();
            state.changes += 1;
            // What is acquired while it ends is given back.
            if state.ended.is_some() {
                (guard, state.guard.take())
            } else {
                (std::mem::replace(&mut state.guard, guard), None)
            }
        };
        drop(before);
        self.signal.raise();
    }

    fn end(&self, error: Error) {
        self.state().ended = Some(error);
        self.set(None);
    }

    /// The token, while it leads.
    fn token(&self) -> Option<Zxid> {
        // With no lock held: looking at a guard may wake others.
        let guard = self.state().guard.as_ref().map(|guard| guard.handle());
        guard.filter(Handle::is_held).map(|guard| guard.token())
    }

    /// Waits until `look` has an answer, or it has ended.
    async fn until<T>(self: Arc<Self>, look: impl Fn(&Self) -> Option<T>) -> Result<T, Error> {
        let mut listening = Listening::to(&self.signal);
        poll_fn(|cx: &mut Context<'_>| {
            listening.register(cx.waker());
            if let Some(found) = look(&self) {
                return Poll::Ready(Ok(found));
            }
            match self.state().ended.clone() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl LeaderLatch {
    /// Begins to take part at this path, which is made if it does not exist. Others see the
    /// identifier.
    pub fn start(client: &Client, path: impl Into<String>, identifier: impl Into<Vec<u8>>) -> Self {
        Self::with(client, Lock::new(client, path).identifier(identifier))
    }

    fn with(client: &Client, lock: Lock) -> Self {
        let office = Arc::new(Office::default());
        let running = client.run(take_part(lock.clone(), Arc::clone(&office)));
        Self {
            client: client.clone(),
            lock,
            office,
            running,
        }
    }

    /// Does it lead for certain, at this moment?
    pub fn is_leader(&self) -> bool {
        self.token().is_some()
    }

    /// The [fencing token](LockGuard::token) of its leadership, while it leads.
    pub fn token(&self) -> Option<Zxid> {
        self.office.token()
    }

    /// Resolves when it leads, at once if it does, with the token.
    ///
    /// # Errors
    /// What keeps it from taking part: [`Error::Closed`], and those of [`Lock::acquire`].
    pub fn leading(&self) -> Pending<Zxid> {
        let office = Arc::clone(&self.office);
        Pending::new(&self.client, office.until(Office::token))
    }

    /// Resolves when leadership comes or goes after this call.
    ///
    /// # Errors
    /// As [`leading`](Self::leading).
    pub fn changed(&self) -> Pending<()> {
        let office = Arc::clone(&self.office);
        let seen = office.state().changes;
        let changed = move |office: &Office| (office.state().changes != seen).then_some(());
        Pending::new(&self.client, office.until(changed))
    }

    /// Writes that are carried out only while it leads, as [`Guard::transaction`](crate::Guard::transaction);
    /// `None` if it does not.
    pub fn transaction(&self) -> Option<Transaction<'_>> {
        let state = self.office.state();
        let znode = state.guard.as_ref()?.znode();
        Some(self.client.transaction().while_held(znode))
    }

    /// The identifiers of those who take part, the leader's first.
    ///
    /// # Errors
    /// As [`Lock::contenders`].
    pub fn participants(&self) -> Pending<Vec<String>> {
        self.lock.contenders()
    }

    /// Steps down, takes part no more, and resolves when the node by which it led is known to be
    /// gone. One by which it only waits is deleted in the background.
    ///
    /// # Errors
    /// [`Error::NoAuth`] and the like. That it did not lead is none.
    pub fn close(self) -> Pending<()> {
        let Self {
            client,
            lock: _,
            office,
            running,
        } = self;
        Pending::new(&client, async move {
            // In this order, as the part in the background would drop it.
            let guard = office.state().guard.take();
            drop(running);
            office.end(Error::Closed { sent: false });
            match guard {
                Some(guard) => match guard.release().await {
                    Err(Error::NotHeld) => Ok(()),
                    released => released,
                },
                None => Ok(()),
            }
        })
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(client: &Client, path: &str, planted: crate::Planted) -> Self {
        Self::with(client, Lock::new(client, path).planted(planted))
    }
}

async fn take_part(lock: Lock, office: Arc<Office>) -> Result<(), Error> {
    // Whoever waits is told also if this is dropped.
    let _leaves = Leaves(Arc::clone(&office));
    loop {
        let guard = match lock.acquire().await {
            Ok(guard) => guard,
            Err(error) => {
                office.end(error.clone());
                return Err(error);
            }
        };
        let lost = guard.lost();
        office.set(Some(guard));
        lost.await?;
        office.set(None);
    }
}

/// Steps down when it is dropped.
struct Leaves(Arc<Office>);

impl Drop for Leaves {
    fn drop(&mut self) {
        if self.0.state().ended.is_none() {
            self.0.end(Error::Closed { sent: false });
        }
    }
}

impl fmt::Debug for LeaderLatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaderLatch")
            .field("path", &self.lock.path())
            .finish_non_exhaustive()
    }
}
