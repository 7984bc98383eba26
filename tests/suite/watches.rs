//! Watches that see one change, and watches of every kind through losses, and their ends.

use std::time::Duration;

use zk::{Acl, Client, Error, EventType, Notice, StateReason, WatcherType, Zxid};

use crate::support::{
    Env, Heard, LIMIT, assert_silent, expire_session, lose_connection, next, next_event, parts,
    session_of, wait_for_callbacks,
};

pub(super) const CREATED: EventType = EventType::NODE_CREATED;
pub(super) const DELETED: EventType = EventType::NODE_DELETED;
pub(super) const CHANGED: EventType = EventType::NODE_DATA_CHANGED;
pub(super) const CHILD: EventType = EventType::NODE_CHILDREN_CHANGED;

pub(super) fn at(kind: EventType, path: &str) -> (EventType, String) {
    (kind, path.to_owned())
}

/// Somebody else, who sees the same paths.
pub(super) fn elsewhere(env: &Env) -> Client {
    env.other().chroot(env.root()).unwrap()
}

// One-shot watches. --------------------------------------------------------------------------

pub(crate) fn a_watched_get_sees_one_change(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.create("/a", b"0").wait().unwrap();
    let (data, stat, watch) = client.get("/a").watched().wait().unwrap();
    assert_eq!((data.as_ref(), stat.version), (b"0".as_slice(), 0));
    let changed = other.set("/a", b"1").wait().unwrap();
    let event = watch.wait().unwrap();
    assert_eq!((event.kind, event.path.as_str()), (CHANGED, "/a"));
    let zxid = if env.is_3_9() {
        changed.mzxid
    } else {
        Zxid::ZERO
    };
    assert_eq!(event.zxid, zxid);
    other.set("/a", b"2").wait().unwrap();
    let (_, _, watch) = client.get("/a").watched().wait().unwrap();
    other.delete("/a").wait().unwrap();
    assert_eq!(parts(watch.wait()), at(DELETED, "/a"));
}

pub(crate) fn a_watched_exists_sees_what_comes(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    let (stat, watch) = client.exists("/a").watched().wait().unwrap();
    assert_eq!(stat, None);
    other.create("/a", b"").wait().unwrap();
    assert_eq!(parts(watch.wait()), at(CREATED, "/a"));
    let (stat, watch) = client.exists("/a").watched().wait().unwrap();
    assert!(stat.is_some());
    other.set("/a", b"").wait().unwrap();
    assert_eq!(parts(watch.wait()), at(CHANGED, "/a"));
    let (_, watch) = client.exists("/a").watched().wait().unwrap();
    other.delete("/a").wait().unwrap();
    assert_eq!(parts(watch.wait()), at(DELETED, "/a"));
}

pub(crate) fn watched_children_are_seen_to_come_and_go(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.create("/p", b"").wait().unwrap();
    let (_, watch) = client.get_children("/p").watched().wait().unwrap();
    other.set("/p", b"of no interest").wait().unwrap();
    other.create("/p/c", b"").wait().unwrap();
    assert_eq!(parts(watch.wait()), at(CHILD, "/p"));
    let (_, watch) = client.get_children("/p").watched().wait().unwrap();
    other.set("/p/c", b"of no interest").wait().unwrap();
    other
        .create("/p/c/grandchild", b"of no interest")
        .wait()
        .unwrap();
    other.delete("/p/c/grandchild").wait().unwrap();
    other.delete("/p/c").wait().unwrap();
    assert_eq!(parts(watch.wait()), at(CHILD, "/p"));
    let (_, _, watch) = client
        .get_children("/p")
        .with_stat()
        .watched()
        .wait()
        .unwrap();
    other.delete("/p").wait().unwrap();
    assert_eq!(parts(watch.wait()), at(DELETED, "/p"));
}

pub(crate) fn a_failed_read_sets_no_watch(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    let tell = heard.teller();
    assert_eq!(
        client.get("/a").watched().wait().unwrap_err(),
        Error::NoNode
    );
    assert_eq!(
        client.get_children("/a").watched().wait().unwrap_err(),
        Error::NoNode
    );
    let told = client
        .get("/a")
        .watch(move |event| tell.send(event).unwrap())
        .wait();
    assert_eq!(told.unwrap_err(), Error::NoNode);
    elsewhere(env).create("/a", b"").wait().unwrap();
    client.sync("/").wait().unwrap();
    wait_for_callbacks(&client);
    assert_eq!(heard.so_far(), []);
    env.wait_for_watched_paths(session_of(&client), &[]);
}

