//! Persistent watches.

use std::borrow::Cow;
use std::sync::Arc;

use zk_proto::{AddWatchMode, Reply, Request, WatcherType, ZnodePath};
use zk_session::{Call, Notice};

use crate::async_result::Slot;
use crate::buffer::Buffer;
use crate::core::{Complete, Done, Sink, Ticket};
use crate::op::sealed::Start;
use crate::op::write::empty;
use crate::op::{Kind, Launch, Op, Started};
use crate::{AsyncResult, Error, EventStream, WatchStream};

/// [`Client::add_watch`](crate::Client::add_watch). Gives a [`WatchStream`].
#[derive(Debug)]
pub struct AddWatch<'a> {
    path: Cow<'a, str>,
    mode: AddWatchMode,
    capacity: usize,
}

/// Notices that a watch's stream keeps for its reader, unless told otherwise.
const CAPACITY: usize = 1024;

impl<'a> AddWatch<'a> {
    pub(crate) fn new(path: &'a str) -> Self {
        Self {
            path: Cow::Borrowed(path),
            mode: AddWatchMode::PERSISTENT,
            capacity: CAPACITY,
        }
    }

    pub(super) fn into_owned(self) -> AddWatch<'static> {
        AddWatch {
            path: Cow::Owned(self.path.into_owned()),
            ..self
        }
    }
}

impl<'a> Op<'a, AddWatch<'a>> {
    /// Watches the node: its creation, changes and deletion, and the coming and going of its
    /// children. The default.
    pub fn persistent(self) -> Self {
        self.refine(|add| add.mode = AddWatchMode::PERSISTENT)
    }

    /// Watches the node and everything below it: creations, changes of data, deletions.
    pub fn recursive(self) -> Self {
        self.refine(|add| add.mode = AddWatchMode::PERSISTENT_RECURSIVE)
    }

    /// How many notices are kept for a slow reader; beyond them there is a [`Notice::Gap`].
    /// Default 1,024, at least 1.
    pub fn capacity(self, notices: usize) -> Self {
        self.refine(|add| add.capacity = notices.max(1))
    }
}

impl Start for AddWatch<'_> {
    type Reply = WatchStream;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<WatchStream>, Error> {
        let path = ZnodePath::parse(&self.path)?;
        let body = Request::AddWatch {
            path: Cow::Borrowed(path.as_str()),
            mode: self.mode,
        };
        let call = Call::new(&body, launch.client.chroot_ref()).deadline(launch.deadline);
        let (capacity, origin) = (self.capacity, launch.client.core().origin());
        let buffer = Arc::new(Buffer::<Notice>::new());
        let (of_stream, core) = (Arc::clone(&buffer), Arc::clone(&origin));
        let slot = Arc::new(Slot::new(move |done: Done| {
            done.result?;
            let ticket = done.watch.unwrap_or(Ticket::NONE);
            Ok(EventStream::new(
                Arc::clone(&of_stream),
                Arc::clone(&core),
                ticket,
            ))
        }));
        let complete: Arc<dyn Complete> = Arc::<Slot<WatchStream, _>>::clone(&slot);
        let ticket = launch.submit(false, &mut |submission| {
            let sink = Sink::Stream(Arc::clone(&buffer), capacity);
            submission.watch_request(call, Arc::clone(&complete), Some((sink, false)))
        })?;
        Ok(Started::Sent(AsyncResult::new(slot, Some(origin), ticket)))
    }
}

impl Kind for AddWatch<'_> {
    type Output = WatchStream;
}

/// [`Client::check_watches`](crate::Client::check_watches).
#[derive(Debug)]
pub struct CheckWatches<'a> {
    path: &'a str,
    kind: WatcherType,
}

impl<'a> CheckWatches<'a> {
    pub(crate) fn new(path: &'a str, kind: WatcherType) -> Self {
        Self { path, kind }
    }
}

impl Start for CheckWatches<'_> {
    type Reply = ();

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<()>, Error> {
        let path = ZnodePath::parse(self.path)?.into_cow();
        launch.request(
            &Request::CheckWatches {
                path,
                kind: self.kind,
            },
            |reply: Reply| empty(reply),
        )
    }
}

impl Kind for CheckWatches<'_> {
    type Output = ();
}
