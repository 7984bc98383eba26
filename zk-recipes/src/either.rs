//! Waiting for one of two things.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

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
