//! [`PatientChildrenWatch`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use zk_client::{AsyncResult, Children, Client, Error, Watch, WatchedEvent, Zxid};

use super::children;
use crate::Pending;
use crate::again::{after, alive};

/// How long nothing may change, unless told otherwise.
const TIME_BOUNDARY: Duration = Duration::from_secs(30);

/// Waits until the children of a node have stopped changing. See the [module](super).
///
/// It sleeps until a child comes or goes, or the time is over, and never polls.
#[derive(Clone, Debug)]
#[must_use = "nothing is watched until start()"]
pub struct PatientChildrenWatch {
    client: Client,
    path: String,
    time_boundary: Duration,
}

/// The children of a node, and when that is out of date.
#[derive(Debug)]
#[non_exhaustive]
pub struct Settled {
    /// The names of the children, in no particular order.
    pub children: Children,
    /// Resolves at the next change after that, and as [`Error::Closed`] if the client is closed
    /// before. A lost session is no change. Dropping it removes the watch.
    pub changed: AsyncResult<()>,
}

impl PatientChildrenWatch {
    /// A watch of the children of `path`, for 30 s without a change.
    pub fn new(client: &Client, path: &str) -> Self {
        Self {
            client: client.clone(),
            path: path.to_owned(),
            time_boundary: TIME_BOUNDARY,
        }
    }

    /// How long nothing may change. Default 30 s.
    pub fn time_boundary(mut self, time: Duration) -> Self {
        self.time_boundary = time;
        self
    }

    /// Waits until there was no change for that long.
    ///
    /// # Errors
    /// [`Error::NoNode`] if there is no such node, also if it is deleted meanwhile;
    /// [`Error::NoAuth`], [`Error::Path`].
    pub fn start(&self) -> Pending<Settled> {
        let Self {
            client,
            path,
            time_boundary,
        } = self.clone();
        Pending::new(&client.clone(), settle(client, path, time_boundary))
    }
}

async fn settle(client: Client, path: String, quiet: Duration) -> Result<Settled, Error> {
    let weak = client.downgrade();
    loop {
        let (list, mut watch) = children::look(&weak, &path).await?;
        let (children, stat) = list.ok_or(Error::NoNode)?;
        let mut sleep = client.sleep(quiet);
        let woken = poll_fn(|cx| {
            if let Poll::Ready(event) = pin!(&mut watch).poll(cx) {
                return Poll::Ready(Err(event));
            }
            pin!(&mut sleep).poll(cx).map(Ok)
        });
        match woken.await {
            Ok(slept) => slept?,
            Err(_) => continue,
        }
        // While the connection was away nothing would have been heard.
        match client.get_children(&path).with_stat().await {
            Ok((_, now)) if (now.czxid, now.pzxid) == (stat.czxid, stat.pzxid) => {}
            Ok(_) => continue,
            Err(error) => {
                after(&weak, error).await?;
                continue;
            }
        }
        let changed = client.run(change(weak, path, (stat.czxid, stat.pzxid), watch));
        return Ok(Settled { children, changed });
    }
}

/// Waits until the children are others than those of this node and moment.
async fn change(
    weak: zk_client::WeakClient,
    path: String,
    known: (Zxid, Zxid),
    watch: Watch,
) -> Result<(), Error> {
    let mut event: Result<WatchedEvent, Error> = watch.await;
    loop {
        if event.is_ok() {
            return Ok(());
        }
        // The session is gone, and perhaps nothing else has happened.
        alive(&weak)?;
        let (list, watch) = children::look(&weak, &path).await?;
        if list.map(|(_, stat)| (stat.czxid, stat.pzxid)) != Some(known) {
            return Ok(());
        }
        event = watch.await;
    }
}
