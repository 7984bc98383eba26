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
//! The quarter is counted from the moment at which the earlier request was *answered*, not sent:
//! both may have been held up on the way and arrive together.
//!
//! A handshake asks the leader itself (`Learner.validateSession`), so its own sending counts.
//!
//! What this cannot see: a leader that was deposed and does not know it yet answers as if it were
//! in office, for a tick or so; and a lost handshake whose reply would have told of a shorter `T`.

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
    /// Also a `sync`, a quarter of the timeout after the last answer from the leader: keeps
    /// [`Session::deadline`](crate::Session::deadline) in the future, for whoever acts only while
    /// the session is known to live.
    Sync,
}

/// A moment at which something that keeps the session alive was sent.
#[derive(Clone, Copy, Debug)]
struct Touch {
    sent: Instant,
    /// Whose answer shows that it has arrived.
    mark: Xid,
    answered: Option<Instant>,
}

/// Send times and what their answers prove.
#[derive(Clone, Debug, Default)]
pub(crate) struct Liveness {
    /// Touches of this connection: the newest that a proof sent now would confirm, and all
    /// younger ones, thinned out.
    touches: VecDeque<Touch>,
    /// Touches that are answered, from the front on.
    settled: usize,
    /// Proofs in flight: a request, and the touch that its answer will confirm.
    proofs: VecDeque<(Xid, Instant)>,
    /// Until when the session lives for certain.
    lives_until: Option<Instant>,
    /// The newest touch that is confirmed.
    confirmed: Option<Instant>,
    /// Since when nothing was sent.
    pub(crate) last_sent: Option<Instant>,
    /// When something was last heard from the leader.
    pub(crate) last_proof: Option<Instant>,
    /// Since when nothing was heard.
    pub(crate) last_heard: Option<Instant>,
}

impl Liveness {
    /// The session was taken by a server that had asked its leader (if `confirmed`); the request
    /// left at `sent`, and `timeout` holds from now on.
    pub(crate) fn attached(
        &mut self,
        sent: Instant,
        now: Instant,
        confirmed: bool,
        timeout: Duration,
    ) {
        self.disconnected();
        if confirmed {
            self.lives_until = Some(sent + timeout);
            self.confirmed = Some(sent);
            self.touches.push_back(Touch {
                sent,
                mark: Xid(0),
                answered: Some(now),
            });
            self.settled = 1;
        }
        self.last_sent = Some(sent);
        self.last_proof = Some(now);
        self.last_heard = Some(now);
    }

    /// The session is gone.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Something that keeps the session alive is being sent; an answer with the number `mark` will
    /// show that it has arrived.
    pub(crate) fn sent(&mut self, now: Instant, mark: Xid, timeout: Duration) {
        self.last_sent = Some(now);
        let thin = timeout / 32;
        let recent = |t: &Touch| now.saturating_duration_since(t.sent) < thin;
        if !self.touches.back().is_some_and(recent) {
            self.touches.push_back(Touch {
                sent: now,
                mark,
                answered: None,
            });
        }
        // Of those that a proof would confirm now only the newest can still matter.
        while self.touches.get(1).is_some_and(|t| ripe(t, now, timeout)) {
            self.touches.pop_front();
            self.settled = self.settled.saturating_sub(1);
        }
    }

    /// A request that only a leader can answer is being sent.
    pub(crate) fn sent_proof(&mut self, now: Instant, xid: Xid, timeout: Duration) {
        let Some(touch) = self.touches.front().filter(|t| ripe(t, now, timeout)) else {
            return;
        };
        let newest = self
            .proofs
            .back()
            .map(|(_, sent)| *sent)
            .max(self.confirmed);
        if newest.is_none_or(|newest| touch.sent > newest) {
            self.proofs.push_back((xid, touch.sent));
        }
    }

    /// The request with this number was answered; `by_leader` if the answer shows that.
    #[inline]
    pub(crate) fn answered(&mut self, now: Instant, xid: Xid, by_leader: bool, timeout: Duration) {
        if self.settled < self.touches.len() {
            self.settle(now, xid);
        }
        if by_leader {
            self.last_proof = Some(now);
        }
        if self.proofs.front().is_some_and(|(first, _)| *first == xid) {
            if let Some((_, touch)) = self.proofs.pop_front().filter(|_| by_leader) {
                self.confirmed = self.confirmed.max(Some(touch));
                self.lives_until = self.lives_until.max(Some(touch + timeout));
            }
        }
    }

    /// Planted: something proves more than it does.
    #[cfg(zk_planted)]
    pub(crate) fn planted_proof(&mut self, now: Instant, timeout: Duration) {
        self.lives_until = self.lives_until.max(Some(now + timeout));
    }

