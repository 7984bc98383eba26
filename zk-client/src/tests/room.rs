//! When the session's queue is full.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use zk_proto::{ErrorCode, OpCode, Reply};

use super::{Rig, count_wakes, poll_once};
use crate::{BackoffPolicy, Client, Error, WhenFull};

/// Room for one request.
fn tight() -> Rig {
    Rig::with(Client::builder("h1").max_queued(1, 1 << 20)).connect()
}

#[test]
fn send_is_refused_where_await_waits() {
    let mut rig = tight();
    let client = rig.client.clone();
    let first = client.exists("/1").send();
    assert!(matches!(
        client.exists("/2").send().wait(),
        Err(Error::Full { requests: 1, .. })
    ));
    let mut second = client.exists("/2");
    let (waker, count) = count_wakes();
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut second).poll(&mut cx).is_pending());
    assert_eq!(client.stats().waiting_for_room, 1);
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/1");
    assert_eq!(count.get(), 0);
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert_eq!((first.wait(), count.get()), (Ok(None), 1));
    assert!(rig.asked().is_empty(), "it is sent when it is polled");
    assert!(Pin::new(&mut second).poll(&mut cx).is_pending());
    let asked = rig.asked_one();
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert_eq!(poll_once(&mut second), Poll::Ready(Ok(None)));
    assert_eq!(client.stats().waiting_for_room, 0);
}

/// A read that takes two requests made room by taking the first back, and woke itself for that, over
/// and over.
#[test]
fn who_does_not_fit_in_whole_sleeps_until_there_is_room() {
    let mut rig = tight();
    let client = rig.client.clone();
    client.exists("/1").send().detach();
    let mut read = client.exists("/2").linearizable();
    let (waker, count) = count_wakes();
    let mut cx = Context::from_waker(&waker);
    for _ in 0..3 {
        assert!(Pin::new(&mut read).poll(&mut cx).is_pending());
        assert_eq!(count.get(), 0);
    }
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/1");
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert_eq!(count.get(), 1);
    assert!(Pin::new(&mut read).poll(&mut cx).is_pending());
    assert_eq!(rig.asked().len(), 2);
}

/// Bounds that have room for one request had never any for a read that takes two: it waited for
/// ever.
#[test]
fn a_read_of_two_requests_takes_the_room_of_one() {
    let long = format!("/{}", "a".repeat(100));
    for (requests, bytes) in [(1, 1 << 20), (10, 150)] {
        let mut rig = Rig::with(Client::builder("h1").max_queued(requests, bytes)).connect();
        let client = rig.client.clone();
        for mut read in [
            client.exists(&long).synced(),
            client.exists(&long).linearizable(),
        ] {
            assert!(poll_once(&mut read).is_pending());
            assert_eq!(client.stats().waiting_for_room, 0);
            // There is room for nothing else now.
            let other = client.exists(&long).send().wait();
            assert!(matches!(other, Err(Error::Full { requests: 1, .. })));
            let both = rig.asked();
            assert_eq!((both.len(), both[1].path()), (2, long.clone()));
            let ahead = match both[0].body().opcode() {
                OpCode::SYNC => Reply::Path(long.clone()),
                _ => Reply::Multi(Vec::new()),
            };
            rig.reply(&both[0], Ok(ahead));
            rig.reply(&both[1], Err(ErrorCode::NO_NODE));
            assert_eq!(poll_once(&mut read), Poll::Ready(Ok(None)));
        }
        // What is refused takes what was to go ahead of it along.
        client.exists(&long).send().detach();
        let refused = client.exists(&long).synced().send().wait();
        assert!(matches!(refused, Err(Error::Full { requests: 1, .. })));
        assert_eq!(rig.asked().len(), 1);
    }
}

