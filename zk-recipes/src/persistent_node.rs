//! [`PersistentNode`]: an ephemeral znode that is there for as long as it is wanted.
//!
//! For what registers itself: an ephemeral node goes with its session, and a session can go although
//! the program lives. This makes the node again, in the next session and after somebody has deleted
//! it, and says when it was away.
//!
//! ```
//! use zk_client::Client;
//! use zk_recipes::persistent_node::{PersistentNode, Presence};
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # let (hosts, handler) = (server.hosts(), machine.handler());
//! # sim.block_on(async {
//! let client = Client::builder(hosts).connect(handler).await?;
//! let node = PersistentNode::new(&client, "/services/web/a", "10.0.0.1:80");
//! node.start().await?;
//! assert!(node.is_present());
//!
//! let mut presence = node.changes();
//! let first = presence.next().await.expect("the client is open")?;
//! client.delete("/services/web/a").await?;
//! loop {
//!     match presence.next().await.expect("the client is open")? {
//!         now @ Presence::Present { .. } if now != first => break,
//!         now => println!("{now:?}"),
//!     }
//! }
//!
//! node.close().await?;
//! assert!(client.exists("/services/web/a").await?.is_none());
//! # Ok::<(), zk_client::Error>(()) }).unwrap().unwrap();
//! ```
//!
//! # On the server
//!
//! The node itself, ephemeral, with the data given, and its parents.
//!
//! # What happens to the session
//!
//! *Suspended*: the node is there until the servers drop the session, and
//! [`is_present`](PersistentNode::is_present) stays true; for how long that is certain, see
//! [`Client::deadline`](zk_client::Client::deadline). *Lost*: it is absent, and made again in the next
//! session as soon as the old one's is gone; or not, see
//! [`within_session`](PersistentNode::within_session). A node of that name that belongs to another
//! session is nobody's own: it is waited for to go.
//!
//! Data that others have written into the node stays.
//!
//! # Cost
//!
//! Two requests to make it, one for each change by others. kazoo has no such recipe; it is Curator's
//! `PersistentNode`.

mod keep;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_client::{Client, Error, IntoData, Payload, SessionId, Zxid};

use crate::cell::{Cell, Seen};
#[cfg(zk_planted)]
use crate::planted::Plan;
use crate::{Changes, Pending};

use keep::{Order, Outcome, Run, Terms};

/// An ephemeral node that is made again whenever it is gone. See the [module](self).
///
/// Clones are the same node, and keep the client open. When the last one is dropped, the node is
/// deleted in the background.
#[derive(Clone)]
#[must_use = "dropping it deletes the node"]
pub struct PersistentNode {
    inner: Arc<Inner>,
    terms: Terms,
}

struct Inner {
    client: Client,
    path: String,
    data: Mutex<Payload>,
    presence: Arc<Cell<Presence>>,
    run: Mutex<Option<Run>>,
    /// What becomes of the newest run.
    last: Mutex<Option<Arc<Cell<Outcome>>>>,
}

impl Inner {
    /// Begins to make the node, when the run before has ended.
    fn begin(&self, terms: Terms) -> Run {
        let data = lock(&self.data).clone();
        let presence = Arc::clone(&self.presence);
        let mut last = lock(&self.last);
        let (path, previous) = (self.path.clone(), last.take());
        let run = Run::start(&self.client, path, data, presence, terms, previous);
        *last = Some(run.outcome());
        run
    }
}

/// Is the node there?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Presence {
    /// As far as this client knows, it is not.
    Absent,
    /// It is.
    Present {
        /// The session that it belongs to.
        session: SessionId,
        /// The transaction that made it: another one, another node.
        czxid: Zxid,
    },
}

