//! What must hold of a session's outputs, whatever happens to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use zk_session::{
    CloseOutcome, Event, Notice, Outcome, RequestError, RequestId, State, StateReason, TimerId,
    WatchId,
};

/// Requests carry `#number#` in a path or a datum, by which they are known on the wire.
pub fn tag_text(tag: u64) -> String {
    format!("#{tag}#")
}

/// The number that a request carries.
pub fn tag_of(frame: &[u8]) -> Option<u64> {
    let start = frame.iter().position(|b| *b == b'#')? + 1;
    let rest = &frame[start..];
    let end = rest.iter().position(|b| *b == b'#')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

#[derive(Clone, Debug)]
struct Request {
    tag: Option<u64>,
    cancelled: bool,
    done: bool,
    proven_unsent: bool,
    not_applied: bool,
}

/// A ledger of what was asked and told.
#[derive(Debug)]
pub struct Checks {
    requests: BTreeMap<RequestId, Request>,
    newest_in_order: Option<RequestId>,
    timers: BTreeSet<TimerId>,
    /// Watchers that may still be told something, and whether they stay.
    watchers: BTreeMap<WatchId, bool>,
    state: State,
    closed: bool,
    /// The peer has broken no rule so far.
    pub honest: bool,
    /// Numbers seen on the wire.
    pub sent: BTreeSet<u64>,
}

impl Checks {
    pub fn new(state: State) -> Self {
        Self {
            requests: BTreeMap::new(),
            newest_in_order: None,
            timers: BTreeSet::new(),
            watchers: BTreeMap::new(),
            state,
            closed: false,
            honest: true,
            sent: BTreeSet::new(),
        }
    }

    pub fn submitted(&mut self, id: RequestId, tag: Option<u64>) {
        let request = Request {
            tag,
            cancelled: false,
            done: false,
            proven_unsent: false,
            not_applied: false,
        };
        assert!(self.requests.insert(id, request).is_none(), "{id} twice");
    }

    pub fn watcher(&mut self, id: WatchId, lasting: bool) {
        self.watchers.insert(id, lasting);
    }

    pub fn unwatched(&mut self, id: WatchId) {
        self.watchers.remove(&id);
    }

    /// `unsent`: it is proven that it never was and never will be sent.
    pub fn cancelled(&mut self, id: RequestId, unsent: bool) {
        let request = self.requests.get_mut(&id).expect("only known ones");
        assert!(!request.done && !request.cancelled, "{id} was over already");
        request.cancelled = true;
        request.proven_unsent = unsent;
    }

    /// Bytes have left the session. Frames may be answered at once, and so be gone: what they carry is
    /// looked for in the bytes themselves.
    pub fn transmitted(&mut self, out: &[u8]) {
        let mut rest = out;
        while let Some(at) = rest.iter().position(|b| *b == b'#') {
            self.sent.extend(tag_of(&rest[at..]));
            rest = &rest[at + 1..];
        }
    }

    pub fn timer(&mut self, id: TimerId) {
        self.timers.insert(id);
    }

    pub fn timer_cancelled(&mut self, id: TimerId) {
        self.timers.remove(&id);
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn event(&mut self, event: &Event) {
        let after_all = matches!(event, Event::Timer { .. });
        assert!(!self.closed || after_all, "{event:?} after the last one");
        match event {
            Event::StateChanged { from, to, reason } => self.state_changed(*from, *to, reason),
            Event::Completed { id, result, .. } => self.completed(*id, result.as_ref().err()),
            Event::Watch { id, notice } => self.noticed(*id, notice),
            Event::Timer { id } => assert!(self.timers.remove(id), "{id} twice or unknown"),
            Event::Closed { outcome } => {
                self.closed = true;
                let detached = *outcome == CloseOutcome::Detached;
                assert!(!detached || self.state == State::Lost);
            }
            Event::ConnectFailed { .. } => {}
            other => panic!("unknown event {other:?}"),
        }
    }

    fn state_changed(&mut self, from: State, to: State, reason: &StateReason) {
        assert_eq!(from, self.state, "transitions are a chain");
        use State::{Connected, Lost, Suspended};
        let ends = matches!(
            reason,
            StateReason::Closed
                | StateReason::Detached
                | StateReason::AuthFailed(_)
                | StateReason::RetriesExhausted
                // A detach that found no session to leave alive.
                | StateReason::Expired
        );
        let legal = match (from, to) {
            (Lost, Connected { .. }) => *reason != StateReason::Expired,
            (Suspended { .. }, Connected { .. }) => true,
            (Connected { .. }, Suspended { .. }) => {
                matches!(reason, StateReason::ConnectionLost(_))
            }
            (Connected { .. } | Suspended { .. }, Lost) => true,
            (Lost, Lost) => ends,
            (Connected { .. }, Connected { .. })
            | (Suspended { .. }, Suspended { .. })
            | (Lost, Suspended { .. }) => false,
        };
        assert!(legal, "{from:?} to {to:?} by {reason:?}");
        self.state = to;
    }

    fn completed(&mut self, id: RequestId, error: Option<&RequestError>) {
        let request = self.requests.get_mut(&id).expect("only what was submitted");
        assert!(!request.cancelled, "{id} was cancelled");
        assert!(!request.done, "{id} completed twice");
        request.done = true;
        let timed_out = matches!(error, Some(RequestError::TimedOut { .. }));
        if self.honest && !timed_out {
            assert!(Some(id) > self.newest_in_order, "{id} out of order");
            self.newest_in_order = Some(id);
        }
        request.not_applied = error.is_some_and(|e| e.outcome() == Outcome::NotApplied);
        request.proven_unsent = matches!(
            error,
            Some(
                RequestError::ConnectionLoss { sent: false }
                    | RequestError::TimedOut { sent: false }
                    | RequestError::SessionExpired { sent: false }
                    | RequestError::Closed { sent: false }
                    | RequestError::AuthFailed { sent: false }
            )
        );
        if let Some(RequestError::ConnectionLoss { .. }) = error {
            assert!(matches!(self.state, State::Suspended { .. }), "state first");
        }
        if let Some(RequestError::SessionExpired { .. }) = error {
            assert!(self.state == State::Lost, "state first");
        }
    }

    fn noticed(&mut self, id: WatchId, notice: &Notice) {
        let lasting = *self.watchers.get(&id).expect("a watcher that is not gone");
        match notice {
            Notice::Event(_) if lasting => {}
            Notice::Gap { from, to } => {
                assert!(lasting, "a gap is for those who stay");
                assert!(from <= to, "{from} to {to}");
            }
            Notice::Event(_) | Notice::End(_) => {
                self.watchers.remove(&id);
            }
            other => panic!("unknown notice {other:?}"),
        }
    }

    /// What holds whenever the session has nothing to tell.
    pub fn at_rest(&self, state: State) {
        assert_eq!(state, self.state, "what was told is what is");
    }

    pub fn deadline(&self, deadline: Option<Instant>, allowed: Option<Instant>) {
        if let (true, Some(deadline), Some(allowed)) = (self.honest, deadline, allowed) {
            let late = deadline.saturating_duration_since(allowed);
            assert!(deadline <= allowed, "the deadline is {late:?} late");
        }
    }

    /// What holds in the end. `applied` is what took effect at the servers.
    pub fn finished(&self, applied: &BTreeSet<u64>) {
        assert!(self.closed, "the last event is missing");
        assert!(self.timers.is_empty(), "timers are left: {:?}", self.timers);
        for (id, request) in &self.requests {
            assert!(request.done || request.cancelled, "{id} never completed");
            let Some(tag) = request.tag else { continue };
            let sent = self.sent.contains(&tag);
            assert!(!(request.proven_unsent && sent), "{id} was sent after all");
            let applied = applied.contains(&tag);
            assert!(
                !(self.honest && request.not_applied && applied),
                "{id} took effect after all"
            );
        }
    }
}
