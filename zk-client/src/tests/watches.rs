//! One-shot watches and streams.

use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use zk_proto::{AddWatchMode, ErrorCode, EventType, OpCode, Reply, Request};

use super::{Rig, poll_once};
use crate::{Error, Notice, StateReason, WatchStream};

fn data(rig: &mut Rig, asked: &super::rig::Asked) {
    let data = b"x"[..].into();
    rig.reply(
        asked,
        Ok(Reply::Data {
            data,
            stat: Rig::stat(1),
        }),
    );
}

#[test]
fn a_watch_is_a_future_of_one_event() {
    let mut rig = Rig::connected();
    let get = rig.client.get("/a").watched().send();
    let asked = rig.asked_one();
    assert!(matches!(asked.body(), Request::GetData { watch: true, .. }));
    data(&mut rig, &asked);
    let (_, stat, mut watch) = get.wait().unwrap();
    assert_eq!(stat, Rig::stat(1));
    assert!(poll_once(&mut watch).is_pending());
    rig.feed(&Rig::event_frame(EventType::NODE_DATA_CHANGED, "/a"));
    let Poll::Ready(Ok(event)) = poll_once(&mut watch) else {
        unreachable!()
    };
    assert_eq!(
        (event.kind, event.path.as_str()),
        (EventType::NODE_DATA_CHANGED, "/a")
    );
    drop(watch);
    assert_eq!(rig.client.stats().session.watches, 0);
    assert!(rig.asked().is_empty(), "it is gone on the server, too");
}

#[test]
fn exists_watches_what_is_not_there_and_get_does_not() {
    let mut rig = Rig::connected();
    let exists = rig.client.exists("/a").watched().send();
    let get = rig.client.get("/a").watched().send();
    let asked = rig.asked();
    rig.reply(&asked[0], Err(ErrorCode::NO_NODE));
    rig.reply(&asked[1], Err(ErrorCode::NO_NODE));
    let (stat, mut watch) = exists.wait().unwrap();
    assert_eq!(stat, None);
    assert_eq!(get.wait().map(|_| ()), Err(Error::NoNode));
    assert_eq!(rig.client.stats().session.watches, 1);
    rig.feed(&Rig::event_frame(EventType::NODE_CREATED, "/a"));
    assert!(matches!(poll_once(&mut watch), Poll::Ready(Ok(_))));
}

#[test]
fn dropping_the_handle_removes_the_watch_on_the_server() {
    let mut rig = Rig::connected();
    let get = rig.client.get("/a").watched().send();
    let asked = rig.asked_one();
    data(&mut rig, &asked);
    drop(get.wait().unwrap());
    assert_eq!(rig.client.stats().session.watches, 0);
    assert_eq!(rig.asked_one().opcode, OpCode::REMOVE_WATCHES);
}

#[test]
fn a_result_that_nobody_takes_takes_its_watch_along() {
    let mut rig = Rig::connected();
    // Detached: the reply makes a handle, which is dropped at once.
    rig.client.get("/a").watched().send().detach();
    // Dropped in flight.
    let dropped = rig.client.get("/b").watched().send();
    let asked = rig.asked();
    drop(dropped);
    data(&mut rig, &asked[0]);
    data(&mut rig, &asked[1]);
    assert_eq!(rig.client.stats().session.watches, 0);
    let removed = rig.asked();
    assert!(
        removed
            .iter()
            .all(|asked| asked.opcode == OpCode::REMOVE_WATCHES)
    );
    assert_eq!(removed.len(), 2);
}

