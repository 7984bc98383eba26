//! [`Queue`]: items in order, each for one consumer, at most once.
//!
//! ```
//! # use zk_client::{Client, Error};
//! use zk_recipes::Queue;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let handler = sim.machine("app").handler();
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(handler).await?;
//! let queue = Queue::new(&client, "/mails");
//! queue.put("later").await?;
//! queue.put_with_priority("urgent", 10).await?;
//! assert_eq!(queue.get().await?.unwrap(), *b"urgent");
//! assert_eq!(queue.get().await?.unwrap(), *b"later");
//! assert_eq!(queue.get().await?, None);
//! # Ok::<_, Error>(()) })??; Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # On the server
//!
//! `PATH/entry-PPP-N`, persistent and sequential, with the item as data; `PPP` is the priority, of
//! three digits. Lower ones come first, and of the same priority older items. Whatever else is a
//! child of `PATH` is an item, too.
//!
//! # What it promises
//!
//! No item is given out twice. It is deleted before it is given out, and so lost with a consumer that
//! ends in between; use a [`LockingQueue`](crate::LockingQueue) where that matters. When the answer to
//! the delete was lost, and the item is gone when that is looked for, this consumer or another one
//! has it: that is [`Error::Unknown`], where kazoo goes on to the next item without a word.
//!
//! [`put`](Queue::put) is sent once. When its answer was lost the item may be there or not:
//! [`Error::outcome`] says so.
//!
//! Names are read once, and then taken one after the other, as kazoo does: an item of a lower
//! priority that was put meanwhile comes after those that were known.
//!
//! # Suspended and lost
//!
//! A queue belongs to no session. [`get`](Queue::get) goes on when the connection, or another
//! session, is there.
//!
//! # Requests
//!
//! One to put, two to get an item, and one for every list.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_client::op::Doubt;
use zk_client::{Client, Error, IntoData, Outcome, Payload};

use crate::Pending;
use crate::mine::pause;
use crate::planted::{Plan, Planted};

pub(crate) mod entry;

/// A queue. See the [module](self). Clones share the names that were read.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    path: Arc<str>,
    known: Arc<Mutex<VecDeque<String>>>,
    plan: Plan,
}

impl Queue {
    /// The queue at `path`. Nothing is sent.
    pub fn new(client: &Client, path: &str) -> Self {
        Self {
            client: client.clone(),
            path: path.trim_end_matches('/').into(),
            known: Arc::default(),
            plan: Plan::default(),
        }
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: Planted) -> Self {
        self.plan = Plan::of(planted);
        self
    }

    /// Appends an item, of priority 100.
    ///
    /// # Errors
    /// As [`put_with_priority`](Self::put_with_priority).
    pub fn put<'a>(&self, item: impl IntoData<'a>) -> Pending<()> {
        self.put_with_priority(item, entry::PRIORITY)
    }

    /// Appends an item behind those of the same priority, 0 to 999. Lower ones come first.
    ///
    /// # Errors
    /// [`OutOfBounds`](zk_client::RecipeError::OutOfBounds) for the priority; those of [`Client::create`].
    pub fn put_with_priority<'a>(&self, item: impl IntoData<'a>, priority: u16) -> Pending<()> {
        put(&self.client, &self.path, item, priority)
    }

    /// Takes the first item; `None` if there is none (kazoo: `get`, which never waits either).
    ///
    /// # Errors
    /// [`Error::Unknown`] if an item was perhaps taken and lost; those of [`Client::get`] and
    /// [`Client::delete`] that do not pass.
    pub fn get(&self) -> Pending<Option<Payload>> {
        let this = self.clone();
        Pending::new(&self.client, async move {
            while let Some(name) = this.next().await? {
                if let Some(item) = this.take(&name).await? {
                    return Ok(Some(item));
                }
            }
            Ok(None)
        })
    }

    /// How many items there are (kazoo: `len`).
    ///
    /// # Errors
    /// Those of [`Client::exists`], and [`Error::RetryFailed`].
    pub fn len(&self) -> Pending<usize> {
        len(&self.client, self.path.to_string())
    }

    /// The first of the known names; if there is none, of a new list.
    async fn next(&self) -> Result<Option<String>, Error> {
        let known = self.known().pop_front();
        if known.is_some() {
            return Ok(known);
        }
        let client = &self.client;
        let names = client.retry_default(client.get_children(&self.path)).await;
        let names = match names {
            Err(Error::NoNode) => return Ok(None),
            names => entry::in_order(&names?),
        };
        let mut known = self.known();
        *known = names;
        Ok(known.pop_front())
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes this item, unless another consumer was faster.
    async fn take(&self, name: &str) -> Result<Option<Payload>, Error> {
        let client = &self.client;
        let path = format!("{}/{name}", self.path);
        if self.plan.has(Planted::DeleteFirst) {
            let (get, delete) = (client.get(&path), client.delete(&path));
            let deleted = client.retry_default(delete).await;
            let found = client.retry_default(get).await;
            return Ok(found.ok().filter(|_| deleted.is_ok()).map(|(item, _)| item));
        }
        let (item, _) = match client.retry_default(client.get(&path)).await {
            Err(Error::NoNode) => return Ok(None),
            found => found?,
        };
        if self.plan.has(Planted::KeepItem) {
            return Ok(Some(item));
        }
        let mut doubt = None;
        loop {
            let error = match client.delete(&path).await {
                Ok(()) => return Ok(Some(item)),
                Err(error) => error,
            };
            match (error, doubt.take()) {
                (Error::NoNode, None) => return Ok(None),
                (Error::NoNode, Some(_)) if self.plan.has(Planted::SilentLoss) => return Ok(None),
                (Error::NoNode, Some(lost)) => {
                    return Err(Error::Unknown {
                        why: Doubt::NotRepeatable,
                        last: Box::new(lost),
                    });
                }
                (error, before) => {
                    let unknown = error.outcome() == Some(Outcome::Unknown);
                    doubt = before.or_else(|| unknown.then(|| error.clone()));
                    if !matches!(error, Error::SessionExpired { .. }) {
                        pause(client, error).await?;
                    }
                }
            }
        }
    }
}

/// Appends an item.
pub(crate) fn put<'a>(
    client: &Client,
    parent: &str,
    item: impl IntoData<'a>,
    priority: u16,
) -> Pending<()> {
    let (path, item) = (entry::path(parent, priority), item.into_data().into_owned());
    let this = client.clone();
    Pending::new(client, async move {
        let path = path?;
        let create = this.create(&path, item).sequential().make_path();
        create.await.map(drop)
    })
}

/// How many children there are.
pub(crate) fn len(client: &Client, path: String) -> Pending<usize> {
    let this = client.clone();
    Pending::new(client, async move {
        let stat = this.retry_default(this.exists(&path)).await?;
        let children = stat.map_or(0, |stat| stat.num_children);
        Ok(usize::try_from(children).unwrap_or(0))
    })
}
