//! [`AsyncResult`]: the result of something that was submitted, and every way to wait for it.
//!
//! One slot is shared by the two sides. Its states:
//!
//! | state | what it holds | left by |
//! |---|---|---|
//! | `Pending` | the waker of the last poll | a result; `on_complete`; `detach`; drop |
//! | `Callback` | what is to be called | a result |
//! | `Ready` | the result | taking it; drop |
//! | `Taken`, `Cancelled`, `Detached` | nothing | never: later results are handed back |
//!
//! There is one mechanism underneath, the waker. A thread that waits parks with a waker that
//! unparks it. Neither wakers, nor callbacks, nor results are cloned, called or dropped while the
//! slot is locked.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};

use zk_session::Cancelled;

use crate::block_on::{block_on, park_until};
use crate::core::Ticket;
use crate::{Callback, Error};

mod completer;

pub use completer::Completer;

/// The result of something that was submitted (kazoo's `IAsyncResult`).
///
/// A future under any executor, a blocking [`wait`](Self::wait) on a plain thread, or a
/// [callback](Self::on_complete). Dropping it cancels what is unsent and forgets what is sent;
/// [`detach`](Self::detach) lets it run on.
#[must_use = "dropping the result cancels the operation: wait for it, await it, or detach() it"]
pub struct AsyncResult<T> {
    slot: Arc<dyn Hold<T>>,
    origin: Option<Arc<dyn Origin>>,
    ticket: Ticket,
    /// Nothing is left to take or to cancel.
    over: bool,
    /// Who wants to know that the result has an owner now.
    claim: Option<Arc<dyn Claim>>,
}

/// Hears that somebody has taken a result, or has asked for it to be delivered. If it is dropped
/// without that, nobody ever will.
#[expect(unnameable_types, reason = "only this crate uses it")]
pub trait Claim: Send + Sync {
    /// No lock is held.
    fn claim(&self);
}

/// Where a result comes from: whom to ask for what it takes to wait, and whom to tell when nobody
/// waits any more.
pub(crate) trait Origin: Send + Sync {
    fn cancel(&self, ticket: Ticket) -> Cancelled;
    /// May this thread park?
    fn may_park(&self) -> Result<(), Error>;
    fn now(&self) -> Instant;
    fn dispatch(&self, callback: Callback);
}

