//! [`OwnLoop`], which a program implements for its event loop, and [`OwnHandler`], the rest of a
//! handler.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use zk_client::{AsyncResult, Callback, ClientId, Core, FourLetterWord, Handler, StartError, Task};

use crate::{BlockingPool, Limits, Resolver, RunningTask, Threads, Workers, ask_blocking, clock};

/// How many names are looked up, and how many four-letter words are asked, at the same time.
const PARALLEL: usize = 4;
/// How long threads stay that have done one of these.
const LINGER: Duration = Duration::from_millis(100);

/// An event loop of a program, which drives clients among other things.
///
/// It serves sockets and deadlines, as [`Core`] says. All else that clients need has an
/// [`OwnHandler`]: `Client::builder(hosts).connect(Arc::new(OwnHandler::new(my_loop)))`.
///
/// ```
/// use std::sync::{Arc, mpsc};
/// use std::thread::{self, ThreadId};
///
/// use zk_client::{Core, StartError};
/// use zk_handler_base::OwnLoop;
///
/// /// The way to a loop that reads this channel between two rounds.
/// struct MyLoop {
///     cores: mpsc::Sender<Arc<Core>>,
///     thread: ThreadId,
/// }
///
/// impl OwnLoop for MyLoop {
///     fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
///         self.cores.send(core).map_err(|_| StartError::ShutDown)
///     }
///
///     fn is_here(&self) -> bool {
///         thread::current().id() == self.thread
///     }
/// }
/// ```
///
/// The example `own_handler` is such a program, whole.
pub trait OwnLoop: Send + Sync + 'static {
    /// Takes a client over and returns at once: [`Handler::drive`].
    ///
    /// # Errors
    /// Why the loop cannot; [`StartError::ShutDown`] if it has ended.
    fn drive(&self, core: Arc<Core>) -> Result<(), StartError>;

    /// Does this thread run the loop? There nobody may wait for a result, as it would never come.
    fn is_here(&self) -> bool;
}

/// A handler over an event loop of the program's own.
///
/// Callbacks and background tasks run on threads that start when there is something for them to
/// do; names and four-letter words have some of theirs, as they block. In a forked child make a
/// new one.
pub struct OwnHandler<L> {
    own: L,
    workers: Arc<Workers>,
    resolver: Arc<Resolver>,
    words: Arc<BlockingPool>,
    threads: Threads,
    identity: OnceLock<String>,
}

impl<L: OwnLoop> OwnHandler<L> {
    /// A handler that has its clients driven by `own`. No thread is started yet.
    pub fn new(own: L) -> Self {
        let threads = Threads::default();
        let pool = |name| BlockingPool::new(name, threads.clone(), PARALLEL, LINGER);
        let workers = Workers::new(Limits::default(), threads.clone());
        // Theirs is not known to end before the last client lets go of its handler.
        workers.loop_started();
        Self {
            own,
            workers,
            resolver: Resolver::new(pool("zk-resolve")),
            words: pool("zk-word"),
            threads,
            identity: OnceLock::new(),
        }
    }

    /// The same handler, with a resolver that the loop uses as well. Default: one of its own, which
    /// asks the operating system.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// How many threads this handler has at the moment.
    pub fn threads(&self) -> usize {
        self.threads.running()
    }
}

impl Resolver {
    /// One for a loop of one's own, which asks the operating system, on some threads.
    pub fn on_threads() -> Arc<Self> {
        let threads = Threads::default();
        Self::new(BlockingPool::new("zk-resolve", threads, PARALLEL, LINGER))
    }
}

impl<L> Drop for OwnHandler<L> {
    fn drop(&mut self) {
        self.workers.loop_ended();
    }
}

impl<L: OwnLoop> Handler for OwnHandler<L> {
    fn name(&self) -> &'static str {
        "own"
    }

    fn now(&self) -> Instant {
        clock::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn identity(&self) -> &str {
        self.identity.get_or_init(clock::identity)
    }

    fn entropy(&self) -> [u8; 32] {
        clock::entropy()
    }

    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        self.own.drive(core)
    }

    fn spawn(&self, task: Task) {
        RunningTask::start(&self.workers, task);
    }

    fn dispatch(&self, client: ClientId, callback: Callback) {
        self.workers.dispatch(client.as_u64(), callback);
    }

    fn may_block(&self) -> bool {
        let safe = !self.own.is_here();
        if safe {
            Workers::about_to_block();
        }
        safe
    }

    fn four_letter(&self, word: FourLetterWord, limit: Duration) -> AsyncResult<String> {
        ask_blocking(&self.words, &self.resolver, word, limit)
    }
}

impl<L> fmt::Debug for OwnHandler<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnHandler")
            .field("threads", &self.threads.running())
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
