//! `Cache` and `TreeCache`.

use std::sync::{Arc, Mutex};

use zk_client::{Acl, Client, Error, Id, Listen, Perms, RecipeError, Stat};
use zk_recipes::cache::{Cache, CacheEvent, CacheNode};
use zk_recipes::tree_cache::{TreeCache, TreeEvent};

use crate::universe::{Universe, millis, seconds};

/// One word for an event.
fn word(event: &CacheEvent) -> String {
    match event {
        CacheEvent::Added(node) => format!("+{}", node.path),
        CacheEvent::Changed { now, .. } => format!("={}", now.path),
        CacheEvent::Removed(node) => format!("-{}", node.path),
        CacheEvent::Synced => "synced".to_owned(),
        CacheEvent::State(_) => "state".to_owned(),
        CacheEvent::Unread { path, error } => format!("!{path} {error:?}"),
        CacheEvent::Lagged | _ => format!("{event:?}"),
    }
}

type Words = Arc<Mutex<Vec<String>>>;

fn listen(cache: &Cache) -> Words {
    let words: Words = Arc::default();
    let list = Arc::clone(&words);
    cache.listen(move |event| {
        list.lock().unwrap().push(word(event));
        Listen::Keep
    });
    words
}

fn take(words: &Words) -> Vec<String> {
    std::mem::take(&mut *words.lock().unwrap())
}

/// Data and what of a stat there are events for.
fn essence(path: &str, data: Option<&[u8]>, stat: &Stat) -> String {
    format!(
        "{path} {data:?} {:?} {:?} {}",
        stat.czxid, stat.mzxid, stat.version
    )
}

/// The cache is the tree, and its lists are those of the tree.
pub(crate) fn assert_equal(universe: &Universe, cache: &Cache, root: &str) {
    let mut there = Vec::new();
    universe.server.with(|server| {
        let server = server.get_mut().unwrap();
        let mut todo = vec![root.to_owned()];
        while let Some(path) = todo.pop() {
            let Some(node) = server.tree().node(&path) else {
                continue;
            };
            there.push(essence(&path, node.data(), &node.stat()));
            let above = if path == "/" { "" } else { &path };
            let children: Vec<_> = node.children().map(str::to_owned).collect();
            if path != "/" {
                let mut sorted = children.clone();
                sorted.sort();
                assert_eq!(cache.children(&path), Some(sorted), "of {path}");
            }
            for name in children {
                if (path.as_str(), name.as_str()) != ("/", "zookeeper") {
                    todo.push(format!("{above}/{name}"));
                }
            }
        }
    });
    there.sort();
    let own = |node: &CacheNode| !node.path.starts_with("/zookeeper");
    let mut here: Vec<_> = cache
        .snapshot(root)
        .into_iter()
        .filter(own)
        .map(|node| essence(&node.path, node.data.as_option(), &node.stat))
        .collect();
    here.sort();
    assert_eq!(here, there);
}

async fn make(client: &Client, paths: &[&str]) {
    for path in paths {
        client.create(path, *path).make_path().await.unwrap();
    }
}

#[test]
fn a_cache_is_filled_and_follows() {
    let universe = Universe::new(1);
    let client = universe.client("app");
    universe.end(make(&client, &["/a", "/a/b", "/a/b/c", "/a/d", "/other"]));
    let cache = Cache::new(&client, "/a");
    let words = listen(&cache);
    assert!(!cache.is_current());
    universe.run(cache.start());
    assert!(cache.is_current());
    assert_equal(&universe, &cache, "/a");
    let first = take(&words);
    assert_eq!(first[0], "+/a");
    assert_eq!(first.last().unwrap(), "synced");
    assert_eq!(first.len(), 5);
    universe.end(async {
        client.set("/a/b", "new").await.unwrap();
        make(&client, &["/a/x", "/a/x/y", "/a/x/y/z"]).await;
        client.delete("/a/x").recursive().await.unwrap();
        client.delete("/a/d").await.unwrap();
        client.set("/other", "new").await.unwrap();
    });
    universe.pass(seconds(1));
    assert_equal(&universe, &cache, "/a");
    let words = take(&words);
    assert_eq!(words[0], "=/a/b");
    assert_eq!(words.last().unwrap(), "-/a/d");
}

