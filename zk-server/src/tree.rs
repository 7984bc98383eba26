//! The data: all that a snapshot of a server would hold.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::DefaultHasher},
    fmt,
    hash::BuildHasherDefault,
    sync::Arc,
};

use bytes::Bytes;
use zk_proto::{Acl, EnsembleConfig, SessionId, Zxid};

use crate::{NodeData, path};

mod apply;
mod node;

pub use node::{Owner, Znode};

/// The tree of nodes, with who owns which.
///
/// Nodes are shared with clones until one side changes them. Trees are equal if they hold the same.
#[derive(Clone, Eq, PartialEq)]
pub struct Tree {
    /// By path. The hasher has no seed of its own, so that a tree is the same in every run; nothing
    /// depends on the order within.
    nodes: HashMap<Arc<str>, Arc<Znode>, BuildHasherDefault<DefaultHasher>>,
    ephemerals: BTreeMap<SessionId, BTreeSet<Arc<str>>>,
    ephemeral_count: usize,
    containers: BTreeSet<Arc<str>>,
    with_ttl: BTreeSet<Arc<str>>,
    /// The nodes that have a quota. That of the root does not count (`DataTree.pTrie`).
    quotas: BTreeSet<String>,
    last_zxid: Zxid,
    /// Of all paths and data.
    bytes: usize,
    #[cfg(zk_planted)]
    pub(crate) planted: Option<crate::Planted>,
}

impl Tree {
    /// The tree of a server that has just been set up: `/`, `/zookeeper`, `/zookeeper/quota` and
    /// `/zookeeper/config`, which has the configuration of the ensemble, and nothing on a server
    /// that is alone.
    pub fn new(config: Bytes) -> Self {
        let mut tree = Self {
            nodes: HashMap::default(),
            ephemerals: BTreeMap::new(),
            ephemeral_count: 0,
            containers: BTreeSet::new(),
            with_ttl: BTreeSet::new(),
            quotas: BTreeSet::new(),
            last_zxid: Zxid::ZERO,
            bytes: 0,
            #[cfg(zk_planted)]
            planted: None,
        };
        let open = Arc::from(Acl::open_unsafe_ref());
        for path in [path::ROOT, path::ZOOKEEPER, path::QUOTA] {
            tree.put_initial(path, Znode::initial(Arc::clone(&open)));
        }
        let mut node = Znode::initial(Arc::from(Acl::read_unsafe_ref()));
        node.aversion = -1;
        if !config.is_empty() {
            let text = String::from_utf8_lossy(&config);
            let version = EnsembleConfig::parse(&text).map_or(0, |config| config.version);
            node.mzxid = Zxid(version);
            node.version = -1;
            node.data = NodeData::from(&config[..]);
        }
        tree.put_initial(path::CONFIG, node);
        tree
    }

    /// The last transaction applied.
    #[inline]
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The node at `path`; at the empty path, too, there is the root, as on real servers.
    #[inline]
    pub fn node(&self, path: &str) -> Option<&Znode> {
        self.entry(path).map(|(_, node)| node)
    }

    /// The ephemeral nodes of a session, in alphabetical order.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = &str> {
        self.ephemerals
            .get(&session)
            .into_iter()
            .flatten()
            .map(|path| &**path)
    }

    /// The sessions that have ephemeral nodes, in the order of their numbers.
    pub fn owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.keys().copied()
    }

    /// The containers that have lost their last child and the nodes that have outlived their time,
    /// in alphabetical order of each kind, at most `limit` (`ContainerManager.getCandidates`).
    ///
    /// `now` is in milliseconds since 1970. A container that never had a child is among them
    /// `unused` milliseconds after it was last written, or never with `None`.
    pub fn reapable(&self, now: i64, unused: Option<i64>, limit: usize) -> Vec<Arc<str>> {
        let is_old = |node: &Znode, most| now.saturating_sub(node.mtime) > most;
        let containers = self.containers.iter().filter(|path| {
            self.node(path).is_some_and(|node| {
                node.children.is_empty()
                    && (node.creates > 0 || unused.is_some_and(|most| is_old(node, most)))
            })
        });
        let with_ttl = self.with_ttl.iter().filter(|path| {
            self.node(path).is_some_and(|node| {
                node.children.is_empty()
                    && node
                        .owner
                        .ttl()
                        .is_some_and(|ttl| is_old(node, ttl.as_millis()))
            })
        });
        containers.chain(with_ttl).take(limit).cloned().collect()
    }

    /// The number of nodes as servers count them: the root twice.
    pub fn node_count(&self) -> usize {
        self.nodes.len() + 1
    }

    /// The number of ephemeral nodes.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemeral_count
    }

    /// The number of bytes of all paths and data.
    pub fn data_size(&self) -> usize {
        self.bytes
    }

    /// The number of nodes below `path`, at all depths.
    pub fn descendants(&self, path: &str) -> usize {
        match path {
            // The root is below the empty path.
            "" => self.nodes.len(),
            path::ROOT => self.nodes.len() - 1,
            _ => self.subtree(path).count().saturating_sub(1),
        }
    }

    /// A node and those below it, in no particular order that matters but always the same.
    pub(crate) fn subtree(&self, path: &str) -> impl Iterator<Item = (&Arc<str>, &Znode)> {
        let mut ahead: Vec<_> = self.entry(path).into_iter().collect();
        std::iter::from_fn(move || {
            let (path, node) = ahead.pop()?;
            ahead.extend(node.children.iter().filter_map(|child| self.entry(child)));
            Some((path, node))
        })
    }

    /// The nearest node with a quota: this one or one above it.
    pub(crate) fn quota_above<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.quotas.is_empty() {
            return None;
        }
        let mut path = path;
        while !path.is_empty() {
            if self.quotas.contains(path) {
                return Some(path);
            }
            path = path.rsplit_once('/')?.0;
        }
        None
    }

    fn entry(&self, path: &str) -> Option<(&Arc<str>, &Znode)> {
        let path = if path.is_empty() { path::ROOT } else { path };
        self.nodes
            .get_key_value(path)
            .map(|(path, node)| (path, &**node))
    }

    fn node_mut(&mut self, path: &str) -> Option<&mut Znode> {
        let path = if path.is_empty() { path::ROOT } else { path };
        self.nodes.get_mut(path).map(Arc::make_mut)
    }

    /// These are not counted as creations, so that the numbers of children are odd below them:
    /// -1 for the root, -2 for `/zookeeper`.
    fn put_initial(&mut self, path: &str, node: Znode) {
        let path: Arc<str> = path.into();
        self.bytes += path.len() + node.data.len();
        let parent = path::parent_of(&path).filter(|_| &*path != path::ROOT);
        if let Some(parent) = parent.and_then(|parent| self.node_mut(parent)) {
            parent.children.insert(Arc::clone(&path));
        }
        self.nodes.insert(path, Arc::new(node));
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree")
            .field("last_zxid", &self.last_zxid)
            .field("nodes", &self.nodes.len())
            .field("ephemerals", &self.ephemeral_count)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
