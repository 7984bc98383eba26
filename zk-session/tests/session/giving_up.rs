//! When a session is lost, given up, replaced or resumed.

use std::io::ErrorKind;
use std::time::Duration;

use zk_proto::{ConnectReply, ErrorCode, Request, SessionId};
use zk_session::{CloseOutcome, Event, GiveUp, LinkError, RequestError, State, StateReason};

use crate::rig::expect::{create, get, set};
use crate::rig::{MARGIN, Rig, SID, T, ms, password};

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
    assert_eq!(rig.session.deadline(), Some(rig.start + T - MARGIN));
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
