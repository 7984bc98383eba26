//! [`DataWatch`].

use zk_client::{Client, Error, Listen, Payload, Stat, Watch, WatchedEvent, WeakClient};

use crate::again::{after, alive};
use crate::changes::Outlet;
use crate::planted::{Plan, Planted};
use crate::{Calls, Changes, Pending};

/// Watches a node's data, from its first state on. See the [module](super).
#[derive(Clone, Debug)]
#[must_use = "nothing is watched until changes() or call()"]
pub struct DataWatch {
    client: Client,
    path: String,
    plan: Plan,
}

/// What a [`DataWatch`] has seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeChange {
    /// The node; `None` if there is none.
    pub node: Option<(Payload, Stat)>,
    /// The event that made it look. `None` for the first look, and for that of a new session.
    pub event: Option<WatchedEvent>,
}

impl DataWatch {
    /// A watch of the data at `path`, where there need not be a node.
    pub fn new(client: &Client, path: &str) -> Self {
        Self {
            client: client.clone(),
            path: path.to_owned(),
            plan: Plan::default(),
        }
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: Planted) -> Self {
        self.plan = Plan::of(planted);
        self
    }

    /// What it sees, as a stream: the node as it is, then each change of its data, its deletion and
    /// creation.
    ///
    /// An error is the last item: [`Error::NoAuth`], [`Error::Path`], what has ended the client.
    pub fn changes(&self) -> Changes<NodeChange> {
        let (path, plan) = (self.path.clone(), self.plan);
        Changes::new(&self.client, move |weak, outlet| {
            watch(weak, path, plan, outlet)
        })
    }

    /// Calls `f` with what it sees; see [`Calls`] (kazoo: `DataWatch(client, path, f)`).
    ///
    /// # Errors
    /// Those of the first look.
    pub fn call(&self, f: impl FnMut(NodeChange) -> Listen + Send + 'static) -> Pending<Calls> {
        self.changes().call(&self.client, f)
    }
}

async fn watch(
    weak: WeakClient,
    path: String,
    plan: Plan,
    outlet: Outlet<NodeChange>,
) -> Result<(), Error> {
    let mut known = None;
    let mut event = None;
    loop {
        let (node, watch) = look(&weak, &path).await?;
        let seen = node.as_ref().map(|(_, stat)| (stat.czxid, stat.mzxid));
        if known.is_some() && event.is_none() && plan.has(Planted::QuietSession) {
            known = Some(seen);
        }
        if known != Some(seen) {
            outlet.put(NodeChange { node, event }).await;
            known = Some(seen);
        }
        event = watch.await.ok();
    }
}

/// The node, or that there is none, and a watch for what comes next.
async fn look(weak: &WeakClient, path: &str) -> Result<(Option<(Payload, Stat)>, Watch), Error> {
    loop {
        let asked = alive(weak)?.get(path).watched().launched().await;
        match asked.await {
            Ok((data, stat, watch)) => return Ok((Some((data, stat)), watch)),
            Err(Error::NoNode) => {}
            Err(error) => {
                after(weak, error).await?;
                continue;
            }
        }
        let asked = alive(weak)?.exists(path).watched().launched().await;
        match asked.await {
            Ok((None, watch)) => return Ok((None, watch)),
            // It was created in between.
            Ok((Some(_), _)) => {}
            Err(error) => after(weak, error).await?,
        }
    }
}
