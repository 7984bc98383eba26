//! Attempts, losses, and the end: every change of [`State`] is made here.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};
use zk_proto::{Reply, Zxid};

use super::{Ended, Session, Stale, later};
use crate::link::{Link, Stage};
use crate::queue::Slot;
use crate::{
    Action, CloseOutcome, Event, GiveUp, LinkError, Refused, RequestError, State, StateReason,
};

/// A lost connection is replaced after a random pause of up to this long, so that the clients of a
/// failed server do not all knock at the next one in the same instant.
const SPREAD: Duration = Duration::from_millis(100);

/// The least session timeout that sets the pace of attempts. One that is shorter cannot be kept
/// anyway, and must not make a client knock thousands of times a second.
const LEAST_PACE: Duration = Duration::from_millis(100);

/// A session that was given up is let go after so many servers took it up and did not close it.
const MAX_REFUSALS: u32 = 3;

/// And after so many session timeouts, where a read-only server could serve its successor.
const MAX_WAIT: u32 = 2;

impl Session {
    /// Begins an attempt at the next server, if none is under way.
    pub(super) fn attempt(&mut self) {
        if self.ended.is_some() || self.link.is_some() {
            return;
        }
        self.retry_at = None;
        self.failing_since.get_or_insert(self.now);
        let pick = self.servers.pick(&mut self.rng);
        let layer = match &self.config.layer {
            None => None,
            Some(factory) => match factory.layer(&pick.server) {
                Ok(layer) => Some(layer),
                Err(error) => {
                    let error = LinkError::Layer(error);
                    self.complain(&pick.server, &error);
                    self.last_error = Some((pick.server.clone(), error.clone()));
                    self.events.push_back(Event::ConnectFailed {
                        server: pick.server,
                        error,
                    });
                    self.retry();
                    return;
                }
            },
        };
        let conn = self.next_conn();
        let budget = later(self.now, self.budget());
        self.counters.attempts += 1;
        let span = self.spans.connection(conn, &pick.server);
        debug!(parent: &span, %conn, server = %pick.server, attempt = pick.attempt, "connecting");
        self.link = Some(Link::new(
            conn,
            pick.server.clone(),
            self.purpose(),
            budget,
            layer,
            span,
        ));
        let (server, attempt) = (pick.server, pick.attempt);
        self.actions.push_back(Action::Connect {
            conn,
            server,
            attempt,
        });
    }

    /// The session timeout, as far as attempts and the pauses between them go by it.
    fn pace(&self) -> Duration {
        self.timeout().max(LEAST_PACE)
    }

    /// How long one attempt may take.
    fn budget(&self) -> Duration {
        let t = self.pace();
        self.config.connect_timeout.unwrap_or_else(|| {
            let share = t * 2 / 3 / u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
            share.max((t / 2).min(Duration::from_millis(500)))
        })
    }

    /// An attempt has failed: the next server at once, or after a pause if all were tried.
    pub(super) fn retry(&mut self) {
        if !self.servers.round_is_over() {
            self.attempt();
            return;
        }
        self.servers.start_round();
        self.tell_outage();
        let elapsed = self.now - self.failing_since.unwrap_or(self.now);
        let cap = self.longest_pause();
        match self.backoff.after_failure(&mut self.rng, elapsed, cap) {
            Some(pause) => self.retry_at = Some(later(self.now, pause)),
            None => {
                let tries = self.backoff.failures();
                warn!(parent: self.spans.session(), tries, "no more attempts are allowed");
                let closed = |sent| RequestError::Closed { sent };
                let outcome = CloseOutcome::Unconfirmed;
                self.end(
                    Ended::Closed,
                    StateReason::RetriesExhausted,
                    closed,
                    outcome,
                    true,
                );
            }
        }
    }

