//! [`ChildrenWatch`].

use zk_client::{
    Children, Client, Error, Listen, SessionId, Stat, StateReason, Watch, WatchedEvent, WeakClient,
};

use crate::again::{after, alive};
use crate::changes::Outlet;
use crate::{Calls, Changes, Pending};

/// Watches which children a node has, from its first state on. See the [module](super).
#[derive(Clone, Debug)]
#[must_use = "nothing is watched until changes() or call()"]
pub struct ChildrenWatch {
    client: Client,
    path: String,
    within_session: bool,
}

/// What a [`ChildrenWatch`] has seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildrenChange {
    /// The names of the children, in no particular order; `None` if there is no node.
    pub children: Option<Children>,
    /// The node's stat.
    pub stat: Option<Stat>,
    /// The event that made it look. `None` for the first look, and for that of a new session.
    pub event: Option<WatchedEvent>,
}

impl ChildrenWatch {
    /// A watch of the children of `path`, where there need not be a node.
    pub fn new(client: &Client, path: &str) -> Self {
        Self {
            client: client.clone(),
            path: path.to_owned(),
            within_session: false,
        }
    }

    /// Ends with the session, as [`Error::WatchEnded`] (kazoo: `allow_session_lost=False`).
    pub fn within_session(mut self) -> Self {
        self.within_session = true;
        self
    }

    /// What it sees, as a stream: the children as they are, then the list whenever a child has come
    /// or gone, or the node itself.
    ///
    /// An error is the last item: [`Error::NoAuth`], [`Error::Path`], what has ended the client.
    pub fn changes(&self) -> Changes<ChildrenChange> {
        let path = self.path.clone();
        let within = self.within_session;
        Changes::new(&self.client, move |weak, outlet| {
            watch(weak, path, within, outlet)
        })
    }

    /// Calls `f` with what it sees; see [`Calls`] (kazoo: `ChildrenWatch(client, path, f)`).
    ///
    /// # Errors
    /// Those of the first look.
    pub fn call(&self, f: impl FnMut(ChildrenChange) -> Listen + Send + 'static) -> Pending<Calls> {
        self.changes().call(&self.client, f)
    }
}

async fn watch(
    weak: WeakClient,
    path: String,
    within_session: bool,
    outlet: Outlet<ChildrenChange>,
) -> Result<(), Error> {
    let mut known = None;
    let mut event = None;
    let mut session = None;
    loop {
        let (list, watch) = look(&weak, &path).await?;
        if within_session {
            check(&weak, &mut session)?;
        }
        let seen = list.as_ref().map(|(_, stat)| (stat.czxid, stat.pzxid));
        if known != Some(seen) {
            let (children, stat) = list.unzip();
            let change = ChildrenChange {
                children,
                stat,
                event,
            };
            outlet.put(change).await;
            known = Some(seen);
        }
        event = match watch.await {
            Ok(event) => Some(event),
            Err(error @ Error::WatchEnded(_)) if within_session => return Err(error),
            Err(_) => None,
        };
    }
}

/// Is it still the session of the first look?
fn check(weak: &WeakClient, session: &mut Option<SessionId>) -> Result<(), Error> {
    let now = alive(weak)?.client_id().map(|(id, _)| id);
    if now.is_none() || session.is_some_and(|session| Some(session) != now) {
        return Err(Error::WatchEnded(StateReason::Expired));
    }
    *session = now;
    Ok(())
}

type List = (Children, Stat);

/// The children, or that there is no node, and a watch for what comes next.
pub(super) async fn look(weak: &WeakClient, path: &str) -> Result<(Option<List>, Watch), Error> {
    loop {
        let asked = {
            let client = alive(weak)?;
            let list = client.get_children(path).with_stat().watched();
            list.launched().await
        };
        match asked.await {
            Ok((children, stat, watch)) => return Ok((Some((children, stat)), watch)),
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
