//! Creates whose node is found again when the reply was lost.

use std::borrow::Cow;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zk_proto::{SessionId, Stat, Zxid};

use crate::async_result::Claim;
use crate::op::read::Freshness;
use crate::op::write::{Create, CreateReply};
use crate::{Client, Error};

/// What protected names begin with, as Curator's (`ProtectedUtils`): this, an id, and a dash.
const PREFIX: &str = "_c_";

/// The pause between two attempts to find or delete a node in the background.
const PAUSE: Duration = Duration::from_millis(100);

/// The pauses between looks after a connection was lost, until none more is expected to show up: see
/// [`clean_up`].
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];

/// By what a node is known as the one that a create has made.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    path: String,
    sequential: bool,
    /// It goes with the session, so that one of another session does not count.
    ephemeral: bool,
    /// The newest transaction known before: what is not younger was there already.
    after: Zxid,
    /// One that does not count.
    keep: Option<String>,
}

/// A node that was found.
pub(crate) type Found = (String, Stat);

impl Mark {
    /// Is this node's owner, where it matters, the living session?
    fn fits(&self, stat: &Stat, session: Option<SessionId>) -> bool {
        stat.czxid > self.after && (!self.ephemeral || Some(stat.ephemeral_owner) == session)
    }

    /// Looks for the node after a `sync`, past all bounds.
    pub(crate) async fn find(
        &self,
        client: &Client,
        deadline: Option<Instant>,
    ) -> Result<Option<Found>, Error> {
        self.find_in(client, deadline, Freshness::Synced).await
    }

    async fn find_in(
        &self,
        client: &Client,
        deadline: Option<Instant>,
        freshness: Freshness,
    ) -> Result<Option<Found>, Error> {
        if !self.sequential && self.keep.is_some() {
            return Ok(None);
        }
        if !self.sequential {
            let stat = client.exists(&self.path).with_freshness(freshness);
            let stat = stat.past_bounds().until(deadline).await?;
            let session = client.client_id().map(|(id, _)| id);
            return Ok(stat
                .filter(|stat| self.fits(stat, session))
                .map(|stat| (self.path.clone(), stat)));
        }
        let (parent, prefix) = split(&self.path);
        let above = if parent.is_empty() { "/" } else { parent };
        let children = client.get_children(above).with_freshness(freshness);
        let children = match children.past_bounds().until(deadline).await {
            Err(Error::NoNode) => return Ok(None),
            children => children?,
        };
        for name in children.iter().filter(|name| name.starts_with(prefix)) {
            let path = format!("{parent}/{name}");
            if self.keep.as_ref() == Some(&path) {
                continue;
            }
            let stat = client.exists(&path).past_bounds().until(deadline).await?;
            let session = client.client_id().map(|(id, _)| id);
            if let Some(stat) = stat.filter(|stat| self.fits(stat, session)) {
                return Ok(Some((path, stat)));
            }
        }
        Ok(None)
    }
}

/// What is above the last slash, and what is below.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

impl<'a, T: CreateReply> Create<'a, T> {
    /// The same create with an id in its name that nobody else has, and how to find its node.
    pub(crate) fn marked(mut self, client: &Client) -> Result<(Self, Mark), Error> {
        if !self.named {
            let path = self.parsed_path()?;
            let (parent, name) = split(path.as_str());
            let path = format!("{parent}/{PREFIX}{}-{name}", uuid(client));
            self.path = Cow::Owned(path);
        }
        self.protected = false;
        let mut mark = self.mark(client)?;
        // The id alone says that the node is the one.
        mark.after = Zxid::ZERO;
        Ok((self, mark))
    }

    /// How to find the node of this create, younger than all that is known now.
    pub(crate) fn mark(&self, client: &Client) -> Result<Mark, Error> {
        Ok(Mark {
            path: self.parsed_path()?.as_str().to_owned(),
            sequential: self.sequential,
            ephemeral: self.is_ephemeral(),
            after: client.last_zxid(),
            keep: None,
        })
    }
}

/// A random UUID in its usual form.
fn uuid(client: &Client) -> String {
    let mut id = client.unique_id();
    // Version 4, variant 1.
    id.replace_range(12..13, "4");
    id.replace_range(16..17, "a");
    for dash in [20, 16, 12, 8] {
        id.insert(dash, '-');
    }
    id
}

/// Protected creates, one or those of a transaction, whose nodes have no owner yet: what was made,
/// or may have been, is deleted when this is dropped, be it with the call under way or with the
/// result that nobody took.
pub(crate) struct Unclaimed(Mutex<Stage>);

enum Stage {
    /// The call goes on; the flag says whether somebody will have its result in any case.
    Making(Cleanup, bool),
    /// The nodes are there; if attempts before were lost, their paths, for others may still turn
    /// up.
    Made(Cleanup, Option<Vec<String>>),
    Over,
}

