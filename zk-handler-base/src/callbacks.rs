//! The workers: threads that run callbacks, and poll background tasks.
//!
//! Each client has one queue. A queue with something in it is handed to one worker at a time, so
//! the callbacks of one client run in order, one at a time, and those of different clients in
//! parallel.
//!
//! There are as many workers as run well in parallel, and more while some of them do not run. A
//! worker that waits for a result says so ([`Workers::about_to_block`]) and is made up for at once.
//! One that sleeps, or blocks on something else, cannot be told from one that computes. For these
//! there is the standby, a thread that watches while work is waiting: if for some time no worker
//! has taken any, it becomes one more worker. Spare workers end soon, all of them as soon as no
//! client is driven.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::Callback;

use crate::Limits;
use crate::task::RunningTask;
use crate::threads::{Threads, contained, lock};

/// How many callbacks of one client run in a row while others wait.
const BATCH: usize = 128;
/// Empty queues that are kept for reuse.
const SPARE_QUEUES: usize = 64;
/// How long a worker too many stays.
const SHORT_LINGER: Duration = Duration::from_millis(100);

/// The threads for callbacks, and for tasks where no runtime polls them.
pub struct Workers {
    threads: Threads,
    state: Mutex<State>,
    /// For idle workers: there is work, or it is time to go.
    work: Condvar,
    /// For the standby: likewise.
    stalled: Condvar,
    starved: AtomicBool,
}

struct State {
    limits: Limits,
    /// Callbacks by client. A client is here while it has any, or while one runs.
    queues: HashMap<u64, VecDeque<Callback>>,
    spare: Vec<VecDeque<Callback>>,
    ready: VecDeque<Job>,
    /// Counts the jobs that were taken.
    taken: u64,
    /// All workers, the standby included.
    workers: usize,
    idle: usize,
    blocked: usize,
    standby: Standby,
    /// I/O loops that run.
    loops: usize,
    warned: bool,
}

enum Job {
    Callbacks(u64),
    Task(Arc<RunningTask>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standby {
    Absent,
    /// Waits for there to be work that nobody takes at once.
    Resting,
    /// Watches whether somebody takes it.
    Watching,
}

thread_local! {
    /// Whose worker this thread is, and whether it has said that it blocks.
    static WORKER: RefCell<Option<(Arc<Workers>, bool)>> = const { RefCell::new(None) };
}

impl Workers {
    /// None yet.
    pub fn new(limits: Limits, threads: Threads) -> Arc<Self> {
        Arc::new(Self {
            threads,
            state: Mutex::new(State {
                limits,
                queues: HashMap::new(),
                spare: Vec::new(),
                ready: VecDeque::new(),
                taken: 0,
                workers: 0,
                idle: 0,
                blocked: 0,
                standby: Standby::Absent,
                loops: 0,
                warned: false,
            }),
            work: Condvar::new(),
            stalled: Condvar::new(),
            starved: AtomicBool::new(false),
        })
    }

    /// Other limits, from now on.
    pub fn set_limits(&self, limits: Limits) {
        lock(&self.state).limits = limits;
    }

    /// Queues a callback behind those of the same client.
    pub fn dispatch(self: &Arc<Self>, client: u64, callback: Callback) {
        let mut state = lock(&self.state);
        if let Some(queue) = state.queues.get_mut(&client) {
            queue.push_back(callback);
            return;
        }
        let mut queue = state.spare.pop().unwrap_or_default();
        queue.push_back(callback);
        state.queues.insert(client, queue);
        self.push(state, Job::Callbacks(client));
    }

    /// Queues a task to be polled.
    pub fn run_task(self: &Arc<Self>, task: Arc<RunningTask>) {
        self.push(lock(&self.state), Job::Task(task));
    }

    /// This thread is about to wait for something. If it is a worker, another one takes its place.
    pub fn about_to_block() {
        WORKER.with_borrow_mut(|worker| {
            let Some((workers, blocked @ false)) = worker else {
                return;
            };
            *blocked = true;
            let mut state = lock(&workers.state);
            state.blocked += 1;
            workers.rouse(&mut state);
        });
    }

    /// Is this thread one of some handler's workers?
    pub fn is_worker() -> bool {
        WORKER.with_borrow(Option::is_some)
    }

    /// An I/O loop has started: idle workers stay for a while.
    pub fn loop_started(&self) {
        lock(&self.state).loops += 1;
    }

    /// An I/O loop has ended: with the last one, idle workers go.
    pub fn loop_ended(&self) {
        lock(&self.state).loops -= 1;
        self.work.notify_all();
        self.stalled.notify_all();
    }

    /// Is there work, and was no thread to be had for it? The I/O loop then [tries](Self::retry)
    /// again from time to time.
    pub fn is_starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed)
    }

    /// Tries again to start a thread for the work there is.
    pub fn retry(self: &Arc<Self>) {
        self.rouse(&mut lock(&self.state));
    }

    fn push(self: &Arc<Self>, mut state: MutexGuard<'_, State>, job: Job) {
        state.ready.push_back(job);
        self.rouse(&mut state);
    }

