//! Reads: one request each, optionally behind a `sync` or a quorum write in the same flight.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

use zk_proto::{
    Acl, Children, Chroot, Payload, ReadOp, ReadResult, Reply, Request, Stat, ZnodePath,
};
use zk_session::{Call, RequestError, WatchedEvent};

use crate::async_result::{After, Slot};
use crate::core::{Complete, Done, Sink, Ticket};
use crate::op::sealed::Start;
use crate::op::{Kind, Launch, Op, Started};
use crate::{AsyncResult, Error, Watch};

/// One read of the kind `R`.
#[derive(Debug)]
pub struct Read<'a, R: ReadKind> {
    path: Cow<'a, str>,
    freshness: Freshness,
    /// Past the bounds of the queue.
    urgent: bool,
    callback: OnEvent,
    what: PhantomData<fn() -> R>,
}

/// A read that also sets a one-shot watch, and hands out its handle.
#[derive(Debug)]
pub struct Watched<'a, R: Watchable>(pub(super) Read<'a, R>);

/// How new the state is that a read sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Freshness {
    /// What the connected server has: never older than what this session has seen.
    Session,
    /// Behind a `sync`.
    Synced,
    /// Behind a quorum write.
    Linearizable,
}

/// A read that there is. Implemented by the types of this module, and by nothing else.
pub trait ReadKind: private::Sealed + Unpin + Send + 'static {
    /// What it gives.
    type Output: Send + 'static;

    /// Is its path the server's own, whatever the client's root path is?
    #[doc(hidden)]
    const ABSOLUTE: bool = false;

    #[doc(hidden)]
    fn request(path: &str, watch: bool) -> Request<'_>;

    #[doc(hidden)]
    fn convert(result: Result<Reply, RequestError>) -> Result<Self::Output, Error>;
}

/// A read that can set a watch.
pub trait Watchable: ReadKind {
    /// What it gives together with the watch's handle.
    type Watched: Send + 'static;

    /// Is the watch also set if the node does not exist?
    #[doc(hidden)]
    const ON_NO_NODE: bool = false;

    #[doc(hidden)]
    fn join(output: Self::Output, watch: Watch) -> Self::Watched;
}

mod private {
    #[expect(unnameable_types, reason = "only this crate implements it")]
    pub trait Sealed {}
}

/// Defines a kind of read: what it sends, and what it makes of the reply.
macro_rules! reads {
    ($($(#[$doc:meta])* $kind:ident -> $output:ty {
        $(const $constant:ident = $value:expr;)*
        ($path:ident, $watch:pat) => $request:expr;
        $($pattern:pat => $result:expr,)+
    })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub struct $kind;

        impl private::Sealed for $kind {}

        impl ReadKind for $kind {
            type Output = $output;

            $(const $constant: bool = $value;)*

            fn request($path: &str, $watch: bool) -> Request<'_> {
                let $path = Cow::Borrowed($path);
                $request
            }

            fn convert(result: Result<Reply, RequestError>) -> Result<$output, Error> {
                match result {
                    $($pattern => $result,)+
                    Ok(_) => Err(Error::UnexpectedReply),
                    #[allow(unreachable_patterns, reason = "some kinds take errors, too")]
                    Err(error) => Err(error.into()),
                }
            }
        }
    )+};
}

