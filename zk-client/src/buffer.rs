//! What a stream hands out: a queue that the core fills and one reader empties.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Items on their way to a stream's reader.
pub(crate) struct Buffer<T>(Mutex<Inside<T>>);

struct Inside<T> {
    items: VecDeque<T>,
    waker: Option<Waker>,
    ended: bool,
}

impl<T> Buffer<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Inside {
            items: VecDeque::new(),
            waker: None,
            ended: false,
        }))
    }

    /// Puts something in by way of `put`; hands back whom to wake.
    pub(crate) fn put(&self, put: impl FnOnce(&mut VecDeque<T>)) -> Option<Waker> {
        let mut inside = self.lock();
        put(&mut inside.items);
        inside.waker.take()
    }

    /// Nothing more will come; hands back whom to wake.
    pub(crate) fn end(&self) -> Option<Waker> {
        let mut inside = self.lock();
        inside.ended = true;
        inside.waker.take()
    }

    /// The next item, without waiting.
    pub(crate) fn try_next(&self) -> Option<T> {
        self.lock().items.pop_front()
    }

    /// The next item; `None` after the last.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut fresh = None;
        loop {
            let mut inside = self.lock();
            if let Some(item) = inside.items.pop_front() {
                return Poll::Ready(Some(item));
            }
            if inside.ended {
                return Poll::Ready(None);
            }
            if inside
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                return Poll::Pending;
            }
            if let Some(waker) = fresh.take() {
                let before = inside.waker.replace(waker);
                drop(inside);
                drop(before);
                return Poll::Pending;
            }
            drop(inside);
            fresh = Some(cx.waker().clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
