//! Whole trees: walking them, and deleting them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use zk_proto::{Children, ZnodePath};

use crate::op::delete::Delete;
use crate::op::sealed::Start;
use crate::op::{Kind, Launch, Started, Steps};
use crate::{AsyncResult, Client, Error};

/// Requests in flight at once, for one tree.
const WINDOW: usize = 256;

/// How often nodes may be added to a tree that is being deleted.
const ROUNDS: u32 = 16;

/// The nodes of a tree: [`Client::walk`]. A stream; dropping it ends it.
///
/// Nodes that vanish meanwhile are left out, those that come meanwhile may be.
///
/// ```no_run
/// # async fn f(client: zk_client::Client) -> Result<(), zk_client::Error> {
/// let mut walk = client.walk("/app");
/// while let Some(node) = walk.next().await {
///     println!("{}", node?.path);
/// }
/// # Ok(()) }
/// ```
#[must_use = "nothing is read until it is asked for"]
pub struct Walk {
    client: Client,
    /// Found, and not asked for their children yet.
    todo: VecDeque<String>,
    in_flight: VecDeque<(String, AsyncResult<Children>)>,
    /// One that waits for room in the session's queue.
    sending: Option<(String, Steps<AsyncResult<Children>>)>,
    window: usize,
    deadline: Option<Instant>,
    error: Option<Error>,
}

/// A node that a [`Walk`] has come by.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Walked {
    /// Its path.
    pub path: String,
    /// Its children; `None` if this session may not list them.
    pub children: Option<Children>,
}

impl Walk {
    pub(crate) fn new(client: &Client, path: &str) -> Self {
        let parsed = ZnodePath::parse(path).map(|path| path.as_str().to_owned());
        let (todo, error) = match parsed {
            Ok(path) => (VecDeque::from([path]), None),
            Err(error) => (VecDeque::new(), Some(error.into())),
        };
        Self {
            client: client.clone(),
            todo,
            in_flight: VecDeque::new(),
            sending: None,
            window: WINDOW,
            deadline: None,
            error,
        }
    }

    /// How many nodes are listed at a time. Default 256, at least 1.
    pub fn window(mut self, requests: usize) -> Self {
        self.window = requests.max(1);
        self
    }

    fn until(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// The next node; `None` after the last. An error is the last.
    #[expect(
        clippy::should_implement_trait,
        reason = "the name that streams have for it"
    )]
    pub fn next(&mut self) -> impl Future<Output = Option<Result<Walked, Error>>> + Send + '_ {
        poll_fn(|cx| self.poll_next(cx))
    }

    /// The next node, blocking; `None` after the last. An error is the last:
    /// [`Error::WouldDeadlock`] where waiting would never end.
    pub fn next_wait(&mut self) -> Option<Result<Walked, Error>> {
        match self.client.clone().block_on(self.next()) {
            Ok(next) => next,
            Err(error) => Some(Err(error)),
        }
    }

    /// A blocking iterator over what is to come.
    pub fn iter(&mut self) -> impl Iterator<Item = Result<Walked, Error>> + '_ {
        std::iter::from_fn(move || {
            let next = self.next_wait();
            if matches!(next, Some(Err(_))) {
                self.stop();
            }
            next
        })
    }

    /// The next node, as `Stream::poll_next` of the `futures` crates has it.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Walked, Error>>> {
        if let Some(error) = self.error.take() {
            self.stop();
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            self.poll_send(cx);
            let Some((path, result)) = self.in_flight.front_mut() else {
                return if self.sending.is_some() {
                    Poll::Pending
                } else {
                    Poll::Ready(None)
                };
            };
            let Poll::Ready(result) = Pin::new(result).poll(cx) else {
                return Poll::Pending;
            };
            let path = std::mem::take(path);
            self.in_flight.pop_front();
            match result {
                Ok(children) => {
                    let parent = if path == "/" { "" } else { &*path };
                    let below = children.iter().map(|name| format!("{parent}/{name}"));
                    self.todo.extend(below);
                    let children = Some(children);
                    return Poll::Ready(Some(Ok(Walked { path, children })));
                }
                Err(Error::NoNode) => {}
                Err(Error::NoAuth) => {
                    let children = None;
                    return Poll::Ready(Some(Ok(Walked { path, children })));
                }
                Err(error) => {
                    self.stop();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    /// Keeps as many requests in flight as allowed.
    fn poll_send(&mut self, cx: &mut Context<'_>) {
        while self.in_flight.len() < self.window {
            let (path, mut sending) = match self.sending.take() {
                Some(sending) => sending,
                None => {
                    let Some(path) = self.todo.pop_front() else {
                        return;
                    };
                    let (client, of, deadline) = (self.client.clone(), path.clone(), self.deadline);
                    let sending = async move {
                        let list = client.get_children(&of).until(deadline);
                        Ok(list.launched().await)
                    };
                    (path, Box::pin(sending) as Steps<_>)
                }
            };
            match sending.as_mut().poll(cx) {
                Poll::Ready(Ok(result)) => self.in_flight.push_back((path, result)),
                Poll::Ready(Err(error)) => {
                    self.in_flight
                        .push_back((path, AsyncResult::ready(Err(error))));
                }
                Poll::Pending => {
                    self.sending = Some((path, sending));
                    return;
                }
            }
        }
    }

    fn stop(&mut self) {
        self.todo.clear();
        self.in_flight.clear();
        self.sending = None;
    }
}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("found", &self.todo.len())
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

/// [`Client::delete`] with [`recursive`](crate::Op::recursive).
#[derive(Debug)]
pub struct DeleteTree<'a> {
    path: Cow<'a, str>,
    version: i32,
}

impl<'a> DeleteTree<'a> {
    pub(crate) fn new(delete: Delete<'a>) -> Self {
        Self {
            path: delete.path,
            version: delete.version,
        }
    }

    pub(crate) fn into_owned(self) -> DeleteTree<'static> {
        DeleteTree {
            path: Cow::Owned(self.path.into_owned()),
            version: self.version,
        }
    }
}