impl PersistentNode {
    /// A node at `path` with this data. It is not made before [`start`](Self::start).
    pub fn new<'a>(client: &Client, path: &str, data: impl IntoData<'a>) -> Self {
        let data = data.into_data();
        let data = data.as_option().map_or_else(Payload::null, Payload::from);
        Self {
            inner: Arc::new(Inner {
                client: client.clone(),
                path: path.to_owned(),
                data: Mutex::new(data),
                presence: Arc::new(Cell::new(Presence::Absent)),
                run: Mutex::new(None),
                last: Mutex::new(None),
            }),
            terms: Terms::default(),
        }
    }

    /// Is not made again when the session is lost.
    pub fn within_session(mut self) -> Self {
        self.terms.within_session = true;
        self
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: crate::Planted) -> Self {
        self.terms.plan = Plan::of(planted);
        self
    }

    /// Makes the node, with its parents, and keeps it; resolves when it is there. Starting it again
    /// waits for the same. Dropping this before it is done takes it back.
    ///
    /// # Errors
    /// What keeps it from being made: [`Error::NoAuth`], [`Error::NoChildrenForEphemerals`],
    /// [`Error::Path`]; what has ended the client.
    pub fn start(&self) -> Pending<()> {
        let this = self.clone();
        Pending::new(&self.inner.client, async move {
            let Self { inner, terms } = this;
            let (outcome, taken_back) = {
                let mut run = lock(&inner.run);
                let running = run.as_ref().filter(|run| !run.is_over());
                match running {
                    Some(run) => (run.outcome(), TakeBack(None)),
                    None => {
                        let new = inner.begin(terms);
                        let (outcome, order) = (new.outcome(), new.order());
                        let old = run.replace(new);
                        drop(run);
                        drop(old);
                        (outcome, TakeBack(Some(order)))
                    }
                }
            };
            drop(inner);
            let mut seen = Seen::default();
            loop {
                match outcome.next(&mut seen).await {
                    Outcome::Making => {}
                    Outcome::Made => break,
                    Outcome::Over(Err(error)) => return Err(error),
                    Outcome::Over(Ok(_)) => return Err(Error::Cancelled),
                }
            }
            taken_back.keep();
            Ok(())
        })
    }

    /// Is the node there, and does it belong to the session that this client has now? While the
    /// connection is away, that is what was known before.
    pub fn is_present(&self) -> bool {
        let live = self.inner.client.client_id().map(|(id, _)| id);
        match self.inner.presence.get() {
            Presence::Present { session, .. } => Some(session) == live,
            Presence::Absent => false,
        }
    }

    /// Whether it is there, now and at every change, as a stream. Who reads late sees the newest
    /// only: a node that was away in between is another one.
    pub fn changes(&self) -> Changes<Presence> {
        let presence = Arc::clone(&self.inner.presence);
        Changes::new(&self.inner.client, |_, outlet| async move {
            let mut seen = Seen::default();
            loop {
                outlet.put(presence.next(&mut seen).await).await;
            }
        })
    }

    /// Writes other data into the node, now and whenever it is made again. Resolves when it is
    /// written; at once if it was not started.
    ///
    /// # Errors
    /// What has ended it.
    pub fn set_data<'a>(&self, data: impl IntoData<'a>) -> Pending<()> {
        let data = data.into_data();
        let data = data.as_option().map_or_else(Payload::null, Payload::from);
        let inner = Arc::clone(&self.inner);
        Pending::new(&self.inner.client, async move {
            *lock(&inner.data) = data.clone();
            let written = lock(&inner.run).as_ref().map(|run| run.write(data));
            drop(inner);
            match written {
                Some(written) => written.await,
                None => Ok(()),
            }
        })
    }

    /// Deletes the node, and resolves when it is gone: `false` if it was gone already. It can be
    /// started again. After a create whose reply was lost that takes two seconds more, as a server
    /// may be late with it.
    ///
    /// # Errors
    /// What has ended it, such as [`Error::NoAuth`]; the node may be there then.
    pub fn close(&self) -> Pending<bool> {
        let inner = Arc::clone(&self.inner);
        Pending::new(&self.inner.client, async move {
            let run = lock(&inner.run).take();
            let Some(run) = run else {
                return Ok(false);
            };
            run.end().await
        })
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.inner.path
    }
}

/// Takes a start back when it is dropped.
struct TakeBack(Option<Arc<Cell<Order>>>);

impl TakeBack {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for TakeBack {
    fn drop(&mut self) {
        if let Some(order) = self.0.take() {
            keep::stop(&order);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for PersistentNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentNode")
            .field("path", &self.path())
            .field("present", &self.is_present())
            .finish_non_exhaustive()
    }
}
