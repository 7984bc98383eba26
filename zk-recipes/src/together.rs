//! Two things at once: both of them, or whichever comes first.

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

/// What comes first; the first of the two if both are there. The second may be asked again.
pub(crate) async fn either<A, B: Unpin + Future>(
    first: impl Future<Output = A>,
    second: &mut B,
) -> Result<A, B::Output> {
    let mut first = pin!(first);
    poll_fn(|cx| {
        if let Poll::Ready(first) = first.as_mut().poll(cx) {
            return Poll::Ready(Ok(first));
        }
        pin!(&mut *second).poll(cx).map(Err)
    })
    .await
}
