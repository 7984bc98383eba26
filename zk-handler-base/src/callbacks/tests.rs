use std::future::{Future, poll_fn};
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::time::Instant;

use zk_client::Task;

use super::*;

const SOON: Duration = Duration::from_secs(60);
/// So long that a test which relies on it not to pass fails for its other deadlines first.
const NEVER: Duration = Duration::from_secs(3600);

const LIMITS: Limits = Limits {
    parallel: 2,
    workers: 64,
    patience: Duration::from_millis(5),
    linger: NEVER,
};

fn workers(limits: Limits) -> (Arc<Workers>, Threads) {
    let threads = Threads::default();
    (Workers::new(limits, threads.clone()), threads)
}

fn callback(run: impl FnOnce() + Send + 'static) -> Callback {
    Callback::new(run)
}

/// A callback that says that it runs, and then blocks until told to go on, with or without saying
/// so to the workers.
fn blocker(says_so: bool) -> (Callback, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (running, runs) = mpsc::channel();
    let (go_on, told) = mpsc::channel();
    let callback = callback(move || {
        running.send(()).unwrap();
        if says_so {
            Workers::about_to_block();
        }
        let _ = told.recv();
    });
    (callback, runs, go_on)
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn callbacks_of_one_client_run_in_order_and_one_at_a_time() {
    let (workers, _) = workers(LIMITS);
    let (send, received) = mpsc::channel();
    let running = Arc::new(AtomicUsize::new(0));
    for number in 0..10_000 {
        let (send, running) = (send.clone(), Arc::clone(&running));
        workers.dispatch(
            1,
            callback(move || {
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                send.send(number).unwrap();
                running.fetch_sub(1, Ordering::SeqCst);
            }),
        );
    }
    for number in 0..10_000 {
        assert_eq!(received.recv_timeout(SOON), Ok(number));
    }
}

#[test]
fn callbacks_of_different_clients_run_in_parallel() {
    let (workers, _) = workers(Limits {
        patience: NEVER,
        ..LIMITS
    });
    // Each of two waits for the other.
    let (to_a, at_a) = mpsc::channel();
    let (to_b, at_b) = mpsc::channel();
    let (done, ends) = mpsc::channel();
    let done_too = done.clone();
    workers.dispatch(
        1,
        callback(move || {
            to_b.send(()).unwrap();
            at_a.recv().unwrap();
            done.send(()).unwrap();
        }),
    );
    workers.dispatch(
        2,
        callback(move || {
            to_a.send(()).unwrap();
            at_b.recv().unwrap();
            done_too.send(()).unwrap();
        }),
    );
    ends.recv_timeout(SOON).unwrap();
    ends.recv_timeout(SOON).unwrap();
}

#[test]
fn a_worker_that_says_it_blocks_is_made_up_for_at_once() {
    let (workers, threads) = workers(Limits {
        patience: NEVER,
        ..LIMITS
    });
    workers.loop_started();
    let mut blocked = Vec::new();
    for client in 0..20 {
        let (callback, runs, go_on) = blocker(true);
        workers.dispatch(client, callback);
        runs.recv_timeout(SOON).expect("the next worker runs it");
        blocked.push(go_on);
    }
    let (send, received) = mpsc::channel();
    workers.dispatch(100, callback(move || send.send(()).unwrap()));
    received.recv_timeout(SOON).unwrap();
    assert!(threads.running() >= 20);
    drop(blocked);
    until("all have come back", || lock(&workers.state).blocked == 0);
    workers.loop_ended();
    until("all workers go, as no loop runs", || threads.running() == 0);
}

#[test]
fn the_standby_makes_up_for_workers_that_do_not_say_so() {
    let (workers, threads) = workers(LIMITS);
    let mut blocked = Vec::new();
    for client in 0..10 {
        let (callback, runs, go_on) = blocker(false);
        workers.dispatch(client, callback);
        runs.recv_timeout(SOON).expect("somebody runs it");
        blocked.push(go_on);
    }
    drop(blocked);
    until("all workers go, as no loop runs", || threads.running() == 0);
}

#[test]
fn the_standby_does_not_step_in_while_work_is_taken() {
    let patience = Duration::from_secs(5);
    let (workers, threads) = workers(Limits {
        parallel: 1,
        patience,
        ..LIMITS
    });
    let (send, received) = mpsc::channel();
    for client in 0..2_000 {
        let send = send.clone();
        workers.dispatch(client, callback(move || send.send(()).unwrap()));
    }
    for _ in 0..2_000 {
        received.recv_timeout(SOON).unwrap();
        assert!(threads.running() <= 2, "one worker and the standby");
    }
}

#[test]
fn there_are_never_more_workers_than_allowed() {
    let limits = Limits {
        parallel: 2,
        workers: 5,
        ..LIMITS
    };
    let (workers, threads) = workers(limits);
    let blocked: Vec<_> = (0..5)
        .map(|client| {
            let (callback, runs, go_on) = blocker(client % 2 == 0);
            workers.dispatch(client, callback);
            runs.recv_timeout(SOON).unwrap();
            go_on
        })
        .collect();
    let (send, received) = mpsc::channel();
    workers.dispatch(100, callback(move || send.send(()).unwrap()));
    assert_eq!(
        received.recv_timeout(limits.patience * 4),
        Err(mpsc::RecvTimeoutError::Timeout)
    );
    assert_eq!(threads.running(), 5);
    drop(blocked);
    received
        .recv_timeout(SOON)
        .expect("it runs as soon as a worker is free");
}

#[test]
fn a_panic_does_not_take_the_next_callback_along() {
    let (workers, _) = workers(LIMITS);
    let (send, received) = mpsc::channel();
    workers.dispatch(1, callback(|| panic!("as the test wants it")));
    workers.dispatch(1, callback(move || send.send(()).unwrap()));
    received.recv_timeout(SOON).unwrap();
}

#[test]
fn idle_workers_stay_while_a_loop_runs_and_go_with_the_last() {
    let (workers, threads) = workers(LIMITS);
    workers.loop_started();
    workers.loop_started();
    let (send, received) = mpsc::channel();
    workers.dispatch(1, callback(move || send.send(()).unwrap()));
    received.recv_timeout(SOON).unwrap();
    until("the worker is idle", || lock(&workers.state).idle == 1);
    workers.loop_ended();
    assert_eq!(threads.running(), 1);
    workers.loop_ended();
    until("the worker goes", || threads.running() == 0);
    assert!(lock(&workers.state).queues.is_empty());
}

#[test]
fn idle_workers_go_after_a_while() {
    let (workers, threads) = workers(Limits {
        linger: Duration::from_millis(1),
        ..LIMITS
    });
    workers.loop_started();
    workers.dispatch(1, callback(|| {}));
    until("the worker goes", || threads.running() == 0);
    let (send, received) = mpsc::channel();
    workers.dispatch(1, callback(move || send.send(()).unwrap()));
    received.recv_timeout(SOON).expect("another one comes");
}

#[test]
fn a_callback_that_dispatches_comes_before_what_it_dispatches() {
    let (workers, _) = workers(LIMITS);
    let (send, received) = mpsc::channel();
    let again = Arc::clone(&workers);
    workers.dispatch(
        1,
        callback(move || {
            let inner = send.clone();
            again.dispatch(1, callback(move || inner.send(2).unwrap()));
            send.send(1).unwrap();
        }),
    );
    assert_eq!(received.recv_timeout(SOON), Ok(1));
    assert_eq!(received.recv_timeout(SOON), Ok(2));
}

// Tasks. ---------------------------------------------------------------------------------------

fn spawn(workers: &Arc<Workers>, future: impl Future<Output = ()> + Send + 'static) {
    RunningTask::start(workers, Task::new(future));
}

/// A future that hands its waker out when it is polled, and ends at the given poll.
fn polled(times: usize) -> (impl Future<Output = ()> + Send, mpsc::Receiver<Waker>) {
    let (send, wakers) = mpsc::channel();
    let mut polls = 0;
    let future = poll_fn(move |cx| {
        polls += 1;
        send.send(cx.waker().clone()).unwrap();
        if polls == times {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    (future, wakers)
}

#[test]
fn tasks_are_polled_once_for_each_wake() {
    let (workers, _) = workers(LIMITS);
    let (future, wakers) = polled(3);
    spawn(&workers, future);
    let first = wakers.recv_timeout(SOON).unwrap();
    first.wake_by_ref();
    let second = wakers.recv_timeout(SOON).unwrap();
    second.wake();
    let _third = wakers.recv_timeout(SOON).unwrap();
    first.wake();
    assert_eq!(
        wakers.recv_timeout(SOON).unwrap_err(),
        mpsc::RecvTimeoutError::Disconnected
    );
}

#[test]
fn a_task_that_is_woken_while_it_is_polled_is_polled_again() {
    let (workers, _) = workers(LIMITS);
    let (done, ends) = mpsc::channel();
    let mut polls = 0;
    spawn(
        &workers,
        poll_fn(move |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref();
            if polls < 1000 {
                return Poll::Pending;
            }
            done.send(polls).unwrap();
            Poll::Ready(())
        }),
    );
    assert_eq!(ends.recv_timeout(SOON), Ok(1000));
}

#[test]
fn wakes_from_many_threads_are_not_lost() {
    let (workers, _) = workers(LIMITS);
    let (done, ends) = mpsc::channel();
    let count = Arc::new(AtomicUsize::new(0));
    let (seen, slot) = (Arc::clone(&count), Arc::new(Mutex::new(None::<Waker>)));
    let waker = Arc::clone(&slot);
    spawn(
        &workers,
        poll_fn(move |cx| {
            *lock(&waker) = Some(cx.waker().clone());
            if seen.load(Ordering::SeqCst) < 4_000 {
                return Poll::Pending;
            }
            done.send(()).unwrap();
            Poll::Ready(())
        }),
    );
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    count.fetch_add(1, Ordering::SeqCst);
                    if let Some(waker) = &*lock(&slot) {
                        waker.wake_by_ref();
                    }
                }
            });
        }
    });
    ends.recv_timeout(SOON).unwrap();
}

#[test]
fn a_task_that_panics_ends_alone() {
    let (workers, _) = workers(LIMITS);
    struct Told(mpsc::Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (dropped, drops) = mpsc::channel();
    let told = Told(dropped);
    spawn(&workers, async move {
        let _told = told;
        panic!("as the test wants it");
    });
    drops.recv_timeout(SOON).expect("what it held is dropped");
    let (future, wakers) = polled(1);
    spawn(&workers, future);
    let _waker = wakers.recv_timeout(SOON).unwrap();
}

#[test]
fn a_task_that_blocks_does_not_delay_callbacks() {
    let (workers, _) = workers(Limits {
        parallel: 1,
        patience: NEVER,
        ..LIMITS
    });
    let (go_on, told) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel();
    spawn(&workers, async move {
        Workers::about_to_block();
        running.send(()).unwrap();
        let _ = told.recv();
    });
    runs.recv_timeout(SOON).unwrap();
    let (send, received) = mpsc::channel();
    workers.dispatch(1, callback(move || send.send(()).unwrap()));
    received.recv_timeout(SOON).unwrap();
    drop(go_on);
}
