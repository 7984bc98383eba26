//! What replies and events do to the tree.

use zk_client::{Error, EventType, Payload, ReadResult, Stat, WatchedEvent};

use super::super::CacheEvent;
use super::super::plan::{Ask, Use, below};
use super::super::tree::Node;
use super::Engine;
use crate::planted::Planted;

impl Engine {
    /// Something has happened to a node.
    pub(super) fn event(&mut self, event: &WatchedEvent) {
        match event.kind {
            EventType::NODE_CREATED | EventType::NODE_DATA_CHANGED => {
                if self.shared.plan.has(Planted::TrustReplies) && self.plan.is_pending(&event.path)
                {
                    return;
                }
                self.plan.touched(&event.path);
            }
            EventType::NODE_DELETED => {
                self.plan.vanished(&event.path);
                self.remove(&event.path);
            }
            _ => {}
        }
    }

    /// A reply.
    pub(super) fn read(&mut self, ask: Ask, result: ReadResult) {
        match (ask, result) {
            (Ask::Get(path), ReadResult::Data { data, stat }) => self.got(&path, Ok((data, stat))),
            (Ask::List(path), ReadResult::Children(children)) => {
                let listed = children.sorted();
                let gone: Vec<String> = {
                    let tree = self.shared.tree();
                    let known = tree.children(&path);
                    known
                        .filter(|name| listed.binary_search(name).is_err())
                        .map(|name| below(&path, name))
                        .collect()
                };
                let missed = !self.shared.plan.has(Planted::KeepMissing);
                for path in gone.iter().rev().filter(|_| missed) {
                    self.remove(path);
                }
                if let Some(node) = self.shared.tree_mut().get_mut(&path) {
                    node.is_listed = true;
                }
                self.plan.listed(&path, children);
            }
            (Ask::Get(path), ReadResult::Error(code)) => self.got(&path, Err(code.into())),
            (Ask::List(path), ReadResult::Error(code)) => {
                self.unread(&path, code.into());
                self.plan.step();
            }
            (Ask::Get(path), _) => self.got(&path, Err(Error::UnexpectedReply)),
            (Ask::List(path), _) => {
                self.unread(&path, Error::UnexpectedReply);
                self.plan.step();
            }
        }
    }

    /// The reply about a node's data.
    pub(super) fn got(&mut self, path: &str, result: Result<(Payload, Stat), Error>) {
        let Use::Fresh { deep } = self.plan.got(path) else {
            return;
        };
        let orphan = result.is_ok() && !self.has_parent(path);
        if orphan && self.plan.is_pending(above(path)) {
            // That was read again, and so comes behind its child.
            self.plan.defer(path, deep);
            return;
        }
        let mut goes_on = false;
        match result {
            // The walk will come by with its parent; or that cannot be read.
            Ok(_) if orphan => {}
            Ok((data, stat)) => {
                self.put(path, data, stat);
                let count = usize::try_from(stat.num_children).unwrap_or(0);
                if deep && count > 0 {
                    goes_on = true;
                    match self.known_children(path, count) {
                        Some(names) => self.plan.revisit(path, names),
                        None => self.plan.descend(path, count),
                    }
                } else if deep {
                    let gone = self.shared.tree_mut().remove_below(path);
                    self.removed(gone);
                }
            }
            Err(Error::NoNode) => self.remove(path),
            Err(error) => {
                self.remove(path);
                self.unread(path, error);
            }
        }
        if deep && !goes_on {
            self.plan.step();
        }
    }

    /// The names of a node's children, if they are known to be all.
    ///
    /// Servers move `pzxid` with every child that comes or goes. If it is the one from before the last
    /// list, the list is as it was, and what is not in the tree by now could not be read.
    fn known_children(&self, path: &str, count: usize) -> Option<Vec<Box<str>>> {
        let tree = self.shared.tree();
        tree.get(path).filter(|node| node.is_listed)?;
        let names: Vec<Box<str>> = tree.children(path).map(Box::from).collect();
        (names.len() == count).then_some(names)
    }

    fn has_parent(&self, path: &str) -> bool {
        path == self.shared.root || self.shared.tree().get(above(path)).is_some()
    }

    fn put(&mut self, path: &str, data: Payload, stat: Stat) {
        // A slice of a reply would keep all of it alive.
        let data = data.as_option().map_or_else(Payload::null, Payload::from);
        let known = self
            .shared
            .tree()
            .get(path)
            .map(|known| (known.stat, known.is_listed));
        if known.is_some_and(|(known, _)| known.czxid != stat.czxid) {
            self.remove(path);
        }
        // What this server shows may be older than what a session before has shown: another list.
        let is_listed = known.is_some_and(|(known, is_listed)| {
            is_listed && known.czxid == stat.czxid && known.pzxid == stat.pzxid
        });
        let node = Node {
            data,
            stat,
            is_listed,
        };
        let before = self.shared.tree_mut().insert(path, node.clone());
        match before {
            None => self.note(|| CacheEvent::Added(node.named(path))),
            Some(before) if before.stat.mzxid != stat.mzxid => self.note(|| CacheEvent::Changed {
                before: before.named(path),
                now: node.named(path),
            }),
            Some(_) => {}
        }
    }

    fn remove(&mut self, path: &str) {
        let gone = self.shared.tree_mut().remove(path);
        self.removed(gone);
    }

    fn removed(&mut self, gone: Vec<(String, Node)>) {
        for (path, node) in gone {
            self.note(|| CacheEvent::Removed(node.named(&path)));
        }
    }

    /// A node, or its list, that cannot be read. One that is gone will be, or was, told of.
    pub(super) fn unread(&mut self, path: &str, error: Error) {
        if error != Error::NoNode {
            let path = path.to_owned();
            self.note(|| CacheEvent::Unread { path, error });
        }
    }

    pub(super) fn note(&mut self, event: impl FnOnce() -> CacheEvent) {
        if self.shared.listeners.any() {
            self.news.push(event());
        }
    }
}

/// The path of the parent.
fn above(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((parent, _)) if !parent.is_empty() => parent,
        Some(_) | None => "/",
    }
}