#[test]
fn a_callback_hears_of_the_event_or_of_the_end() {
    let mut rig = Rig::new("h1/app").connect();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for path in ["/a", "/b"] {
        let seen = Arc::clone(&seen);
        let get = rig
            .client
            .get(path)
            .watch(move |event| seen.lock().unwrap().push(event));
        get.send().detach();
    }
    // The read fails: no watch, no call.
    rig.client
        .get("/c")
        .watch(|_| unreachable!("it was never set"))
        .send()
        .detach();
    let asked = rig.asked();
    data(&mut rig, &asked[0]);
    data(&mut rig, &asked[1]);
    rig.reply(&asked[2], Err(ErrorCode::NO_NODE));
    rig.feed(&Rig::event_frame(EventType::NODE_DELETED, "/app/a"));
    rig.cut();
    assert_eq!(
        rig.run_callbacks(),
        1,
        "a lost connection is not the end of a watch"
    );
    rig.core.abandon(rig.now());
    assert_eq!(rig.run_callbacks(), 1);
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen[0].as_ref().unwrap().path,
        "/a",
        "without the root path"
    );
    assert_eq!(seen[1], Err(Error::WatchEnded(StateReason::Closed)));
}

fn stream(rig: &mut Rig, capacity: usize) -> WatchStream {
    let add = rig
        .client
        .add_watch("/a")
        .recursive()
        .capacity(capacity)
        .send();
    let asked = rig.asked_one();
    let recursive = AddWatchMode::PERSISTENT_RECURSIVE;
    assert!(matches!(asked.body(), Request::AddWatch { mode, .. } if mode == recursive));
    rig.reply(&asked, Ok(Reply::Empty));
    add.wait().unwrap()
}

fn path(notice: Option<Notice>) -> String {
    match notice {
        Some(Notice::Event(event)) => event.path,
        other => format!("{other:?}"),
    }
}

#[test]
fn a_stream_sees_every_event_until_it_is_dropped() {
    let mut rig = Rig::connected();
    let mut stream = stream(&mut rig, 8);
    rig.feed(&Rig::event_frame(EventType::NODE_CREATED, "/a/b"));
    rig.feed(&Rig::event_frame(EventType::NODE_DELETED, "/a/c"));
    assert_eq!(path(stream.try_next()), "/a/b");
    assert_eq!(path(stream.next_wait().unwrap()), "/a/c");
    assert!(poll_once(&mut stream.next()).is_pending());
    let late = stream.next_timeout(Duration::ZERO);
    assert_eq!(late, Err(Error::Timeout { sent: false }));
    drop(stream);
    assert_eq!(rig.asked_one().opcode, OpCode::REMOVE_WATCHES);
    assert_eq!(rig.client.stats().session.watches, 0);
}

#[test]
fn an_overflow_is_one_gap_and_then_events_again() {
    let mut rig = Rig::connected();
    let mut stream = stream(&mut rig, 2);
    for name in ["/a/1", "/a/2", "/a/3", "/a/4"] {
        rig.feed(&Rig::event_frame(EventType::NODE_CREATED, name));
    }
    assert_eq!(path(stream.try_next()), "/a/1");
    rig.feed(&Rig::event_frame(EventType::NODE_CREATED, "/a/5"));
    assert_eq!(path(stream.try_next()), "/a/2");
    // There is room again, behind the gap.
    rig.feed(&Rig::event_frame(EventType::NODE_CREATED, "/a/6"));
    let Some(Notice::Gap { from, to }) = stream.try_next() else {
        unreachable!()
    };
    assert!(from <= to);
    assert_eq!(path(stream.try_next()), "/a/6");
    assert_eq!(stream.try_next(), None);
    assert_eq!(rig.client.stats().stream_overflows, 3);
}

#[test]
fn a_stream_ends_with_the_session() {
    let mut rig = Rig::connected();
    let mut stream = stream(&mut rig, 1);
    rig.feed(&Rig::event_frame(EventType::NODE_CREATED, "/a/1"));
    rig.core.abandon(rig.now());
    assert_eq!(path(stream.next_wait().unwrap()), "/a/1");
    let end = stream.next_wait().unwrap();
    assert!(
        matches!(end, Some(Notice::End(StateReason::Closed))),
        "{end:?}"
    );
    assert_eq!(stream.next_wait().unwrap(), None);
    assert_eq!(stream.iter().count(), 0);
}
