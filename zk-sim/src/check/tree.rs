//! [`Tree`]: what a tree of znodes is, said as simply as possible.
//!
//! It is slow and plain on purpose, and shares nothing with the server: where the two disagree, one
//! of them is wrong. Access control lists are not modelled, except that `/zookeeper/config` can only
//! be read; neither are quotas, nor when containers and nodes with a time to live disappear.
//!
//! Every change goes through [`Tree::put`], which writes down what was there before. A multi that
//! fails is undone with that, and so is a step of a search.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use zk_proto::{ANY_VERSION, ErrorCode, Payload, SessionId, Stat, Zxid};

use super::command::{Effect, Read, Refusal, Reply, Write};

mod paths;
#[cfg(test)]
mod tests;

pub(crate) use paths::{child_name, key, parent};
use paths::{has_slash_and_no_nul, is_special, is_valid};

const CONFIG: &str = "/zookeeper/config";

/// When a transaction happens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names")]
pub struct Stamp {
    /// Its number.
    pub zxid: Zxid,
    /// Its time, in milliseconds since 1970.
    pub millis: i64,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Node {
    pub(crate) data: Payload,
    czxid: i64,
    mzxid: i64,
    pzxid: i64,
    ctime: i64,
    mtime: i64,
    version: i32,
    aversion: i32,
    owner: i64,
    /// The children ever created: what sequential names are counted with.
    creates: i32,
    children: i32,
}

impl Node {
    pub(crate) fn stat(&self) -> Stat {
        Stat {
            czxid: Zxid(self.czxid),
            mzxid: Zxid(self.mzxid),
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.creates.wrapping_mul(2).wrapping_sub(self.children),
            aversion: self.aversion,
            ephemeral_owner: SessionId(self.owner),
            data_length: i32::try_from(self.data.len()).unwrap_or(i32::MAX),
            num_children: self.children,
            pzxid: Zxid(self.pzxid),
        }
    }
}

/// What was there before a change: the newest last.
pub(crate) type Journal = Vec<(String, Option<Node>)>;

/// A tree of znodes. The server's answer to a request, and what becomes of the tree, is that of
/// this model.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
    /// The sum of the hashes of all nodes: equal for equal trees, wherever they come from.
    fingerprint: u128,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// The tree of a server that has just been set up.
    pub fn new() -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            fingerprint: 0,
        };
        let node = |children, aversion| Node {
            data: Payload::from(bytes::Bytes::new()),
            children,
            aversion,
            ..Node::default()
        };
        let mut unneeded = Journal::new();
        tree.put("/", Some(node(1, 0)), &mut unneeded);
        tree.put("/zookeeper", Some(node(2, 0)), &mut unneeded);
        tree.put("/zookeeper/quota", Some(node(0, 0)), &mut unneeded);
        tree.put(CONFIG, Some(node(0, -1)), &mut unneeded);
        tree
    }

    /// Carries a write out, or nothing of it.
    ///
    /// # Errors
    /// What the server answers, by the order of its checks.
    pub fn write(
        &mut self,
        session: SessionId,
        stamp: Stamp,
        write: &Write,
    ) -> Result<(Reply, Vec<Effect>), Refusal> {
        self.write_down(session, stamp, write, &mut Journal::new())
    }

    /// Ends a session: its ephemeral nodes are deleted, in the order of their paths.
    pub fn close(&mut self, session: SessionId, stamp: Stamp) -> Vec<Effect> {
        self.close_down(session, stamp, &mut Journal::new())
    }

    /// Answers a read.
    pub fn read(&self, read: &Read) -> Reply {
        let Some(node) = self.node(read.path()) else {
            return match read {
                Read::Exists(_) => Reply::Exists(None),
                Read::Get(_) | Read::Children(_) => Reply::Refused(ErrorCode::NO_NODE.into()),
            };
        };
        match read {
            Read::Get(_) => Reply::Data {
                data: node.data.clone(),
                stat: node.stat(),
            },
            Read::Exists(_) => Reply::Exists(Some(node.stat())),
            Read::Children(path) => Reply::Children {
                names: self.children(path).map(str::to_owned).collect(),
                stat: Some(node.stat()),
            },
        }
    }

    /// The names of the children of a node, sorted.
    pub fn children(&self, path: &str) -> impl Iterator<Item = &str> {
        let above = key(path).trim_end_matches('/').to_owned() + "/";
        let length = above.len();
        self.nodes
            .range(above.clone()..)
            .take_while(move |(path, _)| path.starts_with(&above))
            .map(move |(path, _)| &path[length..])
            .filter(|name| !name.is_empty() && !name.contains('/'))
    }

    /// All paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    pub(crate) fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(key(path))
    }

    pub(crate) fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    /// [`write`](Self::write), with a journal to [`undo`](Self::undo) it by.
    pub(crate) fn write_down(
        &mut self,
        session: SessionId,
        stamp: Stamp,
        write: &Write,
        journal: &mut Journal,
    ) -> Result<(Reply, Vec<Effect>), Refusal> {
        let mut effects = Vec::new();
        let Write::Multi(parts) = write else {
            let reply = self.one(session, stamp, write, &mut effects, journal)?;
            return Ok((reply, effects));
        };
        let mut mine = Journal::new();
        let mut replies = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            match self.one(session, stamp, part, &mut effects, &mut mine) {
                Ok(reply) => replies.push(reply),
                Err(code) => {
                    self.undo(mine);
                    return Err(Refusal { index, code });
                }
            }
        }
        journal.append(&mut mine);
        Ok((Reply::Multi(replies), effects))
    }

    pub(crate) fn close_down(
        &mut self,
        session: SessionId,
        stamp: Stamp,
        journal: &mut Journal,
    ) -> Vec<Effect> {
        let mine = |(_, node): &(&String, &Node)| node.owner == session.0 && !session.is_none();
        let paths: Vec<String> = self
            .nodes
            .iter()
            .filter(mine)
            .map(|(path, _)| path.clone())
            .collect();
        for path in &paths {
            self.remove(path, stamp, journal);
        }
        paths
            .into_iter()
            .map(|path| Effect::Delete { path })
            .collect()
    }

    /// Puts back what was there before.
    pub(crate) fn undo(&mut self, journal: Journal) {
        for (path, before) in journal.into_iter().rev() {
            self.put(&path, before, &mut Journal::new());
        }
    }

    fn one(
        &mut self,
        session: SessionId,
        stamp: Stamp,
        write: &Write,
        effects: &mut Vec<Effect>,
        journal: &mut Journal,
    ) -> Result<Reply, ErrorCode> {
        match write {
            Write::Create { path, data, mode } => {
                let path = self.may_create(path, mode.is_sequential())?;
                let owner = if mode.is_ephemeral() {
                    session
                } else {
                    SessionId::NONE
                };
                let stat = self.insert(&path, data, owner, stamp, journal);
                effects.push(Effect::Create {
                    path: path.clone(),
                    data: data.clone(),
                    owner,
                });
                Ok(Reply::Created {
                    path,
                    stat: Some(stat),
                })
            }
            Write::Delete { path, version } => {
                self.may_delete(path, *version)?;
                self.remove(path, stamp, journal);
                effects.push(Effect::Delete { path: path.clone() });
                Ok(Reply::Deleted)
            }
            Write::SetData {
                path,
                data,
                version,
            } => {
                let mut node = self.valid(path)?.clone();
                if path == CONFIG {
                    return Err(ErrorCode::NO_AUTH);
                }
                same_version(*version, node.version)?;
                node.data = data.clone();
                node.version = node.version.wrapping_add(1);
                (node.mzxid, node.mtime) = (stamp.zxid.0, stamp.millis);
                let stat = node.stat();
                self.put(path, Some(node), journal);
                effects.push(Effect::SetData {
                    path: path.clone(),
                    data: data.clone(),
                });
                Ok(Reply::Set(Some(stat)))
            }
            Write::SetAcl { path, version } => {
                let mut node = self.valid(path)?.clone();
                if path == CONFIG {
                    return Err(ErrorCode::NO_AUTH);
                }
                same_version(*version, node.aversion)?;
                node.aversion = node.aversion.wrapping_add(1);
                let stat = node.stat();
                self.put(path, Some(node), journal);
                effects.push(Effect::SetAcl { path: path.clone() });
                Ok(Reply::Set(Some(stat)))
            }
            Write::Check { path, version } => {
                same_version(*version, self.valid(path)?.version)?;
                Ok(Reply::Checked)
            }
            // Servers read no multi within a multi.
            Write::Multi(_) => Err(ErrorCode::MARSHALLING_ERROR),
        }
    }

    /// The node of a path that must be valid.
    fn valid(&self, path: &str) -> Result<&Node, ErrorCode> {
        if !is_valid(path) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        self.node(path).ok_or(ErrorCode::NO_NODE)
    }

    fn may_create(&self, path: &str, sequential: bool) -> Result<String, ErrorCode> {
        if !has_slash_and_no_nul(path) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let above = parent(path);
        let parent = self.node(above).ok_or(ErrorCode::NO_NODE)?;
        if above == CONFIG {
            return Err(ErrorCode::NO_AUTH);
        }
        let path = if sequential {
            format!("{path}{:010}", parent.creates)
        } else {
            path.to_owned()
        };
        if !is_valid(&path) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        if self.node(&path).is_some() {
            return Err(ErrorCode::NODE_EXISTS);
        }
        if parent.owner != 0 {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        Ok(path)
    }

    fn may_delete(&self, path: &str, version: i32) -> Result<(), ErrorCode> {
        if !has_slash_and_no_nul(path) || is_special(path) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        self.node(parent(path)).ok_or(ErrorCode::NO_NODE)?;
        let node = self.node(path).ok_or(ErrorCode::NO_NODE)?;
        same_version(version, node.version)?;
        if node.children == 0 {
            Ok(())
        } else {
            Err(ErrorCode::NOT_EMPTY)
        }
    }

    fn insert(
        &mut self,
        path: &str,
        data: &Payload,
        owner: SessionId,
        stamp: Stamp,
        journal: &mut Journal,
    ) -> Stat {
        let node = Node {
            data: data.clone(),
            czxid: stamp.zxid.0,
            mzxid: stamp.zxid.0,
            pzxid: stamp.zxid.0,
            ctime: stamp.millis,
            mtime: stamp.millis,
            owner: owner.0,
            ..Node::default()
        };
        let stat = node.stat();
        self.put(path, Some(node), journal);
        self.count(parent(path), 1, stamp, journal);
        stat
    }

    fn remove(&mut self, path: &str, stamp: Stamp, journal: &mut Journal) {
        self.put(path, None, journal);
        self.count(parent(path), -1, stamp, journal);
    }

    /// A node has one child more, or less.
    fn count(&mut self, path: &str, change: i32, stamp: Stamp, journal: &mut Journal) {
        let Some(mut node) = self.node(path).cloned() else {
            return;
        };
        node.children += change;
        if change > 0 {
            node.creates = node.creates.saturating_add(change);
        }
        node.pzxid = stamp.zxid.0;
        self.put(path, Some(node), journal);
    }

    fn put(&mut self, path: &str, node: Option<Node>, journal: &mut Journal) {
        let path = key(path);
        if let Some(node) = &node {
            self.fingerprint = self.fingerprint.wrapping_add(hash(path, node));
        }
        let before = match node {
            Some(node) => self.nodes.insert(path.to_owned(), node),
            None => self.nodes.remove(path),
        };
        if let Some(before) = &before {
            self.fingerprint = self.fingerprint.wrapping_sub(hash(path, before));
        }
        journal.push((path.to_owned(), before));
    }
}

fn same_version(wanted: i32, there: i32) -> Result<(), ErrorCode> {
    if wanted == ANY_VERSION || wanted == there {
        Ok(())
    } else {
        Err(ErrorCode::BAD_VERSION)
    }
}

/// Two hashes side by side, so that different trees do not look alike by accident.
fn hash(path: &str, node: &Node) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, path, node).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
