//! `Cache` and `TreeCache`.

use std::sync::mpsc;

use zk::recipes::cache::{Cache, CacheEvent};
use zk::recipes::tree_cache::{TreeCache, TreeEvent};
use zk::{Acl, Error, Id, Listen, Perms, RecipeError};

use crate::support::{
    Env, Heard, LIMIT, expire_session, lose_connection, session_of, wait_for_callbacks, wait_until,
};

pub(crate) fn a_cache_is_filled_and_follows(env: &Env) {
    let client = env.client();
    for path in ["/a", "/a/b", "/a/b/c", "/ab"] {
        client.create(path, path).wait().unwrap();
    }
    let cache = Cache::new(&client, "/a");
    cache.start().wait_timeout(LIMIT).unwrap();
    assert!(cache.is_current());
    assert_eq!(cache.len(), 3);
    assert_eq!(cache.children("/a"), Some(vec!["b".to_owned()]));
    assert_eq!(cache.get("/a/b/c").unwrap().data, b"/a/b/c");
    assert!(cache.get("/ab").is_none());
    env.wait_for_watched_paths(session_of(&client), &["/a"]);
    let mut events = cache.events();
    let mut next = || events.next_timeout(LIMIT).unwrap().unwrap();
    let changed = client.set("/a/b", "new").wait().unwrap();
    let CacheEvent::Changed { before, now } = next() else {
        panic!("a change comes first");
    };
    assert_eq!((before.path.as_str(), before.stat.version), ("/a/b", 0));
    assert_eq!(
        (now.data.to_vec(), now.stat.mzxid),
        (b"new".to_vec(), changed.mzxid)
    );
    client.create("/a/d", "").wait().unwrap();
    assert!(matches!(next(), CacheEvent::Added(node) if node.path == "/a/d"));
    client.delete("/a/b").recursive().wait().unwrap();
    assert!(matches!(next(), CacheEvent::Removed(node) if node.path == "/a/b/c"));
    assert!(matches!(next(), CacheEvent::Removed(node) if node.data == b"new"));
    assert_eq!(cache.children("/a"), Some(vec!["d".to_owned()]));
}

pub(crate) fn a_cache_catches_up_after_losses(env: &Env) {
    let client = env.client();
    let other = env.other().chroot(env.root()).unwrap();
    other.create("/a/b/c", "1").make_path().wait().unwrap();
    let cache = Cache::new(&client, "/a");
    cache.start().wait_timeout(LIMIT).unwrap();
    for round in 0..4 {
        if round % 2 == 0 {
            lose_connection(&client);
        } else {
            expire_session(&client);
        }
        other.delete("/a/b").recursive().wait().unwrap();
        other
            .create("/a/b/c", round.to_string())
            .make_path()
            .wait()
            .unwrap();
        let (_, stat) = other.get("/a/b/c").wait().unwrap();
        wait_until("the cache to catch up", || {
            let node = cache.get("/a/b/c");
            cache.is_current() && node.is_some_and(|node| node.stat.czxid == stat.czxid)
        });
    }
}

pub(crate) fn a_thousand_nodes_take_few_requests(env: &Env) {
    let client = env.client();
    client.create("/a", "").wait().unwrap();
    let creates: Vec<_> = (0..1000)
        .map(|i| client.create(&format!("/a/{i}"), "x").send())
        .collect();
    for create in creates {
        create.wait().unwrap();
    }
    let cache = Cache::new(&client, "/a");
    let before = client.stats().session.requests;
    cache.start().wait_timeout(LIMIT).unwrap();
    let requests = client.stats().session.requests - before;
    assert_eq!(cache.len(), 1001);
    assert!(requests <= 15, "{requests} requests");
}

pub(crate) fn a_cache_that_is_held_up_is_not_current(env: &Env) {
    let (client, other) = (env.client(), env.client());
    client.create("/a", "1").wait().unwrap();
    let cache = Cache::new(&client, "/a");
    cache.start().wait_timeout(LIMIT).unwrap();
    let entered = Heard::new();
    let (tell, (go, gate)) = (entered.teller(), mpsc::channel());
    cache.listen(move |event| {
        if let CacheEvent::Changed { now, .. } = event {
            tell.send(now.data.to_vec()).unwrap();
            gate.recv_timeout(LIMIT).ok();
        }
        Listen::Keep
    });
    other.set("/a", "2").wait().unwrap();
    assert_eq!(entered.next(), b"2");
    assert!(cache.is_current(), "nothing has happened since");
    other.set("/a", "3").wait().unwrap();
    wait_until("it knows that it is behind", || !cache.is_current());
    assert_eq!(cache.get("/a").unwrap().data, b"2");
    let mut later = cache.start().send();
    assert!(later.try_take().is_none());
    go.send(()).unwrap();
    later.wait_timeout(LIMIT).unwrap();
    assert_eq!(entered.next(), b"3");
    assert_eq!(cache.get("/a").unwrap().data, b"3");
    assert!(cache.is_current());
    go.send(()).unwrap();
}

