//! [`Node`]: an ephemeral node that stands for something, from its creation to its end.
//!
//! It is made by a create that is looked up if its reply is lost, watched from then on, and deleted
//! when this value is dropped: at once, past all bounds, and again until it is known to be gone. It
//! counts as ours only while its owner is the session that the client has now.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use zk_client::{BackoffPolicy, Client, Error, EventType, SessionId, Stat, Watch, Zxid};

use crate::guard::Loss;
use crate::planted::{Plan, Planted};
use crate::signal::Signal;

/// The pause before a write is sent again that no server takes at the moment.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// How recipes repeat what may pass: soon, and without end. While the connection is away nothing is
/// repeated, as requests wait for it.
pub(crate) fn steady() -> BackoffPolicy {
    BackoffPolicy::new()
        .delay(Duration::from_millis(20))
        .max_delay(Duration::from_secs(1))
}

/// An ephemeral node of ours. Dropping it deletes it.
pub(crate) struct Node(Arc<Shared>);

/// What a node and those who look at it share.
pub(crate) struct Shared {
    client: Client,
    path: String,
    /// Its owner.
    session: SessionId,
    /// The session of the client when it was made: the same, if servers tell the truth.
    made_in: Option<SessionId>,
    czxid: Zxid,
    /// Known to be gone: there is nothing to delete.
    gone: AtomicBool,
    eye: Mutex<Eye>,
    /// Raised when the eye sees something.
    signal: Arc<Signal>,
    /// What its holder was told, which is final.
    told: Mutex<Option<Loss>>,
    plan: Plan,
}

/// What watches the node.
enum Eye {
    Opening(Opening),
    /// Somebody polls what opens it; the flag says that others have looked meanwhile.
    Taken(bool),
    Open(Watch),
    /// The node is gone, or it cannot be told.
    Blind,
}

type Opening = Pin<Box<dyn Future<Output = Result<(Option<Stat>, Watch), Error>> + Send>>;

/// Whether the server numbers the node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Name {
    Numbered,
    AsGiven,
}

