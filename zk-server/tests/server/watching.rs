//! Watches: who hears what, when, and in which order.

use zk_proto::{
    Acl, AddWatchMode, CreateMode, ErrorCode, EventType, OpCode, Perms, Reply, Request, SetWatches,
    WatcherType, Xid, Zxid,
};
use zk_server::{Options, Release};

use crate::rig::{Got, Rig, Session, create, delete, get, set};

const DATA: EventType = EventType::NODE_DATA_CHANGED;
const CREATED: EventType = EventType::NODE_CREATED;
const DELETED: EventType = EventType::NODE_DELETED;
const CHILDREN: EventType = EventType::NODE_CHILDREN_CHANGED;

fn children(path: &str) -> Request<'_> {
    Request::GetChildren {
        path: path.into(),
        watch: true,
        with_stat: false,
    }
}

fn exists(path: &str) -> Request<'_> {
    Request::Exists {
        path: path.into(),
        watch: true,
    }
}

fn add(path: &str, mode: AddWatchMode) -> Request<'_> {
    Request::AddWatch {
        path: path.into(),
        mode,
    }
}

fn events(rig: &mut Rig, session: Session) -> Vec<(EventType, String)> {
    rig.events(session)
}

fn heard(list: &[(EventType, &str)]) -> Vec<(EventType, String)> {
    list.iter()
        .map(|(kind, path)| (*kind, (*path).to_owned()))
        .collect()
}

#[test]
fn an_event_comes_before_the_reply_to_the_write_that_caused_it() {
    for (release, shown) in [(Release::V3_9, 3), (Release::V3_8, -1)] {
        let mut rig = Rig::new(Options::new().release(release));
        let client = rig.connect();
        rig.call(client, &create("/a", CreateMode::Persistent))
            .unwrap();
        rig.call(client, &get("/a", true)).unwrap();
        rig.ask(client, 5, &set("/a", b"2"));
        let event = rig.got(client, OpCode::SET_DATA);
        assert_eq!(event, Some(Got::Event(shown, DATA, "/a".into())));
        assert!(matches!(
            rig.got(client, OpCode::SET_DATA),
            Some(Got::Reply(5, 3, ErrorCode::OK, _))
        ));
    }
}

#[test]
fn an_event_comes_before_a_read_that_shows_the_change() {
    let mut rig = Rig::new(Options::new());
    let (writer, reader) = (rig.connect(), rig.connect());
    rig.call(writer, &create("/a", CreateMode::Persistent))
        .unwrap();
    rig.call(reader, &get("/a", true)).unwrap();
    rig.call(writer, &set("/a", b"2")).unwrap();
    rig.ask(reader, 1, &get("/a", false));
    assert!(matches!(
        rig.got(reader, OpCode::GET_DATA),
        Some(Got::Event(..))
    ));
    assert!(matches!(
        rig.got(reader, OpCode::GET_DATA),
        Some(Got::Reply(..))
    ));
}

#[test]
fn only_exists_watches_what_is_not_there() {
    let mut rig = Rig::new(Options::new());
    let (client, other) = (rig.connect(), rig.connect());
    for request in [get("/a", true), children("/a"), exists("/a")] {
        assert_eq!(rig.call(client, &request), Err(ErrorCode::NO_NODE));
    }
    rig.call(other, &create("/a", CreateMode::Persistent))
        .unwrap();
    rig.call(other, &create("/a/b", CreateMode::Persistent))
        .unwrap();
    assert_eq!(events(&mut rig, client), heard(&[(CREATED, "/a")]));
}

#[test]
fn one_event_for_each_change_and_connection() {
    let mut rig = Rig::new(Options::new());
    let (client, other) = (rig.connect(), rig.connect());
    rig.call(other, &create("/a", CreateMode::Persistent))
        .unwrap();
    for request in [
        get("/a", true),
        exists("/a"),
        children("/a"),
        add("/a", AddWatchMode::PERSISTENT),
        add("/", AddWatchMode::PERSISTENT_RECURSIVE),
    ] {
        rig.call(client, &request).unwrap();
    }
    rig.call(other, &create("/a/b", CreateMode::Persistent))
        .unwrap();
    rig.call(other, &delete("/a/b")).unwrap();
    rig.call(other, &delete("/a")).unwrap();
    let all = [
        (CREATED, "/a/b"),
        (CHILDREN, "/a"),
        (DELETED, "/a/b"),
        (CHILDREN, "/a"),
        (DELETED, "/a"),
    ];
    assert_eq!(events(&mut rig, client), heard(&all));
}