pub(crate) fn watches_can_call_back(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.create("/a", b"").wait().unwrap();
    let heard = Heard::new();
    let teller = || {
        let tell = heard.teller();
        move |event| tell.send(parts(event)).unwrap()
    };
    client.get("/a").watch(teller()).wait().unwrap();
    client.exists("/b").watch(teller()).wait().unwrap();
    client.get_children("/a").watch(teller()).wait().unwrap();
    client
        .get_children("/a")
        .with_stat()
        .watch(teller())
        .wait()
        .unwrap();
    let (_, watch) = client.exists("/c").watched().wait().unwrap();
    watch.on_event(teller());
    for path in ["/b", "/a/child", "/c"] {
        other.create(path, b"").wait().unwrap();
    }
    other.set("/a", b"").wait().unwrap();
    let expected = [
        at(CREATED, "/b"),
        at(CHILD, "/a"),
        at(CHILD, "/a"),
        at(CREATED, "/c"),
        at(CHANGED, "/a"),
    ];
    for event in expected {
        assert_eq!(heard.next(), event);
    }
    wait_for_callbacks(&client);
    assert_eq!(heard.so_far(), []);
}

pub(crate) fn a_panic_in_a_watch_is_contained(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    let heard = Heard::new();
    let tell = heard.teller();
    client
        .exists("/a")
        .watch(|_| panic!("as this test wants"))
        .wait()
        .unwrap();
    client
        .exists("/a")
        .watch(move |event| tell.send(parts(event)).unwrap())
        .wait()
        .unwrap();
    other.create("/a", b"").wait().unwrap();
    assert_eq!(heard.next(), at(CREATED, "/a"));
    assert!(client.exists("/a").wait().unwrap().is_some());
}

pub(crate) fn a_watch_can_be_asked_again_and_again(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    let (_, mut watch) = client.exists("/a").watched().wait().unwrap();
    assert!(watch.try_take().is_none());
    assert!(watch.wait_for(Duration::from_millis(1)).is_none());
    other.create("/a", b"").wait().unwrap();
    assert_eq!(parts(watch.wait_for(LIMIT).unwrap()), at(CREATED, "/a"));
    assert_eq!(watch.try_take(), Some(Err(Error::Taken)));
    let (_, watch) = client.exists("/b").watched().wait().unwrap();
    other.create("/b", b"").wait().unwrap();
    assert_eq!(parts(client.block_on(watch).unwrap()), at(CREATED, "/b"));
}

pub(crate) fn many_watches_on_a_path_each_see_the_change(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.create("/a", b"").wait().unwrap();
    let watches: Vec<_> = (0..20)
        .map(|_| client.get("/a").watched().wait().unwrap().2)
        .collect();
    let (_, exists) = client.exists("/a").watched().wait().unwrap();
    env.wait_for_watched_paths(session_of(&client), &["/a"]);
    other.set("/a", b"").wait().unwrap();
    for watch in watches.into_iter().chain([exists]) {
        assert_eq!(parts(watch.wait()), at(CHANGED, "/a"));
    }
}

pub(crate) fn unreadable_changes_are_not_seen(env: &Env) {
    let (client, owner) = (env.client(), env.client());
    owner.add_auth("digest", "owner:password").wait().unwrap();
    let (_, mut watch) = client.exists("/a").watched().wait().unwrap();
    owner
        .create("/a", b"")
        .acl(Acl::creator_all_ref())
        .wait()
        .unwrap();
    client.sync("/").wait().unwrap();
    assert_eq!(watch.try_take(), None);
}

// What happens to the server's watch. ----------------------------------------------------------

pub(crate) fn dropping_a_watch_removes_it_from_the_server(env: &Env) {
    let client = env.client();
    let session = session_of(&client);
    client.create("/a", b"").wait().unwrap();
    let (_, _, data) = client.get("/a").watched().wait().unwrap();
    let (_, child) = client.get_children("/a").watched().wait().unwrap();
    let (_, missing) = client.exists("/b").watched().wait().unwrap();
    env.wait_for_watched_paths(session, &["/a", "/b"]);
    assert_eq!(env.watchers("/a"), [session].into());
    drop(missing);
    env.wait_for_watched_paths(session, &["/a"]);
    drop(data);
    // The other kind on the same path stays.
    client.sync("/").wait().unwrap();
    client
        .check_watches("/a", WatcherType::CHILDREN)
        .wait()
        .unwrap();
    let none = client.check_watches("/a", WatcherType::DATA).wait();
    assert_eq!(none, Err(Error::NoWatcher));
    elsewhere(env).create("/a/c", b"").wait().unwrap();
    assert_eq!(parts(child.wait()), at(CHILD, "/a"));
    env.wait_for_watched_paths(session, &[]);
    assert_eq!(env.watchers("/a"), [].into());
}