impl<T: Send + 'static> AsyncResult<T> {
    /// A result to be delivered by the [`Completer`].
    pub fn pair() -> (Completer<T>, Self) {
        let slot: Arc<dyn Hold<T>> = Arc::new(Slot::new(()));
        (
            Completer {
                slot: Arc::clone(&slot),
                over: false,
            },
            Self::new(slot, None, Ticket::NONE),
        )
    }

    /// A result that is there already.
    pub fn ready(result: Result<T, Error>) -> Self {
        let slot = Slot::new(());
        *lock(&slot.state) = State::Ready(result);
        Self::new(Arc::new(slot), None, Ticket::NONE)
    }

    /// Blocks until the result is there (kazoo: `get()`).
    ///
    /// # Errors
    /// The operation's own, or [`Error::WouldDeadlock`] where waiting would never end.
    pub fn wait(mut self) -> Result<T, Error> {
        if let Some(result) = self.try_take() {
            return result;
        }
        self.may_park()?;
        block_on(self)
    }

    /// Blocks until the result is there, at most for `limit`.
    ///
    /// # Errors
    /// [`Error::Timeout`] at the limit; the operation is then cancelled as if this had been
    /// dropped. Else as for [`wait`](Self::wait).
    pub fn wait_timeout(mut self, limit: Duration) -> Result<T, Error> {
        if let Some(result) = self.wait_for(limit) {
            return result;
        }
        match self.cancel() {
            Ok(cancelled) => Err(Error::Timeout {
                sent: cancelled != Cancelled::Unsent,
            }),
            Err(result) => {
                self.claim();
                result
            }
        }
    }

    /// Blocks until the result is there, at most for `limit`; `None` if it is not. Can be asked
    /// again.
    pub fn wait_for(&mut self, limit: Duration) -> Option<Result<T, Error>> {
        if let Some(result) = self.try_take() {
            return Some(result);
        }
        if let Err(error) = self.may_park() {
            return Some(Err(error));
        }
        let origin = self.origin.clone();
        let mut waited = false;
        let end = origin
            .as_ref()
            .map(|origin| origin.now().checked_add(limit));
        park_until(Pin::new(self), || match (&origin, end) {
            (Some(origin), Some(Some(end))) => {
                let left = end.saturating_duration_since(origin.now());
                (!left.is_zero()).then_some(Some(left))
            }
            // Further away than the clock can say.
            (Some(_), _) => Some(None),
            // Nobody to ask for the time: one park.
            (None, _) => (!std::mem::replace(&mut waited, true)).then_some(Some(limit)),
        })
    }

    /// The result, if it is there (kazoo: `get_nowait()`). `None` means "not yet"; after the
    /// result was taken it is [`Error::Taken`].
    pub fn try_take(&mut self) -> Option<Result<T, Error>> {
        if self.over {
            return Some(Err(Error::Taken));
        }
        let result = lock(self.slot.state()).take();
        if result.is_some() {
            self.over = true;
            self.claim();
        }
        result
    }

    /// Calls `f` with the result once it is there, by [`Handler::dispatch`](crate::Handler): in
    /// order with the client's other callbacks and off the I/O loop (kazoo: `rawlink()`).
    pub fn on_complete(mut self, f: impl FnOnce(Result<T, Error>) + Send + 'static) {
        if self.over {
            return;
        }
        self.over = true;
        self.claim();
        let origin = self.origin.take();
        let mut state = lock(self.slot.state());
        if let Some(result) = state.take() {
            drop(state);
            deliver(Callback::new(move || f(result)), origin.as_deref());
            return;
        }
        let run: Option<Run<T>> = Some(Box::new(f));
        let before = std::mem::replace(&mut *state, State::Callback { run, origin });
        drop(state);
        drop(before);
    }

    /// Lets the operation run on without anybody waiting for its result.
    pub fn detach(mut self) {
        if self.over {
            return;
        }
        self.over = true;
        self.claim();
        let mut state = lock(self.slot.state());
        let before = std::mem::replace(&mut *state, State::Detached);
        drop(state);
        drop(before);
    }

    /// Is the result there (kazoo: `ready()`)?
    pub fn is_ready(&self) -> bool {
        !self.over && matches!(*lock(self.slot.state()), State::Ready(_))
    }
}

impl<T> AsyncResult<T> {
    pub(crate) fn new(
        slot: Arc<dyn Hold<T>>,
        origin: Option<Arc<dyn Origin>>,
        ticket: Ticket,
    ) -> Self {
        Self {
            slot,
            origin,
            ticket,
            over: false,
            claim: None,
        }
    }

    /// The same result, which tells when it is taken.
    pub(crate) fn with_claim(mut self, claim: Arc<dyn Claim>) -> Self {
        self.claim = Some(claim);
        self
    }

    fn claim(&mut self) {
        if let Some(claim) = self.claim.take() {
            claim.claim();
        }
    }

    /// The same result, which now knows whom to ask for the time and for callbacks.
    pub(crate) fn with_origin(mut self, origin: Arc<dyn Origin>) -> Self {
        self.origin = Some(origin);
        self
    }

    fn may_park(&self) -> Result<(), Error> {
        self.origin
            .as_ref()
            .map_or(Ok(()), |origin| origin.may_park())
    }

    /// Gives up waiting. `Err`: the result is there after all.
    fn cancel(&mut self) -> Result<Cancelled, Result<T, Error>> {
        if self.over {
            return Ok(Cancelled::Unknown);
        }
        self.over = true;
        let mut state = lock(self.slot.state());
        let before = std::mem::replace(&mut *state, State::Cancelled);
        drop(state);
        match before {
            State::Ready(result) => Err(result),
            State::Pending { waiter, producer } => {
                drop(waiter);
                if let Some(producer) = producer {
                    producer.wake();
                }
                Ok(match &self.origin {
                    Some(origin) if !self.ticket.is_none() => origin.cancel(self.ticket),
                    _ => Cancelled::Unknown,
                })
            }
            State::Callback { .. } | State::Taken | State::Cancelled | State::Detached => {
                Ok(Cancelled::Unknown)
            }
        }
    }
}

impl<T> Drop for AsyncResult<T> {
    fn drop(&mut self) {
        drop(self.cancel());
    }
}

