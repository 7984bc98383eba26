//! Four-letter words on an async runtime: a connection and a task each.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use zk_client::{AsyncResult, Completer, Error, Task};
use zk_proto::ServerAddr;
use zk_session::LinkError;

use crate::connect::connect;
use crate::{Base, Runtime, Socket, Timer};

/// The longest answer that is taken.
pub const MAX_ANSWER: usize = 16 << 20;
/// A limit beyond this is none worth speaking of, and runtimes need not know what to do with it.
const MAX_LIMIT: Duration = Duration::from_secs(3600);

/// Sends `word` to `server` and reads the answer to its end, within `limit`.
pub fn ask<R: Runtime>(
    runtime: &Arc<R>,
    base: &Arc<Base>,
    server: ServerAddr,
    word: [u8; 4],
    limit: Duration,
) -> AsyncResult<String> {
    let (mut promise, result) = Promise::new();
    let (asked, resolver) = (Arc::clone(runtime), Arc::clone(&base.resolver));
    let task = Task::new(async move {
        let mut timer = asked.timer();
        timer.set(limit.min(MAX_LIMIT));
        let mut exchange = pin!(async {
            let socket = connect(asked, resolver, server.clone(), 0).await?;
            exchange(socket, word).await
        });
        let answer = poll_fn(|cx| {
            // Nobody is to wait for a silent server on behalf of one who has given up.
            if promise.is_broken_off(cx) {
                return Poll::Ready(Err(ErrorKind::Interrupted.into()));
            }
            match exchange.as_mut().poll(cx) {
                Poll::Pending => timer.poll(cx).map(|()| Err(ErrorKind::TimedOut.into())),
                ready => ready,
            }
        });
        let answer = answer.await.map_err(|error: io::Error| {
            tracing::debug!(%server, %error, "a four-letter word was not answered");
            error.kind()
        });
        promise.keep(answer);
    });
    if let Err(error) = runtime.spawn(base.tasks.adopt(task)) {
        tracing::warn!(%error, "cannot start a thread for a four-letter word");
    }
    result
}

async fn exchange(mut socket: impl Socket, word: [u8; 4]) -> io::Result<String> {
    let mut unsent = &word[..];
    while !unsent.is_empty() {
        let count = poll_fn(|cx| socket.poll_write(cx, unsent)).await?;
        if count == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        unsent = &unsent[count..];
    }
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match poll_fn(|cx| socket.poll_read(cx, &mut piece)).await {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if answer.len() > MAX_ANSWER {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    Ok(text(answer))
}

/// An answer as a text, whatever it is.
pub fn text(answer: Vec<u8>) -> String {
    String::from_utf8(answer)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Sees to it that there is an answer, also if this is dropped with the task or the job that was to
/// bring one.
#[derive(Debug)]
pub struct Promise(Option<Completer<String>>);

impl Promise {
    /// The promise, and the result that it is about.
    pub fn new() -> (Self, AsyncResult<String>) {
        let (completer, result) = AsyncResult::pair();
        (Self(Some(completer)), result)
    }

    /// Does nobody want the answer any more? The task is woken when that happens.
    fn is_broken_off(&mut self, cx: &mut Context<'_>) -> bool {
        let completer = self.0.as_mut();
        completer.is_none_or(|completer| completer.poll_cancelled(cx).is_ready())
    }

    /// Gives the answer. The first one counts.
    pub fn keep(&mut self, answer: Result<String, ErrorKind>) {
        if let Some(completer) = self.0.take() {
            completer.complete(answer.map_err(|kind| Error::Command(LinkError::Io(kind))));
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.keep(Err(ErrorKind::Other));
    }
}
