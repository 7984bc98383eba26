//! Requests under way. Their ids are consecutive, so they are kept in a queue.

use std::collections::VecDeque;
use std::sync::Arc;

use zk_proto::Reply;
use zk_session::{RequestError, RequestId, TimerId, WatchId};

use crate::Error;
use crate::async_result::{After, Hold, Slot, settle};

/// By what a result is known to the core. A session's names start again with a restart, so they
/// go with the number of the session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) epoch: u32,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Nothing,
    Request(RequestId),
    Watch(WatchId),
    Timer(TimerId),
}

impl Ticket {
    /// Nothing to cancel.
    pub(crate) const NONE: Self = Self {
        epoch: 0,
        what: What::Nothing,
    };

    pub(crate) fn is_none(self) -> bool {
        matches!(self.what, What::Nothing)
    }
}

/// Takes the reply to a request.
pub(crate) trait Complete: Send + Sync {
    /// Called once, under the core's lock: what may run user code is handed back.
    fn complete(&self, done: Done) -> After;
}

/// How a request ended.
pub(crate) struct Done {
    pub(crate) result: Result<Reply, RequestError>,
    /// The watcher that the request has made, if it asked for one and got it.
    pub(crate) watch: Option<Ticket>,
}

impl<T, C> Complete for Slot<T, C>
where
    T: Send + 'static,
    C: Fn(Done) -> Result<T, Error> + Send + Sync,
    Self: Hold<T>,
{
    fn complete(&self, done: Done) -> After {
        settle(self, (self.convert)(done))
    }
}

/// One request under way.
pub(crate) struct Entry {
    pub(crate) complete: Arc<dyn Complete>,
    pub(crate) watch: Option<Watching>,
}

/// The watcher that comes with a request.
#[derive(Clone, Copy)]
pub(crate) struct Watching {
    pub(crate) id: WatchId,
    /// Does it also live if the node does not exist?
    pub(crate) on_no_node: bool,
}

#[derive(Default)]
pub(crate) struct Pending {
    /// The id of the first entry.
    base: u64,
    entries: VecDeque<Option<Entry>>,
}

impl Pending {
    pub(crate) fn insert(&mut self, id: RequestId, entry: Entry) {
        let id = id.as_u64();
        if self.entries.is_empty() {
            self.base = id;
        }
        while self.base + (self.entries.len() as u64) < id {
            self.entries.push_back(None);
        }
        self.entries.push_back(Some(entry));
    }

    pub(crate) fn remove(&mut self, id: RequestId) -> Option<Entry> {
        let index = id.as_u64().checked_sub(self.base)?;
        let entry = self.entries.get_mut(usize::try_from(index).ok()?)?.take();
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.base += 1;
        }
        entry
    }

    /// All of them, oldest first.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Entry> + use<> {
        std::mem::take(&mut self.entries).into_iter().flatten()
    }
}
