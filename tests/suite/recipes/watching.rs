//! `DataWatch`, `ChildrenWatch`, `PatientChildrenWatch`.

use std::time::Duration;

use zk::recipes::Changes;
use zk::recipes::watch::{
    ChildrenChange, ChildrenWatch, DataWatch, NodeChange, PatientChildrenWatch,
};
use zk::{Error, EventType, Listen};

use crate::support::{Env, Heard, LIMIT, expire_session, lose_connection, wait_for_callbacks};

#[track_caller]
fn data(changes: &mut Changes<NodeChange>) -> Option<String> {
    let change = changes.next_timeout(LIMIT).unwrap().unwrap();
    change
        .node
        .map(|(data, _)| String::from_utf8_lossy(&data).into_owned())
}

#[track_caller]
fn names(changes: &mut Changes<ChildrenChange>) -> Option<Vec<String>> {
    let change = changes.next_timeout(LIMIT).unwrap().unwrap();
    let names = change.children?;
    Some(names.sorted().into_iter().map(str::to_owned).collect())
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(crate) fn a_missing_node_is_seen_to_come_and_go(env: &Env) {
    let client = env.client();
    let mut changes = DataWatch::new(&client, "/without/parents").changes();
    let first = changes.next_timeout(LIMIT).unwrap().unwrap();
    assert!(first.node.is_none() && first.event.is_none());
    client
        .create("/without/parents", "1")
        .make_path()
        .wait()
        .unwrap();
    let created = changes.next_timeout(LIMIT).unwrap().unwrap();
    assert_eq!(created.event.unwrap().kind, EventType::NODE_CREATED);
    client.set("/without/parents", "2").wait().unwrap();
    assert_eq!(data(&mut changes), text("2"));
    client.delete("/without/parents").wait().unwrap();
    assert_eq!(data(&mut changes), None);
    client.create("/without/parents", "3").wait().unwrap();
    assert_eq!(data(&mut changes), text("3"));
    client.sync("/").wait().unwrap();
    assert!(changes.try_next().is_none());
}

pub(crate) fn functions_are_called_at_once_and_until_they_say_no(env: &Env) {
    let client = env.client();
    client.create("/a", "1").wait().unwrap();
    let heard = Heard::new();
    let tell = heard.teller();
    let calls = DataWatch::new(&client, "/a")
        .call(move |change| {
            let data = change.node.unwrap().0.to_vec();
            tell.send(data.clone()).unwrap();
            if data == b"2" {
                Listen::Remove
            } else {
                Listen::Keep
            }
        })
        .wait()
        .unwrap();
    assert_eq!(heard.so_far(), [b"1"], "before the call returns");
    client.set("/a", "2").wait().unwrap();
    assert_eq!(heard.next(), b"2");
    calls.ended().wait_timeout(LIMIT).unwrap();
    client.set("/a", "3").wait().unwrap();
    wait_for_callbacks(&client);
    assert!(heard.so_far().is_empty());
    let heard = Heard::new();
    let tell = heard.teller();
    let calls = ChildrenWatch::new(&client, "/a")
        .call(move |change| {
            let names = change.children.unwrap().to_vec();
            let is_last = names == ["b"];
            tell.send((names, change.event)).unwrap();
            if is_last {
                Listen::Remove
            } else {
                Listen::Keep
            }
        })
        .wait()
        .unwrap();
    client.create("/a/b", "").wait().unwrap();
    let (first, event) = heard.next();
    assert!(first.is_empty() && event.is_none());
    let (second, event) = heard.next();
    assert_eq!(second, ["b"]);
    assert_eq!(event.unwrap().kind, EventType::NODE_CHILDREN_CHANGED);
    calls.ended().wait_timeout(LIMIT).unwrap();
    client.create("/a/c", "").wait().unwrap();
    wait_for_callbacks(&client);
    assert!(heard.so_far().is_empty());
}

pub(crate) fn a_panic_in_a_function_is_contained(env: &Env) {
    let client = env.client();
    client.create("/a", "1").wait().unwrap();
    let heard = Heard::new();
    let tell = heard.teller();
    let calls = DataWatch::new(&client, "/a")
        .call(move |change| {
            tell.send(change.node.unwrap().0.to_vec()).unwrap();
            panic!("of the test");
        })
        .wait()
        .unwrap();
    assert_eq!(heard.next(), b"1");
    client.set("/a", "2").wait().unwrap();
    assert_eq!(heard.next(), b"2", "called once for each change, and again");
    assert!(calls.is_active());
}

pub(crate) fn a_function_may_block_on_its_own_client(env: &Env) {
    let client = env.client();
    client.create("/a", "1").wait().unwrap();
    let heard = Heard::new();
    let (tell, own) = (heard.teller(), client.downgrade());
    DataWatch::new(&client, "/a")
        .call(move |_| {
            let client = own.upgrade().unwrap();
            tell.send(client.get("/a").wait().map(|(data, _)| data.to_vec()))
                .unwrap();
            Listen::Remove
        })
        .wait()
        .unwrap()
        .detach();
    assert_eq!(heard.next().unwrap(), b"1");
}

pub(crate) fn what_changes_while_away_is_seen(env: &Env) {
    let client = env.client();
    let other = env.other().chroot(env.root()).unwrap();
    client.create("/a", "1").wait().unwrap();
    let mut nodes = DataWatch::new(&client, "/a").changes();
    let mut lists = ChildrenWatch::new(&client, "/a").changes();
    assert_eq!(data(&mut nodes), text("1"));
    assert_eq!(names(&mut lists), Some(vec![]));
    lose_connection(&client);
    client.sync("/").wait().unwrap();
    assert!(nodes.try_next().is_none() && lists.try_next().is_none());
    other.set("/a", "2").wait().unwrap();
    assert_eq!(data(&mut nodes), text("2"));
    expire_session(&client);
    other.set("/a", "3").wait().unwrap();
    other.create("/a/b", "").wait().unwrap();
    assert_eq!(data(&mut nodes), text("3"));
    assert_eq!(names(&mut lists), Some(vec!["b".to_owned()]));
}

pub(crate) fn children_are_watched_beyond_the_end_of_their_parent(env: &Env) {
    let client = env.client();
    let mut lists = ChildrenWatch::new(&client, "/a").changes();
    assert_eq!(names(&mut lists), None);
    client.create("/a", "").wait().unwrap();
    assert_eq!(names(&mut lists), Some(vec![]));
    client.create("/a/b", "").wait().unwrap();
    assert_eq!(names(&mut lists), Some(vec!["b".to_owned()]));
    client.delete("/a").recursive().wait().unwrap();
    while names(&mut lists).is_some() {}
    client.create("/a", "").wait().unwrap();
    assert_eq!(names(&mut lists), Some(vec![]));
}

pub(crate) fn a_watch_within_a_session_ends_with_it(env: &Env) {
    let client = env.client();
    client.create("/a", "").wait().unwrap();
    let watch = ChildrenWatch::new(&client, "/a").within_session();
    let mut lists = watch.changes();
    assert_eq!(names(&mut lists), Some(vec![]));
    lose_connection(&client);
    client.create("/a/b", "").wait().unwrap();
    assert_eq!(names(&mut lists), Some(vec!["b".to_owned()]));
    expire_session(&client);
    let end = lists.next_timeout(LIMIT);
    assert!(matches!(end, Err(Error::WatchEnded(_))), "{end:?}");
    assert!(lists.next_timeout(LIMIT).unwrap().is_none());
}

pub(crate) fn patience_waits_for_quiet(env: &Env) {
    let client = env.client();
    let watch = PatientChildrenWatch::new(&client, "/a").time_boundary(Duration::from_millis(300));
    assert!(matches!(watch.start().wait(), Err(Error::NoNode)));
    client.create("/a", "").wait().unwrap();
    let settling = watch.start().send();
    for name in ["/a/1", "/a/2", "/a/3"] {
        client.create(name, "").wait().unwrap();
    }
    let settled = settling.wait_timeout(LIMIT).unwrap();
    assert_eq!(settled.children.sorted(), ["1", "2", "3"]);
    assert!(!settled.changed.is_ready());
    client.delete("/a/1").wait().unwrap();
    settled.changed.wait_timeout(LIMIT).unwrap();
}

pub(crate) fn streams_end_with_the_client(env: &Env) {
    let client = env.client();
    let mut nodes = DataWatch::new(&client, "/a").changes();
    assert_eq!(data(&mut nodes), None);
    client.close().wait().unwrap();
    assert!(nodes.next_timeout(LIMIT).unwrap().is_none());
    let mut late = ChildrenWatch::new(&client, "/a").changes();
    assert!(late.next_timeout(LIMIT).unwrap().is_none());
}