reads! {
    /// [`Client::exists`](crate::Client::exists): the node's stat, or `None`.
    Exists -> Option<Stat> {
        (path, watch) => Request::Exists { path, watch };
        Ok(Reply::Stat(stat)) => Ok(Some(stat)),
        Err(RequestError::Server(zk_proto::ErrorCode::NO_NODE)) => Ok(None),
    }

    /// [`Client::get`](crate::Client::get): data and stat.
    GetData -> (Payload, Stat) {
        (path, watch) => Request::GetData { path, watch };
        Ok(Reply::Data { data, stat }) => Ok((data, stat)),
    }

    /// [`Client::get_children`](crate::Client::get_children): the names.
    GetChildren -> Children {
        (path, watch) => Request::GetChildren { path, watch, with_stat: false };
        Ok(Reply::Children(children)) => Ok(children),
    }

    /// [`Client::get_children`](crate::Client::get_children) with
    /// [`with_stat`](Op::with_stat): the names and the parent's stat.
    GetChildrenStat -> (Children, Stat) {
        (path, watch) => Request::GetChildren { path, watch, with_stat: true };
        Ok(Reply::ChildrenStat { children, stat }) => Ok((children, stat)),
    }

    /// [`Client::get_acls`](crate::Client::get_acls): the access control list and the stat.
    GetAcls -> (Vec<Acl>, Stat) {
        (path, _) => Request::GetAcl { path };
        Ok(Reply::Acl { acl, stat }) => Ok((acl, stat)),
    }

    /// [`Client::get_ephemerals`](crate::Client::get_ephemerals): the session's ephemeral nodes.
    GetEphemerals -> Vec<String> {
        (prefix, _) => Request::GetEphemerals { prefix };
        Ok(Reply::Ephemerals(paths)) => Ok(paths),
    }

    /// [`Client::get_all_children_number`](crate::Client::get_all_children_number): how many nodes
    /// are below.
    CountAll -> u32 {
        (path, _) => Request::GetAllChildrenNumber { path };
        Ok(Reply::Count(count)) => u32::try_from(count).map_err(|_| Error::UnexpectedReply),
    }

    /// [`Client::get_config`](crate::Client::get_config): the ensemble's configuration.
    GetConfig -> (Payload, Stat) {
        const ABSOLUTE = true;
        (path, watch) => Request::GetData { path, watch };
        Ok(Reply::Data { data, stat }) => Ok((data, stat)),
    }
}

impl Watchable for Exists {
    type Watched = (Option<Stat>, Watch);

    const ON_NO_NODE: bool = true;

    fn join(stat: Option<Stat>, watch: Watch) -> Self::Watched {
        (stat, watch)
    }
}

impl Watchable for GetData {
    type Watched = (Payload, Stat, Watch);

    fn join((data, stat): (Payload, Stat), watch: Watch) -> Self::Watched {
        (data, stat, watch)
    }
}

impl Watchable for GetConfig {
    type Watched = (Payload, Stat, Watch);

    fn join((data, stat): (Payload, Stat), watch: Watch) -> Self::Watched {
        (data, stat, watch)
    }
}

impl Watchable for GetChildren {
    type Watched = (Children, Watch);

    fn join(children: Children, watch: Watch) -> Self::Watched {
        (children, watch)
    }
}

impl Watchable for GetChildrenStat {
    type Watched = (Children, Stat, Watch);

    fn join((children, stat): (Children, Stat), watch: Watch) -> Self::Watched {
        (children, stat, watch)
    }
}

impl<'a, R: ReadKind> Read<'a, R> {
    pub(crate) fn new(path: &'a str) -> Self {
        Self {
            path: Cow::Borrowed(path),
            freshness: Freshness::Session,
            urgent: false,
            callback: OnEvent(None),
            what: PhantomData,
        }
    }

