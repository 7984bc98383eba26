//! From a fresh connection to a session: negotiation, re-attaching, refusals.

use std::time::Duration;

use zk_proto::{
    ConnectReply, ConnectRequest, ConnectResponse, CreateMode, ErrorCode, OpCode, Password, Reply,
    Request, SessionId, Zxid, frame,
};
use zk_server::{Options, Standalone};

use crate::rig::{Closed, Got, Rig, create, delete, encode, get, new_session, session};

const EXPIRED: ConnectResponse = ConnectResponse {
    protocol_version: 0,
    timeout: 0,
    session_id: SessionId::NONE,
    password: Password::EMPTY,
    read_only: Some(false),
};

fn expired() -> Option<ConnectReply> {
    Some(ConnectReply::Response(EXPIRED))
}

#[test]
fn a_session_is_opened_by_one_transaction() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    assert_eq!(rig.server.tree().last_zxid(), Zxid(1));
    assert_eq!(
        (client.id.0 as u64) >> 56,
        1,
        "the high byte is the number of the server"
    );
    assert_eq!(
        (client.password.as_bytes().len(), client.timeout),
        (16, 10_000)
    );
    assert_ne!(client.password, Password::EMPTY);
}

#[test]
fn timeouts_are_negotiated_again_by_each_request() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    for (asked, given) in [(1, 4000), (-5, 4000), (3_600_000, 40_000), (12_345, 12_345)] {
        let request = ConnectRequest {
            session_id: client.id,
            password: client.password,
            ..new_session(asked)
        };
        let conn = rig.accept();
        let reply = rig.greet(conn, &request);
        assert_eq!(session(conn, reply).timeout, given);
    }
}

#[test]
fn the_read_only_byte_is_answered_if_it_was_there() {
    let mut rig = Rig::new(Options::new());
    for (asked, answered) in [
        (None, None),
        (Some(false), Some(false)),
        (Some(true), Some(false)),
    ] {
        let conn = rig.accept();
        let request = ConnectRequest {
            read_only: asked,
            ..new_session(1)
        };
        let Some(ConnectReply::Response(response)) = rig.greet(conn, &request) else {
            panic!("no answer");
        };
        assert_eq!(response.read_only, answered);
    }
}

#[test]
fn coming_back_closes_the_older_connection_and_keeps_the_session() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let before = rig.server.tree().last_zxid();
    let (conn, reply) = rig.reconnect(client, 1);
    let again = session(conn, reply);
    assert_eq!((again.id, again.password), (client.id, client.password));
    assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
    assert_eq!(
        rig.server.tree().last_zxid(),
        before,
        "it takes no transaction"
    );
    assert_eq!(rig.call(again, &Request::Ping), Ok(Reply::Empty));
}

#[test]
fn a_wrong_password_is_an_expired_session_and_closes_the_older_connection() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let request = ConnectRequest {
        session_id: client.id,
        ..new_session(10_000)
    };
    let conn = rig.accept();
    assert_eq!(rig.greet(conn, &request), expired());
    assert_eq!(rig.closed(conn), Some(Closed::Orderly));
    assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
    // The session itself is as it was.
    let (conn, reply) = rig.reconnect(client, 0);
    session(conn, reply);
}

#[test]
fn an_unknown_or_closed_session_is_expired() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    assert_eq!(rig.call(client, &Request::CloseSession), Ok(Reply::Empty));
    assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
    let (conn, reply) = rig.reconnect(client, 0);
    assert_eq!(
        (reply, rig.closed(conn)),
        (expired(), Some(Closed::Orderly))
    );
}

#[test]
fn a_client_from_the_future_is_refused_without_an_answer() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let (conn, reply) = rig.reconnect(client, 2);
    assert_eq!((reply, rig.closed(conn)), (None, Some(Closed::Orderly)));
    let (conn, reply) = rig.reconnect(client, 1);
    session(conn, reply);
}

#[test]
fn a_silent_session_expires_between_its_timeout_and_a_tick_later() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.advance(Duration::from_millis(9_999));
    assert!(rig.server.is_alive(client.id));
    rig.advance(Duration::from_millis(2_001));
    assert!(!rig.server.is_alive(client.id));
    assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
    assert_eq!(rig.frame(client.conn), None, "it is not told");
    let (_, reply) = rig.reconnect(client, 0);
    assert_eq!(reply, expired());
}

