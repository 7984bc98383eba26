//! `DataWatch`, `ChildrenWatch`, `PatientChildrenWatch`.

use std::sync::{Arc, Mutex};

use zk_client::{Client, Error, EventType, Listen};
use zk_recipes::Changes;
use zk_recipes::watch::{
    ChildrenChange, ChildrenWatch, DataWatch, NodeChange, PatientChildrenWatch,
};

use crate::universe::{Universe, millis, seconds};

/// The data of the next state, and the event that led to it.
async fn data(changes: &mut Changes<NodeChange>) -> (Option<String>, Option<EventType>) {
    let change = changes.next().await.unwrap().unwrap();
    let node = change
        .node
        .map(|(data, _)| String::from_utf8(data.to_vec()).unwrap());
    (node, change.event.map(|event| event.kind))
}

/// The sorted names of the next state.
async fn names(changes: &mut Changes<ChildrenChange>) -> Option<Vec<String>> {
    let change = changes.next().await.unwrap().unwrap();
    change.children.map(|children| {
        let names = children.sorted();
        names.into_iter().map(str::to_owned).collect()
    })
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn list(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

/// A list that a function adds to when it is called.
fn log<T: Send + 'static>() -> (Arc<Mutex<Vec<T>>>, impl FnMut(T) -> Listen + Send + 'static) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let push = Arc::clone(&seen);
    (seen, move |item| {
        push.lock().unwrap().push(item);
        Listen::Keep
    })
}

#[test]
fn a_node_is_seen_to_come_change_go_and_come_back() {
    let universe = Universe::new(1);
    let client = universe.client("app");
    universe.end(async {
        let mut changes = DataWatch::new(&client, "/deep/node").changes();
        assert_eq!(data(&mut changes).await, (None, None));
        client.create("/deep/node", "1").make_path().await.unwrap();
        let created = Some(EventType::NODE_CREATED);
        assert_eq!(data(&mut changes).await, (some("1"), created));
        client.set("/deep/node", "2").await.unwrap();
        let changed = Some(EventType::NODE_DATA_CHANGED);
        assert_eq!(data(&mut changes).await, (some("2"), changed));
        client.delete("/deep/node").await.unwrap();
        let deleted = Some(EventType::NODE_DELETED);
        assert_eq!(data(&mut changes).await, (None, deleted));
        client.create("/deep/node", "3").await.unwrap();
        assert_eq!(data(&mut changes).await, (some("3"), created));
        // Created again behind its back: the same data, and another node.
        client.delete("/deep/node").await.unwrap();
        client.create("/deep/node", "3").await.unwrap();
        assert_eq!(data(&mut changes).await, (some("3"), deleted));
        assert!(changes.try_next().is_none());
    });
}

#[test]
fn quick_changes_may_be_left_out_but_never_the_last() {
    let universe = Universe::new(2);
    let client = universe.client("app");
    universe.end(async {
        client.create("/a", "0").await.unwrap();
        let mut changes = DataWatch::new(&client, "/a").changes();
        assert_eq!(data(&mut changes).await.0, some("0"));
        let sets: Vec<_> = (1..=100)
            .map(|i| client.set("/a", i.to_string()).send())
            .collect();
        for set in sets {
            set.await.unwrap();
        }
        let mut last = String::new();
        let mut count = 0;
        while last != "100" {
            last = data(&mut changes).await.0.unwrap();
            count += 1;
        }
        assert!(count < 100);
    });
    universe.pass(seconds(1));
}

#[test]
fn what_changed_while_away_is_seen_and_nothing_else() {
    let universe = Universe::new(3);
    let (client, other) = (universe.client("app"), universe.client("other"));
    universe.run(client.create("/a", "1"));
    let mut nodes = DataWatch::new(&client, "/a").changes();
    let mut lists = ChildrenWatch::new(&client, "/a").changes();
    assert_eq!(universe.end(data(&mut nodes)).0, some("1"));
    assert_eq!(universe.end(names(&mut lists)), list(&[]));
    // A cut without a change is no change.
    universe.cut("app");
    universe.pass(seconds(3));
    assert!(client.connected());
    assert!(nodes.try_next().is_none() && lists.try_next().is_none());
    let away = universe.sim.network().partition(&["app"], &["s1"]);
    universe.end(async {
        other.set("/a", "2").await.unwrap();
        other.create("/a/child", "").await.unwrap();
    });
    universe.pass(seconds(2));
    universe.sim.network().heal(away);
    assert_eq!(universe.end(data(&mut nodes)).0, some("2"));
    assert_eq!(universe.end(names(&mut lists)), list(&["child"]));
}

