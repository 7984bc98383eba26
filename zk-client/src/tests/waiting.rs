//! Every way to wait for a result, and to give up.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use zk_proto::{ErrorCode, OpCode, Reply};

use super::{Rig, count_wakes, poll_once};
use crate::{AsyncResult, Error, Outcome};

#[test]
fn nothing_is_sent_before_it_is_polled_or_sent() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let mut get = client.get("/a");
    assert!(rig.asked().is_empty());
    assert!(poll_once(&mut get).is_pending());
    let asked = rig.asked_one();
    assert_eq!(
        (asked.opcode, asked.path().as_str()),
        (OpCode::GET_DATA, "/a")
    );
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert_eq!(
        poll_once(&mut get).map(|r| r.map(|_| ())),
        Poll::Ready(Err(Error::NoNode))
    );
    assert_eq!(
        poll_once(&mut get).map(|r| r.map(|_| ())),
        Poll::Ready(Err(Error::Taken))
    );
}

#[test]
fn wait_takes_what_another_thread_brings() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| client.exists("/a").wait());
        let asked = loop {
            if let Some(asked) = rig.asked().pop() {
                break asked;
            }
            std::thread::yield_now();
        };
        rig.reply(&asked, Ok(Reply::Stat(Rig::stat(3))));
        assert_eq!(waiter.join().unwrap(), Ok(Some(Rig::stat(3))));
    });
}

#[test]
fn wait_would_deadlock_before_anything_is_sent() {
    let mut rig = Rig::connected();
    rig.handler.may_block.store(false, Ordering::Relaxed);
    let client = rig.client.clone();
    assert_eq!(client.delete("/a").wait(), Err(Error::WouldDeadlock));
    assert!(rig.asked().is_empty());
    let sent = client.delete("/a").send();
    let asked = rig.asked_one();
    rig.reply(&asked, Ok(Reply::Empty));
    // A result that is there needs no waiting.
    assert_eq!(sent.wait(), Ok(()));
    assert_eq!(client.block_on(async {}), Err(Error::WouldDeadlock));
    let mut stream = client.state_changes();
    assert_eq!(stream.next_wait(), Err(Error::WouldDeadlock));
    assert_eq!(stream.iter().count(), 1);
}

#[test]
fn wait_timeout_tells_whether_it_was_sent() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let none = Duration::ZERO;
    let unsent = client.set("/a", "x").send().wait_timeout(none);
    assert_eq!(unsent, Err(Error::Timeout { sent: false }));
    assert!(rig.asked().is_empty(), "a cancelled request is never sent");
    let sent = client.set("/a", "x").send();
    let asked = rig.asked_one();
    let error = sent.wait_timeout(none).unwrap_err();
    assert_eq!(error, Error::Timeout { sent: true });
    assert_eq!(error.outcome(), Some(Outcome::Unknown));
    rig.reply(&asked, Ok(Reply::Stat(Rig::stat(1))));
}

#[test]
fn wait_for_can_be_asked_again() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let mut sync = client.sync("/a").send();
    assert_eq!(sync.wait_for(Duration::ZERO), None);
    assert!(sync.try_take().is_none());
    let asked = rig.asked_one();
    rig.reply(&asked, Ok(Reply::Path("/a".into())));
    assert!(sync.is_ready());
    assert_eq!(sync.wait_for(Duration::ZERO), Some(Ok("/a".into())));
    assert_eq!(sync.try_take(), Some(Err(Error::Taken)));
}

#[test]
fn dropping_cancels_what_is_unsent_and_forgets_what_is_sent() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    drop(client.create("/a", "x").send());
    assert!(rig.asked().is_empty());
    let mut op = client.create("/b", "x");
    assert!(poll_once(&mut op).is_pending());
    let first = rig.asked_one();
    drop(op);
    let after = client.create("/c", "x").send();
    let second = rig.asked_one();
    rig.reply(&first, Ok(Reply::Path("/b".into())));
    rig.reply(&second, Ok(Reply::Path("/c".into())));
    assert_eq!(after.wait(), Ok("/c".into()));
    assert_eq!(client.stats().session.in_flight, 0);
}

#[test]
fn detached_operations_run_on() {
    let mut rig = Rig::connected();
    rig.client.create("/a", "x").send().detach();
    let asked = rig.asked_one();
    assert_eq!(asked.opcode, OpCode::CREATE);
    rig.reply(&asked, Ok(Reply::Path("/a".into())));
}

#[test]
fn a_deadline_ends_it_wherever_it_is() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let second = Duration::from_secs(1);
    let sent = client.get("/a").timeout(second).send();
    rig.pump();
    let unsent = client.get("/b").timeout(second).send();
    rig.handler.may_block.store(false, Ordering::Relaxed);
    // Time passes before the driver comes to send.
    let now = rig.now() + second;
    rig.core.with(|s| s.handle_timeout(now));
    assert_eq!(sent.wait().unwrap_err(), Error::Timeout { sent: true });
    assert_eq!(unsent.wait().unwrap_err(), Error::Timeout { sent: false });
}

#[test]
fn the_clients_own_timeout_holds_for_calls_without_one() {
    let mut rig = Rig::with(crate::Client::builder("h1").request_timeout(Duration::from_secs(1)));
    let get = rig.client.get("/a").send();
    let patient = rig.client.get("/a").timeout(Duration::from_secs(60)).send();
    rig.advance(Duration::from_secs(1));
    assert_eq!(get.wait().unwrap_err(), Error::Timeout { sent: false });
    assert!(!patient.is_ready());
}

#[test]
fn completers_fail_what_they_drop_and_hear_of_cancellation() {
    let (completer, result) = AsyncResult::<()>::pair();
    drop(completer);
    assert_eq!(result.wait(), Err(Error::Closed { sent: false }));

    let (mut completer, result) = AsyncResult::<u8>::pair();
    let (waker, count) = count_wakes();
    let mut cx = Context::from_waker(&waker);
    assert!(completer.poll_cancelled(&mut cx).is_pending());
    drop(result);
    assert!(completer.is_cancelled());
    assert_eq!(count.get(), 1);

    let (completer, result) = AsyncResult::<u8>::pair();
    result.detach();
    assert!(!completer.is_cancelled());
    completer.complete(Ok(1));

    let seen = Arc::new(Mutex::new(None));
    let (completer, result) = AsyncResult::<u8>::pair();
    let into = Arc::clone(&seen);
    result.on_complete(move |result| *into.lock().unwrap() = Some(result));
    completer.complete(Ok(5));
    assert_eq!(*seen.lock().unwrap(), Some(Ok(5)));
}

#[test]
fn dropping_a_background_result_drops_its_future() {
    let rig = Rig::connected();
    let alive = Arc::new(());
    let inside = Arc::clone(&alive);
    let result = rig.client.run(async move {
        let _inside = inside;
        std::future::pending::<()>().await;
        Ok(())
    });
    rig.handler.run_tasks();
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(result);
    rig.handler.run_tasks();
    assert_eq!((Arc::strong_count(&alive), rig.handler.tasks()), (1, 0));
}

#[test]
fn sleeping_takes_the_handlers_time() {
    let mut rig = Rig::connected();
    let mut sleep = rig.client.sleep(Duration::from_secs(2));
    rig.advance(Duration::from_secs(1));
    assert!(poll_once(&mut sleep).is_pending());
    rig.advance(Duration::from_secs(1));
    assert_eq!(poll_once(&mut sleep), Poll::Ready(Ok(())));
    drop(rig.client.sleep(Duration::from_secs(1)));
    assert_eq!(rig.client.stats().session.timers, 0);
}
