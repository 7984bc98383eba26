//! Those who want to hear what a cache sees.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use zk_client::{AsyncResult, Client, Listen};

use super::CacheEvent;

type Function = Box<dyn FnMut(&CacheEvent) -> Listen + Send>;

/// Events that a stream keeps for its reader.
const CAPACITY: usize = 4096;

/// All who listen to one cache.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    functions: Vec<Function>,
    feeds: Vec<Weak<Feed>>,
}

impl Listeners {
    pub(crate) fn add(&self, function: Function) {
        lock(&self.0).functions.push(function);
    }

    pub(crate) fn feed(&self) -> Arc<Feed> {
        let feed = Arc::new(Feed::default());
        lock(&self.0).feeds.push(Arc::downgrade(&feed));
        feed
    }

    /// Does anybody listen?
    pub(crate) fn any(&self) -> bool {
        let inside = lock(&self.0);
        !inside.functions.is_empty() || !inside.feeds.is_empty()
    }

    /// Tells everybody. What it gives is there when all functions have returned: who is slow slows the
    /// cache down, and not its memory up.
    pub(crate) fn tell(
        self: &Arc<Self>,
        client: &Client,
        events: Vec<CacheEvent>,
    ) -> Option<AsyncResult<()>> {
        let (feeds, functions) = {
            let mut inside = lock(&self.0);
            inside.feeds.retain(|feed| feed.strong_count() > 0);
            let feeds: Vec<_> = inside.feeds.iter().filter_map(Weak::upgrade).collect();
            (feeds, mem::take(&mut inside.functions))
        };
        for feed in feeds {
            feed.put(&events);
        }
        if functions.is_empty() {
            return None;
        }
        let (completer, done) = AsyncResult::pair();
        let listeners = Arc::clone(self);
        client.dispatch(move || {
            listeners.call(functions, &events);
            completer.complete(Ok(()));
        });
        Some(done)
    }

    fn call(&self, functions: Vec<Function>, events: &[CacheEvent]) {
        let mut kept = Vec::with_capacity(functions.len());
        for mut function in functions {
            let keeps = events.iter().all(|event| {
                let answer = catch_unwind(AssertUnwindSafe(|| function(event)));
                if answer.is_err() {
                    tracing::error!("a listener of a cache panicked; the cache goes on");
                }
                !matches!(answer, Ok(Listen::Remove))
            });
            if keeps {
                kept.push(function);
            }
        }
        let mut inside = lock(&self.0);
        // Those that were added meanwhile come behind.
        kept.append(&mut inside.functions);
        inside.functions = kept;
    }
}

/// Events on their way to a stream's reader.
#[derive(Default)]
pub(crate) struct Feed(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    events: VecDeque<CacheEvent>,
    waker: Option<Waker>,
}

impl Feed {
    fn put(&self, events: &[CacheEvent]) {
        let waker = {
            let mut queue = lock(&self.0);
            if queue.events.len() + events.len() > CAPACITY {
                queue.events.clear();
                queue.events.push_back(CacheEvent::Lagged);
            }
            let room = CAPACITY - queue.events.len();
            queue.events.extend(events.iter().take(room).cloned());
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) async fn next(&self) -> CacheEvent {
        poll_fn(|cx| {
            let mut queue = lock(&self.0);
            match queue.events.pop_front() {
                Some(event) => Poll::Ready(event),
                None => {
                    let before = queue.waker.replace(cx.waker().clone());
                    drop(queue);
                    drop(before);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
