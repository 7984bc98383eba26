//! Root paths: those of the hosts, and views.

use zk::proto::PathError;
use zk::{Client, EnsembleConfig, Error, EventType};

use crate::support::{Env, next_event, parts, session_of};

pub(crate) fn everything_is_below_the_root_path(env: &Env) {
    let (client, other) = (env.client(), env.other());
    assert_eq!(client.root_path(), env.root());
    assert_eq!(client.create("/a", b"1").wait().unwrap(), "/a");
    assert_eq!(other.get(&env.full("/a")).wait().unwrap().0, b"1");
    assert_eq!(client.get_children("/").wait().unwrap().to_vec(), ["a"]);
    assert_eq!(client.sync("/a").wait().unwrap(), "/a");
    let sequential = client.create("/s-", b"").ephemeral().sequential();
    assert_eq!(sequential.wait().unwrap(), "/s-0000000001");
    assert_eq!(
        client.get_ephemerals("/").wait().unwrap(),
        ["/s-0000000001"]
    );
    let (_, root) = client.get("/").wait().unwrap();
    assert_eq!(root.children_count(), 2);
    assert_eq!(client.get_all_children_number("/").wait().unwrap(), 2);
    assert_eq!(other.root_path(), "");
}

pub(crate) fn events_are_below_the_root_path(env: &Env) {
    let (client, other) = (env.client(), env.other());
    let (_, watch) = client.exists("/a").watched().wait().unwrap();
    let (_, _, root) = client.get("/").watched().wait().unwrap();
    let mut stream = client.add_watch("/").recursive().wait().unwrap();
    let mut foreign = other.add_watch(env.root()).wait().unwrap();
    other.create(&env.full("/a"), b"").wait().unwrap();
    other.set(env.root(), b"").wait().unwrap();
    assert_eq!(
        parts(watch.wait()),
        (EventType::NODE_CREATED, "/a".to_owned())
    );
    assert_eq!(
        parts(root.wait()),
        (EventType::NODE_DATA_CHANGED, "/".to_owned())
    );
    assert_eq!(
        next_event(&mut stream),
        (EventType::NODE_CREATED, "/a".to_owned())
    );
    assert_eq!(
        next_event(&mut stream),
        (EventType::NODE_DATA_CHANGED, "/".to_owned())
    );
    let full = env.root().to_owned();
    assert_eq!(
        next_event(&mut foreign),
        (EventType::NODE_CHILDREN_CHANGED, full)
    );
}

pub(crate) fn views_share_the_session(env: &Env) {
    let client = env.client();
    let view = client.chroot("/a").unwrap();
    let deeper = view.chroot("b/c/").unwrap();
    assert_eq!(view.root_path(), env.full("/a"));
    assert_eq!(deeper.root_path(), env.full("/a/b/c"));
    assert_eq!(client.chroot("/").unwrap().root_path(), env.root());
    assert_eq!(session_of(&deeper), session_of(&client));
    assert_eq!(view.create("/x", b"").wait(), Err(Error::NoNode));
    deeper.ensure_path("/").wait().unwrap();
    assert_eq!(deeper.create("/x", b"deep").wait().unwrap(), "/x");
    assert_eq!(view.get("/b/c/x").wait().unwrap().0, b"deep");
    assert_eq!(client.get("/a/b/c/x").wait().unwrap().0, b"deep");
    let made = deeper.create("/y/z", b"").make_path().wait().unwrap();
    assert_eq!(made, "/y/z");
    assert!(client.exists("/a/b/c/y/z").wait().unwrap().is_some());
    assert!(matches!(client.chroot("/../up"), Err(Error::Path(_))));
}

pub(crate) fn each_view_sees_events_its_own_way(env: &Env) {
    let client = env.client();
    let (view, deeper) = (client.chroot("/a").unwrap(), client.chroot("/a/b").unwrap());
    client.ensure_path("/a/b").wait().unwrap();
    let (_, _, by_client) = client.get("/a/b").watched().wait().unwrap();
    let (_, _, by_view) = view.get("/b").watched().wait().unwrap();
    let (_, _, by_deeper) = deeper.get("/").watched().wait().unwrap();
    let mut deep = view.add_watch("/").recursive().wait().unwrap();
    client.set("/a/b", b"").wait().unwrap();
    let changed = |path: &str| (EventType::NODE_DATA_CHANGED, path.to_owned());
    assert_eq!(parts(by_client.wait()), changed("/a/b"));
    assert_eq!(parts(by_view.wait()), changed("/b"));
    assert_eq!(parts(by_deeper.wait()), changed("/"));
    assert_eq!(next_event(&mut deep), changed("/b"));
    // Not below, though the text begins alike.
    client.create("/apple", b"").wait().unwrap();
    crate::support::assert_silent(&client, &mut deep);
}