#[test]
fn watches_go_on_in_the_next_session() {
    let universe = Universe::new(4);
    let (client, other) = (universe.client("app"), universe.client("other"));
    universe.run(client.create("/a", "1"));
    let mut nodes = DataWatch::new(&client, "/a").changes();
    let mut lists = ChildrenWatch::new(&client, "/a").changes();
    assert_eq!(universe.end(data(&mut nodes)).0, some("1"));
    assert_eq!(universe.end(names(&mut lists)), list(&[]));
    universe.expire(&client);
    universe.pass(seconds(1));
    assert!(nodes.try_next().is_none() && lists.try_next().is_none());
    universe.end(async {
        other.set("/a", "2").await.unwrap();
        other.create("/a/child", "").await.unwrap();
    });
    assert_eq!(universe.end(data(&mut nodes)).0, some("2"));
    assert_eq!(universe.end(names(&mut lists)), list(&["child"]));
}

#[test]
fn functions_are_called_until_they_say_no() {
    let universe = Universe::new(5);
    let client = universe.client("app");
    universe.run(client.create("/a", "1"));
    let (seen, mut push) = log();
    let calls = universe.run(DataWatch::new(&client, "/a").call(move |change| {
        let data = change.node.unwrap().0.to_vec();
        let last = data == b"3";
        assert_eq!(push(data), Listen::Keep);
        if last { Listen::Remove } else { Listen::Keep }
    }));
    assert_eq!(*seen.lock().unwrap(), [b"1"], "as soon as it is there");
    for data in ["2", "3", "4"] {
        universe.run(client.set("/a", data));
        universe.pass(millis(100));
    }
    assert_eq!(*seen.lock().unwrap(), [b"1", b"2", b"3"]);
    assert!(!calls.is_active());
    universe.run(calls.ended());
    assert_eq!(client.stats().session.watches, 0);
}

#[test]
fn dropping_the_calls_ends_them() {
    let universe = Universe::new(6);
    let client = universe.client("app");
    let (seen, push) = log();
    let calls = universe.run(ChildrenWatch::new(&client, "/").call(push));
    drop(calls);
    universe.run(client.create("/a", ""));
    universe.pass(seconds(1));
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(client.stats().session.watches, 0);
}

#[test]
fn a_detached_watch_ends_with_its_client() {
    let universe = Universe::new(7);
    let client = universe.client("app");
    let (seen, push) = log::<NodeChange>();
    universe
        .run(DataWatch::new(&client, "/a").call(push))
        .detach();
    universe.pass(seconds(1));
    let session = Universe::session(&client);
    drop(client);
    universe.pass(seconds(1));
    let now = universe
        .server
        .with(|server| server.get_mut().unwrap().is_alive(session));
    assert!(!now, "the watch has kept the client open");
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(Arc::strong_count(&seen), 1, "the function is dropped");
}

// What kazoo does otherwise (see the page of the module). -------------------------------------------

#[test]
fn quirk_children_of_a_missing_node_are_watched() {
    let universe = Universe::new(9);
    let client = universe.client("app");
    universe.end(async {
        let mut changes = ChildrenWatch::new(&client, "/a").changes();
        assert_eq!(names(&mut changes).await, None);
        client.create("/a", "").await.unwrap();
        assert_eq!(names(&mut changes).await, list(&[]));
        client.create("/a/b", "").await.unwrap();
        assert_eq!(names(&mut changes).await, list(&["b"]));
    });
}

#[test]
fn quirk_a_deleted_node_does_not_end_the_watch_of_its_children() {
    let universe = Universe::new(10);
    let client = universe.client("app");
    universe.end(async {
        client.create("/a", "").await.unwrap();
        let mut changes = ChildrenWatch::new(&client, "/a").changes();
        assert_eq!(names(&mut changes).await, list(&[]));
        client.delete("/a").await.unwrap();
        assert_eq!(names(&mut changes).await, None);
        client.create("/a/b", "").make_path().await.unwrap();
        while names(&mut changes).await != list(&["b"]) {}
    });
}

