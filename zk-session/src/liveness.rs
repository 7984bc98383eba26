//! What is known of the session's life at the servers.
//!
//! A server answering proves little: a follower that is cut off from its leader goes on answering
//! pings and reads for `syncLimit` ticks while the leader lets the session expire. What does prove
//! it is an answer that must have come through the leader, to a `sync` or a write. Followers hand
//! the leader the sessions that were touched at least once in half a tick, on the same ordered
//! channel as the request, and the session timeout `T` is at least two ticks. So a request sent at
//! `s` has been counted by the leader once a `sync` or write sent at `s + T/4` or later is
//! answered, and the session lives until `s + T` at least (`LearnerHandler.run`,
//! `Leader.lead`, `SessionTrackerImpl.touchSession` of the server).
//!
//! A handshake asks the leader itself (`Learner.validateSession`), so its own sending counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zk_proto::Xid;

/// What keeps an idle session alive.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeepAlive {
    /// A ping every third of the session timeout: cheap, keeps the session.
    #[default]
    Ping,
    /// A `sync` every quarter of it: also keeps [`Session::deadline`](crate::Session::deadline)
    /// in the future, for whoever acts only while the session is known to live.
    Sync,
}

/// Send times and what their answers prove.
#[derive(Clone, Debug, Default)]
pub(crate) struct Liveness {
    /// Moments at which something that keeps the session alive was sent on this connection: the
    /// newest that is old enough for a proof sent now, and all younger ones, thinned out.
    touches: VecDeque<Instant>,
    /// Proofs in flight: a request, and the touch that its answer will confirm.
    proofs: VecDeque<(Xid, Instant)>,
    /// The newest confirmed touch.
    confirmed: Option<Instant>,
    /// Since when nothing was sent.
    pub(crate) last_sent: Option<Instant>,
    /// Since when no proof was sent.
    pub(crate) last_proof: Option<Instant>,
    /// Since when nothing was heard.
    pub(crate) last_heard: Option<Instant>,
}

impl Liveness {
    /// The session was taken by a server that had asked its leader; the request left at `sent`.
    pub(crate) fn attached(&mut self, sent: Instant, now: Instant, confirmed: bool) {
        self.touches.clear();
        self.proofs.clear();
        if confirmed {
            self.confirmed = self.confirmed.max(Some(sent));
            self.touches.push_back(sent);
        }
        self.last_sent = Some(now);
        self.last_proof = Some(sent);
        self.last_heard = Some(now);
    }

    /// The session is gone.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Something that keeps the session alive is being sent.
    pub(crate) fn sent(&mut self, now: Instant, timeout: Duration) {
        self.last_sent = Some(now);
        let thin = timeout / 32;
        if self
            .touches
            .back()
            .is_none_or(|last| now.duration_since(*last) >= thin)
        {
            self.touches.push_back(now);
        }
        // Of those that are old enough already only the newest can still matter.
        while self
            .touches
            .get(1)
            .is_some_and(|t| now.duration_since(*t) >= timeout / 4)
        {
            self.touches.pop_front();
        }
    }

    /// A request that only a leader can answer is being sent.
    pub(crate) fn sent_proof(&mut self, now: Instant, xid: Xid, timeout: Duration) {
        self.last_proof = Some(now);
        let Some(&touch) = self.touches.front() else {
            return;
        };
        let news = self
            .proofs
            .back()
            .map(|(_, t)| *t)
            .or(self.confirmed)
            .is_none_or(|t| touch > t);
        if news && now.duration_since(touch) >= timeout / 4 {
            self.proofs.push_back((xid, touch));
        }
    }

    /// The request with this xid was answered; `by_leader` if the answer shows that.
    pub(crate) fn answered(&mut self, xid: Xid, by_leader: bool) {
        if self.proofs.front().is_some_and(|(first, _)| *first == xid) {
            let touch = self.proofs.pop_front().map(|(_, touch)| touch);
            if by_leader {
                self.confirmed = self.confirmed.max(touch);
            }
        }
    }

    /// The connection is gone: what is in flight proves nothing any more.
    pub(crate) fn disconnected(&mut self) {
        self.touches.clear();
        self.proofs.clear();
    }

    /// Before this moment the servers cannot have dropped the session.
    pub(crate) fn deadline(&self, timeout: Duration, margin: Duration) -> Option<Instant> {
        self.confirmed.map(|at| at + timeout.saturating_sub(margin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(8);

    fn attached() -> (Instant, Liveness) {
        let start = Instant::now_for_tests();
        let mut l = Liveness::default();
        l.attached(start, start, true);
        (start, l)
    }

    trait Anchor {
        fn now_for_tests() -> Self;
    }

    impl Anchor for Instant {
        #[expect(
            clippy::disallowed_methods,
            reason = "an anchor; nothing depends on its value"
        )]
        fn now_for_tests() -> Self {
            Self::now()
        }
    }

    #[test]
    fn a_proof_confirms_what_was_sent_a_quarter_earlier() {
        let (start, mut l) = attached();
        let at = |ms| start + Duration::from_millis(ms);
        l.sent(at(1000), T);
        l.sent(at(2500), T);
        // 2.5 s after the handshake (a quarter is 2 s), but only 1.5 s after the second.
        l.sent_proof(at(2500), Xid(1), T);
        l.answered(Xid(1), true);
        assert_eq!(
            l.deadline(T, Duration::ZERO),
            Some(start + T),
            "nothing newer than the handshake"
        );
        l.sent(at(3100), T);
        l.sent_proof(at(3100), Xid(2), T);
        l.answered(Xid(2), true);
        assert_eq!(l.deadline(T, Duration::ZERO), Some(at(1000) + T));
    }

    #[test]
    fn answers_not_from_the_leader_prove_nothing() {
        let (start, mut l) = attached();
        let later = start + Duration::from_secs(5);
        l.sent(start + Duration::from_secs(1), T);
        l.sent(later, T);
        l.sent_proof(later, Xid(7), T);
        l.answered(Xid(7), false);
        assert_eq!(l.deadline(T, Duration::ZERO), Some(start + T));
    }

    #[test]
    fn touches_do_not_pile_up() {
        let (start, mut l) = attached();
        for ms in 0..100_000 {
            l.sent(start + Duration::from_millis(ms), T);
        }
        assert!(l.touches.len() <= 10, "{} touches", l.touches.len());
    }

    #[test]
    fn with_a_sync_every_quarter_the_deadline_stays_ahead() {
        let (start, mut l) = attached();
        for turn in 1..100u32 {
            let now = start + T / 4 * turn;
            let before = l.deadline(T, T / 20).unwrap_or(start);
            assert!(
                before > now + T / 5,
                "turn {turn}: {:?} left",
                before.saturating_duration_since(now)
            );
            l.sent(now, T);
            l.sent_proof(now, Xid(turn as i32), T);
            l.answered(Xid(turn as i32), true);
        }
    }
}
