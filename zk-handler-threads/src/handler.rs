//! [`ThreadsHandler`]: the handler and its limits.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use zk_client::{AsyncResult, Callback, ClientId, Core, FourLetterWord, Handler, StartError, Task};
use zk_handler_base::{
    BlockingPool, Limits, Process, Resolve, Resolver, RunningTask, Threads, Workers, ask_blocking,
    clock, lock,
};

use crate::inbox::{Inbox, Letter};
use crate::io_loop::{self, Surroundings, is_loop_thread};

/// Drives clients on plain threads. See the [crate] for which thread runs what.
///
/// Cheap to make, and to clone: clones share their threads.
#[derive(Clone)]
pub struct ThreadsHandler {
    shared: Arc<Shared>,
}

struct Shared {
    around: Surroundings,
    words: Arc<BlockingPool>,
    blocking: Arc<BlockingPool>,
    identity: OnceLock<String>,
    /// Where to post to the loop, if one was started. It may have ended.
    io_loop: Mutex<Option<Arc<Inbox>>>,
}

impl ThreadsHandler {
    /// A handler with the default limits. No thread is started yet.
    pub fn new() -> Self {
        ThreadsHandlerBuilder::new().build()
    }

    /// The limits of a handler.
    pub fn builder() -> ThreadsHandlerBuilder {
        ThreadsHandlerBuilder::new()
    }

    /// The same handler, with its clones and clients, which now looks names up by `resolve`
    /// instead of asking the operating system.
    pub fn resolve_by(self, resolve: impl Resolve) -> Self {
        self.shared.around.resolver.resolve_by(Arc::new(resolve));
        self
    }

    /// How many threads this handler has at the moment: none before the first client is driven,
    /// and soon none again after the last one was closed.
    pub fn threads(&self) -> usize {
        self.shared.around.threads.running()
    }
}

impl Default for ThreadsHandler {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ThreadsHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadsHandler")
            .field("threads", &self.threads())
            .field("workers", &self.shared.around.workers)
            .finish_non_exhaustive()
    }
}

impl Handler for ThreadsHandler {
    fn name(&self) -> &'static str {
        "threads"
    }

    fn now(&self) -> Instant {
        clock::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn identity(&self) -> &str {
        self.shared.identity.get_or_init(clock::identity)
    }

    fn entropy(&self) -> [u8; 32] {
        clock::entropy()
    }

    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        if !self.shared.around.process.settle() {
            return Err(StartError::ShutDown);
        }
        let mut io_loop = lock(&self.shared.io_loop);
        let mut letter = Letter::Drive(core);
        if let Some(inbox) = &*io_loop {
            match inbox.post(letter) {
                Ok(()) => return Ok(()),
                Err(unread) => letter = unread,
            }
        }
        let inbox =
            io_loop::start(&self.shared.around, letter).map_err(|error| StartError::Io {
                doing: "start the I/O thread",
                kind: error.kind(),
            })?;
        *io_loop = Some(inbox);
        Ok(())
    }

    fn spawn(&self, task: Task) {
        RunningTask::start(&self.shared.around.workers, task);
    }

    fn dispatch(&self, client: ClientId, callback: Callback) {
        // In a forked child nobody would run it, and a lock may be held by a thread that is gone.
        if !self.shared.around.process.is_known_to_be_forked() {
            self.shared
                .around
                .workers
                .dispatch(client.as_u64(), callback);
        }
    }

    fn run_blocking(&self, work: Callback) {
        self.shared.blocking.run_mechanism(work);
    }

    fn may_block(&self) -> bool {
        if is_loop_thread() {
            return false;
        }
        Workers::about_to_block();
        true
    }

    fn four_letter(&self, word: FourLetterWord, limit: Duration) -> AsyncResult<String> {
        let resolver = &self.shared.around.resolver;
        ask_blocking(&self.shared.words, resolver, word, limit)
    }
}

/// The limits of a [`ThreadsHandler`]. A number of threads that is given as 0 counts as 1.
#[derive(Clone, Debug)]
#[must_use = "nothing is made until `build`"]
pub struct ThreadsHandlerBuilder {
    limits: Limits,
    look_ups: usize,
    words: usize,
    /// Tells in which process this is.
    process_id: fn() -> u32,
}

impl ThreadsHandlerBuilder {
    fn new() -> Self {
        Self {
            limits: Limits::new(),
            look_ups: 4,
            words: 4,
            process_id: std::process::id,
        }
    }

    /// How many callbacks run at the same time, those that block not counted. Default: the number
    /// of processors, at most 4.
    pub fn parallel_callbacks(&mut self, threads: usize) -> &mut Self {
        self.limits = self.limits.parallel_callbacks(threads);
        self
    }

    /// How many threads there are for callbacks at most, those that block included. Beyond that
    /// callbacks wait, and a warning is logged. Default 64.
    pub fn max_callback_threads(&mut self, threads: usize) -> &mut Self {
        self.limits = self.limits.max_callback_threads(threads);
        self
    }

    /// How long callbacks may wait while none of the threads for them takes any, before there is
    /// one more thread. For callbacks that sleep, or wait for something else than this crate's
    /// results; for those a thread is added at once. Default 20 ms.
    pub fn patience(&mut self, patience: Duration) -> &mut Self {
        self.limits = self.limits.patience(patience);
        self
    }

    /// How long a callback thread with nothing to do stays. Default 5 s; none stays when no client
    /// is left.
    pub fn linger(&mut self, linger: Duration) -> &mut Self {
        self.limits = self.limits.linger(linger);
        self
    }

    /// How many names are looked up at the same time; those that have taken longer than a second
    /// do not count. Default 4.
    pub fn max_look_ups(&mut self, threads: usize) -> &mut Self {
        self.look_ups = threads.max(1);
        self
    }

    /// How many four-letter words are under way at the same time. Default 4.
    pub fn max_words(&mut self, threads: usize) -> &mut Self {
        self.words = threads.max(1);
        self
    }

    /// The handler. No thread is started yet.
    pub fn build(&self) -> ThreadsHandler {
        /// How long threads stay that have blocked for something.
        const LINGER: Duration = Duration::from_millis(100);

        let threads = Threads::default();
        let pool = |name, limit| BlockingPool::new(name, threads.clone(), limit, LINGER);
        let around = Surroundings {
            workers: Workers::new(self.limits, threads.clone()),
            resolver: Resolver::new(pool("zk-resolve", self.look_ups)),
            process: Process::new(self.process_id),
            threads: threads.clone(),
        };
        let shared = Shared {
            words: pool("zk-word", self.words),
            blocking: BlockingPool::for_mechanisms(threads.clone()),
            around,
            identity: OnceLock::new(),
            io_loop: Mutex::new(None),
        };
        ThreadsHandler {
            shared: Arc::new(shared),
        }
    }
}

impl Default for ThreadsHandlerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
