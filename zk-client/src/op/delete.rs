//! Deletion, and `sync`.

use std::borrow::Cow;

use zk_proto::{ANY_VERSION, Reply, Request, ZnodePath};

use crate::Error;
use crate::op::sealed::Start;
use crate::op::tree::DeleteTree;
use crate::op::write::empty;
use crate::op::{Kind, Launch, Op, Started};

/// [`Client::delete`](crate::Client::delete).
#[derive(Debug)]
pub struct Delete<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) version: i32,
    pub(super) urgent: bool,
}

impl<'a> Delete<'a> {
    pub(crate) fn new(path: &'a str) -> Self {
        Self {
            path: Cow::Borrowed(path),
            version: ANY_VERSION,
            urgent: false,
        }
    }
}

impl<'a> Op<'a, Delete<'a>> {
    /// Only if the node's data has this version, else [`Error::BadVersion`]. Default any.
    pub fn version(self, version: i32) -> Self {
        self.refine(|delete| delete.version = version)
    }

    /// Deletes all nodes below it, too, deepest first and many at a time. Nodes that are gone
    /// already, the node itself included, are fine; where children are added meanwhile it goes round
    /// again. An error is that of one node; others may be gone. A [`version`](Self::version) given is that of the node itself (kazoo ignores it).
    pub fn recursive(self) -> Op<'a, DeleteTree<'a>> {
        self.map(DeleteTree::new)
    }

    /// Goes past the bounds of the queue. For nodes that others wait to see gone, such as those of
    /// a lock.
    pub fn urgent(self) -> Self {
        self.refine(|delete| delete.urgent = true)
    }
}

impl Start for Delete<'_> {
    type Reply = ();

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<()>, Error> {
        let path = ZnodePath::parse(&self.path)?.into_cow();
        let body = Request::Delete {
            path,
            version: self.version,
        };
        let chroot = launch.client.chroot_ref();
        launch.request_below(&body, chroot, self.urgent, empty)
    }
}

impl Kind for Delete<'_> {
    type Output = ();
}

/// [`Client::sync`](crate::Client::sync). Gives the path.
#[derive(Debug)]
pub struct Sync<'a> {
    pub(super) path: Cow<'a, str>,
}

impl<'a> Sync<'a> {
    pub(crate) fn new(path: &'a str) -> Self {
        Self {
            path: Cow::Borrowed(path),
        }
    }
}

impl Start for Sync<'_> {
    type Reply = String;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<String>, Error> {
        let path = ZnodePath::parse(&self.path)?.into_cow();
        launch.request(&Request::Sync { path }, |reply| {
            let Reply::Path(path) = reply else {
                return Err(Error::UnexpectedReply);
            };
            Ok(path)
        })
    }
}

impl Kind for Sync<'_> {
    type Output = String;
}
