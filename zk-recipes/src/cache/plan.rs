//! [`Plan`]: what is still to be read, in which order, and what has to be read again.

use std::collections::{BTreeMap, VecDeque};

use zk_client::Children;

/// Reads in one request.
const BATCH: usize = 128;

/// About how many bytes of paths, and of names to be listed, one request may be about.
const BATCH_BYTES: usize = 256 << 10;

/// One read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ask {
    /// A node's data.
    Get(String),
    /// The names of its children.
    List(String),
}

/// What is to be read.
///
/// A walk goes over the whole tree once: a node, then its list unless that is known to be as it was, then
/// what is on it, the newest list first, so that no more than a few lists are held. What events are about goes before it. A node
/// that an event tells of while its reply is on its way is read once more, as the reply may be older.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Nodes to be read next, and whether the walk goes on from them.
    nodes: VecDeque<String>,
    queued: BTreeMap<String, bool>,
    /// Nodes to be listed, and about how many children they have.
    lists: Vec<(String, usize)>,
    /// Lists whose nodes are to be read.
    listed: Vec<(String, Names, usize)>,
    /// Nodes whose replies are on their way.
    asked: BTreeMap<String, Asked>,
    /// Reads that the walk still needs.
    left: usize,
    /// How many reads the next request may have.
    limit: usize,
}

/// The names on a list: as a server sent it, or as they are known.
#[derive(Debug)]
enum Names {
    Listed(Children),
    Known(Vec<Box<str>>),
}

impl Names {
    fn get(&self, at: usize) -> Option<&str> {
        match self {
            Self::Listed(children) => children.get(at),
            Self::Known(names) => names.get(at).map(|name| &**name),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    deep: bool,
    again: bool,
}

/// What a reply to a [`Ask::Get`] is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    /// It is the newest there is.
    Fresh {
        /// Does the walk go on from here?
        deep: bool,
    },
    /// It may be out of date, and is asked for again.
    Stale,
}

impl Plan {
    /// Forgets everything, and begins to walk.
    pub(crate) fn restart(&mut self, root: &str) {
        *self = Self {
            left: 1,
            limit: BATCH,
            ..Self::default()
        };
        self.want(root, true);
    }

    /// Something has happened to a node.
    pub(crate) fn touched(&mut self, path: &str) {
        match self.asked.get_mut(path) {
            Some(asked) => asked.again = true,
            None => self.want(path, false),
        }
    }

    /// A node is gone, as far as events tell: what is under way about it may be older.
    pub(crate) fn vanished(&mut self, path: &str) {
        if let Some(asked) = self.asked.get_mut(path) {
            asked.again = true;
        }
    }

    fn want(&mut self, path: &str, deep: bool) {
        match self.queued.get_mut(path) {
            Some(queued) => *queued |= deep,
            None => {
                self.nodes.push_back(path.to_owned());
                self.queued.insert(path.to_owned(), deep);
            }
        }
    }

    /// Is the walk over?
    pub(crate) fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// The reads of the next request; none if there is nothing to read.
    pub(crate) fn next_batch(&mut self) -> Vec<Ask> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < self.limit && bytes < BATCH_BYTES {
            if let Some(path) = self.nodes.pop_front() {
                let deep = self.queued.remove(&path).unwrap_or(false);
                bytes += path.len();
                self.ask(path, deep, &mut batch);
            } else if let Some((path, count)) = self.lists.pop() {
                bytes += path.len() + count * 64;
                batch.push(Ask::List(path));
            } else if let Some((parent, children, next)) = self.listed.last_mut() {
                let Some(name) = children.get(*next) else {
                    self.listed.pop();
                    continue;
                };
                *next += 1;
                let path = below(parent, name);
                bytes += path.len();
                self.ask(path, true, &mut batch);
            } else {
                break;
            }
        }
        batch
    }

    fn ask(&mut self, path: String, deep: bool, batch: &mut Vec<Ask>) {
        match self.asked.get_mut(&path) {
            Some(asked) => {
                // Its reply is on its way, or will be: one is enough.
                if deep && asked.deep {
                    self.left -= 1;
                }
                asked.deep |= deep;
            }
            None => {
                self.asked
                    .insert(path.clone(), Asked { deep, again: false });
                batch.push(Ask::Get(path));
            }
        }
    }

