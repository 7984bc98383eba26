//! Those who want to hear of every change of state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zk_session::{State, StateReason};

use crate::Callback;

/// The session has changed its state.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StateChange {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// Why.
    pub reason: StateReason,
}

/// What a listener answers: is it to hear of the next change, too?
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third possibility")]
pub enum Listen {
    /// It stays registered.
    Keep,
    /// It is not called again (kazoo: returning `True`).
    Remove,
}

/// A registered listener, for [`Client::remove_listener`](crate::Client::remove_listener).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ListenerId(u64);

type Function = Box<dyn FnMut(StateChange) -> Listen + Send>;

/// One listener. Its function is taken out while it runs, so that it may remove itself.
pub(crate) struct Listener {
    function: Mutex<Option<Function>>,
    removed: AtomicBool,
}

impl Listener {
    fn call(&self, change: StateChange) {
        if self.removed.load(Ordering::Acquire) {
            return;
        }
        let Some(mut function) = self.function().take() else {
            return;
        };
        // A listener that panics is contained, and goes on listening.
        let answer = catch_unwind(AssertUnwindSafe(|| function(change)));
        if answer.is_err() {
            tracing::error!("a state listener panicked; the client goes on");
        }
        if matches!(answer, Ok(Listen::Remove)) {
            self.removed.store(true, Ordering::Release);
        }
        if !self.removed.load(Ordering::Acquire) {
            *self.function() = Some(function);
        }
    }

    fn function(&self) -> MutexGuard<'_, Option<Function>> {
        self.function.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(crate) struct Listeners {
    next: u64,
    all: Vec<(ListenerId, Arc<Listener>)>,
}

impl Listeners {
    pub(crate) fn add(&mut self, function: Function) -> ListenerId {
        let id = ListenerId(self.next);
        self.next += 1;
        let listener = Listener {
            function: Mutex::new(Some(function)),
            removed: AtomicBool::new(false),
        };
        self.all.push((id, Arc::new(listener)));
        id
    }

    /// Not called any more from now on. Handed back to be dropped without a lock.
    pub(crate) fn remove(&mut self, id: ListenerId) -> Option<Arc<Listener>> {
        let place = self.all.iter().position(|(other, _)| *other == id)?;
        let (_, listener) = self.all.remove(place);
        listener.removed.store(true, Ordering::Release);
        Some(listener)
    }

    /// One call for each, in the order of registration. Those that have removed themselves are
    /// handed back.
    pub(crate) fn calls(&mut self, change: &StateChange) -> (Vec<Callback>, Vec<Arc<Listener>>) {
        let (gone, all): (Vec<_>, Vec<_>) = std::mem::take(&mut self.all)
            .into_iter()
            .partition(|(_, listener)| listener.removed.load(Ordering::Acquire));
        self.all = all;
        let calls = self.all.iter().map(|(_, listener)| {
            let (listener, change) = (Arc::clone(listener), change.clone());
            Callback::new(move || listener.call(change))
        });
        (
            calls.collect(),
            gone.into_iter().map(|(_, listener)| listener).collect(),
        )
    }
}
