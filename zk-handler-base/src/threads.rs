//! Starting threads, and counting those that run.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io, thread};

/// Locks. A panic elsewhere does not matter: nothing that these locks protect is left half done
/// by code that can panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs code of others. `None`: it has panicked.
pub(crate) fn contained<T>(code: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(value) => Some(value),
        Err(panic) => {
            // Its drop could panic again.
            std::mem::forget(panic);
            None
        }
    }
}

/// The threads of one handler.
#[derive(Clone, Debug, Default)]
pub struct Threads(Arc<AtomicUsize>);

impl Threads {
    /// Runs `body` on a thread of its own.
    pub fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&self.0));
        let body = move || {
            let _counted = counted;
            body();
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map(drop)
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A few threads for what the operating system only offers as a call that blocks, such as looking
/// up a name. They start when there is something to do, and end when there is not.
pub struct BlockingPool {
    name: &'static str,
    threads: Threads,
    limit: usize,
    linger: Duration,
    state: Mutex<State>,
    work: Condvar,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    running: usize,
    idle: usize,
}

impl BlockingPool {
    /// A pool of at most `limit` threads, each of which ends after having had nothing to do for
    /// `linger`.
    pub fn new(name: &'static str, threads: Threads, limit: usize, linger: Duration) -> Arc<Self> {
        let (state, work) = (Mutex::default(), Condvar::new());
        Arc::new(Self {
            name,
            threads,
            limit: limit.max(1),
            linger,
            state,
            work,
        })
    }

    /// Queues `job`. It is dropped unrun if there is no thread and none can be started.
    pub fn run(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.queue.push_back(Box::new(job));
        if state.queue.len() <= state.idle {
            self.work.notify_one();
            return Ok(());
        }
        if state.running >= self.limit {
            return Ok(());
        }
        state.running += 1;
        let pool = Arc::clone(self);
        let Err(error) = self.threads.spawn(self.name, move || pool.work()) else {
            return Ok(());
        };
        state.running -= 1;
        if state.running > 0 {
            return Ok(());
        }
        let orphans = std::mem::take(&mut state.queue);
        drop(state);
        drop(orphans);
        Err(error)
    }

    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                if contained(job).is_none() {
                    tracing::error!(pool = self.name, "a blocking job panicked");
                }
                state = lock(&self.state);
                continue;
            }
            state.idle += 1;
            let idle = |state: &mut State| state.queue.is_empty();
            let waited = self.work.wait_timeout_while(state, self.linger, idle);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
            if state.queue.is_empty() {
                state.running -= 1;
                return;
            }
        }
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
