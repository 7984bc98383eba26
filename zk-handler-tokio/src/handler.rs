//! [`TokioHandler`]: the handler, and where threads may block.

use std::cell::Cell;
use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use zk_client::{AsyncResult, Callback, ClientId, Core, FourLetterWord, Handler, StartError, Task};
use zk_handler_base::{Base, Limits, Resolve, Workers, clock};

use crate::runtime::Tokio;

/// Drives clients on one tokio runtime. See the [crate] for which thread runs what.
///
/// Cheap to make, and to clone: clones share their threads for callbacks.
#[derive(Clone)]
pub struct TokioHandler {
    base: Arc<Base>,
    runtime: Arc<OnceLock<Arc<Tokio>>>,
}

impl TokioHandler {
    /// A handler that drives clients on `runtime`, which must have been built with `enable_all()`
    /// or its parts.
    pub fn new(runtime: Handle) -> Self {
        let handler = Self::unsettled();
        handler.settle(runtime);
        handler
    }

    /// A handler for the runtime that this is called in. Outside of one it is for the runtime in
    /// which its first client is started.
    pub fn current() -> Self {
        let handler = Self::unsettled();
        if let Ok(runtime) = Handle::try_current() {
            handler.settle(runtime);
        }
        handler
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

    /// How many threads of its own this handler has at the moment: for callbacks and look-ups, and
    /// soon none again after the last client was closed.
    pub fn threads(&self) -> usize {
        self.base.threads.running()
    }

    /// How many tasks of this handler are there: one for each client that is driven or is closing
    /// its connection, and those in the background.
    pub fn tasks(&self) -> usize {
        self.base.tasks.running()
    }

    fn unsettled() -> Self {
        Self {
            base: Base::new(std::process::id, Limits::new()),
            runtime: Arc::default(),
        }
    }

    fn settle(&self, runtime: Handle) -> &Arc<Tokio> {
        self.runtime.get_or_init(|| Arc::new(Tokio::new(runtime)))
    }

    fn runtime(&self) -> Option<&Arc<Tokio>> {
        match self.runtime.get() {
            Some(runtime) => Some(runtime),
            None => Handle::try_current()
                .ok()
                .map(|runtime| self.settle(runtime)),
        }
    }
}

impl fmt::Debug for TokioHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokioHandler")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl Handler for TokioHandler {
    fn name(&self) -> &'static str {
        "tokio"
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
        let Some(runtime) = self.runtime() else {
            return Err(StartError::Io {
                doing: "find the tokio runtime that this was called in",
                kind: ErrorKind::NotFound,
            });
        };
        if !runtime.is_able() {
            return Err(StartError::Io {
                doing: "use the runtime's clock and sockets: build it with enable_all()",
                kind: ErrorKind::Unsupported,
            });
        }
        self.base.drive(runtime, core)
    }

    fn spawn(&self, task: Task) {
        if let Some(runtime) = self.runtime() {
            self.base.spawn(&**runtime, task);
        }
    }

    fn dispatch(&self, client: ClientId, callback: Callback) {
        self.base.dispatch(client, callback);
    }

    fn run_blocking(&self, work: Callback) {
        self.base.run_blocking(work);
    }

    fn may_block(&self) -> bool {
        let safe = Workers::is_worker() || MAY_BLOCK.get() || Handle::try_current().is_err();
        if safe {
            Workers::about_to_block();
        }
        safe
    }

    fn four_letter(&self, word: FourLetterWord, limit: Duration) -> AsyncResult<String> {
        match self.runtime() {
            Some(runtime) => zk_handler_base::ask(runtime, &self.base, word, limit),
            None => AsyncResult::ready(Err(zk_client::Error::Closed { sent: false })),
        }
    }
}

thread_local! {
    /// Is this thread inside of [`blocking`]?
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Runs code that blocks on a thread for it, as [`tokio::task::spawn_blocking`] does; there, and
/// in no other place that belongs to a runtime, `.wait()` is allowed.
///
/// # Panics
/// If this is called outside of a runtime.
///
/// ```no_run
/// # async fn f(client: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let (data, stat) = zk_handler_tokio::blocking(move || client.get("/a").wait()).await??;
/// # Ok(()) }
/// ```
pub fn blocking<T: Send + 'static>(code: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(move || {
        let _mark = Mark(MAY_BLOCK.replace(true));
        code()
    })
}

/// Takes the mark off the thread, also after a panic.
struct Mark(bool);

impl Drop for Mark {
    fn drop(&mut self) {
        MAY_BLOCK.set(self.0);
    }
}

#[cfg(test)]
mod tests;