impl Node {
    /// Makes the node, and its parent if need be. `name` makes a name of an id that nobody else has.
    ///
    /// Every create has an id of its own: what one leaves behind whose reply was lost is deleted in
    /// the background by its name, whoever else has that meanwhile.
    ///
    /// Ends with [`Error::SessionExpired`] if the session does so meanwhile; the next attempt takes
    /// another name. Dropping the future deletes what it may have made.
    pub(crate) async fn create(
        client: &Client,
        parent: &str,
        (name, kind): (impl Fn(&str) -> String, Name),
        data: &[u8],
        plan: Plan,
    ) -> Result<Self, Error> {
        loop {
            let name = name(&client.unique_id());
            let path = format!("{}/{name}", parent.trim_end_matches('/'));
            let create = client.create(&path, data).ephemeral();
            let create = match kind {
                Name::Numbered => create.sequential(),
                Name::AsGiven => create,
            };
            let create = create.with_stat();
            let made = if plan.has(Planted::ResendCreate) {
                match create.await {
                    Err(Error::ConnectionLoss { .. }) => continue,
                    made => made,
                }
            } else {
                client.retry(&steady(), create.unique()).await
            };
            match made {
                Ok((path, stat)) => return Ok(Self::of(client, path, &stat, plan)),
                Err(Error::NoNode) => {
                    let ensure = client.ensure_path(parent);
                    client.retry(&steady(), ensure).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn of(client: &Client, path: String, stat: &Stat, plan: Plan) -> Self {
        let shared = Shared {
            eye: Mutex::new(Eye::Opening(opening(client.clone(), path.clone()))),
            client: client.clone(),
            path,
            session: stat.ephemeral_owner,
            made_in: client.client_id().map(|(id, _)| id),
            czxid: stat.czxid,
            gone: AtomicBool::new(false),
            signal: Arc::default(),
            told: Mutex::default(),
            plan,
        };
        let node = Self(Arc::new(shared));
        // Sends the watch, in one flight with what is asked next.
        node.0.look();
        node
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Deletes it, and returns when it is known to be gone.
    ///
    /// # Errors
    /// [`Error::NotHeld`] if it was gone before, by somebody's deletion or with its session; what
    /// forbids the deletion, such as [`Error::NoAuth`].
    pub(crate) async fn delete(self) -> Result<(), Error> {
        self.0.delete().await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.0.delete_in_background();
    }
}

/// Sets the watch.
fn opening(client: Client, path: String) -> Opening {
    Box::pin(async move {
        let exists = client.exists(&path).watched();
        client.retry(&steady(), exists).within_session().await
    })
}

impl Shared {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn name(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(self.path.as_str(), |(_, name)| name)
    }

    pub(crate) fn czxid(&self) -> Zxid {
        self.czxid
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) fn has(&self, fault: Planted) -> bool {
        self.plan.has(fault)
    }

    /// Raised whenever [`lost`](Self::lost) may answer otherwise than before, for all reasons but
    /// those of the session.
    pub(crate) fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// Why the node does not stand for anything any more, as far as is known. The deadline is not
    /// asked here.
    pub(crate) fn lost(&self) -> Option<Loss> {
        if self.plan.has(Planted::AnyOwner) {
            return None;
        }
        if !self.is_of_this_session() {
            return Some(Loss::SessionEnded);
        }
        let blind = self.look() && !self.plan.has(Planted::MissNothing);
        blind.then(|| {
            if self.is_of_this_session() {
                Loss::Deleted
            } else {
                Loss::SessionEnded
            }
        })
    }

    /// Whether the session that the client has now is the node's owner. May servers have dropped
    /// the session already?
    fn is_of_this_session(&self) -> bool {
        if self.plan.has(Planted::AnyOwner) {
            return true;
        }
        let session = self.client.client_id().map(|(id, _)| id);
        session == Some(self.session)
    }

    /// By a fault that is planted.
    pub(crate) fn ignores_deadline(&self) -> bool {
        self.plan.has(Planted::IgnoreDeadline) || self.plan.has(Planted::KeepLeading)
    }

    /// Why what the node stands for is not ours, if it is not: with the deadline.
    pub(crate) fn unproven(&self) -> Option<Loss> {
        // The deadline first: if the session is the same afterwards, it is that one's.
        let deadline = self.client.deadline();
        if let Some(loss) = self.lost() {
            return Some(loss);
        }
        if self.ignores_deadline() {
            return None;
        }
        let now = self.client.now();
        deadline
            .is_none_or(|end| now >= end)
            .then_some(Loss::Unproven)
    }

    /// Is the node seen to be gone? Keeps the eye open.
    fn look(&self) -> bool {
        let waker = Waker::from(Arc::clone(&self.signal));
        let mut cx = Context::from_waker(&waker);
        loop {
            // Taken out, as polling it lets others be woken, which no lock may be held for.
            let opening = {
                let mut eye = self.eye();
                match &mut *eye {
                    Eye::Blind => return true,
                    Eye::Taken(others) => {
                        *others = true;
                        return false;
                    }
                    Eye::Open(watch) => match Pin::new(watch).poll(&mut cx) {
                        Poll::Pending => return false,
                        Poll::Ready(Ok(event)) if event.kind != EventType::NODE_DELETED => {
                            // The watch is over: dropping it calls nobody.
                            *eye = Eye::Taken(false);
                            opening(self.client.clone(), self.path.clone())
                        }
                        Poll::Ready(_) => return self.close(eye),
                    },
                    Eye::Opening(_) => match mem::replace(&mut *eye, Eye::Taken(false)) {
                        Eye::Opening(opening) => opening,
                        Eye::Taken(_) | Eye::Open(_) | Eye::Blind => return false,
                    },
                }
            };
            if let Some(blind) = self.open(opening, &mut cx) {
                return blind;
            }
        }
    }

    /// Goes on opening the eye. `None`: it is open.
    fn open(&self, mut opening: Opening, cx: &mut Context<'_>) -> Option<bool> {
        match opening.as_mut().poll(cx) {
            Poll::Pending => {
                // What came in between was seen by nobody: let them look again.
                if let Eye::Taken(true) = self.replace(Eye::Opening(opening)) {
                    self.signal.raise();
                }
                Some(false)
            }
            Poll::Ready(Ok((Some(stat), watch))) if stat.czxid == self.czxid => {
                drop(self.replace(Eye::Open(watch)));
                None
            }
            Poll::Ready(_) => Some(self.close(self.eye())),
        }
    }

    /// The eye before, to be dropped with no lock held.
    fn replace(&self, eye: Eye) -> Eye {
        mem::replace(&mut *self.eye(), eye)
    }

    fn close(&self, mut eye: MutexGuard<'_, Eye>) -> bool {
        let before = mem::replace(&mut *eye, Eye::Blind);
        drop(eye);
        drop(before);
        // Others may have looked while somebody opened it, and seen nothing.
        self.signal.raise();
        true
    }

    /// What its holder is told: from the first loss on, that.
    pub(crate) fn tell(&self, now: Option<Loss>) -> Option<Loss> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = told.or(now);
        *told
    }

    fn eye(&self) -> MutexGuard<'_, Eye> {
        self.eye.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Must it be deleted? One of an earlier session goes with that.
    fn is_to_be_deleted(&self) -> bool {
        let session = self.client.client_id().map(|(id, _)| id);
        let lives = session.is_some_and(|id| id == self.session || Some(id) == self.made_in);
        lives && !self.gone.load(Ordering::Acquire)
    }

    fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    async fn delete(&self) -> Result<(), Error> {
        let mut doubt = false;
        loop {
            if !self.is_to_be_deleted() {
                return Err(Error::NotHeld);
            }
            match self.client.delete(&self.path).urgent().await {
                Ok(()) => {
                    self.set_gone();
                    return Ok(());
                }
                Err(Error::NoNode) => {
                    self.set_gone();
                    return if doubt { Ok(()) } else { Err(Error::NotHeld) };
                }
                Err(Error::ConnectionLoss { sent } | Error::Timeout { sent }) => {
                    doubt |= sent;
                    if self.plan.has(Planted::ReleaseOnce) {
                        self.set_gone();
                        return Ok(());
                    }
                }
                Err(Error::SessionExpired { .. }) => return Err(Error::NotHeld),
                Err(error) if error.is_retryable() => self.client.sleep(PAUSE).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts the deletion into the session's queue now. Only if that is not enough, a task is
    /// started.
    fn delete_in_background(self: &Arc<Self>) {
        if !self.is_to_be_deleted() || self.plan.has(Planted::KeepNode) {
            return;
        }
        let delete = self.client.delete(&self.path).urgent().send();
        let shared = Arc::clone(self);
        delete.on_complete(move |result| match result {
            Ok(()) | Err(Error::NoNode) => shared.set_gone(),
            Err(Error::SessionExpired { .. } | Error::Closed { .. }) => {}
            Err(_) if shared.plan.has(Planted::ReleaseOnce) => {}
            Err(error) if error.is_retryable() || matches!(error, Error::Timeout { .. }) => {
                let client = shared.client.clone();
                client.spawn(async move { shared.give_up(shared.delete().await) });
            }
            Err(error) => shared.give_up(Err(error)),
        });
    }

    fn give_up(&self, result: Result<(), Error>) {
        match result {
            Ok(()) | Err(Error::NotHeld | Error::Closed { .. }) => {}
            Err(error) => {
                tracing::warn!(path = self.path, %error, "a node could not be deleted: it stays until its session ends");
            }
        }
    }
}
