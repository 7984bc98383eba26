//! What no server should send: a typed error, and a session that recovers where it can.

use std::io::ErrorKind;

use zk_proto::{ConnectReply, ErrorCode, Payload, Reply, Stat, Xid, Zxid, put_int, put_text};
use zk_session::{LinkError, Outcome, ProtocolError, RequestError, StateReason, Stranger};

use crate::rig::expect::{CHANGED, get, get_watched, set};
use crate::rig::{Rig, ms};

/// Has one request in flight; gives the rig, the request and what the server got.
fn asking() -> (Rig, zk_session::RequestId, crate::rig::Asked) {
    let mut rig = Rig::to_connected();
    let id = rig.submit(&set("/a", b"1"));
    let asked = rig.asked();
    (rig, id, asked)
}

/// The connection was dropped for this, nothing is left unanswered, and the session recovers.
fn dropped_for(mut rig: Rig, id: zk_session::RequestId) -> ProtocolError {
    let (_, error) = rig.suspended();
    assert_eq!(rig.failed(id), RequestError::ConnectionLoss { sent: true });
    rig.nothing_happened();
    rig.establish();
    assert_eq!(rig.connected(), StateReason::Resumed);
    match error {
        LinkError::Protocol(error) => error,
        other => panic!("a breach of the protocol was due, not {other:?}"),
    }
}

#[test]
fn a_negative_length() {
    let (mut rig, id, _) = asking();
    let conn = rig.conn();
    rig.push(conn, &(-5i32).to_be_bytes());
    assert_eq!(dropped_for(rig, id), ProtocolError::BadLength(-5));
}

#[test]
fn a_frame_too_short_for_a_header() {
    for length in [0u8, 1, 15] {
        let (mut rig, id, _) = asking();
        let conn = rig.conn();
        rig.push(conn, &[0, 0, 0, length]);
        rig.push(conn, &vec![0; length.into()]);
        assert!(matches!(
            dropped_for(rig, id),
            ProtocolError::Undecodable(_)
        ));
    }
}

#[test]
fn bytes_behind_a_reply_are_of_the_future_and_ignored() {
    let (mut rig, id, asked) = asking();
    let mut body = Vec::new();
    Reply::Stat(Stat::default()).encode(asked.opcode, &mut body);
    body.extend_from_slice(b"a field of version 4");
    rig.say(asked.xid, ErrorCode::OK, &body);
    assert_eq!(rig.ok(id), Reply::Stat(Stat::default()));
}

#[test]
fn frames_in_any_pieces() {
    let mut rig = Rig::to_connected();
    let ids: Vec<_> = (0..3).map(|_| rig.submit(&get("/a"))).collect();
    let mut bytes = Vec::new();
    for _ in &ids {
        let asked = rig.asked();
        bytes.extend(Rig::frame(asked.xid, 0x100, ErrorCode::NO_NODE, &[]));
    }
    let conn = rig.conn();
    for byte in bytes {
        rig.push(conn, &[byte]);
    }
    for id in ids {
        rig.failed(id);
    }
}

#[test]
fn a_reply_to_no_request() {
    let (mut rig, id, asked) = asking();
    rig.say(Xid(asked.xid.0 + 1), ErrorCode::OK, &[]);
    let expected = asked.xid;
    let got = Xid(asked.xid.0 + 1);
    assert_eq!(
        dropped_for(rig, id),
        ProtocolError::WrongXid { got, expected }
    );

    let mut rig = Rig::to_connected();
    rig.say(Xid(1), ErrorCode::OK, &[]);
    let (_, error) = rig.suspended();
    let (got, expected) = (Xid(1), Xid::WATCH);
    assert_eq!(
        error,
        LinkError::Protocol(ProtocolError::WrongXid { got, expected })
    );
}

#[test]
fn a_reply_out_of_order() {
    let mut rig = Rig::to_connected();
    let ids = [rig.submit(&get("/a")), rig.submit(&get("/b"))];
    let asked = [rig.asked(), rig.asked()];
    rig.answer(&asked[1]);
    rig.suspended();
    for id in ids {
        assert_eq!(rig.failed(id), RequestError::ConnectionLoss { sent: true });
    }
}

#[test]
fn a_reply_to_a_credential_that_was_never_sent() {
    let (mut rig, id, _) = asking();
    rig.say(Xid::AUTH, ErrorCode::OK, &[]);
    assert!(matches!(
        dropped_for(rig, id),
        ProtocolError::WrongXid { got: Xid::AUTH, .. }
    ));
}

#[test]
fn reserved_and_strange_xids() {
    for xid in [0, -3, -5, -8, i32::MIN, i32::MAX] {
        let (mut rig, id, _) = asking();
        rig.say(Xid(xid), ErrorCode::OK, &[]);
        assert!(
            matches!(dropped_for(rig, id), ProtocolError::WrongXid { .. }),
            "{xid}"
        );
    }
}

