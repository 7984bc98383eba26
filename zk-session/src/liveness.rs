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
//! # When to ask
//!
//! A `sync` is worth sending once there is something for it to prove: a request that was answered
//! a quarter ago, and is newer than what was proven or asked about. It follows the *sending* of the
//! last proof by a quarter: counted from the answer, a server that is slow would be asked less often,
//! when more is needed. What it takes a server to answer counts twice, for the request and for its proof.
//! So while answers take long, there is an eighth between two of them, and others are under way.
//! Nobody asks more often: an answer that proves nothing is not asked for again before that.
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
    /// Also a `sync`, a quarter of the timeout after the last was sent, or an eighth while servers
    /// are slow to answer: keeps [`Session::deadline`](crate::Session::deadline) in the future, for
    /// whoever acts only while the session is known to live; as long as they answer a `sync` within a
    /// sixth of the timeout.
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

/// A request in flight that only a leader can answer.
#[derive(Clone, Copy, Debug)]
struct Proof {
    xid: Xid,
    sent: Instant,
    /// When the touch was sent that its answer will confirm.
    touch: Instant,
}

/// Send times and what their answers prove.
#[derive(Clone, Debug, Default)]
pub(crate) struct Liveness {
    /// Touches of this connection: the newest that a proof sent now would confirm, and all
    /// younger ones, thinned out.
    touches: VecDeque<Touch>,
    /// Touches that are answered, from the front on.
    settled: usize,
    /// Proofs in flight that are worth something.
    proofs: VecDeque<Proof>,
    /// Until when the session lives for certain.
    lives_until: Option<Instant>,
    /// The newest touch that is confirmed.
    confirmed: Option<Instant>,
    /// The newest touch that a `sync` of the session's own was sent for.
    asked: Option<Instant>,
    /// When that was, or, if that is later, when the newest proof was sent.
    proof_sent: Option<Instant>,
    /// How long the last proof took to be answered.
    took: Duration,
    /// Since when nothing was sent.
    pub(crate) last_sent: Option<Instant>,
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
        self.proof_sent = Some(sent);
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
        let Some(touch) = self.ripe_touch(now, timeout) else {
            return;
        };
        let newest = self.proofs.back().map(|proof| proof.touch);
        if newest
            .max(self.confirmed)
            .is_none_or(|newest| touch > newest)
        {
            let sent = now;
            self.proofs.push_back(Proof { xid, sent, touch });
        }
    }

    /// A `sync` of the session's own is being sent. It does not rely on the application's requests,
    /// whose answers may not come from the leader.
    pub(crate) fn sent_sync(&mut self, now: Instant, xid: Xid, timeout: Duration) {
        self.proof_sent = Some(now);
        if let Some(touch) = self.ripe_touch(now, timeout) {
            let sent = now;
            self.asked = Some(touch);
            self.proofs.push_back(Proof { xid, sent, touch });
        }
    }

    /// When that was sent which the answer to a proof sent now would confirm.
    fn ripe_touch(&self, now: Instant, timeout: Duration) -> Option<Instant> {
        let touch = self.touches.front()?;
        ripe(touch, now, timeout).then_some(touch.sent)
    }

    /// The request with this number was answered; `by_leader` if the answer shows that.
    #[inline]
    pub(crate) fn answered(&mut self, now: Instant, xid: Xid, by_leader: bool, timeout: Duration) {
        if self.settled < self.touches.len() {
            self.settle(now, xid);
        }
        if self.proofs.front().is_some_and(|proof| proof.xid == xid) {
            if let Some(proof) = self.proofs.pop_front().filter(|_| by_leader) {
                self.confirmed = self.confirmed.max(Some(proof.touch));
                self.lives_until = self.lives_until.max(Some(proof.touch + timeout));
                self.proof_sent = self.proof_sent.max(Some(proof.sent));
                self.took = now.saturating_duration_since(proof.sent);
            }
        }
    }

    /// When a `sync` is worth sending, to keep the deadline ahead.
    pub(crate) fn sync_at(&self, timeout: Duration) -> Option<Instant> {
        let covered = self.confirmed.max(self.asked);
        let next = self
            .touches
            .partition_point(|touch| Some(touch.sent) <= covered);
        let ripe_at = self.touches.get(next)?.answered? + timeout / 4;
        let pace = self
            .proof_sent
            .map(|sent| self.paced(sent, timeout / 4, timeout));
        pace.max(Some(ripe_at))
    }

    /// When something is to be sent for later `sync`s to prove.
    pub(crate) fn touch_at(&self, timeout: Duration) -> Option<Instant> {
        let covered = self.confirmed.max(self.asked);
        // Else the `sync` for what is under way is the next.
        let none = self.touches.back().map(|touch| touch.sent) <= covered;
        let pause = if none { timeout / 4 } else { timeout / 3 };
        Some(self.paced(self.last_sent?, pause, timeout))
    }

    /// So long after `since`; sooner, while servers are slow.
    fn paced(&self, since: Instant, pause: Duration, timeout: Duration) -> Instant {
        let (calm, hurried) = (since + pause, since + timeout / 8);
        if self.took >= timeout / 32 {
            return hurried;
        }
        self.proofs.front().map_or(calm, |proof| {
            let slow_at = proof.sent + timeout / 32;
            calm.min(hurried.max(slow_at))
        })
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
        self.asked = None;
        self.proof_sent = None;
        self.took = Duration::ZERO;
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
mod tests;