    /// The reply to a `Get` is here.
    pub(crate) fn got(&mut self, path: &str) -> Use {
        let asked = self.asked.remove(path).unwrap_or_default();
        if asked.again {
            self.want(path, asked.deep);
            return Use::Stale;
        }
        Use::Fresh { deep: asked.deep }
    }

    /// Will this node be read anyway?
    pub(crate) fn is_pending(&self, path: &str) -> bool {
        self.queued.contains_key(path) || self.asked.contains_key(path)
    }

    /// A node is to be read again, behind all that is to be read now.
    pub(crate) fn defer(&mut self, path: &str, deep: bool) {
        self.want(path, deep);
    }

    /// The walk goes on: the node has so many children.
    pub(crate) fn descend(&mut self, path: &str, children: usize) {
        self.lists.push((path.to_owned(), children));
    }

    /// A list is here.
    pub(crate) fn listed(&mut self, path: &str, children: Children) {
        self.left += children.len();
        self.listed
            .push((path.to_owned(), Names::Listed(children), 0));
        self.step();
    }

    /// The walk goes on without a list: its children are those that are known.
    pub(crate) fn revisit(&mut self, path: &str, children: Vec<Box<str>>) {
        self.left += children.len();
        self.listed
            .push((path.to_owned(), Names::Known(children), 0));
        self.step();
    }

    /// One read of the walk has led nowhere further.
    pub(crate) fn step(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// A request has failed, and its reads are to be made again; one by one if the reply was too
    /// long for all of them.
    pub(crate) fn again(&mut self, batch: Vec<Ask>, one_by_one: bool) {
        if one_by_one {
            self.limit = 1;
        }
        for ask in batch {
            match ask {
                Ask::Get(path) => {
                    let asked = self.asked.remove(&path).unwrap_or_default();
                    self.want(&path, asked.deep);
                }
                Ask::List(path) => self.lists.push((path, 0)),
            }
        }
    }

    /// A request went well: the next ones may be longer again.
    pub(crate) fn went_well(&mut self) {
        self.limit = (self.limit * 2).min(BATCH);
    }
}

/// The path of a child.
pub(crate) fn below(parent: &str, name: &str) -> String {
    if parent == "/" {
        format!("/{name}")
    } else {
        format!("{parent}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Ask {
        Ask::Get(path.to_owned())
    }

    #[test]
    fn what_is_told_of_while_it_is_read_is_read_again() {
        let mut plan = Plan::default();
        plan.restart("/a");
        assert_eq!(plan.next_batch(), [get("/a")]);
        plan.touched("/a");
        assert_eq!(plan.next_batch(), []);
        assert_eq!(plan.got("/a"), Use::Stale);
        assert!(!plan.is_complete());
        assert_eq!(plan.next_batch(), [get("/a")]);
        assert_eq!(plan.got("/a"), Use::Fresh { deep: true });
        plan.step();
        assert!(plan.is_complete());
        plan.vanished("/a");
        assert_eq!(plan.next_batch(), [], "there is nothing under way about it");
        plan.touched("/a");
        plan.touched("/a");
        assert_eq!(plan.next_batch(), [get("/a")]);
        assert_eq!(plan.got("/a"), Use::Fresh { deep: false });
    }

    #[test]
    fn what_was_too_long_is_read_in_pieces() {
        let mut plan = Plan::default();
        plan.restart("/a");
        let root = plan.next_batch();
        plan.again(root, false);
        plan.touched("/a/b");
        let both = plan.next_batch();
        assert_eq!(both, [get("/a"), get("/a/b")]);
        plan.again(both, true);
        assert_eq!(plan.next_batch(), [get("/a")]);
        plan.went_well();
        assert_eq!(plan.got("/a"), Use::Fresh { deep: true });
        assert_eq!(plan.next_batch(), [get("/a/b")]);
        assert_eq!(plan.got("/a/b"), Use::Fresh { deep: false });
    }
}
