//! [`Lock`]: one holder at a time, in the order in which they came.
//!
//! ```
//! # use std::time::Duration;
//! # use zk_client::{Client, Error};
//! # use zk_recipes::Lock;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(machine.handler()).await?;
//! let lock = Lock::new(&client, "/jobs/nightly").identifier("host 7");
//! let guard = lock.acquire().timeout(Duration::from_secs(30)).await?;
//! // Done only while the lock is held, whatever happens meanwhile.
//! guard
//!     .transaction()
//!     .create("/jobs/last-run", "started")
//!     .commit()
//!     .await?;
//! assert_eq!(lock.contenders().await?, ["host 7"]);
//! guard.release().await?;
//! # Ok::<(), Error>(())
//! # })??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! On the server: `PATH/U__lock__N`, ephemeral and sequential, with the identifier as data
//! ([`layout`]).
//!
//! To a waiter `Suspended` means nothing, and `Lost` that it begins again at the end of the line. To
//! a holder see [`Guard`]. A lock that nobody else wants takes two round
//! trips and three requests, the directory four more, once; handing it over three requests and two
//! round trips from the release to the next holder, whatever the number of waiters.
//!
//! # As in kazoo, and not
//!
//! * Programs of both wait in one line.
//! * `acquire(blocking=False)` is [`try_acquire`](Lock::try_acquire), `acquire(timeout=)` is
//!   [`Pending::timeout`], which is counted once (kazoo: again whenever the predecessor changes).
//! * What is acquired is a [`LockGuard`], which knows when it is lost (kazoo: the holder is not told).
//! * Each acquire stands in the line for itself, so that one object may be used by many tasks. It is
//!   not reentrant, as in kazoo.
//! * [`cancel`](Lock::cancel) ends what waits, in any state, and nothing later.
//! * No node is left behind: a deletion that fails is repeated (kazoo: tried once).
//! * There is no `ephemeral=False`: a node that no session owns would be nobody's to delete when its holder
//!   dies. Such nodes of others are waited for. What is to outlive its holder is a
//!   [`lease`](crate::lease), which has an end.
//! * Numbers are compared as such, around their overflow (kazoo: as texts).

use zk_client::{Client, Error};

use crate::cancel::Cancel;
use crate::layout::{self, LockLayout};
use crate::line::Line;
use crate::node::steady;
use crate::planted::Plan;
use crate::texts::texts;
use crate::{Guard, LockGuard, Pending};

/// One holder at a time, in the order in which they came. See the [module](self).
#[derive(Clone)]
pub struct Lock {
    client: Client,
    line: Line,
    cancel: Cancel,
}

impl Lock {
    /// A lock at this path, which is made if it does not exist. All that is below belongs to the lock.
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::with_suffix(client, path.into(), layout::LOCK, &[layout::LOCK])
    }

    pub(crate) fn with_suffix(
        client: &Client,
        path: String,
        suffix: &'static str,
        rivals: &[&str],
    ) -> Self {
        Self {
            client: client.clone(),
            line: Line {
                path,
                layout: LockLayout::Kazoo,
                suffix,
                rivals: rivals.iter().map(|rival| (*rival).to_owned()).collect(),
                identifier: Vec::new(),
                plan: Plan::default(),
            },
            cancel: Cancel::default(),
        }
    }

    /// What others see of who waits and who holds ([`contenders`](Self::contenders)). Default empty.
    pub fn identifier(mut self, identifier: impl Into<Vec<u8>>) -> Self {
        self.line.identifier = identifier.into();
        self
    }

    /// Names its nodes as others do. Default kazoo's.
    ///
    /// In one directory all must use one layout, or name those of others by
    /// [`extra_patterns`](Self::extra_patterns).
    pub fn layout(mut self, layout: LockLayout) -> Self {
        self.line.layout = layout;
        let suffix = match layout {
            LockLayout::Kazoo => layout::LOCK,
            LockLayout::Curator => layout::CURATOR_LOCK,
        };
        self.line.suffix = suffix;
        self.line.rivals = vec![suffix.to_owned()];
        self
    }

    /// Nodes whose names end with one of these, and then a number, are waited for, too: those of
    /// other libraries (kazoo: `extra_lock_patterns`, but texts as they are, no expressions).
    pub fn extra_patterns<P: Into<String>>(
        mut self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Self {
        self.line.rivals.extend(patterns.into_iter().map(P::into));
        self
    }

    /// The lock, when all who came before have left.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::Recipe`] if names in the directory cannot be ordered;
    /// [`Error::NoAuth`] and the like; what ends the client, such as [`Error::Closed`].
    pub fn acquire(&self) -> Pending<LockGuard> {
        let (line, client) = (self.line.clone(), self.client.clone());
        let acquire = async move { line.enter(&client).await.map(LockGuard::new) };
        Pending::new(&self.client, self.cancel.guard(acquire))
    }

    /// The lock if it is free, else `None`: somebody holds it, or waits for it. Nothing is left
    /// behind then.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn try_acquire(&self) -> Pending<Option<LockGuard>> {
        let (line, client) = (self.line.clone(), self.client.clone());
        let acquire = async move {
            let guard = line.try_enter(&client).await?;
            Ok(guard.map(LockGuard::new))
        };
        Pending::new(&self.client, self.cancel.guard(acquire))
    }

    /// As [`acquire`](Self::acquire), for what is not held alone.
    pub(crate) fn acquire_shared(&self) -> Pending<Guard> {
        let (line, client) = (self.line.clone(), self.client.clone());
        let acquire = async move { line.enter(&client).await };
        Pending::new(&self.client, self.cancel.guard(acquire))
    }

    /// As [`try_acquire`](Self::try_acquire), for what is not held alone.
    pub(crate) fn try_acquire_shared(&self) -> Pending<Option<Guard>> {
        let (line, client) = (self.line.clone(), self.client.clone());
        let acquire = async move { line.try_enter(&client).await };
        Pending::new(&self.client, self.cancel.guard(acquire))
    }

    /// Gives up all that waits for this lock through this object or its clones, with
    /// [`Error::Cancelled`]. What holds it, and what is begun later, is left alone.
    pub fn cancel(&self) {
        self.cancel.raise();
    }

    /// The identifiers of those who hold it and wait for it, in their order. Empty if there is no such
    /// path.
    ///
    /// # Errors
    /// [`Error::Recipe`] if names in the directory cannot be ordered; those of reads.
    pub fn contenders(&self) -> Pending<Vec<String>> {
        let (line, client) = (self.line.clone(), self.client.clone());
        Pending::new(
            &self.client,
            async move { contenders(&line, &client).await },
        )
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: crate::Planted) -> Self {
        self.line.plan = Plan::of(planted);
        self
    }

    /// Its path, as the client sees it.
    pub fn path(&self) -> &str {
        &self.line.path
    }
}

pub(crate) async fn contenders(line: &Line, client: &Client) -> Result<Vec<String>, Error> {
    let list = client.get_children(&line.path).synced();
    let names = match client.retry(&steady(), list).await {
        Err(Error::NoNode) => return Ok(Vec::new()),
        names => names?,
    };
    let order = line.order(names.iter())?;
    texts(client, order.iter().map(|(_, name)| line.child(name))).await
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lock")
            .field("path", &self.line.path)
            .finish_non_exhaustive()
    }
}
