//! The seeded executor: who can run now is polled in an order that is drawn.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::{collections::VecDeque, mem};

use zk_client::Callback;

use crate::driver::Driver;
use crate::rng::Rng;
use crate::serve::ServerCell;

/// Something that can run now.
#[derive(Clone)]
pub(crate) enum Job {
    /// The future of `block_on`.
    Main,
    Task(Arc<TaskCell>),
    Driver(Arc<Driver>),
    Callbacks(Arc<CallbackQueue>),
    Server(Arc<ServerCell>),
}

/// On which machine something runs, and in which of the machine's lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) host: usize,
    pub(crate) life: u64,
}

impl Job {
    /// Where it runs; the future of `block_on` is on no machine.
    pub(crate) fn place(&self) -> Option<Place> {
        match self {
            Self::Main => None,
            Self::Task(task) => Some(task.place),
            Self::Driver(driver) => Some(driver.place),
            Self::Callbacks(queue) => Some(queue.place),
            // A server outlives its machine's crashes.
            Self::Server(_) => None,
        }
    }
}

/// The jobs that can run now.
#[derive(Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    /// Whom the next job wakes.
    listener: Option<Waker>,
}

impl Queue {
    pub(crate) fn push(&self, job: Job) {
        let listener = {
            let mut waiting = lock(&self.0);
            waiting.jobs.push(job);
            waiting.listener.take()
        };
        if let Some(listener) = listener {
            listener.wake();
        }
    }

    /// Has the next job wake somebody; `false` if there is a job already.
    pub(crate) fn listen(&self, waker: &Waker) -> bool {
        let mut waiting = lock(&self.0);
        let empty = waiting.jobs.is_empty();
        let before = match empty {
            true => waiting.listener.replace(waker.clone()),
            false => waiting.listener.take(),
        };
        drop(waiting);
        drop(before);
        empty
    }

    /// Takes out one, drawn from `order`.
    pub(crate) fn pick(&self, order: &mut Rng) -> Option<Job> {
        let jobs = &mut lock(&self.0).jobs;
        if jobs.is_empty() {
            return None;
        }
        let index = order.below(jobs.len());
        Some(jobs.swap_remove(index))
    }

    pub(crate) fn take(&self) -> Vec<Job> {
        mem::take(&mut lock(&self.0).jobs)
    }
}

/// A flag that says whether a job is in the queue already.
#[derive(Debug, Default)]
pub(crate) struct Queued(AtomicBool);

impl Queued {
    /// `true` if it was not.
    pub(crate) fn set(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn clear(&self) {
        // Not a mere store: what came before a `set` from another thread is to be seen now.
        self.0.swap(false, Ordering::AcqRel);
    }
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A background task.
pub(crate) struct TaskCell {
    pub(crate) place: Place,
    pub(crate) number: u64,
    queued: Queued,
    queue: Arc<Queue>,
    future: Mutex<Option<Boxed>>,
}

impl TaskCell {
    pub(crate) fn new(place: Place, number: u64, queue: &Arc<Queue>, future: Boxed) -> Arc<Self> {
        Arc::new(Self {
            place,
            number,
            queued: Queued::default(),
            queue: Arc::clone(queue),
            future: Mutex::new(Some(future)),
        })
    }

    pub(crate) fn schedule(self: &Arc<Self>) {
        if self.queued.set() {
            self.queue.push(Job::Task(Arc::clone(self)));
        }
    }

    /// `true`: it has ended.
    pub(crate) fn poll(self: &Arc<Self>) -> bool {
        self.queued.clear();
        let Some(mut future) = self.take() else {
            return true;
        };
        let waker = Waker::from(Arc::clone(self));
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(()) => true,
            Poll::Pending => {
                *lock(&self.future) = Some(future);
                false
            }
        }
    }

    /// Takes the future out, for it to be dropped with no lock held.
    pub(crate) fn take(&self) -> Option<Boxed> {
        lock(&self.future).take()
    }
}

impl Wake for TaskCell {
    fn wake(self: Arc<Self>) {
        self.schedule();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.schedule();
    }
}

/// The callbacks of one client, which run one at a time and in order.
pub(crate) struct CallbackQueue {
    pub(crate) place: Place,
    queued: Queued,
    queue: Arc<Queue>,
    callbacks: Mutex<VecDeque<Callback>>,
}

impl CallbackQueue {
    pub(crate) fn new(place: Place, queue: &Arc<Queue>) -> Arc<Self> {
        Arc::new(Self {
            place,
            queued: Queued::default(),
            queue: Arc::clone(queue),
            callbacks: Mutex::default(),
        })
    }

    pub(crate) fn push(self: &Arc<Self>, callback: Callback) {
        lock(&self.callbacks).push_back(callback);
        self.schedule();
    }

    fn schedule(self: &Arc<Self>) {
        if self.queued.set() {
            self.queue.push(Job::Callbacks(Arc::clone(self)));
        }
    }

    /// Runs the first. Those behind it wait for another turn.
    pub(crate) fn run(self: &Arc<Self>) {
        self.queued.clear();
        let (first, more) = {
            let mut callbacks = lock(&self.callbacks);
            (callbacks.pop_front(), !callbacks.is_empty())
        };
        if more {
            self.schedule();
        }
        if let Some(callback) = first {
            callback.run();
        }
    }

    pub(crate) fn take(&self) -> VecDeque<Callback> {
        mem::take(&mut *lock(&self.callbacks))
    }
}

/// Wakes the future of `block_on`.
pub(crate) struct MainWaker {
    pub(crate) queued: Queued,
    pub(crate) queue: Arc<Queue>,
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.set() {
            self.queue.push(Job::Main);
        }
    }
}

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
