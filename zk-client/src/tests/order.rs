//! One order for everything, and no user code under the lock.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use zk_proto::{ErrorCode, EventType, Reply};

use super::{Rig, count_wakes};
use crate::{Client, Error, Listen, State};

type Log = Arc<Mutex<Vec<String>>>;

fn note(log: &Log, what: impl Into<String>) {
    log.lock().unwrap().push(what.into());
}

#[test]
fn callbacks_come_in_the_order_of_events() {
    let mut rig = Rig::connected();
    let log = Log::default();
    let (l, c) = (Arc::clone(&log), rig.client.clone());
    rig.client.add_listener(move |change| {
        // A callback may use the client.
        assert!(!c.connected());
        note(
            &l,
            format!("{:?}", matches!(change.to, State::Suspended { .. })),
        );
        Listen::Keep
    });
    let l = Arc::clone(&log);
    let watch = rig
        .client
        .get("/a")
        .watch(move |event| note(&l, event.unwrap().path));
    let l = Arc::clone(&log);
    watch
        .send()
        .on_complete(move |r| note(&l, format!("get {}", r.is_ok())));
    let l = Arc::clone(&log);
    let second = rig.client.set("/a", "").send();
    let asked = rig.asked();
    let l2 = Arc::clone(&log);
    second.on_complete(move |r| note(&l2, format!("set {}", r.is_ok())));
    rig.client.delete("/b").send().on_complete(move |r| {
        note(&l, format!("delete {:?}", r.unwrap_err()));
    });
    // All in one read: the reply, the event, and the reply that reveals the change.
    let stat = Rig::stat(1);
    let mut bytes = rig.reply_frame(
        &asked[0],
        Ok(Reply::Data {
            data: b"x"[..].into(),
            stat,
        }),
    );
    bytes.extend(Rig::event_frame(EventType::NODE_DATA_CHANGED, "/a"));
    bytes.extend(rig.reply_frame(&asked[1], Ok(Reply::Stat(stat))));
    rig.feed(&bytes);
    rig.cut();
    assert_eq!(log.lock().unwrap().len(), 0, "no callback runs by itself");
    assert_eq!(rig.client.stats().callbacks_queued, 5);
    assert_eq!(rig.run_callbacks(), 5);
    assert_eq!(rig.client.stats().callbacks_queued, 0);
    let log = log.lock().unwrap();
    let lost = "delete ConnectionLoss { sent: true }";
    assert_eq!(*log, ["get true", "/a", "set true", "true", lost]);
}

type Look = Box<dyn FnOnce(&Client) + Send>;

/// Looks, when it is woken, at everything that came before its own event.
struct Looks {
    client: Client,
    look: Mutex<Option<Look>>,
    woken: AtomicUsize,
}

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        if let Some(look) = self.look.lock().unwrap().take() {
            look(&self.client);
        }
    }
}

#[test]
fn wakers_fire_without_a_lock_and_see_all_that_came_before() {
    let mut rig = Rig::connected();
    let mut get = rig.client.get("/a").send();
    let mut states = rig.client.state_changes();
    let looks = Arc::new(Looks {
        client: rig.client.clone(),
        look: Mutex::new(Some(Box::new(move |client| {
            assert!(matches!(client.state(), State::Suspended { .. }));
            assert!(matches!(
                states.try_next().unwrap().to,
                State::Suspended { .. }
            ));
            // Takes the lock once more.
            client.exists("/b").send().detach();
        }))),
        woken: AtomicUsize::new(0),
    });
    let waker = Waker::from(Arc::clone(&looks));
    assert!(
        Pin::new(&mut get)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    rig.pump();
    rig.cut();
    assert_eq!(looks.woken.load(Ordering::Relaxed), 1);
    assert_eq!(
        get.wait().unwrap_err(),
        Error::ConnectionLoss { sent: true }
    );
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker of the test");
    }
}

