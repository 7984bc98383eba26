//! Handlers of each kind, with a runtime of their own, which is looked at when all clients are closed.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use async_executor::Executor;
use tokio::runtime::{Builder, Runtime, RuntimeMetrics};
use zk::Handler;
use zk::threads::ThreadsHandler;
use zk_client::{AsyncResult, Completer};
use zk_handler_smol::SmolHandler;
use zk_handler_tokio::TokioHandler;

use super::wait_until;

/// What drives clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Threads,
    TokioCurrentThread,
    TokioMultiThread,
    /// A thread of its own.
    SmolThread,
    /// An executor that two threads run.
    SmolExecutor,
}

/// A handler that nobody else has, and the runtime that it is on.
pub(crate) struct Under {
    handler: Arc<dyn Handler>,
    life: Life,
}

enum Life {
    Threads(ThreadsHandler),
    Current(TokioHandler, RuntimeMetrics, Runner),
    Multi(TokioHandler, Runtime),
    Smol(SmolHandler),
    Executor(SmolHandler, Arc<Executor<'static>>, Vec<Runner>),
}

/// A thread that runs something until it is told to end.
struct Runner {
    end: Completer<()>,
    thread: JoinHandle<()>,
}

impl Runner {
    fn start(run: impl FnOnce(AsyncResult<()>) + Send + 'static) -> Self {
        let (end, ended) = AsyncResult::pair();
        let thread = thread::spawn(move || run(ended));
        Self { end, thread }
    }

    fn end(self) {
        self.end.complete(Ok(()));
        self.thread.join().unwrap();
    }
}

impl Under {
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Threads => {
                let handler = ThreadsHandler::new();
                Self::of(handler.clone(), Life::Threads(handler))
            }
            Kind::TokioCurrentThread => {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                let handler = TokioHandler::new(runtime.handle().clone());
                let metrics = runtime.metrics();
                // The runtime ends with the thread.
                let runner = Runner::start(move |ended| drop(runtime.block_on(ended)));
                Self::of(handler.clone(), Life::Current(handler, metrics, runner))
            }
            Kind::TokioMultiThread => {
                let mut builder = Builder::new_multi_thread();
                let runtime = builder.worker_threads(2).enable_all().build().unwrap();
                let handler = TokioHandler::new(runtime.handle().clone());
                Self::of(handler.clone(), Life::Multi(handler, runtime))
            }
            Kind::SmolThread => {
                let handler = SmolHandler::new();
                Self::of(handler.clone(), Life::Smol(handler))
            }
            Kind::SmolExecutor => {
                let executor = Arc::<Executor<'static>>::default();
                let spawner = Arc::downgrade(&executor);
                let handler = SmolHandler::on(move |task| {
                    if let Some(executor) = spawner.upgrade() {
                        executor.spawn(task).detach();
                    }
                });
                let run = || {
                    let executor = Arc::clone(&executor);
                    Runner::start(move |ended| {
                        drop(async_io::block_on(executor.run(ended)));
                    })
                };
                let runners = vec![run(), run()];
                Self::of(handler.clone(), Life::Executor(handler, executor, runners))
            }
        }
    }

    fn of(handler: impl Handler, life: Life) -> Self {
        let handler = Arc::new(handler);
        Self { handler, life }
    }

    pub(crate) fn handler(&self) -> Arc<dyn Handler> {
        Arc::clone(&self.handler)
    }

    /// All clients are closed: no thread and no task may be left for them.
    pub(crate) fn assert_nothing_left(&self) {
        match &self.life {
            Life::Threads(handler) => no_threads(|| handler.threads()),
            Life::Current(handler, metrics, _) => {
                no_tasks(|| handler.tasks() + metrics.num_alive_tasks());
                no_threads(|| handler.threads());
            }
            Life::Multi(handler, runtime) => {
                no_tasks(|| handler.tasks() + runtime.metrics().num_alive_tasks());
                no_threads(|| handler.threads());
            }
            Life::Smol(handler) => {
                no_tasks(|| handler.tasks());
                no_threads(|| handler.threads());
            }
            Life::Executor(handler, executor, _) => {
                no_tasks(|| handler.tasks() + usize::from(!executor.is_empty()));
                no_threads(|| handler.threads());
            }
        }
    }

    /// The runtime ends, whatever is going on there; then nothing may be left either.
    pub(crate) fn end(self) {
        match self.life {
            Life::Threads(_) | Life::Smol(_) => self.assert_nothing_left(),
            Life::Current(handler, metrics, runner) => {
                runner.end();
                no_tasks(|| handler.tasks() + metrics.num_alive_tasks());
                no_threads(|| handler.threads());
            }
            Life::Multi(handler, runtime) => {
                let metrics = runtime.metrics();
                drop(runtime);
                no_tasks(|| handler.tasks() + metrics.num_alive_tasks());
                no_threads(|| handler.threads());
            }
            Life::Executor(handler, executor, runners) => {
                runners.into_iter().for_each(Runner::end);
                drop(executor);
                no_tasks(|| handler.tasks());
                no_threads(|| handler.threads());
            }
        }
    }
}

fn no_tasks(count: impl Fn() -> usize) {
    wait_until("the tasks to end", || count() == 0);
}

fn no_threads(count: impl Fn() -> usize) {
    wait_until("the threads to end", || count() == 0);
}
