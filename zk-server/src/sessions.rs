//! The leader's table of sessions: who owns them, and when they expire.
//!
//! Expiry is by buckets, as in `SessionTrackerImpl` of the Java server: the deadline of a session is
//! rounded up to the next multiple of the tick, so one that has gone silent dies between its timeout
//! and its timeout plus one tick later. Touching a session is cheap while its bucket stays the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use zk_proto::SessionId;

use crate::MemberId;

/// All sessions that are alive. Times are durations since the leader's clock started.
#[derive(Debug)]
pub(crate) struct Sessions {
    tick: Duration,
    sessions: BTreeMap<SessionId, Session>,
    /// By the number of the tick at whose end they expire.
    buckets: BTreeMap<u64, BTreeSet<SessionId>>,
    /// Planted: hears of no session.
    #[cfg(zk_planted)]
    pub(crate) deaf: bool,
}

#[derive(Debug)]
struct Session {
    timeout: Duration,
    bucket: u64,
    /// The member that its client was last seen at by a re-attach or a write.
    owner: Option<MemberId>,
}

/// Whether a member may write in a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ownership {
    Owned,
    Moved,
    Expired,
}

impl Sessions {
    pub(crate) fn new(tick: Duration) -> Self {
        Self {
            tick: tick.max(Duration::from_millis(1)),
            sessions: BTreeMap::new(),
            buckets: BTreeMap::new(),
            #[cfg(zk_planted)]
            deaf: false,
        }
    }

    /// Adds a session, or gives one that is there a new timeout, owner and deadline.
    pub(crate) fn add(
        &mut self,
        now: Duration,
        session: SessionId,
        timeout: Duration,
        owner: Option<MemberId>,
    ) {
        self.remove(session);
        let bucket = self.bucket(now, timeout);
        let entry = Session {
            timeout,
            bucket,
            owner,
        };
        self.sessions.insert(session, entry);
        self.buckets.entry(bucket).or_default().insert(session);
    }

    /// Takes a session that a client has come back with. `false` if it is not alive.
    pub(crate) fn reattach(
        &mut self,
        now: Duration,
        session: SessionId,
        timeout: Duration,
        owner: MemberId,
    ) -> bool {
        let alive = self.is_alive(session);
        if alive {
            self.add(now, session, timeout, Some(owner));
        }
        alive
    }

    /// Puts the deadline of a session off.
    pub(crate) fn touch(&mut self, now: Duration, session: SessionId) {
        #[cfg(zk_planted)]
        if self.deaf {
            return;
        }
        let tick = self.tick;
        let Some(entry) = self.sessions.get_mut(&session) else {
            return;
        };
        let bucket = bucket(tick, now, entry.timeout);
        if bucket > entry.bucket {
            let old = std::mem::replace(&mut entry.bucket, bucket);
            self.leave(old, session);
            self.buckets.entry(bucket).or_default().insert(session);
        }
    }

    /// Whether `member` may write in `session`. A session without an owner becomes its.
    pub(crate) fn check(&mut self, session: SessionId, member: MemberId) -> Ownership {
        let Some(entry) = self.sessions.get_mut(&session) else {
            return Ownership::Expired;
        };
        if *entry.owner.get_or_insert(member) == member {
            Ownership::Owned
        } else {
            Ownership::Moved
        }
    }

    /// Forgets a session. `false` if there is none.
    pub(crate) fn remove(&mut self, session: SessionId) -> bool {
        let Some(entry) = self.sessions.remove(&session) else {
            return false;
        };
        self.leave(entry.bucket, session);
        true
    }

    /// Takes one session whose time is over.
    pub(crate) fn pop_expired(&mut self, now: Duration) -> Option<SessionId> {
        let (&bucket, sessions) = self.buckets.first_key_value()?;
        let session = *sessions.first()?;
        if end_of(self.tick, bucket) > now {
            return None;
        }
        self.remove(session);
        Some(session)
    }

