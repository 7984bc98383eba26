//! What watchers are entitled to.

use std::collections::BTreeSet;

use zk_proto::{EventType, Zxid};
use zk_server::Release;
use zk_session::{Notice, WatchedEvent};

use super::Shared;

/// What the model has done to a node.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) zxid: Zxid,
    pub(super) kind: EventType,
    pub(super) path: String,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Data,
    Exists,
    Child,
    Persistent,
    Recursive,
}

impl Kind {
    pub(super) fn lasts(self) -> bool {
        matches!(self, Self::Persistent | Self::Recursive)
    }
}

/// A watcher, and what it was told.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    pub(super) kind: Kind,
    /// On the server.
    pub(super) path: String,
    /// Before the path that the user knows.
    pub(super) chroot: String,
    /// It is registered, and knows everything up to here.
    pub(super) since: Option<Zxid>,
    /// The connection that it was registered on is still there, and it has missed nothing.
    pub(super) unbroken: bool,
    pub(super) told: Vec<(Zxid, EventType, String)>,
}

impl Watcher {
    /// The event that a change is for it.
    fn due(&self, change: &Change) -> Option<(Zxid, EventType, String)> {
        let Change { zxid, kind, path } = change;
        let here = *path == self.path;
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        let above = if above.is_empty() { "/" } else { above };
        let child = above == self.path && path != "/" && *kind != EventType::NODE_DATA_CHANGED;
        let below = self.path == "/" || path.starts_with(&format!("{}/", self.path));
        let event = |kind, path: &str| Some((*zxid, kind, path.to_owned()));
        let children = EventType::NODE_CHILDREN_CHANGED;
        match self.kind {
            Kind::Data | Kind::Exists if here => event(*kind, path),
            Kind::Child if here && *kind == EventType::NODE_DELETED => event(*kind, path),
            Kind::Persistent if here => event(*kind, path),
            Kind::Child | Kind::Persistent if child => event(children, above),
            Kind::Recursive if here || below => event(*kind, path),
            _ => None,
        }
    }

    pub(super) fn new(kind: Kind, path: String, chroot: String) -> Self {
        Self {
            kind,
            path,
            chroot,
            since: None,
            unbroken: true,
            told: Vec::new(),
        }
    }

    /// `false`: that was the last one. `apart`: what it is told is exact.
    pub(super) fn notice(&mut self, notice: &Notice, apart: bool, shared: &Shared) -> bool {
        match notice {
            Notice::Event(event) => {
                self.told.push(self.full(event));
                if !self.kind.lasts() && apart {
                    self.at_rest(&shared.changes, shared.release);
                }
                // Beyond that, it is at least about what is watched.
                let (_, _, path) = self.full(event);
                let below = self.kind == Kind::Recursive && path.starts_with(&self.path);
                assert!(path == self.path || below, "{event:?} for {self:?}");
                self.kind.lasts()
            }
            Notice::Gap { .. } => {
                self.unbroken = false;
                true
            }
            _ => false,
        }
    }

    fn full(&self, event: &WatchedEvent) -> (Zxid, EventType, String) {
        let mut path = format!("{}{}", self.chroot, event.path);
        if path.len() > 1 && path.ends_with('/') {
            path.pop();
        }
        (event.zxid, event.kind, path)
    }

    /// Nothing is on its way: it has been told everything, in order, and once.
    pub(super) fn at_rest(&self, changes: &[Change], release: Release) {
        let Some(since) = self.since.filter(|_| self.unbroken) else {
            return;
        };
        let news = changes.iter().filter(|change| change.zxid > since);
        let mut due: Vec<_> = news.filter_map(|change| self.due(change)).collect();
        if !self.kind.lasts() {
            due.truncate(1);
        }
        if release == Release::V3_8 {
            // It does not tell when.
            due.iter_mut().for_each(|(zxid, ..)| *zxid = Zxid::ZERO);
        }
        assert_eq!(self.told, due, "{self:?}");
    }
}

/// Whether watchers of these kinds do not get in each other's way: then everything is exact.
pub(super) fn are_apart(kinds: &BTreeSet<Kind>) -> bool {
    let lasting = kinds.iter().filter(|kind| kind.lasts()).count();
    lasting == 0 || kinds.len() == 1
}