#[test]
fn parents_come_before_children_and_go_after_them() {
    let universe = Universe::new(2);
    let client = universe.client("app");
    let cache = Cache::new(&client, "/a");
    let words = listen(&cache);
    universe.run(cache.start());
    assert!(
        cache.is_empty() && cache.is_current(),
        "a missing root is an empty cache"
    );
    let paths = ["/a", "/a/b", "/a/b/c", "/a/b/c/d"];
    for path in paths {
        universe.run(client.create(path, ""));
        universe.pass(millis(50));
    }
    universe.run(client.delete("/a").recursive());
    universe.pass(seconds(1));
    let expected = ["synced", "+/a", "+/a/b", "+/a/b/c", "+/a/b/c/d"];
    let gone = ["-/a/b/c/d", "-/a/b/c", "-/a/b", "-/a"];
    assert_eq!(take(&words), [&expected[..], &gone[..]].concat());
    universe.run(client.create("/a", "again"));
    universe.pass(seconds(1));
    assert_eq!(take(&words), ["+/a"]);
    assert_equal(&universe, &cache, "/a");
}

#[test]
fn the_root_of_everything_can_be_cached() {
    let universe = Universe::new(3);
    let client = universe.client("app");
    universe.end(make(&client, &["/a/b"]));
    let cache = Cache::new(&client, "/");
    universe.run(cache.start());
    assert_equal(&universe, &cache, "/");
    let view = Cache::new(&client.chroot("/a").unwrap(), "/");
    universe.run(view.start());
    assert_eq!(view.children("/"), Some(vec!["b".to_owned()]));
    assert_eq!(view.get("/b").unwrap().path, "/b");
    universe.run(client.create("/a/c", ""));
    universe.pass(seconds(1));
    assert_eq!(view.len(), 3);
    assert_equal(&universe, &cache, "/");
}

#[test]
fn after_a_gap_only_what_differs_is_told() {
    let universe = Universe::new(4);
    let (client, other) = (universe.client("app"), universe.client("other"));
    let kept: Vec<String> = (0..300).map(|i| format!("/a/kept{i}/leaf")).collect();
    universe.end(async {
        for path in &kept {
            other.create(path, "").make_path().await.unwrap();
        }
        make(
            &other,
            &[
                "/a/gone",
                "/a/gone/below",
                "/a/again",
                "/a/again/below",
                "/a/set",
            ],
        )
        .await;
    });
    let cache = Cache::new(&client, "/a");
    universe.run(cache.start());
    let words = listen(&cache);
    let away = universe.sim.network().partition(&["app"], &["s1"]);
    universe.end(async {
        other.delete("/a/gone").recursive().await.unwrap();
        other.delete("/a/again").recursive().await.unwrap();
        make(&other, &["/a/again", "/a/new", "/a/new/below"]).await;
        other.set("/a/set", "new").await.unwrap();
    });
    universe.pass(seconds(5));
    assert!(!cache.is_current());
    assert!(cache.get("/a/gone").is_some(), "it keeps what it has");
    universe.sim.network().heal(away);
    universe.run(cache.start());
    assert_equal(&universe, &cache, "/a");
    let mut words: Vec<_> = take(&words)
        .into_iter()
        .filter(|word| word != "state")
        .collect();
    assert_eq!(words.pop().unwrap(), "synced");
    words.sort();
    let expected = [
        "+/a/again",
        "+/a/new",
        "+/a/new/below",
        "-/a/again",
        "-/a/again/below",
        "-/a/gone",
        "-/a/gone/below",
        "=/a/set",
    ];
    assert_eq!(words, expected);
}

#[test]
fn a_cache_goes_on_in_the_next_session() {
    let universe = Universe::new(5);
    let (client, other) = (universe.client("app"), universe.client("other"));
    universe.end(make(&other, &["/a", "/a/b"]));
    universe.run(client.create("/a/own", "").ephemeral());
    let cache = Cache::new(&client, "/a");
    universe.run(cache.start());
    assert_eq!(cache.len(), 3);
    universe.expire(&client);
    universe.run(cache.start());
    assert_equal(&universe, &cache, "/a");
    assert_eq!(cache.len(), 2);
    universe.run(other.create("/a/c", ""));
    universe.pass(seconds(1));
    assert_equal(&universe, &cache, "/a");
}