    pub(super) fn into_owned(self) -> Read<'static, R> {
        Read {
            path: Cow::Owned(self.path.into_owned()),
            freshness: self.freshness,
            urgent: self.urgent,
            callback: self.callback,
            what: PhantomData,
        }
    }

    /// Sends the read, with `sink` for the notices of its watch, behind what makes it fresh.
    fn send<T: Send + 'static>(
        &self,
        launch: &mut Launch<'_>,
        sink: Option<(&Arc<Slot<WatchedEvent>>, bool)>,
        convert: impl Fn(Done) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<Started<T>, Error> {
        let path = ZnodePath::parse(&self.path)?;
        let body = R::request(path.as_str(), sink.is_some());
        let chroot = if R::ABSOLUTE {
            &Chroot::ROOT
        } else {
            launch.client.chroot_ref()
        };
        let deadline = launch.deadline;
        let slot = Arc::new(Slot::new(convert));
        let complete: Arc<dyn Complete> = Arc::<Slot<T, _>>::clone(&slot);
        let barrier = match self.freshness {
            Freshness::Session => None,
            Freshness::Synced => Some(Request::Sync {
                path: Cow::Borrowed(path.as_str()),
            }),
            Freshness::Linearizable => Some(Request::Multi(Cow::Borrowed(&[]))),
        };
        let origin = launch.client.core().origin();
        let urgent = self.urgent;
        let ticket = launch.submit(urgent, &mut |submission| {
            let call = |body| {
                let call = Call::new(body, chroot).deadline(deadline);
                if urgent { call.urgent() } else { call }
            };
            let ahead = match &barrier {
                Some(barrier) => {
                    let gate = Arc::new(Gate(Arc::clone(&complete)));
                    // Bounds may have room for one request and never for two.
                    Some(submission.request(call(barrier).urgent(), gate)?)
                }
                None => None,
            };
            let sink = sink.map(|(slot, on_no_node)| {
                (
                    Sink::Once(Arc::<Slot<WatchedEvent>>::clone(slot)),
                    on_no_node,
                )
            });
            let read = submission.watch_request(call(&body), Arc::clone(&complete), sink);
            if let (Err(_), Some(ahead)) = (&read, ahead) {
                submission.take_back(ahead);
            }
            read
        })?;
        Ok(Started::Sent(AsyncResult::new(slot, Some(origin), ticket)))
    }
}

impl<R: ReadKind> Start for Read<'_, R> {
    type Reply = R::Output;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<R::Output>, Error> {
        let sink = self
            .callback
            .0
            .as_ref()
            .map(|(slot, on_no_node)| (slot, *on_no_node));
        self.send(launch, sink, |done| R::convert(done.result))
    }
}

impl<R: ReadKind> Kind for Read<'_, R> {
    type Output = R::Output;
}

impl<R: Watchable> Start for Watched<'_, R> {
    type Reply = R::Watched;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<R::Watched>, Error> {
        let events = Arc::new(Slot::new(()));
        let origin = launch.client.core().origin();
        let sink = Arc::<Slot<WatchedEvent>>::clone(&events);
        self.0
            .send(launch, Some((&sink, R::ON_NO_NODE)), move |done| {
                let ticket = done.watch.unwrap_or(Ticket::NONE);
                let output = R::convert(done.result)?;
                let events = Arc::<Slot<WatchedEvent>>::clone(&events);
                let event = AsyncResult::new(events, Some(Arc::clone(&origin)), ticket);
                Ok(R::join(output, Watch::new(event)))
            })
    }
}

impl<R: Watchable> Kind for Watched<'_, R> {
    type Output = R::Watched;
}

impl<'a, R: ReadKind> Op<'a, Read<'a, R>> {
    /// Goes past the bounds of the queue.
    pub(crate) fn past_bounds(self) -> Self {
        self.refine(|read| read.urgent = true)
    }

    /// Sees a state that is as new.
    pub(crate) fn with_freshness(self, freshness: Freshness) -> Self {
        self.refine(|read| read.freshness = freshness)
    }

    /// Sees everything that was committed when the connected server's leader got the call: a
    /// `sync` goes ahead of the read, in the same flight.
    ///
    /// A leader that was deposed and does not know it yet can still answer the `sync`; where that
    /// matters, see [`linearizable`](Self::linearizable).
    pub fn synced(self) -> Self {
        self.refine(|read| read.freshness = Freshness::Synced)
    }

    /// Sees everything that was committed when the call was made: an empty transaction goes ahead
    /// of the read, in the same flight. It costs a quorum write, without a change.
    pub fn linearizable(self) -> Self {
        self.refine(|read| read.freshness = Freshness::Linearizable)
    }
}

