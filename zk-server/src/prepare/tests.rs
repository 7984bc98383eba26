use zk_proto::{Acl, CreateMode, Id, MultiResult, OpCode, Perms, RawMode, Reply, Ttl, WireMode};

use super::*;
use crate::{
    Applied, Owner, Standing,
    testing::{
        SESSION, Server, create, delete, multi_check, multi_create, multi_delete, set_acl, set_data,
    },
};

mod multi;
mod reconfig;

const BAD_ARGUMENTS: ErrorCode = ErrorCode::BAD_ARGUMENTS;
const BAD_VERSION: ErrorCode = ErrorCode::BAD_VERSION;
const NO_AUTH: ErrorCode = ErrorCode::NO_AUTH;
const NO_NODE: ErrorCode = ErrorCode::NO_NODE;
const PERSISTENT: CreateMode = CreateMode::Persistent;

fn world(perms: Perms) -> [Acl; 1] {
    [Acl::new(perms, "world", "anyone")]
}

fn raw(path: &str, opcode: OpCode, flags: i32, ttl: Option<i64>) -> Request<'_> {
    Request::Create {
        path: path.into(),
        data: None,
        acl: Acl::open_unsafe_ref().into(),
        mode: WireMode::Raw(RawMode { opcode, flags, ttl }),
        with_stat: opcode != OpCode::CREATE,
    }
}

fn refused(server: &Server, request: &Request<'_>) -> ErrorCode {
    server.prepare(request).expect_err("it must be refused")
}

/// What a create can do wrong, in the order in which servers find it. Each case has all later
/// mistakes, too, so far as one request can.
#[test]
fn the_first_mistake_of_a_create_is_found() {
    let mut server = Server::new();
    server.make_with("/closed", b"", &world(Perms::READ));
    server.make("/open");
    server.create("/open/e", CreateMode::Ephemeral).unwrap();
    server.settings.extended_types = false;
    let bad_acl = [Acl::new(Perms::ALL, "bogus", "x")];
    let ttl = |millis| RawMode {
        opcode: OpCode::CREATE_TTL,
        flags: 5,
        ttl: Some(millis),
    };
    let flags = |flags| RawMode {
        opcode: OpCode::CREATE,
        flags,
        ttl: None,
    };
    let request = |path, mode: WireMode, acl| Request::Create {
        path,
        data: None,
        acl,
        mode,
        with_stat: false,
    };
    let bad = || bad_acl[..].into();
    let open = || Acl::open_unsafe_ref().into();
    let plain = || WireMode::from(PERSISTENT);

    server.standing = Standing::Gone;
    let case = request("no".into(), WireMode::Raw(flags(7)), bad());
    assert_eq!(refused(&server, &case), BAD_ARGUMENTS, "flags");
    let case = request("no".into(), WireMode::Raw(ttl(0)), bad());
    assert_eq!(
        refused(&server, &case),
        ErrorCode::UNIMPLEMENTED,
        "no time to live"
    );
    server.settings.extended_types = true;
    assert_eq!(refused(&server, &case), BAD_ARGUMENTS, "time to live");
    let case = request("no".into(), plain(), bad());
    assert_eq!(
        refused(&server, &case),
        ErrorCode::SESSION_EXPIRED,
        "session"
    );
    server.standing = Standing::Global;
    for path in ["no", "", "/x/\0"] {
        let case = request(path.into(), plain(), bad());
        assert_eq!(refused(&server, &case), BAD_ARGUMENTS, "{path:?}");
    }
    let case = request("/nope/x/".into(), plain(), bad());
    assert_eq!(refused(&server, &case), ErrorCode::INVALID_ACL, "list");
    let case = request("/nope/x/".into(), plain(), open());
    assert_eq!(refused(&server, &case), NO_NODE, "parent");
    let case = request("/closed/".into(), plain(), open());
    assert_eq!(refused(&server, &case), NO_AUTH, "rights on the parent");
    let case = request("/open/e/".into(), plain(), open());
    assert_eq!(refused(&server, &case), BAD_ARGUMENTS, "path");
    for path in ["/open/e", "/"] {
        let case = request(path.into(), plain(), open());
        assert_eq!(refused(&server, &case), ErrorCode::NODE_EXISTS, "{path}");
    }
    let case = request("/open/e/kid".into(), plain(), open());
    let code = ErrorCode::NO_CHILDREN_FOR_EPHEMERALS;
    assert_eq!(refused(&server, &case), code);
    let case = request("/open/kid".into(), plain(), open());
    assert!(server.prepare(&case).is_ok());
}

