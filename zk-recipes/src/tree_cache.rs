//! [`TreeCache`]: kazoo's cache of a tree, over [`Cache`].
//!
//! ```
//! # use std::sync::{Arc, Mutex};
//! use zk_client::{Client, Listen};
//! use zk_recipes::tree_cache::{TreeCache, TreeEvent};
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # let (hosts, handler) = (server.hosts(), machine.handler());
//! # sim.block_on(async {
//! let client = Client::builder(hosts).connect(handler).await?;
//! let cache = TreeCache::new(&client, "/app");
//! let seen = Arc::new(Mutex::new(Vec::new()));
//! let list = Arc::clone(&seen);
//! cache.listen(move |event| {
//!     if let TreeEvent::NodeAdded(node) = event {
//!         list.lock().expect("nobody panics").push(node.path.clone());
//!     }
//!     Listen::Keep
//! });
//! cache.start().await?;
//! client.create("/app/a", "1").await?;
//! # client.sleep(std::time::Duration::from_secs(1)).await?;
//! assert_eq!(cache.get_data("/app/a")?.expect("it is there").data, b"1");
//! assert_eq!(*seen.lock().expect("nobody panics"), ["/app", "/app/a"]);
//! cache.close();
//! # Ok::<(), zk_client::Error>(()) }).unwrap().unwrap();
//! ```
//!
//! What it costs, and what becomes of it when the session is suspended or lost, is said at
//! [`Cache`](crate::cache).
//!
//! # Where kazoo differs
//!
//! | kazoo | here |
//! |---|---|
//! | two watches for each node, all set anew after a reconnect | one for the tree |
//! | every node is read at once after a reconnect | if anything was written: eight requests at a time |
//! | with the root `/a`, `/ab` counts as below it | it is refused |
//! | failures other than a missing node are dropped | fault listeners are told of each |
//! | `start` returns before anything is read | it is done when all is there |
//! | nodes deleted and created while away are updated | they are removed, with what was below, and added |

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use zk_client::{Client, Error, Listen, RecipeError, State};
use zk_proto::ZnodePath;

use crate::Pending;
use crate::cache::{Cache, CacheEvent, CacheNode};

/// A copy of a node and all that is below it, under kazoo's names. See the [module](self).
#[derive(Clone, Debug)]
pub struct TreeCache {
    cache: Cache,
    client: Client,
    stage: Arc<Mutex<Stage>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Latent,
    Started,
    Closed,
}

/// What a [`TreeCache`] has seen. It shows it already.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TreeEvent {
    /// A node that was not known. Parents come before their children.
    NodeAdded(CacheNode),
    /// The node's data was written.
    NodeUpdated(CacheNode),
    /// The node is gone; this is what was last known of it. Children come before their parents.
    NodeRemoved(CacheNode),
    /// The connection is lost.
    ConnectionSuspended,
    /// The connection is there again. What has changed meanwhile follows.
    ConnectionReconnected,
    /// The session is lost.
    ConnectionLost,
    /// All of the tree has been read: once, and once more after each
    /// [`ConnectionLost`](Self::ConnectionLost).
    Initialized,
}

/// A start that is taken back if it does not get to the cache underneath.
struct Beginning(Option<Arc<Mutex<Stage>>>);

impl Beginning {
    fn succeed(mut self) {
        self.0 = None;
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        if let Some(stage) = self.0.take() {
            let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
            if *stage == Stage::Started {
                *stage = Stage::Latent;
            }
        }
    }
}

impl TreeCache {
    /// A cache of the node at `path` and all that is below it.
    pub fn new(client: &Client, path: &str) -> Self {
        Self {
            cache: Cache::new(client, path),
            client: client.clone(),
            stage: Arc::new(Mutex::new(Stage::Latent)),
        }
    }

