//! Watches: who waits for what here, and what is registered at the server for it.
//!
//! Local watchers and server registrations are two things. Several watchers can be served by one
//! registration, and the registration dies with the connection while the watchers live on.
//!
//! | watcher | served by |
//! |---|---|
//! | `get`, `exists` | a one-shot data watch, or any persistent watch on the path |
//! | `get_children` | a one-shot child watch, or a persistent watch on the path |
//! | persistent | a persistent watch, or a recursive one (child events are derived from it) |
//! | recursive | a recursive watch |
//!
//! Before 3.9 a server keeps one mode for a path and registry, and a later registration replaces
//! the mode: a watched read kills a persistent watch on its path without a word. So what a request
//! registers is decided when it is sent, and a path never gets two modes in one registry.

mod fire;
mod parent;
mod reconcile;
mod restore;

use std::collections::HashMap;
use std::sync::Arc;

use zk_proto::{Chroot, Zxid};

use crate::id::IdHash;
use crate::queue::WatchKind;
use crate::{Event, Notice, StateReason, WatchId};

pub(crate) use restore::Restore;

/// A one-shot watch in the server's data registry.
pub(crate) const DATA: u8 = 1;
/// A one-shot watch in the server's child registry.
pub(crate) const CHILD: u8 = 2;
/// A persistent watch, in both.
pub(crate) const PERSISTENT: u8 = 4;
/// A persistent recursive watch, in both.
pub(crate) const RECURSIVE: u8 = 8;

#[derive(Clone, Copy, Debug)]
struct Local {
    id: WatchId,
    kind: WatchKind,
}

/// One path.
#[derive(Debug)]
pub(crate) struct Entry {
    path: Arc<str>,
    local: Vec<Local>,
    /// What is registered at the server, as far as replies and events tell.
    armed: u8,
    /// Registrations of persistent and of recursive watches that are sent and unanswered.
    coming: [u32; 2],
    /// Requests that will set a watch here, sent or not.
    awaited: u32,
    /// What one-shot watchers here have seen for certain, while they are without a registration or
    /// one is on its way.
    unserved: Option<Zxid>,
    /// Who was without one, which could not be put right while requests were in flight.
    missed: u8,
    /// Registrations by setWatches on the live connection that are unanswered.
    rearming: u32,
    /// Since when those that last may have missed something, on the live connection.
    broken: Option<Zxid>,
    /// Nothing is registered for those that last: what arrives is what one-shots are caught up with.
    hushed: bool,
    /// A recursive registration that is to go still serves, until the reply to its removal is here.
    parting: bool,
    /// Tells this entry from others in the same place.
    serial: u64,
}

impl Entry {
    fn needs(&self, kinds: &[WatchKind]) -> bool {
        self.local.iter().any(|l| kinds.contains(&l.kind))
    }

    /// The one-shot watchers whom no registration serves.
    fn lacks(&self) -> u8 {
        let without = |bit, needed, by| {
            if needed && self.armed & by == 0 {
                bit
            } else {
                0
            }
        };
        without(DATA, self.needs_data(), DATA | PERSISTENT | RECURSIVE)
            | without(CHILD, self.needs_child(), CHILD | PERSISTENT)
    }

    /// What is armed or certain to be armed before anything that is sent from now on.
    fn expected(&self) -> u8 {
        self.armed
            | if self.coming[0] > 0 { PERSISTENT } else { 0 }
            | if self.coming[1] > 0 { RECURSIVE } else { 0 }
    }

    fn needs_data(&self) -> bool {
        self.needs(&[WatchKind::Data, WatchKind::Exist])
    }

    fn needs_child(&self) -> bool {
        self.needs(&[WatchKind::Child])
    }

    fn needs_persistent(&self) -> bool {
        self.needs(&[WatchKind::Persistent])
    }

    fn needs_recursive(&self) -> bool {
        self.needs(&[WatchKind::Recursive])
    }

