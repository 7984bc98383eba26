//! What is asked of a session.

use std::time::Instant;

use zk_proto::{Chroot, Request};

use crate::{RequestId, WatchId};

/// One request, ready to be submitted: its body and what the session must know besides. It only
/// borrows; [`Session::submit`](crate::Session::submit) encodes it at once.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a, 'r> {
    pub(crate) body: &'a Request<'r>,
    pub(crate) chroot: &'a Chroot,
    pub(crate) deadline: Option<Instant>,
    pub(crate) urgent: bool,
}

impl<'a, 'r> Call<'a, 'r> {
    /// A call of `body`, whose paths are below `chroot`.
    ///
    /// A body that sets a watch makes a local watcher, whose events have paths below `chroot` too.
    #[inline]
    pub fn new(body: &'a Request<'r>, chroot: &'a Chroot) -> Self {
        Self {
            body,
            chroot,
            deadline: None,
            urgent: false,
        }
    }

    /// Gives up at `deadline`: unsent it will never be sent; sent, its reply is ignored. Default:
    /// none, the request lives as long as the connection or, while there is none, the session.
    #[inline]
    #[must_use]
    pub fn deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// Goes past the bounds of the queue. For releases: deletes without which others wait.
    #[inline]
    #[must_use]
    pub fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }
}

/// What came of submitting a [`Call`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Submitted {
    /// The request: an [`Event::Completed`](crate::Event::Completed) with this id will come.
    pub id: RequestId,
    /// The watcher, if the body sets a watch. It lives from the successful reply on (for `exists`
    /// also from a `NoNode`); if the request fails otherwise, it never existed.
    pub watch: Option<WatchId>,
}

/// What came of [`Session::cancel`](crate::Session::cancel).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth possibility")]
pub enum Cancelled {
    /// It was not sent and never will be. No event comes.
    Unsent,
    /// It was sent; its reply will be ignored. No event comes.
    Detached,
    /// It is not known: completed, or cancelled before.
    Unknown,
}
