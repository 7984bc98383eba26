//! [`Counter`]: a number that many add to.
//!
//! ```
//! # use zk_client::{Client, Error};
//! use zk_recipes::Counter;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let handler = sim.machine("app").handler();
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(handler).await?;
//! let counter = Counter::new(&client, "/visits");
//! counter.add(2).await?;
//! let change = counter.subtract(5).await?;
//! assert_eq!((change.pre_value, change.post_value), (2, -3));
//! assert_eq!(counter.value().await?, -3);
//! # Ok::<_, Error>(()) })??; Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # On the server
//!
//! | znode | kind | data |
//! |---|---|---|
//! | `PATH` | persistent | the number, as Python's `repr` writes it; empty means the default |
//! | `PATH/U` | ephemeral | none: see below; not in kazoo |
//!
//! # What a change promises
//!
//! It reads, and writes with the version that it has read, again and again until nobody came
//! between. When it says that it was done, it was done once. When the answer to a write was lost,
//! the version and the data that are there afterwards often tell: the same version means that it
//! was not carried out, another number in the next version that somebody else's was. What looks
//! just like its own may be another's, who has added as much: the result is [`Error::Unknown`]
//! then, where kazoo adds again.
//!
//! [`marked`](Counter::marked) makes that rare: each change is a transaction that also makes an
//! ephemeral node below the counter, by which it is known again, and which is deleted in the
//! background. Only a change whose session ends before it was looked for is unknown then. It costs
//! another request, and a child of the counter for a moment, which kazoo does not look at.
//!
//! # Suspended and lost
//!
//! A counter holds nothing. While the connection is away a change waits; it goes on in a new
//! session, as it does not depend on one. Failures that may pass are retried as the client's
//! [`command_retry`](zk_client::Builder::command_retry) says.
//!
//! # Requests
//!
//! Two for a change that nobody comes between: a read, and a write; kazoo looks for the node before
//! the first. [`marked`](Counter::marked): one more, for which nobody waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_client::op::Doubt;
use zk_client::{Client, Error, Outcome, RecipeError, Stat};

use crate::Pending;
use crate::mine::Mine;
use crate::planted::{Plan, Planted};

mod attempt;
mod number;

pub use number::Number;

use attempt::{Attempt, Verdict};

/// A number in a znode. See the [module](self).
#[derive(Clone, Debug)]
pub struct Counter<N: Number = i64> {
    client: Client,
    path: Arc<str>,
    default: N,
    marked: bool,
    plan: Plan,
}

/// What [`Counter::add`] has done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Change<N = i64> {
    /// The number before.
    pub pre_value: N,
    /// The number after.
    pub post_value: N,
}

impl Counter<i64> {
    /// A counter of whole numbers (kazoo: `default=0`). kazoo's have no bounds; here a sum beyond
    /// 64 bits is an error.
    pub fn new(client: &Client, path: &str) -> Self {
        Self::of(client, path)
    }
}

impl Counter<f64> {
    /// A counter of floating point numbers (kazoo: `default=0.0`).
    pub fn float(client: &Client, path: &str) -> Self {
        Self::of(client, path)
    }
}

impl Counter<i32> {
    /// A counter in the format of Curator's `SharedCount` (kazoo: `support_curator=True`).
    pub fn curator(client: &Client, path: &str) -> Self {
        Self::of(client, path)
    }
}

impl<N: Number> Counter<N> {
    fn of(client: &Client, path: &str) -> Self {
        Self {
            client: client.clone(),
            path: path.into(),
            default: N::ZERO,
            marked: false,
            plan: Plan::default(),
        }
    }

    /// What a node without data counts as. Default 0.
    #[must_use]
    pub fn default(mut self, value: N) -> Self {
        self.default = value;
        self
    }

    /// Makes changes known again when their answers are lost. See the [module](self).
    #[must_use]
    pub fn marked(mut self) -> Self {
        self.marked = true;
        self
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: Planted) -> Self {
        self.plan = Plan::of(planted);
        self
    }

    /// The number. Makes the node if there is none.
    ///
    /// # Errors
    /// [`RecipeError::NotUnderstood`] if the node holds something else, and those of
    /// [`Client::get`].
    pub fn value(&self) -> Pending<N> {
        let this = self.clone();
        Pending::new(&self.client, async move {
            let policy = this.client.command_retry().clone();
            let counter = this.clone();
            let read = this.client.retry_with(&policy, move |_| {
                let counter = counter.clone();
                async move { counter.read().await }
            });
            Ok(read.await?.0)
        })
    }

    /// Adds to it, and gives the number before and after (kazoo: `counter += delta`).
    ///
    /// # Errors
    /// [`Error::Unknown`] if it cannot be told whether it was done; [`RecipeError::OutOfBounds`] for
    /// the sum; [`RecipeError::NotUnderstood`] if the node holds something else;
    /// [`Error::RetryFailed`], and those of [`Client::set`].
    pub fn add(&self, delta: N) -> Pending<Change<N>> {
        self.change(move |value| value.plus(delta))
    }