pub(crate) fn a_tree_cache_tells_of_what_it_cannot_read(env: &Env) {
    let client = env.client();
    let nobody = Acl {
        perms: Perms::ALL,
        id: Id::new("digest", "nobody:hash"),
    };
    client.create("/a/b", "").make_path().wait().unwrap();
    client.create("/a/x", "").acl(vec![nobody]).wait().unwrap();
    let cache = TreeCache::new(&client, "/a");
    let (faults, events) = (Heard::new(), Heard::new());
    let tell = faults.teller();
    cache.listen_fault(move |path, error| {
        tell.send((path.to_owned(), error.clone())).unwrap();
        Listen::Keep
    });
    let tell = events.teller();
    cache.listen(move |event| {
        tell.send(matches!(event, TreeEvent::Initialized)).unwrap();
        Listen::Keep
    });
    cache.start().wait_timeout(LIMIT).unwrap();
    assert_eq!(faults.next(), ("/a/x".to_owned(), Error::NoAuth));
    while !events.next() {}
    assert!(cache.get_data("/a/x").unwrap().is_none());
    cache.close();
    client.delete("/a/b").wait().unwrap();
    wait_for_callbacks(&client);
    assert!(faults.so_far().is_empty() && events.so_far().is_empty());
}

pub(crate) fn a_tree_cache_tells_what_kazoos_does(env: &Env) {
    let client = env.client();
    let cache = TreeCache::new(&client, "/a");
    let heard = Heard::new();
    let tell = heard.teller();
    cache.listen(move |event| {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "all others are told by name"
        )]
        let word = match event {
            TreeEvent::NodeAdded(node) => format!("added {}", node.path),
            TreeEvent::NodeUpdated(node) => format!("updated {} {:?}", node.path, &*node.data),
            TreeEvent::NodeRemoved(node) => format!("removed {} {:?}", node.path, &*node.data),
            event => format!("{event:?}"),
        };
        tell.send(word).unwrap();
        Listen::Keep
    });
    cache.start().wait_timeout(LIMIT).unwrap();
    assert_eq!(heard.next(), "added /a");
    assert_eq!(heard.next(), "Initialized");
    client.create("/a/b", "1").wait().unwrap();
    assert_eq!(heard.next(), "added /a/b");
    client.set("/a/b", "2").wait().unwrap();
    assert_eq!(heard.next(), "updated /a/b [50]");
    client.delete("/a/b").wait().unwrap();
    assert_eq!(heard.next(), "removed /a/b [50]");
    lose_connection(&client);
    assert_eq!(heard.next(), "ConnectionSuspended");
    assert_eq!(heard.next(), "ConnectionReconnected");
    client.create("/a/c", "").wait().unwrap();
    assert_eq!(heard.next(), "added /a/c");
    expire_session(&client);
    while heard.next() != "ConnectionLost" {}
    while heard.next() != "Initialized" {}
    // The root may go, and come back.
    client.delete("/a").recursive().wait().unwrap();
    assert_eq!(heard.next(), "removed /a/c []");
    assert_eq!(heard.next(), "removed /a []");
    client.create("/a", "").wait().unwrap();
    assert_eq!(heard.next(), "added /a");
    assert!(cache.get_data("/a").unwrap().is_some());
}

pub(crate) fn a_tree_cache_is_started_once_and_closed(env: &Env) {
    let client = env.client();
    client.create("/a/b", "").make_path().wait().unwrap();
    let (_, _, own) = client.get("/a/b").watched().wait().unwrap();
    let cache = TreeCache::new(&client, "/a");
    cache.start().wait_timeout(LIMIT).unwrap();
    let wrong = cache.start().wait().unwrap_err();
    assert!(matches!(
        wrong,
        Error::Recipe(RecipeError::WrongState { .. })
    ));
    let outside = cache.get_data("/ab").unwrap_err();
    assert!(matches!(
        outside,
        Error::Recipe(RecipeError::OutOfBounds { .. })
    ));
    assert_eq!(cache.get_children("/a").unwrap().unwrap().len(), 1);
    cache.close();
    assert!(cache.get_data("/a/b").unwrap().is_none());
    // The watches of others on the same nodes stay.
    env.wait_for_watched_paths(session_of(&client), &["/a/b"]);
    client.set("/a/b", "").wait().unwrap();
    own.wait().unwrap();
    let wrong = cache.start().wait().unwrap_err();
    assert!(matches!(
        wrong,
        Error::Recipe(RecipeError::WrongState { .. })
    ));
}
