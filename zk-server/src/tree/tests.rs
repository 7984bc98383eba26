use zk_proto::{Acl, CreateMode, ErrorCode, EventType, Perms, SessionId, Stat, Ttl, Zxid};

use super::*;
use crate::{
    Applied, TxnKind, TxnOp,
    testing::{SESSION, Server, multi_create, multi_delete, set_acl},
};

mod random;

const CREATED: EventType = EventType::NODE_CREATED;
const DELETED: EventType = EventType::NODE_DELETED;
const CHANGED: EventType = EventType::NODE_DATA_CHANGED;
const CHILDREN: EventType = EventType::NODE_CHILDREN_CHANGED;

#[test]
fn a_fresh_tree_is_that_of_real_servers() {
    let server = Server::new();
    let empty = Stat::default();
    let expected = [
        (
            "/",
            Stat {
                cversion: -1,
                num_children: 1,
                ..empty
            },
        ),
        (
            "/zookeeper",
            Stat {
                cversion: -2,
                num_children: 2,
                ..empty
            },
        ),
        ("/zookeeper/quota", empty),
        (
            "/zookeeper/config",
            Stat {
                aversion: -1,
                ..empty
            },
        ),
    ];
    for (path, stat) in expected {
        assert_eq!(server.stat(path), stat, "{path}");
        assert_eq!(server.data(path), Some(&b""[..]), "{path}");
    }
    let tree = &server.tree;
    let config = tree.node("/zookeeper/config").unwrap();
    assert_eq!(**config.acl(), *Acl::read_unsafe_ref());
    assert_eq!(**tree.node("/").unwrap().acl(), *Acl::open_unsafe_ref());
    let names: Vec<_> = tree.node("/zookeeper").unwrap().children().collect();
    assert_eq!(names, ["config", "quota"]);
    assert_eq!((tree.node_count(), tree.ephemeral_count()), (5, 0));
    assert_eq!(tree.data_size(), 44);
    assert_eq!(tree.last_zxid(), Zxid::ZERO);
}

#[test]
fn the_configuration_of_an_ensemble_is_as_its_version_says() {
    let config = "server.1=a:1:2:participant;a:3\nversion=100000000";
    let server = Server::with_config(config);
    let stat = server.stat("/zookeeper/config");
    assert_eq!((stat.version, stat.mzxid), (-1, Zxid(0x1_0000_0000)));
    assert_eq!((stat.czxid, stat.aversion), (Zxid::ZERO, -1));
    assert_eq!(server.data("/zookeeper/config"), Some(config.as_bytes()));
}

#[test]
fn a_create_sets_the_node_and_touches_its_parent() {
    let mut server = Server::new();
    server.make("/a");
    let before = server.stat("/a");
    server.make_with("/a/b", b"xyz", Acl::open_unsafe_ref());
    let time = Server::time_of(2);
    assert_eq!(
        server.stat("/a/b"),
        Stat {
            czxid: Zxid(2),
            mzxid: Zxid(2),
            pzxid: Zxid(2),
            ctime: time,
            mtime: time,
            data_length: 3,
            ..Stat::default()
        }
    );
    let after = Stat {
        pzxid: Zxid(2),
        cversion: 1,
        num_children: 1,
        ..before
    };
    assert_eq!(server.stat("/a"), after);
    assert_eq!(server.events(), [(CREATED, "/a/b"), (CHILDREN, "/a")]);
}

#[test]
fn a_delete_touches_the_parent_alone() {
    let mut server = Server::new();
    server.make("/a");
    server.make("/a/b");
    let before = server.stat("/a");
    assert_eq!(server.delete("/a/b"), Ok(()));
    let after = Stat {
        pzxid: Zxid(3),
        cversion: 2,
        num_children: 0,
        ..before
    };
    assert_eq!(server.stat("/a"), after);
    assert!(server.tree.node("/a/b").is_none());
    assert_eq!(server.events(), [(DELETED, "/a/b"), (CHILDREN, "/a")]);
}

