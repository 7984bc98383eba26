//! Background futures, polled by the [workers](crate::callbacks).

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use zk_client::Task;

use crate::callbacks::Workers;
use crate::threads::{contained, lock};

/// Nothing to do until it is woken. Also when the task has ended.
const WAITING: u8 = 0;
/// In the workers' queue.
const QUEUED: u8 = 1;
/// Being polled.
const POLLED: u8 = 2;
/// Being polled, and woken meanwhile.
const WOKEN: u8 = 3;

/// One task, until it ends.
pub struct RunningTask {
    workers: Arc<Workers>,
    stage: AtomicU8,
    /// `None` while it is polled, and after its end.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
}

impl RunningTask {
    /// Queues it to be polled for the first time.
    pub fn start(workers: &Arc<Workers>, task: Task) {
        let running = Self {
            workers: Arc::clone(workers),
            stage: AtomicU8::new(WAITING),
            future: Mutex::new(Some(task.into_inner())),
        };
        Arc::new(running).wake();
    }

    /// Polls it once.
    pub fn poll(self: Arc<Self>) {
        // A read-modify-write, as in `wake`: either this sees all that the waking thread did before,
        // or that one sees this.
        self.stage.swap(POLLED, Ordering::AcqRel);
        let Some(mut future) = lock(&self.future).take() else {
            return;
        };
        let waker = Waker::from(Arc::clone(&self));
        let polled =
            contained(
                move || match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(()) => None,
                    Poll::Pending => Some(future),
                },
            );
        match polled {
            Some(None) => {}
            Some(Some(future)) => {
                *lock(&self.future) = Some(future);
                self.rest();
            }
            None => tracing::error!("a background task panicked and has ended"),
        }
    }

    /// Waits for the next wake, unless it has come already.
    fn rest(self: Arc<Self>) {
        let rested =
            self.stage
                .compare_exchange(POLLED, WAITING, Ordering::AcqRel, Ordering::Acquire);
        if rested.is_err() {
            self.stage.store(QUEUED, Ordering::Release);
            let workers = Arc::clone(&self.workers);
            workers.run_task(self);
        }
    }
}

impl Wake for RunningTask {
    fn wake(self: Arc<Self>) {
        let step = |stage| {
            Some(match stage {
                WAITING => QUEUED,
                POLLED => WOKEN,
                other => other,
            })
        };
        let before = self
            .stage
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
        if before == Ok(WAITING) {
            let workers = Arc::clone(&self.workers);
            workers.run_task(self);
        }
    }
}
