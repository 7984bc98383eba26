//! [`DoubleBarrier`]: all begin together, and all end together.
//!
//! ```
//! # use zk_client::{Client, Error};
//! use zk_recipes::DoubleBarrier;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let handler = sim.machine("app").handler();
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(handler).await?;
//! # let other = DoubleBarrier::new(&client, "/jobs/7", 2);
//! # let other = client.run(async move { other.enter().await?.leave().await });
//! let barrier = DoubleBarrier::new(&client, "/jobs/7", 2).identifier("first");
//! let inside = barrier.enter().await?;    // waits for the second
//! // .. the work ..
//! inside.leave().await?;                  // waits until the second has done its part
//! # other.await?;
//! # Ok::<_, Error>(()) })??; Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # On the server
//!
//! | znode | kind | data |
//! |---|---|---|
//! | `PATH/U` | ephemeral | the identifier of a member |
//! | `PATH/ready` | persistent | none: all are there |
//!
//! # Entering
//!
//! A member makes its node. Whoever sees that there are enough makes `ready`, in a transaction that
//! also demands its own node. A member is let in by a `ready` that is younger than its own node, for
//! then it was among those that were there. An older one is left from a round that broke off: it
//! lets in nobody (kazoo: everybody), and is written anew when there are enough.
//!
//! # Leaving
//!
//! As in kazoo the lowest waits for the highest to go, the others go and wait for the lowest. But
//! `ready` is deleted by the last and not by the first, so that members whose connection is away
//! find it when it is back. If a member of a kazoo fleet deletes it before that, they see from the
//! number of changes that they have missed something: [`RecipeError::Missed`]. They are no members
//! any more then, and keep nobody from leaving. As a server that lags behind can show that others
//! came and went, and not yet that all are there, they look once more before, behind a quorum write.
//!
//! # Suspended and lost
//!
//! Who waits to be let in waits on, in a new session with a new node. A member that is inside has
//! left with its session, as far as others can tell: [`Inside::is_participating`] says so, and
//! [`leave`](Inside::leave) fails with [`Error::NotHeld`]. Dropping [`Inside`], or the call that waits
//! to be let in, deletes the member's node at once.
//!
//! # Requests
//!
//! Entering takes five, two more for the last, and three for whoever looks once more. Leaving takes
//! five at most, and two for each member that the lowest waits for. kazoo swallows errors of both,
//! and hangs when a connection is lost; here they are told, and it does not.

use std::fmt;
use std::sync::Arc;

use zk_client::{
    BackoffPolicy, Client, Error, EventType, Notice, RecipeError, SessionId, Stat, WatchStream,
    Zxid,
};

use crate::mine::{Mine, pause};
use crate::planted::{Plan, Planted};
use crate::together::both;
use crate::{Pending, layout};

mod leave;
mod look;

use look::Look;

/// A barrier at which a number of members begin and end together. See the [module](self).
#[derive(Clone, Debug)]
pub struct DoubleBarrier {
    client: Client,
    path: Arc<str>,
    members: usize,
    identifier: Option<Arc<str>>,
    plan: Plan,
}

/// A member that was let in, with all others. Dropping it leaves, without waiting for the others.
#[must_use = "dropping it leaves"]
pub struct Inside {
    barrier: DoubleBarrier,
    mine: Mine,
    opened: Opened,
}

/// A round of entering: a member's node in one session.
struct Entering {
    barrier: DoubleBarrier,
    mine: Mine,
    made: Zxid,
    ready: WatchStream,
}

/// What comes of a look.
enum Step {
    In(Opened),
    Wait(Look),
    /// The session has ended.
    Over,
}

/// Who has opened the barrier.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Opened {
    /// Somebody, or this member as soon as it came.
    InTime,
    /// This member, after it had waited: others may have begun to leave.
    Late,
}

impl DoubleBarrier {
    /// The barrier at `path` of so many members. Nothing is sent.
    pub fn new(client: &Client, path: &str, num_clients: usize) -> Self {
        Self {
            client: client.clone(),
            path: path.trim_end_matches('/').into(),
            members: num_clients,
            identifier: None,
            plan: Plan::default(),
        }
    }

    /// What others can read in this member's node. Default: [`Client::identity`].
    #[must_use]
    pub fn identifier(mut self, identifier: &str) -> Self {
        self.identifier = Some(identifier.into());
        self
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: Planted) -> Self {
        self.plan = Plan::of(planted);
        self
    }

    /// Enters, and waits for the others.
    ///
    /// # Errors
    /// [`RecipeError::Missed`] if others may have been let in while this client was away; those of
    /// [`Client::create`] that do not pass. This member is not inside then.
    pub fn enter(&self) -> Pending<Inside> {
        let this = self.clone();
        Pending::new(&self.client, async move {
            loop {
                this.client.until_connected().await?;
                let Some((session, _)) = this.client.client_id() else {
                    continue;
                };
                if let Some(inside) = this.enter_in(session).await? {
                    return Ok(inside);
                }
            }
        })
    }

