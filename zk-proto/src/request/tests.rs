use bytes::Bytes;

use super::*;
use crate::{CreateMode, ReadOp, Zxid};

const SECRET: &[u8] = b"hunter2";

fn encoded(request: &Request<'_>, chroot: &str) -> Vec<u8> {
    let mut out = Vec::new();
    request.encode(&Chroot::parse(chroot).unwrap(), &mut out);
    out
}

fn create(path: &'static str, mode: CreateMode) -> Request<'static> {
    Request::Create {
        path: path.into(),
        data: Some(SECRET.into()),
        acl: Acl::open_unsafe_ref().into(),
        mode: mode.into(),
        with_stat: false,
    }
}

/// One of each, with a secret wherever one fits.
fn all() -> Vec<Request<'static>> {
    let path = || Cow::Borrowed("/a");
    vec![
        create("/a", CreateMode::Persistent),
        Request::Delete {
            path: path(),
            version: 1,
        },
        Request::Exists {
            path: path(),
            watch: true,
        },
        Request::GetData {
            path: path(),
            watch: true,
        },
        Request::SetData {
            path: path(),
            data: Some(SECRET.into()),
            version: 1,
        },
        Request::GetAcl { path: path() },
        Request::SetAcl {
            path: path(),
            acl: Acl::open_unsafe().into(),
            version: 1,
        },
        Request::GetChildren {
            path: path(),
            watch: true,
            with_stat: false,
        },
        Request::GetChildren {
            path: path(),
            watch: true,
            with_stat: true,
        },
        Request::Sync { path: path() },
        Request::Ping,
        Request::Check {
            path: path(),
            version: 1,
        },
        Request::Multi(Cow::Owned(vec![
            MultiOp::Create {
                path: path(),
                data: Some(SECRET.into()),
                acl: Acl::open_unsafe().into(),
                mode: CreateMode::Persistent.into(),
                with_stat: true,
            },
            MultiOp::SetData {
                path: path(),
                data: Some(SECRET.into()),
                version: 1,
            },
            MultiOp::Delete {
                path: path(),
                version: 1,
            },
            MultiOp::Check {
                path: path(),
                version: 1,
            },
        ])),
        Request::MultiRead(Cow::Owned(vec![
            ReadOp::GetData { path: path() },
            ReadOp::GetChildren { path: path() },
        ])),
        Request::Reconfig {
            joining: None,
            leaving: Some("3".into()),
            new_members: None,
            from_config: -1,
        },
        Request::CheckWatches {
            path: path(),
            kind: WatcherType::ANY,
        },
        Request::RemoveWatches {
            path: path(),
            kind: WatcherType::ANY,
        },
        Request::Auth {
            scheme: "digest".into(),
            data: Some(SECRET.into()),
        },
        Request::SetWatches(SetWatches {
            relative_zxid: Zxid(1),
            data: vec![path()],
            ..SetWatches::default()
        }),
        Request::Sasl {
            token: Some(SECRET.into()),
        },
        Request::GetEphemerals { prefix: path() },
        Request::GetAllChildrenNumber { path: path() },
        Request::AddWatch {
            path: path(),
            mode: AddWatchMode::PERSISTENT,
        },
        Request::WhoAmI,
        Request::CloseSession,
    ]
}

#[test]
fn debug_shows_no_secrets() {
    let mut lengths = 0;
    for request in all() {
        for text in [format!("{request:?}"), format!("{request:#?}")] {
            assert!(
                !text.contains("hunter2") && !text.contains("104, 117, 110"),
                "{text}"
            );
            assert!(!text.contains("68756e74"), "{text}");
            lengths += text.matches("7 bytes").count();
        }
    }
    // create, setData, auth, sasl, and two within the multi; each printed twice.
    assert_eq!(lengths, 12);
    assert_eq!(
        format!(
            "{:?}",
            Request::Auth {
                scheme: "digest".into(),
                data: Some(SECRET.into())
            }
        ),
        r#"Auth { scheme: "digest", data: 7 bytes }"#
    );
}

#[test]
fn the_watch_flag_is_the_last_byte() {
    for chroot in ["", "/app"] {
        let pairs: [fn(bool) -> Request<'static>; 4] = [
            |watch| Request::Exists {
                path: "/a".into(),
                watch,
            },
            |watch| Request::GetData {
                path: "/a".into(),
                watch,
            },
            |watch| Request::GetChildren {
                path: "/a".into(),
                watch,
                with_stat: false,
            },
            |watch| Request::GetChildren {
                path: "/a".into(),
                watch,
                with_stat: true,
            },
        ];
        for request in pairs {
            let mut without = encoded(&request(false), chroot);
            *without.last_mut().unwrap() = 1;
            assert_eq!(without, encoded(&request(true), chroot));
        }
    }
}

