//! How a session ends, and who is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_session::{AuthFailure, CloseOutcome, Notice, RequestError, Session, StateReason};

use crate::Error;
use crate::async_result::Slot;
use crate::core::inner::{Inner, Sink};

impl Inner {
    /// Ends the session by `how`, within `limit`. `slot` resolves when it is done.
    pub(crate) fn close(
        &mut self,
        slot: Option<Arc<Slot<()>>>,
        how: impl FnOnce(&mut Session, Instant, Duration),
        (now, limit): (Instant, Duration),
    ) {
        if self.wound_up {
            if let Some(slot) = slot {
                let result = self.close_result();
                self.settle(&*slot, result);
            }
            return;
        }
        self.closing.extend(slot);
        how(&mut self.session, now, limit);
        self.loop_has_work();
        // They will be refused, one after the other.
        self.offer_room();
    }

    fn close_result(&self) -> Result<(), Error> {
        match self.outcome {
            Some(CloseOutcome::Unconfirmed) => Err(Error::CloseUnconfirmed),
            None if self.abandoned => Err(Error::CloseUnconfirmed),
            // Also where the servers had ended the session before.
            _ => Ok(()),
        }
    }

    pub(super) fn closed(&mut self, outcome: CloseOutcome) {
        self.outcome = Some(outcome);
        self.wind_up();
    }

    /// Why the session could not sign in, if that has ended it.
    pub(crate) fn auth_failure(&self) -> Option<&AuthFailure> {
        match &self.lost {
            Some(StateReason::AuthFailed(failure)) => Some(failure),
            _ => None,
        }
    }

    /// Has the session ended for good?
    pub(super) fn is_over(&self) -> bool {
        matches!(
            self.lost,
            Some(
                StateReason::AuthFailed(_)
                    | StateReason::RetriesExhausted
                    | StateReason::Closed
                    | StateReason::Detached
            )
        )
    }

    pub(crate) fn abandon(&mut self, now: Instant) {
        if !self.wound_up {
            self.session.close(now, Duration::ZERO);
            self.session.handle_timeout(now);
            self.drain();
        }
        self.abandoned = true;
        if !self.wound_up {
            self.wind_up();
        }
        self.dismiss_driver();
    }

    /// Tells everybody who still waits that it is over.
    pub(super) fn wind_up(&mut self) {
        self.wound_up = true;
        for entry in self.pending.take_all() {
            self.complete(entry, Err(RequestError::Closed { sent: true }));
        }
        let why = self.lost.clone().unwrap_or(StateReason::Closed);
        for (_, sink) in std::mem::take(&mut self.sinks) {
            match sink {
                Sink::Once(slot) => self.settle(&*slot, Err(Error::WatchEnded(why.clone()))),
                Sink::Stream(buffer, _) => {
                    let waker = buffer.put(|items| items.push_back(Notice::End(why.clone())));
                    self.effects.wake(waker);
                    let ended = buffer.end();
                    self.effects.wake(ended);
                }
            }
        }
        let timers = std::mem::take(&mut self.timers).into_values();
        for slot in timers.chain(std::mem::take(&mut self.until_closed)) {
            self.settle(&*slot, Err(Error::Closed { sent: false }));
        }
        for slot in std::mem::take(&mut self.until_connected) {
            let error = self.why_not_connected();
            self.settle(&*slot, Err(error));
        }
        for slot in std::mem::take(&mut self.closing) {
            let result = self.close_result();
            self.settle(&*slot, result);
        }
        for stream in std::mem::take(&mut self.streams) {
            let waker = stream.upgrade().and_then(|stream| stream.end());
            self.effects.wake(waker);
        }
        self.offer_room();
    }

    pub(super) fn why_not_connected(&self) -> Error {
        let last = || {
            self.session
                .last_error()
                .map(|(server, why)| (server.clone(), why.clone()))
        };
        match &self.lost {
            Some(StateReason::AuthFailed(_)) => Error::AuthFailed { sent: false },
            Some(StateReason::RetriesExhausted) => Error::RetriesExhausted { last: last() },
            _ => Error::Closed { sent: false },
        }
    }
}
