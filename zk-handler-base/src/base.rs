//! [`Base`]: what a handler on an async runtime consists of, besides the runtime.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use zk_client::{Callback, ClientId, Core, StartError, Task};

use crate::{
    BlockingPool, Driver, Limits, Process, Resolver, Runtime, Tasks, Threads, Workers, clock,
};

/// How many names are looked up at the same time.
const LOOK_UPS: usize = 4;

/// The threads and the tasks of a handler, and what it knows of its process.
pub struct Base {
    /// Those that run callbacks.
    pub workers: Arc<Workers>,
    /// Those that look names up.
    pub resolver: Arc<Resolver>,
    /// Those that run what may block for long.
    pub blocking: Arc<BlockingPool>,
    /// Whether this is still the process that the first client was driven in.
    pub process: Process,
    /// All of them, counted.
    pub threads: Threads,
    /// What runs on its runtime.
    pub tasks: Tasks,
    identity: OnceLock<String>,
}

impl Base {
    /// No thread is started yet. `process_id` tells in which process this is.
    pub fn new(process_id: fn() -> u32, limits: Limits) -> Arc<Self> {
        /// How long threads stay that have looked a name up.
        const LINGER: Duration = Duration::from_millis(100);

        let threads = Threads::default();
        let pool = BlockingPool::new("zk-resolve", threads.clone(), LOOK_UPS, LINGER);
        Arc::new(Self {
            workers: Workers::new(limits, threads.clone()),
            resolver: Resolver::new(pool),
            blocking: BlockingPool::for_mechanisms(threads.clone()),
            process: Process::new(process_id),
            threads,
            tasks: Tasks::new(),
            identity: OnceLock::new(),
        })
    }

    /// For [`Handler::identity`](zk_client::Handler::identity).
    pub fn identity(&self) -> &str {
        self.identity.get_or_init(clock::identity)
    }

    /// For [`Handler::drive`](zk_client::Handler::drive).
    ///
    /// # Errors
    /// [`StartError::ShutDown`] in a forked child of the process that it was used in;
    /// [`StartError::Io`] if the runtime lacks a thread.
    pub fn drive<R: Runtime>(
        self: &Arc<Self>,
        runtime: &Arc<R>,
        core: Arc<Core>,
    ) -> Result<(), StartError> {
        if !self.process.settle() {
            return Err(StartError::ShutDown);
        }
        let driver = Driver::new(runtime, self, core);
        let spawned = runtime.spawn(self.tasks.adopt(Task::new(driver)));
        spawned.map_err(|error| StartError::Io {
            doing: "start the I/O thread",
            kind: error.kind(),
        })
    }

    /// For [`Handler::spawn`](zk_client::Handler::spawn).
    pub fn spawn<R: Runtime>(&self, runtime: &R, task: Task) {
        if let Err(error) = runtime.spawn(self.tasks.adopt(task)) {
            tracing::error!(%error, "cannot start a thread for a background task");
        }
    }

    /// For [`Handler::run_blocking`](zk_client::Handler::run_blocking).
    pub fn run_blocking(&self, work: Callback) {
        self.blocking.run_mechanism(work);
    }

    /// For [`Handler::dispatch`](zk_client::Handler::dispatch).
    pub fn dispatch(&self, client: ClientId, callback: Callback) {
        // In a forked child nobody would run it, and a lock may be held by a thread that is gone.
        if !self.process.is_known_to_be_forked() {
            self.workers.dispatch(client.as_u64(), callback);
        }
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base")
            .field("threads", &self.threads.running())
            .field("workers", &self.workers)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}