pub(crate) fn a_shared_registration_lives_with_its_last_user(env: &Env) {
    let client = env.client();
    let session = session_of(&client);
    client.create("/a", b"").wait().unwrap();
    let (_, _, one) = client.get("/a").watched().wait().unwrap();
    let (_, two) = client.exists("/a").watched().wait().unwrap();
    let three = client.get("/a").watched().send();
    drop(one);
    drop(two);
    let (_, _, three) = three.wait().unwrap();
    client
        .check_watches("/a", WatcherType::DATA)
        .wait()
        .unwrap();
    env.wait_for_watched_paths(session, &["/a"]);
    elsewhere(env).set("/a", b"").wait().unwrap();
    assert_eq!(parts(three.wait()), at(CHANGED, "/a"));
    env.wait_for_watched_paths(session, &[]);
}

pub(crate) fn a_dropped_call_leaves_no_watch(env: &Env) {
    let client = env.client();
    client.create("/a", b"").wait().unwrap();
    for _ in 0..20 {
        drop(client.get("/a").watched().send());
        drop(client.exists("/b").watched().send());
        drop(client.get_children("/a").watched().send());
        drop(client.add_watch("/a").send());
        drop(client.add_watch("/a").recursive().send());
    }
    client.sync("/").wait().unwrap();
    env.wait_for_watched_paths(session_of(&client), &[]);
    // A result that nobody took.
    let result = client.get("/a").watched().send();
    client.sync("/").wait().unwrap();
    assert!(result.is_ready());
    env.wait_for_watched_paths(session_of(&client), &["/a"]);
    drop(result);
    env.wait_for_watched_paths(session_of(&client), &[]);
}

pub(crate) fn streams_are_removed_from_the_server(env: &Env) {
    let client = env.client();
    let session = session_of(&client);
    let one = client.add_watch("/a").wait().unwrap();
    let two = client.add_watch("/a").wait().unwrap();
    let deep = client.add_watch("/b").recursive().wait().unwrap();
    env.wait_for_watched_paths(session, &["/a", "/b"]);
    drop(one);
    client.sync("/").wait().unwrap();
    assert_eq!(env.watched_paths(session).len(), 2);
    drop(deep);
    env.wait_for_watched_paths(session, &["/a"]);
    drop(two);
    env.wait_for_watched_paths(session, &[]);
}

pub(crate) fn check_watches_asks_the_server(env: &Env) {
    let client = env.client();
    client.create("/a", b"").wait().unwrap();
    let check = |kind| client.check_watches("/a", kind).wait();
    assert_eq!(check(WatcherType::ANY), Err(Error::NoWatcher));
    let stream = client.add_watch("/a").wait().unwrap();
    check(WatcherType::ANY).unwrap();
    if env.is_3_9() {
        check(WatcherType::PERSISTENT).unwrap();
        assert_eq!(
            check(WatcherType::PERSISTENT_RECURSIVE),
            Err(Error::NoWatcher)
        );
        assert_eq!(check(WatcherType::DATA), Err(Error::NoWatcher));
    } else {
        // Older servers do not know these types, and say so.
        let unknown = Err(Error::Server(zk::ErrorCode::MARSHALLING_ERROR));
        assert_eq!(check(WatcherType::PERSISTENT), unknown);
        check(WatcherType::DATA).unwrap();
    }
    drop(stream);
}

// Through the loss of connections and sessions. --------------------------------------------------

pub(crate) fn watches_survive_a_lost_connection(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.create("/a", b"").wait().unwrap();
    let (_, _, data) = client.get("/a").watched().wait().unwrap();
    let (_, child) = client.get_children("/a").watched().wait().unwrap();
    let (_, missing) = client.exists("/b").watched().wait().unwrap();
    lose_connection(&client);
    env.wait_for_watched_paths(session_of(&client), &["/a", "/b"]);
    other.set("/a", b"").wait().unwrap();
    other.create("/a/c", b"").wait().unwrap();
    other.create("/b", b"").wait().unwrap();
    assert_eq!(parts(data.wait()), at(CHANGED, "/a"));
    assert_eq!(parts(child.wait()), at(CHILD, "/a"));
    assert_eq!(parts(missing.wait()), at(CREATED, "/b"));
}