    /// What was sent up to the request with this number has arrived.
    fn settle(&mut self, now: Instant, xid: Xid) {
        let unsettled = self.touches.range(self.settled..);
        let Some(at) = unsettled
            .take(self.touches.len())
            .position(|t| t.mark == xid)
        else {
            return;
        };
        let end = self.settled + at + 1;
        for touch in self.touches.range_mut(self.settled..end) {
            touch.answered = Some(now);
        }
        self.settled = end;
    }

    /// The connection is gone: what is in flight proves nothing any more.
    pub(crate) fn disconnected(&mut self) {
        self.touches.clear();
        self.settled = 0;
        self.proofs.clear();
    }

    /// Before this moment the servers cannot have dropped the session.
    pub(crate) fn deadline(&self, margin: Duration) -> Option<Instant> {
        let until = self.lives_until?;
        Some(until.checked_sub(margin).unwrap_or(until))
    }
}

/// Would the answer to a proof sent now confirm this touch?
fn ripe(touch: &Touch, now: Instant, timeout: Duration) -> bool {
    touch
        .answered
        .is_some_and(|at| now.saturating_duration_since(at) >= timeout / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Duration = Duration::from_secs(8);
    const NO_MARGIN: Duration = Duration::ZERO;

    #[expect(
        clippy::disallowed_methods,
        reason = "an anchor; nothing depends on its value"
    )]
    fn attached() -> (Instant, Liveness) {
        let start = Instant::now();
        let mut l = Liveness::default();
        l.attached(start, start, true, T);
        (start, l)
    }

    /// A request that is answered at once.
    fn touch(l: &mut Liveness, at: Instant, xid: i32) {
        l.sent(at, Xid(xid), T);
        l.answered(at, Xid(xid), false, T);
    }

    fn proof(l: &mut Liveness, at: Instant, xid: i32, by_leader: bool) {
        l.sent(at, Xid(xid), T);
        l.sent_proof(at, Xid(xid), T);
        l.answered(at, Xid(xid), by_leader, T);
    }

    #[test]
    fn a_proof_confirms_what_was_answered_a_quarter_earlier() {
        let (start, mut l) = attached();
        let at = |ms| start + Duration::from_millis(ms);
        touch(&mut l, at(1000), 1);
        // 2.5 s after the handshake (a quarter is 2 s), but only 1.5 s after the touch.
        proof(&mut l, at(2500), 2, true);
        assert_eq!(
            l.deadline(NO_MARGIN),
            Some(start + T),
            "nothing newer than the handshake"
        );
        proof(&mut l, at(3100), 3, true);
        assert_eq!(l.deadline(NO_MARGIN), Some(at(1000) + T));
    }

    /// The earlier request and the proof are held up and arrive together.
    #[test]
    fn a_touch_that_is_not_answered_yet_is_not_confirmed() {
        let (start, mut l) = attached();
        let at = |ms| start + Duration::from_millis(ms);
        l.sent(at(1000), Xid(1), T);
        l.sent(at(3500), Xid(2), T);
        l.sent_proof(at(3500), Xid(2), T);
        l.answered(at(3600), Xid(1), false, T);
        l.answered(at(3600), Xid(2), true, T);
        assert_eq!(l.deadline(NO_MARGIN), Some(start + T));
        proof(&mut l, at(5600), 3, true);
        assert_eq!(l.deadline(NO_MARGIN), Some(at(3500) + T));
    }

    #[test]
    fn answers_not_from_the_leader_prove_nothing() {
        let (start, mut l) = attached();
        touch(&mut l, start + Duration::from_secs(1), 6);
        proof(&mut l, start + Duration::from_secs(5), 7, false);
        assert_eq!(l.deadline(NO_MARGIN), Some(start + T));
    }

    #[test]
    fn a_read_only_server_does_not_stretch_the_deadline() {
        let (start, mut l) = attached();
        let later = start + Duration::from_secs(4);
        l.attached(later, later, false, T * 5);
        assert_eq!(l.deadline(NO_MARGIN), Some(start + T));
    }

    #[test]
    fn a_shorter_timeout_counts_from_the_handshake_that_brought_it() {
        let (start, mut l) = attached();
        let later = start + Duration::from_secs(1);
        l.attached(later, later, true, T / 4);
        assert_eq!(l.deadline(NO_MARGIN), Some(later + T / 4));
    }

    #[test]
    fn touches_do_not_pile_up() {
        let (start, mut l) = attached();
        for ms in 0..100_000 {
            touch(&mut l, start + Duration::from_millis(ms), 1 + ms as i32);
        }
        assert!(l.touches.len() <= 12, "{} touches", l.touches.len());
    }

    #[test]
    fn with_a_sync_every_quarter_the_deadline_stays_ahead() {
        let (start, mut l) = attached();
        for turn in 1..100 {
            let now = start + T / 4 * turn;
            let left = l
                .deadline(T / 20)
                .map(|at| at.saturating_duration_since(now));
            assert!(left > Some(T / 5), "turn {turn}: {left:?} left");
            proof(&mut l, now, turn as i32, true);
        }
    }
}