#[test]
fn quirk_a_watch_within_a_session_survives_a_lost_connection_and_says_how_it_ends() {
    let universe = Universe::new(11);
    let client = universe.client("app");
    universe.run(client.create("/a", ""));
    let mut changes = ChildrenWatch::new(&client, "/a").within_session().changes();
    assert_eq!(universe.end(names(&mut changes)), list(&[]));
    universe.cut("app");
    universe.pass(seconds(3));
    universe.run(client.create("/a/b", ""));
    assert_eq!(universe.end(names(&mut changes)), list(&["b"]));
    universe.expire(&client);
    let end = universe.end(changes.next());
    assert!(matches!(end, Some(Err(Error::WatchEnded(_)))), "{end:?}");
    assert!(universe.end(changes.next()).is_none());
}

#[test]
fn quirk_equal_lists_are_told_apart_by_what_happened() {
    let universe = Universe::new(12);
    let client = universe.client("app");
    universe.end(async {
        client.create("/a/b", "").make_path().await.unwrap();
        let mut changes = ChildrenWatch::new(&client, "/a").changes();
        assert_eq!(names(&mut changes).await, list(&["b"]));
        client.delete("/a/b").await.unwrap();
        client.create("/a/b", "").await.unwrap();
        assert_eq!(
            names(&mut changes).await,
            list(&["b"]),
            "another child of that name"
        );
        // A change of the parent's own data is none of the children.
        client.set("/a", "x").await.unwrap();
        client.sync("/").await.unwrap();
        assert!(changes.try_next().is_none());
    });
}

// Patience. ----------------------------------------------------------------------------------------

async fn settled(client: &Client) -> (Vec<String>, zk_client::AsyncResult<()>) {
    let watch = PatientChildrenWatch::new(client, "/a").time_boundary(seconds(5));
    let settled = watch.start().await.unwrap();
    let names = settled
        .children
        .sorted()
        .into_iter()
        .map(str::to_owned)
        .collect();
    (names, settled.changed)
}

#[test]
fn patience_waits_for_quiet_and_hears_of_the_next_change() {
    let universe = Universe::new(13);
    let client = universe.client("app");
    universe.run(client.create("/a", ""));
    let watch = PatientChildrenWatch::new(&client, "/a").time_boundary(seconds(5));
    let mut pending = watch.start().send();
    for i in 0..4 {
        universe.pass(seconds(4));
        universe.run(client.create(&format!("/a/{i}"), ""));
    }
    universe.pass(seconds(4));
    assert!(!pending.is_ready(), "something has changed a moment ago");
    universe.pass(seconds(2));
    let result = pending.try_take().unwrap().unwrap();
    assert_eq!(result.children.sorted(), ["0", "1", "2", "3"]);
    universe.pass(seconds(60));
    assert!(!result.changed.is_ready());
    universe.run(client.create("/a/4", ""));
    universe.run(result.changed);
}

#[test]
fn quirk_patience_does_not_poll() {
    let universe = Universe::new(14);
    let client = universe.client("app");
    universe.run(client.create("/a", ""));
    let before = client.stats().session;
    let (names, _changed) = universe.end(settled(&client));
    assert!(names.is_empty());
    let after = client.stats().session;
    assert_eq!(
        after.requests - before.requests,
        2,
        "one with a watch, one to be sure"
    );
}

#[test]
fn patience_outlives_the_session() {
    let universe = Universe::new(15);
    let client = universe.client("app");
    universe.run(client.create("/a/b", "").make_path());
    let pending = client.run({
        let client = client.clone();
        async move { Ok(settled(&client).await) }
    });
    universe.pass(seconds(3));
    universe.expire(&client);
    let (names, changed) = universe.run(pending);
    assert_eq!(names, ["b"]);
    universe.expire(&client);
    universe.pass(seconds(5));
    assert!(!changed.is_ready(), "a new session is no change");
    universe.run(client.delete("/a/b"));
    universe.run(changed);
}

#[test]
fn patience_with_a_missing_node_ends_at_once() {
    let universe = Universe::new(16);
    let client = universe.client("app");
    let watch = PatientChildrenWatch::new(&client, "/a");
    let result = universe.end(watch.start());
    assert!(matches!(result, Err(Error::NoNode)));
    assert_eq!(client.stats().session.watches, 0);
}