#[test]
fn every_request_keeps_a_session_alive() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.call(client, &create("/a", CreateMode::Ephemeral))
        .unwrap();
    for _ in 0..20 {
        rig.advance(Duration::from_secs(9));
        rig.call(client, &get("/a", false)).unwrap();
    }
    rig.advance(Duration::from_secs(13));
    assert!(!rig.server.is_alive(client.id));
    assert!(rig.server.tree().node("/a").is_none());
}

#[test]
fn a_session_outlives_its_connection_and_its_end_takes_its_nodes() {
    let mut rig = Rig::new(Options::new());
    let (client, watcher) = (rig.connect(), rig.connect());
    rig.call(client, &create("/e", CreateMode::Ephemeral))
        .unwrap();
    rig.call(watcher, &get("/e", true)).unwrap();
    rig.server.handle_closed(rig.now, client.conn);
    rig.advance(Duration::from_secs(5));
    rig.call(watcher, &Request::Ping).unwrap();
    let (conn, reply) = rig.reconnect(client, 0);
    let again = session(conn, reply);
    rig.call(again, &get("/e", false)).unwrap();
    let before = rig.server.tree().last_zxid();
    rig.call(again, &Request::CloseSession).unwrap();
    assert_eq!(
        rig.server.tree().last_zxid(),
        Zxid(before.0 + 1),
        "one for all of it"
    );
    assert_eq!(rig.events(watcher).len(), 1);
}

#[test]
fn the_end_of_a_session_is_answered_after_its_events() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.call(client, &create("/e", CreateMode::Ephemeral))
        .unwrap();
    rig.call(client, &get("/e", true)).unwrap();
    rig.ask(client, 9, &Request::CloseSession);
    assert!(matches!(
        rig.got(client, OpCode::CLOSE_SESSION),
        Some(Got::Event(3, ..))
    ));
    assert_eq!(
        rig.got(client, OpCode::CLOSE_SESSION),
        Some(Got::Reply(9, 3, ErrorCode::OK, Some(Reply::Empty)))
    );
    assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
}

#[test]
fn what_is_sent_behind_the_greeting_waits_for_it() {
    let mut rig = Rig::new(Options::new());
    let conn = rig.accept();
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| new_session(10_000).encode(out));
    bytes.extend(encode(1, &create("/a", CreateMode::Persistent)));
    bytes.extend(encode(2, &get("/a", false)));
    bytes.extend(encode(3, &delete("/a")));
    rig.send(conn, &bytes);
    assert_eq!(rig.peers[&conn].frames.len(), 4);
    assert_eq!(rig.server.tree().last_zxid(), Zxid(3));
}

#[test]
fn what_is_sent_behind_the_end_is_dropped() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let mut bytes = encode(1, &Request::CloseSession);
    bytes.extend(encode(2, &create("/a", CreateMode::Persistent)));
    rig.send(client.conn, &bytes);
    assert_eq!(rig.peers[&client.conn].frames.len(), 1);
    assert!(rig.server.tree().node("/a").is_none());
}

