//! Connections by path and paths by connection.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use zk_proto::EventType;

use crate::ConnId;

/// A set of modes that a connection watches a path in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Modes(u8);

impl Modes {
    pub(crate) const NONE: Self = Self(0);
    /// Fires once.
    pub(crate) const STANDARD: Self = Self(1);
    /// Stays.
    pub(crate) const PERSISTENT: Self = Self(2);
    /// Stays, and covers all that is below.
    pub(crate) const RECURSIVE: Self = Self(4);
    pub(crate) const ALL: Self = Self(7);

    fn is_empty(self) -> bool {
        self == Self::NONE
    }

    fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    fn without(self, less: Self) -> Self {
        Self(self.0 & !less.0)
    }
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    /// Ascending by connection. Neither a list nor the modes in it are ever empty.
    by_path: BTreeMap<Arc<str>, Vec<(ConnId, Modes)>>,
    by_conn: BTreeMap<ConnId, Watched>,
    /// The number of recursive entries. Without any, ancestors need not be looked up.
    recursive: usize,
    count: usize,
}

#[derive(Debug, Default)]
struct Watched {
    paths: BTreeSet<Arc<str>>,
    bytes: usize,
}

impl Registry {
    /// Adds modes; those that are there already stay only if the release lets them coexist.
    pub(super) fn add(&mut self, path: &str, conn: ConnId, modes: Modes, coexist: bool) {
        if !self.by_path.contains_key(path) {
            self.by_path.insert(path.into(), Vec::new());
        }
        let Some((key, _)) = self.by_path.get_key_value(path) else {
            return;
        };
        let key = Arc::clone(key);
        let list = self.by_path.entry(Arc::clone(&key)).or_default();
        match list.binary_search_by_key(&conn, |entry| entry.0) {
            Ok(at) => {
                let old = list[at].1;
                let new = if coexist { old.with(modes) } else { modes };
                list[at].1 = new;
                self.count_recursive(old, new);
            }
            Err(at) => {
                list.insert(at, (conn, modes));
                self.count += 1;
                self.count_recursive(Modes::NONE, modes);
                let watched = self.by_conn.entry(conn).or_default();
                watched.bytes += path.len();
                watched.paths.insert(key);
            }
        }
    }

    pub(super) fn has(&self, path: &str, conn: ConnId, any: Modes) -> bool {
        self.by_path.get(path).is_some_and(|list| {
            list.binary_search_by_key(&conn, |entry| entry.0)
                .is_ok_and(|at| list[at].1.has(any))
        })
    }

    /// Removes modes and tells whether any of them were there.
    pub(super) fn remove(&mut self, path: &str, conn: ConnId, less: Modes) -> bool {
        let Some(list) = self.by_path.get_mut(path) else {
            return false;
        };
        let Ok(at) = list.binary_search_by_key(&conn, |entry| entry.0) else {
            return false;
        };
        let old = list[at].1;
        let new = old.without(less);
        list[at].1 = new;
        if new.is_empty() {
            list.remove(at);
            if list.is_empty() {
                self.by_path.remove(path);
            }
            self.forget(conn, path);
        }
        self.count_recursive(old, new);
        old.has(less)
    }

    pub(super) fn remove_conn(&mut self, conn: ConnId) {
        let Some(watched) = self.by_conn.remove(&conn) else {
            return;
        };
        for path in watched.paths {
            let Some(list) = self.by_path.get_mut(&path) else {
                continue;
            };
            if let Ok(at) = list.binary_search_by_key(&conn, |entry| entry.0) {
                let (_, modes) = list.remove(at);
                if list.is_empty() {
                    self.by_path.remove(&path);
                }
                self.count -= 1;
                self.count_recursive(modes, Modes::NONE);
            }
        }
    }

    /// Adds to `heard` who watches this change, and drops watches that fire once.
    pub(super) fn trigger(&mut self, event: EventType, path: &str, heard: &mut BTreeSet<ConnId>) {
        if self.by_path.is_empty() {
            return;
        }
        self.trigger_at(path, heard);
        if self.recursive > 0 && event != EventType::NODE_CHILDREN_CHANGED {
            let mut at = Some(path);
            while let Some(path) = at {
                let entries = self.by_path.get(path).into_iter().flatten();
                heard.extend(
                    entries
                        .filter(|(_, modes)| modes.has(Modes::RECURSIVE))
                        .map(|(conn, _)| *conn),
                );
                at = parent(path);
            }
        }
    }

    fn trigger_at(&mut self, path: &str, heard: &mut BTreeSet<ConnId>) {
        let Some(list) = self.by_path.get_mut(path) else {
            return;
        };
        let mut gone = Vec::new();
        list.retain_mut(|(conn, modes)| {
            if modes.has(Modes::STANDARD.with(Modes::PERSISTENT)) {
                heard.insert(*conn);
            }
            *modes = modes.without(Modes::STANDARD);
            if modes.is_empty() {
                gone.push(*conn);
            }
            !modes.is_empty()
        });
        if list.is_empty() {
            self.by_path.remove(path);
        }
        for conn in gone {
            self.forget(conn, path);
        }
    }

    pub(super) fn bytes_of(&self, conn: ConnId) -> usize {
        self.by_conn.get(&conn).map_or(0, |watched| watched.bytes)
    }

    pub(super) fn count_of(&self, conn: ConnId) -> usize {
        self.by_conn
            .get(&conn)
            .map_or(0, |watched| watched.paths.len())
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn by_path(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = ConnId>)> {
        self.by_path
            .iter()
            .map(|(path, list)| (&**path, list.iter().map(|(conn, _)| *conn)))
    }

    pub(super) fn by_conn(&self) -> impl Iterator<Item = (ConnId, impl Iterator<Item = &str>)> {
        self.by_conn
            .iter()
            .map(|(conn, watched)| (*conn, watched.paths.iter().map(|path| &**path)))
    }

    /// An entry has left the list of its path.
    fn forget(&mut self, conn: ConnId, path: &str) {
        self.count -= 1;
        if let Some(watched) = self.by_conn.get_mut(&conn) {
            watched.bytes -= path.len();
            watched.paths.remove(path);
            if watched.paths.is_empty() {
                self.by_conn.remove(&conn);
            }
        }
    }

    fn count_recursive(&mut self, old: Modes, new: Modes) {
        self.recursive += usize::from(new.has(Modes::RECURSIVE));
        self.recursive -= usize::from(old.has(Modes::RECURSIVE));
    }
}

/// The parent by the text of the path; `None` for the root and for what is no path.
fn parent(path: &str) -> Option<&str> {
    let slash = path.rfind('/').filter(|_| path != "/")?;
    Some(if slash == 0 { "/" } else { &path[..slash] })
}
