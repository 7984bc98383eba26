//! [`Cancel`]: gives up all that waits at the moment.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use zk_client::Error;

use crate::signal::{Listening, Signal};

/// How often a recipe's `cancel` was called.
///
/// What waits was begun under one number, and gives up when that has changed. So a cancel ends what
/// waits now, and nothing that is begun later (kazoo: one of an idle lock ends the *next* acquire).
#[derive(Clone, Default)]
pub(crate) struct Cancel {
    count: Arc<AtomicU64>,
    signal: Arc<Signal>,
}

impl Cancel {
    pub(crate) fn raise(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.signal.raise();
    }

    /// `future`, unless it is cancelled first from now on: then it is dropped.
    ///
    /// If both come at once it is cancelled: what the future has is given back.
    pub(crate) fn guard<T, F>(
        &self,
        future: F,
    ) -> impl Future<Output = Result<T, Error>> + Send + use<T, F>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let (begun, cancel) = (self.count.load(Ordering::Acquire), self.clone());
        async move {
            let mut future = pin!(future);
            let mut listening = Listening::to(&cancel.signal);
            poll_fn(|cx| {
                listening.register(cx.waker());
                if cancel.count.load(Ordering::Acquire) != begun {
                    return Poll::Ready(Err(Error::Cancelled));
                }
                future.as_mut().poll(cx)
            })
            .await
        }
    }
}
