//! Bounds, deadlines, and ways to wait and to give up.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use zk::{BackoffPolicy, Client, Error, Outcome, WhenFull, block_on};
use zk_testkit::eventually;

use crate::support::{
    Env, Heard, LIMIT, Proxy, assert_nothing_left, quick, wait_for_callbacks, wait_until,
};

const MOMENT: Duration = Duration::from_millis(30);

/// A connected client whose server can be held up.
fn held(env: &Env) -> (Arc<Proxy>, Client) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    (proxy, client)
}

/// A client that will never find a server.
fn lost(env: &Env, when_full: WhenFull) -> Client {
    let mut builder = Client::builder(env.nobody().to_string());
    builder.max_queued(2, 1 << 20).when_full(when_full);
    env.start(builder.connection_retry(BackoffPolicy::new().delay(Duration::from_secs(1))))
}

// Sizes. -----------------------------------------------------------------------------------------

pub(crate) fn what_servers_would_not_take_is_refused_here(env: &Env) {
    let client = env.client();
    let error = client.create("/a", vec![1; 2 << 20]).wait().unwrap_err();
    let Error::TooLarge { size, limit } = error else {
        panic!("{error}");
    };
    assert_eq!(limit, 1_048_575);
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    assert_eq!(client.exists("/a").wait().unwrap(), None);
    assert_eq!(client.stats().session.losses, 0);
    // Just at the limit the server takes it; one more byte, and it is refused here.
    let most = limit - (size - (2 << 20));
    client.create("/a", vec![1; most]).wait().unwrap();
    let one_more = client.create("/b", vec![1; most + 1]).wait();
    assert_eq!(
        one_more,
        Err(Error::TooLarge {
            size: limit + 1,
            limit
        })
    );
    assert_eq!(client.get("/a").wait().unwrap().0.len(), most);
    assert_eq!(client.stats().session.losses, 0);
    let error = client.set("/a", vec![1; most + 100]).wait().unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

pub(crate) fn the_limit_for_requests_can_be_set(env: &Env) {
    let client = env.connect(env.builder().max_request_bytes(1000));
    let refused = client.create("/a", vec![1; 1000]).wait();
    assert!(
        matches!(refused, Err(Error::TooLarge { limit: 1000, .. })),
        "{refused:?}"
    );
    client.create("/a", vec![1; 500]).wait().unwrap();
}

pub(crate) fn a_reply_beyond_the_limit_fails_alone(env: &Env) {
    let client = env.connect(env.builder().max_reply_bytes(10_000));
    client.create("/big", vec![1; 100_000]).wait().unwrap();
    client.create("/small", b"1").wait().unwrap();
    let (big, small) = (client.get("/big").send(), client.get("/small").send());
    let error = big.wait().unwrap_err();
    assert!(matches!(error, Error::ReplyTooLarge { limit: 10_000, length } if length > 100_000));
    assert_eq!(error.outcome(), Some(Outcome::Applied));
    assert_eq!(small.wait().unwrap().0, b"1");
    assert_eq!(client.stats().session.losses, 0);
}

pub(crate) fn the_queue_is_bounded(env: &Env) {
    let client = lost(env, WhenFull::Refuse);
    let kept = [client.exists("/1").send(), client.exists("/2").send()];
    let error = client.exists("/3").wait().unwrap_err();
    assert!(
        matches!(error, Error::Full { requests: 2, .. }),
        "{error:?}"
    );
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    assert!(error.is_retryable());
    let full = client.exists("/3").send().wait();
    assert!(matches!(full, Err(Error::Full { .. })));
    // What others wait for goes past all bounds.
    let mut urgent = client.delete("/4").urgent().send();
    assert!(urgent.try_take().is_none());
    drop(kept);
    let mut next = client.exists("/5").send();
    assert!(next.try_take().is_none());
}

pub(crate) fn calls_wait_for_room(env: &Env) {
    let client = lost(env, WhenFull::Wait);
    let [one, two] = [client.exists("/1").send(), client.exists("/2").send()];
    let start = client.now();
    let waited = client.exists("/3").timeout(MOMENT).wait();
    assert_eq!(waited, Err(Error::Timeout { sent: false }));
    assert!(client.now() >= start + MOMENT);
    assert!(matches!(
        client.exists("/3").send().wait(),
        Err(Error::Full { .. })
    ));
    assert_eq!(client.stats().waiting_for_room, 0);
    std::thread::scope(|scope| {
        let third = scope.spawn(|| client.exists("/3").timeout(LIMIT * 10).wait());
        wait_until("somebody to wait", || client.stats().waiting_for_room == 1);
        drop(one);
        wait_until("room", || client.stats().waiting_for_room == 0);
        client.close().wait().unwrap();
        assert_eq!(third.join().unwrap(), Err(Error::Closed { sent: false }));
    });
    assert_eq!(two.wait(), Err(Error::Closed { sent: false }));
}

// Deadlines. -------------------------------------------------------------------------------------

pub(crate) fn a_deadline_ends_a_call_that_was_sent(env: &Env) {
    let (proxy, client) = held(env);
    proxy.stall_towards_client();
    let begun = Instant::now();
    let given_up = |limit: Duration| {
        let start = client.now();
        let error = client.create("/a", b"").timeout(limit).wait().unwrap_err();
        assert!(client.now() >= start + limit);
        error
    };
    // A machine that is busy may not have sent it in so short a time.
    let mut errors = [MOMENT, 100 * MOMENT].into_iter().map(given_up);
    let error = errors.find(|error| *error == Error::Timeout { sent: true });
    quick(begun);
    assert_eq!(error.unwrap().outcome(), Some(Outcome::Unknown));
    proxy.resume();
    // The late reply harms nobody.
    assert_eq!(client.create("/b", b"").wait().unwrap(), "/b");
    assert!(client.exists("/a").wait().unwrap().is_some());
    assert_eq!(client.stats().session.losses, 0);
}

pub(crate) fn a_deadline_ends_a_call_that_was_not_sent(env: &Env) {
    let (proxy, client) = held(env);
    let mut changes = client.state_changes();
    proxy.refuse(true).unwrap();
    proxy.cut();
    crate::support::next(&mut changes);
    let error = client.create("/a", b"").timeout(MOMENT).wait().unwrap_err();
    assert_eq!(error, Error::Timeout { sent: false });
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    let path = client
        .create("/a/b", b"")
        .make_path()
        .timeout(MOMENT)
        .wait();
    assert_eq!(path, Err(Error::Timeout { sent: false }));
    assert_eq!(
        client
            .ensure_path("/c")
            .timeout(MOMENT)
            .wait()
            .unwrap_err()
            .outcome(),
        Some(Outcome::NotApplied)
    );
    proxy.refuse(false).unwrap();
    client.until_connected().wait().unwrap();
    assert!(client.get_children("/").wait().unwrap().is_empty());
}

pub(crate) fn every_call_can_have_a_deadline_by_default(env: &Env) {
    let (proxy, _) = held(env);
    let mut builder = env.builder_through(&proxy);
    let client = env.start(builder.request_timeout(Duration::from_millis(250)));
    client.until_connected().wait().unwrap();
    // One of its own comes before it.
    let sync = client.sync("/").timeout(LIMIT);
    sync.wait().unwrap();
    client.create("/a", b"").timeout(LIMIT).wait().unwrap();
    proxy.stall();
    assert!(matches!(
        client.get("/a").wait(),
        Err(Error::Timeout { .. })
    ));
    assert!(matches!(
        client.get("/a").watched().wait(),
        Err(Error::Timeout { .. })
    ));
    proxy.resume();
    client.get("/a").timeout(LIMIT).wait().unwrap();
}

// Giving up. -------------------------------------------------------------------------------------

pub(crate) fn dropping_takes_back_what_is_not_sent(env: &Env) {
    let (proxy, client) = held(env);
    let mut changes = client.state_changes();
    proxy.refuse(true).unwrap();
    proxy.cut();
    crate::support::next(&mut changes);
    drop(client.create("/dropped", b"").send());
    drop(client.create("/never-even-polled", b""));
    let given_up = client.create("/given-up", b"").send().wait_timeout(MOMENT);
    assert_eq!(given_up, Err(Error::Timeout { sent: false }));
    let kept = client.create("/kept", b"").send();
    client.create("/detached", b"").send().detach();
    proxy.refuse(false).unwrap();
    kept.wait().unwrap();
    client.sync("/").wait().unwrap();
    assert_eq!(
        client.get_children("/").wait().unwrap().sorted(),
        ["detached", "kept"]
    );
}

pub(crate) fn dropping_forgets_what_is_sent(env: &Env) {
    let (proxy, client) = held(env);
    proxy.stall_towards_client();
    let create = client.create("/a", b"").send();
    let path = env.full("/a");
    wait_until("the node", || {
        env.other().exists(&path).wait().unwrap().is_some()
    });
    let given_up = create.wait_timeout(MOMENT);
    assert_eq!(given_up, Err(Error::Timeout { sent: true }));
    drop(client.get("/a").send());
    proxy.resume();
    client.sync("/").wait().unwrap();
    assert_nothing_left(&client);
}

pub(crate) fn results_can_be_looked_at_in_every_way(env: &Env) {
    let (proxy, client) = held(env);
    proxy.stall_towards_client();
    let mut result = client.create("/a", b"").send();
    assert!(!result.is_ready());
    assert_eq!(result.try_take(), None);
    assert_eq!(result.wait_for(MOMENT), None);
    proxy.resume();
    assert_eq!(result.wait_for(LIMIT), Some(Ok("/a".to_owned())));
    assert_eq!(result.try_take(), Some(Err(Error::Taken)));
    assert_eq!(result.wait_for(LIMIT), Some(Err(Error::Taken)));
    assert!(!result.is_ready());
    assert_eq!(result.wait(), Err(Error::Taken));

    assert!(
        client
            .exists("/a")
            .send()
            .wait_timeout(LIMIT)
            .unwrap()
            .is_some()
    );
    let done = client.exists("/a").send();
    client.sync("/").wait().unwrap();
    assert!(done.is_ready());
    // Long done: called all the same.
    let heard = Heard::new();
    let tell = heard.teller();
    done.on_complete(move |stat| tell.send(stat.unwrap().is_some()).unwrap());
    assert!(heard.next());
    let tell = heard.teller();
    client
        .get("/none")
        .send()
        .on_complete(move |data| tell.send(data.is_ok()).unwrap());
    assert!(!heard.next());
}

pub(crate) fn a_panic_in_a_completion_is_contained(env: &Env) {
    let client = env.client();
    client
        .exists("/")
        .send()
        .on_complete(|_| panic!("as this test wants"));
    wait_for_callbacks(&client);
    let heard = Heard::new();
    let tell = heard.teller();
    client
        .exists("/")
        .send()
        .on_complete(move |stat| tell.send(stat.is_ok()).unwrap());
    assert!(heard.next());
}

pub(crate) fn results_wake_threads_that_wait(env: &Env) {
    let client = env.client();
    let (completer, result) = zk::AsyncResult::<u32>::pair();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| result.wait());
        completer.complete(Ok(7));
        assert_eq!(waiting.join().unwrap(), Ok(7));
    });
    let (completer, result) = zk::AsyncResult::<u32>::pair();
    drop(completer);
    assert_eq!(result.wait(), Err(Error::Closed { sent: false }));
    let (completer, result) = zk::AsyncResult::<u32>::pair();
    assert!(!completer.is_cancelled());
    drop(result);
    assert!(completer.is_cancelled());
    assert!(client.connected());
}

