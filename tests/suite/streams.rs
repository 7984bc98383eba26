//! Watches that stay: what they see, how they are read, and how they share a path with others.

use std::time::Duration;

use zk::{Error, Notice, StateReason, Zxid};

use super::watches::{CHANGED, CHILD, CREATED, DELETED, at, elsewhere};
use crate::support::{Env, assert_silent, next, next_event, parts};

pub(crate) fn a_persistent_watch_sees_everything_on_its_node(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    let mut stream = client.add_watch("/a").wait().unwrap();
    other.create("/a", b"").wait().unwrap();
    other.set("/a", b"").wait().unwrap();
    other.create("/a/b", b"").wait().unwrap();
    other.set("/a/b", b"of no interest").wait().unwrap();
    other.create("/ab", b"of no interest").wait().unwrap();
    other.delete("/a/b").wait().unwrap();
    other.delete("/a").wait().unwrap();
    let last = other.create("/a", b"").with_stat().wait().unwrap().1;
    let expected = [CREATED, CHANGED, CHILD, CHILD, DELETED];
    for kind in expected {
        assert_eq!(next_event(&mut stream), at(kind, "/a"));
    }
    let Notice::Event(event) = next(&mut stream) else {
        panic!("not an event");
    };
    assert_eq!(event.kind, CREATED);
    assert_eq!(
        event.zxid,
        if env.is_3_9() { last.czxid } else { Zxid::ZERO }
    );
    assert_silent(&client, &mut stream);
}

pub(crate) fn a_recursive_watch_sees_everything_below(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    let mut stream = client.add_watch("/a").recursive().wait().unwrap();
    other.create("/a", b"").wait().unwrap();
    other.create("/a/b", b"").wait().unwrap();
    other.create("/a/b/c", b"").wait().unwrap();
    other.create("/ab", b"of no interest").wait().unwrap();
    other.set("/a/b/c", b"").wait().unwrap();
    other.delete("/a/b/c").wait().unwrap();
    other.delete("/a/b").wait().unwrap();
    let expected = [
        at(CREATED, "/a"),
        at(CREATED, "/a/b"),
        at(CREATED, "/a/b/c"),
        at(CHANGED, "/a/b/c"),
        at(DELETED, "/a/b/c"),
        at(DELETED, "/a/b"),
    ];
    for event in expected {
        assert_eq!(next_event(&mut stream), event);
    }
    assert_silent(&client, &mut stream);
    // Also from the top.
    let mut all = client.add_watch("/").recursive().wait().unwrap();
    other.create("/top", b"").wait().unwrap();
    assert_eq!(next_event(&mut all), at(CREATED, "/top"));
    assert_silent(&client, &mut stream);
}

pub(crate) fn streams_can_be_read_in_every_way(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    let mut stream = client.add_watch("/a").wait().unwrap();
    assert!(stream.try_next().is_none());
    let short = stream.next_timeout(Duration::from_millis(1));
    assert_eq!(short, Err(Error::Timeout { sent: false }));
    other.create("/a", b"").wait().unwrap();
    assert!(stream.next_wait().unwrap().is_some());
    other.delete("/a").wait().unwrap();
    assert!(client.block_on(stream.next()).unwrap().is_some());
    other.create("/a", b"").wait().unwrap();
    other.set("/a", b"").wait().unwrap();
    assert_eq!(stream.iter().take(2).filter(Result::is_ok).count(), 2);
    client.close().wait().unwrap();
    let rest: Vec<_> = stream.iter().collect();
    assert_eq!(rest, [Ok(Notice::End(StateReason::Closed))]);
    assert_eq!(stream.next_wait(), Ok(None));
}

pub(crate) fn a_full_stream_says_that_it_missed_something(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.create("/a", b"").wait().unwrap();
    let mut stream = client.add_watch("/a").capacity(3).wait().unwrap();
    for n in 0..10 {
        other.set("/a", n.to_string()).wait().unwrap();
    }
    client.sync("/").wait().unwrap();
    for _ in 0..3 {
        assert_eq!(next_event(&mut stream), at(CHANGED, "/a"));
    }
    assert!(matches!(next(&mut stream), Notice::Gap { .. }));
    assert_silent(&client, &mut stream);
    assert_eq!(client.stats().stream_overflows, 7);
    // It goes on.
    other.set("/a", b"").wait().unwrap();
    assert_eq!(next_event(&mut stream), at(CHANGED, "/a"));
}

// Several on one path: before 3.9 a server keeps one mode for a path. ---------------------------

