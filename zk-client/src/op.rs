//! [`Op`]: a call that can be refined and is not sent yet.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use zk_proto::{Chroot, Reply, Request, SessionId};
use zk_session::{Call, Refused};

use crate::async_result::{Claim, Origin, Slot};
use crate::block_on;
use crate::core::{Complete, Core, Done, Seat, SessionNumber, Submission, Terms};
use crate::{AsyncResult, Client, Error, WhenFull};

mod admin;
mod command;
mod delete;
mod protected;
mod read;
mod retry;
mod session;
pub(crate) mod steps;
mod transaction;
mod tree;
mod watch;
mod write;

pub use admin::{AddAuth, Close, Reconfig, Restart, WhoAmI};
pub use command::{Command, GetServerVersion, ServerVersion};
pub use delete::{Delete, Sync};
pub use read::{
    CountAll, Exists, GetAcls, GetChildren, GetChildrenStat, GetConfig, GetData, GetEphemerals,
    MultiRead, Read, ReadKind, Watchable, Watched,
};
pub use retry::{Doubt, Resolved, Retry, RetryWith, Retryable};
pub use transaction::{
    Commit, Fate, InTransaction, Transaction, TransactionError, TransactionResult, WriteKind,
};
pub use tree::{DeleteTree, Walk, Walked};
pub use watch::{AddWatch, CheckWatches};
pub use write::{Create, CreateReply, EnsurePath, SetAcls, SetData};

/// A call that is not sent yet: refine it, then `.await` it, [`wait`](Self::wait) for it, or
/// [`send`](Self::send) it.
///
/// It is a future itself, sent at the first poll. What it gives is `Result<K::Output, Error>`;
/// the methods that each kind `K` of call has besides these are listed by their kinds.
///
/// Dropping it cancels: what is unsent is never sent, what is sent runs on and its reply is
/// ignored.
#[must_use = "nothing is sent until awaited, waited for or sent"]
pub struct Op<'a, K: Kind> {
    client: &'a Client,
    kind: K,
    limit: Limit,
    session: Option<SessionId>,
    progress: Progress<K::Output>,
}

/// When a call is given up.
#[derive(Clone, Copy)]
enum Limit {
    After(Option<Duration>),
    At(Option<Instant>),
}

impl Limit {
    fn deadline(self, now: Instant) -> Option<Instant> {
        match self {
            Self::After(limit) => limit.and_then(|limit| now.checked_add(limit)),
            Self::At(deadline) => deadline,
        }
    }
}

/// A kind of call. Implemented by the types of this module, and by nothing else.
pub trait Kind: Unpin + Send + sealed::Start<Reply = Self::Output> {
    /// What the call gives when it succeeds.
    type Output: Send + 'static;
}

pub(crate) mod sealed {
    use super::{Error, Launch, Started};

    /// How a kind of call is sent.
    #[expect(unnameable_types, reason = "only this crate implements it")]
    pub trait Start {
        type Reply;

        /// Sends the call, or begins its first step. After [`Error::Full`] it is called again.
        fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<Self::Reply>, Error>;
    }
}

/// A call that is made again and again stays where it is.
impl<K: sealed::Start> sealed::Start for &mut K {
    type Reply = K::Reply;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<Self::Reply>, Error> {
        (**self).start(launch)
    }
}

impl<K: Kind> Kind for &mut K {
    type Output = K::Output;
}

/// A call under way.
#[expect(clippy::exhaustive_enums, reason = "only this crate can name it")]
pub enum Started<T> {
    /// One request, or several in one flight.
    Sent(AsyncResult<T>),
    /// Several round trips.
    Steps(Steps<T>),
    /// Several round trips whose result is undone if nobody takes it.
    Claimable(Steps<T>, Arc<dyn Claim>),
}

/// The rest of a call, to be driven by whoever waits for it.
pub type Steps<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

enum Progress<T> {
    Unsent,
    /// Waiting for room in the session's queue.
    Queued {
        place: Place,
        deadline: Option<Instant>,
        limit: Option<AsyncResult<()>>,
    },
    Sent(AsyncResult<T>),
    Steps(Steps<T>, Option<Arc<dyn Claim>>),
    Over,
}

/// A place among those who wait for room. Dropping it gives it up.
struct Place {
    core: Arc<Core>,
    seat: Option<Seat>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.core.leave_room(seat);
        }
    }
}

impl<'a, K: Kind> Op<'a, K> {
    pub(crate) fn new(client: &'a Client, kind: K) -> Self {
        let limit = Limit::After(client.default_timeout());
        Self {
            client,
            kind,
            limit,
            session: None,
            progress: Progress::Unsent,
        }
    }

