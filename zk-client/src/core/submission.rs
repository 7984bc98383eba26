//! Handing requests to the session.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use zk_session::{Call, Cancelled, Refused};

use crate::core::Core;
use crate::core::inner::{Inner, Sink};
use crate::core::pending::{Complete, Entry, Ticket, Watching, What};
use crate::core::room::Seat;

/// Hands requests to the session, one right behind the other if there are several.
pub(crate) struct Submission<'a> {
    inner: &'a mut Inner,
    now: Instant,
}

impl Submission<'_> {
    /// Submits one request. Its reply goes to `complete`.
    pub(crate) fn request(
        &mut self,
        call: Call<'_, '_>,
        complete: Arc<dyn Complete>,
    ) -> Result<Ticket, Refused> {
        self.watch_request(call, complete, None)
    }

    /// Submits one request that sets a watch, whose notices go to the sink; the flag says whether
    /// the watcher also lives if the node does not exist.
    pub(crate) fn watch_request(
        &mut self,
        call: Call<'_, '_>,
        complete: Arc<dyn Complete>,
        sink: Option<(Sink, bool)>,
    ) -> Result<Ticket, Refused> {
        let submitted = self.inner.session.submit(self.now, call)?;
        let mut watch = None;
        if let (Some(id), Some((sink, on_no_node))) = (submitted.watch, sink) {
            self.inner.add_sink(id, sink);
            watch = Some(Watching { id, on_no_node });
        }
        self.inner
            .pending
            .insert(submitted.id, Entry { complete, watch });
        self.inner.loop_has_work();
        Ok(self.inner.ticket(What::Request(submitted.id)))
    }

    /// Takes a request back.
    pub(crate) fn cancel(&mut self, ticket: Ticket) -> Cancelled {
        self.inner.cancel(self.now, ticket)
    }
}

impl Core {
    /// Lets `submit` hand over requests, if nobody is waiting to do so since earlier. Those with a
    /// seat wait for their turn; `past_bounds` waits for nobody.
    pub(crate) fn submit<R>(
        &self,
        now: Instant,
        seat: &mut Option<Seat>,
        past_bounds: bool,
        submit: &mut dyn FnMut(&mut Submission<'_>) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        self.enter(|inner| inner.submit(now, seat, past_bounds, submit))
    }

    /// As [`submit`](Self::submit); if there is no room, sits down to wait and leaves `waker`.
    pub(crate) fn submit_or_wait<R>(
        &self,
        now: Instant,
        seat: &mut Option<Seat>,
        waker: Waker,
        submit: &mut dyn FnMut(&mut Submission<'_>) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let (result, unused) = self.enter(|inner| {
            let result = inner.submit(now, seat, false, submit);
            match result {
                Err(Refused::Full { .. }) => {
                    let before = inner.room.wait(seat, waker);
                    (result, before)
                }
                result => (result, Some(waker)),
            }
        });
        drop(unused);
        result
    }

    /// Waits no longer for room.
    pub(crate) fn leave_room(&self, seat: Seat) {
        self.enter(|inner| inner.leave_room(seat));
    }
}

impl Inner {
    fn submit<R>(
        &mut self,
        now: Instant,
        seat: &mut Option<Seat>,
        past_bounds: bool,
        submit: &mut dyn FnMut(&mut Submission<'_>) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let result = if self.is_abandoned() {
            Err(Refused::Closed)
        } else if past_bounds || self.room.is_next(*seat) {
            submit(&mut Submission { inner: self, now })
        } else {
            let stats = self.session.stats();
            Err(Refused::Full {
                requests: stats.in_flight + stats.queued,
                bytes: stats.pending_bytes,
            })
        };
        if !matches!(result, Err(Refused::Full { .. })) {
            if let Some(seat) = seat.take() {
                self.leave_room(seat);
            }
        }
        result
    }
}
