//! Waiting for a future on a plain thread: the thread parks, the future's waker unparks it.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// Runs `future` on this thread until it is done. The thread sleeps while there is nothing to do.
///
/// Needs no runtime, and knows none: it does not ask whether this thread may block.
/// [`Client::block_on`](crate::Client::block_on) does.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match park_until(future.as_mut(), || Some(None)) {
        Some(output) => output,
        None => unreachable!("a wait without a limit ended without a result"),
    }
}

/// Polls `future` until it is done, or until `remaining` answers `None`. Between polls the thread
/// parks, at most as long as `remaining` says (`Some(None)`: without limit).
pub(crate) fn park_until<F: Future>(
    mut future: Pin<&mut F>,
    mut remaining: impl FnMut() -> Option<Option<Duration>>,
) -> Option<F::Output> {
    let parker = Lease::take();
    let mut cx = Context::from_waker(&parker.waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        match remaining()? {
            None => parker.signal.park(),
            Some(limit) => parker.signal.park_timeout(limit),
        }
    }
}

/// Wakes one thread. Remembers a wake that comes before the thread parks.
struct Signal {
    thread: Thread,
    raised: AtomicBool,
}

impl Signal {
    fn park(&self) {
        while !self.raised.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }

    /// May return early: the caller looks again.
    fn park_timeout(&self, limit: Duration) {
        if !self.raised.swap(false, Ordering::Acquire) {
            thread::park_timeout(limit);
            self.raised.store(false, Ordering::Release);
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.raised.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

#[derive(Clone)]
struct Parker {
    signal: Arc<Signal>,
    waker: Waker,
}

thread_local! {
    /// This thread's parker while nobody uses it, so that a wait allocates nothing.
    static PARKER: Cell<Option<Parker>> = const { Cell::new(None) };
}

/// The thread's parker, on loan. A wait inside of another one's future gets a parker of its own:
/// with a shared one it would eat the outer wait's wakes.
struct Lease(Option<Parker>);

impl Lease {
    fn take() -> Self {
        let idle = PARKER.try_with(Cell::take).ok().flatten();
        Self(Some(idle.unwrap_or_else(|| {
            let signal = Arc::new(Signal {
                thread: thread::current(),
                raised: AtomicBool::new(false),
            });
            let waker = Waker::from(Arc::clone(&signal));
            Parker { signal, waker }
        })))
    }
}

impl std::ops::Deref for Lease {
    type Target = Parker;

    fn deref(&self) -> &Parker {
        self.0
            .as_ref()
            .expect("the parker is there until the lease is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The thread-local may be gone while the thread ends; then so is the parker.
        let _ = PARKER.try_with(|idle| idle.set(self.0.take()));
    }
}

#[cfg(test)]
#[cfg(not(loom))]
#[expect(
    clippy::disallowed_methods,
    reason = "a wake from elsewhere takes another thread"
)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn wakes_from_another_thread_end_the_wait() {
        let mut other = None;
        let mut polls = 0;
        let answer = block_on(poll_fn(|cx| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(42);
            }
            let waker = cx.waker().clone();
            other = Some(thread::spawn(move || waker.wake()));
            Poll::Pending
        }));
        assert_eq!(answer, 42);
        other.unwrap().join().unwrap();
    }

    #[test]
    fn a_wait_inside_of_a_wait_does_not_eat_its_wake() {
        let mut polls = 0;
        block_on(poll_fn(|cx| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            let mut inner = 0;
            block_on(poll_fn(|cx| {
                inner += 1;
                cx.waker().wake_by_ref();
                if inner > 3 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
            Poll::Pending
        }));
        assert_eq!(polls, 2);
    }

    #[test]
    fn a_limit_ends_the_wait() {
        let mut asked = 0;
        let never = pin!(std::future::pending::<()>());
        let done = park_until(never, || {
            asked += 1;
            (asked < 3).then_some(Some(Duration::from_micros(10)))
        });
        assert_eq!(done, None);
    }
}
