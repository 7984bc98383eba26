use zk_proto::{Children, CreateMode, Id, Payload, ReadResult, Reply, SessionId};

use super::*;
use crate::testing::Server;

const NO_AUTH: ErrorCode = ErrorCode::NO_AUTH;
const NO_NODE: ErrorCode = ErrorCode::NO_NODE;

fn exists(path: &str) -> Request<'_> {
    Request::Exists {
        path: path.into(),
        watch: true,
    }
}

fn get(path: &str) -> Request<'_> {
    Request::GetData {
        path: path.into(),
        watch: false,
    }
}

fn get_acl(path: &str) -> Request<'_> {
    Request::GetAcl { path: path.into() }
}

fn children(path: &str, with_stat: bool) -> Request<'_> {
    Request::GetChildren {
        path: path.into(),
        watch: false,
        with_stat,
    }
}

fn count(path: &str) -> Request<'_> {
    Request::GetAllChildrenNumber { path: path.into() }
}

fn world(perms: Perms) -> Acl {
    Acl::new(perms, "world", "anyone")
}

/// `/g` with two children; `/none`, which lets nobody do anything.
fn server() -> Server {
    let mut server = Server::new();
    server.make_with("/g", b"data", Acl::open_unsafe_ref());
    server.make("/g/b");
    server.make("/g/a");
    server.make_with("/none", b"x", &[Acl::digest("bob", "secret", Perms::ALL)]);
    server
}

#[test]
fn answers() {
    let server = server();
    let stat = server.stat("/g");
    let names: Children = ["a", "b"].into_iter().collect();
    let data = Payload::from(&b"data"[..]);
    let expected = [
        (exists("/g"), Reply::Stat(stat)),
        (get("/g"), Reply::Data { data, stat }),
        (
            get_acl("/g"),
            Reply::Acl {
                acl: Acl::open_unsafe(),
                stat,
            },
        ),
        (children("/g", false), Reply::Children(names.clone())),
        (
            children("/g", true),
            Reply::ChildrenStat {
                children: names,
                stat,
            },
        ),
        (count("/g"), Reply::Count(2)),
        (count("/"), Reply::Count(7)),
        (count("/g/a"), Reply::Count(0)),
    ];
    for (request, reply) in expected {
        assert_eq!(server.read(&request).as_ref(), Ok(&reply), "{request:?}");
    }
}

#[test]
fn null_stays_null() {
    let mut server = Server::new();
    let request = Request::Create {
        path: "/null".into(),
        data: None,
        acl: Acl::open_unsafe_ref().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    };
    server.write(&request).unwrap();
    let stat = server.stat("/null");
    assert_eq!(stat.data_length, 0);
    let reply = Reply::Data {
        data: Payload::null(),
        stat,
    };
    assert_eq!(server.read(&get("/null")), Ok(reply));
}

#[test]
fn a_node_is_looked_for_before_rights() {
    let server = server();
    for path in ["/nope", "nope", "/g/", "/g/../g", "//", "/none/x"] {
        for request in [
            exists(path),
            get(path),
            get_acl(path),
            children(path, false),
            children(path, true),
            count(path),
        ] {
            assert_eq!(server.read(&request), Err(NO_NODE), "{request:?}");
        }
    }
    let none = "/none";
    let requests = [
        exists(none),
        get(none),
        get_acl(none),
        children(none, false),
        children(none, true),
        count(none),
    ];
    for request in requests {
        assert_eq!(server.read(&request), Err(NO_AUTH), "{request:?}");
    }
}

#[test]
fn before_3_9_everybody_may_ask_whether_a_node_exists() {
    let mut server = server();
    server.settings.release = Release::V3_8;
    let stat = server.stat("/none");
    assert_eq!(server.read(&exists("/none")), Ok(Reply::Stat(stat)));
    assert_eq!(server.read(&exists("/nope")), Err(NO_NODE));
    assert_eq!(server.read(&get("/none")), Err(NO_AUTH));
}