impl Unclaimed {
    /// Each node comes with the view that its mark's path is of.
    pub(crate) fn new(client: &Client, nodes: Vec<(Client, Mark)>) -> Arc<Self> {
        let cleanup = Cleanup {
            nodes,
            session: client.client_id().map(|(id, _)| id),
            losses: client.stats().session.losses,
        };
        Arc::new(Self(Mutex::new(Stage::Making(cleanup, false))))
    }

    /// The call has succeeded. The paths are those of its nodes, if others may turn up.
    pub(crate) fn made(&self, paths: Option<Vec<String>>) {
        let mut stage = self.stage();
        match mem::replace(&mut *stage, Stage::Over) {
            Stage::Making(cleanup, true) => {
                drop(stage);
                cleanup.keep(paths);
            }
            Stage::Making(cleanup, false) => *stage = Stage::Made(cleanup, paths),
            Stage::Made(..) | Stage::Over => {}
        }
    }

    /// There is nothing to delete.
    pub(crate) fn disarm(&self) {
        self.end(|cleanup| cleanup.keep(None));
    }

    /// The call has failed, but may have made nodes.
    pub(crate) fn run(&self) {
        self.end(drop);
    }

    fn end(&self, how: impl FnOnce(Cleanup)) {
        // On a line of its own: the lock must not be held while the cleanup is dropped.
        let stage = mem::replace(&mut *self.stage(), Stage::Over);
        if let Stage::Making(cleanup, _) | Stage::Made(cleanup, _) = stage {
            how(cleanup);
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim for Unclaimed {
    fn claim(&self) {
        let mut stage = self.stage();
        match mem::replace(&mut *stage, Stage::Over) {
            Stage::Making(cleanup, _) => *stage = Stage::Making(cleanup, true),
            Stage::Made(cleanup, paths) => {
                drop(stage);
                cleanup.keep(paths);
            }
            Stage::Over => {}
        }
    }
}

/// Deletes what protected creates may have made when it is dropped.
struct Cleanup {
    nodes: Vec<(Client, Mark)>,
    session: Option<SessionId>,
    /// Connections lost before.
    losses: u64,
}

impl Cleanup {
    /// The nodes have an owner. Only others of the same creates are deleted, if there may be any
    /// beside those with these paths.
    fn keep(mut self, paths: Option<Vec<String>>) {
        let paths = paths.unwrap_or_default();
        self.nodes.truncate(paths.len());
        for ((_, mark), path) in self.nodes.iter_mut().zip(paths) {
            mark.keep = Some(path);
        }
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let (session, losses) = (self.session, self.losses);
        for (client, mark) in mem::take(&mut self.nodes) {
            let spawner = client.clone();
            spawner.spawn(clean_up(client, mark, session, losses));
        }
    }
}

/// Finds and deletes the node. Ends when there is none any more, or when nothing can be done.
///
/// On the connection of the create one look tells, as servers keep the order. On a later one neither
/// of two things is enough, and so both are done:
///
/// * What is left of the create may be under way for as long as servers are cut off from each other.
///   A write ends that, behind which it is looked for: what the leader has of the create is done
///   first, and what comes to it by another server is refused, as the session has moved on
///   (`PrepRequestProcessor`, `SessionTrackerImpl.checkSession` of the server). A `sync` is answered
///   by a leader that was deposed, too.
/// * Where the client has come back to the same server nothing has moved on. There a thread that has
///   read the create may stall, and hand it on behind what the new connection asks, the write
///   included. No request shows that, and nothing bounds it but the stall: hence the later looks.
async fn clean_up(client: Client, mark: Mark, session: Option<SessionId>, losses: u64) {
    let mut pauses = PAUSES.iter();
    loop {
        let same = client.stats().session.losses == losses;
        let freshness = if same {
            Freshness::Synced
        } else {
            Freshness::Linearizable
        };
        let result = match mark.find_in(&client, None, freshness).await {
            Ok(Some((path, _))) => client.delete(&path).urgent().until(None).await,
            Ok(None) if same => return,
            Ok(None) => {
                let Some(pause) = pauses.next() else {
                    return;
                };
                if client.sleep(*pause).await.is_err() {
                    return;
                }
                continue;
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(()) | Err(Error::NoNode) => continue,
            Err(Error::SessionExpired { .. }) if mark.ephemeral => return,
            Err(Error::SessionExpired { .. } | Error::Timeout { .. }) => {}
            Err(error) if error.is_retryable() => {}
            Err(error) => {
                let (span, path) = (client.core().span(), &mark.path);
                tracing::warn!(parent: span, path, %error, "an abandoned node was not deleted");
                return;
            }
        }
        let now = client.client_id().map(|(id, _)| id);
        if mark.ephemeral && session.is_some() && now != session {
            return;
        }
        if client.sleep(PAUSE).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_at_the_last_slash() {
        assert_eq!(split("/a/b"), ("/a", "b"));
        assert_eq!(split("/b"), ("", "b"));
        assert_eq!(split("/a/"), ("/a", ""));
    }
}
