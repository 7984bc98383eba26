//! What became of a request, and in which order it is told.

use std::time::Duration;

use zk_proto::{Chroot, ErrorCode, Reply, Request, Xid};
use zk_session::{Call, Cancelled, Event, Outcome, Refused, RequestError, StateReason};

use crate::rig::expect::{CHANGED, auth, create, delete, get, get_watched, set};
use crate::rig::{Rig, T, ms};

#[test]
fn what_was_handed_out_is_unknown_and_what_was_not_is_not_applied() {
    let mut rig = Rig::with(|c| {
        c.transmit_chunk(1);
    });
    rig.establish();
    rig.connected();
    let ids: Vec<_> = (0..6).map(|_| rig.queue(&set("/a", b"1"))).collect();
    // A driver with room for two and a half frames: what has begun to leave has left.
    let conn = rig.conn();
    let mut out = Vec::new();
    for _ in 0..3 {
        assert!(rig.session.poll_transmit(rig.now, conn, &mut out) > 0);
    }
    rig.peer(conn).receive(&out);
    assert_eq!(rig.peer(conn).asked.len(), 3);
    rig.session
        .handle_disconnected(rig.now, conn, std::io::ErrorKind::BrokenPipe);
    rig.peers.clear();
    rig.drain();
    rig.suspended();
    for (at, id) in ids.into_iter().enumerate() {
        let error = rig.failed(id);
        let sent = at < 3;
        assert_eq!(error, RequestError::ConnectionLoss { sent });
        let outcome = if sent {
            Outcome::Unknown
        } else {
            Outcome::NotApplied
        };
        assert_eq!(error.outcome(), outcome);
        assert!(error.is_retryable());
    }
    rig.nothing_happened();
}

#[test]
fn nothing_is_sent_again_behind_the_caller_s_back() {
    let mut rig = Rig::to_connected();
    let id = rig.submit(&create("/a"));
    rig.cut();
    rig.suspended();
    rig.failed(id);
    rig.establish();
    rig.connected();
    rig.nothing_asked();
}

#[test]
fn what_is_submitted_while_suspended_waits() {
    let mut rig = Rig::to_suspended();
    let ids = [rig.submit(&create("/a")), rig.submit(&set("/a", b"1"))];
    rig.nothing_happened();
    rig.establish();
    rig.connected();
    rig.asked_for(&create("/a"));
    let last = rig.asked_for(&set("/a", b"1"));
    rig.nothing_asked();
    assert_eq!(last.xid, Xid(2));
    rig.cut();
    rig.suspended();
    for id in ids {
        assert_eq!(rig.failed(id), RequestError::ConnectionLoss { sent: true });
    }
}

#[test]
fn what_waits_for_a_session_that_ends_was_not_applied() {
    let mut rig = Rig::to_suspended();
    let id = rig.submit(&create("/a"));
    let conn = rig.attempt();
    rig.up(conn);
    rig.expire(conn);
    rig.lost();
    let error = rig.failed(id);
    assert_eq!(error, RequestError::SessionExpired { sent: false });
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(!error.is_retryable());
}

#[test]
fn what_waits_is_given_up_with_its_session() {
    let mut rig = Rig::to_suspended();
    let id = rig.submit(&create("/a"));
    rig.pass(T * 2);
    rig.events
        .retain(|e| !matches!(e, Event::ConnectFailed { .. }));
    assert_eq!(rig.lost(), StateReason::GivenUp);
    assert_eq!(rig.failed(id), RequestError::SessionExpired { sent: false });
}

#[test]
fn what_is_submitted_before_the_first_connect_waits() {
    let mut rig = Rig::new();
    let id = rig.submit(&get("/a"));
    for _ in 0..7 {
        let conn = rig.attempt();
        rig.gone(conn, std::io::ErrorKind::ConnectionRefused);
        rig.attempt_failed();
    }
    rig.establish();
    rig.connected();
    rig.answer_all();
    rig.ok(id);
}

