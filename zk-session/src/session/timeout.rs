//! Moments at which something is due.

use std::time::{Duration, Instant};

use zk_proto::Request;

use super::Session;
use crate::link::{Link, Stage};
use crate::queue::Kind;
use crate::{CloseOutcome, Event, KeepAlive, LinkError, StateReason, TimeoutReason};

impl Session {
    /// A moment has come. Early, late and spurious calls do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock(now);
        self.time_out_requests();
        while let Some(id) = self.timers.due_user(self.now) {
            self.events.push_back(Event::Timer { id });
        }
        if self.ended.is_some() {
            return;
        }
        if self.is_due(self.closing.as_ref().map(|closing| closing.deadline)) {
            return self.closing_timed_out();
        }
        // It may have waited for nothing but requests that have just timed out.
        self.advance_closing();
        if self.ended.is_some() {
            return;
        }
        if self.is_due(self.give_up_at()) {
            self.give_up();
        }
        if self.is_due(self.connect_at()) {
            let error = self.link.as_ref().map(Link::too_late);
            self.drop_link(error.unwrap_or(LinkError::ConnectTimeout), true);
        }
        if self.is_due(self.silent_at()) {
            self.drop_link(LinkError::Silent, true);
        }
        if self.is_due(self.keep_alive_at()) {
            self.keep_alive_now();
        }
        if self.is_due(self.probe_at()) {
            self.probe_timeout();
        }
        if self.link.is_none() && self.is_due(self.retry_at) {
            self.attempt();
        }
    }

    fn is_due(&self, at: Option<Instant>) -> bool {
        at.is_some_and(|at| at <= self.now)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): the moment may lie in the past.
    /// While actions or events wait to be fetched, it is now.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timeout().0
    }

    /// How long it is until then: nothing, if the moment lies in the past.
    pub fn time_left(&self, now: Instant) -> Option<Duration> {
        self.poll_timeout()
            .map(|at| at.saturating_duration_since(now))
    }

    /// What the moment of [`poll_timeout`](Self::poll_timeout) is about.
    pub fn timeout_reason(&self) -> TimeoutReason {
        self.next_timeout().1
    }

    fn next_timeout(&self) -> (Option<Instant>, TimeoutReason) {
        if !self.actions.is_empty() || !self.events.is_empty() {
            return (Some(self.now), TimeoutReason::Undrained);
        }
        let mut next = (None, TimeoutReason::Idle);
        let mut consider = |at: Option<Instant>, reason| {
            if let Some(at) = at {
                if next.0.is_none_or(|first| at < first) {
                    next = (Some(at), reason);
                }
            }
        };
        consider(self.timers.next_request(), TimeoutReason::Request);
        consider(self.timers.next_user(), TimeoutReason::User);
        if self.ended.is_some() {
            return next;
        }
        consider(self.silent_at(), TimeoutReason::Silence);
        consider(self.keep_alive_at(), TimeoutReason::KeepAlive);
        consider(self.connect_at(), TimeoutReason::Connect);
        consider(self.give_up_at(), TimeoutReason::GiveUp);
        consider(self.probe_at(), TimeoutReason::Probe);
        consider(
            self.closing.as_ref().map(|closing| closing.deadline),
            TimeoutReason::Close,
        );
        if self.link.is_none() {
            consider(self.retry_at, TimeoutReason::Backoff);
        }
        next
    }

    /// When an attempt has used up its time.
    fn connect_at(&self) -> Option<Instant> {
        self.link
            .as_ref()
            .filter(|link| !link.is_active())
            .map(|link| link.budget)
    }

    /// When an active connection counts as dead: two thirds of the session timeout without a byte.
    /// Not while the driver has been asked to stop reading.
    fn silent_at(&self) -> Option<Instant> {
        let link = self.link.as_ref()?;
        let Stage::Active { since } = link.stage else {
            return None;
        };
        if self.events.len() >= self.config.max_events {
            return None;
        }
        // Nor is the server to blame for what the driver has not read.
        let heard = self
            .live
            .last_heard
            .max(self.reading_since)
            .unwrap_or(since)
            .max(since);
        Some(heard + self.timeout() * 2 / 3)
    }

    /// When something must be sent, for the server to keep the session and to show itself alive.
    fn keep_alive_at(&self) -> Option<Instant> {
        self.link.as_ref().filter(|link| link.is_active())?;
        if self.keep_alive_queued || self.closing.as_ref().is_some_and(|c| c.asked) {
            return None;
        }
        let ping = self.live.last_sent? + self.timeout() / 3;
        Some(self.sync_at().map_or(ping, |sync| sync.min(ping)))
    }

    /// When a `sync` is due, where that is asked for.
    fn sync_at(&self) -> Option<Instant> {
        let read_only = self.link.as_ref().is_none_or(|link| link.read_only);
        if self.keep_alive != KeepAlive::Sync || read_only || self.sync_in_flight {
            return None;
        }
        Some(self.live.last_proof? + self.timeout() / 4)
    }

    fn keep_alive_now(&mut self) {
        self.keep_alive_queued = true;
        if self.is_due(self.sync_at()) {
            self.control
                .push_internal(Kind::KeepAlive, &Request::Sync { path: "/".into() });
        } else {
            self.control.push_internal(Kind::Ping, &Request::Ping);
        }
    }

    fn give_up(&mut self) {
        if self.closing.as_ref().is_some_and(|closing| closing.detach) {
            // It was to live on, which nobody can promise any more.
            return self.finish_closing(CloseOutcome::Unconfirmed);
        }
        self.lose_session(StateReason::GivenUp);
        if let Some(link) = &mut self.link {
            // It may still bring the session back: then only to be closed.
            link.purpose = crate::link::Purpose::CloseOld;
        }
    }
}