#[test]
fn a_tree_in_motion_is_met_at_rest() {
    for seed in 0..6 {
        let universe = Universe::new(seed);
        let client = universe.client("app");
        let others = [universe.client("one"), universe.client("two")];
        universe.sim.network().set_splits(0.5);
        for (index, other) in others.iter().enumerate() {
            let (other, mut rng) = (other.clone(), universe.sim.rng(&index.to_string()));
            client.spawn(async move {
                for step in 0..150 {
                    let depth = 1 + rng.below(3);
                    let mut path = "/a".to_owned();
                    for _ in 0..depth {
                        path += &format!("/{}", rng.below(3));
                    }
                    match rng.below(3) {
                        0 => drop(other.create(&path, "").make_path().await),
                        1 => drop(other.set(&path, step.to_string()).await),
                        _ => drop(other.delete(&path).recursive().await),
                    }
                }
            });
        }
        let cache = Cache::new(&client, "/a");
        let words = listen(&cache);
        universe.run(cache.start());
        for _ in 0..10 {
            universe.pass(millis(20 + seed * 3));
            universe
                .sim
                .network()
                .cut("app", "s1", zk_sim::Cut::BeforeDelivery);
        }
        universe.pass(seconds(60));
        assert_equal(&universe, &cache, "/a");
        // Told in order, the events give the same.
        let mut known = std::collections::BTreeSet::new();
        for word in take(&words) {
            match word.split_at(1) {
                ("+", path) => assert!(known.insert(path.to_owned()), "{path} came twice"),
                ("-", path) => assert!(known.remove(path), "{path} was not there"),
                ("=", path) => assert!(known.contains(path), "{path} is not there"),
                _ => {}
            }
        }
        let there = cache.snapshot("/a").into_iter().map(|node| node.path);
        assert_eq!(known.into_iter().collect::<Vec<_>>(), {
            let mut there: Vec<_> = there.collect();
            there.sort();
            there
        });
    }
}

#[test]
fn unreadable_nodes_are_told_of_and_left_out() {
    let universe = Universe::new(6);
    let client = universe.client("app");
    universe.end(make(&client, &["/a", "/a/b"]));
    let nobody = Acl {
        perms: Perms::ALL,
        id: Id::new("digest", "nobody:hash"),
    };
    universe.run(client.create("/a/secret", "").acl(vec![nobody]));
    let cache = Cache::new(&client, "/a");
    let words = listen(&cache);
    universe.run(cache.start());
    assert_eq!(cache.children("/a"), Some(vec!["b".to_owned()]));
    assert!(take(&words).contains(&"!/a/secret NoAuth".to_owned()));
}

#[test]
fn a_dropped_cache_leaves_no_watch_and_no_requests() {
    let universe = Universe::new(7);
    let client = universe.client("app");
    universe.end(make(&client, &["/a/b"]));
    let cache = Cache::new(&client, "/a");
    let mut events = cache.events();
    universe.run(cache.start());
    assert_eq!(client.stats().session.watches, 1);
    drop(cache);
    universe.pass(seconds(1));
    assert_eq!(client.stats().session.watches, 0);
    let rest = universe.end(async {
        let mut rest = 0;
        while events.next().await.is_some() {
            rest += 1;
        }
        rest
    });
    assert_eq!(rest, 3, "two nodes, and that they were all");
    let pending = Cache::new(&client, "/a").start().send();
    drop(pending);
    universe.pass(seconds(1));
    assert_eq!(client.stats().session.watches, 0);
}

#[test]
fn a_slow_listener_slows_the_cache_and_loses_nothing() {
    let universe = Universe::new(8);
    let client = universe.client("app");
    let cache = Cache::new(&client, "/a");
    let mut events = cache.events();
    universe.run(cache.start());
    universe.end(async {
        make(&client, &["/a"]).await;
        let creates: Vec<_> = (0..6000)
            .map(|i| client.create(&format!("/a/{i}"), "").send())
            .collect();
        for create in creates {
            create.await.ok();
        }
    });
    universe.pass(seconds(5));
    assert_equal(&universe, &cache, "/a");
    let lagged = universe.end(async {
        let mut lagged = false;
        while let Some(event) = events.try_next() {
            lagged |= matches!(event.unwrap(), CacheEvent::Lagged);
        }
        lagged
    });
    assert_eq!(lagged, cache.len() > 4096);
}

#[test]
fn many_caches_do_not_drown_a_server() {
    let universe = Universe::new(9);
    let client = universe.client("app");
    universe.end(async {
        make(&client, &["/a"]).await;
        for i in 0..5000 {
            client.create(&format!("/a/{i}"), "").await.unwrap();
        }
    });
    let cache = Cache::new(&client, "/a");
    let before = client.stats().session.requests;
    universe.run(cache.start());
    let filled = client.stats().session.requests - before;
    assert!(filled <= 5000 / 128 + 5, "{filled} requests");
    universe.cut("app");
    universe.pass(millis(1));
    let mut most = 0;
    while !cache.is_current() {
        universe.pass(millis(1));
        most = most.max(client.stats().session.in_flight);
    }
    assert!(most <= 8, "{most} requests at once");
}

// TreeCache. ---------------------------------------------------------------------------------------

