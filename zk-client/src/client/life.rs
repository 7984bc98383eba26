//! How a client ends and begins again; time, chance and background work.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use zk_session::BackoffPolicy;

use crate::async_result::Origin;
use crate::op::{Close, Op, Restart};
use crate::{AsyncResult, Callback, Client, Completer, Error, Handler, Task, block_on};

/// How it begins again and ends.
impl Client {
    /// Closes the session: what was submitted before is sent first, then the servers delete its
    /// ephemeral nodes. Nothing can be submitted any more. Closing a closed client is fine.
    ///
    /// [`timeout`](Op::timeout) is the limit of the whole; default the greater of 10 s and the
    /// session timeout, or [`Builder::close_timeout`](crate::Builder::close_timeout).
    ///
    /// # Errors
    /// [`Error::CloseUnconfirmed`] if no server has confirmed it within the limit; the client is closed
    /// all the same.
    pub fn close(&self) -> Op<'_, Close> {
        Op::new(self, Close::session()).until(None)
    }

    /// Ends the client but not its session, which lives on until its timeout: another client can
    /// [resume](crate::Builder::resume) it. Take [`client_id`](Self::client_id) before.
    ///
    /// What was submitted before is sent first. [`timeout`](Op::timeout) is the limit of that;
    /// default as for [`close`](Self::close).
    pub fn detach(&self) -> Op<'_, Close> {
        Op::new(self, Close::connection()).until(None)
    }

    /// Closes the session and begins with a new one. Listeners stay; credentials added
    /// successfully are presented again.
    ///
    /// # Errors
    /// [`Error::Start`] if the handler cannot drive it again.
    pub fn restart(&self) -> Op<'_, Restart> {
        Op::new(self, Restart).until(None)
    }

    /// Drops the connection and keeps the session, as a failing network would.
    pub fn reconnect(&self) {
        let now = self.now();
        self.core().enter(|inner| {
            inner.session.reconnect(now);
            inner.loop_has_work();
        });
    }
}

/// For recipes and tools: time, chance and background work, all from the handler.
impl Client {
    /// Resolves after `time`; as [`Error::Closed`] when the client is closed before.
    pub fn sleep(&self, time: Duration) -> AsyncResult<()> {
        self.core().sleep(time)
    }

    /// The time on the handler's clock, which goes on while the machine is suspended.
    pub fn now(&self) -> Instant {
        self.core().handler().now()
    }

    /// The time of day on the handler's clock.
    pub fn wall_clock(&self) -> SystemTime {
        self.core().handler().wall_clock()
    }

    /// Host name and process id.
    pub fn identity(&self) -> &str {
        self.core().handler().identity()
    }

    /// A fresh name that nobody else has: 32 hexadecimal digits (kazoo: `uuid4().hex`).
    pub fn unique_id(&self) -> String {
        let mut bytes = [0; 16];
        self.core().enter(|inner| inner.session.random(&mut bytes));
        format!("{:032x}", u128::from_be_bytes(bytes))
    }

    /// Runs a future in the background, to its end.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.core().handler().spawn(Task::new(future));
    }

    /// Calls `f` off the I/O loop, in order with the client's other callbacks.
    pub fn dispatch(&self, f: impl FnOnce() + Send + 'static) {
        self.core().dispatch(Callback::new(f));
    }

    /// Runs a future in the background. Dropping the result drops the future.
    pub fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> AsyncResult<T> {
        let (completer, result) = AsyncResult::pair();
        self.spawn(complete(completer, Box::pin(future)));
        result.with_origin(self.core().origin())
    }

    /// Runs a future on this thread, which sleeps while there is nothing to do.
    ///
    /// # Errors
    /// [`Error::WouldDeadlock`] where waiting would never end.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        self.core().may_park()?;
        Ok(block_on(future))
    }

    /// The policy for retrying calls: [`Builder::command_retry`](crate::Builder::command_retry).
    pub fn command_retry(&self) -> &BackoffPolicy {
        self.shared.options.command_retry()
    }

    /// What drives this client.
    pub fn handler(&self) -> &Arc<dyn Handler> {
        self.core().handler()
    }
}

/// Drives a future until it is done, or nobody wants its result any more.
async fn complete<T: Send + 'static>(
    mut completer: Completer<T>,
    mut future: Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>,
) {
    let result = poll_fn(|cx| {
        if completer.poll_cancelled(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    });
    if let Some(result) = result.await {
        completer.complete(result);
    }
}
