//! [`Cell`]: a value, and those who wait for it to change.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A value that can be waited for.
#[derive(Debug)]
pub(crate) struct Cell<T>(Mutex<Inside<T>>);

#[derive(Debug)]
struct Inside<T> {
    value: T,
    version: u64,
    wakers: Vec<Waker>,
}

/// Which value somebody has seen last; at first, none.
#[derive(Debug, Default)]
pub(crate) struct Seen(u64);

impl<T: Clone> Cell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(Inside {
            value,
            version: 1,
            wakers: Vec::new(),
        }))
    }

    pub(crate) fn get(&self) -> T {
        self.lock().value.clone()
    }

    /// Changes the value by `f`, and wakes everybody if that answers `true`.
    pub(crate) fn update(&self, f: impl FnOnce(&mut T) -> bool) {
        let wakers = {
            let mut inside = self.lock();
            if !f(&mut inside.value) {
                return;
            }
            inside.version += 1;
            std::mem::take(&mut inside.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Sets the value. The same as before is no news.
    pub(crate) fn set(&self, value: T)
    where
        T: PartialEq,
    {
        self.update(|old| {
            let news = *old != value;
            *old = value;
            news
        });
    }

    /// The value, when it is another than the one seen last.
    pub(crate) async fn next(&self, seen: &mut Seen) -> T {
        poll_fn(|cx| self.poll_next(cx, seen)).await
    }

    /// The value, if it is another than the one seen last.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>, seen: &mut Seen) -> Poll<T> {
        let mut inside = self.lock();
        if inside.version != seen.0 {
            seen.0 = inside.version;
            return Poll::Ready(inside.value.clone());
        }
        let waits = |waker: &Waker| waker.will_wake(cx.waker());
        if !inside.wakers.iter().any(waits) {
            inside.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