    /// Makes the root if it is missing, and fills the cache. Dropping this stops nothing from the
    /// moment on at which the root is there; before that, and after an error about the root, it was
    /// not started, and can be again.
    ///
    /// # Errors
    /// [`RecipeError::WrongState`] the second time, and after [`close`](Self::close);
    /// [`Error::Path`], [`Error::NoAuth`] about the root, what has ended the client.
    pub fn start(&self) -> Pending<()> {
        let this = self.clone();
        Pending::new(&self.client, async move {
            let beginning = this.begin()?;
            let Self { cache, client, .. } = this;
            client
                .retry_default(client.ensure_path(cache.root()))
                .await?;
            beginning.succeed();
            let filled = cache.start();
            drop((cache, client));
            filled.await
        })
    }

    fn begin(&self) -> Result<Beginning, Error> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let why = match *stage {
            Stage::Latent => {
                *stage = Stage::Started;
                return Ok(Beginning(Some(Arc::clone(&self.stage))));
            }
            Stage::Started => "it is started already",
            Stage::Closed => "it is closed: make a new one",
        };
        Err(RecipeError::WrongState { call: "start", why }.into())
    }

    /// Ends it, empties it, and removes its watch. No event tells of it.
    pub fn close(&self) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage::Closed;
        self.cache.close();
    }

    /// Calls `f` with what it sees from now on; see [`Cache::listen`].
    pub fn listen(&self, mut f: impl FnMut(&TreeEvent) -> Listen + Send + 'static) {
        let mut initialized = false;
        self.cache.listen(move |event| {
            let event = match event {
                CacheEvent::Added(node) => TreeEvent::NodeAdded(node.clone()),
                CacheEvent::Changed { now, .. } => TreeEvent::NodeUpdated(now.clone()),
                CacheEvent::Removed(node) => TreeEvent::NodeRemoved(node.clone()),
                CacheEvent::Synced if initialized => return Listen::Keep,
                CacheEvent::Synced => {
                    initialized = true;
                    TreeEvent::Initialized
                }
                CacheEvent::State(State::Connected { .. }) => TreeEvent::ConnectionReconnected,
                CacheEvent::State(State::Suspended { .. }) => TreeEvent::ConnectionSuspended,
                CacheEvent::State(State::Lost) => {
                    initialized = false;
                    TreeEvent::ConnectionLost
                }
                CacheEvent::Unread { .. } | CacheEvent::Lagged => return Listen::Keep,
            };
            f(&event)
        });
    }

    /// Calls `f` with the path and the error of every node that cannot be read.
    pub fn listen_fault(&self, mut f: impl FnMut(&str, &Error) -> Listen + Send + 'static) {
        self.cache.listen(move |event| match event {
            CacheEvent::Unread { path, error } => f(path, error),
            CacheEvent::Added(_)
            | CacheEvent::Changed { .. }
            | CacheEvent::Removed(_)
            | CacheEvent::Synced
            | CacheEvent::State(_)
            | CacheEvent::Lagged => Listen::Keep,
        });
    }

    /// A node's data and stat, if it is there. Asks no server.
    ///
    /// # Errors
    /// [`Error::Path`]; [`RecipeError::OutOfBounds`] for a path outside of the root.
    pub fn get_data(&self, path: &str) -> Result<Option<CacheNode>, Error> {
        self.check(path)?;
        Ok(self.cache.get(path))
    }

    /// The names of a node's children, if it is there. Asks no server.
    ///
    /// # Errors
    /// As [`get_data`](Self::get_data).
    pub fn get_children(&self, path: &str) -> Result<Option<BTreeSet<String>>, Error> {
        self.check(path)?;
        let children = self.cache.children(path);
        Ok(children.map(|children| children.into_iter().collect()))
    }

    /// The cache underneath, which has more to ask for.
    pub fn as_cache(&self) -> &Cache {
        &self.cache
    }

    fn check(&self, path: &str) -> Result<(), Error> {
        if ZnodePath::parse(path)?.starts_with(self.cache.root()) {
            return Ok(());
        }
        Err(Error::Recipe(RecipeError::OutOfBounds {
            what: "the path",
            bounds: "it must be the root of the cache, or below it",
        }))
    }
}
