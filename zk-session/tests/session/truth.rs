//! Session truth: until when the servers cannot have dropped the session, and when it is lost.

use std::io::ErrorKind;
use std::time::Duration;

use zk_proto::{ConnectReply, ErrorCode, MultiOp, Request, SessionId};
use zk_session::{
    CloseOutcome, Event, GiveUp, KeepAlive, LinkError, RequestError, State, StateReason,
};

use crate::rig::expect::{add_watch, auth, children, create, delete, get, set, sync};
use crate::rig::{MARGIN, Rig, SID, T, ms, password};

/// The deadline, counted from the start of the test.
fn deadline(rig: &Rig) -> Duration {
    rig.session.deadline().expect("a proven session") - rig.start
}

/// What a proof of something sent at `at` is worth.
fn proven(at: Duration) -> Duration {
    at + T - MARGIN
}

/// Submits it and answers it after a while.
fn done_after<'a>(rig: &mut Rig, request: &'a Request<'a>, delay: Duration) {
    let id = rig.submit(request);
    let asked = rig.asked();
    rig.now += delay;
    rig.answer(&asked);
    rig.ok(id);
}

#[test]
fn a_handshake_proves_the_session_from_its_sending() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.now += ms(300);
    rig.up(conn);
    rig.now += ms(500);
    assert_eq!(rig.session.deadline(), None);
    rig.accept(conn);
    rig.connected();
    assert_eq!(deadline(&rig), proven(ms(300)));
}

#[test]
fn a_proof_counts_for_what_was_sent_a_quarter_earlier() {
    let mut rig = Rig::to_connected();
    rig.now += ms(1000);
    done_after(&mut rig, &get("/a"), ms(0));
    rig.now += ms(1499);
    done_after(&mut rig, &sync("/a"), ms(100));
    assert_eq!(
        deadline(&rig),
        proven(ms(0)),
        "1 ms less than a quarter after the read"
    );
    rig.now = rig.start + ms(2700);
    let id = rig.submit(&set("/a", b"1"));
    let asked = rig.asked();
    rig.now += ms(400);
    assert_eq!(
        deadline(&rig),
        proven(ms(0)),
        "nothing is proven before the answer"
    );
    rig.answer(&asked);
    rig.ok(id);
    assert_eq!(
        deadline(&rig),
        proven(ms(1000)),
        "from its sending, not from the answer"
    );
}

/// What an answered request proves, 2 s after a read that was sent 1 s after the handshake.
fn proof_by<'a>(request: &'a Request<'a>, code: ErrorCode, zxid: Option<i64>) -> bool {
    let mut rig = Rig::to_connected();
    rig.now += ms(1000);
    done_after(&mut rig, &get("/a"), ms(0));
    rig.now += ms(2000);
    let id = rig.submit(request);
    let asked = rig.asked();
    rig.zxid = zxid.unwrap_or(rig.zxid);
    if code.is_ok() {
        rig.answer(&asked);
    } else {
        rig.answer_err(&asked, code);
    }
    assert_eq!(rig.done(id).is_ok(), code.is_ok());
    match deadline(&rig) {
        d if d == proven(ms(1000)) => true,
        d if d == proven(ms(0)) => false,
        d => panic!("neither the handshake nor the read: {d:?}"),
    }
}

#[test]
fn writes_and_syncs_prove_the_session() {
    let multi = Request::Multi(vec![].into());
    for request in &[sync("/"), set("/a", b""), create("/a"), delete("/a"), multi] {
        assert!(proof_by(request, ErrorCode::OK, None), "{request:?}");
    }
    for code in [
        ErrorCode::NO_NODE,
        ErrorCode::BAD_VERSION,
        ErrorCode::NODE_EXISTS,
    ] {
        assert!(
            proof_by(&set("/a", b""), code, None),
            "{code} comes from the leader"
        );
    }
}

#[test]
fn what_a_follower_can_answer_by_itself_proves_nothing() {
    for request in &[
        get("/a"),
        children("/a", false),
        add_watch("/a"),
        auth("u:p"),
    ] {
        assert!(!proof_by(request, ErrorCode::OK, None), "{request:?}");
    }
    assert!(!proof_by(&get("/a"), ErrorCode::NO_NODE, None));
    for code in [
        ErrorCode::UNIMPLEMENTED,
        ErrorCode::MARSHALLING_ERROR,
        ErrorCode::NOT_READ_ONLY,
        ErrorCode::THROTTLED_OP,
        ErrorCode(-999),
    ] {
        assert!(!proof_by(&set("/a", b""), code, None), "{code}");
    }
    assert!(
        !proof_by(&sync("/a"), ErrorCode::NO_NODE, None),
        "a sync that failed"
    );
    let eager = proof_by(&set("/a", b""), ErrorCode::NO_AUTH, Some(0));
    assert!(!eager, "an eager refusal carries no zxid");
}

