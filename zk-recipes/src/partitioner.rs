//! [`SetPartitioner`]: a set of items, divided among all who take part.
//!
//! ```
//! # use std::time::Duration;
//! use zk_client::Client;
//! use zk_recipes::partitioner::{PartitionState, SetPartitioner};
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let machine = sim.machine("app");
//! # let (hosts, handler) = (server.hosts(), machine.handler());
//! # sim.block_on(async {
//! let client = Client::builder(hosts).connect(handler).await?;
//! let partition = SetPartitioner::new(&client, "/shards", ["a", "b", "c"])
//!     .identifier("worker 1")
//!     .time_boundary(Duration::from_secs(5))
//!     .start()
//!     .await?;
//! partition.wait_for_acquire().await?;
//! assert_eq!(partition.items(), ["a", "b", "c"]);
//!
//! let mut states = partition.changes();
//! while let Some(state) = states.next().await {
//!     match state? {
//!         // Work on `partition.items()`, in the background.
//!         PartitionState::Acquired => {}
//!         // Stop working on them, then let others have them.
//!         PartitionState::Release => partition.release_set().await?,
//!         PartitionState::Allocating => {}
//!         // Begin again with a new one.
//!         _ => break,
//!     }
//! #   partition.finish().await?;
//! }
//! # Ok::<(), zk_client::Error>(()) }).unwrap().unwrap();
//! ```
//!
//! # On the server
//!
//! `PATH/party/U-IDENTIFIER` for each member, a [`ShallowParty`], and `PATH/locks/ITEM` for each item,
//! a [`Lock`]. All members must be given the same items, and divide them in the same way.
//!
//! # States
//!
//! | from | to | when |
//! |---|---|---|
//! | `Allocating` | `Acquired` | no member came or went for the time boundary, and all locks are held |
//! | `Acquired` | `Release` | a member has come or gone, the connection was lost, or a lock |
//! | `Release`, `Acquired` | `Allocating` | [`release_set`](Partition::release_set) |
//! | any | `Failure` | the session was lost, [`finish`](Partition::finish), an error; final |
//!
//! Nobody is given an item before the one who had it has let it go, or its session has ended: what
//! divides the items is only a proposal, the locks decide. [`items`](Partition::items) are those whose
//! locks are held for certain at that moment; see [`Guard`](crate::Guard) for what that is worth.
//!
//! *Suspended*: `Release`. *Lost*: `Failure`; the items are nobody's, and others will have them.
//!
//! # Cost
//!
//! One watch on the members, and a lock for each own item, sixteen at a time; and a `sync` every quarter
//! of the session timeout, as for everything that is held.
//!
//! # Where kazoo differs
//!
//! | kazoo | here |
//! |---|---|
//! | a lock that could not be had in time is taken for one that is held | there is no such limit: only held locks are |
//! | members with one identifier get the same items | they are told apart by their nodes |
//! | a listener is left behind by `finish` | nothing is |
//! | a lost connection while nothing is held yet leads to `Release` | it begins again by itself |
//! | looks for changes every `max_reaction_time` | is woken by them |

mod engine;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::{AsyncResult, Client, Error, Zxid};

use crate::cell::{Cell, Seen};
use crate::planted::Plan;
use crate::{Changes, LockGuard, Pending, ShallowParty};

use engine::Engine;

#[cfg(doc)]
use crate::Lock;

/// How long no member may come or go, unless told otherwise.
const TIME_BOUNDARY: Duration = Duration::from_secs(30);

/// Divides a set of items among all who take part. See the [module](self).
#[must_use = "it takes no part until start()"]
pub struct SetPartitioner {
    client: Client,
    path: String,
    items: Vec<String>,
    identifier: String,
    time_boundary: Duration,
    divide: Divide,
    plan: Plan,
}

type Divide = Arc<dyn Fn(Share<'_>) -> Vec<String> + Send + Sync>;

/// Who divides what, for [`SetPartitioner::partition_by`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Share<'a> {
    /// The identifiers of all members, sorted.
    pub members: &'a [String],
    /// The place of this member among them.
    pub index: usize,
    /// All items, sorted.
    pub items: &'a [String],
}