fn tree_word(event: &TreeEvent) -> String {
    match event {
        TreeEvent::NodeAdded(node) => format!("+{} {:?}", node.path, node.stat.version),
        TreeEvent::NodeUpdated(node) => format!("={} {:?}", node.path, node.stat.version),
        TreeEvent::NodeRemoved(node) => format!("-{} {:?}", node.path, node.stat.version),
        TreeEvent::ConnectionSuspended
        | TreeEvent::ConnectionReconnected
        | TreeEvent::ConnectionLost
        | TreeEvent::Initialized
        | _ => format!("{event:?}"),
    }
}

fn tree_listen(cache: &TreeCache) -> Words {
    let words: Words = Arc::default();
    let list = Arc::clone(&words);
    cache.listen(move |event| {
        list.lock().unwrap().push(tree_word(event));
        Listen::Keep
    });
    words
}

#[test]
fn a_tree_cache_makes_its_root_and_starts_once() {
    let universe = Universe::new(20);
    let client = universe.client("app");
    let cache = TreeCache::new(&client, "/a/b");
    let words = tree_listen(&cache);
    universe.run(cache.start());
    assert!(universe.has("/a/b"));
    let wrong = |result| matches!(result, Err(Error::Recipe(RecipeError::WrongState { .. })));
    assert!(wrong(universe.end(cache.start())));
    cache.close();
    assert!(wrong(universe.end(cache.start())));
    assert_eq!(cache.get_data("/a/b").unwrap().map(|node| node.path), None);
    universe.pass(seconds(1));
    assert_eq!(take(&words), ["+/a/b 0", "Initialized"]);
    assert_eq!(client.stats().session.watches, 0);
    let again = TreeCache::new(&client, "/a/b");
    again.close();
    assert!(wrong(universe.end(again.start())));
}

#[test]
fn a_tree_cache_tells_kazoos_events() {
    let universe = Universe::new(21);
    let client = universe.client("app");
    let cache = TreeCache::new(&client, "/a");
    let words = tree_listen(&cache);
    universe.run(cache.start());
    universe.end(async {
        client.create("/a/b", "1").await.unwrap();
        client.sleep(millis(100)).await.unwrap();
        client.set("/a/b", "2").await.unwrap();
        client.sleep(millis(100)).await.unwrap();
        client.delete("/a/b").await.unwrap();
        client.sleep(millis(100)).await.unwrap();
    });
    let expected = ["+/a 0", "Initialized", "+/a/b 0", "=/a/b 1", "-/a/b 1"];
    assert_eq!(take(&words), expected);
    universe.cut("app");
    universe.pass(seconds(3));
    let expected = ["ConnectionSuspended", "ConnectionReconnected"];
    assert_eq!(take(&words), expected, "and no node is told of again");
    universe.expire(&client);
    universe.pass(seconds(3));
    let lost = take(&words);
    assert_eq!(
        lost[lost.len() - 3..],
        ["ConnectionLost", "ConnectionReconnected", "Initialized"]
    );
}

#[test]
fn quirk_a_neighbour_with_a_longer_name_is_not_below_the_root() {
    let universe = Universe::new(22);
    let client = universe.client("app");
    universe.end(make(&client, &["/v/tc", "/v/tcbar"]));
    let cache = TreeCache::new(&client, "/v/tc");
    universe.run(cache.start());
    let outside = |error| matches!(error, Error::Recipe(RecipeError::OutOfBounds { .. }));
    assert!(outside(cache.get_data("/v/tcbar").unwrap_err()));
    assert!(outside(cache.get_children("/v").unwrap_err()));
    assert!(cache.get_data("/v/tc").unwrap().is_some());
    assert!(cache.get_children("/v/tc").unwrap().unwrap().is_empty());
    assert!(cache.get_data("/v/tc/nowhere").unwrap().is_none());
}

#[test]
fn quirk_failures_reach_those_who_listen_for_them() {
    let universe = Universe::new(23);
    let client = universe.client("app");
    universe.end(make(&client, &["/a"]));
    let nobody = Acl {
        perms: Perms::ALL,
        id: Id::new("digest", "nobody:hash"),
    };
    universe.run(client.create("/a/secret", "").acl(vec![nobody]));
    let cache = TreeCache::new(&client, "/a");
    let faults: Arc<Mutex<Vec<(String, Error)>>> = Arc::default();
    let list = Arc::clone(&faults);
    cache.listen_fault(move |path, error| {
        list.lock().unwrap().push((path.to_owned(), error.clone()));
        Listen::Keep
    });
    let words = tree_listen(&cache);
    universe.run(cache.start());
    universe.pass(millis(100));
    assert_eq!(
        *faults.lock().unwrap(),
        [("/a/secret".to_owned(), Error::NoAuth)]
    );
    assert_eq!(take(&words), ["+/a 0", "Initialized"]);
}
