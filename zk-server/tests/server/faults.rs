//! Faults by call.

use std::time::Duration;

use zk_proto::{ConnectReply, CreateMode, ErrorCode, OpCode, Reply, Request, SessionId};
use zk_server::{Fault, Matcher, Options};

use crate::rig::{Closed, Got, Rig, create, delete, encode, get, new_session, session, set};

#[test]
fn a_cut_before_or_after_is_told_apart_by_what_was_done() {
    for (fault, applied) in [(Fault::CutBefore, false), (Fault::CutAfter, true)] {
        let mut rig = Rig::new(Options::new());
        let client = rig.connect();
        rig.server
            .inject(Matcher::any().opcode(OpCode::CREATE).path("/b"), fault);
        rig.call(client, &create("/a", CreateMode::Persistent))
            .unwrap();
        rig.ask(client, 1, &create("/b", CreateMode::Persistent));
        assert_eq!(rig.got(client, OpCode::CREATE), None);
        assert_eq!(rig.closed(client.conn), Some(Closed::Aborted));
        assert_eq!(rig.server.tree().node("/b").is_some(), applied);
        assert_eq!(rig.server.pending_faults(), 0);
        let (conn, reply) = rig.reconnect(client, 0);
        rig.call(session(conn, reply), &Request::Ping).unwrap();
    }
}

#[test]
fn a_code_is_answered_in_its_turn() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let matcher = Matcher::any().session(client.id).opcode(OpCode::DELETE);
    rig.server
        .inject(matcher, Fault::Answer(ErrorCode::THROTTLED_OP));
    let mut bytes = encode(1, &create("/a", CreateMode::Persistent));
    bytes.extend(encode(2, &delete("/a")));
    bytes.extend(encode(3, &get("/a", false)));
    rig.send(client.conn, &bytes);
    let codes: Vec<_> = [OpCode::CREATE, OpCode::DELETE, OpCode::GET_DATA]
        .into_iter()
        .map(|opcode| match rig.got(client, opcode) {
            Some(Got::Reply(xid, _, code, _)) => (xid, code),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        codes,
        [
            (1, ErrorCode::OK),
            (2, ErrorCode::THROTTLED_OP),
            (3, ErrorCode::OK)
        ]
    );
}

#[test]
fn what_is_held_comes_in_order_when_it_is_released() {
    let mut rig = Rig::new(Options::new());
    let (client, other) = (rig.connect(), rig.connect());
    rig.call(client, &create("/a", CreateMode::Persistent))
        .unwrap();
    rig.call(client, &get("/a", true)).unwrap();
    rig.server
        .inject(Matcher::any().opcode(OpCode::GET_DATA), Fault::Hold);
    rig.ask(client, 1, &Request::Ping);
    rig.ask(client, 2, &get("/a", false));
    rig.ask(client, 3, &set("/a", b"2"));
    assert!(matches!(
        rig.got(client, OpCode::PING),
        Some(Got::Reply(-2, ..))
    ));
    assert_eq!(rig.got(client, OpCode::PING), None);
    rig.call(other, &get("/a", false)).unwrap();
    rig.server.release(rig.now);
    rig.drain();
    assert!(matches!(
        rig.got(client, OpCode::GET_DATA),
        Some(Got::Reply(2, ..))
    ));
    assert!(matches!(
        rig.got(client, OpCode::SET_DATA),
        Some(Got::Event(..))
    ));
    assert!(matches!(
        rig.got(client, OpCode::SET_DATA),
        Some(Got::Reply(3, ..))
    ));
}

#[test]
fn a_connection_can_be_held_as_a_whole() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.server.hold(client.conn);
    rig.ask(client, 1, &Request::Ping);
    assert_eq!(rig.got(client, OpCode::PING), None);
    rig.server.release(rig.now);
    rig.drain();
    assert!(matches!(
        rig.got(client, OpCode::PING),
        Some(Got::Reply(-2, ..))
    ));
}

#[test]
fn a_delay_is_over_by_itself() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.server
        .inject(Matcher::any(), Fault::Delay(Duration::from_millis(300)));
    rig.ask(client, 1, &create("/a", CreateMode::Persistent));
    assert!(rig.server.tree().node("/a").is_some(), "it is done at once");
    rig.advance(Duration::from_millis(299));
    assert_eq!(rig.got(client, OpCode::CREATE), None);
    rig.advance(Duration::from_millis(1));
    assert!(matches!(
        rig.got(client, OpCode::CREATE),
        Some(Got::Reply(1, ..))
    ));
}