/// How far the division is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PartitionState {
    /// The own items are being found out and locked.
    Allocating,
    /// They are held.
    Acquired,
    /// They are to be let go, by [`release_set`](Partition::release_set).
    Release,
    /// It is over. Begin again with a new one.
    Failure,
}

impl SetPartitioner {
    /// A partitioner of these items at `path`. Its identifier is the host's name and the process id,
    /// the time boundary 30 s; the sorted items are dealt out one by one to the sorted members.
    pub fn new<I: Into<String>>(
        client: &Client,
        path: &str,
        items: impl IntoIterator<Item = I>,
    ) -> Self {
        let mut items: Vec<String> = items.into_iter().map(I::into).collect();
        items.sort();
        items.dedup();
        Self {
            client: client.clone(),
            path: path.trim_end_matches('/').to_owned(),
            items,
            identifier: client.identity().to_owned(),
            time_boundary: TIME_BOUNDARY,
            divide: Arc::new(deal),
            plan: Plan::default(),
        }
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: crate::Planted) -> Self {
        self.plan = Plan::of(planted);
        self
    }

    /// Its name among the members. Programs of kazoo need another one each.
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = identifier.into();
        self
    }

    /// How long no member may come or go before items are locked. Default 30 s.
    pub fn time_boundary(mut self, time: Duration) -> Self {
        self.time_boundary = time;
        self
    }

    /// Divides by `f` (kazoo: `partition_func`): which items are this member's? Every member must come
    /// to the same division.
    pub fn partition_by(
        mut self,
        f: impl Fn(Share<'_>) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.divide = Arc::new(f);
        self
    }

    /// Takes part, and resolves when it is a member; items come later. Dropping this before it is done
    /// takes it back.
    ///
    /// # Errors
    /// Those of [`ShallowParty::join`].
    pub fn start(self) -> Pending<Partition> {
        let client = self.client.clone();
        Pending::new(&client, async move {
            let Self { client, path, .. } = &self;
            let paths = [format!("{path}/locks"), format!("{path}/party")];
            for path in &paths {
                client.retry_default(client.ensure_path(path)).await?;
            }
            let party = ShallowParty::new(client, &paths[1]).identifier(&*self.identifier);
            // Before joining: what is lost from then on is heard of.
            let states = client.state_changes();
            party.join().await?;
            let shared = Arc::new(Shared::default());
            let client = self.client.clone();
            let engine = Engine::new(self, party, states, Arc::clone(&shared));
            let task = client.run(engine.run());
            Ok(Partition {
                client,
                shared,
                task: Some(task),
            })
        })
    }
}

/// What kazoo does: the sorted items, dealt out one by one to the sorted members.
fn deal(share: Share<'_>) -> Vec<String> {
    let own = share.items.iter().skip(share.index);
    own.step_by(share.members.len().max(1)).cloned().collect()
}

/// A share of a [`SetPartitioner`]'s items. Dropping it lets them go, and takes no part any more.
#[must_use = "dropping it lets all items go"]
pub struct Partition {
    client: Client,
    shared: Arc<Shared>,
    task: Option<AsyncResult<()>>,
}

/// What a partition and its background task share.
struct Shared {
    state: Cell<PartitionState>,
    order: Cell<Order>,
    held: Mutex<Vec<(String, LockGuard)>>,
    error: Mutex<Option<Error>>,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    /// How often the items were to be let go.
    releases: u64,
    finish: bool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            state: Cell::new(PartitionState::Allocating),
            order: Cell::new(Order::default()),
            held: Mutex::default(),
            error: Mutex::default(),
        }
    }
}

impl Partition {
    /// How far it is.
    pub fn state(&self) -> PartitionState {
        self.shared.state.get()
    }

    /// How far it is, now and at every change, as a stream (kazoo: `state_change_event`). Who reads
    /// late sees the newest only. [`PartitionState::Failure`] is the last item.
    pub fn changes(&self) -> Changes<PartitionState> {
        let shared = Arc::clone(&self.shared);
        Changes::new(&self.client, |_, outlet| async move {
            let mut seen = Seen::default();
            loop {
                let state = shared.state.next(&mut seen).await;
                outlet.put(state).await;
                if state == PartitionState::Failure {
                    return Ok(());
                }
            }
        })
    }