// Futures. ---------------------------------------------------------------------------------------

/// Polls all until each has its result.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut results: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none() {
                if let Poll::Ready(output) = Pin::new(future).poll(cx) {
                    *result = Some(output);
                }
            }
        }
        if results.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    results.into_iter().map(Option::unwrap).collect()
}

pub(crate) fn calls_are_futures_that_run_together(env: &Env) {
    let client = env.client();
    let paths: Vec<_> = (0..100).map(|n| format!("/n{n}")).collect();
    let creates: Vec<_> = paths.iter().map(|path| client.create(path, path)).collect();
    let created = client.block_on(join_all(creates)).unwrap();
    assert!(
        created
            .iter()
            .zip(&paths)
            .all(|(got, path)| got.as_ref() == Ok(path))
    );
    let gets: Vec<_> = paths.iter().map(|path| client.get(path)).collect();
    let got = block_on(join_all(gets));
    assert!(
        got.into_iter()
            .zip(&paths)
            .all(|(got, path)| got.unwrap().0 == *path)
    );
    let total: usize = block_on(async {
        let view = client.chroot("/n0").unwrap();
        view.create("/child", b"").await.unwrap();
        view.create("/deep/er", b"").make_path().await.unwrap();
        let (children, watch) = view.get_children("/").watched().await.unwrap();
        view.delete("/child").await.unwrap();
        watch.await.unwrap();
        children.len()
    });
    assert_eq!(total, 2);
}