#[test]
fn a_connection_that_says_nothing_is_closed_after_ten_seconds() {
    let mut rig = Rig::new(Options::new());
    let conn = rig.accept();
    rig.send(conn, &[0, 0, 0, 45, 0]);
    rig.advance(Duration::from_millis(9_999));
    assert_eq!(rig.closed(conn), None);
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.closed(conn), Some(Closed::Aborted));
    assert_eq!(rig.server.member().connections(), 0);
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let mut rig = Rig::new(Options::new().max_connections_per_address(2));
    let first = rig.connect();
    let second = rig.accept();
    let third = rig.accept();
    assert_eq!(rig.closed(third), Some(Closed::Aborted));
    let elsewhere = rig.accept_from(([10, 0, 0, 1], 1).into());
    assert_eq!((rig.closed(second), rig.closed(elsewhere)), (None, None));
    rig.call(first, &Request::CloseSession).unwrap();
    let fourth = rig.accept();
    assert_eq!(rig.closed(fourth), None);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = || {
        let mut rig = Rig::new(Options::new());
        // Both runs begin at the same moment of the wall clock, whenever that is here.
        let (one, two) = (rig.connect(), rig.connect());
        rig.call(one, &create("/a", CreateMode::EphemeralSequential))
            .unwrap();
        rig.call(
            two,
            &Request::GetChildren {
                path: "/".into(),
                watch: true,
                with_stat: true,
            },
        )
        .unwrap();
        rig.advance(Duration::from_secs(60));
        rig.peers
            .into_values()
            .map(|peer| peer.raw)
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_read_only_server_serves_who_can_do_without_writes() {
    let mut rig = Rig::new(Options::new().local_sessions());
    let client = rig.connect();
    rig.call(client, &create("/a", CreateMode::Persistent))
        .unwrap();
    Standalone::become_read_only(&mut rig.server, rig.now);
    rig.drain();
    assert_eq!(rig.closed(client.conn), Some(Closed::Aborted));
    assert_eq!(rig.word("isro"), "ro");

    let (conn, reply) = rig.reconnect(client, 0);
    assert_eq!(
        (reply, rig.closed(conn)),
        (None, Some(Closed::Orderly)),
        "a session of all"
    );
    let conn = rig.accept();
    assert_eq!(
        rig.greet(conn, &new_session(10_000)),
        None,
        "one who wants to write"
    );
    assert_eq!(rig.closed(conn), Some(Closed::Orderly));

    let conn = rig.accept();
    let request = ConnectRequest {
        read_only: Some(true),
        ..new_session(10_000)
    };
    let reply = rig.greet(conn, &request);
    assert!(matches!(&reply, Some(ConnectReply::Response(r)) if r.read_only == Some(true)));
    let reader = session(conn, reply);
    assert!(rig.call(reader, &get("/a", true)).is_ok());
    assert_eq!(rig.call(reader, &Request::Ping), Ok(Reply::Empty));
    for request in [
        create("/b", CreateMode::Persistent),
        delete("/a"),
        Request::Sync { path: "/".into() },
        Request::Multi(vec![].into()),
    ] {
        assert_eq!(rig.call(reader, &request), Err(ErrorCode::NOT_READ_ONLY));
    }

    let unknown = ConnectRequest {
        session_id: SessionId(99),
        ..request
    };
    let conn = rig.accept();
    let reply = rig.greet(conn, &unknown);
    let response = ConnectResponse {
        read_only: Some(true),
        ..EXPIRED
    };
    assert_eq!(reply, Some(ConnectReply::Response(response)));

    // Time passes, but not for sessions.
    rig.advance(Duration::from_secs(100));
    rig.server.become_writable(rig.now);
    rig.drain();
    assert_eq!(rig.closed(reader.conn), Some(Closed::Aborted));
    assert_eq!(rig.reconnect(reader, 0).1, expired());
    let (conn, reply) = rig.reconnect(client, 0);
    rig.call(session(conn, reply), &delete("/a")).unwrap();
}

#[test]
fn a_read_only_server_without_local_sessions_answers_with_the_head_of_a_reply() {
    let mut rig = Rig::new(Options::new());
    rig.connect();
    rig.server.become_read_only(rig.now);
    rig.drain();
    let conn = rig.accept();
    let request = ConnectRequest {
        read_only: Some(true),
        ..new_session(10_000)
    };
    let reply = rig.greet(conn, &request);
    assert_eq!(reply, Some(ConnectReply::Refused(ErrorCode::NOT_READ_ONLY)));
    assert_eq!(
        rig.peers[&conn].raw,
        [
            0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 137
        ]
    );
}

/// What is sent with a connect request waits for the session. It is heard of when it was sent, not when
/// something happens next.
#[test]
fn requests_behind_a_connect_request_are_heard_of_at_once() {
    let mut rig = Rig::new(Options::new());
    let conn = rig.accept();
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| new_session(10_000).encode(out));
    bytes.extend(encode(1, &get("/", false)));
    rig.send(conn, &bytes);
    rig.now += Duration::from_secs(3);
    let dump = rig.word("dump");
    assert!(dump.contains("expire at 12000 ms"), "{dump}");
}
