//! [`Handler`]: what a client needs from the outside world. Threads, tokio, smol, a simulator or
//! a loop of your own provide it (kazoo's `IHandler`).

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use zk_session::FourLetterWord;

use crate::{AsyncResult, Core};

/// Drives clients and stands for everything that is not pure: sockets, threads, clocks, entropy.
///
/// One handler may drive any number of clients. A client holds its handler as
/// `Arc<dyn Handler>`, and never guesses one.
pub trait Handler: Send + Sync + fmt::Debug + 'static {
    /// A short name for logs, such as `threads`.
    fn name(&self) -> &'static str;

    /// The time on a clock that goes on while the machine is suspended, such as
    /// `CLOCK_BOOTTIME`. A simulator's clock is virtual.
    fn now(&self) -> Instant;

    /// The time of day, for time-stamped leases and nothing else.
    fn wall_clock(&self) -> SystemTime;

    /// Host name and process id: what recipes write into their nodes unless told otherwise.
    fn identity(&self) -> &str;

    /// The seed of one client's random numbers, from the operating system.
    fn entropy(&self) -> [u8; 32];

    /// Begins to drive `core` and returns at once. The driver goes on until
    /// [`Core::is_finished`] says so, and calls [`Core::abandon`] if it has to stop earlier.
    ///
    /// Called a second time for the same core after a restart, when the first driver has seen
    /// that it is finished.
    ///
    /// # Errors
    /// What kept the driver from starting; it is not running then.
    fn drive(&self, core: Arc<Core>) -> Result<(), StartError>;

    /// Runs a task in the background, to its end.
    fn spawn(&self, task: Task);

    /// Runs a callback off the I/O loop. The callbacks of one client run in the order of these
    /// calls, one at a time; those of different clients may run in parallel.
    fn dispatch(&self, client: ClientId, callback: Callback);

    /// Runs work that may block for long, such as a SASL mechanism that asks a Kerberos server: off
    /// the I/O loop, and in nobody's way. It may be dropped where there is no thread for it.
    ///
    /// By default it is a callback of no client, and so runs beside the callbacks of all.
    fn run_blocking(&self, work: Callback) {
        self.dispatch(ClientId::next(), work);
    }

    /// May this thread park for a result? `false` where that would stop the I/O or the runtime
    /// that is to bring it.
    fn may_block(&self) -> bool;

    /// Asks a four-letter word such as `ruok` on a connection of its own and reads the answer to its
    /// end, for at most `limit`.
    ///
    /// # Errors
    /// The result is [`Error::Command`](crate::Error::Command) if there is no whole answer.
    fn four_letter(&self, word: FourLetterWord, limit: Duration) -> AsyncResult<String>;
}

/// One client, among all of the process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientId(u64);

impl ClientId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The plain number, for maps and logs.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client-{}", self.0)
    }
}

/// Background work: a boxed future without a result.
#[must_use = "a task does nothing until it is polled"]
pub struct Task(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Task {
    /// Boxes `future`.
    pub fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }

    /// The boxed future itself.
    pub fn into_inner(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0
    }
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task(..)")
    }
}

/// Code of the user to be run once: a listener's, a watch's, a completion's, a SASL mechanism's.
#[must_use = "a callback does nothing until it is run"]
pub struct Callback {
    run: Box<dyn FnOnce() + Send>,
    /// Counts the callbacks of a client that were dispatched and have not ended.
    queued: Option<Queued>,
}

impl Callback {
    /// Boxes `run`.
    pub fn new(run: impl FnOnce() + Send + 'static) -> Self {
        Self {
            run: Box::new(run),
            queued: None,
        }
    }

    /// Runs it. A panic in it is logged and goes no further, so that one bad callback does not
    /// take those behind it along.
    pub fn run(self) {
        let Self { run, queued } = self;
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            tracing::error!("a callback panicked; the client goes on");
        }
        drop(queued);
    }

    pub(crate) fn counted(mut self, gauge: &Arc<AtomicUsize>) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        self.queued = Some(Queued(Arc::clone(gauge)));
        self
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback(..)")
    }
}

struct Queued(Arc<AtomicUsize>);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a handler cannot drive a client.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The operating system refused something.
    #[error("cannot {doing}: {kind}")]
    Io {
        /// What was being done, such as "start the I/O thread".
        doing: &'static str,
        /// The refusal.
        kind: io::ErrorKind,
    },
    /// The handler, or the runtime under it, has been shut down.
    #[error("the handler has been shut down: make a new one")]
    ShutDown,
}