#[test]
fn the_empty_path_is_the_root() {
    let server = server();
    let all = |path| [exists(path), get(path), get_acl(path), children(path, true)];
    for (empty, root) in all("").iter().zip(&all("/")) {
        assert_eq!(server.read(empty), server.read(root));
    }
    assert_eq!(server.read(&count("")), Ok(Reply::Count(8)));
}

#[test]
fn hashes_are_shown_to_whoever_may_replace_the_list() {
    let mut server = Server::new();
    let bob = Acl::digest("bob", "secret", Perms::ALL);
    server.make_with("/read", b"", &[world(Perms::READ), bob.clone()]);
    server.make_with("/admin", b"", &[world(Perms::ADMIN), bob.clone()]);
    server.make_with("/write", b"", &[world(Perms::WRITE), bob.clone()]);
    let acl = |server: &Server, path| match server.read(&get_acl(path)) {
        Ok(Reply::Acl { acl, .. }) => Ok(acl),
        Ok(other) => panic!("{other:?}"),
        Err(code) => Err(code),
    };
    let masked = Acl::new(Perms::ALL, "digest", "bob:x");
    assert_eq!(acl(&server, "/read"), Ok(vec![world(Perms::READ), masked]));
    let whole = vec![world(Perms::ADMIN), bob.clone()];
    assert_eq!(acl(&server, "/admin"), Ok(whole));
    assert_eq!(acl(&server, "/write"), Err(NO_AUTH));
    let whole = vec![world(Perms::READ), bob.clone()];
    for id in [bob.id, Id::new("super", "")] {
        server.ids = vec![id];
        assert_eq!(acl(&server, "/read").as_ref(), Ok(&whole));
    }
}

#[test]
fn each_of_several_reads_fails_on_its_own() {
    let server = server();
    let path = |path: &'static str| path.into();
    let ops = [
        ReadOp::GetData { path: path("/g") },
        ReadOp::GetChildren { path: path("/g") },
        ReadOp::GetData {
            path: path("/nope"),
        },
        ReadOp::GetChildren {
            path: path("/none"),
        },
    ];
    let data = Payload::from(&b"data"[..]);
    let expected = vec![
        ReadResult::Data {
            data,
            stat: server.stat("/g"),
        },
        ReadResult::Children(["a", "b"].into_iter().collect()),
        ReadResult::Error(NO_NODE),
        ReadResult::Error(NO_AUTH),
    ];
    let request = Request::MultiRead(ops[..].into());
    assert_eq!(server.read(&request), Ok(Reply::MultiRead(expected)));
    let request = Request::MultiRead(Vec::new().into());
    assert_eq!(server.read(&request), Ok(Reply::MultiRead(Vec::new())));
}

#[test]
fn ephemeral_nodes_are_those_of_the_session() {
    let mut server = server();
    for path in ["/g/e2", "/g/e1", "/z"] {
        server.create(path, CreateMode::Ephemeral).unwrap();
    }
    let list = |server: &Server, prefix: &'static str| {
        server.read(&Request::GetEphemerals {
            prefix: prefix.into(),
        })
    };
    let paths = |paths: &[&str]| {
        Ok(Reply::Ephemerals(
            paths.iter().map(|&path| path.to_owned()).collect(),
        ))
    };
    for all in ["/", "", " / "] {
        assert_eq!(list(&server, all), paths(&["/g/e1", "/g/e2", "/z"]));
    }
    assert_eq!(list(&server, "/g"), paths(&["/g/e1", "/g/e2"]));
    assert_eq!(list(&server, "/g/e2"), paths(&["/g/e2"]));
    assert_eq!(list(&server, "/nope"), paths(&[]));
    server.session = SessionId(7);
    assert_eq!(list(&server, "/"), paths(&[]));
}

#[test]
fn what_is_no_read_of_the_tree_is_not_answered() {
    let server = server();
    for request in [
        Request::Ping,
        Request::WhoAmI,
        Request::CloseSession,
        Request::Sync { path: "/".into() },
        crate::testing::delete("/g", -1),
    ] {
        assert_eq!(server.read(&request), Err(ErrorCode::UNIMPLEMENTED));
    }
}