pub(crate) fn what_happened_while_away_is_caught_up_with(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    let other = elsewhere(env);
    for path in ["/changed", "/deleted", "/parent", "/same", "/lasting"] {
        client.create(path, b"").wait().unwrap();
    }
    let (_, _, changed) = client.get("/changed").watched().wait().unwrap();
    let (_, _, deleted) = client.get("/deleted").watched().wait().unwrap();
    let (_, parent) = client.get_children("/parent").watched().wait().unwrap();
    let (_, created) = client.exists("/created").watched().wait().unwrap();
    let (_, _, mut same) = client.get("/same").watched().wait().unwrap();
    let mut stream = client.add_watch("/lasting").wait().unwrap();
    let seen = client.last_zxid();
    let mut changes = client.state_changes();
    proxy.refuse(true).unwrap();
    proxy.cut();
    next(&mut changes);
    other.set("/changed", b"").wait().unwrap();
    other.delete("/deleted").wait().unwrap();
    other.create("/parent/c", b"").wait().unwrap();
    other.set("/lasting", b"").wait().unwrap();
    let (_, last) = other.create("/created", b"").with_stat().wait().unwrap();
    proxy.refuse(false).unwrap();
    assert_eq!(parts(changed.wait()), at(CHANGED, "/changed"));
    assert_eq!(parts(deleted.wait()), at(DELETED, "/deleted"));
    assert_eq!(parts(parent.wait()), at(CHILD, "/parent"));
    assert_eq!(parts(created.wait()), at(CREATED, "/created"));
    // A persistent watch cannot know what it missed, and says so.
    let Notice::Gap { from, to } = next(&mut stream) else {
        panic!("no gap");
    };
    assert!(
        from >= seen && from < last.czxid && to >= last.czxid,
        "{from:?} {to:?}"
    );
    client.sync("/").wait().unwrap();
    assert!(same.try_take().is_none());
    other.set("/same", b"").wait().unwrap();
    assert_eq!(parts(same.wait()), at(CHANGED, "/same"));
    other.set("/lasting", b"").wait().unwrap();
    assert_eq!(next_event(&mut stream), at(CHANGED, "/lasting"));
}

pub(crate) fn streams_go_on_after_a_gap(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.ensure_path("/a/b").wait().unwrap();
    let mut plain = client.add_watch("/a").wait().unwrap();
    let mut deep = client.add_watch("/a").recursive().wait().unwrap();
    for _ in 0..3 {
        lose_connection(&client);
        for stream in [&mut plain, &mut deep] {
            assert!(matches!(next(stream), Notice::Gap { .. }));
        }
        other.set("/a", b"").wait().unwrap();
        other.set("/a/b", b"").wait().unwrap();
        assert_eq!(next_event(&mut plain), at(CHANGED, "/a"));
        assert_eq!(next_event(&mut deep), at(CHANGED, "/a"));
        assert_eq!(next_event(&mut deep), at(CHANGED, "/a/b"));
        assert_silent(&client, &mut plain);
        assert_silent(&client, &mut deep);
    }
}

pub(crate) fn a_watch_dropped_while_away_is_not_put_back(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    let (_, dropped) = client.exists("/a").watched().wait().unwrap();
    let (_, kept) = client.exists("/b").watched().wait().unwrap();
    let mut changes = client.state_changes();
    proxy.refuse(true).unwrap();
    proxy.cut();
    next(&mut changes);
    drop(dropped);
    proxy.refuse(false).unwrap();
    client.until_connected().wait().unwrap();
    env.wait_for_watched_paths(session_of(&client), &["/b"]);
    drop(kept);
}

pub(crate) fn thousands_of_watches_survive(env: &Env) {
    const NODES: usize = 3000;
    let (client, other) = (env.client(), elsewhere(env));
    let long = "x".repeat(100);
    let paths: Vec<_> = (0..NODES).map(|n| format!("/{long}-{n}")).collect();
    let pending: Vec<_> = paths
        .iter()
        .map(|path| client.exists(path).watched().send())
        .collect();
    let watches: Vec<_> = pending.into_iter().map(|p| p.wait().unwrap().1).collect();
    assert_eq!(client.stats().session.watches, NODES);
    // More than one request may hold.
    lose_connection(&client);
    client.sync("/").wait().unwrap();
    assert_eq!(env.watched_paths(session_of(&client)).len(), NODES);
    let creates: Vec<_> = paths
        .iter()
        .map(|path| other.create(path, b"").send())
        .collect();
    for create in creates {
        create.wait().unwrap();
    }
    for (watch, path) in watches.into_iter().zip(&paths) {
        assert_eq!(parts(watch.wait()), at(CREATED, path));
    }
    let deletes: Vec<_> = paths.iter().map(|path| other.delete(path).send()).collect();
    for delete in deletes {
        delete.wait().unwrap();
    }
}

pub(crate) fn watches_end_with_the_session(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    let tell = heard.teller();
    let (_, watch) = client.exists("/a").watched().wait().unwrap();
    client
        .exists("/b")
        .watch(move |event| tell.send(event).unwrap())
        .wait()
        .unwrap();
    let mut stream = client.add_watch("/a").wait().unwrap();
    expire_session(&client);
    let ended = Error::WatchEnded(StateReason::Expired);
    assert_eq!(ended.outcome(), None);
    assert_eq!(watch.wait(), Err(ended.clone()));
    assert_eq!(heard.next(), Err(ended));
    let notices: Vec<_> = stream.iter().map(Result::unwrap).collect();
    assert_eq!(notices.last(), Some(&Notice::End(StateReason::Expired)));
    env.wait_for_watched_paths(session_of(&client), &[]);
}
