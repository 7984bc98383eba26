//! [`Run`]: the background task that keeps a node, from a start to its end.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_client::{
    AsyncResult, Client, Error, EventType, Payload, SessionId, Stat, Watch, WeakClient,
};

use super::Presence;
use crate::again::{after, alive};
use crate::cell::{Cell, Seen};
use crate::either;
use crate::mine::PAUSES;
use crate::planted::{Plan, Planted};

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    stop: bool,
    data: Payload,
    /// Grows with every [`Run::write`].
    edition: u64,
}

/// For how long it is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// Not beyond the end of the session.
    pub(crate) within_session: bool,
    pub(crate) plan: Plan,
}

/// What has become of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Making,
    /// It was there at least once.
    Made,
    /// It is kept no longer: was there one to delete?
    Over(Result<bool, Error>),
}

/// One task. Dropping it deletes the node.
pub(crate) struct Run {
    client: Client,
    path: String,
    order: Arc<Cell<Order>>,
    written: Arc<Cell<u64>>,
    outcome: Arc<Cell<Outcome>>,
    presence: Arc<Cell<Presence>>,
    /// Somebody waits for what becomes of the node.
    is_ending: bool,
}

struct Keeper {
    weak: WeakClient,
    path: String,
    terms: Terms,
    order: Arc<Cell<Order>>,
    written: Arc<Cell<u64>>,
    outcome: Arc<Cell<Outcome>>,
    presence: Arc<Cell<Presence>>,
    /// The session of the first node.
    session: Option<SessionId>,
    doubt: Option<Doubt>,
}

/// A create whose reply was lost, or may be.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    session: Option<SessionId>,
    /// Connections lost before.
    losses: u64,
    /// A later create was answered. Until then this one may still be read by a server.
    until: Option<Instant>,
}

/// Ends the task, which deletes the node.
pub(crate) fn stop(order: &Cell<Order>) {
    order.update(|order| !std::mem::replace(&mut order.stop, true));
}

impl Run {
    pub(crate) fn start(
        client: &Client,
        path: String,
        data: Payload,
        presence: Arc<Cell<Presence>>,
        terms: Terms,
        previous: Option<Arc<Cell<Outcome>>>,
    ) -> Self {
        let order = Order {
            stop: false,
            data,
            edition: 0,
        };
        let run = Self {
            client: client.clone(),
            path,
            order: Arc::new(Cell::new(order)),
            written: Arc::new(Cell::new(0)),
            outcome: Arc::new(Cell::new(Outcome::Making)),
            presence,
            is_ending: false,
        };
        let keeper = Keeper {
            weak: client.downgrade(),
            path: run.path.clone(),
            terms,
            order: run.order(),
            written: Arc::clone(&run.written),
            outcome: run.outcome(),
            presence: Arc::clone(&run.presence),
            session: None,
            doubt: None,
        };
        client.spawn(keeper.run(previous));
        run
    }

    pub(crate) fn order(&self) -> Arc<Cell<Order>> {
        Arc::clone(&self.order)
    }

    pub(crate) fn outcome(&self) -> Arc<Cell<Outcome>> {
        Arc::clone(&self.outcome)
    }

    /// Has it ended, or been told to?
    pub(crate) fn is_over(&self) -> bool {
        self.order.get().stop || matches!(self.outcome.get(), Outcome::Over(_))
    }

    /// Writes other data. Resolves when it is written.
    pub(crate) fn write(&self, data: Payload) -> impl Future<Output = Result<(), Error>> + use<> {
        let mut edition = 0;
        self.order.update(|order| {
            order.data = data;
            order.edition += 1;
            edition = order.edition;
            true
        });
        let (written, outcome) = (Arc::clone(&self.written), self.outcome());
        async move {
            let (mut seen, mut told) = (Seen::default(), Seen::default());
            loop {
                let mut over = Box::pin(outcome.next(&mut told));
                match either(written.next(&mut seen), &mut over).await {
                    Ok(done) if done >= edition => return Ok(()),
                    Ok(_) | Err(Outcome::Making | Outcome::Made) => {}
                    Err(Outcome::Over(Ok(_))) => return Err(Error::NotHeld),
                    Err(Outcome::Over(Err(error))) => return Err(error),
                }
            }
        }
    }

    /// Ends it, and waits until the node is gone.
    pub(crate) async fn end(mut self) -> Result<bool, Error> {
        let outcome = self.outcome();
        // Deletes at once what is there. What the task sees only now it deletes, and tells.
        let deleted = self.delete();
        self.is_ending = true;
        drop(self);
        let mut seen = Seen::default();
        loop {
            if let Outcome::Over(result) = outcome.next(&mut seen).await {
                return match deleted {
                    Some(deleted) => Ok(deleted.await.is_ok() || result?),
                    None => result,
                };
            }
        }
    }