#[test]
fn pings_keep_the_session_but_prove_nothing() {
    let mut rig = Rig::to_connected();
    rig.idle(T * 10);
    rig.nothing_happened();
    assert_eq!(deadline(&rig), proven(ms(0)));
}

#[test]
fn with_a_sync_as_keep_alive_the_deadline_stays_ahead() {
    let mut rig = Rig::to_connected();
    rig.session.set_keep_alive(rig.now, KeepAlive::Sync);
    let mut least = T;
    for _ in 0..400 {
        rig.idle(T / 16);
        least = least.min(rig.session.deadline().expect("proven") - rig.now);
    }
    assert!(least >= T / 2 - MARGIN, "at worst {least:?} were left");
    rig.nothing_happened();
}

#[test]
fn a_sync_as_keep_alive_begins_at_once_on_an_idle_connection() {
    let mut rig = Rig::to_connected();
    rig.idle(T * 3);
    rig.session.set_keep_alive(rig.now, KeepAlive::Sync);
    rig.idle(ms(1));
    assert!(rig.session.deadline() > Some(rig.now + T / 4));
}

#[test]
fn auth_does_not_touch_the_session() {
    let mut rig = Rig::to_connected();
    rig.now += ms(1000);
    done_after(&mut rig, &auth("u:p"), ms(0));
    rig.now += ms(2000);
    done_after(&mut rig, &sync("/"), ms(0));
    assert_eq!(deadline(&rig), proven(ms(0)));
}

#[test]
fn the_margin_is_configurable() {
    for margin in [ms(0), ms(2000), T * 2] {
        let mut rig = Rig::with(|c| {
            c.clock_margin(margin);
        });
        rig.establish();
        rig.connected();
        assert_eq!(deadline(&rig), T.saturating_sub(margin));
        rig.cut();
        let (until, _) = rig.suspended();
        assert_eq!(until - rig.start, T.saturating_sub(margin));
    }
}

#[test]
fn the_servers_decide_the_timeout() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.greeting(conn).timeout, 6000);
    rig.grant(conn, SID, 20_000, false);
    rig.connected();
    assert_eq!(rig.session.negotiated_timeout(), Some(ms(20_000)));
    assert_eq!(deadline(&rig), ms(19_000));
    rig.cut();
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.greeting(conn).timeout, 6000, "what was asked for first");
    let sent = rig.since_start();
    rig.grant(conn, SID, 4000, false);
    assert_eq!(deadline(&rig), sent + ms(3800));
}

#[test]
fn an_answer_on_a_lost_connection_proves_nothing() {
    let mut rig = Rig::to_connected();
    rig.now += ms(1000);
    rig.submit(&get("/a"));
    rig.now += ms(2000);
    rig.submit(&sync("/a"));
    let before = deadline(&rig);
    rig.cut();
    let (until, _) = rig.suspended();
    assert_eq!(until - rig.start, before);
    rig.events.clear();
    rig.establish();
    rig.connected();
    // Old touches do not count on the new connection either.
    let reattached = rig.since_start();
    done_after(&mut rig, &sync("/a"), ms(0));
    assert_eq!(deadline(&rig), proven(reattached));
}

#[test]
fn another_session_in_the_place_of_ours_is_a_loss() {
    let mut rig = Rig::to_suspended();
    let waiting = rig.submit(&set("/a", b""));
    let conn = rig.attempt();
    rig.up(conn);
    rig.grant(conn, SessionId(0x7777), 6000, false);
    assert_eq!(rig.lost(), StateReason::Substituted);
    assert_eq!(
        rig.failed(waiting),
        RequestError::SessionExpired { sent: false }
    );
    assert_eq!(rig.connected(), StateReason::Established);
    assert_eq!(
        rig.session.credentials(),
        Some((SessionId(0x7777), password(SessionId(0x7777))))
    );
}

/// Lets all attempts fail until the session is given up, and tells when that was.
fn unreachable_until_given_up(rig: &mut Rig, limit: Duration) -> Option<Duration> {
    let end = rig.now + limit;
    loop {
        while let Some(event) = rig.events.pop_front() {
            if let Event::StateChanged {
                to: State::Lost,
                reason,
                ..
            } = event
            {
                assert_eq!(reason, StateReason::GivenUp);
                return Some(rig.since_start());
            }
        }
        let connecting = rig
            .peers
            .iter()
            .find(|(_, peer)| !peer.up)
            .map(|(conn, _)| *conn);
        if let Some(conn) = connecting {
            rig.gone(conn, ErrorKind::ConnectionRefused);
            continue;
        }
        let at = rig.session.poll_timeout().expect("something is due");
        if at > end {
            return None;
        }
        rig.advance_to(at);
    }
}

