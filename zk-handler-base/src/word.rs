//! Four-letter words on an async runtime: a connection and a task each.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use zk_client::{AsyncResult, Completer, Error, FourLetterWord, LinkError, Task};

use crate::connect::connect;
use crate::{Base, Runtime, Socket, Timer};

/// A limit beyond this is none worth speaking of, and runtimes need not know what to do with it.
const MAX_LIMIT: Duration = Duration::from_secs(3600);

/// Asks `word` and reads the answer to its end, within `limit`.
pub fn ask<R: Runtime>(
    runtime: &Arc<R>,
    base: &Arc<Base>,
    word: FourLetterWord,
    limit: Duration,
) -> AsyncResult<String> {
    let (mut promise, result) = Promise::new();
    let (asked, resolver) = (Arc::clone(runtime), Arc::clone(&base.resolver));
    let task = Task::new(async move {
        let mut timer = asked.timer();
        timer.set(limit.min(MAX_LIMIT));
        let mut exchange = pin!(async {
            match connect(asked, resolver, word.server().clone(), 0).await {
                Ok(socket) => exchange(socket, word).await,
                Err(error) => Err(LinkError::Io(error.kind())),
            }
        });
        let answer = poll_fn(|cx| {
            // Nobody is to wait for a silent server on behalf of one who has given up.
            if promise.is_broken_off(cx) {
                return Poll::Ready(Err(LinkError::Io(ErrorKind::Interrupted)));
            }
            match exchange.as_mut().poll(cx) {
                Poll::Pending => timer
                    .poll(cx)
                    .map(|()| Err(LinkError::Io(ErrorKind::TimedOut))),
                ready => ready,
            }
        })
        .await;
        promise.keep(answer);
    });
    if let Err(error) = runtime.spawn(base.tasks.adopt(task)) {
        tracing::warn!(%error, "cannot start a thread for a four-letter word");
    }
    result
}

async fn exchange(mut socket: impl Socket, mut word: FourLetterWord) -> Result<String, LinkError> {
    word.handle_connected();
    let (mut out, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        word.poll_transmit(&mut out);
        let written = write(&mut socket, &out).await;
        out.clear();
        if let Some(answer) = word.take_answer() {
            return answer;
        }
        let read = match written {
            Ok(()) => poll_fn(|cx| socket.poll_read(cx, &mut piece)).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(0) => word.handle_disconnected(ErrorKind::UnexpectedEof),
            Ok(count) => word.handle_data(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => word.handle_disconnected(error.kind()),
        }
    }
}

async fn write(socket: &mut impl Socket, mut unsent: &[u8]) -> io::Result<()> {
    while !unsent.is_empty() {
        match poll_fn(|cx| socket.poll_write(cx, unsent)).await? {
            0 => return Err(ErrorKind::WriteZero.into()),
            count => unsent = &unsent[count..],
        }
    }
    Ok(())
}

/// Sees to it that there is an answer, also if this is dropped with the task or the job that was to
/// bring one.
#[derive(Debug)]
pub(crate) struct Promise(Option<Completer<String>>);

impl Promise {
    /// The promise, and the result that it is about.
    pub(crate) fn new() -> (Self, AsyncResult<String>) {
        let (completer, result) = AsyncResult::pair();
        (Self(Some(completer)), result)
    }

    /// Does nobody want the answer any more? The task is woken when that happens.
    fn is_broken_off(&mut self, cx: &mut Context<'_>) -> bool {
        let completer = self.0.as_mut();
        completer.is_none_or(|completer| completer.poll_cancelled(cx).is_ready())
    }

    /// Gives the answer. The first one counts.
    pub(crate) fn keep(&mut self, answer: Result<String, LinkError>) {
        if let Some(completer) = self.0.take() {
            if let Err(error) = &answer {
                tracing::debug!(%error, "a four-letter word was not answered");
            }
            completer.complete(answer.map_err(Error::Command));
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.keep(Err(LinkError::Io(ErrorKind::Other)));
    }
}
