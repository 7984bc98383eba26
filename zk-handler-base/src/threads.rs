//! Starting threads, and counting those that run.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use zk_client::Callback;

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
/// up a name. They start when there is something to do, and end when there is not. One that has
/// been busy with the same for too long is made up for.
pub struct BlockingPool {
    name: &'static str,
    threads: Threads,
    limit: usize,
    linger: Duration,
    patience: Duration,
    state: Mutex<State>,
    work: Condvar,
}

type Job = Box<dyn FnOnce() + Send>;

/// After how long a job is no more counted against the limit.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most threads of a pool, those that are made up for included.
const MOST: usize = 64;

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    running: usize,
    idle: usize,
    /// When the jobs under way began.
    begun: Vec<Instant>,
}

impl BlockingPool {
    /// A pool of at most `limit` threads, each of which ends after having had nothing to do for
    /// `linger`. Those that have been busy with one job for more than a second do not count, up to
    /// 64 of them.
    pub fn new(name: &'static str, threads: Threads, limit: usize, linger: Duration) -> Arc<Self> {
        Self::with_patience(name, threads, limit, linger, PATIENCE)
    }

    /// As [`new`](Self::new), with another limit than a second.
    pub(crate) fn with_patience(
        name: &'static str,
        threads: Threads,
        limit: usize,
        linger: Duration,
        patience: Duration,
    ) -> Arc<Self> {
        let (state, work) = (Mutex::default(), Condvar::new());
        Arc::new(Self {
            name,
            threads,
            limit: limit.max(1),
            linger,
            patience,
            state,
            work,
        })
    }

    /// For [`Handler::run_blocking`](zk_client::Handler::run_blocking): a server that they all ask
    /// and that is silent must not cost a thread for each of a thousand clients.
    pub fn for_mechanisms(threads: Threads) -> Arc<Self> {
        Self::new("zk-blocking", threads, 8, Duration::from_millis(100))
    }

    /// Queues what a client's mechanism has to do.
    pub fn run_mechanism(self: &Arc<Self>, work: Callback) {
        if let Err(error) = self.run(move || work.run()) {
            tracing::warn!(%error, "cannot start a thread for a SASL mechanism: the attempt will fail");
        }
    }

    /// Queues `job`. It is dropped unrun if there is no thread and none can be started.
    pub fn run(self: &Arc<Self>, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.queue.push_back(Box::new(job));
        self.staff(state)
    }

    /// Somebody waits: makes up for threads that have been busy for too long, if jobs wait.
    pub fn hurry(self: &Arc<Self>) {
        let state = lock(&self.state);
        if !state.queue.is_empty() && state.running > 0 {
            // With a thread running, none that is missing matters.
            let _ = self.staff(state);
        }
    }

    /// Sees to it that somebody does what is queued.
    fn staff(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> io::Result<()> {
        if state.queue.len() <= state.idle {
            self.work.notify_one();
            return Ok(());
        }
        let stuck = |begun: &&Instant| begun.elapsed() > self.patience;
        let stuck = state.begun.iter().filter(stuck).count();
        if state.running >= (self.limit + stuck).min(self.limit.max(MOST)) {
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
                let begun = Instant::now();
                state.begun.push(begun);
                drop(state);
                if contained(job).is_none() {
                    tracing::error!(pool = self.name, "a blocking job panicked");
                }
                state = lock(&self.state);
                // Of equal ones it does not matter which goes.
                if let Some(place) = state.begun.iter().position(|other| *other == begun) {
                    state.begun.swap_remove(place);
                }
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
