//! What real servers make of requests that no well-behaved client sends. Each was found by comparing
//! with them.

use std::borrow::Cow;

use zk_proto::{
    Acl, CreateMode, ErrorCode, Id, MultiOp, MultiResult, OpCode, Perms, RawMode, Reply, Request,
    WireMode, frame, put_int,
};
use zk_server::{Options, Release};

use crate::rig::{Closed, Got, Rig, Session, create};

fn rig(release: Release) -> (Rig, Session) {
    let mut rig = Rig::new(
        Options::new()
            .release(release)
            .super_user("super", "superpw"),
    );
    let session = rig.connect();
    (rig, session)
}

/// Sends a request with a body of any kind.
fn send(rig: &mut Rig, session: Session, xid: i32, opcode: OpCode, body: &[u8]) {
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| {
        put_int(out, xid);
        put_int(out, opcode.0);
        out.extend_from_slice(body);
    });
    rig.send(session.conn, &bytes);
}

fn raw_mode(opcode: OpCode, flags: i32) -> WireMode {
    let ttl = None;
    WireMode::Raw(RawMode { opcode, flags, ttl })
}

fn raw_create(path: &str, mode: WireMode, acl: Vec<Acl>) -> Request<'_> {
    Request::Create {
        path: path.into(),
        data: None,
        acl: Cow::Owned(acl),
        mode,
        with_stat: true,
    }
}

/// Creates `/a` in a multi.
fn in_multi(rig: &mut Rig, session: Session, mode: WireMode) -> Result<Reply, ErrorCode> {
    let op = MultiOp::Create {
        path: "/a".into(),
        data: None,
        acl: Acl::open_unsafe_ref().into(),
        mode,
        with_stat: false,
    };
    rig.call(session, &Request::Multi(vec![op].into()))
}

#[test]
fn exists_alone_looks_for_nul() {
    let (mut rig, session) = rig(Release::V3_9);
    let (path, watch) = (Cow::Borrowed("/a\0"), true);
    let exists = Request::Exists {
        path: path.clone(),
        watch,
    };
    assert_eq!(rig.call(session, &exists), Err(ErrorCode::BAD_ARGUMENTS));
    let get = Request::GetData { path, watch };
    assert_eq!(rig.call(session, &get), Err(ErrorCode::NO_NODE));
}