    /// Gives up `limit` after it was first polled, waited for or sent: unsent it never will be;
    /// sent, its reply is ignored. Time spent waiting for room counts. Default: the client's
    /// [`request_timeout`](crate::Builder::request_timeout), which is none unless set.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = Limit::After(Some(limit));
        self
    }

    /// Gives up at `deadline`, or never.
    pub(crate) fn until(mut self, deadline: Option<Instant>) -> Self {
        self.limit = Limit::At(deadline);
        self
    }

    /// Sends it and blocks until the result is there.
    ///
    /// # Errors
    /// The call's own; [`Error::WouldDeadlock`], before anything is sent, where waiting would
    /// never end.
    pub fn wait(mut self) -> Result<K::Output, Error> {
        self.client.core().may_park()?;
        if let Progress::Unsent = self.progress {
            match self.begin() {
                Ok(Started::Sent(result)) => return block_on(result),
                Ok(Started::Steps(steps)) => return block_on(steps),
                Ok(Started::Claimable(steps, claim)) => {
                    let result = block_on(steps);
                    claim.claim();
                    return result;
                }
                Err(Error::Full { .. }) if self.client.when_full() == WhenFull::Wait => {}
                Err(error) => return Err(error),
            }
        }
        block_on(self)
    }

    /// Sends it now. The result can be waited for in every way, and outlives the client's borrow.
    ///
    /// Does not wait for room: without it the result is [`Error::Full`].
    pub fn send(mut self) -> AsyncResult<K::Output> {
        let started = match std::mem::replace(&mut self.progress, Progress::Over) {
            Progress::Sent(result) => return result,
            Progress::Steps(steps, None) => Ok(Started::Steps(steps)),
            Progress::Steps(steps, Some(claim)) => Ok(Started::Claimable(steps, claim)),
            Progress::Unsent | Progress::Queued { .. } => self.begin(),
            Progress::Over => Err(Error::Taken),
        };
        match started {
            Ok(Started::Sent(result)) => result,
            Ok(Started::Steps(steps)) => self.client.run(steps),
            Ok(Started::Claimable(steps, claim)) => self.client.run(steps).with_claim(claim),
            Err(error) => AsyncResult::ready(Err(error)).with_origin(self.client.core().origin()),
        }
    }

    /// The call of another kind that `f` makes of this one.
    fn map<L: Kind>(self, f: impl FnOnce(K) -> L) -> Op<'a, L> {
        let Self {
            client,
            kind,
            limit,
            session,
            progress: _,
        } = self;
        Op {
            client,
            kind: f(kind),
            limit,
            session,
            progress: Progress::Unsent,
        }
    }

    /// The same call, refined by `f`.
    fn refine(mut self, f: impl FnOnce(&mut K)) -> Self {
        f(&mut self.kind);
        self
    }

    /// Whose call it is, what it is, and how long it may take.
    pub(crate) fn into_parts(self) -> (&'a Client, K, Option<Duration>) {
        let limit = match self.limit {
            Limit::After(limit) => limit,
            Limit::At(_) => None,
        };
        (self.client, self.kind, limit)
    }

    /// Sends it as soon as there is room, and gives what will bring its result, which outlives the
    /// client's borrow. What it cannot send is an error of the result.
    pub async fn launched(mut self) -> AsyncResult<K::Output> {
        match poll_fn(|cx| self.poll_begin(cx)).await {
            Ok(()) => self.send(),
            Err(error) => AsyncResult::ready(Err(error)),
        }
    }

    pub(crate) fn begin(&mut self) -> Result<Started<K::Output>, Error> {
        let now = self.client.now();
        let deadline = self.limit.deadline(now);
        let mut seat = None;
        self.kind.start(&mut Launch {
            client: self.client,
            now,
            deadline,
            within: None,
            session: self.session,
            seat: &mut seat,
            waker: None,
        })
    }

    /// Tries to send; sits down to wait if there is no room.
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let client = self.client;
        if let Progress::Unsent = self.progress {
            match self.begin() {
                Err(Error::Full { .. }) if client.when_full() == WhenFull::Wait => {}
                started => return Poll::Ready(started.map(|started| self.began(started))),
            }
            let now = client.now();
            let deadline = self.limit.deadline(now);
            let limit = deadline.map(|end| client.sleep(end.saturating_duration_since(now)));
            let place = Place {
                core: Arc::clone(client.core()),
                seat: None,
            };
            self.progress = Progress::Queued {
                place,
                deadline,
                limit,
            };
        }
        let Progress::Queued {
            place,
            deadline,
            limit,
        } = &mut self.progress
        else {
            return Poll::Ready(Ok(()));
        };
        let started = self.kind.start(&mut Launch {
            client,
            now: client.now(),
            deadline: *deadline,
            within: None,
            session: self.session,
            seat: &mut place.seat,
            waker: Some(cx.waker()),
        });
        match started {
            Err(Error::Full { .. }) => {}
            started => return Poll::Ready(started.map(|started| self.began(started))),
        }
        match limit.as_mut().map(|limit| Pin::new(limit).poll(cx)) {
            Some(Poll::Ready(Ok(()))) => Poll::Ready(Err(Error::Timeout { sent: false })),
            // The client was closed: the next attempt says so.
            Some(Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    }

    fn began(&mut self, started: Started<K::Output>) {
        self.progress = match started {
            Started::Sent(result) => Progress::Sent(result),
            Started::Steps(steps) => Progress::Steps(steps, None),
            Started::Claimable(steps, claim) => Progress::Steps(steps, Some(claim)),
        };
    }
}

