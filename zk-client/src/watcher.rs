//! Watches: one-shot handles ([`Watch`]) and streams ([`EventStream`]).

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use zk_session::{Notice, WatchedEvent};

use crate::async_result::Origin;
use crate::block_on::park_until;
use crate::buffer::Buffer;
use crate::core::{StateChange, Ticket};
use crate::{AsyncResult, Error};

/// A one-shot watch that is set: a future of the one event that it will see.
///
/// It survives reconnects within its session. It ends without an event, as
/// [`Error::WatchEnded`], with the session. Dropping it removes the watch, on the server too if
/// nobody else here needs it.
#[must_use = "dropping the handle removes the watch: await it, wait for it, or use on_event()"]
#[derive(Debug)]
pub struct Watch(AsyncResult<WatchedEvent>);

impl Watch {
    pub(crate) fn new(event: AsyncResult<WatchedEvent>) -> Self {
        Self(event)
    }

    /// Blocks until the event.
    ///
    /// # Errors
    /// [`Error::WatchEnded`], or [`Error::WouldDeadlock`] where waiting would never end.
    pub fn wait(self) -> Result<WatchedEvent, Error> {
        self.0.wait()
    }

    /// Blocks until the event, at most for `limit`; `None` if there is none yet. Can be asked
    /// again.
    pub fn wait_for(&mut self, limit: Duration) -> Option<Result<WatchedEvent, Error>> {
        self.0.wait_for(limit)
    }

    /// The event, if it has come.
    pub fn try_take(&mut self) -> Option<Result<WatchedEvent, Error>> {
        self.0.try_take()
    }

    /// Calls `f` with the event, in order with the client's other callbacks.
    pub fn on_event(self, f: impl FnOnce(Result<WatchedEvent, Error>) + Send + 'static) {
        self.0.on_complete(f);
    }
}

impl Future for Watch {
    type Output = Result<WatchedEvent, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// What a persistent watch sees: events, gaps in them, and its end.
///
/// After a [`Notice::Gap`] (the connection was away, or the buffer overflowed) changes may have
/// gone unseen: read again. [`Notice::End`] is the last item.
pub type WatchStream = EventStream<Notice>;

/// Every change of the session's state, from the moment of the call on.
pub type StateStream = EventStream<StateChange>;

/// A bounded stream that the client fills: asynchronously by [`next`](Self::next), blocking by
/// [`next_wait`](Self::next_wait).
///
/// Dropping it ends what fills it; for a watch, on the server too if nobody else here needs it.
#[must_use = "dropping the stream ends it"]
pub struct EventStream<T> {
    buffer: Arc<Buffer<T>>,
    origin: Arc<dyn Origin>,
    ticket: Ticket,
}

impl<T> EventStream<T> {
    pub(crate) fn new(buffer: Arc<Buffer<T>>, origin: Arc<dyn Origin>, ticket: Ticket) -> Self {
        Self {
            buffer,
            origin,
            ticket,
        }
    }

    /// The next item; `None` after the last.
    #[expect(
        clippy::should_implement_trait,
        reason = "the name that streams have for it"
    )]
    pub fn next(&mut self) -> impl Future<Output = Option<T>> + Send + Unpin + '_
    where
        T: Send,
    {
        poll_fn(|cx| self.poll_next(cx))
    }

    /// The next item, as `Stream::poll_next` of the `futures` crates has it.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.buffer.poll_next(cx)
    }

    /// The next item, if there is one already.
    pub fn try_next(&mut self) -> Option<T> {
        self.buffer.try_next()
    }

    /// Blocks until the next item; `None` after the last.
    ///
    /// # Errors
    /// [`Error::WouldDeadlock`] where waiting would never end.
    pub fn next_wait(&mut self) -> Result<Option<T>, Error>
    where
        T: Send,
    {
        if let Some(item) = self.try_next() {
            return Ok(Some(item));
        }
        self.origin.may_park()?;
        Ok(park_until(pin!(self.next()), || Some(None)).flatten())
    }

    /// Blocks until the next item, at most for `limit`; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Timeout`] at the limit: the stream goes on. [`Error::WouldDeadlock`] where waiting
    /// would never end.
    pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<T>, Error>
    where
        T: Send,
    {
        if let Some(item) = self.try_next() {
            return Ok(Some(item));
        }
        self.origin.may_park()?;
        let origin = Arc::clone(&self.origin);
        let end = origin.now().checked_add(limit);
        let next = pin!(self.next());
        park_until(next, || {
            match end.map(|end| end.saturating_duration_since(origin.now())) {
                Some(Duration::ZERO) => None,
                left => Some(left),
            }
        })
        .ok_or(Error::Timeout { sent: false })
    }

    /// A blocking iterator over what is to come. It ends after the last item, or with an error
    /// where waiting would never end.
    pub fn iter(&mut self) -> impl Iterator<Item = Result<T, Error>> + '_
    where
        T: Send,
    {
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let next = self.next_wait();
            failed = next.is_err();
            next.transpose()
        })
    }
}

impl<T> Drop for EventStream<T> {
    fn drop(&mut self) {
        if !self.ticket.is_none() {
            self.origin.cancel(self.ticket);
        }
    }
}

impl<T> fmt::Debug for EventStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}
