//! [`LockingQueue`]: items in order, each claimed until it is consumed, at least once.
//!
//! ```
//! # use zk_client::{Client, Error};
//! use zk_recipes::LockingQueue;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let handler = sim.machine("app").handler();
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(handler).await?;
//! let queue = LockingQueue::new(&client, "/mails");
//! queue.put_all(["one", "two"]).await?;
//! let item = queue.get().await?;          // waits for one
//! assert_eq!(item.data(), b"one");
//! // .. the work ..
//! item.consume().await?;                  // or drop it, and others get it
//! # assert_eq!(queue.len().await?, 1);
//! # Ok::<_, Error>(()) })??; Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # On the server
//!
//! | znode | kind | data |
//! |---|---|---|
//! | `PATH/entries/entry-PPP-N` | persistent, sequential | the item; `PPP` is its priority |
//! | `PATH/taken/ENTRY` | ephemeral | `U` of the claim |
//!
//! # What it promises
//!
//! No item is lost: it is there until somebody who holds its claim consumes it, in one transaction
//! with the claim. At any time one consumer at most holds the claim of an item. A claim goes with its
//! session, and then others get the item: so it may be worked on twice, and consumed once.
//!
//! A claim is made in a transaction that demands the item, so that nothing is claimed that is gone.
//! Every claim has an id of its own, by which it is known again when an answer was lost; what is done
//! to a claim is done in its session only. Dropping an [`Item`], or a [`get`](LockingQueue::get) that
//! waits, gives the claim back at once.
//!
//! # Suspended and lost
//!
//! While the connection is away an item may stop being held at any moment after the session's
//! deadline: [`Item::is_held`]. Afterwards [`consume`](Item::consume) and
//! [`release`](Item::release) are [`Error::NotHeld`]. Waiting for an item goes on, in a new session
//! if need be.
//!
//! # Requests
//!
//! To get an item that is there: two lists in one flight, then the claim and the data in another.
//! Whoever waits makes two lists again whenever an item was put, claimed or given back. One to
//! consume, or to release.
//!
//! In kazoo the queue holds at most one item, and gives it again until it is consumed; here every
//! [`get`](LockingQueue::get) is a claim of its own, held by its [`Item`].

use std::sync::Arc;

use zk_client::{Client, Error, IntoData};

use crate::planted::Plan;
use crate::queue::{self, entry};
use crate::{Pending, layout};

mod item;
mod take;

pub use item::Item;

/// A queue whose items are claimed, and then consumed. See the [module](self).
#[derive(Clone, Debug)]
pub struct LockingQueue {
    client: Client,
    entries: Arc<str>,
    taken: Arc<str>,
    plan: Plan,
}

impl LockingQueue {
    /// The queue at `path`. Nothing is sent.
    pub fn new(client: &Client, path: &str) -> Self {
        let path = path.trim_end_matches('/');
        Self {
            client: client.clone(),
            entries: format!("{path}/{}", layout::ENTRIES).into(),
            taken: format!("{path}/{}", layout::TAKEN).into(),
            plan: Plan::default(),
        }
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: crate::Planted) -> Self {
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

    /// Appends an item behind those of the same priority, 0 to 999. Lower ones come first. It is
    /// sent once: when its answer was lost the item may be there or not, as [`Error::outcome`] says.
    ///
    /// # Errors
    /// [`OutOfBounds`](zk_client::RecipeError::OutOfBounds) for the priority; those of [`Client::create`].
    pub fn put_with_priority<'a>(&self, item: impl IntoData<'a>, priority: u16) -> Pending<()> {
        queue::put(&self.client, &self.entries, item, priority)
    }

    /// Appends several items of priority 100, all or none.
    ///
    /// # Errors
    /// As [`put_all_with_priority`](Self::put_all_with_priority).
    pub fn put_all<'a, I: IntoData<'a>>(&self, items: impl IntoIterator<Item = I>) -> Pending<()> {
        self.put_all_with_priority(items, entry::PRIORITY)
    }

    /// Appends several items, all or none, in their order. It is sent once.
    ///
    /// # Errors
    /// [`OutOfBounds`](zk_client::RecipeError::OutOfBounds) for the priority; those of
    /// [`Transaction::commit`](zk_client::Transaction::commit) (kazoo: none, whatever becomes of it).
    pub fn put_all_with_priority<'a, I: IntoData<'a>>(
        &self,
        items: impl IntoIterator<Item = I>,
        priority: u16,
    ) -> Pending<()> {
        let items = items.into_iter().map(|item| item.into_data().into_owned());
        let (this, items) = (self.clone(), items.collect::<Vec<_>>());
        Pending::new(&self.client, async move {
            let path = entry::path(&this.entries, priority)?;
            let mut made = false;
            loop {
                let mut transaction = this.client.transaction();
                for item in items.clone() {
                    transaction = transaction.with(this.client.create(&path, item).sequential());
                }
                match transaction.commit().await {
                    Ok(_) => return Ok(()),
                    Err(Error::Transaction(error)) if *error.cause() == Error::NoNode && !made => {
                        this.client.ensure_path(&this.entries).await?;
                        made = true;
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }

    /// Claims the first item that nobody holds; waits for one if there is none (kazoo: `get` without
    /// a limit). With a [limit](Pending::timeout) it ends in [`Error::Timeout`] (kazoo: `None`).
    ///
    /// # Errors
    /// Those of [`Client::get_children`] and [`Client::create`] that do not pass.
    pub fn get(&self) -> Pending<Item> {
        Pending::new(&self.client, self.clone().take())
    }

    /// Claims the first item that nobody holds; `None` if there is none now (kazoo:
    /// `get(timeout=0)`).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn try_get(&self) -> Pending<Option<Item>> {
        Pending::new(&self.client, self.clone().take_now())
    }

    /// How many items there are, those that are held included (kazoo: `len`).
    ///
    /// # Errors
    /// Those of [`Client::exists`], and [`Error::RetryFailed`].
    pub fn len(&self) -> Pending<usize> {
        queue::len(&self.client, self.entries.to_string())
    }
}
