//! One node.

use std::{collections::BTreeSet, sync::Arc};

use zk_proto::{Acl, SessionId, Stat, Ttl, Zxid};

use crate::NodeData;

/// A node of a [`Tree`](crate::Tree). `Debug` shows the length of data only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Znode {
    pub(crate) data: NodeData,
    pub(crate) acl: Arc<[Acl]>,
    /// The whole paths, shared with the tree.
    pub(crate) children: BTreeSet<Arc<str>>,
    pub(crate) owner: Owner,
    pub(crate) czxid: Zxid,
    pub(crate) mzxid: Zxid,
    pub(crate) pzxid: Zxid,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    pub(crate) aversion: i32,
    /// How many children were ever created: the counter of sequential ones.
    pub(crate) creates: i32,
}

/// What a node lives by. In a [`Stat`] only sessions are seen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "these are all kinds of nodes that servers know"
)]
pub enum Owner {
    /// It stays until it is deleted.
    #[default]
    Nobody,
    /// It ends with the session.
    Session(SessionId),
    /// It ends when its last child has gone.
    Container,
    /// It ends this long after it was last written, unless it has children.
    Ttl(Ttl),
}

impl Owner {
    pub(crate) fn ttl(self) -> Option<Ttl> {
        match self {
            Self::Ttl(ttl) => Some(ttl),
            Self::Nobody | Self::Session(_) | Self::Container => None,
        }
    }

    pub(crate) fn session(self) -> Option<SessionId> {
        match self {
            Self::Session(session) => Some(session),
            Self::Nobody | Self::Container | Self::Ttl(_) => None,
        }
    }
}

impl Znode {
    /// A node that was there before the first transaction.
    pub(super) fn initial(acl: Arc<[Acl]>) -> Self {
        Self::new(NodeData::from(&b""[..]), acl, Owner::Nobody, Zxid::ZERO, 0)
    }

    pub(super) fn new(
        data: NodeData,
        acl: Arc<[Acl]>,
        owner: Owner,
        zxid: Zxid,
        time: i64,
    ) -> Self {
        Self {
            data,
            acl,
            children: BTreeSet::new(),
            owner,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            aversion: 0,
            creates: 0,
        }
    }

    /// The data; `None` is null.
    #[inline]
    pub fn data(&self) -> Option<&[u8]> {
        self.data.as_option()
    }

    /// The access control list.
    #[inline]
    pub fn acl(&self) -> &Arc<[Acl]> {
        &self.acl
    }

    /// What it lives by.
    #[inline]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The names of the children, in alphabetical order.
    pub fn children(&self) -> impl ExactSizeIterator<Item = &str> {
        self.children
            .iter()
            .map(|path| path.rsplit_once('/').map_or("", |(_, name)| name))
    }

    /// The metadata, as clients get it.
    pub fn stat(&self) -> Stat {
        let num_children = self.num_children();
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            // Only creations are counted; deletions are what is missing of them.
            cversion: self.creates.wrapping_mul(2).wrapping_sub(num_children),
            aversion: self.aversion,
            ephemeral_owner: self.owner.session().unwrap_or(SessionId::NONE),
            data_length: i32::try_from(self.data.len()).unwrap_or(i32::MAX),
            num_children,
            pzxid: self.pzxid,
        }
    }

    pub(crate) fn num_children(&self) -> i32 {
        i32::try_from(self.children.len()).unwrap_or(i32::MAX)
    }
}
