//! `TreeCache`, which says it as kazoo does.

use std::sync::{Arc, Mutex};

use zk_client::{Acl, Error, Id, Listen, Perms, RecipeError};
use zk_recipes::tree_cache::{TreeCache, TreeEvent};

use super::{Words, make, take};
use crate::universe::{Universe, millis, seconds};

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
