//! What answers prove, and when something is worth asking.

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

#[test]
fn a_sync_is_due_when_there_is_something_to_prove() {
    let (start, mut l) = attached();
    let at = |ms| start + Duration::from_millis(ms);
    assert_eq!(l.sync_at(T), None, "nothing is newer than the handshake");
    assert_eq!(l.touch_at(T), Some(at(2000)));
    touch(&mut l, at(1500), 1);
    assert_eq!(l.sync_at(T), Some(at(3500)), "a quarter after the answer");
    proof(&mut l, at(3600), 2, true);
    // The proof was a touch, too.
    assert_eq!(l.sync_at(T), Some(at(5600)));
    touch(&mut l, at(3700), 3);
    assert_eq!(l.sync_at(T), Some(at(5600)));
}

#[test]
fn syncs_follow_the_sending_of_one_another() {
    let (start, mut l) = attached();
    let at = |ms| start + Duration::from_millis(ms);
    let sync = |l: &mut Liveness, at, xid| {
        l.sent(at, Xid(xid), T);
        l.sent_sync(at, Xid(xid), T);
    };
    for (ms, xid) in [(500, 1), (1000, 2), (1500, 3), (2000, 4)] {
        touch(&mut l, at(ms), xid);
    }
    assert_eq!(l.sync_at(T), Some(at(2500)));
    sync(&mut l, at(2500), 5);
    // Unless it takes long, the next is due a quarter later.
    assert_eq!(l.sync_at(T), Some(at(3500)));
    l.answered(at(2600), Xid(5), true, T);
    assert_eq!(l.sync_at(T), Some(at(4500)));
    sync(&mut l, at(4500), 6);
    l.answered(at(5000), Xid(6), true, T);
    // It took long: an eighth later, as there is something to prove by then.
    assert_eq!(l.sync_at(T), Some(at(5500)));
    assert_eq!(l.touch_at(T), Some(at(5500)));
}

#[test]
fn a_sync_that_proves_nothing_is_not_due_again_at_once() {
    let (start, mut l) = attached();
    let at = |ms| start + Duration::from_millis(ms);
    touch(&mut l, at(1000), 1);
    l.sent(at(3000), Xid(2), T);
    l.sent_sync(at(3000), Xid(2), T);
    l.answered(at(3010), Xid(2), false, T);
    assert_eq!(l.deadline(NO_MARGIN), Some(start + T));
    assert_eq!(l.sync_at(T), Some(at(5010)));
}