    /// Sees to it that somebody takes the work there is.
    fn rouse(self: &Arc<Self>, state: &mut State) {
        let waiting = state.ready.len();
        if waiting == 0 {
            return;
        }
        if waiting <= state.idle {
            self.work.notify_one();
            return;
        }
        let standby = usize::from(state.standby != Standby::Absent);
        let running = state.workers - state.blocked - standby;
        if running < state.limits.parallel && state.workers < state.limits.workers {
            self.start(state, Self::work);
        } else if state.standby == Standby::Resting {
            state.standby = Standby::Watching;
            self.stalled.notify_one();
        } else if state.standby == Standby::Absent {
            if state.workers < state.limits.workers {
                state.standby = Standby::Watching;
                if !self.start(state, Self::stand_by) {
                    state.standby = Standby::Absent;
                }
            } else if !std::mem::replace(&mut state.warned, true) {
                tracing::warn!(
                    workers = state.workers,
                    blocked = state.blocked,
                    "all callback workers are busy or blocked: callbacks wait"
                );
            }
        }
    }

    fn start(self: &Arc<Self>, state: &mut State, body: fn(Arc<Self>)) -> bool {
        state.workers += 1;
        let workers = Arc::clone(self);
        let started = self.threads.spawn("zk-callback", move || body(workers));
        if let Err(error) = &started {
            state.workers -= 1;
            if state.workers == 0 && !self.starved.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "cannot start a thread for callbacks: they wait");
            }
        } else {
            self.starved.store(false, Ordering::Relaxed);
        }
        started.is_ok()
    }

    /// A worker's life.
    fn work(self: Arc<Self>) {
        WORKER.set(Some((Arc::clone(&self), false)));
        let mut batch = VecDeque::new();
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.ready.pop_front() {
                state.taken += 1;
                state.warned = false;
                if state.ready.len() > state.idle {
                    self.rouse(&mut state);
                }
                state = self.run(job, state, &mut batch);
                continue;
            }
            let spare = state.workers > state.limits.parallel + state.blocked;
            let linger = if spare {
                SHORT_LINGER
            } else {
                state.limits.linger
            };
            state.idle += 1;
            state = wait(&self.work, state, linger, |state| {
                state.ready.is_empty() && state.loops > 0
            });
            state.idle -= 1;
            if state.ready.is_empty() {
                state.workers -= 1;
                return;
            }
        }
    }

    fn run<'a>(
        &'a self,
        job: Job,
        mut state: MutexGuard<'a, State>,
        batch: &mut VecDeque<Callback>,
    ) -> MutexGuard<'a, State> {
        match job {
            Job::Task(task) => {
                drop(state);
                contain(|| task.poll());
                self.back_from_job()
            }
            Job::Callbacks(client) => {
                if let Some(queue) = state.queues.get_mut(&client) {
                    if queue.len() <= BATCH {
                        std::mem::swap(queue, batch);
                    } else {
                        batch.extend(queue.drain(..BATCH));
                    }
                }
                drop(state);
                for callback in batch.drain(..) {
                    contain(|| callback.run());
                }
                state = self.back_from_job();
                if state
                    .queues
                    .get(&client)
                    .is_some_and(|queue| !queue.is_empty())
                {
                    state.ready.push_back(Job::Callbacks(client));
                } else if let Some(queue) = state.queues.remove(&client) {
                    if state.spare.len() < SPARE_QUEUES && queue.capacity() <= BATCH {
                        state.spare.push(queue);
                    }
                }
                state
            }
        }
    }

    fn back_from_job(&self) -> MutexGuard<'_, State> {
        let blocked = WORKER.with_borrow_mut(|worker| {
            worker
                .as_mut()
                .is_some_and(|(_, blocked)| std::mem::take(blocked))
        });
        let mut state = lock(&self.state);
        state.blocked -= usize::from(blocked);
        state
    }

    /// The standby's life.
    fn stand_by(self: Arc<Self>) {
        let mut state = lock(&self.state);
        loop {
            if state.ready.is_empty() {
                state.standby = Standby::Resting;
                let linger = state.limits.linger;
                state = wait(&self.stalled, state, linger, |state| {
                    state.standby == Standby::Resting && state.loops > 0
                });
                if state.ready.is_empty() {
                    state.standby = Standby::Absent;
                    state.workers -= 1;
                    return;
                }
            }
            state.standby = Standby::Watching;
            let taken = state.taken;
            let patience = state.limits.patience;
            state = wait(&self.stalled, state, patience, |state| {
                !state.ready.is_empty() && state.taken == taken
            });
            if !state.ready.is_empty() && state.taken == taken {
                state.standby = Standby::Absent;
                drop(state);
                return self.work();
            }
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Workers")
            .field("workers", &state.workers)
            .field("idle", &state.idle)
            .field("blocked", &state.blocked)
            .field("waiting", &state.ready.len())
            .finish_non_exhaustive()
    }
}

fn wait<'a>(
    condvar: &Condvar,
    state: MutexGuard<'a, State>,
    limit: Duration,
    sleep: impl FnMut(&mut State) -> bool,
) -> MutexGuard<'a, State> {
    condvar
        .wait_timeout_while(state, limit, sleep)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}

/// Callbacks and tasks contain their own panics; this is for what comes after, such as a panic in
/// a drop.
fn contain(job: impl FnOnce()) {
    if contained(job).is_none() {
        tracing::error!("a callback worker's job panicked; the worker goes on");
    }
}

#[cfg(test)]
mod tests;
