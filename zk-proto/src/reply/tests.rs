use super::*;
use crate::{ConnectRequest, ErrorCode, Password, SessionId, Zxid};

#[test]
fn debug_shows_no_data_and_no_tokens() {
    let secret = || Bytes::from_static(b"hunter2");
    for reply in [
        Reply::Data {
            data: secret().into(),
            stat: Stat::default(),
        },
        Reply::Sasl(Some(secret())),
        Reply::MultiRead(vec![ReadResult::Data {
            data: secret().into(),
            stat: Stat::default(),
        }]),
    ] {
        for text in [format!("{reply:?}"), format!("{reply:#?}")] {
            assert!(
                !text.contains("hunter2") && !text.contains("104, 117"),
                "{text}"
            );
            assert!(text.contains("7 bytes"), "{text}");
        }
    }
}

#[test]
fn debug_shows_no_session_passwords() {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout: 10_000,
        session_id: SessionId(1),
        password: Password::from(*b"hunter2hunter2hu"),
        read_only: Some(false),
    };
    let text = format!("{request:?}");
    assert!(
        !text.contains("hunter2") && !text.contains("104, 117"),
        "{text}"
    );
    assert!(text.contains("Password(..)"), "{text}");
}

#[test]
fn the_chroot_comes_off_paths_within_it() {
    let chroot = Chroot::parse("/app").unwrap();
    let stat = Stat::default();
    let created = |path: &str| MultiResult::Created {
        path: path.to_owned(),
        stat: Some(stat),
    };
    let strings = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    for (mut reply, expected) in [
        (Reply::Path("/app/a".into()), Reply::Path("/a".into())),
        (Reply::Path("/app".into()), Reply::Path("/".into())),
        (Reply::Path("/apple".into()), Reply::Path("/apple".into())),
        (
            Reply::Created {
                path: "/app/a0000000001".into(),
                stat,
            },
            Reply::Created {
                path: "/a0000000001".into(),
                stat,
            },
        ),
        (
            Reply::Multi(vec![
                created("/app/x"),
                MultiResult::Deleted,
                created("/other"),
            ]),
            Reply::Multi(vec![created("/x"), MultiResult::Deleted, created("/other")]),
        ),
        (
            Reply::Ephemerals(strings(&["/app/e", "/apple", "/app"])),
            Reply::Ephemerals(strings(&["/e", "/apple", "/"])),
        ),
        (
            Reply::Children(Children::from_iter(["app"])),
            Reply::Children(Children::from_iter(["app"])),
        ),
    ] {
        let untouched = reply.clone();
        reply.strip_chroot(&Chroot::ROOT);
        assert_eq!(reply, untouched);
        reply.strip_chroot(&chroot);
        assert_eq!(reply, expected);
    }
}

#[test]
fn empty_has_a_body_in_the_reply_to_add_watch() {
    let mut out = Vec::new();
    Reply::Empty.encode(OpCode::DELETE, &mut out);
    assert!(out.is_empty());
    Reply::Empty.encode(OpCode::ADD_WATCH, &mut out);
    assert_eq!(out, [0; 4]);
}

#[test]
fn a_failed_multi_keeps_its_codes() {
    let results = vec![
        MultiResult::Error(ErrorCode::OK),
        MultiResult::Error(ErrorCode::BAD_VERSION),
        MultiResult::Error(ErrorCode::RUNTIME_INCONSISTENCY),
    ];
    let mut out = Vec::new();
    Reply::Multi(results.clone()).encode(OpCode::MULTI, &mut out);
    let expected = "ffffffff000000000000000000\
                    ffffffff00ffffff99ffffff99\
                    ffffffff00fffffffefffffffe\
                    ffffffff01ffffffff";
    let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected);
    let bytes = Bytes::from(out);
    assert_eq!(
        Reply::decode(OpCode::MULTI, &mut Reader::new(&bytes)),
        Ok(Reply::Multi(results))
    );
}

#[test]
fn results_are_read_by_their_own_type() {
    for (opcode, value) in [
        (OpCode::MULTI, 4),
        (OpCode::MULTI, 9999),
        (OpCode::MULTI_READ, 5),
    ] {
        let mut out = Vec::new();
        put_int(&mut out, value);
        out.extend([0; 100]);
        let bytes = Bytes::from(out);
        let error = Reply::decode(opcode, &mut Reader::new(&bytes)).unwrap_err();
        assert!(
            matches!(error, DecodeError::BadValue { value: v, .. } if v == value),
            "{error}"
        );
    }
}

#[test]
fn data_is_a_slice_of_what_was_received() {
    let mut out = Vec::new();
    let reply = Reply::Data {
        data: Payload::from(&b"payload"[..]),
        stat: Stat::default(),
    };
    reply.encode(OpCode::GET_DATA, &mut out);
    let bytes = Bytes::from(out);
    let Ok(Reply::Data { data, .. }) = Reply::decode(OpCode::GET_DATA, &mut Reader::new(&bytes))
    else {
        panic!()
    };
    assert_eq!(data.as_ptr(), bytes[4..].as_ptr());
}