#[test]
fn a_ping_reply_that_was_not_asked_for_is_harmless() {
    let (mut rig, id, asked) = asking();
    rig.say(Xid::PING, ErrorCode::OK, &[]);
    rig.nothing_happened();
    rig.answer(&asked);
    rig.ok(id);
}

#[test]
fn an_unknown_error_code_is_an_answer() {
    let (mut rig, id, asked) = asking();
    rig.answer_err(&asked, ErrorCode(-4711));
    let error = rig.failed(id);
    assert_eq!(error, RequestError::Server(ErrorCode(-4711)));
    assert_eq!(error.outcome(), Outcome::NotApplied);
    rig.nothing_happened();
}

#[test]
fn a_body_that_cannot_be_decoded_fails_its_own_request() {
    let (mut rig, id, asked) = asking();
    let other = rig.submit(&get("/b"));
    rig.say(asked.xid, ErrorCode::OK, b"short");
    let error = rig.failed(id);
    assert!(matches!(error, RequestError::Undecodable(_)));
    assert_eq!(error.outcome(), Outcome::Applied);
    rig.answer_all();
    rig.ok(other);
    rig.nothing_happened();
}

#[test]
fn a_watched_read_that_cannot_be_decoded_leaves_no_watch() {
    let mut rig = Rig::to_connected();
    let (id, _) = rig.watching(&get_watched("/a"));
    let asked = rig.asked();
    rig.say(asked.xid, ErrorCode::OK, b"short");
    rig.failed(id);
    let asked = rig.asked();
    assert_eq!(asked.opcode, zk_proto::OpCode::REMOVE_WATCHES);
    assert_eq!(rig.session.stats().watched_paths, 0);
}

fn limited() -> Rig {
    let mut rig = Rig::with(|c| {
        c.max_reply_bytes(200);
    });
    rig.establish();
    rig.connected();
    rig
}

#[test]
fn a_reply_too_large_fails_its_own_request_and_is_skipped() {
    let mut rig = limited();
    let ids = [rig.submit(&get("/a")), rig.submit(&get("/b"))];
    let asked = [rig.asked(), rig.asked()];
    let mut body = Vec::new();
    let data = Payload::from(vec![1; 100_000]);
    let stat = Stat::default();
    Reply::Data { data, stat }.encode(asked[0].opcode, &mut body);
    let frame = Rig::frame(asked[0].xid, 0x150, ErrorCode::OK, &body);
    let conn = rig.conn();
    rig.push(conn, &frame[..50]);
    let error = rig.failed(ids[0]);
    let (length, limit) = (frame.len() - 4, 200);
    assert_eq!(error, RequestError::ReplyTooLarge { length, limit });
    assert_eq!(error.outcome(), Outcome::Applied);
    for bytes in frame[50..].chunks(10_000) {
        rig.push(conn, bytes);
    }
    rig.answer(&asked[1]);
    rig.ok(ids[1]);
    rig.nothing_happened();
    assert_eq!(rig.session.last_zxid(), Zxid(0x150), "it was seen");
}

#[test]
fn an_event_too_large_ends_the_connection() {
    let mut rig = limited();
    rig.fire(CHANGED, &"/x".repeat(200));
    let (_, error) = rig.suspended();
    assert!(matches!(
        error,
        LinkError::Protocol(ProtocolError::TooLarge(_))
    ));
}

#[test]
fn an_event_that_cannot_be_decoded_ends_the_connection() {
    let (mut rig, id, _) = asking();
    rig.say(Xid::WATCH, ErrorCode::OK, b"no event");
    assert!(matches!(
        dropped_for(rig, id),
        ProtocolError::Undecodable(_)
    ));
}

#[test]
fn a_server_that_is_behind_what_was_seen_is_left() {
    let mut rig = Rig::to_connected();
    rig.zxid = 0x500;
    rig.submit(&get("/a"));
    rig.answer_all();
    rig.events.clear();
    rig.cut();
    rig.suspended();
    rig.establish();
    rig.connected();
    let id = rig.submit(&get("/a"));
    let asked = rig.asked();
    rig.zxid = 0x4ff;
    rig.answer(&asked);
    let (got, seen) = (Zxid(0x4ff), Zxid(0x500));
    assert_eq!(dropped_for(rig, id), ProtocolError::WentBack { got, seen });
}

#[test]
fn a_zxid_that_says_nothing_does_not_go_back() {
    let mut rig = Rig::to_connected();
    rig.zxid = 0x500;
    rig.submit(&get("/a"));
    rig.answer_all();
    rig.events.clear();
    rig.cut();
    rig.suspended();
    rig.establish();
    rig.connected();
    for zxid in [0, -1] {
        let id = rig.submit(&get("/a"));
        let asked = rig.asked();
        rig.zxid = zxid;
        rig.answer_err(&asked, ErrorCode::NO_AUTH);
        assert_eq!(rig.failed(id), RequestError::Server(ErrorCode::NO_AUTH));
    }
    assert_eq!(rig.session.last_zxid(), Zxid(0x500));
}

