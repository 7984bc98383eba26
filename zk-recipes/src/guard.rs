//! [`Guard`]: something held, for as long as the servers are known to keep it.
//!
//! What is held is an ephemeral node, and so hangs on a session whose end a client cannot see, only
//! conclude. A guard therefore answers two questions: *may I act now?* ([`Guard::is_held`]), and
//! *when must I stop?* ([`Guard::lost`]). Both are answered by the deadline, the moment up to
//! which no server can have dropped the session, kept ahead by a `sync` every quarter of the session
//! timeout while a guard is held.
//!
//! | what happens | `is_held` | what to do |
//! |---|---|---|
//! | `Suspended { until }` | until then | go on, if what you do ends before [`Client::deadline`](zk_client::Client::deadline) |
//! | the deadline passes, connected or not | no more | stop; drop the guard, and acquire again |
//! | `Lost` | no more | the same |
//! | somebody deletes the node | no more, once this client hears of it | the same |
//!
//! A loss that was told is final: the guard does not come back, though the session may.
//!
//! # Where the deadline is not enough
//!
//! Between the question and the deed time passes: a process is paused, a packet is delayed. And a
//! clock may drift by more than [`Builder::clock_margin`](zk_client::Builder) allows for. What must not be
//! done by two at once is done
//!
//! * in ZooKeeper itself by a [`transaction`](Guard::transaction), which is carried out only while
//!   the node is there, whatever any clock says;
//! * in another store together with [`token`](LockGuard::token), a number that grows from holder to
//!   holder: the store remembers the greatest that it has seen, and refuses what comes with a
//!   smaller one.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use zk_client::{AsyncResult, Error, SessionId, StateStream, SyncKeepAlive, Transaction, Zxid};

use crate::Pending;
use crate::node::{Node, Shared};
use crate::planted::Planted;
use crate::signal::Listening;

/// Why a guard does not hold any more.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// The deadline has passed without a proof that the session lives: servers may have dropped it.
    Unproven,
    /// The session has ended.
    SessionEnded,
    /// Somebody else has deleted the node.
    Deleted,
    /// It was released, or dropped.
    Released,
}

/// Something held: a place among readers, a lease of a semaphore.
///
/// Dropping it gives it back: the deletion of its node is in the session's queue at once, past all
/// bounds, and is repeated until the node is known to be gone. [`release`](Self::release) tells when.
#[must_use = "dropping the guard gives back what it holds"]
pub struct Guard {
    node: Option<Node>,
    shared: Arc<Shared>,
    /// Keeps the deadline ahead.
    _keep_alive: SyncKeepAlive,
}

impl Guard {
    /// Holds what a node stands for, if that is proven; else hands the node back.
    pub(crate) fn new(node: Node) -> Result<Self, (Node, Loss)> {
        let keep_alive = node.shared().client().keep_alive_by_sync();
        if let Some(loss) = node.shared().unproven() {
            return Err((node, loss));
        }
        Ok(Self {
            shared: Arc::clone(node.shared()),
            node: Some(node),
            _keep_alive: keep_alive,
        })
    }

    /// Is it held for certain, at this moment? From the first `false` on it never is again.
    pub fn is_held(&self) -> bool {
        self.loss().is_none()
    }

    /// Why it is not held any more; `None` while it is.
    pub fn loss(&self) -> Option<Loss> {
        loss(&self.shared)
    }

    /// Resolves when it is not held any more, and says why. It does not keep the guard alive; after
    /// a release it resolves, too.
    pub fn lost(&self) -> Pending<Loss> {
        let client = self.shared.client();
        let until = Until {
            states: client.state_changes(),
            listening: Listening::to(self.shared.signal()),
            timer: None,
            shared: Arc::clone(&self.shared),
        };
        Pending::new(client, until.loss())
    }

    /// The path of the node that stands for it, as the client sees it.
    pub fn znode(&self) -> &str {
        self.shared.path()
    }

    /// The session that it hangs on.
    pub fn session(&self) -> SessionId {
        self.shared.session()
    }

