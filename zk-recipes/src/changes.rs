//! [`Changes`]: what a recipe sees over time, as a stream or by calling back.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use zk_client::{AsyncResult, Client, Error, Listen, WeakClient};

use crate::Pending;
use crate::again::alive;

/// What a recipe sees over time: a stream that is moved on by whoever reads it.
///
/// Nothing is buffered: who reads slowly sees the newest state later, and fewer of those between.
/// An error is the last item. A stream does not keep its client open, and ends with it. Dropping it
/// removes its watch.
#[must_use = "nothing is looked at until it is read"]
pub struct Changes<T> {
    weak: WeakClient,
    source: Option<Source>,
    slot: Arc<Mutex<Option<T>>>,
}

type Source = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Where a source puts its items, one at a time.
pub(crate) struct Outlet<T>(Arc<Mutex<Option<T>>>);

impl<T> Outlet<T> {
    /// Hands an item to the reader, and goes on when the next one is wanted.
    pub(crate) async fn put(&self, item: T) {
        *lock(&self.0) = Some(item);
        poll_fn(|_| match *lock(&self.0) {
            None => Poll::Ready(()),
            Some(_) => Poll::Pending,
        })
        .await;
    }
}

impl<T: Send + 'static> Changes<T> {
    /// Items are what `source` puts into its outlet until it ends.
    pub(crate) fn new<F>(client: &Client, source: impl FnOnce(WeakClient, Outlet<T>) -> F) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (weak, slot) = (client.downgrade(), Arc::default());
        let source = source(weak.clone(), Outlet(Arc::clone(&slot)));
        Self {
            weak,
            source: Some(Box::pin(source)),
            slot,
        }
    }

    /// The next item; `None` after the last, or when the client is closed.
    #[expect(
        clippy::should_implement_trait,
        reason = "the name that streams have for it"
    )]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<T, Error>>> + Send + Unpin + '_ {
        poll_fn(|cx| self.poll_next(cx))
    }

    /// The next item, as `Stream::poll_next` of the `futures` crates has it.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        let Some(source) = &mut self.source else {
            return Poll::Ready(None);
        };
        match source.as_mut().poll(cx) {
            Poll::Ready(result) => {
                self.source = None;
                Poll::Ready(match result {
                    Ok(()) | Err(Error::Closed { .. }) => None,
                    Err(error) => Some(Err(error)),
                })
            }
            Poll::Pending => match lock(&self.slot).take() {
                Some(item) => Poll::Ready(Some(Ok(item))),
                None => Poll::Pending,
            },
        }
    }

    /// The next item if there is one without waiting.
    pub fn try_next(&mut self) -> Option<Result<T, Error>> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.poll_next(&mut cx) {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        }
    }

    /// Blocks this thread until the next item; `None` after the last.
    ///
    /// # Errors
    /// The stream's last item; [`Error::WouldDeadlock`] where waiting would never end.
    pub fn next_wait(&mut self) -> Result<Option<T>, Error> {
        let Some(client) = self.weak.upgrade() else {
            return Ok(None);
        };
        may_block(client)?;
        zk_client::block_on(self.next()).transpose()
    }

    /// Blocks this thread until the next item, at most for `limit`; `None` after the last.
    ///
    /// # Errors
    /// As [`next_wait`](Self::next_wait); [`Error::Timeout`] at the limit: the stream goes on.
    pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<T>, Error> {
        let Some(client) = self.weak.upgrade() else {
            return Ok(None);
        };
        let mut sleep = client.sleep(limit);
        may_block(client)?;
        let next = async {
            poll_fn(|cx| {
                if let Poll::Ready(item) = self.poll_next(cx) {
                    return Poll::Ready(item.transpose());
                }
                let slept = pin!(&mut sleep).poll(cx);
                slept.map(|slept| Err(slept.err().unwrap_or(Error::Timeout { sent: false })))
            })
            .await
        };
        zk_client::block_on(next)
    }

    /// A blocking iterator over what is to come. An error is the last item.
    pub fn iter(&mut self) -> impl Iterator<Item = Result<T, Error>> + '_ {
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let next = self.next_wait();
            failed = next.is_err();
            next.transpose()
        })
    }

    /// Calls `f` with every item until it answers [`Listen::Remove`]: in order with the client's other
    /// callbacks, off the I/O loop. The next item is looked for when `f` has returned. A panic in it
    /// is logged, and it goes on being called.
    ///
    /// It is done when `f` has been called once, as kazoo's constructors are.
    pub(crate) fn call(
        mut self,
        client: &Client,
        f: impl FnMut(T) -> Listen + Send + 'static,
    ) -> Pending<Calls> {
        let weak = client.downgrade();
        Pending::new(client, async move {
            let mut f = f;
            match self.next().await {
                None => return Err(Error::Closed { sent: false }),
                Some(first) => match call(&self.weak, f, first?).await {
                    Some((back, Listen::Keep)) => f = back,
                    Some((_, Listen::Remove)) | None => return Ok(Calls::over()),
                },
            }
            let client = alive(&weak)?;
            Ok(Calls(client.run(self.go_on(f))))
        })
    }

    async fn go_on<F>(mut self, mut f: F) -> Result<(), Error>
    where
        F: FnMut(T) -> Listen + Send + 'static,
    {
        while let Some(item) = self.next().await {
            let item =
                item.inspect_err(|error| tracing::warn!(%error, "no more is called back"))?;
            match call(&self.weak, f, item).await {
                Some((back, Listen::Keep)) => f = back,
                Some((_, Listen::Remove)) | None => break,
            }
        }
        Ok(())
    }
}

/// Calls `f` as a callback of the client. `None` if the client is gone.
pub(crate) async fn call<T, F>(weak: &WeakClient, mut f: F, item: T) -> Option<(F, Listen)>
where
    T: Send + 'static,
    F: FnMut(T) -> Listen + Send + 'static,
{
    let (completer, done) = AsyncResult::pair();
    weak.upgrade()?.dispatch(move || {
        let answer = catch_unwind(AssertUnwindSafe(|| f(item)));
        if answer.is_err() {
            tracing::error!("a function of a recipe panicked; it will be called again");
        }
        completer.complete(Ok((f, answer.unwrap_or(Listen::Keep))));
    });
    done.await.ok()
}

/// A function that is being called with what a recipe sees, until it answers [`Listen::Remove`]
/// (kazoo: returning `False`): in order with the client's other callbacks, off the I/O loop. The next
/// look is taken when it has returned. A panic in it is logged, and it goes on being called.
///
/// It is there when the function has been called once, as after kazoo's constructors. Dropping it
/// ends the calls.
#[derive(Debug)]
#[must_use = "dropping it ends the calls: keep it, or detach() it"]
pub struct Calls(AsyncResult<()>);

impl Calls {
    fn over() -> Self {
        Self(AsyncResult::ready(Ok(())))
    }

    /// It is called for as long as the client lives, or until it answers [`Listen::Remove`].
    pub fn detach(self) {
        self.0.detach();
    }

    /// May it still be called?
    pub fn is_active(&self) -> bool {
        !self.0.is_ready()
    }

    /// Resolves when it is not called any more: as an error where something has gone wrong, such as
    /// [`Error::NoAuth`].
    pub fn ended(self) -> AsyncResult<()> {
        self.0
    }
}

/// May this thread wait? The client is given back before it does, so as not to be kept open.
fn may_block(client: Client) -> Result<(), Error> {
    client.block_on(std::future::ready(()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> fmt::Debug for Changes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("over", &self.source.is_none())
            .finish_non_exhaustive()
    }
}