#[test]
fn without_contact_the_session_is_given_up_a_third_after_its_end() {
    let mut rig = Rig::to_suspended();
    let at = unreachable_until_given_up(&mut rig, T * 10);
    // Heard at 0; a server that answered then keeps the session until T.
    assert_eq!(at, Some(T + T / 3));
}

#[test]
fn when_to_give_up_is_configurable() {
    for (give_up, expected) in [
        (GiveUp::After(ms(0)), Some(T)),
        (GiveUp::After(ms(9000)), Some(T + ms(9000))),
        (GiveUp::Never, None),
    ] {
        let mut rig = Rig::with(|c| {
            c.give_up(give_up);
        });
        rig.establish();
        rig.connected();
        rig.cut();
        rig.suspended();
        let at = unreachable_until_given_up(&mut rig, T * 100);
        assert_eq!(at, expected, "{give_up:?}");
    }
}

#[test]
fn a_session_given_up_is_closed_before_the_next_is_made() {
    let mut rig = Rig::to_suspended();
    unreachable_until_given_up(&mut rig, T * 2).expect("given up");
    assert_eq!(rig.session.credentials(), None);
    let waiting = rig.submit(&create("/a"));
    let conn = rig.attempt();
    rig.events.clear();
    rig.up(conn);
    let greeting = rig.greeting(conn);
    assert_eq!(
        (greeting.session_id, greeting.password),
        (SID, password(SID))
    );
    rig.accept(conn);
    assert_eq!(
        rig.session.state(),
        State::Lost,
        "it is not announced again"
    );
    let close = rig.asked_for(&Request::CloseSession);
    rig.nothing_asked();
    rig.answer(&close);
    rig.nothing_happened();
    rig.establish();
    assert_eq!(rig.connected(), StateReason::Established);
    assert_ne!(rig.session.credentials().map(|(id, _)| id), Some(SID));
    rig.asked_for(&create("/a"));
    rig.cut();
    rig.suspended();
    rig.failed(waiting);
}

#[test]
fn a_session_given_up_that_has_expired_needs_no_close() {
    let mut rig = Rig::to_suspended();
    unreachable_until_given_up(&mut rig, T * 2).expect("given up");
    let conn = rig.attempt();
    rig.events.clear();
    rig.up(conn);
    rig.expire(conn);
    rig.nothing_happened();
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.greeting(conn).session_id, SessionId::NONE);
}

/// A server that declines the old session would decline its successor too.
#[test]
fn an_old_session_is_offered_until_a_server_answers() {
    let mut rig = Rig::to_suspended();
    unreachable_until_given_up(&mut rig, T * 2).expect("given up");
    for _ in 0..10 {
        let conn = rig.attempt();
        rig.up(conn);
        assert_eq!(rig.greeting(conn).session_id, SID);
        rig.gone(conn, ErrorKind::UnexpectedEof);
    }
    rig.events.clear();
}

#[test]
fn an_old_session_that_is_taken_up_but_never_closed_is_let_go() {
    let mut rig = Rig::to_suspended();
    unreachable_until_given_up(&mut rig, T * 2).expect("given up");
    for _ in 0..3 {
        let conn = rig.attempt();
        rig.up(conn);
        assert_eq!(rig.greeting(conn).session_id, SID);
        rig.accept(conn);
        rig.cut();
    }
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.greeting(conn).session_id, SessionId::NONE);
    rig.events.clear();
}

#[test]
fn a_handshake_overtaken_by_giving_up_only_closes_the_session() {
    let mut rig = Rig::with(|c| {
        c.give_up(GiveUp::After(ms(0)));
    });
    rig.establish();
    rig.connected();
    rig.cut();
    rig.suspended();
    rig.pass(T - ms(50));
    let conn = rig.attempt();
    rig.up(conn);
    rig.pass(T + ms(1) - rig.since_start());
    rig.events
        .retain(|event| !matches!(event, Event::ConnectFailed { .. }));
    assert_eq!(rig.lost(), StateReason::GivenUp);
    rig.accept(conn);
    rig.nothing_happened();
    rig.asked_for(&Request::CloseSession);
}