#[test]
fn a_server_s_error_says_that_nothing_was_applied() {
    let mut rig = Rig::to_connected();
    for code in [
        ErrorCode::NODE_EXISTS,
        ErrorCode::NO_AUTH,
        ErrorCode(-12345),
    ] {
        let id = rig.submit(&create("/a"));
        let asked = rig.asked();
        rig.answer_err(&asked, code);
        let error = rig.failed(id);
        assert_eq!(error, RequestError::Server(code));
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
}

#[test]
fn what_comes_after_the_end_is_refused() {
    let mut rig = Rig::to_connected();
    rig.close(T);
    assert_eq!(rig.refused(&create("/a")), Refused::Closed);
    let urgent = rig.try_call(Call::new(&delete("/a"), &Chroot::ROOT).urgent());
    assert_eq!(urgent, Err(Refused::Closed), "closeSession has been sent");
}

#[test]
fn requests_of_the_session_itself_are_refused() {
    let mut rig = Rig::to_connected();
    for request in &[
        Request::Ping,
        Request::CloseSession,
        Request::Sasl { token: None },
        Request::Check {
            path: "/a".into(),
            version: 1,
        },
        Request::SetWatches(zk_proto::SetWatches::default()),
    ] {
        let refused = rig.refused(request);
        assert_eq!(refused, Refused::NotARequest(request.opcode()));
    }
    rig.nothing_asked();
}

#[test]
fn replies_come_in_the_order_of_submission() {
    let mut rig = Rig::to_connected();
    let ids: Vec<_> = (0..100).map(|_| rig.submit(&get("/a"))).collect();
    rig.answer_all();
    for id in ids {
        rig.ok(id);
    }
}

#[test]
fn an_event_comes_before_the_reply_that_reveals_its_change() {
    let mut rig = Rig::to_connected();
    let (first, watcher) = rig.watching(&get_watched("/a"));
    rig.answer_all();
    rig.ok(first);
    let second = rig.submit(&set("/a", b"2"));
    let asked = rig.asked();
    rig.fire(CHANGED, "/a");
    rig.answer(&asked);
    rig.fired(watcher, CHANGED, "/a");
    rig.ok(second);
}

#[test]
fn a_state_change_comes_before_the_failures_and_those_before_the_watches() {
    let mut rig = Rig::to_connected();
    let (id, watcher) = rig.watching(&get_watched("/a"));
    rig.answer_all();
    rig.ok(id);
    let id = rig.submit(&get("/a"));
    rig.close(Duration::ZERO);
    rig.advance_to(rig.now);
    assert_eq!(rig.lost(), StateReason::Closed);
    rig.failed(id);
    assert_eq!(rig.watch_ended(watcher), StateReason::Closed);
    rig.closed();
}

/// The server's network layer answers credentials at once, before older requests.
#[test]
fn a_credential_s_reply_that_overtakes_waits_for_its_turn() {
    let mut rig = Rig::to_connected();
    let before = rig.submit(&get("/a"));
    let (one, two) = (rig.submit(&auth("u:1")), rig.submit(&auth("u:2")));
    let after = rig.submit(&get("/b"));
    let asked: Vec<_> = (0..4).map(|_| rig.asked()).collect();
    assert_eq!(asked[1].xid, Xid::AUTH);
    rig.answer(&asked[1]);
    rig.answer(&asked[2]);
    rig.nothing_happened();
    rig.answer(&asked[0]);
    rig.ok(before);
    assert_eq!(rig.ok(one), Reply::Empty);
    rig.ok(two);
    rig.answer(&asked[3]);
    rig.ok(after);
}

#[test]
fn a_credential_that_was_answered_keeps_its_result_when_the_connection_is_lost() {
    let mut rig = Rig::to_connected();
    let before = rig.submit(&get("/a"));
    let (good, bad) = (rig.submit(&auth("u:1")), rig.submit(&auth("u:2")));
    let open = rig.submit(&auth("u:3"));
    let asked: Vec<_> = (0..4).map(|_| rig.asked()).collect();
    rig.answer(&asked[1]);
    rig.answer_err(&asked[2], ErrorCode::AUTH_FAILED);
    rig.cut();
    rig.suspended();
    assert_eq!(
        rig.failed(before),
        RequestError::ConnectionLoss { sent: true }
    );
    rig.ok(good);
    assert_eq!(
        rig.failed(bad),
        RequestError::Server(ErrorCode::AUTH_FAILED)
    );
    assert_eq!(
        rig.failed(open),
        RequestError::ConnectionLoss { sent: true }
    );
}

#[test]
fn a_deadline_ends_what_is_unsent_without_sending_it() {
    let mut rig = Rig::to_suspended();
    let limit = Some(rig.now + ms(50));
    let body = create("/a");
    let id = rig.call(Call::new(&body, &Chroot::ROOT).deadline(limit)).id;
    let other = rig.submit(&get("/b"));
    rig.pass(ms(50));
    let error = rig.failed(id);
    assert_eq!(error, RequestError::TimedOut { sent: false });
    assert_eq!(error.outcome(), Outcome::NotApplied);
    rig.establish();
    rig.connected();
    let asked = rig.asked_for(&get("/b"));
    rig.answer(&asked);
    rig.ok(other);
}

#[test]
fn a_deadline_ends_what_was_sent_and_its_reply_is_ignored() {
    let mut rig = Rig::to_connected();
    let limit = Some(rig.now + ms(50));
    let body = create("/a");
    let id = rig.call(Call::new(&body, &Chroot::ROOT).deadline(limit)).id;
    let other = rig.submit(&get("/b"));
    rig.pass(ms(49));
    rig.nothing_happened();
    rig.pass(ms(1));
    let error = rig.failed(id);
    assert_eq!(error, RequestError::TimedOut { sent: true });
    assert_eq!(error.outcome(), Outcome::Unknown);
    rig.answer_all();
    rig.ok(other);
    rig.nothing_happened();
}

#[test]
fn a_deadline_that_was_kept_is_forgotten() {
    let mut rig = Rig::to_connected();
    let limit = Some(rig.now + ms(50));
    let body = get("/a");
    let id = rig.call(Call::new(&body, &Chroot::ROOT).deadline(limit)).id;
    assert_eq!(rig.session.stats().deadlines, 1);
    rig.answer_all();
    rig.ok(id);
    assert_eq!(rig.session.stats().deadlines, 0);
    rig.pass(ms(100));
    rig.nothing_happened();
}

#[test]
fn what_is_cancelled_unsent_never_leaves() {
    let mut rig = Rig::to_suspended();
    let ids: Vec<_> = (0..3).map(|_| rig.submit(&create("/a"))).collect();
    let kept = rig.submit(&get("/b"));
    assert_eq!(rig.cancel(ids[1]), Cancelled::Unsent);
    assert_eq!(rig.cancel(ids[0]), Cancelled::Unsent);
    assert_eq!(rig.cancel(ids[2]), Cancelled::Unsent);
    assert_eq!(rig.cancel(ids[2]), Cancelled::Unknown);
    rig.establish();
    rig.connected();
    let asked = rig.asked_for(&get("/b"));
    rig.answer(&asked);
    rig.ok(kept);
    rig.nothing_happened();
}

#[test]
fn what_is_cancelled_after_sending_has_no_event() {
    let mut rig = Rig::to_connected();
    let id = rig.submit(&create("/a"));
    let other = rig.submit(&get("/b"));
    assert_eq!(rig.cancel(id), Cancelled::Detached);
    rig.answer_all();
    rig.ok(other);
    rig.nothing_happened();
    assert_eq!(rig.cancel(id), Cancelled::Unknown);
    assert_eq!(rig.cancel(other), Cancelled::Unknown);
}

#[test]
fn many_cancelled_requests_do_not_disturb_those_between() {
    let mut rig = Rig::to_suspended();
    let paths: Vec<String> = (0..5000).map(|n| format!("/n{n}")).collect();
    let requests: Vec<_> = paths.iter().map(|path| get(path)).collect();
    let ids: Vec<_> = requests.iter().map(|request| rig.submit(request)).collect();
    for (at, id) in ids.iter().enumerate() {
        if at % 5 != 0 {
            assert_eq!(rig.cancel(*id), Cancelled::Unsent);
        }
    }
    rig.establish();
    rig.connected();
    for at in (0..5000).step_by(5) {
        let asked = rig.asked_for(&requests[at]);
        rig.answer(&asked);
        rig.ok(ids[at]);
    }
    rig.nothing_asked();
}

#[test]
fn user_timers_fire_in_order_and_can_be_taken_back() {
    let mut rig = Rig::to_connected();
    let late = rig.session.set_timer(rig.now + ms(30));
    let early = rig.session.set_timer(rig.now + ms(10));
    let gone = rig.session.set_timer(rig.now + ms(20));
    let past = rig.session.set_timer(rig.start);
    rig.session.cancel_timer(gone);
    rig.pass(ms(40));
    for id in [past, early, late] {
        assert_eq!(rig.next(), Event::Timer { id });
    }
    rig.nothing_happened();
    rig.session.cancel_timer(late);
}

#[test]
fn user_timers_outlive_sessions_and_end_with_the_close() {
    let mut rig = Rig::to_lost();
    let id = rig.session.set_timer(rig.now + T * 100);
    rig.close(ms(0));
    rig.lost();
    assert_eq!(rig.next(), Event::Timer { id }, "whoever sleeps is woken");
    rig.closed();
}