#[test]
fn the_mode_of_add_watch_is_the_last_four_bytes() {
    let request = |mode| Request::AddWatch {
        path: "/a".into(),
        mode,
    };
    let mut persistent = encoded(&request(AddWatchMode::PERSISTENT), "/app");
    let at = persistent.len() - 4;
    assert_eq!(persistent[at..], [0, 0, 0, 0]);
    persistent[at..].copy_from_slice(&AddWatchMode::PERSISTENT_RECURSIVE.0.to_be_bytes());
    assert_eq!(
        persistent,
        encoded(&request(AddWatchMode::PERSISTENT_RECURSIVE), "/app")
    );
}

#[test]
fn the_chroot_goes_before_the_paths_of_nodes_only() {
    for request in all() {
        let (bare, below) = (encoded(&request, ""), encoded(&request, "/chroot"));
        let paths = if let Request::Multi(ops) = &request {
            ops.len()
        } else if let Request::MultiRead(ops) = &request {
            ops.len()
        } else {
            usize::from(request.path().is_some())
        };
        assert_eq!(
            below.len() - bare.len(),
            paths * "/chroot".len(),
            "{request:?}"
        );
        let found = below
            .windows(9)
            .filter(|bytes| *bytes == b"/chroot/a")
            .count();
        assert_eq!(found, paths, "{request:?}");
    }
}

#[test]
fn the_root_is_the_chroot_but_for_a_sequential_name() {
    let path = |request: &Request<'_>| {
        let bytes = encoded(request, "/app");
        let length = usize::from(bytes[3]);
        String::from_utf8(bytes[4..4 + length].to_vec()).unwrap()
    };
    assert_eq!(
        path(&Request::Exists {
            path: "/".into(),
            watch: false
        }),
        "/app"
    );
    assert_eq!(path(&create("/", CreateMode::Persistent)), "/app");
    assert_eq!(
        path(&create("/", CreateMode::PersistentSequential)),
        "/app/"
    );
    assert_eq!(
        path(&create("/q/", CreateMode::EphemeralSequential)),
        "/app/q/"
    );
}

#[test]
fn writes_and_what_needs_a_quorum() {
    let writes: Vec<_> = all()
        .iter()
        .filter(|request| request.is_write())
        .map(Request::opcode)
        .collect();
    assert_eq!(
        writes,
        [
            OpCode::CREATE,
            OpCode::DELETE,
            OpCode::SET_DATA,
            OpCode::SET_ACL,
            OpCode::MULTI,
            OpCode::RECONFIG
        ]
    );
    let others: Vec<_> = all()
        .iter()
        .filter(|request| request.is_quorum() && !request.is_write())
        .map(Request::opcode)
        .collect();
    assert_eq!(others, [OpCode::SYNC, OpCode::CHECK]);
}

#[test]
fn unknown_operations_are_told_apart_from_broken_ones() {
    static EMPTY: Bytes = Bytes::new();
    for opcode in [0, -1, -10, 10, 20, 23, 108, 9999].map(OpCode) {
        let error = Request::decode(opcode, &mut Reader::new(&EMPTY));
        assert_eq!(error, Err(DecodeError::UnknownOpcode(opcode)));
    }
    for request in all() {
        let result = Request::decode(request.opcode(), &mut Reader::new(&EMPTY));
        if matches!(
            request,
            Request::Ping | Request::WhoAmI | Request::CloseSession
        ) {
            assert_eq!(result, Ok(request));
        } else {
            assert!(
                matches!(result, Err(DecodeError::Truncated { left: 0, .. })),
                "{request:?}"
            );
        }
    }
}

#[test]
fn null_watch_lists_are_errors_as_for_servers() {
    let mut out = Vec::new();
    put_long(&mut out, 1);
    put_int(&mut out, -1);
    let bytes = Bytes::from(out);
    assert_eq!(
        Request::decode(OpCode::SET_WATCHES, &mut Reader::new(&bytes)),
        Err(DecodeError::Null {
            what: "data watches"
        })
    );
}

#[test]
fn decoding_borrows_from_the_frame() {
    let request = Request::SetData {
        path: "/a".into(),
        data: Some(SECRET.into()),
        version: -1,
    };
    let bytes = Bytes::from(encoded(&request, ""));
    let decoded = Request::decode(OpCode::SET_DATA, &mut Reader::new(&bytes)).unwrap();
    assert!(matches!(
        decoded,
        Request::SetData {
            path: Cow::Borrowed("/a"),
            data: Some(Cow::Borrowed(SECRET)),
            version: -1
        }
    ));
}

#[test]
fn null_in_a_list_of_paths_is_an_error() {
    let mut body = Vec::new();
    put_long(&mut body, 0);
    put_int(&mut body, 1);
    put_int(&mut body, -1);
    put_int(&mut body, 0);
    put_int(&mut body, 0);
    let body = Bytes::from(body);
    assert_eq!(
        Request::decode(OpCode::SET_WATCHES, &mut Reader::new(&body)),
        Err(DecodeError::Null { what: "path" })
    );
}