#[test]
fn the_quota_is_the_last_to_refuse_a_create() {
    let mut server = Server::new();
    server.settings.enforce_quota = true;
    server.make("/zookeeper/quota/q");
    server.create("/q", CreateMode::Ephemeral).unwrap();
    let quota = "/zookeeper/quota/q/zookeeper_";
    let limits = b"count=-1,bytes=-1=;countHardLimit=1;byteHardLimit=1";
    server.make_with(&format!("{quota}limits"), limits, Acl::open_unsafe_ref());
    server.make_with(&format!("{quota}stats"), b"", Acl::open_unsafe_ref());
    let code = ErrorCode::NO_CHILDREN_FOR_EPHEMERALS;
    assert_eq!(server.create("/q/x", PERSISTENT), Err(code));
    // But it comes before the version of the data.
    let code = refused(&server, &set_data("/q", b"12", 99));
    assert_eq!(code, ErrorCode::QUOTA_EXCEEDED);
    server.delete("/q").unwrap();
    server.make("/q");
    assert_eq!(
        server.create("/q/x", PERSISTENT),
        Err(ErrorCode::QUOTA_EXCEEDED)
    );
}

#[test]
fn paths_of_nodes_to_create() {
    let mut server = Server::new();
    server.make("/g");
    for (path, code) in [
        ("/g/", BAD_ARGUMENTS),
        ("/g/../x", NO_NODE),
        ("/g//x", NO_NODE),
        ("/g/..", BAD_ARGUMENTS),
        ("/g/\u{1}", BAD_ARGUMENTS),
        ("/g/\u{1f600}", BAD_ARGUMENTS),
        ("noslash", BAD_ARGUMENTS),
        ("", BAD_ARGUMENTS),
    ] {
        assert_eq!(server.create(path, PERSISTENT), Err(code), "{path:?}");
    }
    server.make("/g/\u{65e5}\u{672c}");
    server.make("/zookeeper/mine");
    // The counter makes a path of what was none.
    let sequential = CreateMode::PersistentSequential;
    assert_eq!(
        server.create("/g/..", sequential).unwrap(),
        "/g/..0000000001"
    );
}

#[test]
fn modes_are_what_operation_and_flags_make_them() {
    let mut server = Server::new();
    let lives = Owner::Ttl(Ttl::from_millis(5).unwrap());
    let cases = [
        (OpCode::CREATE, 0, None, Ok(Owner::Nobody)),
        (OpCode::CREATE, 1, None, Ok(Owner::Session(SESSION))),
        (OpCode::CREATE2, 3, None, Ok(Owner::Session(SESSION))),
        (OpCode::CREATE, 4, None, Ok(Owner::Nobody)),
        (OpCode::CREATE2, 4, None, Ok(Owner::Nobody)),
        (OpCode::CREATE_CONTAINER, 4, None, Ok(Owner::Container)),
        (OpCode::CREATE_CONTAINER, 0, None, Ok(Owner::Container)),
        (OpCode::CREATE_TTL, 5, Some(5), Ok(lives)),
        (OpCode::CREATE_TTL, 6, Some(5), Ok(lives)),
        (
            OpCode::CREATE_TTL,
            5,
            Some(Ttl::MAX_MILLIS),
            Ok(Owner::Ttl(Ttl::from_millis(Ttl::MAX_MILLIS).unwrap())),
        ),
        (OpCode::CREATE_TTL, 5, Some(0), Err(BAD_ARGUMENTS)),
        (OpCode::CREATE_TTL, 5, Some(-1), Err(BAD_ARGUMENTS)),
        (OpCode::CREATE_TTL, 5, Some(1 << 40), Err(BAD_ARGUMENTS)),
        (OpCode::CREATE_TTL, 0, Some(1000), Err(BAD_ARGUMENTS)),
        (OpCode::CREATE, 5, None, Err(BAD_ARGUMENTS)),
        (OpCode::CREATE2, 6, None, Err(BAD_ARGUMENTS)),
        (OpCode::CREATE, 7, None, Err(BAD_ARGUMENTS)),
        (OpCode::CREATE, -1, None, Err(BAD_ARGUMENTS)),
        (OpCode::CREATE_CONTAINER, 99, None, Err(BAD_ARGUMENTS)),
    ];
    for (opcode, flags, ttl, expected) in cases {
        let request = raw("/x", opcode, flags, ttl);
        let owner = server.prepare(&request).map(|kind| {
            let TxnKind::One(TxnOp::Create { owner, .. }) = kind else {
                panic!("{kind:?}");
            };
            owner
        });
        assert_eq!(owner, expected, "{opcode} {flags} {ttl:?}");
    }
    server.settings.extended_types = false;
    for (opcode, flags, ttl) in [(OpCode::CREATE_TTL, 5, Some(5)), (OpCode::CREATE, 6, None)] {
        let request = raw("/x", opcode, flags, ttl);
        assert_eq!(refused(&server, &request), ErrorCode::UNIMPLEMENTED);
    }
}

