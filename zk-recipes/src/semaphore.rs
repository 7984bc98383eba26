//! [`Semaphore`]: at most so many holders at a time.
//!
//! ```
//! # use zk_client::{Client, Error};
//! # use zk_recipes::Semaphore;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(machine.handler()).await?;
//! let downloads = Semaphore::new(&client, "/downloads", 2).identifier("host 7");
//! let (one, two) = (downloads.acquire().await?, downloads.acquire().await?);
//! assert!(downloads.try_acquire().await?.is_none());
//! one.release().await?;
//! assert_eq!(downloads.lease_holders().await?, ["host 7"]);
//! # drop(two);
//! # Ok::<(), Error>(())
//! # })??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! On the server, as kazoo has it: `PATH` with the number of leases in decimal; a lease is `PATH/U`,
//! ephemeral, with the identifier as data; and `PATH-__lock__` beside it is a [`Lock`](crate::lock)
//! that is held while leases are counted and one is taken. So only one of those who wait watches the
//! leases (no herd), and leases are given in the order in which they were asked for.
//!
//! # Why there are never too many
//!
//! Whoever counts holds the inner lock. The one before had its lease made before its inner node was
//! deleted, and we list after we have seen that: our list has it, be it from a follower that lags. If
//! the session of the one before ended instead, its lease went in the same transaction. Leases that
//! vanish meanwhile only make the count too high.
//!
//! To a waiter `Suspended` means nothing, and `Lost` that it begins again. To a holder see
//! [`Guard`]; there is no token, as several hold at once. A free lease takes four round
//! trips: two for the lock, one for the leases, one for ours; the first of an object one more.
//!
//! # As in kazoo, and not
//!
//! * `max_leases` must be the same for all: a number on the server that differs is an error, another text
//!   is left alone.
//! * Only children that look like leases count (kazoo: all).
//! * [`cancel`](Semaphore::cancel) reaches those who wait for the inner lock, too, and nothing that is
//!   begun later.
//! * [`try_acquire`](Semaphore::try_acquire) gives `None` only if all leases are taken (kazoo: also while
//!   somebody else is counting).
//! * Each acquire takes a lease of its own (kazoo: one per object).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zk_client::{Children, Client, Error, RecipeError, Watch};

use crate::cancel::Cancel;
use crate::layout::{self, LockLayout};
use crate::line::{self, Line, Place, again_after, begins_again};
use crate::node::{Name, Node, PAUSE, steady};
use crate::planted::{Plan, Planted};
use crate::texts::texts;
use crate::{Guard, Pending};

/// At most so many holders at a time. See the [module](self).
#[derive(Clone)]
pub struct Semaphore {
    client: Client,
    leases: Leases,
    cancel: Cancel,
}

#[derive(Clone)]
struct Leases {
    path: String,
    /// It was there once, with the right number.
    prepared: Arc<AtomicBool>,
    limit: u32,
    line: Line,
}

impl Semaphore {
    /// A semaphore of so many leases at this path, which is made if it does not exist.
    pub fn new(client: &Client, path: impl Into<String>, max_leases: u32) -> Self {
        let path = path.into();
        let line = Line {
            path: format!("{}{}", path.trim_end_matches('/'), layout::SEMAPHORE_LOCK),
            layout: LockLayout::Kazoo,
            suffix: layout::LOCK,
            rivals: vec![layout::LOCK.to_owned()],
            identifier: Vec::new(),
            plan: Plan::default(),
        };
        Self {
            client: client.clone(),
            leases: Leases {
                path,
                prepared: Arc::default(),
                limit: max_leases,
                line,
            },
            cancel: Cancel::default(),
        }
    }

    /// What others see of who has a lease ([`lease_holders`](Self::lease_holders)). Default empty.
    pub fn identifier(mut self, identifier: impl Into<Vec<u8>>) -> Self {
        self.leases.line.identifier = identifier.into();
        self
    }

    /// A lease, when there is one and all who came before have theirs.
    ///
    /// # Errors
    /// [`Error::Recipe`] if others use another number of leases; [`Error::Cancelled`]; those of
    /// [`Lock::acquire`](crate::Lock::acquire).
    pub fn acquire(&self) -> Pending<Guard> {
        let (leases, client) = (self.leases.clone(), self.client.clone());
        let acquire = async move {
            leases.prepare_once(&client).await?;
            loop {
                let session = client.client_id().map(|(id, _)| id);
                match leases.take(&client).await {
                    Err(error) if begins_again(&error) => again_after(&client, session).await?,
                    result => return result,
                }
            }
        };
        Pending::new(&self.client, self.cancel.guard(acquire))
    }

    /// A lease if one is free, else `None`. Nothing is left behind then.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn try_acquire(&self) -> Pending<Option<Guard>> {
        let (leases, client) = (self.leases.clone(), self.client.clone());
        let acquire = async move {
            leases.prepare_once(&client).await?;
            loop {
                let session = client.client_id().map(|(id, _)| id);
                match leases.try_take(&client).await {
                    Err(error) if begins_again(&error) => again_after(&client, session).await?,
                    result => return result,
                }
            }
        };
        Pending::new(&self.client, self.cancel.guard(acquire))
    }

    /// Gives up all that waits through this object or its clones, with [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancel.raise();
    }

    /// The identifiers of those who have a lease, in no particular order. Empty if there is no such
    /// path.
    ///
    /// # Errors
    /// Those of reads.
    pub fn lease_holders(&self) -> Pending<Vec<String>> {
        let (leases, client) = (self.leases.clone(), self.client.clone());
        Pending::new(&self.client, async move { leases.holders(&client).await })
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: Planted) -> Self {
        self.leases.line.plan = Plan::of(planted);
        self
    }
}