    /// Enters in this session; `None` if it has ended.
    async fn enter_in(&self, session: SessionId) -> Result<Option<Inside>, Error> {
        let client = &self.client;
        client
            .retry(&patience(), client.ensure_path(&self.path))
            .await?;
        let (_, before) = self.look(false).await?;
        let path = format!("{}/{}", self.path, client.unique_id());
        let mut mine = Mine::unique(client, path, session);
        let identifier = self
            .identifier
            .as_deref()
            .unwrap_or_else(|| client.identity());
        mine.keep_alive();
        match mine.create(identifier).await {
            Ok(()) => {}
            // With the session, or the nodes above were deleted: once more.
            Err(Error::SessionExpired { .. } | Error::NoNode) => return Ok(None),
            Err(error) => return Err(error),
        }
        let ready = self.ready();
        let watch = client.add_watch(&ready);
        let (stat, ready) = both(
            client.retry(&patience(), client.exists(mine.path())),
            client.retry(&patience(), watch),
        )
        .await;
        let Some(stat) = stat?.filter(|stat| stat.ephemeral_owner == session) else {
            return Ok(None);
        };
        let entering = Entering {
            barrier: self.clone(),
            mine,
            made: stat.czxid,
            ready: ready?,
        };
        entering.wait(before).await
    }

    fn ready(&self) -> String {
        format!("{}/{}", self.path, layout::READY)
    }

    /// `ready`, and the members: as the connected server has them, or as they are.
    async fn look(&self, fresh: bool) -> Result<(Option<Stat>, Look), Error> {
        let client = &self.client;
        let path = self.ready();
        loop {
            let exists = client.exists(&path);
            let exists = if fresh { exists.linearizable() } else { exists };
            let (ready, children) = both(
                client.retry(&patience(), exists),
                client.retry(&patience(), client.get_children(&self.path).with_stat()),
            )
            .await;
            let (ready, (children, stat)) = (ready?, children?);
            let look = Look::new(&children, &stat);
            let missing = ready.is_none() && look.names.contains(layout::READY);
            if !missing || self.plan.has(Planted::SplitLook) {
                return Ok((ready, look));
            }
            // The two are of two moments: the connection may have been lost between them.
        }
    }
}

impl Entering {
    /// Waits until it is let in; `None` if its session ends before. Judges what it sees by what was
    /// there before its node.
    async fn wait(mut self, before: Look) -> Result<Option<Inside>, Error> {
        let mut last = before;
        let mut first = true;
        loop {
            match self.step(&last, first).await? {
                Step::In(opened) => return Ok(Some(self.inside(opened))),
                Step::Wait(look) => last = look,
                Step::Over => return Ok(None),
            }
            first = false;
            loop {
                match self.ready.next().await {
                    Some(Notice::Event(event)) => match event.kind {
                        // While this member's node was there.
                        EventType::NODE_CREATED | EventType::NODE_DATA_CHANGED => {
                            return Ok(Some(self.inside(Opened::InTime)));
                        }
                        _ => {}
                    },
                    Some(Notice::Gap { .. }) => break,
                    // Its end, with the session.
                    Some(_) | None => return Ok(None),
                }
            }
        }
    }

    fn inside(self, opened: Opened) -> Inside {
        Inside {
            barrier: self.barrier,
            mine: self.mine,
            opened,
        }
    }

    /// Looks, and opens the barrier if there are enough.
    async fn step(&self, last: &Look, first: bool) -> Result<Step, Error> {
        let barrier = &self.barrier;
        let mut opened = Opened::InTime;
        let mut fresh = false;
        loop {
            let (ready, look) = barrier.look(fresh).await?;
            if !look.names.contains(self.mine.name()) || !self.mine.is_of_session() {
                return Ok(Step::Over);
            }
            let made = if barrier.plan.has(Planted::OldReady) {
                Zxid(0)
            } else {
                self.made
            };
            let skipped = barrier.plan.has(Planted::SkipReady);
            if !skipped && ready.is_some_and(|ready| ready.mzxid > made) {
                return Ok(Step::In(opened));
            }
            if look.members().count() < barrier.members {
                if look.follows(last) {
                    return Ok(Step::Wait(look));
                }
                if fresh || barrier.plan.has(Planted::LateLook) {
                    let path = barrier.path.to_string();
                    return Err(Error::Recipe(RecipeError::Missed { path }));
                }
                // A server that lags behind may not show yet that it is open.
                fresh = true;
                continue;
            }
            if !first {
                opened = Opened::Late;
            }
            match self.open(ready.is_some()).await {
                Ok(()) => return Ok(Step::In(opened)),
                Err(Error::SessionExpired { .. }) => return Ok(Step::Over),
                // Somebody else was faster.
                Err(Error::NodeExists | Error::NoNode) => {}
                Err(error) => pause(&barrier.client, error).await?,
            }
        }
    }

    /// Makes `ready`, or writes it anew.
    async fn open(&self, exists: bool) -> Result<(), Error> {
        let client = &self.barrier.client;
        let path = self.barrier.ready();
        let transaction = client.transaction().check(self.mine.path(), -1);
        let transaction = if exists {
            transaction.set(&path, "")
        } else {
            transaction.create(&path, "")
        };
        match transaction.commit().in_session(self.mine.session()).await {
            Ok(_) => Ok(()),
            Err(Error::Transaction(error)) if error.index() == 0 => {
                Err(Error::SessionExpired { sent: false })
            }
            Err(Error::Transaction(error)) => Err(error.cause().clone()),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside")
            .field("znode", &self.mine.path())
            .finish_non_exhaustive()
    }
}

/// How reads are repeated while the way to the server is broken: for ever.
fn patience() -> BackoffPolicy {
    BackoffPolicy::new()
}
