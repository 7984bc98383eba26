//! [`Signal`]: somebody raises it, and whoever waits looks again.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Wakes all who wait. What has happened is written down elsewhere, before it is raised.
#[derive(Default)]
pub(crate) struct Signal(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Signal {
    pub(crate) fn raise(&self) {
        // On a line of its own: wakers are code of others, and run without the lock.
        let wakers = mem::take(&mut self.lock().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As the waker of a future that several wait for.
impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.raise();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise();
    }
}

/// One who waits. Dropping it leaves nothing behind.
pub(crate) struct Listening {
    signal: Arc<Signal>,
    key: Option<u64>,
}

impl Listening {
    pub(crate) fn to(signal: &Arc<Signal>) -> Self {
        Self {
            signal: Arc::clone(signal),
            key: None,
        }
    }

    /// To be called before looking, so that nothing is missed.
    pub(crate) fn register(&mut self, waker: &Waker) {
        let waker = waker.clone();
        let mut waiting = self.signal.lock();
        let key = self.key.unwrap_or(waiting.next);
        waiting.next = waiting.next.max(key + 1);
        let before = waiting.wakers.insert(key, waker);
        self.key = Some(key);
        drop(waiting);
        drop(before);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = self.signal.lock().wakers.remove(&key);
            drop(waker);
        }
    }
}
