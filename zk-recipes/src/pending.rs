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
    /// `None` once its result was taken.
    future: Option<Going<T>>,
}

type Going<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

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

    /// How many bytes it keeps on the heap, for tests that guard against more.
    #[doc(hidden)]
    pub fn size(&self) -> usize {
        let future = self.future.as_ref();
        future.map_or(0, |future| size_of_val(&*future.as_ref()))
    }

    /// Gives it up after `limit`, counted from its first poll: [`Error::Timeout`], and then as if
    /// dropped.
    pub fn timeout(self, limit: Duration) -> Self {
        let client = self.client.clone();
        let sleeper = client.clone();
        Self::new(&client, async move {
            let mut future = self;
            let mut sleep = pin!(sleeper.sleep(limit));
            poll_fn(|cx| {
                if let Poll::Ready(result) = Pin::new(&mut future).poll(cx) {
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
        let client = self.client.clone();
        client.block_on(self)?
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
        let client = self.client.clone();
        client.run(self)
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
    /// that was not done, and none that somebody has to wake it for. A result is given once:
    /// [`Error::Taken`] afterwards.
    pub fn try_take(&mut self) -> Option<Result<T, Error>> {
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(self).poll(&mut cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(Err(Error::Taken));
        };
        let result = future.as_mut().poll(cx);
        if result.is_ready() {
            self.future = None;
        }
        result
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(..)")
    }
}
