//! All interleavings of the two sides of a result, by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p zk-client --lib --release loom`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;

use crate::{AsyncResult, Error};

/// The waiter is woken, whenever the result comes.
#[test]
fn loom_a_result_reaches_its_waiter() {
    loom::model(|| {
        let (completer, result) = AsyncResult::pair();
        let producer = thread::spawn(move || completer.complete(Ok(7)));
        assert_eq!(block_on(result), Ok(7));
        producer.join().unwrap();
    });
}

/// Nobody hangs when the producer gives up.
#[test]
fn loom_a_dropped_completer_closes() {
    loom::model(|| {
        let (completer, result) = AsyncResult::<()>::pair();
        let producer = thread::spawn(move || drop(completer));
        assert_eq!(block_on(result), Err(Error::Closed { sent: false }));
        producer.join().unwrap();
    });
}

/// A callback that is registered while the result comes is called exactly once.
#[test]
fn loom_a_callback_is_called_once() {
    loom::model(|| {
        let calls = StdArc::new(AtomicUsize::new(0));
        let (completer, result) = AsyncResult::pair();
        let producer = thread::spawn(move || completer.complete(Ok(7)));
        let counted = StdArc::clone(&calls);
        result.on_complete(move |result| {
            assert_eq!(result, Ok(7));
            counted.fetch_add(1, Ordering::Relaxed);
        });
        producer.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

/// A value that nobody takes is dropped exactly once.
#[test]
fn loom_a_dropped_result_leaks_nothing() {
    struct Counted(StdArc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    loom::model(|| {
        let drops = StdArc::new(AtomicUsize::new(0));
        let (completer, result) = AsyncResult::pair();
        let value = Counted(StdArc::clone(&drops));
        let producer = thread::spawn(move || completer.complete(Ok(value)));
        drop(result);
        producer.join().unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

/// The producer hears that nobody waits any more.
#[test]
fn loom_cancelling_wakes_the_producer() {
    loom::model(|| {
        let (mut completer, result) = AsyncResult::<()>::pair();
        let consumer = thread::spawn(move || drop(result));
        block_on(std::future::poll_fn(|cx| completer.poll_cancelled(cx)));
        assert!(completer.is_cancelled());
        consumer.join().unwrap();
    });
}

/// A result that moves to another task wakes the task that polled it last.
#[test]
fn loom_the_last_waker_counts() {
    loom::model(|| {
        let (completer, mut result) = AsyncResult::pair();
        let producer = thread::spawn(move || completer.complete(Ok(7)));
        let mut elsewhere = Context::from_waker(Waker::noop());
        let first = Pin::new(&mut result).poll(&mut elsewhere);
        let answer = match first {
            Poll::Ready(answer) => answer,
            Poll::Pending => block_on(result),
        };
        assert_eq!(answer, Ok(7));
        producer.join().unwrap();
    });
}
