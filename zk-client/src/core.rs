//! [`Core`]: one client's session, and everybody who waits for something from it.
//!
//! A mutex over the [`Session`] and its users: requests, watches, timers, listeners. Whoever
//! enters leaves in three steps. Under the lock all events are taken out of the session and put
//! where they belong, in their order: results into slots, notices into buffers. Then the lock is
//! released. Only then are wakers woken, callbacks dispatched, and values dropped that nobody
//! wanted. So whoever sees one event's result sees those of all events before it, and no user code
//! runs under the lock.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use tracing::{Span, info_span};
use zk_proto::ServerAddr;
use zk_session::{Cancelled, Config, ConnId, SaslWork, Session};

use crate::async_result::{Origin, Slot};
use crate::{AsyncResult, Callback, ClientId, Error, Handler};

mod effects;
mod ending;
mod inner;
mod listeners;
mod pending;
mod room;
mod submission;
mod waiters;

pub use listeners::{Listen, ListenerId, StateChange};

pub(crate) use inner::Sink;
pub(crate) use pending::{Complete, Done, Ticket};
pub(crate) use room::Seat;
pub(crate) use submission::{SessionNumber, Submission, Terms};

use effects::Effects;
use inner::Inner;

/// What a [`Handler`] drives: one client's session, behind a lock.
///
/// The driver's loop, for one core:
///
/// ```text
/// core.set_waker(waker)
/// loop {
///     core.with(|session| {
///         feed what arrived; session.handle_timeout(now) if due
///         while let Some(action) = session.poll_action() { connect, close, or core.authenticate }
///         session.poll_transmit(now, conn, &mut out)
///         deadline = session.poll_timeout()
///     })
///     if core.is_finished() { break }
///     write `out`
///     if core.prepare_sleep() { sleep until something is readable, `deadline`, or the waker }
/// }
/// ```
///
/// Events never leave the core: it takes them out of the session itself.
pub struct Core {
    id: ClientId,
    handler: Arc<dyn Handler>,
    /// The process that made it.
    process: u32,
    callbacks: Arc<AtomicUsize>,
    /// Many of them wait.
    is_behind: AtomicBool,
    /// Where its log goes. It belongs to nobody's span: a client outlives what it was made for.
    span: Span,
    inner: Mutex<Inner>,
}

/// Callbacks waiting at once that are worth a warning.
const MANY_CALLBACKS: usize = 10_000;

impl Core {
    /// A core whose session begins to connect as soon as it is driven.
    pub(crate) fn new(handler: Arc<dyn Handler>, config: Arc<Config>) -> Arc<Self> {
        let id = ClientId::next();
        let span = info_span!(parent: None, "client", %id, handler = handler.name());
        let session = span.in_scope(|| Session::new(config, handler.entropy(), handler.now()));
        let callbacks = Arc::new(AtomicUsize::new(0));
        Arc::new(Self {
            id,
            handler,
            process: std::process::id(),
            inner: Mutex::new(Inner::new(session, Arc::clone(&callbacks))),
            callbacks,
            is_behind: AtomicBool::new(false),
            span,
        })
    }

    /// The client's name in this process.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// The span that the client's log is in, for what its driver logs.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// THE driver's entry: runs `f` on the session. Then everything that came of it reaches those
    /// who wait for it.
    ///
    /// Only for the thread or task that runs the loop, as it is taken for awake afterwards. Other
    /// threads of a driver use [`inject`](Self::inject).
    pub fn with<R>(&self, f: impl FnOnce(&mut Session) -> R) -> R {
        let mut inner = self.lock();
        inner.loop_is_awake();
        let output = f(&mut inner.session);
        self.leave(inner);
        output
    }

    /// As [`with`](Self::with), for another thread of the driver, such as a resolver: wakes the
    /// loop if it sleeps.
    pub fn inject<R>(&self, f: impl FnOnce(&mut Session) -> R) -> R {
        self.enter(|inner| {
            inner.loop_has_work();
            f(&mut inner.session)
        })
    }

    /// For [`Action::Sasl`](zk_session::Action::Sasl): has the token worked out by
    /// [`Handler::run_blocking`], then lets the session go on. Not to be called within
    /// [`with`](Self::with).
    pub fn authenticate(self: &Arc<Self>, conn: ConnId, work: SaslWork) {
        let epoch = self.lock().epoch();
        let core = Arc::downgrade(self);
        self.handler.run_blocking(Callback::new(move || {
            // It may have waited for so long that the connection has gone.
            if !work.is_wanted() {
                return;
            }
            let token = work.run();
            let Some(core) = core.upgrade() else { return };
            let now = core.handler.now();
            core.enter(|inner| {
                // Another session has connections of the same names.
                if inner.epoch() == epoch {
                    inner.loop_has_work();
                    inner.session.handle_sasl(now, conn, token);
                }
            });
        }));
    }

    /// Names whom to wake when a client does something that gives a sleeping loop work. Called by
    /// a driver once; a later waker replaces the one before.
    ///
    /// It is woken on the thread of whoever uses the client, with no lock held.
    pub fn set_waker(&self, waker: Waker) {
        let waker = Some(Arc::new(waker));
        let before = std::mem::replace(&mut self.lock().waker, waker);
        drop(before);
    }

    /// The loop is about to sleep. `true`: nothing has come up since its last
    /// [`with`](Self::with), and the next work will wake the waker. `false`: run again first.
    pub fn prepare_sleep(&self) -> bool {
        self.lock().prepare_sleep()
    }