    /// When the next session may expire.
    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        let (&bucket, _) = self.buckets.first_key_value()?;
        Some(end_of(self.tick, bucket))
    }

    pub(crate) fn is_alive(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// The buckets, each with the time at which its sessions expire.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (Duration, &BTreeSet<SessionId>)> {
        let tick = self.tick;
        let at = move |bucket| end_of(tick, bucket);
        self.buckets
            .iter()
            .map(move |(&bucket, sessions)| (at(bucket), sessions))
    }

    fn bucket(&self, now: Duration, timeout: Duration) -> u64 {
        bucket(self.tick, now, timeout)
    }

    fn leave(&mut self, bucket: u64, session: SessionId) {
        if let Some(sessions) = self.buckets.get_mut(&bucket) {
            sessions.remove(&session);
            if sessions.is_empty() {
                self.buckets.remove(&bucket);
            }
        }
    }
}

fn bucket(tick: Duration, now: Duration, timeout: Duration) -> u64 {
    let ticks = (now + timeout).as_nanos() / tick.as_nanos() + 1;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

fn end_of(tick: Duration, bucket: u64) -> Duration {
    // Not by `Duration::saturating_mul`: after 49 days there are more ticks of a millisecond than it
    // takes, and every session would be over.
    let nanos = tick.as_nanos().saturating_mul(bucket.into());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(2000);
    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_silent_session_dies_within_a_tick_after_its_timeout() {
        for start in [0, 1, 1999, 2000, 2001, 3999] {
            let mut sessions = Sessions::new(TICK);
            sessions.add(ms(start), A, ms(5000), None);
            let at = sessions.next_expiry().unwrap();
            assert!(
                at > ms(start + 5000) && at <= ms(start + 7000),
                "{start}: {at:?}"
            );
            assert_eq!(sessions.pop_expired(at - ms(1)), None);
            assert_eq!(sessions.pop_expired(at), Some(A));
            assert_eq!(sessions.pop_expired(at), None);
            assert!(!sessions.is_alive(A));
        }
    }

    #[test]
    fn sessions_live_as_long_when_the_server_has_run_for_years() {
        for years in [0, 1, 100] {
            let mut sessions = Sessions::new(ms(1));
            let now = ms(years * 365 * 86_400_000);
            sessions.add(now, A, ms(5000), None);
            assert_eq!(sessions.next_expiry(), Some(now + ms(5001)), "{years}");
            assert_eq!(sessions.pop_expired(now + ms(5000)), None);
            assert_eq!(sessions.pop_expired(now + ms(5001)), Some(A));
        }
    }

    #[test]
    fn a_touch_puts_the_end_off_and_never_brings_it_nearer() {
        let mut sessions = Sessions::new(TICK);
        sessions.add(ms(0), A, ms(4000), None);
        sessions.touch(ms(3000), A);
        assert_eq!(sessions.next_expiry(), Some(ms(8000)));
        sessions.touch(ms(0), A);
        assert_eq!(sessions.next_expiry(), Some(ms(8000)));
        assert_eq!(sessions.pop_expired(ms(7999)), None);
    }

    #[test]
    fn a_session_belongs_to_the_member_it_was_last_attached_to() {
        let (one, two) = (MemberId(1), MemberId(2));
        let mut sessions = Sessions::new(TICK);
        sessions.add(ms(0), A, ms(4000), Some(one));
        assert_eq!(sessions.check(A, one), Ownership::Owned);
        assert!(sessions.reattach(ms(10), A, ms(6000), two));
        assert_eq!(sessions.check(A, one), Ownership::Moved);
        assert_eq!(sessions.check(A, two), Ownership::Owned);
        assert_eq!(sessions.check(B, two), Ownership::Expired);
        assert!(!sessions.reattach(ms(10), B, ms(6000), two));
    }

    #[test]
    fn after_an_election_a_session_belongs_to_whoever_writes_first() {
        let mut sessions = Sessions::new(TICK);
        sessions.add(ms(0), A, ms(4000), None);
        assert_eq!(sessions.check(A, MemberId(3)), Ownership::Owned);
        assert_eq!(sessions.check(A, MemberId(1)), Ownership::Moved);
    }

    #[test]
    fn a_session_ends_once() {
        let mut sessions = Sessions::new(TICK);
        sessions.add(ms(0), A, ms(4000), None);
        assert!(sessions.remove(A));
        assert!(!sessions.remove(A));
        assert_eq!(sessions.check(A, MemberId(1)), Ownership::Expired);
        assert_eq!(sessions.pop_expired(ms(100_000)), None);
        assert_eq!((sessions.len(), sessions.next_expiry()), (0, None));
    }
}