    /// Writes that are carried out only while the node is there, all or none: it is checked in the
    /// same transaction, by its full path, whatever view the writes come from.
    /// [`Error::NotHeld`] if it is gone.
    ///
    /// Nobody's clock matters here: as long as the node is there, nobody else holds what it stands
    /// for.
    pub fn transaction(&self) -> Transaction<'_> {
        let client = self.shared.client();
        client.transaction().while_held(self.shared.path())
    }

    /// Gives it back, and resolves when the node is known to be gone.
    ///
    /// # Errors
    /// [`Error::NotHeld`] if it was not held up to now: the session has ended, or somebody else has
    /// deleted the node.
    pub fn release(self) -> Pending<()> {
        let client = self.shared.client().clone();
        Pending::new(&client, async move { self.give_back().await })
    }

    async fn give_back(mut self) -> Result<(), Error> {
        self.end();
        match self.node.take() {
            Some(node) => node.delete().await,
            None => Err(Error::NotHeld),
        }
    }

    fn end(&self) {
        self.shared.tell(Some(Loss::Released));
        self.shared.signal().raise();
    }

    pub(crate) fn czxid(&self) -> Zxid {
        self.shared.czxid()
    }

    /// To ask whether it is held, without keeping it.
    pub(crate) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("znode", &self.znode())
            .finish_non_exhaustive()
    }
}

/// Something that only one can hold: a lock, leadership.
///
/// All of [`Guard`], and a [`token`](Self::token).
#[must_use = "dropping the guard gives back what it holds"]
#[derive(Debug)]
pub struct LockGuard(Guard);

impl LockGuard {
    pub(crate) fn new(guard: Guard) -> Self {
        Self(guard)
    }

    /// A number that grows from holder to holder, for stores that refuse writes with a smaller one
    /// than they have seen (a *fencing token*): the transaction that made the node.
    pub fn token(&self) -> Zxid {
        if self.0.shared.has(Planted::SessionToken) {
            return Zxid(self.0.session().0);
        }
        self.0.czxid()
    }

    /// See [`Guard::release`].
    pub fn release(self) -> Pending<()> {
        self.0.release()
    }
}

impl Deref for LockGuard {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.0
    }
}

/// A look at a guard that others may have given back.
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn is_held(&self) -> bool {
        loss(&self.0).is_none()
    }

    pub(crate) fn token(&self) -> Zxid {
        self.0.czxid()
    }
}

fn loss(shared: &Shared) -> Option<Loss> {
    shared.tell(None).or_else(|| {
        let now = shared.unproven();
        shared.tell(now)
    })
}

/// Waits for the loss of what a node stands for.
struct Until {
    shared: Arc<Shared>,
    states: StateStream,
    listening: Listening,
    /// The deadline that is waited for.
    timer: Option<(Instant, AsyncResult<()>)>,
}

impl Until {
    async fn loss(mut self) -> Result<Loss, Error> {
        poll_fn(|cx| self.poll_loss(cx)).await
    }

    fn poll_loss(&mut self, cx: &mut Context<'_>) -> Poll<Result<Loss, Error>> {
        loop {
            self.listening.register(cx.waker());
            while let Poll::Ready(Some(_)) = self.states.poll_next(cx) {}
            if let Some(loss) = loss(&self.shared) {
                return Poll::Ready(Ok(loss));
            }
            if self.poll_deadline(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Is it time to look again? The deadline moves on while proofs come in.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.ignores_deadline() {
            return Poll::Pending;
        }
        let client = self.shared.client();
        let Some(deadline) = client.deadline() else {
            return Poll::Ready(());
        };
        let timer = self.timer.take_if(|(at, _)| *at == deadline);
        let (_, timer) = self.timer.insert(timer.unwrap_or_else(|| {
            let left = deadline.saturating_duration_since(client.now());
            (deadline, client.sleep(left))
        }));
        Pin::new(timer).poll(cx).map(|_| self.timer = None)
    }
}