#[test]
fn only_create_answers_without_metadata() {
    let mut server = Server::new();
    let ttl = Ttl::from_millis(5).unwrap();
    let cases = [
        (PERSISTENT, false, false),
        (PERSISTENT, true, true),
        (CreateMode::Container, false, true),
        (CreateMode::PersistentWithTtl(ttl), false, true),
    ];
    for (index, (mode, with_stat, has_stat)) in cases.into_iter().enumerate() {
        let path = format!("/{index}");
        let request = Request::Create {
            path: (&path).into(),
            data: Some(b"12"[..].into()),
            acl: Acl::open_unsafe_ref().into(),
            mode: mode.into(),
            with_stat,
        };
        let reply = server.write(&request);
        let stat = server.stat(&path);
        assert_eq!((stat.data_length, stat.version), (2, 0));
        let expected = if has_stat {
            Reply::Created { path, stat }
        } else {
            Reply::Path(path)
        };
        assert_eq!(reply, Ok(expected), "{mode:?}");
    }
}

#[test]
fn the_first_mistake_of_a_delete_is_found() {
    let mut server = Server::new();
    server.make_with("/closed", b"", &world(Perms::ALL));
    server.make("/closed/kid");
    server
        .write(&set_acl("/closed", &world(Perms(31 - 8)), -1))
        .unwrap();
    server.make("/g");
    server.make("/g/kid");
    server.standing = Standing::Gone;
    assert_eq!(
        refused(&server, &delete("/", 99)),
        ErrorCode::SESSION_EXPIRED
    );
    server.standing = Standing::Global;
    let cases = [
        ("/", 99, BAD_ARGUMENTS),
        ("/zookeeper", -1, BAD_ARGUMENTS),
        ("/zookeeper/quota", -1, BAD_ARGUMENTS),
        ("/zookeeper/config", -1, BAD_ARGUMENTS),
        ("noslash", -1, BAD_ARGUMENTS),
        ("", -1, BAD_ARGUMENTS),
        ("/g\0", -1, BAD_ARGUMENTS),
        ("/nope/x", 99, NO_NODE),
        ("/closed/missing", 99, NO_AUTH),
        ("/closed/kid", 99, NO_AUTH),
        ("/g/missing", 99, NO_NODE),
        ("/g/", 99, NO_NODE),
        ("/g", 99, BAD_VERSION),
        ("/g", -2, BAD_VERSION),
        ("/g", 0, ErrorCode::NOT_EMPTY),
        ("/g", -1, ErrorCode::NOT_EMPTY),
    ];
    for (path, version, code) in cases {
        let request = delete(path, version);
        assert_eq!(refused(&server, &request), code, "{path} {version}");
    }
    assert_eq!(server.write(&delete("/g/kid", 0)), Ok(Reply::Empty));
    assert_eq!(server.delete("/g"), Ok(()));
}

#[test]
fn the_first_mistake_of_a_write_is_found() {
    let mut server = Server::new();
    server.make_with("/closed", b"", &world(Perms(31 - 2)));
    server.make("/g");
    server.set("/g", b"").unwrap();
    server.standing = Standing::Gone;
    let code = refused(&server, &set_data("/g/", b"", 99));
    assert_eq!(code, ErrorCode::SESSION_EXPIRED);
    server.standing = Standing::Global;
    let cases = [
        ("/nope/", 99, BAD_ARGUMENTS),
        ("", 99, BAD_ARGUMENTS),
        ("/nope", 99, NO_NODE),
        ("/closed", 99, NO_AUTH),
        ("/zookeeper/config", -1, NO_AUTH),
        ("/g", 0, BAD_VERSION),
        ("/g", -2, BAD_VERSION),
    ];
    for (path, version, code) in cases {
        let request = set_data(path, b"x", version);
        assert_eq!(refused(&server, &request), code, "{path} {version}");
    }
    let reply = server.write(&set_data("/g", b"x", 1));
    assert_eq!(reply, Ok(Reply::Stat(server.stat("/g"))));
    assert_eq!(server.stat("/g").version, 2);
    server.ids.push(Id::new("super", ""));
    assert!(server.set("/closed", b"").is_ok());
}

