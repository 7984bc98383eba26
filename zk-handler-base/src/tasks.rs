//! [`Tasks`]: a handler's tasks on an async runtime. Counted, kept from taking one another along when
//! they panic, and known by the threads that poll them.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use zk_client::Task;

use crate::threads::{contained, lock};

/// The tasks of one handler that are there. Clones are of the same.
#[derive(Clone)]
pub struct Tasks(Arc<Shared>);

struct Shared {
    id: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    /// Who waits for there to be none.
    idle: Option<Waker>,
    /// Threads that have polled one.
    threads: Vec<ThreadId>,
}

thread_local! {
    /// Whose task this thread has polled last.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

impl Tasks {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(Arc::new(Shared {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            state: Mutex::default(),
        }))
    }

    /// How many there are.
    pub fn running(&self) -> usize {
        lock(&self.0.state).running
    }

    /// Has this thread polled one of them?
    pub fn were_polled_here(&self) -> bool {
        let this = thread::current().id();
        LAST.get() == self.0.id || lock(&self.0.state).threads.contains(&this)
    }

    /// Waits until there is none. Then `end` is called, before there can be another one.
    pub fn poll_idle(&self, cx: &Context<'_>, end: impl FnOnce()) -> Poll<()> {
        let mut state = lock(&self.0.state);
        if state.running > 0 {
            let before = state.idle.replace(cx.waker().clone());
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        state.threads.clear();
        end();
        Poll::Ready(())
    }

    /// The same task, which is one of these until it is dropped.
    pub(crate) fn adopt(&self, task: Task) -> Task {
        lock(&self.0.state).running += 1;
        Task::new(Counted {
            task: Some(task),
            tasks: self.clone(),
        })
    }

    fn polled_here(&self) {
        if LAST.replace(self.0.id) == self.0.id {
            return;
        }
        let this = thread::current().id();
        let mut state = lock(&self.0.state);
        if !state.threads.contains(&this) {
            state.threads.push(this);
        }
    }

    fn ended(&self) {
        let mut state = lock(&self.0.state);
        state.running -= 1;
        let idle = if state.running == 0 {
            state.idle.take()
        } else {
            None
        };
        drop(state);
        if let Some(idle) = idle {
            idle.wake();
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tasks({})", self.running())
    }
}

struct Counted {
    /// `None` after its end.
    task: Option<Task>,
    tasks: Tasks,
}

impl Future for Counted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.tasks.polled_here();
        let Some(task) = &mut self.task else {
            return Poll::Ready(());
        };
        // It could end the thread, and all other tasks with it.
        contained(|| Pin::new(task).poll(cx)).unwrap_or_else(|| {
            tracing::error!("a background task panicked and has ended");
            Poll::Ready(())
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // The task first: who sees no task sees all that its drop does.
        let task = self.task.take();
        if contained(|| drop(task)).is_none() {
            tracing::error!("dropping a background task panicked");
        }
        self.tasks.ended();
    }
}
