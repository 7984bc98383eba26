//! [`Home`]: where a handler's tasks run.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex};

use async_executor::Executor;
use zk_client::Task;
use zk_handler_base::{Base, Tasks, Threads, lock};

/// A thread of its own, or somebody's executor.
pub(crate) enum Home {
    /// A thread, which is there while there are tasks.
    Own {
        threads: Threads,
        tasks: Tasks,
        /// That of the thread, while there is one.
        executor: Arc<Mutex<Option<Arc<Executor<'static>>>>>,
    },
    /// An executor of somebody else's.
    Given(Box<dyn Fn(Task) + Send + Sync>),
}

impl Home {
    /// A thread of its own.
    pub(crate) fn own(base: &Base) -> Self {
        Self::Own {
            threads: base.threads.clone(),
            tasks: base.tasks.clone(),
            executor: Arc::default(),
        }
    }

    /// Runs one of the handler's tasks to its end.
    pub(crate) fn spawn(&self, task: Task) -> io::Result<()> {
        let executor = match self {
            Self::Given(spawn) => {
                spawn(task);
                return Ok(());
            }
            Self::Own {
                threads,
                tasks,
                executor,
            } => {
                let mut running = lock(executor);
                match &*running {
                    Some(executor) => Arc::clone(executor),
                    None => Arc::clone(running.insert(start(threads, tasks, executor)?)),
                }
            }
        };
        executor.spawn(task).detach();
        Ok(())
    }
}

/// Starts a thread that runs tasks until there are none. The next one then finds no executor.
fn start(
    threads: &Threads,
    tasks: &Tasks,
    place: &Arc<Mutex<Option<Arc<Executor<'static>>>>>,
) -> io::Result<Arc<Executor<'static>>> {
    let executor = Arc::<Executor<'static>>::default();
    let (tasks, place, running) = (tasks.clone(), Arc::clone(place), Arc::clone(&executor));
    threads.spawn("zk-smol", move || {
        // What the tasks contain, they contain themselves.
        let idle = poll_fn(|cx| tasks.poll_idle(cx, || *lock(&place) = None));
        async_io::block_on(running.run(idle));
    })?;
    Ok(executor)
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own { .. } => "Own",
            Self::Given(_) => "Given",
        })
    }
}