impl<K: Kind> Future for Op<'_, K> {
    type Output = Result<K::Output, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Progress::Unsent | Progress::Queued { .. } = this.progress {
            match this.poll_begin(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    this.progress = Progress::Over;
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        let poll = match &mut this.progress {
            Progress::Sent(result) => Pin::new(result).poll(cx),
            Progress::Steps(steps, claim) => {
                let poll = steps.as_mut().poll(cx);
                if let (true, Some(claim)) = (poll.is_ready(), claim) {
                    claim.claim();
                }
                poll
            }
            Progress::Unsent | Progress::Queued { .. } | Progress::Over => {
                Poll::Ready(Err(Error::Taken))
            }
        };
        if poll.is_ready() {
            this.progress = Progress::Over;
        }
        poll
    }
}

impl<K: Kind> fmt::Debug for Op<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = match self.progress {
            Progress::Unsent => "unsent",
            Progress::Queued { .. } => "waiting for room",
            Progress::Sent(_) | Progress::Steps(..) => "sent",
            Progress::Over => "over",
        };
        f.debug_struct("Op")
            .field("progress", &progress)
            .finish_non_exhaustive()
    }
}

/// What a kind of call needs to be sent.
pub struct Launch<'l> {
    pub(crate) client: &'l Client,
    pub(crate) now: Instant,
    pub(crate) deadline: Option<Instant>,
    /// The only session that it may be sent in; for calls of several round trips, each of them.
    pub(crate) within: Option<SessionNumber>,
    /// The same by its id; for calls of one request.
    session: Option<SessionId>,
    seat: &'l mut Option<Seat>,
    /// Whom to wake when there is room; `None` to be refused.
    waker: Option<&'l Waker>,
}

impl<'l> Launch<'l> {
    /// Sends one request below the client's root path.
    pub(crate) fn request<'b, T: Send + 'static>(
        &mut self,
        body: &'b Request<'b>,
        convert: impl Fn(Reply) -> Result<T, Error> + Send + std::marker::Sync + 'static,
    ) -> Result<Started<T>, Error>
    where
        'l: 'b,
    {
        let client = self.client;
        self.request_below(body, client.chroot_ref(), false, convert)
    }

    /// Sends one request below `chroot`; past all bounds if `urgent`.
    pub(crate) fn request_below<'b, T: Send + 'static>(
        &mut self,
        body: &'b Request<'b>,
        chroot: &'b Chroot,
        urgent: bool,
        convert: impl Fn(Reply) -> Result<T, Error> + Send + std::marker::Sync + 'static,
    ) -> Result<Started<T>, Error> {
        let slot = Arc::new(Slot::new(move |done: Done| {
            done.result.map_err(Error::from).and_then(&convert)
        }));
        let complete: Arc<dyn Complete> = Arc::<Slot<T, _>>::clone(&slot);
        let mut call = Call::new(body, chroot).deadline(self.deadline);
        if urgent {
            call = call.urgent();
        }
        let ticket = self.submit(urgent, &mut |submission| {
            submission.request(call, Arc::clone(&complete))
        })?;
        Ok(Started::Sent(AsyncResult::new(
            slot,
            Some(self.client.core().origin()),
            ticket,
        )))
    }

    /// Hands requests to the session in one go.
    pub(crate) fn submit<R>(
        &mut self,
        urgent: bool,
        submit: &mut dyn FnMut(&mut Submission<'_>) -> Result<R, Refused>,
    ) -> Result<R, Error> {
        let core = self.client.core();
        let terms = Terms {
            now: self.now,
            past_bounds: urgent,
            within: self.within,
            session: self.session,
        };
        match self.waker {
            Some(waker) if !urgent => core.submit_or_wait(terms, self.seat, waker.clone(), submit),
            _ => core.submit(terms, self.seat, submit),
        }
    }
}
