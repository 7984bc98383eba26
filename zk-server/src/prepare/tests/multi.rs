use super::*;

#[test]
fn operations_of_a_multi_see_those_before_them() {
    let mut server = Server::new();
    server.make("/a");
    let set = |path: &'static str, version| MultiOp::SetData {
        path: path.into(),
        data: Some(b"12"[..].into()),
        version,
    };
    let sequential = CreateMode::PersistentSequential;
    let results = server.multi(vec![
        multi_create("/a/b", PERSISTENT),
        multi_create("/a/b/c", PERSISTENT),
        multi_create("/a/b/s", sequential),
        multi_create("/a/b/s", sequential),
        set("/a/b", 0),
        multi_check("/a/b", 1),
        set("/a/b", 1),
        multi_delete("/a/b/c"),
        multi_create("/a/b/c", PERSISTENT),
        multi_check("/a/b/c", 0),
        multi_delete("/a/b/c"),
    ]);
    let created = |path: &str| MultiResult::Created {
        path: path.to_owned(),
        stat: None,
    };
    assert_eq!(results.len(), 11);
    assert_eq!(
        results[..4],
        [
            created("/a/b"),
            created("/a/b/c"),
            created("/a/b/s0000000001"),
            created("/a/b/s0000000002")
        ]
    );
    // Each result is as of its own operation.
    let MultiResult::Set(first) = results[4] else {
        panic!("{:?}", results[4])
    };
    assert_eq!(
        (first.version, first.num_children, first.cversion),
        (1, 3, 3)
    );
    assert_eq!(results[5], MultiResult::Checked);
    assert_eq!(results[10], MultiResult::Deleted);
    let stat = server.stat("/a/b");
    assert_eq!((stat.version, stat.num_children, stat.cversion), (2, 2, 6));
    assert_eq!(
        (stat.czxid, stat.mzxid, stat.pzxid.0),
        (stat.czxid, stat.czxid, 2)
    );
}

#[test]
fn a_multi_fails_as_a_whole() {
    let mut server = Server::new();
    server.make("/a");
    let cases = [
        (multi_check("/a", 5), BAD_VERSION),
        (multi_create("/a/new", PERSISTENT), ErrorCode::NODE_EXISTS),
        (multi_delete("/a"), ErrorCode::NOT_EMPTY),
        (multi_delete("/nope"), NO_NODE),
        (multi_create("/nope/x", PERSISTENT), NO_NODE),
    ];
    for (op, code) in cases {
        let before = server.tree.clone();
        let ops = vec![
            multi_create("/a/new", PERSISTENT),
            op,
            multi_delete("/a/new"),
            multi_check("/nope", -1),
        ];
        let after = ErrorCode::RUNTIME_INCONSISTENCY;
        let codes = [ErrorCode::OK, code, after, after];
        assert_eq!(server.multi(ops), codes.map(MultiResult::Error));
        assert_eq!(server.events(), []);
        assert!(server.tree.node("/a/new").is_none());
        assert_eq!(server.stat("/a"), before.node("/a").unwrap().stat());
        assert_eq!(server.tree.last_zxid().0, before.last_zxid().0 + 1);
    }
    assert_eq!(
        server
            .create("/a/s", CreateMode::PersistentSequential)
            .unwrap(),
        "/a/s0000000000"
    );
}

#[test]
fn within_a_multi_a_deleted_node_is_gone_and_an_ephemeral_one_has_no_children() {
    let mut server = Server::new();
    server.make("/a");
    let gone = vec![multi_delete("/a"), multi_create("/a/b", PERSISTENT)];
    let codes = [ErrorCode::OK, NO_NODE].map(MultiResult::Error);
    assert_eq!(server.multi(gone), codes);
    let ephemeral = vec![
        multi_create("/e", CreateMode::Ephemeral),
        multi_create("/e/x", PERSISTENT),
    ];
    let code = ErrorCode::NO_CHILDREN_FOR_EPHEMERALS;
    let codes = [ErrorCode::OK, code].map(MultiResult::Error);
    assert_eq!(server.multi(ephemeral), codes);
    // The list of a node created earlier in the same multi counts.
    let closed = MultiOp::Create {
        path: "/c".into(),
        data: None,
        acl: world(Perms::READ)[..].to_vec().into(),
        mode: PERSISTENT.into(),
        with_stat: false,
    };
    let codes = [ErrorCode::OK, NO_AUTH].map(MultiResult::Error);
    assert_eq!(
        server.multi(vec![closed, multi_create("/c/x", PERSISTENT)]),
        codes
    );
}