#[test]
fn a_delay_that_is_over_lets_nothing_out_that_waits_for_something_else() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let seconds = Duration::from_secs;
    rig.server.inject(Matcher::any(), Fault::Delay(seconds(1)));
    rig.server.inject(Matcher::any(), Fault::Delay(seconds(3)));
    rig.server.inject(Matcher::any(), Fault::Hold);
    for xid in 1..=3 {
        rig.ask(client, xid, &get("/", false));
    }
    let next = |rig: &mut Rig| match rig.got(client, OpCode::GET_DATA) {
        Some(Got::Reply(xid, ..)) => Some(xid),
        other => {
            assert_eq!(other, None);
            None
        }
    };
    rig.advance(seconds(1));
    assert_eq!((next(&mut rig), next(&mut rig)), (Some(1), None));
    rig.advance(seconds(2));
    assert_eq!((next(&mut rig), next(&mut rig)), (Some(2), None));
    rig.advance(seconds(4));
    assert_eq!(next(&mut rig), None);
    rig.server.release(rig.now);
    rig.drain();
    assert_eq!(next(&mut rig), Some(3));
}

#[test]
fn a_delay_without_end_is_a_hold() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let fault = Fault::Delay(Duration::MAX);
    rig.server.inject(Matcher::any(), fault);
    rig.ask(client, 1, &Request::Ping);
    assert_eq!(rig.got(client, OpCode::PING), None);
    rig.server.release(rig.now);
    rig.drain();
    assert!(rig.got(client, OpCode::PING).is_some());
}

/// The end of a session, and that of its connection, can be held as well.
#[test]
fn what_is_held_is_held_when_the_connection_ends() {
    for (fault, time) in [
        (Fault::Hold, None),
        (
            Fault::Delay(Duration::from_secs(30)),
            Some(Duration::from_secs(30)),
        ),
    ] {
        let mut rig = Rig::new(Options::new());
        let client = rig.connect();
        let matcher = Matcher::any().opcode(OpCode::CLOSE_SESSION);
        rig.server.inject(matcher, fault);
        rig.ask(client, 1, &Request::CloseSession);
        assert!(!rig.server.is_alive(client.id));
        rig.advance(Duration::from_secs(29));
        assert_eq!(rig.got(client, OpCode::CLOSE_SESSION), None);
        assert_eq!(rig.closed(client.conn), None);
        match time {
            Some(_) => rig.advance(Duration::from_secs(1)),
            None => rig.server.release(rig.now),
        }
        rig.drain();
        assert!(matches!(
            rig.got(client, OpCode::CLOSE_SESSION),
            Some(Got::Reply(1, _, ErrorCode::OK, _))
        ));
        assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
        assert_eq!(rig.server.member().connections(), 0);
    }
}

/// Nothing is behind the hold but the end, and all before it has been sent, or there was nothing.
#[test]
fn the_end_of_a_connection_is_held_and_told_of_without_output() {
    let too_short = [0; 4];
    for (was_full, time) in [(false, None), (true, None), (true, Some(30))] {
        let mut rig = Rig::new(Options::new());
        let client = rig.connect();
        if let Some(time) = time {
            let delay = Fault::Delay(Duration::from_secs(time));
            rig.server.inject(Matcher::any(), delay);
        }
        if was_full {
            rig.full.push(client.conn);
            rig.ask(client, 1, &Request::Ping);
        }
        rig.server.hold(client.conn);
        rig.send(client.conn, &too_short);
        rig.full.clear();
        rig.take(client.conn);
        rig.advance(Duration::from_secs(60));
        assert_eq!(rig.got(client, OpCode::PING).is_some(), was_full);
        assert_eq!(rig.closed(client.conn), None, "{was_full}, {time:?}");
        assert_eq!(rig.server.member().connections(), 1);
        rig.server.release(rig.now);
        rig.drain();
        assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
        assert_eq!(rig.server.member().connections(), 0);
        rig.advance(Duration::from_secs(60));
    }
}

#[test]
fn a_connection_that_is_held_at_its_end_goes_when_its_client_does() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.server.hold(client.conn);
    rig.ask(client, 1, &Request::CloseSession);
    assert_eq!(rig.server.member().connections(), 1);
    rig.server.handle_closed(rig.now, client.conn);
    assert_eq!(rig.server.member().connections(), 0);
    rig.server.release(rig.now);
    assert_eq!(rig.server.poll_output(), None);
}