#[test]
fn those_who_wait_are_served_in_their_order() {
    let mut rig = tight();
    let client = rig.client.clone();
    client.exists("/1").send().detach();
    let mut second = client.exists("/2");
    let mut third = client.exists("/3");
    let mut fourth = client.exists("/4");
    let (waker, count) = count_wakes();
    let mut cx = Context::from_waker(&waker);
    assert!(poll_once(&mut second).is_pending());
    assert!(Pin::new(&mut third).poll(&mut cx).is_pending());
    assert!(poll_once(&mut fourth).is_pending());
    let asked = rig.asked_one();
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    // There is room, but not for those behind, nor for newcomers.
    assert!(poll_once(&mut third).is_pending());
    assert!(matches!(
        client.exists("/5").send().wait(),
        Err(Error::Full { .. })
    ));
    assert!(rig.asked().is_empty());
    // The first gives up: the next is told.
    assert!(Pin::new(&mut third).poll(&mut cx).is_pending());
    drop(second);
    assert_eq!(count.get(), 1);
    assert!(Pin::new(&mut third).poll(&mut cx).is_pending());
    assert_eq!(rig.asked_one().path(), "/3");
    drop(third);
    drop(fourth);
    assert_eq!(client.stats().waiting_for_room, 0);
}

#[test]
fn the_reply_to_a_request_that_nobody_waits_for_makes_room() {
    let mut rig = tight();
    let client = rig.client.clone();
    let first = client.exists("/1").send();
    let asked = rig.asked_one();
    let mut second = client.exists("/2");
    let (waker, count) = count_wakes();
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut second).poll(&mut cx).is_pending());
    // It is sent, so that its place is free only when its reply has come.
    drop(first);
    assert!(Pin::new(&mut second).poll(&mut cx).is_pending());
    let woken = count.get();
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert_eq!(count.get(), woken + 1);
    assert!(Pin::new(&mut second).poll(&mut cx).is_pending());
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/2");
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert_eq!(poll_once(&mut second), Poll::Ready(Ok(None)));
}

#[test]
fn cancelling_an_unsent_request_makes_room() {
    let mut rig = tight();
    let client = rig.client.clone();
    let first = client.exists("/1").send();
    let mut second = client.exists("/2");
    let (waker, count) = count_wakes();
    assert!(
        Pin::new(&mut second)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(first);
    assert_eq!(count.get(), 1);
    assert!(poll_once(&mut second).is_pending());
    assert_eq!(rig.asked_one().path(), "/2");
}

#[test]
fn time_spent_waiting_for_room_counts() {
    let mut rig = tight();
    let client = rig.client.clone();
    client.exists("/1").send().detach();
    let mut second = client.exists("/2").timeout(Duration::from_secs(1));
    assert!(poll_once(&mut second).is_pending());
    rig.advance(Duration::from_secs(1));
    assert_eq!(
        poll_once(&mut second),
        Poll::Ready(Err(Error::Timeout { sent: false }))
    );
    assert_eq!(client.stats().waiting_for_room, 0);
}

#[test]
fn closing_refuses_those_who_wait_one_after_the_other() {
    let mut rig = tight();
    let client = rig.client.clone();
    client.exists("/1").send().detach();
    let (mut second, mut third) = (client.exists("/2"), client.exists("/3"));
    let (waker, count) = count_wakes();
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut second).poll(&mut cx).is_pending());
    assert!(Pin::new(&mut third).poll(&mut cx).is_pending());
    let closing = client.close().send();
    assert_eq!(count.get(), 1);
    let closed = Err(Error::Closed { sent: false });
    assert_eq!(
        Pin::new(&mut second).poll(&mut cx),
        Poll::Ready(closed.clone())
    );
    assert_eq!(count.get(), 2);
    assert_eq!(Pin::new(&mut third).poll(&mut cx), Poll::Ready(closed));
    drop(closing);
    rig.pump();
}

#[test]
fn urgent_deletes_go_past_the_bounds_and_the_queue() {
    let mut rig = tight();
    let client = rig.client.clone();
    client.exists("/1").send().detach();
    let mut second = client.exists("/2");
    assert!(poll_once(&mut second).is_pending());
    client.delete("/lock").urgent().send().detach();
    let paths: Vec<_> = rig.asked().iter().map(super::rig::Asked::path).collect();
    assert_eq!(paths, ["/1", "/lock"]);
}