#[test]
fn a_session_is_resumed_by_its_id() {
    let mut rig = Rig::with(|c| {
        c.resume(SID, password(SID));
    });
    let conn = rig.attempt();
    rig.up(conn);
    let greeting = rig.greeting(conn);
    assert_eq!(
        (greeting.session_id, greeting.password),
        (SID, password(SID))
    );
    rig.accept(conn);
    assert_eq!(rig.connected(), StateReason::Resumed);
    assert_eq!(deadline(&rig), proven(ms(0)));
}

#[test]
fn a_session_that_cannot_be_resumed_is_replaced() {
    let mut rig = Rig::with(|c| {
        c.resume(SessionId(0xBAD), password(SID));
    });
    let waiting = rig.submit(&get("/a"));
    let conn = rig.attempt();
    rig.up(conn);
    rig.expire(conn);
    rig.nothing_happened();
    rig.establish();
    assert_eq!(rig.connected(), StateReason::Established);
    rig.answer_all();
    rig.ok(waiting);
}

#[test]
fn a_resumed_session_is_closed_even_before_the_first_contact() {
    let mut rig = Rig::with(|c| {
        c.resume(SID, password(SID));
    });
    rig.close(T);
    rig.nothing_happened();
    rig.establish();
    assert_eq!(rig.connected(), StateReason::Resumed);
    rig.answer_all();
    assert_eq!(rig.lost(), StateReason::Closed);
    assert_eq!(rig.closed(), CloseOutcome::Confirmed);
}

#[test]
fn a_server_can_say_in_a_reply_that_the_session_is_gone() {
    let mut rig = Rig::to_connected();
    let id = rig.submit(&get("/a"));
    let asked = rig.asked();
    rig.answer_err(&asked, ErrorCode::SESSION_EXPIRED);
    assert_eq!(rig.lost(), StateReason::Expired);
    assert_eq!(rig.failed(id), RequestError::SessionExpired { sent: true });
    rig.establish();
    assert_eq!(rig.connected(), StateReason::Established);
}

#[test]
fn a_server_that_expires_what_was_not_offered_is_left() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.up(conn);
    rig.expire(conn);
    let (_, error) = rig.attempt_failed();
    assert_eq!(error, LinkError::Refused(ErrorCode::SESSION_EXPIRED));
    rig.nothing_happened();
}

#[test]
fn a_multi_with_a_check_only_is_a_proof() {
    let check = MultiOp::Check {
        path: "/a".into(),
        version: -1,
    };
    let request = Request::Multi(vec![check].into());
    assert!(proof_by(&request, ErrorCode::OK, None));
}

/// Whatever answers there is no contact with the session.
#[test]
fn a_stranger_s_answers_do_not_put_off_giving_up() {
    let mut rig = Rig::to_suspended();
    for turn in 0..10_000 {
        let conn = rig.attempt();
        rig.up(conn);
        if turn % 2 == 0 {
            rig.push(conn, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        } else {
            rig.greeted(conn, &ConnectReply::Refused(ErrorCode::NOT_READ_ONLY));
        }
        let given_up = rig.session.state() == State::Lost;
        rig.events.clear();
        if given_up {
            break;
        }
        assert!(rig.since_start() < T * 2, "never given up");
    }
    assert!(rig.since_start() >= T + T / 3);
}

/// Only an answer shows that the old session is gone: its end may have come before the request.
#[test]
fn a_close_of_the_old_session_that_was_cut_off_is_tried_again() {
    let mut rig = Rig::to_suspended();
    unreachable_until_given_up(&mut rig, T * 2).expect("given up");
    let conn = rig.attempt();
    rig.events.clear();
    rig.up(conn);
    rig.accept(conn);
    rig.asked_for(&Request::CloseSession);
    rig.gone(conn, ErrorKind::ConnectionReset);
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.greeting(conn).session_id, SID, "asked once more");
    rig.expire(conn);
    rig.establish();
    rig.attempt_failed();
    assert_eq!(rig.connected(), StateReason::Established);
}

#[test]
fn a_read_only_server_proves_nothing() {
    let mut rig = Rig::with(|c| {
        c.read_only(true);
    });
    rig.establish();
    rig.connected();
    rig.cut();
    rig.suspended();
    let conn = rig.attempt();
    rig.up(conn);
    // Servers before 3.7 take a session of the whole ensemble, with limits of their own.
    rig.grant(conn, SID, 60_000, true);
    rig.connected_read_only();
    assert!(deadline(&rig) <= proven(ms(0)), "{:?}", deadline(&rig));
    rig.session.set_keep_alive(rig.now, KeepAlive::Sync);
    rig.idle(T);
    assert!(deadline(&rig) <= proven(ms(0)), "{:?}", deadline(&rig));
}
