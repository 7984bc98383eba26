//! [`Completer`]: who delivers a result.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Hold, State, lock, settle};
use crate::Error;

/// The producing side of an [`AsyncResult`](crate::AsyncResult). Dropped without a result it delivers
/// [`Error::Closed`], so that nobody waits in vain.
#[must_use = "dropping the completer fails the result"]
pub struct Completer<T: Send + 'static> {
    pub(super) slot: Arc<dyn Hold<T>>,
    pub(super) over: bool,
}

impl<T: Send + 'static> Completer<T> {
    /// Delivers the result.
    pub fn complete(mut self, result: Result<T, Error>) {
        self.over = true;
        settle(&*self.slot, result).run();
    }

    /// Does nobody want the result any more? A detached one still counts as wanted.
    pub fn is_cancelled(&self) -> bool {
        matches!(*lock(self.slot.state()), State::Cancelled)
    }

    /// Ready once nobody wants the result any more.
    pub fn poll_cancelled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = lock(self.slot.state());
        let (poll, before) = match &mut *state {
            State::Cancelled => (Poll::Ready(()), Some(waker)),
            State::Pending { producer, .. } => (Poll::Pending, producer.replace(waker)),
            State::Callback { .. } | State::Ready(_) | State::Taken | State::Detached => {
                (Poll::Pending, Some(waker))
            }
        };
        drop(state);
        drop(before);
        poll
    }
}

impl<T: Send + 'static> Drop for Completer<T> {
    fn drop(&mut self) {
        if !self.over {
            settle(&*self.slot, Err(Error::Closed { sent: false })).run();
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Completer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Completer(..)")
    }
}