/// Of every operation with all flags that it is taken with: until a multi is applied, its flags alone
/// say whether a node is ephemeral.
#[test]
fn a_container_that_says_it_is_ephemeral_has_no_children_within_its_multi() {
    let operations = [
        OpCode::CREATE,
        OpCode::CREATE2,
        OpCode::CREATE_CONTAINER,
        OpCode::CREATE_TTL,
    ];
    for release in [Release::V3_8, Release::V3_9] {
        for opcode in operations {
            for flags in 0..=6 {
                let ttl = (opcode == OpCode::CREATE_TTL).then_some(60_000);
                let create = MultiOp::Create {
                    path: "/x".into(),
                    data: None,
                    acl: Acl::open_unsafe_ref().into(),
                    mode: WireMode::Raw(RawMode { opcode, flags, ttl }),
                    with_stat: false,
                };
                let mut server = Server::new();
                server.settings.release = release;
                let request = Request::Multi(vec![create.clone()].into());
                if !matches!(server.prepare(&request), Ok(TxnKind::Multi(_))) {
                    assert!(flags > 4 && opcode != OpCode::CREATE_TTL, "{create:?}");
                    continue;
                }
                let name = match flags {
                    2 | 3 | 6 => "/x0000000000",
                    _ => "/x",
                };
                let child = format!("{name}/c");
                let ops = vec![create.clone(), multi_create(&child, PERSISTENT)];
                let second = server.multi(ops).pop();
                let what = format!("{release}: {create:?}");
                if matches!(flags, 1 | 3) {
                    let code = ErrorCode::NO_CHILDREN_FOR_EPHEMERALS;
                    assert_eq!(second, Some(MultiResult::Error(code)), "{what}");
                } else {
                    let created = matches!(second, Some(MultiResult::Created { .. }));
                    assert!(created, "{what}: {second:?}");
                }
            }
        }
        // Once it has been created it is what it is.
        let mut server = Server::new();
        server.settings.release = release;
        let create = MultiOp::Create {
            path: "/x".into(),
            data: None,
            acl: Acl::open_unsafe_ref().into(),
            mode: WireMode::Raw(RawMode {
                opcode: OpCode::CREATE_CONTAINER,
                flags: 1,
                ttl: None,
            }),
            with_stat: false,
        };
        server.multi(vec![create]);
        let is_container = release >= Release::V3_9;
        assert_eq!(server.tree.ephemeral_count(), usize::from(!is_container));
        assert_eq!(server.create("/x/c", PERSISTENT).is_ok(), is_container);
    }
}

#[test]
fn an_empty_multi_takes_a_number() {
    let mut server = Server::new();
    assert_eq!(server.multi(Vec::new()), []);
    assert_eq!(server.tree.last_zxid().0, 1);
}

#[test]
fn before_3_9_create2_within_a_multi_has_no_metadata() {
    for (release, has_stat) in [(Release::V3_8, false), (Release::V3_9, true)] {
        let mut server = Server::new();
        server.settings.release = release;
        let op = |path: &'static str, mode: CreateMode, with_stat| MultiOp::Create {
            path: path.into(),
            data: None,
            acl: Acl::open_unsafe_ref().into(),
            mode: mode.into(),
            with_stat,
        };
        let ttl = CreateMode::PersistentWithTtl(Ttl::from_millis(5).unwrap());
        let results = server.multi(vec![
            op("/1", PERSISTENT, false),
            op("/2", PERSISTENT, true),
            op("/3", CreateMode::Container, true),
            op("/4", ttl, true),
        ]);
        let stats = results.iter().map(|result| {
            let MultiResult::Created { stat, .. } = result else {
                panic!("{result:?}");
            };
            stat.is_some()
        });
        assert_eq!(stats.collect::<Vec<_>>(), [false, has_stat, true, true]);
    }
}
