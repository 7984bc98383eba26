//! `Cache` and `TreeCache`.

mod gaps;
mod kazoo;

use std::sync::{Arc, Mutex};

use zk_client::{Acl, Client, Id, Listen, Perms, Stat};
use zk_recipes::cache::{Cache, CacheEvent, CacheNode};

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