    /// The own items whose locks are held at this moment, sorted. There are some while the state is
    /// [`Acquired`](PartitionState::Acquired), and until they are let go.
    pub fn items(&self) -> Vec<String> {
        let held = lock(&self.shared.held);
        let held = held.iter().filter(|(_, guard)| guard.is_held());
        let mut items: Vec<String> = held.map(|(item, _)| item.clone()).collect();
        items.sort();
        items
    }

    /// Is this item's lock held at this moment?
    pub fn holds(&self, item: &str) -> bool {
        let held = lock(&self.shared.held);
        held.iter()
            .any(|(own, guard)| own == item && guard.is_held())
    }

    /// The fencing token of an item whose lock is held at this moment; see
    /// [`LockGuard::token`].
    pub fn token(&self, item: &str) -> Option<Zxid> {
        let held = lock(&self.shared.held);
        let mut held = held.iter().filter(|(_, guard)| guard.is_held());
        held.find(|(own, _)| own == item)
            .map(|(_, guard)| guard.token())
    }

    /// Resolves when the own items are held. There may be none, if there are more members than items.
    ///
    /// # Errors
    /// What has ended it; [`Error::Cancelled`] after [`finish`](Self::finish).
    pub fn wait_for_acquire(&self) -> Pending<()> {
        let shared = Arc::clone(&self.shared);
        Pending::new(&self.client, async move {
            let mut seen = Seen::default();
            loop {
                match shared.state.next(&mut seen).await {
                    PartitionState::Acquired => return Ok(()),
                    PartitionState::Failure => {
                        let error = lock(&shared.error).clone();
                        return Err(error.unwrap_or(Error::Cancelled));
                    }
                    PartitionState::Allocating | PartitionState::Release => {}
                }
            }
        })
    }

    /// Lets all items go, and begins to allocate again; resolves when they are let go. In
    /// [`Failure`](PartitionState::Failure) it does nothing.
    ///
    /// # Errors
    /// [`Error::Closed`] if it has ended meanwhile by the end of the client.
    pub fn release_set(&self) -> Pending<()> {
        let shared = Arc::clone(&self.shared);
        Pending::new(&self.client, async move {
            let mut seen = Seen::default();
            // What there is now does not count.
            let before = shared.state.next(&mut seen).await;
            match before {
                PartitionState::Failure | PartitionState::Allocating => return Ok(()),
                PartitionState::Acquired | PartitionState::Release => {}
            }
            shared.order.update(|order| {
                order.releases += 1;
                true
            });
            loop {
                match shared.state.next(&mut seen).await {
                    PartitionState::Allocating | PartitionState::Failure => return Ok(()),
                    PartitionState::Acquired | PartitionState::Release => {}
                }
            }
        })
    }

    /// Lets all items go, and takes no part any more; resolves when that is done. What is left is
    /// [`PartitionState::Failure`].
    ///
    /// # Errors
    /// What has ended it before, or keeps it from leaving.
    pub fn finish(&self) -> Pending<()> {
        let shared = Arc::clone(&self.shared);
        Pending::new(&self.client, async move {
            shared
                .order
                .update(|order| !std::mem::replace(&mut order.finish, true));
            let mut seen = Seen::default();
            while shared.state.next(&mut seen).await != PartitionState::Failure {}
            let error = lock(&shared.error).clone();
            error.map_or(Ok(()), Err)
        })
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        // Streams may still have their part of it: nothing may be held for them.
        drop(self.task.take());
        let held = std::mem::take(&mut *lock(&self.shared.held));
        drop(held);
        self.shared.state.set(PartitionState::Failure);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for SetPartitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPartitioner")
            .field("path", &self.path)
            .field("identifier", &self.identifier)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("state", &self.state())
            .field("items", &self.items())
            .finish_non_exhaustive()
    }
}