    /// Puts the deletion of a node that is there into the queue, past all bounds.
    fn delete(&self) -> Option<AsyncResult<()>> {
        stop(&self.order);
        let live = self.client.client_id().map(|(id, _)| id);
        match self.presence.get() {
            Presence::Present { session, .. } if Some(session) == live => {
                self.presence.set(Presence::Absent);
                // Another session's node may be in its place by the time that this is sent.
                let delete = self.client.delete(&self.path).in_session(session);
                Some(delete.urgent().send())
            }
            Presence::Present { .. } | Presence::Absent => None,
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.is_ending {
            return;
        }
        if let Some(deleted) = self.delete() {
            deleted.detach();
        }
    }
}

/// What was found in the node's place.
enum Found {
    Own(Stat, Watch),
    Foreign(Watch),
    Nothing,
}

/// What is to be done about a node that was found.
enum Kept {
    /// It is as wanted.
    Well,
    /// It is to be looked at again.
    InDoubt,
    /// It is not to be kept any more.
    Over,
}

impl Keeper {
    async fn run(mut self, previous: Option<Arc<Cell<Outcome>>>) {
        if let Some(previous) = previous {
            // It may be about to delete the node.
            let mut seen = Seen::default();
            while !matches!(previous.next(&mut seen).await, Outcome::Over(_)) {}
        }
        let result = self.keep().await;
        self.presence.set(Presence::Absent);
        match &result {
            Ok(_) | Err(Error::Closed { .. }) => {}
            Err(error) => {
                tracing::warn!(path = self.path, %error, "a node is not kept any more");
            }
        }
        self.outcome.set(Outcome::Over(result));
    }

    async fn keep(&mut self) -> Result<bool, Error> {
        let mut seen = Seen::default();
        let mut make = true;
        loop {
            let order = self.order.next(&mut seen).await;
            if order.stop {
                return self.remove().await;
            }
            if make {
                if self.has_outlived_its_session()? {
                    return Ok(false);
                }
                self.make(&order).await?;
                if self.order.get().stop {
                    return self.remove().await;
                }
            }
            let mut watch = match self.look().await? {
                Found::Nothing => {
                    make = true;
                    seen = Seen::default();
                    continue;
                }
                Found::Foreign(watch) => {
                    self.presence.set(Presence::Absent);
                    watch
                }
                Found::Own(stat, watch) => match self.found(&order, stat).await? {
                    Kept::Well => watch,
                    Kept::InDoubt => {
                        make = false;
                        seen = Seen::default();
                        continue;
                    }
                    Kept::Over => return self.remove().await,
                },
            };
            make = match either(self.order.next(&mut seen), &mut watch).await {
                Ok(_) => false,
                Err(Ok(event)) => event.kind == EventType::NODE_DELETED,
                // The session is gone, and the node with it.
                Err(Err(_)) if self.terms.within_session && self.session.is_some() => {
                    return Ok(false);
                }
                Err(Err(_)) => true,
            };
            if make {
                self.presence.set(Presence::Absent);
            }
            seen = Seen::default();
        }
    }

    /// The node is there.
    async fn found(&mut self, order: &Order, stat: Stat) -> Result<Kept, Error> {
        let session = stat.ephemeral_owner;
        if self.terms.within_session && *self.session.get_or_insert(session) != session {
            return Ok(Kept::Over);
        }
        if self.written.get() < order.edition {
            let client = alive(&self.weak)?;
            let set = client.set(&self.path, &*order.data).version(stat.version);
            // Another session's node, in its place by the time that this is sent, may have the same
            // version.
            let set = if self.terms.plan.has(Planted::ForeignNode) {
                set
            } else {
                set.in_session(session)
            };
            let set = set.launched().await;
            drop(client);
            match set.await {
                Ok(_) => self.written.set(order.edition),
                // Somebody was quicker, or the node is gone: the watch will say so.
                Err(Error::BadVersion | Error::NoNode) => {}
                Err(error) => {
                    after(&self.weak, error).await?;
                    if !self.terms.plan.has(Planted::SetOnce) {
                        return Ok(Kept::InDoubt);
                    }
                }
            }
        }
        self.presence.set(Presence::Present {
            session,
            czxid: stat.czxid,
        });
        self.outcome.set(Outcome::Made);
        Ok(Kept::Well)
    }