impl Leases {
    async fn prepare_once(&self, client: &Client) -> Result<(), Error> {
        if !self.prepared.load(Ordering::Acquire) {
            self.prepare(client).await?;
            self.prepared.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Makes the path, with the number of leases, or compares that.
    async fn prepare(&self, client: &Client) -> Result<(), Error> {
        let ours = self.limit.to_string();
        loop {
            let get = client.get(&self.path);
            match client.retry(&steady(), get).await {
                Ok((data, _)) => return self.compare(&data),
                Err(Error::NoNode) => {}
                Err(error) => return Err(error),
            }
            // If somebody else is quicker, or the reply is lost, it is there the next time.
            match client.create(&self.path, &*ours).make_path().await {
                Ok(_) => return Ok(()),
                Err(Error::NodeExists | Error::ConnectionLoss { .. }) => {}
                Err(Error::SessionExpired { .. } | Error::Timeout { .. }) => {}
                Err(error) if error.is_retryable() => client.sleep(PAUSE).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// A number that differs is an error; what is no number is left alone, as in kazoo.
    fn compare(&self, data: &[u8]) -> Result<(), Error> {
        let text = String::from_utf8_lossy(data);
        match text.trim().parse::<i64>() {
            Ok(theirs) if theirs != i64::from(self.limit) => Err(RecipeError::LimitDiffers {
                path: self.path.clone(),
                ours: self.limit,
                theirs,
            }
            .into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn take(&self, client: &Client) -> Result<Guard, Error> {
        let inner = self.line.enter(client).await?;
        if self.has_room(&self.list(client).await?) {
            return self.lease(client, inner).await;
        }
        loop {
            let (children, watch) = self.watch(client).await?;
            if self.has_room(&children) {
                return self.lease(client, inner).await;
            }
            // Until then the inner lock stays with us, unless it is lost.
            line::wait_beside(inner.shared(), [watch]).await?;
        }
    }

    async fn try_take(&self, client: &Client) -> Result<Option<Guard>, Error> {
        let mut spot = self.line.join(client).await?;
        loop {
            // In this order: whoever is seen to have left the lock has its lease in the list.
            let place = spot.look(client).await?;
            let (children, watch) = match &place {
                Place::First => (self.list(client).await?, None),
                Place::Behind(_) => {
                    let (children, watch) = self.watch(client).await?;
                    (children, Some(watch))
                }
                Place::Nowhere => return Err(Error::TryAgain),
            };
            if !self.has_room(&children) {
                spot.leave().await?;
                return Ok(None);
            }
            match (place, watch) {
                // Somebody is counting, and will be done soon, or take the last lease.
                (Place::Behind(other), Some(watch)) => {
                    if let Some(ahead) = spot.watch(client, &other).await? {
                        line::wait_beside(spot.shared(), [ahead, watch]).await?;
                    }
                }
                _ => {
                    let inner = spot.grant(client).await?;
                    return self.lease(client, inner).await.map(Some);
                }
            }
        }
    }

    /// The children.
    async fn list(&self, client: &Client) -> Result<Children, Error> {
        let list = client.get_children(&self.path);
        let listed = client.retry(&steady(), list).within_session().await;
        self.there(client, listed).await
    }

    /// The children, and a watch on them.
    async fn watch(&self, client: &Client) -> Result<(Children, Watch), Error> {
        let list = client.get_children(&self.path).watched();
        let listed = client.retry(&steady(), list).within_session().await;
        self.there(client, listed).await
    }

    /// If somebody has deleted the semaphore, it is made again.
    async fn there<T>(&self, client: &Client, listed: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::NoNode) = listed {
            self.prepare(client).await?;
            return Err(Error::TryAgain);
        }
        listed
    }

    fn has_room(&self, children: &Children) -> bool {
        let leases = children.iter().filter(|name| layout::is_lease(name));
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let limit = if self.line.plan.has(Planted::OneTooMany) {
            limit.saturating_add(1)
        } else {
            limit
        };
        leases.count() < limit
    }

    /// Takes a lease, with the inner lock held; then that is given back.
    async fn lease(&self, client: &Client, inner: Guard) -> Result<Guard, Error> {
        let line = &self.line;
        let inner = if line.plan.has(Planted::EarlyUnlock) {
            drop(inner);
            None
        } else {
            Some(inner)
        };
        let name = (str::to_owned, Name::AsGiven);
        let node = Node::create(client, &self.path, name, &line.identifier, line.plan).await?;
        // Made in the next session, or behind the inner node's end, it was not counted by whoever
        // holds the lock by now. If that was deleted before, its watch has told before this reply.
        let alone = |inner: &Guard| {
            inner.session() == node.shared().session() && inner.shared().lost().is_none()
        };
        if !inner.as_ref().is_none_or(alone) {
            return Err(Error::TryAgain);
        }
        let guard = line::prove(client, &self.path, node).await;
        drop(inner);
        guard
    }

    async fn holders(&self, client: &Client) -> Result<Vec<String>, Error> {
        let list = client.get_children(&self.path).synced();
        let names = match client.retry(&steady(), list).await {
            Err(Error::NoNode) => return Ok(Vec::new()),
            names => names?,
        };
        let leases = names.iter().filter(|name| layout::is_lease(name));
        let path = |name| format!("{}/{name}", self.path.trim_end_matches('/'));
        texts(client, leases.map(path)).await
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("path", &self.leases.path)
            .field("max_leases", &self.leases.limit)
            .finish_non_exhaustive()
    }
}
