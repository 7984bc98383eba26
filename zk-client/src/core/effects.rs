//! What is left to do when the lock is released.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Waker;

use crate::Callback;
use crate::async_result::After;
use crate::core::inner::Sink;
use crate::core::pending::Complete;

/// Wakers to wake, callbacks to dispatch, values to drop: all of it may run user code.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) wakes: Wakes,
    pub(crate) garbage: Vec<Garbage>,
    /// Is the one who takes this to dispatch the callbacks?
    pub(crate) deliver: bool,
    callbacks: VecDeque<Callback>,
    /// Is somebody dispatching?
    delivering: bool,
}

/// What is dropped only when no lock is held: it may be the user's, or may want to enter again.
#[expect(dead_code, reason = "only held until it is dropped")]
pub(crate) enum Garbage {
    Sink(Sink),
    Value(Box<dyn Any + Send>),
    Complete(Arc<dyn Complete>),
    Waker(Waker),
}

/// Wakers in the order of their events. The first needs no allocation.
#[derive(Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    rest: Vec<Waker>,
}

impl Wakes {
    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.rest.push(waker);
        }
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = Waker> {
        self.first.into_iter().chain(self.rest)
    }
}

impl Effects {
    pub(crate) fn wake(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.wakes.push(waker);
        }
    }

    pub(crate) fn call(&mut self, callback: Callback) {
        self.callbacks.push_back(callback);
    }

    pub(crate) fn discard(&mut self, garbage: Option<Garbage>) {
        self.garbage.extend(garbage);
    }

    /// Takes over what is left to do for a result that was put into its slot.
    pub(crate) fn after(&mut self, after: After, gauge: &Arc<AtomicUsize>) {
        match after {
            After::Nothing => {}
            After::Wake(waker) => self.wakes.push(waker),
            After::Call(callback, origin) => {
                self.call(callback.counted(gauge));
                drop(origin);
            }
            After::Discard(value) => self.garbage.push(Garbage::Value(value)),
        }
    }

    /// What the caller is to do once it has unlocked. Callbacks stay: only one thread at a time
    /// dispatches them.
    pub(crate) fn take(&mut self) -> Option<Self> {
        let deliver = !self.delivering && !self.callbacks.is_empty();
        if self.wakes.is_empty() && self.garbage.is_empty() && !deliver {
            return None;
        }
        self.delivering |= deliver;
        Some(Self {
            wakes: std::mem::take(&mut self.wakes),
            garbage: std::mem::take(&mut self.garbage),
            deliver,
            ..Self::default()
        })
    }

    /// The next callbacks to dispatch; `None` ends the caller's turn.
    pub(crate) fn next_batch(&mut self) -> Option<VecDeque<Callback>> {
        if self.callbacks.is_empty() {
            self.delivering = false;
            return None;
        }
        Some(std::mem::take(&mut self.callbacks))
    }
}