impl<T> Future for AsyncResult<T> {
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(Err(Error::Taken));
        }
        let mut fresh = None;
        loop {
            let mut state = lock(this.slot.state());
            if let Some(result) = state.take() {
                drop(state);
                this.over = true;
                this.claim();
                return Poll::Ready(result);
            }
            let State::Pending { waiter, .. } = &mut *state else {
                return Poll::Ready(Err(Error::Taken));
            };
            if waiter
                .as_ref()
                .is_some_and(|waiter| waiter.will_wake(cx.waker()))
            {
                return Poll::Pending;
            }
            if let Some(waker) = fresh.take() {
                let before = waiter.replace(waker);
                drop(state);
                drop(before);
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(cx.waker().clone());
        }
    }
}

impl<T> fmt::Debug for AsyncResult<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncResult")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

/// What both sides share, and what turns a reply into the result.
pub(crate) struct Slot<T, C = ()> {
    state: Mutex<State<T>>,
    pub(crate) convert: C,
}

pub(crate) enum State<T> {
    Pending {
        waiter: Option<Waker>,
        producer: Option<Waker>,
    },
    Callback {
        run: Option<Run<T>>,
        origin: Option<Arc<dyn Origin>>,
    },
    Ready(Result<T, Error>),
    Taken,
    Cancelled,
    Detached,
}

pub(crate) type Run<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;

impl<T> State<T> {
    fn take(&mut self) -> Option<Result<T, Error>> {
        if !matches!(self, Self::Ready(_)) {
            return None;
        }
        match std::mem::replace(self, Self::Taken) {
            Self::Ready(result) => Some(result),
            Self::Pending { .. }
            | Self::Callback { .. }
            | Self::Taken
            | Self::Cancelled
            | Self::Detached => None,
        }
    }
}

impl<T, C> Slot<T, C> {
    pub(crate) fn new(convert: C) -> Self {
        Self {
            state: Mutex::new(State::Pending {
                waiter: None,
                producer: None,
            }),
            convert,
        }
    }

    /// A slot whose result goes to `run`, by the origin's dispatch.
    pub(crate) fn callback(convert: C, run: Run<T>, origin: Arc<dyn Origin>) -> Self {
        Self {
            state: Mutex::new(State::Callback {
                run: Some(run),
                origin: Some(origin),
            }),
            convert,
        }
    }
}

/// A slot, whatever its converter is.
pub(crate) trait Hold<T>: Send + Sync {
    fn state(&self) -> &Mutex<State<T>>;
}

impl<T: Send, C: Send + Sync> Hold<T> for Slot<T, C> {
    fn state(&self) -> &Mutex<State<T>> {
        &self.state
    }
}

/// What is left to do once a result is in its slot and all locks are released.
#[must_use = "somebody waits for it"]
pub(crate) enum After {
    Nothing,
    Wake(Waker),
    Call(Callback, Option<Arc<dyn Origin>>),
    /// Nobody wanted it. Its drop may cancel something, and so must not run under a lock.
    Discard(Box<dyn Any + Send>),
}

impl After {
    /// Does it at once. For callers that hold no lock.
    pub(crate) fn run(self) {
        match self {
            Self::Nothing => {}
            Self::Wake(waker) => waker.wake(),
            Self::Call(callback, origin) => deliver(callback, origin.as_deref()),
            Self::Discard(unwanted) => drop(unwanted),
        }
    }
}

/// Puts a result into a slot. The first one counts.
pub(crate) fn settle<T: Send + 'static>(
    slot: &(impl Hold<T> + ?Sized),
    result: Result<T, Error>,
) -> After {
    let mut state = lock(slot.state());
    match &mut *state {
        State::Pending { waiter, producer } => {
            let (waiter, producer) = (waiter.take(), producer.take());
            *state = State::Ready(result);
            drop(state);
            drop(producer);
            waiter.map_or(After::Nothing, After::Wake)
        }
        State::Callback { run, origin } => {
            let (run, origin) = (run.take(), origin.take());
            *state = State::Taken;
            drop(state);
            match run {
                Some(run) => After::Call(Callback::new(move || run(result)), origin),
                None => After::Nothing,
            }
        }
        State::Ready(_) | State::Taken | State::Cancelled | State::Detached => {
            drop(state);
            match result {
                Ok(unwanted) if std::mem::needs_drop::<T>() => After::Discard(Box::new(unwanted)),
                _ => After::Nothing,
            }
        }
    }
}

fn deliver(callback: Callback, origin: Option<&dyn Origin>) {
    match origin {
        Some(origin) => origin.dispatch(callback),
        None => callback.run(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