#[test]
fn a_digest_is_split_as_java_splits() {
    let (mut rig, session) = rig(Release::V3_9);
    for (number, (id, good)) in [
        ("a:b", true),
        (":b", true),
        ("a:b:", true),
        ("", false),
        ("a", false),
        (":", false),
        ("a:", false),
        ("a:b:c", false),
        ("::b", false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{number}");
        let acl = vec![Acl {
            perms: Perms::ALL,
            id: Id::new("digest", id),
        }];
        let made = rig.call(
            session,
            &raw_create(&path, CreateMode::Persistent.into(), acl),
        );
        if good {
            assert!(made.is_ok(), "{id:?}: {made:?}");
        } else {
            assert_eq!(made, Err(ErrorCode::INVALID_ACL), "{id:?}");
        }
    }
}

#[test]
fn the_flags_of_a_container_make_its_name() {
    let (mut rig, session) = rig(Release::V3_9);
    let container = raw_mode(OpCode::CREATE_CONTAINER, 3);
    let made = rig.call(session, &raw_create("/c", container, Acl::open_unsafe()));
    let Ok(Reply::Created { path, stat }) = made else {
        panic!("{made:?}");
    };
    assert_eq!(path, "/c0000000000");
    assert!(stat.ephemeral_owner.is_none());
}

#[test]
fn a_time_to_live_needs_the_operation_that_has_it() {
    let (mut rig, session) = rig(Release::V3_9);
    for opcode in [OpCode::CREATE, OpCode::CREATE2, OpCode::CREATE_CONTAINER] {
        let request = raw_create("/t", raw_mode(opcode, 5), Acl::open_unsafe());
        assert_eq!(rig.call(session, &request), Err(ErrorCode::BAD_ARGUMENTS));
    }
}

#[test]
fn unknown_flags_spoil_a_multi_since_3_9() {
    for (release, flags, expected) in [
        (Release::V3_9, 7, Err(ErrorCode::MARSHALLING_ERROR)),
        (Release::V3_9, 5, Err(ErrorCode::MARSHALLING_ERROR)),
        (Release::V3_8, 5, Err(ErrorCode::MARSHALLING_ERROR)),
        (
            Release::V3_8,
            7,
            Ok(Reply::Multi(vec![MultiResult::Error(
                ErrorCode::BAD_ARGUMENTS,
            )])),
        ),
    ] {
        let (mut rig, session) = rig(release);
        let answer = in_multi(&mut rig, session, raw_mode(OpCode::CREATE, flags));
        assert_eq!(answer, expected, "{release} {flags}");
    }
}

#[test]
fn within_a_multi_flags_decide_on_the_result() {
    for (release, opcode, flags, with_stat) in [
        (Release::V3_9, OpCode::CREATE, 4, true),
        (Release::V3_9, OpCode::CREATE, 0, false),
        (Release::V3_9, OpCode::CREATE2, 0, true),
        (Release::V3_9, OpCode::CREATE_CONTAINER, 0, true),
        (Release::V3_8, OpCode::CREATE, 4, true),
        (Release::V3_8, OpCode::CREATE2, 0, false),
        (Release::V3_8, OpCode::CREATE_CONTAINER, 0, false),
    ] {
        let (mut rig, session) = rig(release);
        let answer = in_multi(&mut rig, session, raw_mode(opcode, flags)).unwrap();
        let Reply::Multi(results) = &answer else {
            panic!("{answer:?}");
        };
        let [MultiResult::Created { stat, .. }] = &results[..] else {
            panic!("{answer:?}");
        };
        assert_eq!(stat.is_some(), with_stat, "{release} {opcode} {flags}");
    }
}

#[test]
fn pings_are_answered_under_their_own_number() {
    let (mut rig, session) = rig(Release::V3_9);
    send(&mut rig, session, 7, OpCode::PING, &[]);
    let answer = rig.got(session, OpCode::PING);
    assert!(
        matches!(answer, Some(Got::Reply(-2, _, ErrorCode::OK, _))),
        "{answer:?}"
    );
}

#[test]
fn damaged_credentials_cost_the_connection_without_a_word() {
    for (opcode, body) in [(OpCode::AUTH, &[0][..]), (OpCode::SASL, &[0xff; 4])] {
        let (mut rig, session) = rig(Release::V3_9);
        send(&mut rig, session, 1, opcode, body);
        assert_eq!(rig.frame(session.conn), None);
        assert_eq!(rig.closed(session.conn), Some(Closed::Orderly));
    }
}

#[test]
fn null_is_no_credential() {
    let (mut rig, session) = rig(Release::V3_9);
    let auth = Request::Auth {
        scheme: "digest".into(),
        data: None,
    };
    assert_eq!(rig.call(session, &auth), Err(ErrorCode::AUTH_FAILED));
    assert_eq!(rig.closed(session.conn), Some(Closed::Orderly));
}

#[test]
fn a_check_outside_of_a_multi_is_unknown_whatever_its_body() {
    let (mut rig, session) = rig(Release::V3_9);
    send(&mut rig, session, 1, OpCode::CHECK, &[0x80, 0, 0, 0]);
    let answer = rig.got(session, OpCode::CHECK);
    let refused = Got::Reply(1, -1, ErrorCode::UNIMPLEMENTED, None);
    assert_eq!(answer, Some(refused));
    assert_eq!(rig.closed(session.conn), Some(Closed::Orderly));
}

#[test]
fn a_reconfig_that_cannot_be_read_takes_no_number() {
    for release in [Release::V3_8, Release::V3_9] {
        let (mut rig, session) = rig(release);
        send(&mut rig, session, 1, OpCode::RECONFIG, &[]);
        let answer = rig.got(session, OpCode::RECONFIG);
        let Some(Got::Reply(1, before, ErrorCode::MARSHALLING_ERROR, None)) = answer else {
            panic!("{answer:?}");
        };
        rig.ask(session, 2, &create("/a", CreateMode::Persistent));
        let answer = rig.got(session, OpCode::CREATE);
        let Some(Got::Reply(2, after, ErrorCode::OK, _)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(after, before + 1, "{release}");
    }
}
