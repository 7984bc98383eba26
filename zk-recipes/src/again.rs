//! What to do about requests that fail in the background.

use std::time::Duration;

use zk_client::{Client, Error, WeakClient};

/// The pause before another attempt where a server, or the queue here, is full.
const PAUSE: Duration = Duration::from_millis(250);

/// Comes back when what has failed like this may be tried again.
///
/// After a lost connection or session that is at once: the next request waits for a new one.
pub(crate) async fn after(weak: &WeakClient, error: Error) -> Result<(), Error> {
    if is_over_quickly(&error) {
        return Ok(());
    }
    if !error.is_retryable() {
        return Err(error);
    }
    let pause = alive(weak)?.sleep(PAUSE);
    pause.await
}

/// Does the next request wait for what will make it succeed?
pub(crate) fn is_over_quickly(error: &Error) -> bool {
    matches!(
        error,
        Error::ConnectionLoss { .. } | Error::SessionExpired { .. } | Error::Timeout { .. }
    )
}

/// The client, unless it is gone.
pub(crate) fn alive(weak: &WeakClient) -> Result<Client, Error> {
    weak.upgrade().ok_or(Error::Closed { sent: false })
}