#[test]
fn faults_happen_to_credentials_too() {
    let auth = Request::Auth {
        scheme: "digest".into(),
        data: Some(b"bob:secret"[..].into()),
    };
    let matcher = || Matcher::any().opcode(OpCode::AUTH);
    let got = |rig: &mut Rig, client| match rig.got(client, OpCode::AUTH) {
        Some(Got::Reply(-4, _, code, _)) => Some(code),
        other => {
            assert_eq!(other, None);
            None
        }
    };
    let users = |rig: &mut Rig, client| match rig.call(client, &Request::WhoAmI) {
        Ok(Reply::Clients(users)) => users.len(),
        other => panic!("{other:?}"),
    };
    for fault in [Fault::CutBefore, Fault::CutAfter] {
        let mut rig = Rig::new(Options::new());
        let client = rig.connect();
        rig.server.inject(matcher(), fault);
        rig.ask(client, -4, &auth);
        assert_eq!(rig.closed(client.conn), Some(Closed::Aborted), "{fault:?}");
        assert_eq!(got(&mut rig, client), None);
    }
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let refused = Fault::Answer(ErrorCode::AUTH_FAILED);
    rig.server.inject(matcher(), refused);
    rig.ask(client, -4, &auth);
    assert_eq!(got(&mut rig, client), Some(ErrorCode::AUTH_FAILED));
    assert_eq!(users(&mut rig, client), 1, "it is not carried out");
    rig.server.inject(matcher(), Fault::Hold);
    rig.ask(client, -4, &auth);
    assert_eq!(got(&mut rig, client), None);
    rig.server.release(rig.now);
    rig.drain();
    assert_eq!(got(&mut rig, client), Some(ErrorCode::OK));
    assert_eq!(users(&mut rig, client), 2);
}

#[test]
fn a_corrupt_reply_has_its_length_and_nothing_else() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.server.inject(Matcher::any().skip(1), Fault::Corrupt);
    rig.call(client, &Request::Ping).unwrap();
    rig.ask(client, 1, &Request::Ping);
    let frame = rig.frame(client.conn).unwrap();
    assert_eq!((frame.len(), &frame[..4]), (16, &[0, 0, 0, 1][..]));
    rig.call(client, &Request::Ping).unwrap();
}

#[test]
fn an_expired_session_is_gone_at_once() {
    let mut rig = Rig::new(Options::new());
    let (client, watcher) = (rig.connect(), rig.connect());
    rig.call(client, &create("/e", CreateMode::Ephemeral))
        .unwrap();
    rig.call(watcher, &get("/e", true)).unwrap();
    rig.server.expire(rig.now, client.id);
    rig.drain();
    assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
    assert_eq!(rig.events(watcher).len(), 1);
    let (_, reply) = rig.reconnect(client, 0);
    assert!(matches!(reply, Some(ConnectReply::Response(r)) if r.is_expired()));
    rig.server.expire(rig.now, SessionId(12345));
    rig.drain();
}

#[test]
fn connects_are_refused_until_they_are_accepted() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.server.refuse_connects();
    let (conn, reply) = rig.reconnect(client, 0);
    assert_eq!((reply, rig.closed(conn)), (None, Some(Closed::Orderly)));
    rig.call(client, &Request::Ping).unwrap();
    rig.server.accept_connects();
    let (conn, reply) = rig.reconnect(client, 0);
    session(conn, reply);
}

#[test]
fn the_session_in_an_answer_can_be_another_one() {
    let mut rig = Rig::new(Options::new());
    rig.server.substitute_session(SessionId(0x77));
    let conn = rig.accept();
    let reply = rig.greet(conn, &new_session(1));
    assert_eq!(session(conn, reply).id, SessionId(0x77));
    assert_ne!(rig.connect().id, SessionId(0x77));
}

#[test]
fn cuts_by_call() {
    let mut rig = Rig::new(Options::new());
    let (one, two, three) = (rig.connect(), rig.connect(), rig.connect());
    rig.server.cut_session(rig.now, one.id);
    rig.drain();
    assert_eq!(rig.closed(one.conn), Some(Closed::Aborted));
    assert_eq!(rig.call(two, &Request::Ping), Ok(Reply::Empty));
    rig.server.cut_all(rig.now);
    rig.drain();
    for client in [two, three] {
        assert_eq!(rig.closed(client.conn), Some(Closed::Aborted));
        assert!(rig.server.is_alive(client.id));
    }
    assert_eq!(rig.server.member().connections(), 0);
}

#[test]
fn faults_can_be_taken_back() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.server.inject(Matcher::any(), Fault::CutBefore);
    rig.server.refuse_connects();
    rig.server.clear_faults();
    rig.call(client, &Request::Ping).unwrap();
    rig.connect();
}