#[test]
fn a_client_can_refuse_always() {
    let rig = Rig::with(
        Client::builder("h1")
            .max_queued(1, 1 << 20)
            .when_full(WhenFull::Refuse),
    );
    rig.client.exists("/1").send().detach();
    let mut second = rig.client.exists("/2");
    assert!(matches!(
        poll_once(&mut second),
        Poll::Ready(Err(Error::Full { .. }))
    ));
    assert!(matches!(
        rig.client.exists("/2").wait(),
        Err(Error::Full { .. })
    ));
}

#[test]
fn a_blocked_thread_waits_for_room_too() {
    let mut rig = tight();
    let client = rig.client.clone();
    client.exists("/1").send().detach();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| client.exists("/2").wait());
        while client.stats().waiting_for_room == 0 {
            std::thread::yield_now();
        }
        let asked = rig.asked_one();
        rig.reply(&asked, Err(ErrorCode::NO_NODE));
        let asked = loop {
            if let Some(asked) = rig.asked().pop() {
                break asked;
            }
            std::thread::yield_now();
        };
        rig.reply(&asked, Ok(Reply::Stat(Rig::stat(2))));
        assert_eq!(waiter.join().unwrap(), Ok(Some(Rig::stat(2))));
    });
}

/// What waits for room when the session ends, and is polled again in the next one.
fn in_the_next_session<F: Future + Unpin>(rig: &mut Rig, waiting: &mut F) -> Poll<F::Output> {
    let (session, _) = rig.client.client_id().unwrap();
    assert!(poll_once(waiting).is_pending());
    assert_eq!(rig.client.stats().waiting_for_room, 1);
    rig.cut();
    rig.reconnect(session.0 + 1);
    poll_once(waiting)
}

#[test]
fn a_retry_that_waits_for_room_does_not_cross_into_the_next_session() {
    let policy = BackoffPolicy::new();
    let expired = || Error::SessionExpired { sent: false };
    for protected in [false, true] {
        let mut rig = tight();
        let client = rig.client.clone();
        let create = || {
            let create = client.create("/a", "").ephemeral();
            if protected {
                create.protected()
            } else {
                create
            }
        };
        // With its first attempt.
        let first = client.exists("/1").send();
        let mut made = client.retry(&policy, create());
        let result = in_the_next_session(&mut rig, &mut made);
        assert_eq!(result, Poll::Ready(Err(expired())));
        assert_eq!(client.stats().waiting_for_room, 0);
        assert!(rig.asked().is_empty());
        assert!(first.wait().is_err());
        // With a later one.
        let mut made = client.retry(&policy, create());
        assert!(poll_once(&mut made).is_pending());
        let asked = rig.asked_one();
        rig.reply(&asked, Err(ErrorCode::THROTTLED_OP));
        assert!(poll_once(&mut made).is_pending());
        client.exists("/1").send().detach();
        rig.advance(Duration::from_secs(1));
        let result = in_the_next_session(&mut rig, &mut made);
        assert_eq!(result, Poll::Ready(Err(expired())));
        assert!(rig.asked().iter().all(|asked| asked.path() != "/a"));
    }
}

#[test]
fn what_does_not_depend_on_the_session_goes_on_in_the_next_one() {
    let policy = BackoffPolicy::new();
    let mut rig = tight();
    let client = rig.client.clone();
    client.exists("/1").send().detach();
    let mut made = client.retry(&policy, client.create("/a", ""));
    assert!(in_the_next_session(&mut rig, &mut made).is_pending());
    assert_eq!(rig.asked_one().path(), "/a");
    drop(made);
    // Unless it was told otherwise.
    client.exists("/1").send().detach();
    let mut made = client
        .retry(&policy, client.create("/a", ""))
        .within_session();
    assert!(poll_once(&mut made).is_pending());
    rig.cut();
    rig.reconnect(0x79);
    assert_eq!(
        poll_once(&mut made),
        Poll::Ready(Err(Error::SessionExpired { sent: false }))
    );
}
