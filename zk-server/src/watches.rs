//! The watches of a member's connections.
//!
//! As in `DataTree` of the Java server there are two registries: *data* for the existence and data
//! of nodes, *child* for their lists of children. A connection is registered on a path in one or
//! more modes; a persistent or recursive watch is in both registries. Watches belong to connections,
//! not to sessions, and die with them.
//!
//! | change      | data registry of the node | child registry of the node | child registry of the parent |
//! |-------------|---------------------------|----------------------------|------------------------------|
//! | created     | NodeCreated               |                            | NodeChildrenChanged          |
//! | deleted     | NodeDeleted               | NodeDeleted, unless sent   | NodeChildrenChanged          |
//! | data set    | NodeDataChanged           |                            |                              |

use std::collections::BTreeSet;

use zk_proto::{AddWatchMode, EventType, WatcherType};

use crate::{ConnId, Release};

mod registry;

pub(crate) use registry::Modes;
use registry::Registry;

/// Both registries.
#[derive(Debug)]
pub(crate) struct Watches {
    data: Registry,
    child: Registry,
    coexist: bool,
}

/// Which of the registries a request is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Data,
    Child,
}

impl Watches {
    pub(crate) fn new(release: Release) -> Self {
        Self {
            data: Registry::default(),
            child: Registry::default(),
            coexist: release.watch_modes_coexist(),
        }
    }

    /// Registers a watch that fires once.
    pub(crate) fn add(&mut self, kind: Kind, path: &str, conn: ConnId) {
        let coexist = self.coexist;
        match kind {
            Kind::Data => self.data.add(path, conn, Modes::STANDARD, coexist),
            Kind::Child => self.child.add(path, conn, Modes::STANDARD, coexist),
        }
    }

    /// Registers a watch that stays. `false` if there is no such mode.
    pub(crate) fn add_lasting(&mut self, mode: AddWatchMode, path: &str, conn: ConnId) -> bool {
        let modes = match mode {
            AddWatchMode::PERSISTENT => Modes::PERSISTENT,
            AddWatchMode::PERSISTENT_RECURSIVE => Modes::RECURSIVE,
            AddWatchMode(_) => return false,
        };
        self.data.add(path, conn, modes, self.coexist);
        self.child.add(path, conn, modes, self.coexist);
        true
    }

    /// Who hears of a change, in ascending order; watches that fire once are gone then.
    pub(crate) fn trigger(&mut self, event: EventType, path: &str, heard: &mut BTreeSet<ConnId>) {
        match event {
            EventType::NODE_CHILDREN_CHANGED => self.child.trigger(event, path, heard),
            EventType::NODE_DELETED => {
                self.data.trigger(event, path, heard);
                self.child.trigger(event, path, heard);
            }
            EventType(_) => self.data.trigger(event, path, heard),
        }
    }

    /// Whether a connection has watches of a type on a path; `None` if servers of this release do
    /// not know the type.
    pub(crate) fn check(&self, kind: WatcherType, path: &str, conn: ConnId) -> Option<bool> {
        let (data, child) = self.modes_of(kind)?;
        Some(self.data.has(path, conn, data) || self.child.has(path, conn, child))
    }

    /// Removes them, and tells whether there were any; `None` as in [`check`](Self::check).
    pub(crate) fn remove(&mut self, kind: WatcherType, path: &str, conn: ConnId) -> Option<bool> {
        let (data, child) = self.modes_of(kind)?;
        let data = self.data.remove(path, conn, data);
        let child = self.child.remove(path, conn, child);
        Some(data || child)
    }

    /// Forgets a connection.
    pub(crate) fn remove_conn(&mut self, conn: ConnId) {
        self.data.remove_conn(conn);
        self.child.remove_conn(conn);
    }

    /// The bytes of all paths that a connection has watches on.
    pub(crate) fn bytes_of(&self, conn: ConnId) -> usize {
        self.data.bytes_of(conn) + self.child.bytes_of(conn)
    }

    /// The number of paths that a connection watches, in both registries.
    pub(crate) fn count_of(&self, conn: ConnId) -> usize {
        self.data.count_of(conn) + self.child.count_of(conn)
    }

    /// The number of pairs of a connection and a path.
    pub(crate) fn count(&self) -> usize {
        self.data.count() + self.child.count()
    }

    /// The connections and paths in the data registry, on which the four-letter words report, by
    /// path.
    pub(crate) fn by_path(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = ConnId>)> {
        self.data.by_path()
    }

    /// The same by connection.
    pub(crate) fn by_conn(&self) -> impl Iterator<Item = (ConnId, impl Iterator<Item = &str>)> {
        self.data.by_conn()
    }

    /// The modes that a type is about, in each registry.
    fn modes_of(&self, kind: WatcherType) -> Option<(Modes, Modes)> {
        // Before 3.9 the mode is no part of what is looked up.
        let standard = if self.coexist {
            Modes::STANDARD
        } else {
            Modes::ALL
        };
        Some(match kind {
            WatcherType::DATA => (standard, Modes::NONE),
            WatcherType::CHILDREN => (Modes::NONE, standard),
            WatcherType::ANY => (Modes::ALL, Modes::ALL),
            WatcherType::PERSISTENT if self.coexist => (Modes::PERSISTENT, Modes::PERSISTENT),
            WatcherType::PERSISTENT_RECURSIVE if self.coexist => {
                (Modes::RECURSIVE, Modes::RECURSIVE)
            }
            WatcherType(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests;