#[test]
fn the_first_mistake_of_a_new_list_is_found() {
    let mut server = Server::new();
    server.make_with("/closed", b"", &world(Perms(31 - 16)));
    server.make("/g");
    server.set("/g", b"").unwrap();
    let open = Acl::open_unsafe_ref();
    server.standing = Standing::Gone;
    let code = refused(&server, &set_acl("/g/", &[], 99));
    assert_eq!(code, ErrorCode::SESSION_EXPIRED);
    server.standing = Standing::Global;
    let cases = [
        ("/nope/", &[][..], 99, BAD_ARGUMENTS),
        ("/nope", &[], 99, ErrorCode::INVALID_ACL),
        ("/nope", open, 99, NO_NODE),
        ("/closed", open, 99, NO_AUTH),
        // Against the version of the list, not of the data.
        ("/g", open, 1, BAD_VERSION),
    ];
    for (path, acl, version, code) in cases {
        let request = set_acl(path, acl, version);
        assert_eq!(refused(&server, &request), code, "{path} {version}");
    }
    let twice = [world(Perms::READ), world(Perms::READ)].concat();
    let reply = server.write(&set_acl("/g", &twice, 0));
    assert_eq!(reply, Ok(Reply::Stat(server.stat("/g"))));
    assert_eq!(**server.tree.node("/g").unwrap().acl(), world(Perms::READ));
    assert_eq!(server.stat("/g").aversion, 1);
}

#[test]
fn the_first_mistake_of_a_check_is_found() {
    let mut server = Server::new();
    server.settings.release = Release::V3_8;
    server.make_with("/closed", b"", &world(Perms(31 - 1)));
    server.make("/g");
    let check = |path, version| Request::Check { path, version };
    let cases = [
        ("/nope/", 99, BAD_ARGUMENTS),
        ("/nope", 99, NO_NODE),
        ("/closed", 99, NO_AUTH),
        ("/g", 99, BAD_VERSION),
    ];
    for (path, version, code) in cases {
        let request = check(path.into(), version);
        assert_eq!(refused(&server, &request), code, "{path}");
        let results = server.multi(vec![multi_check(path, version)]);
        assert_eq!(results, [MultiResult::Error(code)], "{path}");
    }
    let request = check("/g".into(), 0);
    assert_eq!(server.prepare(&request), Ok(TxnKind::One(TxnOp::Check)));
    server.settings.release = Release::V3_9;
    assert_eq!(refused(&server, &request), ErrorCode::UNIMPLEMENTED);
    assert_eq!(
        server.multi(vec![multi_check("/g", 0)]),
        [MultiResult::Checked]
    );
}

#[test]
fn a_local_session_owns_no_ephemeral_nodes() {
    let mut server = Server::new();
    server.standing = Standing::Local;
    server.make("/l");
    let ephemeral = CreateMode::Ephemeral;
    let code = ErrorCode::EPHEMERAL_ON_LOCAL_SESSION;
    assert_eq!(server.create("/l/e", ephemeral), Err(code));
    let results = server.multi(vec![multi_create("/l/e", ephemeral)]);
    assert_eq!(results, [MultiResult::Error(ErrorCode::SESSION_EXPIRED)]);
}

#[test]
fn a_list_like_that_of_the_parent_is_shared_with_it() {
    let mut server = Server::new();
    server.make("/a");
    let acl = |path| Arc::clone(server.tree.node(path).unwrap().acl());
    assert!(Arc::ptr_eq(&acl("/"), &acl("/a")));
}

#[test]
fn the_server_reaps_what_it_may() {
    let mut server = Server::new();
    server.make("/a");
    server.create("/a/e", CreateMode::Ephemeral).unwrap();
    assert_eq!(server.reap("/zookeeper/quota"), Err(BAD_ARGUMENTS));
    assert_eq!(server.reap("/a"), Err(ErrorCode::NOT_EMPTY));
    assert_eq!(server.reap("/a/e"), Err(BAD_VERSION));
    server.delete("/a/e").unwrap();
    server
        .write(&set_acl("/a", &world(Perms::NONE), -1))
        .unwrap();
    assert_eq!(server.reap("/a"), Ok(()));
}

#[test]
fn what_is_no_write_is_not_prepared() {
    let server = Server::new();
    let get = Request::GetData {
        path: "/".into(),
        watch: false,
    };
    let sync = Request::Sync { path: "/".into() };
    for request in [get, sync, Request::Ping, Request::WhoAmI] {
        assert_eq!(refused(&server, &request), ErrorCode::UNIMPLEMENTED);
    }
    assert_eq!(
        server.prepare(&Request::CloseSession),
        Ok(TxnKind::CloseSession)
    );
}

#[test]
fn a_refusal_is_a_transaction() {
    let mut server = Server::new();
    assert_eq!(server.delete("/nope"), Err(NO_NODE));
    assert_eq!(server.tree.last_zxid().0, 1);
    let applied = server.apply(SESSION, TxnKind::Error(NO_NODE));
    let mut body = Vec::new();
    applied.encode(&mut body);
    assert_eq!((applied, body), (Applied::Error(NO_NODE), Vec::new()));
    assert!(
        server
            .write(&create("/a", PERSISTENT, Acl::open_unsafe_ref()))
            .is_ok()
    );
    assert_eq!(server.stat("/a").czxid.0, 3);
}