    fn gap(&self, from: Zxid, to: Zxid, out: &mut impl FnMut(Event)) {
        let lasting = [WatchKind::Persistent, WatchKind::Recursive];
        for l in self.local.iter().filter(|l| lasting.contains(&l.kind)) {
            out(Event::Watch {
                id: l.id,
                notice: Notice::Gap { from, to },
            });
        }
    }
}

#[derive(Debug)]
struct Watcher {
    entry: u32,
    chroot: Chroot,
}

/// The table of watches.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    index: HashMap<Arc<str>, u32>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    watchers: HashMap<WatchId, Watcher, IdHash>,
    last_id: u64,
    last_serial: u64,
    /// Watchers that are registered, not those whose request is under way.
    registered: usize,
    /// Paths with recursive watchers: while there are none, ancestors need not be looked up.
    recursive: usize,
    /// The path whose child event was derived from the event before, as long as a recursive
    /// registration serves it.
    derived: Option<Arc<str>>,
    /// Kept for its room: the watchers that an event is for, and whether it is the end of them.
    told: Vec<(WatchId, bool)>,
}

impl Watches {
    /// A request that will set a watch on the (full) `path` is submitted.
    pub(crate) fn expect(&mut self, path: &str, chroot: &Chroot) -> (WatchId, u32) {
        let at = match self.index.get(path) {
            Some(at) => *at,
            None => self.insert(path),
        };
        if let Some(entry) = &mut self.entries[at as usize] {
            entry.awaited += 1;
        }
        self.last_id += 1;
        let id = WatchId(self.last_id);
        self.watchers.insert(
            id,
            Watcher {
                entry: at,
                chroot: chroot.clone(),
            },
        );
        (id, at)
    }

