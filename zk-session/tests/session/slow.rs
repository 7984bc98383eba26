//! Servers that take their time: the keep-alive by `sync` keeps up with them, and does not ask more
//! than it must.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zk_proto::{ErrorCode, OpCode, Request};
use zk_session::{KeepAlive, LinkError};

use crate::rig::expect::{get, set};
use crate::rig::{Asked, MARGIN, Rig, T, ms};

/// A connected session that is kept alive by `sync`, and the answers on their way to it.
struct Slow {
    rig: Rig,
    /// How many `sync`s and writes were asked, and how many pings.
    asked: [u32; 2],
    answers: VecDeque<(Instant, Asked)>,
    /// What is left of the deadline at worst.
    least: Duration,
    /// What `sync`s are answered.
    code: ErrorCode,
}

impl Slow {
    fn new() -> Self {
        let mut rig = Rig::to_connected();
        rig.session.set_keep_alive(rig.now, KeepAlive::Sync);
        Self {
            rig,
            asked: [0; 2],
            answers: VecDeque::new(),
            least: T,
            code: ErrorCode::OK,
        }
    }

    /// Time passes. What only the leader can answer takes so long; all else is answered at once, but
    /// in order.
    fn pass(&mut self, time: Duration, mut takes: impl FnMut() -> Duration) {
        let end = self.rig.now + time;
        loop {
            self.take(&mut takes);
            let answer = self.answers.front().map(|(at, _)| *at);
            let due = self.rig.session.poll_timeout();
            let Some(at) = answer.into_iter().chain(due).min().filter(|at| *at <= end) else {
                break;
            };
            let at = at.max(self.rig.now);
            // As it is before anything else is heard.
            let left = self.rig.session.deadline().expect("proven");
            self.least = self.least.min(left.saturating_duration_since(at));
            self.rig.now = at;
            if answer.is_some_and(|answer| answer <= at) {
                let (_, asked) = self.answers.pop_front().expect("there is one");
                if asked.opcode == OpCode::SYNC && !self.code.is_ok() {
                    self.rig.answer_err(&asked, self.code);
                } else {
                    self.rig.answer(&asked);
                }
            } else {
                self.rig.advance_to(at);
            }
        }
        self.rig.now = end;
    }

    fn take(&mut self, takes: &mut impl FnMut() -> Duration) {
        let conn = self.rig.conn();
        while let Some(asked) = self.rig.peer(conn).asked.pop_front() {
            let by_leader = asked.opcode == OpCode::SYNC || asked.request().is_write();
            let time = if by_leader { takes() } else { Duration::ZERO };
            self.asked[usize::from(!by_leader)] += 1;
            let last = self.answers.back().map(|(at, _)| *at);
            let at = (self.rig.now + time).max(last.unwrap_or(self.rig.now));
            self.answers.push_back((at, asked));
        }
    }

    /// How much is asked in a session timeout, in hundredths.
    fn counts(&mut self, timeouts: u32) -> [u32; 2] {
        std::mem::take(&mut self.asked).map(|count| count * 100 / timeouts)
    }
}

#[test]
fn the_deadline_stays_ahead_while_a_sync_takes_a_fifth() {
    for takes in [T / 50, T / 20, T / 10, T / 8, T / 6, T / 5] {
        let mut slow = Slow::new();
        slow.pass(T * 20, || takes);
        assert!(!slow.least.is_zero(), "{takes:?}");
    }
}

/// From one to the next, whenever it happens.
#[test]
fn the_deadline_stays_ahead_while_servers_become_slow() {
    for after in 0..40 {
        for takes in [T / 8, T / 6] {
            let mut slow = Slow::new();
            slow.pass(T + T / 40 * after, || ms(1));
            slow.pass(T * 5, || takes);
            slow.pass(T * 5, || ms(1));
            slow.pass(T * 5, || takes);
            assert!(!slow.least.is_zero(), "{takes:?} after {after}");
        }
    }
}

#[test]
fn the_deadline_stays_ahead_while_servers_are_slow_now_and_then() {
    let all = [T / 5, T / 40, T / 60, T / 5, T / 10, ms(1), T / 6, T / 20];
    for skip in 0..8 {
        let mut slow = Slow::new();
        let mut times = all.iter().cycle().skip(skip);
        slow.pass(T * 50, || times.next().copied().unwrap_or(T));
        assert!(!slow.least.is_zero(), "{skip}");
    }
}

