//! [`SmolHandler`]: the handler.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use zk_client::{AsyncResult, Callback, ClientId, Core, FourLetterWord, Handler, StartError, Task};
use zk_handler_base::{Base, Limits, Resolve, Workers, clock};

use crate::home::Home;
use crate::runtime::Smol;

/// Drives clients on a thread of its own, or on an executor. See the [crate] for which thread runs
/// what.
///
/// Cheap to make, and to clone: clones share their threads.
#[derive(Clone)]
pub struct SmolHandler {
    base: Arc<Base>,
    runtime: Arc<Smol>,
}

impl SmolHandler {
    /// A handler that drives its clients on one thread of its own. It is not started yet.
    pub fn new() -> Self {
        Self::with(Home::own)
    }

    /// A handler that drives its clients on an executor: `spawn` has to run each task to its end,
    /// or drop it. What it holds lives as long as a task does; so hold the executor weakly if it is
    /// not for ever, as dropping it would not end its tasks otherwise.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use async_executor::Executor;
    /// use zk_handler_smol::SmolHandler;
    ///
    /// let executor: Arc<Executor<'static>> = Arc::default();
    /// let spawner = Arc::downgrade(&executor);
    /// let handler = SmolHandler::on(move |task| {
    ///     if let Some(executor) = spawner.upgrade() {
    ///         executor.spawn(task).detach();
    ///     }
    /// });
    /// # drop(handler);
    /// ```
    pub fn on(spawn: impl Fn(Task) + Send + Sync + 'static) -> Self {
        Self::with(|_| Home::Given(Box::new(spawn)))
    }

    /// The same handler, and all clones of it, with these limits for callbacks.
    pub fn limits(self, limits: Limits) -> Self {
        self.base.workers.set_limits(limits);
        self
    }

    /// The same handler, with its clones and clients, which now looks names up by `resolve`
    /// instead of asking the operating system.
    pub fn resolve_by(self, resolve: impl Resolve) -> Self {
        self.base.resolver.resolve_by(Arc::new(resolve));
        self
    }

    /// How many threads this handler has at the moment: none before the first client is driven,
    /// and soon none again after the last one was closed.
    pub fn threads(&self) -> usize {
        self.base.threads.running()
    }

    /// How many tasks of this handler are there: one for each client that is driven or is closing
    /// its connection, and those in the background.
    pub fn tasks(&self) -> usize {
        self.base.tasks.running()
    }

    fn with(home: impl FnOnce(&Base) -> Home) -> Self {
        let base = Base::new(std::process::id, Limits::new());
        let runtime = Arc::new(Smol(home(&base)));
        Self { base, runtime }
    }
}

impl Default for SmolHandler {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SmolHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmolHandler")
            .field("base", &self.base)
            .field("runtime", &self.runtime)
            .finish_non_exhaustive()
    }
}

impl Handler for SmolHandler {
    fn name(&self) -> &'static str {
        "smol"
    }

    fn now(&self) -> Instant {
        clock::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn identity(&self) -> &str {
        self.base.identity()
    }

    fn entropy(&self) -> [u8; 32] {
        clock::entropy()
    }

    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        self.base.drive(&self.runtime, core)
    }

    fn spawn(&self, task: Task) {
        self.base.spawn(&*self.runtime, task);
    }

    fn dispatch(&self, client: ClientId, callback: Callback) {
        self.base.dispatch(client, callback);
    }

    fn run_blocking(&self, work: Callback) {
        self.base.run_blocking(work);
    }

    fn may_block(&self) -> bool {
        let safe = !self.base.tasks.were_polled_here();
        if safe {
            Workers::about_to_block();
        }
        safe
    }

    fn four_letter(&self, word: FourLetterWord, limit: Duration) -> AsyncResult<String> {
        zk_handler_base::ask(&self.runtime, &self.base, word, limit)
    }
}

#[cfg(test)]
mod tests;