#[test]
fn a_waker_that_panics_keeps_nobody_else_asleep() {
    let mut rig = Rig::connected();
    let (mut first, mut second) = (rig.client.get("/a").send(), rig.client.get("/b").send());
    let bad = Waker::from(Arc::new(Panics));
    let (good, woken) = count_wakes();
    for (result, waker) in [(&mut first, &bad), (&mut second, &good)] {
        let poll = Pin::new(result).poll(&mut Context::from_waker(waker));
        assert!(poll.is_pending());
    }
    rig.pump();
    rig.cut();
    assert_eq!(woken.get(), 1);
}

#[test]
fn a_callback_given_to_a_ready_result_queues_behind_the_others() {
    let mut rig = Rig::connected();
    let log = Log::default();
    let ready = rig.client.exists("/a").send();
    let asked = rig.asked_one();
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    let l = Arc::clone(&log);
    rig.client
        .exists("/b")
        .send()
        .on_complete(move |_| note(&l, "first"));
    let asked = rig.asked_one();
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    let l = Arc::clone(&log);
    ready.on_complete(move |_| note(&l, "second"));
    rig.run_callbacks();
    assert_eq!(*log.lock().unwrap(), ["first", "second"]);
}

#[test]
fn listeners_can_remove_themselves_and_survive_a_panic() {
    let mut rig = Rig::connected();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    rig.client.add_listener(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Listen::Remove
    });
    let count = Arc::clone(&calls);
    rig.client.add_listener(move |_| {
        count.fetch_add(10, Ordering::Relaxed);
        std::panic::resume_unwind(Box::new("contained"));
    });
    let removed = rig.client.add_listener(|_| unreachable!("it was removed"));
    rig.client.remove_listener(removed);
    rig.client.remove_listener(removed);
    rig.cut();
    rig.run_callbacks();
    rig.reconnect(0x77);
    rig.run_callbacks();
    assert_eq!(calls.load(Ordering::Relaxed), 21);
}

#[test]
fn a_listener_removed_while_its_call_is_queued_is_not_called() {
    let mut rig = Rig::connected();
    let id = rig.client.add_listener(|_| unreachable!("it was removed"));
    rig.cut();
    rig.client.remove_listener(id);
    assert_eq!(rig.run_callbacks(), 1);
}

#[test]
fn the_loop_is_woken_once_and_only_while_it_sleeps() {
    let mut rig = Rig::connected();
    let (waker, count) = count_wakes();
    rig.core.set_waker(waker);
    rig.pump();
    assert!(rig.core.prepare_sleep());
    let first = rig.client.exists("/a").send();
    let second = rig.client.exists("/b").send();
    assert_eq!(count.get(), 1, "the first wakes, the second finds it awake");
    assert!(!rig.core.prepare_sleep(), "there is work");
    rig.pump();
    assert!(rig.core.prepare_sleep());
    rig.core.inject(|_| ());
    assert_eq!(
        count.get(),
        2,
        "another thread of the driver wakes the loop"
    );
    drop((first, second));
}

#[test]
fn only_an_earlier_timer_wakes_the_loop() {
    let mut rig = Rig::connected();
    let (waker, count) = count_wakes();
    rig.core.set_waker(waker);
    rig.pump();
    assert!(rig.core.prepare_sleep());
    let late = rig.client.sleep(std::time::Duration::from_secs(3600));
    assert_eq!(count.get(), 0);
    let early = rig.client.sleep(std::time::Duration::from_millis(1));
    assert_eq!(count.get(), 1);
    drop((late, early));
}

#[test]
fn results_are_filled_even_if_nobody_polls_in_order() {
    let mut rig = Rig::connected();
    let mut results: Vec<_> = ["/a", "/b", "/c"]
        .map(|p| rig.client.exists(p).send())
        .into();
    let asked = rig.asked();
    let frames: Vec<u8> = asked
        .iter()
        .flat_map(|asked| rig.reply_frame(asked, Err(ErrorCode::NO_NODE)))
        .collect();
    rig.feed(&frames);
    for result in results.iter_mut().rev() {
        assert_eq!(super::poll_once(result), Poll::Ready(Ok(None)));
    }
}