impl Start for DeleteTree<'_> {
    type Reply = ();

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<()>, Error> {
        let path = ZnodePath::parse(&self.path)?;
        let client = launch.client.clone();
        if client.chroot_ref().full(path.as_str()) == "/" {
            // Servers never delete the root; what is below it is not meant.
            return Err(Error::BadArguments);
        }
        let path = path.as_str().to_owned();
        let steps = delete_tree(client, path, self.version, launch.deadline);
        Ok(Started::Steps(Box::pin(steps)))
    }
}

impl Kind for DeleteTree<'_> {
    type Output = ();
}

/// Lists the tree and deletes it from its end, until nothing of it is left.
async fn delete_tree(
    client: Client,
    path: String,
    version: i32,
    deadline: Option<Instant>,
) -> Result<(), Error> {
    for _ in 0..ROUNDS {
        let mut nodes = Vec::new();
        let mut walk = client.walk(&path).until(deadline);
        while let Some(node) = walk.next().await {
            nodes.push(node?.path);
        }
        let several = nodes.len() > 1;
        match delete_all(&client, nodes, version, deadline).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => return Err(if several { partly(error) } else { error }),
        }
    }
    Err(Error::NotEmpty)
}

/// The failure of one of several deletions: those before it may have been carried out.
fn partly(mut error: Error) -> Error {
    if let Error::ConnectionLoss { sent }
    | Error::Timeout { sent }
    | Error::SessionExpired { sent }
    | Error::Closed { sent } = &mut error
    {
        *sent = true;
    }
    error
}

/// Deletes these nodes, the last first. `false` if one of them has children that are not among
/// them.
async fn delete_all(
    client: &Client,
    nodes: Vec<String>,
    version: i32,
    deadline: Option<Instant>,
) -> Result<bool, Error> {
    let mut in_flight = VecDeque::new();
    let mut empty = true;
    let mut nodes = nodes.into_iter();
    let root = nodes.next();
    // The session keeps the order, so that children go before their parents.
    for node in nodes.rev() {
        if in_flight.len() >= WINDOW {
            empty &= deleted(in_flight.pop_front()).await?;
        }
        let delete = client.delete(&node).until(deadline);
        in_flight.push_back(delete.launched().await);
    }
    while !in_flight.is_empty() {
        empty &= deleted(in_flight.pop_front()).await?;
    }
    match root {
        Some(root) if empty => {
            let delete = client.delete(&root).version(version).until(deadline);
            deleted(Some(delete.launched().await)).await
        }
        Some(_) => Ok(false),
        None => Ok(true),
    }
}

/// Is it gone? `false` if it has got children.
async fn deleted(result: Option<AsyncResult<()>>) -> Result<bool, Error> {
    match result {
        None => Ok(true),
        Some(result) => match result.await {
            Ok(()) | Err(Error::NoNode) => Ok(true),
            Err(Error::NotEmpty) => Ok(false),
            Err(error) => Err(error),
        },
    }
}
