//! Several calls in one flight.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Both results. The first is sent first.
pub(crate) async fn both<A: Future, B: Future>(first: A, second: B) -> (A::Output, B::Output) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut one, mut other) = (None, None);
    poll_fn(|cx| {
        if one.is_none() {
            if let Poll::Ready(result) = first.as_mut().poll(cx) {
                one = Some(result);
            }
        }
        if other.is_none() {
            if let Poll::Ready(result) = second.as_mut().poll(cx) {
                other = Some(result);
            }
        }
        match (one.take(), other.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (one, other) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// The result of whichever is done first; the other one is dropped.
pub(crate) async fn either<T>(
    first: impl Future<Output = T>,
    second: impl Future<Output = T>,
) -> T {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| {
        if let Poll::Ready(result) = first.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        second.as_mut().poll(cx)
    })
    .await
}