/// Calls of the application touch the session, too, and its writes prove it.
#[test]
fn the_deadline_stays_ahead_of_slow_servers_beside_calls() {
    for request in [get("/a"), set("/a", b"")] {
        for every in [T / 40, T / 10, T / 4, T / 2] {
            let mut slow = Slow::new();
            let turns = 10 * u32::try_from(T.as_millis() / every.as_millis()).expect("few");
            let ids: Vec<_> = (0..turns)
                .map(|_| {
                    let id = slow.rig.submit(&request);
                    slow.pass(every, || T / 5);
                    id
                })
                .collect();
            slow.pass(T, || T / 5);
            for id in ids {
                slow.rig.ok(id);
            }
            assert!(!slow.least.is_zero(), "{request:?} every {every:?}");
        }
    }
}

#[test]
fn an_idle_session_costs_four_syncs_a_timeout() {
    let mut slow = Slow::new();
    slow.pass(T, || ms(1));
    slow.counts(1);
    slow.pass(T * 100, || ms(1));
    let [syncs, pings] = slow.counts(100);
    assert!(
        (390..=400).contains(&syncs) && pings == 0,
        "{syncs} {pings}"
    );
}

/// Who asks a slow server more makes it slower.
#[test]
fn a_slow_server_is_asked_eight_times_a_timeout_at_most() {
    for takes in [T / 32, T / 10, T / 5, T / 3] {
        let mut slow = Slow::new();
        slow.pass(T * 100, || takes);
        let [syncs, pings] = slow.counts(100);
        assert!(
            syncs <= 800 && syncs + pings <= 1000,
            "{takes:?}: {syncs} {pings}"
        );
        assert!(syncs >= 300, "{takes:?}: {syncs}");
    }
}

#[test]
fn a_session_that_writes_sends_no_syncs() {
    let mut slow = Slow::new();
    let mut ids = Vec::new();
    for turn in 0..100 {
        if turn == 10 {
            slow.counts(1);
        }
        ids.push(slow.rig.submit(&set("/a", b"")));
        slow.pass(T / 10, || ms(1));
    }
    assert_eq!(slow.asked, [90, 0]);
    for id in ids {
        slow.rig.ok(id);
    }
}

/// The next is due when there is something new to prove, not as soon as one has proven nothing.
#[test]
fn syncs_that_prove_nothing_are_not_sent_again_at_once() {
    let mut slow = Slow::new();
    slow.code = ErrorCode::THROTTLED_OP;
    slow.pass(T * 100, || ms(1));
    let [syncs, pings] = slow.counts(100);
    assert!(syncs <= 400 && pings <= 400, "{syncs} {pings}");
    assert!(syncs >= 200, "{syncs}");
}

/// Refused by a follower, they say nothing of the leader; nor do they stand in for what does.
#[test]
fn writes_that_a_follower_refuses_do_not_hold_up_the_syncs() {
    for every in [T / 100, T / 20, T / 5] {
        let mut slow = Slow::new();
        for _ in 0..200 {
            let id = slow.rig.submit(&set("/a", b""));
            let conn = slow.rig.conn();
            let asked = slow.rig.peer(conn).asked.pop_back().expect("it was sent");
            slow.take(&mut || ms(0));
            // What was asked before is answered before.
            for (_, before) in std::mem::take(&mut slow.answers) {
                slow.rig.answer(&before);
            }
            let zxid = std::mem::take(&mut slow.rig.zxid);
            slow.rig.answer_err(&asked, ErrorCode::NO_AUTH);
            slow.rig.zxid = zxid;
            slow.rig.failed(id);
            slow.pass(every, || ms(0));
        }
        assert!(
            slow.least >= T / 2 - MARGIN * 2,
            "{every:?}: {:?}",
            slow.least
        );
    }
}

/// Nothing is answered: `sync`s are not heaped on one another, and the link is noticed to be dead in
/// time.
#[test]
fn a_server_that_stops_answering_is_not_asked_again_and_again() {
    for takes in [ms(1), T / 5] {
        let mut slow = Slow::new();
        slow.pass(T * 3, || takes);
        slow.take(&mut || Duration::ZERO);
        let heard = slow.rig.now;
        slow.counts(1);
        let mut syncs = 0;
        while slow.rig.session.state().is_connected() {
            assert!(slow.rig.now <= heard + T * 2 / 3, "not noticed");
            slow.rig.pass(ms(10));
            let conn = slow.rig.peers.keys().next().copied();
            let Some(conn) = conn.filter(|_| slow.rig.session.state().is_connected()) else {
                break;
            };
            while let Some(asked) = slow.rig.peer(conn).asked.pop_front() {
                syncs += u32::from(!asked.is(&Request::Ping));
            }
        }
        assert!(syncs <= 3, "{syncs}");
        let (_, error) = slow.rig.suspended();
        assert_eq!(error, LinkError::Silent);
    }
}
