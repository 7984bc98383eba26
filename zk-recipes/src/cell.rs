//! [`Cell`]: a value, and those who wait for it to change.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use crate::signal::{Listening, Signal};

/// A value that can be waited for.
pub(crate) struct Cell<T> {
    inside: Mutex<Inside<T>>,
    signal: Arc<Signal>,
}

struct Inside<T> {
    value: T,
    version: u64,
}

/// Which value somebody has seen last; at first, none.
#[derive(Debug, Default)]
pub(crate) struct Seen(u64);

impl<T: Clone> Cell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            inside: Mutex::new(Inside { value, version: 1 }),
            signal: Arc::default(),
        }
    }

    pub(crate) fn get(&self) -> T {
        self.lock().value.clone()
    }

    /// Changes the value by `f`, and wakes everybody if that answers `true`.
    pub(crate) fn update(&self, f: impl FnOnce(&mut T) -> bool) {
        {
            let mut inside = self.lock();
            if !f(&mut inside.value) {
                return;
            }
            inside.version += 1;
        }
        self.signal.raise();
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
        let mut listening = Listening::to(&self.signal);
        poll_fn(|cx| {
            listening.register(cx.waker());
            let inside = self.lock();
            if inside.version == seen.0 {
                return Poll::Pending;
            }
            seen.0 = inside.version;
            Poll::Ready(inside.value.clone())
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Wake, Waker};

    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    /// Who waits again and again, each time from another task, leaves none of them behind.
    #[test]
    fn only_the_last_waker_of_whoever_waits_is_kept() {
        let cell = Cell::new(1);
        let mut seen = Seen::default();
        let wakers: Vec<_> = (0..3).map(|_| Arc::new(Nobody)).collect();
        {
            let mut twice = pin!(async {
                cell.next(&mut seen).await;
                cell.next(&mut seen).await
            });
            for waker in &wakers {
                let waker = Waker::from(Arc::clone(waker));
                let polled = twice.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(polled.is_pending());
            }
            let kept: Vec<_> = wakers.iter().map(Arc::strong_count).collect();
            assert_eq!(kept, [1, 1, 2]);
        }
        assert_eq!(Arc::strong_count(&wakers[2]), 1);
    }
}
