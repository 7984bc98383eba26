//! What has to change at the server, so that it serves just those who wait.
//!
//! Registrations are exchanged on the live connection. A one-shot watcher may be without one for a
//! while then: what it has seen for certain is kept until the server has confirmed the new one, so
//! that setWatches can catch up from there, on this connection or on the next.

use std::sync::Arc;

use zk_proto::Zxid;

use super::{CHILD, DATA, PERSISTENT, RECURSIVE, Watches};
use crate::Event;

const ANY: i32 = 3;
const ONLY_DATA: i32 = 2;
const ONLY_CHILDREN: i32 = 1;

/// What the server must be told, so that it serves just those who wait.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Change {
    /// Registrations to remove, as a `WatcherType`; 0 for none.
    pub(crate) remove: i32,
    /// Registrations to make by setWatches.
    pub(crate) arm: u8,
    /// Changes after this one are to be caught up with.
    pub(crate) since: Zxid,
}

impl Watches {
    /// Compares what is armed with what is needed on a path, in the state `seen`. The answer counts
    /// as carried out. `None` if all is well; the entry is gone then if nobody needs it.
    ///
    /// While a request is `in_flight` that will set a watch on the path, nothing is done: the
    /// request may change what is armed. Those that are not sent yet do not matter.
    pub(crate) fn reconcile(
        &mut self,
        at: u32,
        seen: Zxid,
        in_flight: bool,
    ) -> Option<(Arc<str>, Change)> {
        let entry = self.entries[at as usize].as_mut()?;
        let (data, child) = (entry.needs_data(), entry.needs_child());
        if entry.awaited > 0 && in_flight {
            if entry.lacks() != 0 {
                entry.unserved.get_or_insert(seen);
                entry.missed |= entry.lacks();
            }
            return None;
        }
        let (persistent, recursive) = (entry.needs_persistent(), entry.needs_recursive());
        let mut change = Change {
            since: entry.unserved.unwrap_or(seen),
            ..Change::default()
        };
        let was_recursive = entry.armed & RECURSIVE != 0;
        let excess = |bit, needed: bool| entry.armed & bit != 0 && !needed;
        if !(data || child || persistent || recursive) {
            let armed = entry.armed;
            let path = Arc::clone(&entry.path);
            entry.armed = 0;
            self.forget_if_idle(at);
            change.remove = ANY;
            return (armed != 0).then_some((path, change));
        }
        // What was missed is only caught up with by registering afresh.
        let missed = std::mem::take(&mut entry.missed);
        let served_since = |bit, by| missed & bit != 0 && entry.armed & by != 0;
        let afresh = (data && served_since(DATA, DATA | PERSISTENT | RECURSIVE))
            || (child && served_since(CHILD, CHILD | PERSISTENT));
        if afresh || excess(RECURSIVE, recursive) || excess(PERSISTENT, persistent) {
            change.remove = ANY;
            entry.armed = 0;
        } else if excess(DATA, data) {
            change.remove = ONLY_DATA;
            entry.armed &= !DATA;
        } else if excess(CHILD, child) {
            change.remove = ONLY_CHILDREN;
            entry.armed &= !CHILD;
        }
        if recursive && entry.armed & RECURSIVE == 0 && entry.armed & PERSISTENT != 0 {
            // Else what one-shots are caught up with would look like news to those that last.
            change.remove = ANY;
            entry.armed = 0;
        }
        // One-shots are listed even where a lasting watch is going to serve them: only they are
        // caught up with what happens until it is back.
        if recursive && entry.armed & RECURSIVE == 0 {
            change.arm |= RECURSIVE | if data { DATA } else { 0 };
            entry.armed = RECURSIVE;
        } else if persistent && entry.armed & (PERSISTENT | RECURSIVE) == 0 {
            change.arm |= PERSISTENT;
            change.arm |= if data { DATA } else { 0 } | if child { CHILD } else { 0 };
            entry.armed = PERSISTENT;
        }
        if change.arm & (PERSISTENT | RECURSIVE) != 0 {
            entry.broken.get_or_insert(seen);
            entry.parting |= was_recursive;
        }
        if data && entry.armed & (DATA | PERSISTENT | RECURSIVE) == 0 {
            change.arm |= DATA;
            entry.armed |= DATA;
        }
        if child && entry.armed & (CHILD | PERSISTENT) == 0 {
            change.arm |= CHILD;
            entry.armed |= CHILD;
        }
        if change.arm & (DATA | CHILD) != 0 {
            entry.unserved.get_or_insert(seen);
        } else if entry.rearming == 0 {
            entry.unserved = None;
        }
        (change.remove != 0 || change.arm != 0).then(|| (Arc::clone(&entry.path), change))
    }

    /// A setWatches for this place is on its way. The answer names it when the reply has come.
    pub(crate) fn rearming(&mut self, at: u32) -> Option<(u32, u64)> {
        let entry = self.entries[at as usize].as_mut()?;
        entry.rearming += 1;
        Some((at, entry.serial))
    }

    /// The place of an entry, to be found again if it is still the same.
    pub(crate) fn place(&self, at: u32) -> Option<(u32, u64)> {
        let entry = self.entries[at as usize].as_ref()?;
        Some((at, entry.serial))
    }

    /// Nothing is registered there any more, and those that last wait to be put back.
    pub(crate) fn hush(&mut self, (at, serial): (u32, u64)) {
        let entry = self.entries[at as usize].as_mut();
        if let Some(entry) = entry.filter(|entry| entry.serial == serial) {
            entry.hushed = entry.broken.is_some();
            entry.parting = false;
        }
    }

    /// The reply to it has come: whoever lasts has missed what there was up to `to`.
    pub(crate) fn rearmed(
        &mut self,
        (at, serial): (u32, u64),
        to: Zxid,
        out: &mut impl FnMut(Event),
    ) {
        let entry = self.entries[at as usize].as_mut();
        if let Some(entry) = entry.filter(|entry| entry.serial == serial) {
            entry.rearming -= 1;
            // From now on child events come by themselves.
            self.derived.take_if(|path| *path == entry.path);
            if entry.rearming == 0 {
                entry.hushed = false;
                if let Some(from) = entry.broken.take() {
                    entry.gap(from, to.max(from), out);
                }
                if entry.lacks() == 0 {
                    entry.unserved = None;
                }
            }
        }
    }

    /// Places whose one-shots must be caught up with more than all others.
    pub(crate) fn unserved(&self) -> Vec<u32> {
        (0..self.entries.len())
            .filter(|at| {
                self.entries[*at]
                    .as_ref()
                    .is_some_and(|e| e.unserved.is_some())
            })
            .map(|at| at as u32)
            .collect()
    }
}
