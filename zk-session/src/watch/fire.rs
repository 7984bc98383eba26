//! Events, and who is told of them.

use std::sync::Arc;

use zk_proto::{EventType, Zxid};

use super::parent::parent_of;
use super::{CHILD, DATA, RECURSIVE, Watches};
use crate::queue::WatchKind;
use crate::{Event, Notice, WatchId, WatchedEvent};

impl Watches {
    /// An event has arrived: tells the watchers, and the entry whose needs may have changed. In a
    /// `gap` those that last hear nothing: they will be told of the gap, and this is a part of what
    /// is in it.
    pub(crate) fn fire(
        &mut self,
        kind: EventType,
        path: &str,
        (zxid, gap): (Zxid, bool),
        out: &mut impl FnMut(Event),
    ) -> Option<u32> {
        let derived_before = self.derived.take();
        let is_child_event = kind == EventType::NODE_CHILDREN_CHANGED;
        let (one_shots, disarmed): (&[WatchKind], u8) = match kind {
            EventType::NODE_CREATED | EventType::NODE_DATA_CHANGED => {
                (&[WatchKind::Data, WatchKind::Exist], DATA)
            }
            // Who waits for a creation has found the node missing: its end was before that.
            EventType::NODE_DELETED => (&[WatchKind::Data, WatchKind::Child], DATA | CHILD),
            EventType::NODE_CHILDREN_CHANGED => (&[WatchKind::Child], CHILD),
            _ => return None,
        };
        let touched = self.index.get(path).copied();
        if let Some(at) = touched {
            let mut told = std::mem::take(&mut self.told);
            if let Some(entry) = &mut self.entries[at as usize] {
                // What a setWatches on its way registers may outlive an event of what was there
                // before: who then waits for nothing has it removed.
                if entry.rearming == 0 {
                    entry.armed &= !disarmed;
                }
                let repeated = is_child_event && derived_before.as_deref() == Some(path);
                let hushed = gap || entry.hushed;
                entry.local.retain(|l| {
                    let one_shot = one_shots.contains(&l.kind);
                    let lasting = match l.kind {
                        WatchKind::Persistent => !repeated && !hushed,
                        WatchKind::Recursive => !is_child_event && !hushed,
                        WatchKind::Data | WatchKind::Exist | WatchKind::Child => false,
                    };
                    if one_shot || lasting {
                        told.push((l.id, one_shot));
                    }
                    !one_shot
                });
            }
            for (id, one_shot) in told.drain(..) {
                self.tell(id, kind, path, zxid, out);
                if one_shot {
                    self.watchers.remove(&id);
                    self.registered -= 1;
                }
            }
            self.told = told;
        }
        if !is_child_event && !gap {
            if self.recursive > 0 {
                self.fire_ancestors(kind, path, zxid, out);
            }
            if kind != EventType::NODE_DATA_CHANGED {
                self.derive_child_event(path, zxid, out);
            }
        }
        touched
    }

    /// Something else than an event has arrived: the next event is of another change.
    #[inline]
    pub(crate) fn settle_event(&mut self) {
        if self.derived.is_some() {
            self.derived = None;
        }
    }

    /// Recursive watchers above the path.
    fn fire_ancestors(
        &mut self,
        kind: EventType,
        path: &str,
        zxid: Zxid,
        out: &mut impl FnMut(Event),
    ) {
        let mut below = path;
        while let Some(parent) = parent_of(below) {
            for id in self.heard_by(parent) {
                self.tell(id, kind, path, zxid, out);
            }
            below = parent;
        }
    }

    /// A recursive registration has no child events, so persistent watchers that are served by one
    /// get theirs from the creation or deletion of a child.
    fn derive_child_event(&mut self, path: &str, zxid: Zxid, out: &mut impl FnMut(Event)) {
        let Some(parent) = parent_of(path) else {
            return;
        };
        let Some(&at) = self.index.get(parent) else {
            return;
        };
        let Some(entry) = &self.entries[at as usize] else {
            return;
        };
        let derives = entry.parting || entry.armed & RECURSIVE != 0;
        if !derives || !entry.needs_persistent() || entry.hushed {
            return;
        }
        self.derived = Some(Arc::clone(&entry.path));
        for id in self.of_kind(parent, WatchKind::Persistent) {
            self.tell(id, EventType::NODE_CHILDREN_CHANGED, parent, zxid, out);
        }
    }

    /// The recursive watchers of a path, unless they are not served.
    fn heard_by(&self, path: &str) -> Vec<WatchId> {
        let at = self.index.get(path);
        let entry = at.and_then(|at| self.entries[*at as usize].as_ref());
        if entry.is_none_or(|entry| entry.hushed) {
            return Vec::new();
        }
        self.of_kind(path, WatchKind::Recursive)
    }

    fn of_kind(&self, path: &str, kind: WatchKind) -> Vec<WatchId> {
        let entry = self
            .index
            .get(path)
            .and_then(|at| self.entries[*at as usize].as_ref());
        entry.map_or_else(Vec::new, |e| {
            e.local
                .iter()
                .filter(|l| l.kind == kind)
                .map(|l| l.id)
                .collect()
        })
    }

    fn tell(
        &self,
        id: WatchId,
        kind: EventType,
        path: &str,
        zxid: Zxid,
        out: &mut impl FnMut(Event),
    ) {
        if let Some(watcher) = self.watchers.get(&id) {
            let path = watcher.chroot.strip(path).unwrap_or(path).to_owned();
            let zxid = if zxid.is_positive() { zxid } else { Zxid::ZERO };
            out(Event::Watch {
                id,
                notice: Notice::Event(WatchedEvent { kind, path, zxid }),
            });
        }
    }
}