    /// No server can be reached. The operator is told once, and not for each attempt.
    fn tell_outage(&mut self) {
        if self.closing.is_some() || std::mem::replace(&mut self.outage_told, true) {
            return;
        }
        if let Some((server, error)) = &self.last_error {
            let (span, servers) = (self.spans.session(), self.servers.len());
            warn!(parent: span, servers, %server, %error, "no server can be reached, trying on");
        }
    }

    /// The connection is of no use any more. `tell` the driver, unless it told us.
    pub(super) fn drop_link(&mut self, error: LinkError, tell: bool) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        if tell {
            self.disconnect(&mut link, true);
        }
        let conn = link.conn;
        debug!(parent: &link.span, %conn, server = %link.server, %error, "connection ended");
        self.stop_probing();
        self.last_error = Some((link.server.clone(), error.clone()));
        self.live.disconnected();
        self.clear_control();
        match link.stage {
            Stage::Active { since } => self.suspend(since, error),
            Stage::Connecting
            | Stage::Greeting { .. }
            | Stage::Sasl { .. }
            | Stage::Auth { .. }
            | Stage::ClosingOld => {
                let attached = !matches!(link.stage, Stage::Connecting | Stage::Greeting { .. });
                self.complain(&link.server, &error);
                self.events.push_back(Event::ConnectFailed {
                    server: link.server,
                    error,
                });
                self.count_refusal(attached);
                self.advance_closing();
                if self.ended.is_none() {
                    self.retry();
                }
            }
        }
    }

    /// An attempt to close the session that was given up has failed. A server that declines it
    /// would decline its successor too, but one that takes it up and does not close it must not
    /// hold things up for ever.
    fn count_refusal(&mut self, attached: bool) {
        let Some(stale) = &mut self.stale else { return };
        stale.refusals += u32::from(attached);
        let waited = self.now - stale.since >= stale.identity.timeout * MAX_WAIT;
        if stale.refusals < MAX_REFUSALS && !(self.config.read_only && waited) {
            return;
        }
        let (span, session) = (self.spans.session(), stale.identity.id);
        warn!(parent: span, %session, "cannot close the old session, leaving it to its timeout");
        self.stale = None;
        if self.closing.is_some() {
            self.finish_closing(CloseOutcome::Unconfirmed);
        }
    }

    fn suspend(&mut self, since: Instant, error: LinkError) {
        self.counters.losses += 1;
        let fresh = self.now - since < self.pace() / 3;
        if !fresh {
            self.backoff.reset();
        }
        let moved = matches!(
            error,
            LinkError::FoundWritable | LinkError::ServerRemoved | LinkError::Requested
        );
        self.gap_from.get_or_insert(self.last_zxid);
        let until = self.deadline().unwrap_or(self.now);
        self.set_state(
            State::Suspended { until },
            StateReason::ConnectionLost(error),
        );
        self.fail_all(|sent| RequestError::ConnectionLoss { sent });
        self.watches.disconnected();
        if let Some(closing) = &mut self.closing {
            closing.asked = false;
        }
        self.failing_since = Some(self.now);
        self.advance_closing();
        if self.ended.is_some() {
            return;
        }
        if moved {
            self.attempt();
        } else if fresh {
            self.pause();
        } else {
            let spread = SPREAD.min(self.pace() / 20);
            self.retry_at = Some(self.now + spread.mul_f64(self.rng.unit()));
        }
    }

    /// Has the connection been usable for a short while only? Then the next is not made at once:
    /// a server that takes sessions up just to drop them must not be asked again and again.
    pub(super) fn is_fresh_link(&self) -> bool {
        self.link.as_ref().is_some_and(|link| match link.stage {
            Stage::Active { since } => self.now - since < self.pace() / 3,
            Stage::Connecting
            | Stage::Greeting { .. }
            | Stage::Sasl { .. }
            | Stage::Auth { .. }
            | Stage::ClosingOld => true,
        })
    }

    /// Waits before the next attempt, longer each time.
    pub(super) fn pause(&mut self) {
        let longest = self.longest_pause();
        let pause = self.backoff.pause(&mut self.rng, longest);
        self.retry_at = Some(later(self.now, pause));
    }

    /// A long pause must not cost a session that could still be saved.
    fn longest_pause(&self) -> Duration {
        let alive = self.identity.is_some() && self.state != State::Lost;
        if alive {
            self.pace() / 4
        } else {
            Duration::MAX
        }
    }

    /// The session is gone, and another is to be made.
    pub(super) fn lose_session(&mut self, reason: StateReason) {
        let identity = self.identity.take();
        #[cfg(zk_planted)]
        let skips = self.is_planted(crate::Planted::SkipCloseOld);
        #[cfg(not(zk_planted))]
        let skips = false;
        if reason == StateReason::GivenUp && !skips {
            let since = self.now;
            self.stale = identity.map(|identity| Stale {
                identity,
                since,
                refusals: 0,
            });
        }
        self.live.reset();
        self.last_zxid = Zxid::ZERO;
        self.gap_from = None;
        if self.state == State::Lost {
            // A session that was to be resumed does not exist: what waits, waits for a new one.
            return;
        }
        self.counters.sessions_lost += 1;
        self.set_state(State::Lost, reason.clone());
        self.fail_all(|sent| RequestError::SessionExpired { sent });
        let Self {
            watches, events, ..
        } = self;
        #[cfg(zk_planted)]
        if self.config.planted == Some(crate::Planted::KeepWatches) {
            watches.disconnected();
            return;
        }
        watches.end(&reason, &mut |event| events.push_back(event));
    }

    /// When the session is taken for lost, if nothing is heard until then.
    pub(super) fn give_up_at(&self) -> Option<Instant> {
        let State::Suspended { until } = self.state else {
            return None;
        };
        let t = self.timeout();
        let after = match self.config.give_up {
            GiveUp::Default => t / 3,
            GiveUp::After(after) => after,
            GiveUp::Never => return None,
        };
        // Idle clients prove their session seldom; any answer shows that it lived then.
        let contact = self.live.last_heard.map_or(until, |heard| heard + t);
        Some(later(until.max(contact), after))
    }

    pub(super) fn set_state(&mut self, to: State, reason: StateReason) {
        let from = std::mem::replace(&mut self.state, to);
        info!(parent: self.spans.session(), ?from, ?to, ?reason, "state");
        if to == State::Lost {
            self.spans.end();
        }
        self.events
            .push_back(Event::StateChanged { from, to, reason });
    }

    /// Nothing more will happen: the one way out.
    pub(super) fn end(
        &mut self,
        ended: Ended,
        reason: StateReason,
        error: impl Fn(bool) -> RequestError,
        outcome: CloseOutcome,
        abort: bool,
    ) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(ended);
        self.stop_probing();
        if let Some(mut link) = self.link.take() {
            self.disconnect(&mut link, abort);
        }
        self.retry_at = None;
        self.closing = None;
        self.stale = None;
        self.live.reset();
        self.clear_control();
        self.set_state(State::Lost, reason.clone());
        self.fail_all(error);
        let Self {
            watches, events, ..
        } = self;
        watches.end(&reason, &mut |event| events.push_back(event));
        self.identity = None;
        self.wake_sleepers();
        self.events.push_back(Event::Closed { outcome });
    }

    /// Whoever sleeps is woken: there is no later.
    pub(super) fn wake_sleepers(&mut self) {
        while let Some(id) = self.timers.pop_user() {
            self.events.push_back(Event::Timer { id });
        }
    }

    /// Forgets the session's own requests: they make sense on their connection only.
    pub(super) fn clear_control(&mut self) {
        self.control.take_all();
        self.keep_alive_queued = false;
        self.sync_in_flight = false;
        self.ping_sent = None;
        self.timed = None;
        self.restore = None;
        self.rearming.clear();
        self.unwatching.clear();
        self.unreconciled.clear();
    }

    /// Fails everything that was submitted: first what is in flight, then what is unsent.
    fn fail_all(&mut self, error: impl Fn(bool) -> RequestError) {
        self.offered.clear();
        #[cfg(zk_planted)]
        let error = {
            let wrong = self.is_planted(crate::Planted::SentIsNotApplied);
            move |sent| error(sent && !wrong)
        };
        #[cfg(zk_planted)]
        if self.planted_fails_less(&error(true)) {
            return;
        }
        for (slots, sent) in [
            (std::mem::take(&mut self.in_flight), true),
            (self.unsent.take_all(), false),
        ] {
            for slot in slots {
                match slot.early {
                    Some((zxid, code)) if code.is_ok() => {
                        self.complete(&slot, zxid, Ok(Reply::Empty));
                    }
                    Some((zxid, code)) => {
                        self.complete(&slot, zxid, Err(RequestError::Server(code)));
                    }
                    None => self.complete(&slot, Zxid::ZERO, Err(error(sent))),
                }
                if let Some(watch) = slot.watch {
                    self.watches.failed(watch.id, watch.entry, watch.arms);
                }
            }
        }
    }

    /// Planted: keeps what must fail.
    #[cfg(zk_planted)]
    fn planted_fails_less(&mut self, error: &RequestError) -> bool {
        use crate::{Planted, queue::Kind};
        let resends = self.is_planted(Planted::ResendWrite);
        let is_plain = |slot: &Slot| slot.kind == Kind::User && slot.watch.is_none();
        let keeps = if matches!(error, RequestError::ConnectionLoss { .. }) {
            resends || self.is_planted(Planted::KeepUnsent)
        } else {
            matches!(error, RequestError::SessionExpired { .. })
                && self.is_planted(Planted::KeepWaiting)
                && self.unsent.slots().iter().all(is_plain)
        };
        if !keeps {
            return false;
        }
        for slot in std::mem::take(&mut self.in_flight) {
            let copy = self
                .planted_copies
                .iter()
                .position(|(id, _)| *id == slot.id);
            if let (true, Some(copy)) = (resends && slot.is_awaited(), copy) {
                let (_, frame) = self.planted_copies.swap_remove(copy);
                self.unsent.push_again(slot, &frame);
                continue;
            }
            self.complete(&slot, Zxid::ZERO, Err(error.clone()));
            if let Some(watch) = slot.watch {
                self.watches.failed(watch.id, watch.entry, watch.arms);
            }
        }
        self.planted_copies.clear();
        true
    }

    /// A request is over: its place is free again, and its result is told if anyone waits.
    pub(super) fn complete(
        &mut self,
        slot: &Slot,
        zxid: Zxid,
        result: Result<Reply, RequestError>,
    ) {
        self.release(slot);
        #[cfg(zk_planted)]
        if self.is_planted(crate::Planted::LoseCompletion) && result.is_ok() {
            self.planted_count += 1;
            if self.planted_count % 100 == 99 {
                return;
            }
        }
        if slot.is_awaited() {
            self.timers.clear_request(slot.deadline, slot.id);
            self.events.push_back(Event::Completed {
                id: slot.id,
                zxid,
                result,
            });
        }
    }

    /// Gives back what a request takes of the bounds.
    pub(super) fn release(&mut self, slot: &Slot) {
        if slot.counted {
            self.counted -= 1;
            self.counted_bytes -= slot.size as usize;
        }
    }

    /// Whether anything may still be submitted.
    pub(super) fn check_open(&self, urgent: bool) -> Result<(), Refused> {
        match (self.ended, &self.closing) {
            (Some(ended), _) => Err(ended.refused()),
            // Releases are part of an orderly close.
            (None, Some(closing)) if !urgent || closing.asked => Err(Refused::Closed),
            (None, _) => Ok(()),
        }
    }
}
