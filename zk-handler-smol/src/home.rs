//! [`Home`]: where a handler's tasks run, and on which threads that is.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use async_executor::Executor;
use zk_client::Task;
use zk_handler_base::{Base, Threads, lock};

/// A thread of its own, or somebody's executor.
pub(crate) struct Home {
    place: Place,
    shared: Arc<Shared>,
}

enum Place {
    Own(Threads),
    Given(Box<dyn Fn(Task) + Send + Sync>),
}

/// What the home shares with its tasks.
struct Shared {
    id: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: usize,
    /// Of the thread of its own, while there is one.
    executor: Option<Arc<Executor<'static>>>,
    /// Who waits for there to be no task.
    idle: Option<Waker>,
    /// Threads that have polled a task.
    threads: Vec<ThreadId>,
}

thread_local! {
    /// The home whose task this thread has polled last.
    static LAST: Cell<u64> = const { Cell::new(0) };
}

impl Home {
    /// A thread of its own, which is there while there are tasks.
    pub(crate) fn own(base: &Base) -> Self {
        Self::at(Place::Own(base.threads.clone()))
    }

    /// An executor of somebody else's.
    pub(crate) fn given(spawn: Box<dyn Fn(Task) + Send + Sync>) -> Self {
        Self::at(Place::Given(spawn))
    }

    fn at(place: Place) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let shared = Arc::new(Shared {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            state: Mutex::default(),
        });
        Self { place, shared }
    }

    /// Runs a task to its end.
    pub(crate) fn spawn(&self, task: Task) -> io::Result<()> {
        let mut state = lock(&self.shared.state);
        let executor = match &self.place {
            Place::Given(_) => None,
            Place::Own(threads) => Some(match &state.executor {
                Some(executor) => Arc::clone(executor),
                None => {
                    let executor = self.start(threads)?;
                    state.executor = Some(Arc::clone(&executor));
                    executor
                }
            }),
        };
        state.tasks += 1;
        drop(state);
        let task = Resident {
            task: Some(task),
            shared: Arc::clone(&self.shared),
        };
        match (&self.place, executor) {
            (Place::Given(spawn), _) => spawn(Task::new(task)),
            (_, Some(executor)) => executor.spawn(task).detach(),
            (Place::Own(_), None) => {}
        }
        Ok(())
    }

    /// How many tasks there are.
    pub(crate) fn tasks(&self) -> usize {
        lock(&self.shared.state).tasks
    }

    /// Do tasks run on this thread?
    pub(crate) fn is_here(&self) -> bool {
        let this = thread::current().id();
        LAST.get() == self.shared.id || lock(&self.shared.state).threads.contains(&this)
    }

    fn start(&self, threads: &Threads) -> io::Result<Arc<Executor<'static>>> {
        let executor = Arc::<Executor<'static>>::default();
        let (shared, running) = (Arc::clone(&self.shared), Arc::clone(&executor));
        threads.spawn("zk-smol", move || {
            // What the tasks contain, they contain themselves.
            async_io::block_on(running.run(poll_fn(|cx| shared.poll_idle(cx))));
        })?;
        Ok(executor)
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("own", &matches!(self.place, Place::Own(_)))
            .field("tasks", &self.tasks())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Waits until there is no task; then the next one finds no executor.
    fn poll_idle(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.tasks > 0 {
            let before = state.idle.replace(cx.waker().clone());
            drop(state);
            drop(before);
            return Poll::Pending;
        }
        state.threads.clear();
        let ended = state.executor.take();
        drop(state);
        drop(ended);
        Poll::Ready(())
    }

    fn polled_here(&self) {
        if LAST.replace(self.id) == self.id {
            return;
        }
        let this = thread::current().id();
        let mut state = lock(&self.state);
        if !state.threads.contains(&this) {
            state.threads.push(this);
        }
    }

    fn task_ended(&self) {
        let mut state = lock(&self.state);
        state.tasks -= 1;
        let idle = if state.tasks == 0 {
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

/// A task, which is counted while it is there.
struct Resident {
    /// `None` after its end.
    task: Option<Task>,
    shared: Arc<Shared>,
}

impl Future for Resident {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.polled_here();
        let Some(task) = &mut self.task else {
            return Poll::Ready(());
        };
        // It would end the thread, and all other tasks with it.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(task).poll(cx)));
        polled.unwrap_or_else(|_| {
            tracing::error!("a background task panicked and has ended");
            Poll::Ready(())
        })
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        // The task first: who sees no task sees all that its drop does.
        let task = self.task.take();
        if catch_unwind(AssertUnwindSafe(|| drop(task))).is_err() {
            tracing::error!("dropping a background task panicked");
        }
        self.shared.task_ended();
    }
}