#[test]
fn the_parent_of_a_node_at_the_top_is_the_root() {
    let mut server = Server::new();
    server.make("/a");
    assert_eq!(server.events(), [(CREATED, "/a"), (CHILDREN, "/")]);
    // The nodes that were there from the beginning are not counted as creations.
    let root = server.stat("/");
    assert_eq!(
        (root.cversion, root.num_children, root.pzxid),
        (0, 2, Zxid(1))
    );
}

#[test]
fn set_data_counts_and_set_acl_counts_only_itself() {
    let mut server = Server::new();
    server.make("/a");
    let before = server.stat("/a");
    let stat = server.set("/a", b"12345").unwrap();
    let time = Server::time_of(2);
    let after = Stat {
        version: 1,
        mzxid: Zxid(2),
        mtime: time,
        data_length: 5,
        ..before
    };
    assert_eq!((stat, server.stat("/a")), (after, after));
    assert_eq!(server.events(), [(CHANGED, "/a")]);

    server
        .write(&set_acl("/a", Acl::read_unsafe_ref(), 0))
        .unwrap();
    assert_eq!(
        server.stat("/a"),
        Stat {
            aversion: 1,
            ..after
        }
    );
    assert_eq!(server.events(), []);
}

#[test]
fn versions_wrap() {
    let mut server = Server::new();
    server.make("/a");
    for (version, next) in [(-2, -1), (i32::MAX, i32::MIN)] {
        server.tree.node_mut("/a").unwrap().version = version;
        assert_eq!(server.set("/a", b"").unwrap().version, next);
    }
}

#[test]
fn the_counter_of_sequential_nodes_counts_creations() {
    let mut server = Server::new();
    server.make("/a");
    server.make("/a/x");
    let sequential = CreateMode::PersistentSequential;
    assert_eq!(
        server.create("/a/s-", sequential).unwrap(),
        "/a/s-0000000001"
    );
    server.delete("/a/x").unwrap();
    assert_eq!(server.create("/a/", sequential).unwrap(), "/a/0000000002");
    assert_eq!(
        server.create("/a/s-999", sequential).unwrap(),
        "/a/s-9990000000003"
    );
    assert_eq!(server.create("/s", sequential).unwrap(), "/s0000000001");
    let ops = vec![
        multi_create("/a/m", sequential),
        multi_create("/a/", CreateMode::Persistent),
    ];
    server.multi(ops);
    assert_eq!(server.create("/a/m", sequential).unwrap(), "/a/m0000000004");
}

#[test]
fn at_its_end_the_counter_stands_still() {
    let mut server = Server::new();
    server.make("/a");
    server.tree.node_mut("/a").unwrap().creates = i32::MAX;
    let sequential = CreateMode::PersistentSequential;
    assert_eq!(server.create("/a/s", sequential).unwrap(), "/a/s2147483647");
    assert_eq!(
        server.create("/a/s", sequential),
        Err(ErrorCode::NODE_EXISTS)
    );
    assert_eq!(server.tree.node("/a").unwrap().creates, i32::MAX);
}

#[test]
fn the_end_of_a_session_takes_its_ephemeral_nodes_in_one_transaction() {
    let mut server = Server::new();
    server.make("/a");
    for path in ["/a/2", "/a/1", "/z"] {
        server.create(path, CreateMode::Ephemeral).unwrap();
    }
    server.session = SessionId(0x200);
    server.create("/a/other", CreateMode::Ephemeral).unwrap();
    assert_eq!(server.stat("/a/other").ephemeral_owner, SessionId(0x200));
    assert_eq!(
        server.tree.owners().collect::<Vec<_>>(),
        [SESSION, SessionId(0x200)]
    );
    assert_eq!(server.tree.ephemeral_count(), 4);

    assert_eq!(server.apply(SESSION, TxnKind::CloseSession), Applied::Done);
    let zxid = server.tree.last_zxid();
    assert_eq!(
        (server.stat("/a").pzxid, server.stat("/").pzxid),
        (zxid, zxid)
    );
    let expected = [
        (DELETED, "/a/1"),
        (CHILDREN, "/a"),
        (DELETED, "/a/2"),
        (CHILDREN, "/a"),
        (DELETED, "/z"),
        (CHILDREN, "/"),
    ];
    assert_eq!(server.events(), expected);
    assert_eq!(server.tree.ephemerals(SESSION).count(), 0);
    let left: Vec<_> = server.tree.ephemerals(SessionId(0x200)).collect();
    assert_eq!((left, server.tree.ephemeral_count()), (vec!["/a/other"], 1));

    server.apply(SESSION, TxnKind::CloseSession);
    assert_eq!(server.events(), []);
}