pub(crate) fn the_configuration_is_not_below_the_root_path(env: &Env) {
    let client = env.client();
    let (data, stat) = client.get_config().wait().unwrap();
    assert!(stat.czxid.0 >= 0);
    let text = String::from_utf8(data.to_vec()).unwrap();
    // Empty on a standalone server.
    assert_eq!(EnsembleConfig::parse(&text).unwrap().servers, []);
    let (again, _, watch) = client
        .chroot("/view")
        .unwrap()
        .get_config()
        .watched()
        .wait()
        .unwrap();
    assert_eq!(again, data);
    drop(watch);
    let below = client.get("/zookeeper/config").wait();
    assert_eq!(below.unwrap_err(), Error::NoNode);
}

pub(crate) fn the_root_path_is_taken_from_the_hosts(env: &Env) {
    let address = env.address();
    let root = |text: String| Client::builder(text).start(env.handler()).unwrap();
    let cases = [
        (format!("{address}/"), ""),
        (format!("{address}"), ""),
        (format!("{address}/a"), "/a"),
        (format!("{address}/a/b/"), "/a/b"),
        (format!("{address},127.0.0.1:1/a"), "/a"),
        (format!(" {address} , localhost /a"), "/a"),
    ];
    for (hosts, expected) in cases {
        let client = root(hosts.clone());
        assert_eq!(client.root_path(), expected, "{hosts}");
        client.close().wait().unwrap();
    }
}

pub(crate) fn paths_are_put_in_order(env: &Env) {
    let client = env.client();
    for given in ["a", "/a/", "//a", "a/"] {
        assert_eq!(client.create(given, b"").wait().unwrap(), "/a", "{given}");
        assert!(client.exists(given).wait().unwrap().is_some());
        client.set(given, b"").wait().unwrap();
        client.get(given).wait().unwrap();
        client.get_children(given).wait().unwrap();
        client.delete(given).wait().unwrap();
    }
    assert_eq!(client.ensure_path("b//c").wait(), Ok(()));
    assert_eq!(client.get_children("").wait().unwrap().to_vec(), ["b"]);
}

pub(crate) fn names_may_be_in_any_language(env: &Env) {
    let client = env.client();
    let mut stream = client.add_watch("/").recursive().wait().unwrap();
    for name in [
        "日本語",
        "ünïcödé",
        "with space",
        ".hidden",
        "a..b",
        "%2F",
        "\u{301}",
    ] {
        let path = format!("/{name}");
        assert_eq!(client.create(&path, name).wait().unwrap(), path);
        assert_eq!(client.get(&path).wait().unwrap().0, name);
        assert_eq!(next_event(&mut stream).1, path);
        assert!(
            client
                .get_children("/")
                .wait()
                .unwrap()
                .sorted()
                .contains(&name)
        );
    }
}

pub(crate) fn malformed_paths_are_refused_here(env: &Env) {
    let client = env.client();
    let before = client.stats().session.requests;
    for path in [
        "/a/../b",
        "/./a",
        "..",
        "/a\0",
        "/a\u{1}b",
        "/\u{7f}",
        "/\u{e000}",
        "/😀",
    ] {
        let malformed = |result: Result<(), Error>| {
            assert!(
                matches!(result, Err(Error::Path(_))),
                "{path:?}: {result:?}"
            );
        };
        malformed(client.create(path, b"").wait().map(drop));
        malformed(client.create(path, b"").make_path().wait().map(drop));
        malformed(client.ensure_path(path).wait());
        malformed(client.exists(path).wait().map(drop));
        malformed(client.get(path).watched().wait().map(drop));
        malformed(client.get_children(path).wait().map(drop));
        malformed(client.get_acls(path).wait().map(drop));
        malformed(client.set(path, b"").wait().map(drop));
        malformed(client.delete(path).wait());
        malformed(client.sync(path).wait().map(drop));
        malformed(client.add_watch(path).wait().map(drop));
        malformed(client.chroot(path).map(drop));
    }
    let error = client.get("/a/../b").wait().unwrap_err();
    assert!(
        matches!(error, Error::Path(PathError::RelativeComponent { .. })),
        "{error:?}"
    );
    assert_eq!(error.outcome(), Some(zk::Outcome::NotApplied));
    assert_eq!(client.stats().session.requests, before);
}