    fn insert(&mut self, path: &str) -> u32 {
        let path: Arc<str> = path.into();
        self.last_serial += 1;
        let entry = Entry {
            path: Arc::clone(&path),
            local: Vec::new(),
            armed: 0,
            coming: [0; 2],
            awaited: 0,
            unserved: None,
            missed: 0,
            rearming: 0,
            broken: None,
            hushed: false,
            parting: false,
            serial: self.last_serial,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = Some(entry);
                at
            }
            None => {
                self.entries.push(Some(entry));
                (self.entries.len() - 1) as u32
            }
        };
        self.index.insert(path, at);
        at
    }

    /// The request is being sent. What is it to register? See the table above.
    pub(crate) fn sending(&mut self, at: u32, kind: WatchKind) -> u8 {
        let Some(entry) = &mut self.entries[at as usize] else {
            return 0;
        };
        let expected = entry.expected();
        match kind {
            WatchKind::Data | WatchKind::Exist => {
                if expected & (PERSISTENT | RECURSIVE) == 0 {
                    DATA
                } else {
                    0
                }
            }
            WatchKind::Child => {
                if expected & PERSISTENT == 0 {
                    CHILD
                } else {
                    0
                }
            }
            WatchKind::Persistent if expected & RECURSIVE == 0 => {
                entry.coming[0] += 1;
                PERSISTENT
            }
            WatchKind::Persistent | WatchKind::Recursive => {
                entry.coming[1] += 1;
                RECURSIVE
            }
        }
    }

    /// The request is over. If it succeeded, its watcher is registered, and so is at the server
    /// what it said when it was sent.
    pub(crate) fn answered(
        &mut self,
        id: WatchId,
        at: u32,
        kind: WatchKind,
        arms: u8,
        success: bool,
    ) {
        let Some(entry) = &mut self.entries[at as usize] else {
            return;
        };
        entry.awaited -= 1;
        match arms {
            PERSISTENT => entry.coming[0] -= 1,
            RECURSIVE => entry.coming[1] -= 1,
            _ => {}
        }
        if !success {
            self.watchers.remove(&id);
            return;
        }
        if arms == PERSISTENT {
            self.derived.take_if(|path| *path == entry.path);
        }
        entry.armed = match arms {
            // A mode replaces what was there in its registries, or takes it along.
            PERSISTENT => PERSISTENT,
            RECURSIVE => RECURSIVE,
            arms => entry.armed | arms,
        };
        // Dropped meanwhile: only the server's registration is left, to be removed.
        if self.watchers.contains_key(&id) {
            if entry.local.is_empty() {
                entry.local.reserve_exact(1);
            }
            if kind == WatchKind::Recursive && !entry.needs_recursive() {
                self.recursive += 1;
            }
            entry.local.push(Local { id, kind });
            self.registered += 1;
        }
    }

    /// The request failed before it was sent, or its connection was lost.
    pub(crate) fn failed(&mut self, id: WatchId, at: u32, arms: u8) {
        self.answered(id, at, WatchKind::Data, arms, false);
        self.forget_if_idle(at);
    }

    /// A watcher is dropped. Tells the entry it was in.
    pub(crate) fn drop_watcher(&mut self, id: WatchId) -> Option<u32> {
        let watcher = self.watchers.remove(&id)?;
        let entry = self.entries[watcher.entry as usize].as_mut()?;
        let at = entry.local.iter().position(|l| l.id == id)?;
        let kind = entry.local.remove(at).kind;
        self.registered -= 1;
        if kind == WatchKind::Recursive && !entry.needs_recursive() {
            self.recursive -= 1;
        }
        Some(watcher.entry)
    }

    fn remove_entry(&mut self, at: u32) {
        if let Some(entry) = self.entries[at as usize].take() {
            self.index.remove(&entry.path);
            self.free.push(at);
        }
    }

    pub(crate) fn forget_if_idle(&mut self, at: u32) {
        if let Some(entry) = &self.entries[at as usize] {
            if entry.awaited == 0 && entry.local.is_empty() && entry.armed == 0 {
                self.remove_entry(at);
            }
        }
    }

    /// Tells all persistent watchers that they may have missed something.
    pub(crate) fn gap(&mut self, from: Zxid, to: Zxid, out: &mut impl FnMut(Event)) {
        for entry in self.entries.iter_mut().flatten() {
            // It may have begun earlier, when a registration was exchanged.
            let from = entry.broken.map_or(from, |broken| broken.min(from));
            entry.gap(from, to, out);
            // One that is being exchanged is not back yet, and has another gap from here on.
            entry.broken = entry.broken.filter(|_| entry.rearming > 0).map(|_| to);
        }
    }

    /// The session is gone, and with it every watcher that is registered.
    pub(crate) fn end(&mut self, reason: &StateReason, out: &mut impl FnMut(Event)) {
        for at in 0..self.entries.len() {
            let Some(entry) = &mut self.entries[at] else {
                continue;
            };
            entry.armed = 0;
            entry.unserved = None;
            entry.missed = 0;
            entry.rearming = 0;
            entry.broken = None;
            entry.hushed = false;
            entry.parting = false;
            let local = std::mem::take(&mut entry.local);
            for l in &local {
                self.watchers.remove(&l.id);
                out(Event::Watch {
                    id: l.id,
                    notice: Notice::End(reason.clone()),
                });
            }
            self.forget_if_idle(at as u32);
        }
        self.registered = 0;
        self.recursive = 0;
        self.derived = None;
    }

    /// The connection is gone, and with it everything that was registered at the server.
    pub(crate) fn disconnected(&mut self) {
        self.derived = None;
        for at in 0..self.entries.len() {
            if let Some(entry) = &mut self.entries[at] {
                entry.armed = 0;
                entry.missed = 0;
                entry.rearming = 0;
                entry.hushed = false;
                entry.parting = false;
                if !entry.needs_data() && !entry.needs_child() {
                    entry.unserved = None;
                }
                self.forget_if_idle(at as u32);
            }
        }
    }

    /// Watchers that are registered.
    pub(crate) fn len(&self) -> usize {
        self.registered
    }

    /// Paths that someone waits for, or is going to.
    pub(crate) fn paths(&self) -> usize {
        self.index.len()
    }
}