impl<'a, R: Watchable> Op<'a, Read<'a, R>> {
    /// Also sets a one-shot watch, whose handle is added to the result.
    pub fn watched(self) -> Op<'a, Watched<'a, R>> {
        self.map(Watched)
    }

    /// Also sets a one-shot watch that calls `f`: once with the event, or once with
    /// [`Error::WatchEnded`] when the session ends. In order with the client's other callbacks,
    /// off the I/O loop (kazoo: `watch=f`).
    ///
    /// If the read fails, no watch is set and `f` is not called. (`exists` sets it also if there
    /// is no node.)
    pub fn watch(self, f: impl FnOnce(Result<WatchedEvent, Error>) + Send + 'static) -> Self {
        let slot = Slot::callback((), Box::new(f), self.client.core().origin());
        self.refine(|read| read.callback = OnEvent(Some((Arc::new(slot), R::ON_NO_NODE))))
    }
}

impl<'a, R: Watchable> Op<'a, Watched<'a, R>> {
    /// See [`synced`](Op::synced) of the plain read.
    pub fn synced(self) -> Self {
        self.refine(|watched| watched.0.freshness = Freshness::Synced)
    }

    /// See [`linearizable`](Op::linearizable) of the plain read.
    pub fn linearizable(self) -> Self {
        self.refine(|watched| watched.0.freshness = Freshness::Linearizable)
    }
}

impl<'a> Op<'a, Read<'a, GetChildren>> {
    /// Also gives the stat of the parent (kazoo: `include_data=True`).
    pub fn with_stat(self) -> Op<'a, Read<'a, GetChildrenStat>> {
        self.map(|read| Read {
            path: read.path,
            freshness: read.freshness,
            urgent: read.urgent,
            callback: read.callback,
            what: PhantomData,
        })
    }
}

/// The callback of a one-shot watch, and whether it is also set if the node does not exist.
struct OnEvent(Option<(Arc<Slot<WatchedEvent>>, bool)>);

impl std::fmt::Debug for OnEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "OnEvent(..)"
        } else {
            "OnEvent(None)"
        })
    }
}

/// Takes the reply of what goes ahead of a read: its failure is the read's.
struct Gate(Arc<dyn Complete>);

impl Complete for Gate {
    fn complete(&self, done: Done) -> After {
        match done.result {
            Ok(_) => After::Nothing,
            Err(error) => self.0.complete(Done {
                result: Err(error),
                watch: None,
            }),
        }
    }
}

/// Several reads in one request: [`Client::multi_read`](crate::Client::multi_read). All see the
/// same state. Needs a server of version 3.6 or newer.
#[derive(Debug, Default)]
pub struct MultiRead<'a> {
    ops: Vec<(Cow<'a, str>, Which)>,
}

impl MultiRead<'_> {
    pub(super) fn into_owned(self) -> MultiRead<'static> {
        let owned = |(path, which): (Cow<'_, str>, _)| (Cow::Owned(path.into_owned()), which);
        MultiRead {
            ops: self.ops.into_iter().map(owned).collect(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Data,
    Children,
}

impl<'a> Op<'a, MultiRead<'a>> {
    /// Adds a [`get`](crate::Client::get).
    pub fn get(self, path: &'a str) -> Self {
        self.refine(|multi| multi.ops.push((Cow::Borrowed(path), Which::Data)))
    }

    /// Adds a [`get_children`](crate::Client::get_children).
    pub fn get_children(self, path: &'a str) -> Self {
        self.refine(|multi| multi.ops.push((Cow::Borrowed(path), Which::Children)))
    }
}

impl Start for MultiRead<'_> {
    type Reply = Vec<ReadResult>;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<Self::Reply>, Error> {
        let mut ops = Vec::with_capacity(self.ops.len());
        for (path, which) in &self.ops {
            let path = ZnodePath::parse(path)?.into_cow();
            ops.push(match which {
                Which::Data => ReadOp::GetData { path },
                Which::Children => ReadOp::GetChildren { path },
            });
        }
        launch.request(&Request::MultiRead(Cow::Owned(ops)), |reply| {
            let Reply::MultiRead(results) = reply else {
                return Err(Error::UnexpectedReply);
            };
            Ok(results)
        })
    }
}

impl Kind for MultiRead<'_> {
    type Output = Vec<ReadResult>;
}
