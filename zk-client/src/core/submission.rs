//! Handing requests to the session.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use zk_proto::SessionId;
use zk_session::{Call, Refused};

use crate::Error;
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
    pub(crate) fn take_back(&mut self, ticket: Ticket) {
        self.inner.take_back(self.now, ticket);
    }
}

/// When requests may be handed over.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) now: Instant,
    /// Waits for nobody.
    pub(crate) past_bounds: bool,
    /// In this session and in no other.
    pub(crate) within: Option<SessionNumber>,
    /// The same, by the session's id.
    pub(crate) session: Option<SessionId>,
}

/// A session of a core, or the one that it waits for: two of these differ if a session was lost in
/// between, and with it what was submitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SessionNumber {
    epoch: u32,
    lost: u64,
}

impl Core {
    /// Lets `submit` hand over requests, if nobody is waiting to do so since earlier. Those with a
    /// seat wait for their turn.
    pub(crate) fn submit<R>(
        &self,
        terms: Terms,
        seat: &mut Option<Seat>,
        submit: &mut dyn FnMut(&mut Submission<'_>) -> Result<R, Refused>,
    ) -> Result<R, Error> {
        self.enter(|inner| inner.submit(terms, seat, submit))
    }

    /// As [`submit`](Self::submit); if there is no room, sits down to wait and leaves `waker`.
    pub(crate) fn submit_or_wait<R>(
        &self,
        terms: Terms,
        seat: &mut Option<Seat>,
        waker: Waker,
        submit: &mut dyn FnMut(&mut Submission<'_>) -> Result<R, Refused>,
    ) -> Result<R, Error> {
        let (result, unused) = self.enter(|inner| {
            let result = inner.submit(terms, seat, submit);
            match result {
                Err(Error::Full { .. }) => {
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

    /// The session that would take what is submitted now.
    pub(crate) fn session_number(&self) -> SessionNumber {
        self.enter(|inner| inner.session_number())
    }
}

impl Inner {
    fn submit<R>(
        &mut self,
        terms: Terms,
        seat: &mut Option<Seat>,
        submit: &mut dyn FnMut(&mut Submission<'_>) -> Result<R, Refused>,
    ) -> Result<R, Error> {
        let now = terms.now;
        let result = if self.is_abandoned() {
            Err(Error::Closed { sent: false })
        } else if terms.within.is_some_and(|n| n != self.session_number())
            || terms.session.is_some_and(|id| !self.is_session(id))
        {
            Err(Error::SessionExpired { sent: false })
        } else if terms.past_bounds || self.room.is_next(*seat) {
            submit(&mut Submission { inner: self, now }).map_err(Error::from)
        } else {
            let stats = self.session.stats();
            Err(Error::Full {
                requests: stats.in_flight + stats.queued,
                bytes: stats.pending_bytes,
            })
        };
        if !matches!(result, Err(Error::Full { .. })) {
            if let Some(seat) = seat.take() {
                self.leave_room(seat);
            }
        }
        result
    }

    fn is_session(&self, id: SessionId) -> bool {
        self.session.credentials().is_some_and(|(own, _)| own == id)
    }

    fn session_number(&self) -> SessionNumber {
        SessionNumber {
            epoch: self.epoch,
            lost: self.session.stats().sessions_lost,
        }
    }
}