#[test]
fn watches_die_with_the_connection() {
    let mut rig = Rig::new(Options::new());
    let (client, other) = (rig.connect(), rig.connect());
    rig.call(client, &exists("/a")).unwrap_err();
    rig.call(client, &add("/", AddWatchMode::PERSISTENT_RECURSIVE))
        .unwrap();
    let (conn, reply) = rig.reconnect(client, 0);
    let again = crate::rig::session(conn, reply);
    rig.call(other, &create("/a", CreateMode::Persistent))
        .unwrap();
    assert_eq!(events(&mut rig, again), []);
    assert_eq!(
        rig.word("wchs"),
        "0 connections watching 0 paths\nTotal watches:0\n"
    );
}

#[test]
fn who_may_not_read_hears_nothing_and_has_lost_the_watch() {
    let mut rig = Rig::new(Options::new());
    let (client, owner) = (rig.connect(), rig.connect());
    rig.call(client, &exists("/secret")).unwrap_err();
    rig.call(
        owner,
        &Request::Auth {
            scheme: "digest".into(),
            data: Some(b"a:b"[..].into()),
        },
    )
    .unwrap();
    let secret = Request::Create {
        path: "/secret".into(),
        data: None,
        acl: Acl::creator_all_ref().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    };
    rig.call(owner, &secret).unwrap();
    assert_eq!(events(&mut rig, client), []);
    let open = Request::SetAcl {
        path: "/secret".into(),
        acl: Acl::open_unsafe_ref().into(),
        version: -1,
    };
    rig.call(owner, &open).unwrap();
    rig.call(owner, &set("/secret", b"1")).unwrap();
    assert_eq!(events(&mut rig, client), [], "the watch was used up");
    let closed = Request::SetAcl {
        path: "/secret".into(),
        acl: vec![Acl::new(Perms::ALL, "auth", "")].into(),
        version: -1,
    };
    rig.call(client, &add("/secret", AddWatchMode::PERSISTENT))
        .unwrap();
    rig.call(owner, &closed).unwrap();
    rig.call(owner, &set("/secret", b"2")).unwrap();
    assert_eq!(events(&mut rig, client), []);
    rig.call(owner, &open).unwrap();
    rig.call(owner, &set("/secret", b"3")).unwrap();
    assert_eq!(
        events(&mut rig, client),
        heard(&[(DATA, "/secret")]),
        "this one stays"
    );
}

#[test]
fn a_multi_is_heard_operation_by_operation_before_its_reply() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.call(client, &add("/", AddWatchMode::PERSISTENT_RECURSIVE))
        .unwrap();
    let op = |path: &'static str| zk_proto::MultiOp::Create {
        path: path.into(),
        data: None,
        acl: Acl::open_unsafe_ref().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    };
    let gone = zk_proto::MultiOp::Delete {
        path: "/a/b".into(),
        version: -1,
    };
    rig.ask(
        client,
        1,
        &Request::Multi(vec![op("/a"), op("/a/b"), gone].into()),
    );
    let mut got = Vec::new();
    while let Some(Got::Event(zxid, kind, path)) = rig.got(client, OpCode::MULTI) {
        got.push((zxid, kind, path));
    }
    let all = [(CREATED, "/a"), (CREATED, "/a/b"), (DELETED, "/a/b")];
    let all: Vec<_> = all
        .iter()
        .map(|(kind, path)| (2, *kind, (*path).to_owned()))
        .collect();
    assert_eq!(got, all);
}