    /// Is there nothing left to drive? Asked by the driver; the answer `true` dismisses it: it
    /// must not touch the core again, since another may be started.
    pub fn is_finished(&self) -> bool {
        self.enter(Inner::dismiss_driver)
    }

    /// The driver is being torn down: everything that waits fails, and nothing can be submitted
    /// any more. Nobody hangs.
    ///
    /// A driver that can still write does [`Session::close`] and one last `poll_transmit` before,
    /// so that ephemeral znodes go at once.
    pub fn abandon(&self, now: Instant) {
        self.enter(|inner| inner.abandon(now));
    }

    /// Starts over with a fresh session. Only after the driver was dismissed.
    /// `false` if somebody else has just done that.
    pub(crate) fn renew(&self, config: Arc<Config>, servers: Option<&[ServerAddr]>) -> bool {
        let now = self.handler.now();
        let seed = self.handler.entropy();
        let mut session = self.span.in_scope(|| Session::new(config, seed, now));
        if let Some(servers) = servers {
            session.set_servers(now, servers);
        }
        // What is left over is dropped with no lock held.
        self.enter(|inner| inner.renew(now, session)).is_ok()
    }

    pub(crate) fn handler(&self) -> &Arc<dyn Handler> {
        &self.handler
    }

    /// Callbacks that were dispatched and have not ended.
    pub(crate) fn callbacks_queued(&self) -> usize {
        self.callbacks.load(Ordering::Relaxed)
    }

    /// Runs `f`, then lets everything reach those who wait for it.
    pub(crate) fn enter<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        let mut inner = self.lock();
        let output = f(&mut inner);
        self.leave(inner);
        output
    }

    /// Looks, and changes nothing: not even what the driver is yet to do.
    pub fn look<R>(&self, f: impl FnOnce(&Session) -> R) -> R {
        f(&self.lock().session)
    }

    /// Resolves when `delay` has passed.
    pub(crate) fn sleep(self: &Arc<Self>, delay: Duration) -> AsyncResult<()> {
        let now = self.handler.now();
        let slot = Arc::new(Slot::new(()));
        let Some(at) = now.checked_add(delay) else {
            // Further away than the clock can say: it never resolves, but with the client.
            return self.result(slot, |inner, slot| {
                inner.until_closed(slot);
                Ticket::NONE
            });
        };
        self.result(slot, |inner, slot| inner.set_timer(at, slot))
    }

    /// A result whose slot `register` hands to whoever is to fill it.
    pub(crate) fn result<T: Send + 'static>(
        self: &Arc<Self>,
        slot: Arc<Slot<T>>,
        register: impl FnOnce(&mut Inner, Arc<Slot<T>>) -> Ticket,
    ) -> AsyncResult<T> {
        let ticket = self.enter(|inner| register(inner, Arc::clone(&slot)));
        AsyncResult::new(slot, Some(self.origin()), ticket)
    }

    pub(crate) fn origin(self: &Arc<Self>) -> Arc<dyn Origin> {
        Arc::clone(self) as Arc<dyn Origin>
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the events out, unlocks, and only then lets user code run.
    fn leave(&self, mut inner: MutexGuard<'_, Inner>) {
        inner.drain();
        let rouse = inner.waker_of_sleeping_loop();
        let effects = inner.effects.take();
        drop(inner);
        if let Some(Effects {
            wakes,
            garbage,
            deliver,
            ..
        }) = effects
        {
            if deliver {
                self.deliver();
            }
            for waker in wakes.into_iter() {
                // A waker is code of an executor: if one panics, the others still are woken.
                if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                    tracing::error!(parent: &self.span, "a waker panicked; the client goes on");
                }
            }
            drop(garbage);
        }
        if let Some(waker) = rouse {
            waker.wake_by_ref();
        }
    }

    /// Dispatches callbacks until there are none. One thread at a time does this, so that their
    /// order is kept; others leave theirs to it.
    fn deliver(&self) {
        loop {
            // On a line of its own: the lock must not be held while callbacks are handed over.
            let batch = self.lock().effects.next_batch();
            let Some(batch) = batch else { return };
            for callback in batch {
                self.handler.dispatch(self.id, callback);
            }
            let queued = self.callbacks_queued();
            // Told once, until they have caught up.
            if queued < MANY_CALLBACKS / 2 {
                self.is_behind.store(false, Ordering::Relaxed);
            } else if queued > MANY_CALLBACKS && !self.is_behind.swap(true, Ordering::Relaxed) {
                tracing::warn!(parent: &self.span, queued, "callbacks are slower than their causes");
            }
        }
    }
}

impl Origin for Core {
    fn cancel(&self, ticket: Ticket) -> Cancelled {
        let now = self.handler.now();
        self.enter(|inner| inner.cancel(now, ticket))
    }

    fn may_park(&self) -> Result<(), Error> {
        if !self.handler.may_block() {
            return Err(Error::WouldDeadlock);
        }
        if std::process::id() != self.process {
            return Err(Error::Forked);
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        self.handler.now()
    }

    fn dispatch(&self, callback: Callback) {
        let callback = callback.counted(&self.callbacks);
        self.enter(|inner| inner.effects.call(callback));
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("id", &self.id)
            .field("handler", &self.handler)
            .finish()
    }
}