#[test]
fn a_change_carries_the_list_of_the_node_or_of_its_parent() {
    let mut server = Server::new();
    server.make("/a");
    let secret = [Acl::digest("bob", "secret", Perms::ALL)];
    server.make_with("/a/b", b"", &secret);
    let lists = |server: &Server| {
        server
            .changes
            .iter()
            .map(|c| c.acl.to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(lists(&server), [&secret[..], Acl::open_unsafe_ref()]);
    server.delete("/a/b").unwrap();
    assert_eq!(lists(&server), [&secret[..], Acl::open_unsafe_ref()]);
    server.set("/a", b"").unwrap();
    assert_eq!(lists(&server), [Acl::open_unsafe_ref()]);
}

#[test]
fn the_changes_of_a_multi_are_those_of_its_operations() {
    let mut server = Server::new();
    server.multi(vec![
        multi_create("/a", CreateMode::Persistent),
        multi_create("/a/b", CreateMode::Persistent),
        multi_delete("/a/b"),
    ]);
    let expected = [
        (CREATED, "/a"),
        (CHILDREN, "/"),
        (CREATED, "/a/b"),
        (CHILDREN, "/a"),
        (DELETED, "/a/b"),
        (CHILDREN, "/a"),
    ];
    assert_eq!(server.events(), expected);
    let stat = server.stat("/a");
    assert_eq!(
        (stat.czxid, stat.pzxid, stat.cversion),
        (Zxid(1), Zxid(1), 2)
    );
}

#[test]
fn containers_go_after_their_last_child() {
    let mut server = Server::new();
    server.create("/c", CreateMode::Container).unwrap();
    assert_eq!(server.stat("/c").ephemeral_owner, SessionId::NONE);
    let now = Server::time_of(1) + 1000;
    let reapable = |server: &Server, unused| server.tree.reapable(now, unused, usize::MAX);
    assert!(reapable(&server, None).is_empty());
    assert!(reapable(&server, Some(1000)).is_empty());
    assert_eq!(reapable(&server, Some(999)), ["/c".into()]);
    server.make("/c/x");
    assert!(reapable(&server, Some(0)).is_empty());
    assert_eq!(server.reap("/c"), Err(ErrorCode::NOT_EMPTY));
    server.delete("/c/x").unwrap();
    assert_eq!(reapable(&server, None), ["/c".into()]);
    assert_eq!(server.reap("/c"), Ok(()));
    assert_eq!(server.events(), [(DELETED, "/c"), (CHILDREN, "/")]);
    assert!(reapable(&server, None).is_empty());
    assert_eq!(server.reap("/c"), Err(ErrorCode::NO_NODE));
}

#[test]
fn nodes_with_a_time_to_live_go_after_it_unless_they_have_children() {
    let mut server = Server::new();
    let mode = CreateMode::PersistentWithTtl(Ttl::from_millis(50).unwrap());
    server.create("/t", mode).unwrap();
    server.create("/u", mode).unwrap();
    assert_eq!(server.stat("/t").ephemeral_owner, SessionId::NONE);
    let reapable = |server: &Server, now| server.tree.reapable(now, None, usize::MAX);
    assert!(reapable(&server, Server::time_of(1) + 50).is_empty());
    assert_eq!(reapable(&server, Server::time_of(1) + 51), ["/t".into()]);
    assert_eq!(server.tree.reapable(i64::MAX, None, 1), ["/t".into()]);
    server.make("/t/x");
    assert_eq!(reapable(&server, i64::MAX), ["/u".into()]);
    // Children do not make it younger, data does.
    server.delete("/t/x").unwrap();
    assert_eq!(reapable(&server, Server::time_of(1) + 51), ["/t".into()]);
    server.set("/t", b"").unwrap();
    let written = server.tree.last_zxid().0;
    assert!(!reapable(&server, Server::time_of(written) + 50).contains(&"/t".into()));
    assert_eq!(server.reap("/t"), Ok(()));
    server.delete("/u").unwrap();
    assert!(reapable(&server, i64::MAX).is_empty());
}

#[test]
fn the_empty_path_is_the_root() {
    let server = Server::new();
    assert_eq!(server.tree.node(""), server.tree.node("/"));
    assert_eq!(server.tree.descendants("/"), 3);
    assert_eq!(server.tree.descendants(""), 4);
    assert_eq!(server.tree.descendants("/zookeeper"), 2);
    assert_eq!(server.tree.descendants("/zookeeper/quota"), 0);
    assert_eq!(server.tree.descendants("/nope"), 0);
}

#[test]
fn an_operation_that_cannot_be_changes_nothing() {
    let mut server = Server::new();
    server.make("/a");
    server.make("/a/b");
    let (path, missing) = (Arc::<str>::from("/a"), Arc::<str>::from("/x"));
    let acl: Arc<[Acl]> = Acl::open_unsafe_ref().into();
    let create = |path: &str| TxnOp::Create {
        path: path.into(),
        data: NodeData::NULL,
        acl: Arc::clone(&acl),
        owner: Owner::Nobody,
        with_stat: false,
    };
    let cases = [
        (create("/a"), ErrorCode::NODE_EXISTS),
        (create("/x/y"), ErrorCode::NO_NODE),
        (create("x"), ErrorCode::BAD_ARGUMENTS),
        (
            TxnOp::Delete {
                path: Arc::clone(&missing),
            },
            ErrorCode::NO_NODE,
        ),
        (TxnOp::Delete { path }, ErrorCode::NOT_EMPTY),
        (
            TxnOp::Delete {
                path: "/zookeeper/quota".into(),
            },
            ErrorCode::BAD_ARGUMENTS,
        ),
        (
            TxnOp::SetData {
                path: Arc::clone(&missing),
                data: NodeData::NULL,
                version: 1,
            },
            ErrorCode::NO_NODE,
        ),
        (
            TxnOp::SetAcl {
                path: missing,
                acl: Arc::clone(&acl),
                version: 1,
            },
            ErrorCode::NO_NODE,
        ),
    ];
    for (op, code) in cases {
        let before = server.tree.clone();
        let applied = server.apply(SESSION, TxnKind::One(op.clone()));
        assert_eq!(applied, Applied::Error(code), "{op:?}");
        assert_eq!(server.events(), []);
        let last = server.tree.last_zxid;
        server.tree.last_zxid = before.last_zxid;
        assert_eq!(server.tree, before, "{op:?}");
        server.tree.last_zxid = last;
    }
}

#[test]
fn every_transaction_has_its_number() {
    let mut server = Server::new();
    let kinds = [
        TxnKind::CreateSession { timeout: 10_000 },
        TxnKind::Error(ErrorCode::NO_NODE),
        TxnKind::FailedMulti(vec![ErrorCode::NO_NODE]),
        TxnKind::Multi(Vec::new()),
        TxnKind::CloseSession,
    ];
    for (number, kind) in (1..).zip(kinds) {
        server.apply(SESSION, kind);
        assert_eq!(server.tree.last_zxid(), Zxid(number));
    }
    let mut fresh = Server::new().tree;
    fresh.last_zxid = Zxid(5);
    assert_eq!(server.tree, fresh);
}

#[test]
fn a_clone_keeps_what_it_had() {
    let mut server = Server::new();
    server.make("/a");
    let clone = server.tree.clone();
    server.set("/a", b"new").unwrap();
    server.make("/a/b");
    assert_eq!(clone.node("/a").unwrap().data(), Some(&b""[..]));
    assert_eq!(clone.node("/a").unwrap().children().len(), 0);
    assert!(clone.node("/a/b").is_none());
}

#[test]
fn debug_shows_figures_only() {
    let mut server = Server::new();
    server.make_with("/a", b"secret", Acl::open_unsafe_ref());
    let shown = format!("{:?} {:?}", server.tree, server.tree.node("/a"));
    assert!(
        shown.contains("nodes: 5") && shown.contains("6 bytes"),
        "{shown}"
    );
    assert!(!shown.contains("secret"), "{shown}");
}