pub(crate) fn a_polled_call_can_be_dropped(env: &Env) {
    let (proxy, client) = held(env);
    proxy.stall_towards_client();
    block_on(async {
        let mut first = pin!(client.create("/a", b""));
        let mut slow = pin!(client.ensure_path("/x/y"));
        poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending());
            assert!(slow.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    });
    proxy.resume();
    client.sync("/").wait().unwrap();
    assert_eq!(client.exists("/x").wait().unwrap(), None);
}

pub(crate) fn background_work_runs_and_can_be_dropped(env: &Env) {
    let client = env.client();
    let user = client.clone();
    let sum = client.run(async move {
        user.create("/a", b"1").await?;
        user.sleep(MOMENT).await?;
        Ok(user.get("/a").await?.0.len())
    });
    assert_eq!(sum.wait(), Ok(1));

    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let (gone, user) = (Gone(Arc::clone(&drops)), client.clone());
    let endless = client.run(async move {
        let _gone = gone;
        user.sleep(LIMIT * 100).await
    });
    wait_until("its timer", || client.stats().session.timers == 1);
    drop(endless);
    wait_until("its end", || drops.load(Ordering::SeqCst) == 1);
    assert_eq!(client.stats().session.timers, 0);
}

pub(crate) fn sleeping_takes_its_time(env: &Env) {
    let client = env.client();
    let start = client.now();
    client.sleep(MOMENT).wait().unwrap();
    assert!(client.now() - start >= MOMENT);
    client.sleep(Duration::ZERO).wait().unwrap();
    let mut long = client.sleep(Duration::from_secs(1000));
    assert_eq!(long.wait_for(MOMENT), None);
    drop(long);
    drop(client.sleep(Duration::MAX));
    assert_eq!(client.stats().session.timers, 0);
    // Without a connection, too.
    let unconnected = lost(env, WhenFull::Wait);
    unconnected.sleep(MOMENT).wait().unwrap();
}

pub(crate) fn names_and_numbers_are_unique(env: &Env) {
    let client = env.client();
    let ids: std::collections::BTreeSet<_> = (0..100).map(|_| client.unique_id()).collect();
    assert_eq!(ids.len(), 100);
    for id in ids {
        assert!(
            id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
    }
}

/// Ten thousand calls at once, from one thread, through one connection.
pub(crate) fn ten_thousand_calls_are_in_flight(env: &Env) {
    let client = env.client();
    client.create("/a", b"x").wait().unwrap();
    let reads: Vec<_> = (0..10_000).map(|_| client.get("/a").send()).collect();
    for read in reads {
        assert_eq!(read.wait().unwrap().0, b"x");
    }
    let all_done = eventually(LIMIT, || {
        (client.stats().session.pending_bytes == 0).then_some(())
    });
    assert!(all_done.is_some());
}