    /// Is the only session over in which it is wanted?
    fn has_outlived_its_session(&self) -> Result<bool, Error> {
        let live = alive(&self.weak)?.client_id().map(|(id, _)| id);
        Ok(self.terms.within_session && self.session.is_some() && self.session != live)
    }

    /// Tries to make the node, once. Whether it worked is seen by looking.
    async fn make(&mut self, order: &Order) -> Result<(), Error> {
        let (created, before) = {
            let client = alive(&self.weak)?;
            let before = self.doubt.filter(|doubt| doubt.is_open(&client));
            self.doubt = before.or_else(|| Some(Doubt::before(&client)));
            let data = order.data.as_option();
            let create = client.create(&self.path, data).ephemeral().make_path();
            (create.launched().await, before)
        };
        match created.await {
            Ok(_) => {
                self.settle(before)?;
                self.written.set(order.edition);
                Ok(())
            }
            Err(Error::NodeExists | Error::NoNode) => self.settle(before),
            Err(error) => after(&self.weak, error).await,
        }
    }

    /// A create was answered: what servers have of one before was done before that.
    fn settle(&mut self, before: Option<Doubt>) -> Result<(), Error> {
        let until = alive(&self.weak)?.now() + PAUSES.iter().sum::<Duration>();
        self.doubt = before.map(|doubt| Doubt {
            until: doubt.until.or(Some(until)),
            ..doubt
        });
        Ok(())
    }

    async fn look(&self) -> Result<Found, Error> {
        loop {
            let asked = alive(&self.weak)?
                .exists(&self.path)
                .watched()
                .launched()
                .await;
            let (stat, watch) = match asked.await {
                Ok(found) => found,
                Err(error) => {
                    after(&self.weak, error).await?;
                    continue;
                }
            };
            let live = alive(&self.weak)?.client_id().map(|(id, _)| id);
            return Ok(match stat {
                None => Found::Nothing,
                Some(stat)
                    if Some(stat.ephemeral_owner) == live
                        || self.terms.plan.has(Planted::ForeignNode) =>
                {
                    Found::Own(stat, watch)
                }
                Some(_) => Found::Foreign(watch),
            });
        }
    }

    /// Deletes the node if it is this session's. Was there one?
    ///
    /// After a create whose reply was lost it looks as what cleans up behind protected creates does,
    /// and for the reasons given there (`op/protected.rs` of `zk-client`).
    async fn remove(&self) -> Result<bool, Error> {
        let mut deleted = false;
        let mut pauses = PAUSES.iter();
        loop {
            let (stat, live, doubt) = {
                let Ok(client) = alive(&self.weak) else {
                    return Ok(deleted);
                };
                let asked = client.exists(&self.path);
                let doubt = self.is_in_doubt(&client);
                let asked = if doubt {
                    asked.linearizable().launched().await
                } else {
                    asked.launched().await
                };
                drop(client);
                match asked.await {
                    Ok(stat) => {
                        let live = alive(&self.weak)?.client_id().map(|(id, _)| id);
                        (stat, live, doubt)
                    }
                    Err(error) => {
                        after(&self.weak, error).await?;
                        continue;
                    }
                }
            };
            let owner = stat.map(|stat| stat.ephemeral_owner);
            let Some(owner) = owner.filter(|owner| Some(*owner) == live) else {
                let pause = pauses.next().filter(|_| doubt);
                let slept = match pause {
                    Some(pause) => alive(&self.weak)?.sleep(*pause).await,
                    None => return Ok(deleted),
                };
                if slept.is_err() {
                    return Ok(deleted);
                }
                continue;
            };
            let client = alive(&self.weak)?;
            let delete = client.delete(&self.path).in_session(owner);
            let gone = delete.urgent().send();
            drop(client);
            match gone.await {
                Ok(()) => deleted = true,
                Err(Error::NoNode) => {}
                Err(error) => after(&self.weak, error).await?,
            }
        }
    }

    fn is_in_doubt(&self, client: &Client) -> bool {
        let doubt = self.doubt.is_some_and(|doubt| doubt.is_open(client));
        doubt && !self.terms.plan.has(Planted::LeaveDoubt)
    }
}

impl Doubt {
    /// What a create that is sent now may leave.
    fn before(client: &Client) -> Self {
        Self {
            session: client.client_id().map(|(id, _)| id),
            losses: client.stats().session.losses,
            until: None,
        }
    }

    /// May it still be done, as one of this session on a connection before this one?
    fn is_open(&self, client: &Client) -> bool {
        let live = client.client_id().map(|(id, _)| id);
        let lost = client.stats().session.losses != self.losses;
        let over = self.until.is_some_and(|until| client.now() >= until);
        (self.session.is_none() || self.session == live) && lost && !over
    }
}