    /// Takes from it (kazoo: `counter -= delta`).
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn subtract(&self, delta: N) -> Pending<Change<N>> {
        self.change(move |value| value.minus(delta))
    }

    fn change(&self, sum: impl Fn(N) -> Option<N> + Send + Sync + 'static) -> Pending<Change<N>> {
        let this = self.clone();
        let sum = Arc::new(sum);
        Pending::new(&self.client, async move {
            // Kept from one call of the function to the next, and out of reach of locks meanwhile.
            let doubt: Arc<Mutex<Option<Attempt<N>>>> = Arc::default();
            let (counter, kept) = (this.clone(), Arc::clone(&doubt));
            let policy = this.client.command_retry().clone();
            let done = this.client.retry_with(&policy, move |_| {
                let (counter, kept, sum) = (counter.clone(), Arc::clone(&kept), Arc::clone(&sum));
                async move {
                    let mut doubt = lock(&kept).take();
                    let result = counter.try_change(&*sum, &mut doubt).await;
                    *lock(&kept) = doubt;
                    result
                }
            });
            let result = done.await;
            let doubt = lock(&doubt).take();
            result.map_err(|error| match (doubt, error.outcome()) {
                (Some(_), Some(Outcome::NotApplied) | None) => unknown(error),
                _ => error,
            })
        })
    }

    /// Tries until nobody comes between, or the way to the server breaks off. What may have been
    /// carried out stays in `doubt`.
    async fn try_change(
        &self,
        sum: &(dyn Fn(N) -> Option<N> + Send + Sync),
        doubt: &mut Option<Attempt<N>>,
    ) -> Result<Change<N>, Error> {
        loop {
            if let Some(attempt) = doubt.as_ref() {
                match attempt.judge(&self.client, &self.path).await? {
                    Verdict::Done => {
                        let change = attempt.change();
                        *doubt = None;
                        return Ok(change);
                    }
                    Verdict::NotYet => {}
                    Verdict::Never => *doubt = None,
                    Verdict::Unknown => return Err(unknown(Error::BadVersion)),
                }
            }
            let again = doubt.is_some();
            let attempt = match doubt.take() {
                Some(attempt) => attempt,
                None => {
                    let (value, stat) = self.read().await?;
                    self.attempt(value, &stat, sum)?
                }
            };
            match attempt.send(&self.client, &self.path).await {
                Ok(()) if self.plan.has(Planted::ReadBack) => {
                    let (post_value, _) = self.read().await?;
                    return Ok(Change {
                        post_value,
                        ..attempt.change()
                    });
                }
                Ok(()) => return Ok(attempt.change()),
                Err(Error::ConnectionLoss { .. }) if self.plan.has(Planted::AddAgain) => {}
                // Somebody came between: perhaps the same attempt, sent before.
                Err(Error::BadVersion | Error::NoNode) if again => *doubt = Some(attempt),
                Err(Error::BadVersion | Error::NoNode) => attempt.abandon(),
                Err(error) => {
                    if again || error.outcome() == Some(Outcome::Unknown) {
                        *doubt = Some(attempt);
                    } else {
                        attempt.abandon();
                    }
                    return Err(error);
                }
            }
        }
    }

    fn attempt(
        &self,
        value: N,
        stat: &Stat,
        sum: &(dyn Fn(N) -> Option<N> + Send + Sync),
    ) -> Result<Attempt<N>, Error> {
        let post_value = sum(value).ok_or(Error::Recipe(RecipeError::OutOfBounds {
            what: "the sum",
            bounds: N::BOUNDS,
        }))?;
        let change = Change {
            pre_value: value,
            post_value,
        };
        let mark = if self.marked {
            // Without a session the next one is waited for.
            let (session, _) = self.client.client_id().ok_or(Error::TryAgain)?;
            let path = format!("{}/{}", self.path, self.client.unique_id());
            Some(Mine::unique(&self.client, path, session))
        } else {
            None
        };
        let mut stat = *stat;
        if self.plan.has(Planted::AnyVersion) {
            stat.version = -1;
        }
        Ok(Attempt::new(change, &stat, mark))
    }

    async fn read(&self) -> Result<(N, Stat), Error> {
        let mut made = false;
        loop {
            match self.client.get(&self.path).await {
                Ok((data, stat)) if data.is_empty() => return Ok((self.default, stat)),
                Ok((data, stat)) => {
                    let value = N::read(&data).ok_or_else(|| {
                        Error::Recipe(RecipeError::NotUnderstood {
                            path: self.path.to_string(),
                            expected: N::EXPECTED,
                        })
                    })?;
                    return Ok((value, stat));
                }
                Err(Error::NoNode) if !made => {
                    self.client.ensure_path(&self.path).await?;
                    made = true;
                }
                // Deleted as soon as it was made.
                Err(Error::NoNode) => return Err(Error::TryAgain),
                Err(error) => return Err(error),
            }
        }
    }
}

fn unknown(last: Error) -> Error {
    Error::Unknown {
        why: Doubt::Versioned,
        last: Box::new(last),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
