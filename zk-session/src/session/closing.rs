//! The orderly end: what was accepted is sent, then the session is closed, or left alive.

use std::time::{Duration, Instant};

use zk_proto::{ErrorCode, Request, SessionId};

use super::{Ended, Session, later};
use crate::link::Stage;
use crate::queue::Kind;
use crate::{CloseOutcome, LinkError, RequestError, State, StateReason};

/// A close or detach under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    pub(super) deadline: Instant,
    pub(super) detach: bool,
    /// closeSession is queued, or sent.
    pub(super) asked: bool,
}

impl Session {
    /// Closes the session: refuses new requests (but urgent ones), sends what was accepted, asks
    /// the server to close, and waits up to `limit` for all of that. While the connection is lost
    /// it goes on trying to reconnect. Ends with [`Event::Closed`](crate::Event::Closed); calling
    /// it again changes nothing, but that a shorter limit counts.
    pub fn close(&mut self, now: Instant, limit: Duration) {
        self.begin_closing(now, limit, false);
    }

    /// Ends this object but not the session: refuses new requests, waits up to `limit` for those
    /// that were accepted, and drops the connection. Whoever has
    /// [`credentials`](Self::credentials) can resume the session until it times out.
    pub fn detach(&mut self, now: Instant, limit: Duration) {
        self.begin_closing(now, limit, true);
    }

    fn begin_closing(&mut self, now: Instant, limit: Duration, detach: bool) {
        self.clock(now);
        if self.ended.is_some() {
            return;
        }
        let deadline = later(self.now, limit);
        match &mut self.closing {
            Some(closing) => closing.deadline = closing.deadline.min(deadline),
            None => {
                self.closing = Some(Closing {
                    deadline,
                    detach,
                    asked: false,
                })
            }
        }
        self.advance_closing();
    }

    /// Takes the next step of a close, if it is time for it.
    pub(super) fn advance_closing(&mut self) {
        let Some(closing) = self.closing else { return };
        if self.ended.is_some() || closing.asked {
            return;
        }
        // A session whose handshake is still going on may exist already.
        let unknown = self.link.as_ref().is_some_and(|link| match link.stage {
            Stage::Greeting {
                offered,
                sent: Some(_),
            } => offered == SessionId::NONE,
            Stage::Greeting { sent: None, .. } | Stage::Connecting => false,
            Stage::Sasl { .. } | Stage::Auth { .. } | Stage::Active { .. } | Stage::ClosingOld => {
                false
            }
        });
        if self.identity.is_none() && self.stale.is_none() && !unknown {
            return self.finish_closing(CloseOutcome::Confirmed);
        }
        let waiting = self.in_flight.iter().any(|slot| slot.is_awaited());
        let idle = self.unsent.is_empty() && !waiting;
        if !self.link.as_ref().is_some_and(crate::link::Link::is_active) {
            if closing.detach && idle && self.state != State::Lost {
                self.finish_closing(CloseOutcome::Detached);
            }
            return;
        }
        if !self.unsent.is_empty() || self.restore.is_some() {
            return;
        }
        if closing.detach {
            if idle && self.control.is_empty() {
                self.finish_closing(CloseOutcome::Detached);
            }
            return;
        }
        if let Some(closing) = &mut self.closing {
            closing.asked = true;
        }
        self.control
            .push_internal(Kind::Close, &Request::CloseSession);
    }

    /// The close is over.
    pub(super) fn finish_closing(&mut self, outcome: CloseOutcome) {
        let detach = self.closing.is_some_and(|closing| closing.detach);
        let (reason, outcome) = if !detach {
            (StateReason::Closed, outcome)
        } else if outcome == CloseOutcome::Detached {
            (StateReason::Detached, outcome)
        } else {
            // It does not live on.
            (StateReason::Expired, CloseOutcome::Unconfirmed)
        };
        let abort = outcome == CloseOutcome::Unconfirmed;
        self.end(
            Ended::Closed,
            reason,
            |sent| RequestError::Closed { sent },
            outcome,
            abort,
        );
    }

    /// The limit of the close has passed.
    pub(super) fn closing_timed_out(&mut self) {
        let nothing_to_close = self.state == State::Lost && self.stale.is_none();
        let outcome = if nothing_to_close && self.identity.is_none() {
            CloseOutcome::Confirmed
        } else {
            CloseOutcome::Unconfirmed
        };
        let detach = self.closing.is_some_and(|closing| closing.detach);
        self.finish_closing(if detach {
            CloseOutcome::Detached
        } else {
            outcome
        });
    }

    /// The server answers closeSession.
    pub(super) fn close_reply(&mut self, code: ErrorCode) {
        if code.is_ok() || code == ErrorCode::SESSION_EXPIRED {
            self.finish_closing(CloseOutcome::Confirmed);
        } else {
            self.drop_link(LinkError::Refused(code), true);
        }
    }
}