pub(crate) fn a_watched_get_does_not_end_a_persistent_watch(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.create("/a", b"").wait().unwrap();
    let mut stream = client.add_watch("/a").wait().unwrap();
    for _ in 0..3 {
        let (_, _, watch) = client.get("/a").watched().wait().unwrap();
        other.set("/a", b"").wait().unwrap();
        assert_eq!(parts(watch.wait()), at(CHANGED, "/a"));
        assert_eq!(next_event(&mut stream), at(CHANGED, "/a"));
    }
    let (_, watch) = client.get_children("/a").watched().wait().unwrap();
    other.create("/a/c", b"").wait().unwrap();
    assert_eq!(parts(watch.wait()), at(CHILD, "/a"));
    assert_eq!(next_event(&mut stream), at(CHILD, "/a"));
    // And one that is dropped does not take the other along.
    drop(client.get("/a").watched().wait().unwrap());
    client.sync("/").wait().unwrap();
    other.set("/a", b"").wait().unwrap();
    assert_eq!(next_event(&mut stream), at(CHANGED, "/a"));
    assert_silent(&client, &mut stream);
}

pub(crate) fn a_persistent_watch_does_not_end_a_watched_get(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.create("/a", b"").wait().unwrap();
    let (_, _, data) = client.get("/a").watched().wait().unwrap();
    let (_, child) = client.get_children("/a").watched().wait().unwrap();
    let stream = client.add_watch("/a").wait().unwrap();
    drop(stream);
    client.sync("/").wait().unwrap();
    other.set("/a", b"").wait().unwrap();
    assert_eq!(parts(data.wait()), at(CHANGED, "/a"));
    other.create("/a/c", b"").wait().unwrap();
    assert_eq!(parts(child.wait()), at(CHILD, "/a"));
}

pub(crate) fn persistent_and_recursive_watches_share_a_path(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    for recursive_first in [false, true] {
        let (mut plain, mut deep);
        if recursive_first {
            deep = client.add_watch("/a").recursive().wait().unwrap();
            plain = client.add_watch("/a").wait().unwrap();
        } else {
            plain = client.add_watch("/a").wait().unwrap();
            deep = client.add_watch("/a").recursive().wait().unwrap();
        }
        let (_, once) = client.exists("/a").watched().wait().unwrap();
        other.create("/a", b"").wait().unwrap();
        other.create("/a/b", b"").wait().unwrap();
        other.set("/a/b", b"").wait().unwrap();
        other.delete("/a/b").wait().unwrap();
        other.delete("/a").wait().unwrap();
        assert_eq!(parts(once.wait()), at(CREATED, "/a"));
        for kind in [CREATED, CHILD, CHILD, DELETED] {
            assert_eq!(next_event(&mut plain), at(kind, "/a"));
        }
        let seen = [
            at(CREATED, "/a"),
            at(CREATED, "/a/b"),
            at(CHANGED, "/a/b"),
            at(DELETED, "/a/b"),
            at(DELETED, "/a"),
        ];
        for event in seen {
            assert_eq!(next_event(&mut deep), event);
        }
        assert_silent(&client, &mut plain);
        assert_silent(&client, &mut deep);
        // Each goes on when the other has gone, whichever goes first.
        if recursive_first {
            drop(deep);
            client.sync("/").wait().unwrap();
            other.create("/a", b"").wait().unwrap();
            other.create("/a/b", b"").wait().unwrap();
            // Its registration was taken away with the other's, and made again.
            assert!(matches!(next(&mut plain), Notice::Gap { .. }));
            assert_eq!(next_event(&mut plain), at(CREATED, "/a"));
            assert_eq!(next_event(&mut plain), at(CHILD, "/a"));
        } else {
            drop(plain);
            client.sync("/").wait().unwrap();
            other.create("/a", b"").wait().unwrap();
            other.create("/a/b", b"").wait().unwrap();
            assert_eq!(next_event(&mut deep), at(CREATED, "/a"));
            assert_eq!(next_event(&mut deep), at(CREATED, "/a/b"));
        }
        other.delete("/a/b").wait().unwrap();
        other.delete("/a").wait().unwrap();
    }
}

pub(crate) fn a_watch_below_a_recursive_one_is_its_own(env: &Env) {
    let (client, other) = (env.client(), elsewhere(env));
    client.ensure_path("/a/b").wait().unwrap();
    let mut deep = client.add_watch("/a").recursive().wait().unwrap();
    let (_, child) = client.get_children("/a/b").watched().wait().unwrap();
    let (_, _, data) = client.get("/a/b").watched().wait().unwrap();
    other.create("/a/b/c", b"").wait().unwrap();
    other.set("/a/b", b"").wait().unwrap();
    assert_eq!(parts(child.wait()), at(CHILD, "/a/b"));
    assert_eq!(parts(data.wait()), at(CHANGED, "/a/b"));
    // A recursive watch never tells of lists of children.
    assert_eq!(next_event(&mut deep), at(CREATED, "/a/b/c"));
    assert_eq!(next_event(&mut deep), at(CHANGED, "/a/b"));
    assert_silent(&client, &mut deep);
}