/// An attempt at a server that answers this instead of taking the session.
fn greeted_with(bytes: &[u8]) -> LinkError {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.up(conn);
    rig.push(conn, bytes);
    if rig.events.is_empty() {
        rig.gone(conn, ErrorKind::UnexpectedEof);
    }
    let (server, error) = rig.attempt_failed();
    assert_eq!(rig.session.last_error(), Some((&server, &error)));
    rig.establish();
    assert_eq!(rig.connected(), StateReason::Established);
    error
}

#[test]
fn strangers_are_named() {
    let http = b"HTTP/1.1 400 Bad Request\r\n";
    let alert = [0x15, 3, 3, 0, 2, 2, 80];
    let hello = [0x16, 3, 1, 0, 50];
    for (bytes, stranger) in [
        (&http[..], Stranger::Http),
        (&http[..4], Stranger::Http),
        (&alert[..], Stranger::Tls),
        (&hello[..], Stranger::Tls),
        (b"SSH-2.0-OpenSSH", Stranger::Other),
        (b"\xff\xff\xff\xff", Stranger::Other),
        (b"\x00\x00\x00\x05hello", Stranger::Other),
        (b"\x00\x00\x00\x00", Stranger::Other),
        (b"\x7f\xff\xff\xff", Stranger::Other),
        (b"\x00", Stranger::Other),
    ] {
        assert_eq!(
            greeted_with(bytes),
            LinkError::NotZooKeeper(stranger),
            "{bytes:?}"
        );
    }
}

#[test]
fn a_close_instead_of_an_answer_is_a_refusal() {
    assert_eq!(greeted_with(b""), LinkError::Declined);
}

#[test]
fn the_refusal_of_16_bytes() {
    let mut bytes = Vec::new();
    zk_proto::frame(&mut bytes, |out| {
        ConnectReply::Refused(ErrorCode::NOT_READ_ONLY).encode(out);
    });
    assert_eq!(bytes.len(), 20);
    let error = greeted_with(&bytes);
    assert_eq!(error, LinkError::Refused(ErrorCode::NOT_READ_ONLY));
}

#[test]
fn a_session_without_an_id_or_with_an_endless_password() {
    for (id, password) in [(0i64, 16usize), (7, 1000)] {
        let mut bytes = Vec::new();
        zk_proto::frame(&mut bytes, |out| {
            put_int(out, 0);
            put_int(out, 6000);
            zk_proto::put_long(out, id);
            zk_proto::put_buffer(out, Some(&vec![1; password]));
            out.push(0);
        });
        assert_eq!(
            greeted_with(&bytes),
            LinkError::NotZooKeeper(Stranger::Other)
        );
    }
}

#[test]
fn a_read_only_server_that_was_not_wanted() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.up(conn);
    rig.grant(conn, crate::rig::SID, 6000, true);
    let (_, error) = rig.attempt_failed();
    assert_eq!(error, LinkError::Refused(ErrorCode::NOT_READ_ONLY));
    rig.nothing_happened();
}

#[test]
fn answers_before_a_question() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.push(conn, &[0, 0, 0, 1, 7]);
    let (_, error) = rig.attempt_failed();
    assert_eq!(error, LinkError::NotZooKeeper(Stranger::Other));
}

#[test]
fn a_server_of_version_3_3_sends_no_read_only_byte() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.up(conn);
    rig.greeted(
        conn,
        &ConnectReply::Response(zk_proto::ConnectResponse {
            protocol_version: 0,
            timeout: 6000,
            session_id: crate::rig::SID,
            password: crate::rig::password(crate::rig::SID),
            read_only: None,
        }),
    );
    assert_eq!(rig.connected(), StateReason::Established);
}

#[test]
fn timeouts_at_the_edge_do_not_make_it_spin() {
    for timeout in [1, 2, i32::MAX] {
        let mut rig = Rig::new();
        let conn = rig.attempt();
        rig.up(conn);
        rig.grant(conn, crate::rig::SID, timeout, false);
        rig.connected();
        rig.idle(ms(20));
        rig.events.clear();
    }
}

#[test]
fn news_of_old_connections_is_ignored() {
    let mut rig = Rig::to_connected();
    let old = rig.conn();
    rig.cut();
    rig.suspended();
    rig.establish();
    rig.connected();
    rig.session.handle_data(rig.now, old, b"HTTP/1.1 200 OK");
    rig.session.handle_connected(rig.now, old);
    rig.session
        .handle_disconnected(rig.now, old, ErrorKind::UnexpectedEof);
    rig.session.handle_sasl(rig.now, old, Ok(vec![1, 2, 3]));
    let mut out = Vec::new();
    assert_eq!(rig.session.poll_transmit(rig.now, old, &mut out), 0);
    rig.drain();
    rig.nothing_happened();
    rig.nothing_asked();
}

#[test]
fn a_path_of_an_event_can_be_anything() {
    let mut rig = Rig::to_connected();
    let mut body = Vec::new();
    put_int(&mut body, 3);
    put_int(&mut body, 3);
    put_text(&mut body, "//..//\u{0}");
    rig.say(Xid::WATCH, ErrorCode::OK, &body);
    rig.nothing_happened();
}