#[test]
fn watches_are_registered_again_with_what_was_missed() {
    let mut rig = Rig::new(Options::new());
    let writer = rig.connect();
    let paths = ["/same", "/changed", "/gone", "/parent"];
    for path in paths {
        rig.call(writer, &create(path, CreateMode::Persistent))
            .unwrap();
    }
    let since = rig.server.tree().last_zxid();
    rig.call(writer, &set("/changed", b"2")).unwrap();
    rig.call(writer, &delete("/gone")).unwrap();
    rig.call(writer, &create("/parent/child", CreateMode::Persistent))
        .unwrap();
    rig.call(writer, &create("/new", CreateMode::Persistent))
        .unwrap();
    let client = rig.connect();
    let watches = Request::SetWatches(SetWatches {
        relative_zxid: since,
        data: ["/same", "/changed", "/gone"].map(Into::into).into(),
        exist: ["/new", "/none"].map(Into::into).into(),
        child: ["/same", "/parent", "/gone"].map(Into::into).into(),
        persistent: vec!["/parent".into()],
        recursive: vec!["/gone".into()],
        extended: true,
    });
    rig.ask(client, Xid::SET_WATCHES.0, &watches);
    let mut got = Vec::new();
    let reply = loop {
        match rig.got(client, OpCode::SET_WATCHES2) {
            Some(Got::Event(-1, kind, path)) => got.push((kind, path)),
            other => break other,
        }
    };
    let missed = [
        (DATA, "/changed"),
        (DELETED, "/gone"),
        (CREATED, "/new"),
        (CHILDREN, "/parent"),
        (DELETED, "/gone"),
    ];
    assert_eq!(got, heard(&missed));
    let zxid = rig.server.tree().last_zxid().0;
    assert_eq!(
        reply,
        Some(Got::Reply(-8, zxid, ErrorCode::OK, Some(Reply::Empty)))
    );

    rig.call(writer, &set("/same", b"2")).unwrap();
    rig.call(writer, &create("/same/child", CreateMode::Persistent))
        .unwrap();
    rig.call(writer, &set("/changed", b"3")).unwrap();
    rig.call(writer, &create("/none", CreateMode::Persistent))
        .unwrap();
    rig.call(writer, &create("/gone", CreateMode::Persistent))
        .unwrap();
    rig.call(writer, &delete("/parent/child")).unwrap();
    let later = [
        (DATA, "/same"),
        (CHILDREN, "/same"),
        (CREATED, "/none"),
        (CREATED, "/gone"),
        (CHILDREN, "/parent"),
    ];
    assert_eq!(events(&mut rig, client), heard(&later));
}

#[test]
fn catching_up_asks_nobody_for_permission() {
    let mut rig = Rig::new(Options::new());
    let (client, owner) = (rig.connect(), rig.connect());
    rig.call(
        owner,
        &Request::Auth {
            scheme: "digest".into(),
            data: Some(b"a:b"[..].into()),
        },
    )
    .unwrap();
    let secret = Request::Create {
        path: "/secret".into(),
        data: None,
        acl: Acl::creator_all_ref().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    };
    rig.call(owner, &secret).unwrap();
    let watches = SetWatches {
        relative_zxid: Zxid::ZERO,
        data: vec!["/secret".into()],
        ..SetWatches::default()
    };
    rig.ask(client, 1, &Request::SetWatches(watches));
    assert_eq!(
        rig.got(client, OpCode::SET_WATCHES),
        Some(Got::Event(-1, DATA, "/secret".into()))
    );
}

#[test]
fn watches_are_checked_and_removed_by_type() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let check = |kind| Request::CheckWatches {
        path: "/a".into(),
        kind,
    };
    let remove = |kind| Request::RemoveWatches {
        path: "/a".into(),
        kind,
    };
    rig.call(client, &exists("/a")).unwrap_err();
    rig.call(client, &add("/a", AddWatchMode::PERSISTENT))
        .unwrap();
    for (kind, there) in [
        (WatcherType::CHILDREN, false),
        (WatcherType::DATA, true),
        (WatcherType::PERSISTENT, true),
        (WatcherType::PERSISTENT_RECURSIVE, false),
        (WatcherType::ANY, true),
    ] {
        let expected = if there {
            Ok(Reply::Empty)
        } else {
            Err(ErrorCode::NO_WATCHER)
        };
        assert_eq!(rig.call(client, &check(kind)), expected, "{kind}");
    }
    assert_eq!(
        rig.call(client, &check(WatcherType(6))),
        Err(ErrorCode::MARSHALLING_ERROR)
    );
    assert_eq!(
        rig.call(client, &remove(WatcherType::PERSISTENT)),
        Ok(Reply::Empty)
    );
    assert_eq!(
        rig.call(client, &remove(WatcherType::ANY)),
        Ok(Reply::Empty)
    );
    assert_eq!(
        rig.call(client, &remove(WatcherType::ANY)),
        Err(ErrorCode::NO_WATCHER)
    );
    rig.call(client, &create("/a", CreateMode::Persistent))
        .unwrap();
    assert_eq!(
        rig.call(client, &add("/a", AddWatchMode(2))),
        Err(ErrorCode::MARSHALLING_ERROR)
    );
}
