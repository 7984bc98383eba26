//! [`Pending`]: what a recipe's call gives.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use zk_client::{AsyncResult, Client, Error};

/// Something a recipe does over time, such as waiting for a lock.
///
/// Nothing happens before it is polled: `.await` it under any executor, [`wait`](Self::wait) for it
/// on a thread, or let it go on in the background by [`send`](Self::send). Dropping it takes it
/// back: what it left on the servers is removed, in the background and past all bounds.
#[must_use = "nothing happens until it is awaited, waited for or sent"]
pub struct Pending<T> {
    client: Client,
    /// `None` when its result was taken.
    future: Option<Boxed<T>>,
}

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl<T: Send + 'static> Pending<T> {
    /// Boxes what is to be done, for recipes of your own.
    pub fn new(
        client: &Client,
        future: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        Self {
            client: client.clone(),
            future: Some(Box::pin(future)),
        }
    }

    /// Gives it up after `limit`, counted from its first poll: [`Error::Timeout`], and then as if
    /// dropped.
    pub fn timeout(self, limit: Duration) -> Self {
        let Self { client, future } = self;
        let sleeper = client.clone();
        Self::new(&client, async move {
            let mut future = future;
            let mut sleep = pin!(sleeper.sleep(limit));
            poll_fn(|cx| {
                if let Poll::Ready(result) = poll_once(&mut future, cx) {
                    return Poll::Ready(result);
                }
                sleep
                    .as_mut()
                    .poll(cx)
                    .map(|slept| Err(slept.err().unwrap_or(Error::Timeout { sent: true })))
            })
            .await
        })
    }

    /// Blocks this thread until it is done (kazoo: a blocking call).
    ///
    /// # Errors
    /// Those of the call; [`Error::WouldDeadlock`] where waiting would never end.
    pub fn wait(self) -> Result<T, Error> {
        let Self { client, future } = self;
        let mut future = future;
        client.block_on(poll_fn(|cx| poll_once(&mut future, cx)))?
    }

    /// Blocks this thread for at most `limit`.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); [`Error::Timeout`], and then as if dropped.
    pub fn wait_timeout(self, limit: Duration) -> Result<T, Error> {
        self.timeout(limit).wait()
    }

    /// Goes on in the background. Dropping the result takes it back.
    pub fn send(self) -> AsyncResult<T> {
        let Self { client, future } = self;
        let mut future = future;
        client.run(poll_fn(move |cx| poll_once(&mut future, cx)))
    }

    /// Goes on in the background, and calls `f` in order with the client's other callbacks.
    pub fn on_complete(self, f: impl FnOnce(Result<T, Error>) + Send + 'static) {
        self.send().on_complete(f);
    }

    /// Goes on in the background to its end, whatever it is.
    pub fn detach(self) {
        self.send().detach();
    }

    /// The result if it is there without waiting (kazoo: `get_nowait`). Takes the first step if
    /// that was not done, and none that somebody has to wake it for.
    pub fn try_take(&mut self) -> Option<Result<T, Error>> {
        let mut cx = Context::from_waker(Waker::noop());
        match poll_once(&mut self.future, &mut cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        poll_once(&mut self.future, cx)
    }
}

/// Polls it; once its result was taken, that is what it says.
fn poll_once<T>(future: &mut Option<Boxed<T>>, cx: &mut Context<'_>) -> Poll<Result<T, Error>> {
    let Some(going) = future else {
        return Poll::Ready(Err(Error::Taken));
    };
    let poll = going.as_mut().poll(cx);
    if poll.is_ready() {
        // Also so that what it held goes now.
        *future = None;
    }
    poll
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(..)")
    }
}
