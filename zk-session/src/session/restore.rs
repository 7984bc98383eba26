//! Keeping the server's registrations in line with the watchers.

use zk_proto::{Request, WatcherType, Zxid};

use super::Session;
use crate::queue::Kind;
use crate::watch::{CHILD, PERSISTENT, RECURSIVE};

impl Session {
    /// Queues the next setWatches of the restore after a reconnect.
    pub(super) fn restore_chunk(&mut self) {
        let Some(mut restore) = self.restore.take() else {
            return;
        };
        let since = restore.since;
        match self.watches.next_chunk(&mut restore) {
            Some((lists, more)) => {
                let request = Request::SetWatches(lists.into_request(since));
                self.control
                    .push_internal(Kind::Rewatch { last: !more }, &request);
                self.restore = more.then_some(restore);
            }
            // What was left has gone meanwhile: no reply will end the gap.
            None => {
                self.restore = None;
                self.end_gap(self.last_zxid);
            }
        }
        if self.restore.is_none() {
            // Nothing of the application's has been sent on this connection yet.
            for entry in std::mem::take(&mut self.unreconciled) {
                self.reconcile_while(false, entry);
            }
        }
    }

    /// The watches are back: those that lasted may have missed something.
    pub(super) fn end_gap(&mut self, to: Zxid) {
        if let Some(from) = self.gap_from.take() {
            #[cfg(zk_planted)]
            if self.is_planted(crate::Planted::NoGap) {
                return;
            }
            let Self {
                watches, events, ..
            } = self;
            watches.gap(from, to.max(from), &mut |event| events.push_back(event));
        }
    }

    /// The needs of a path may have changed: tells the server what has to change there.
    pub(super) fn reconcile(&mut self, entry: u32) {
        self.reconcile_while(true, entry);
    }

    fn reconcile_while(&mut self, in_flight: bool, entry: u32) {
        if !self.link.as_ref().is_some_and(crate::link::Link::is_active) {
            self.watches.forget_if_idle(entry);
            return;
        }
        if self.restore.is_some() {
            self.unreconciled.push(entry);
            return;
        }
        let Some((path, change)) = self.watches.reconcile(entry, self.last_zxid, in_flight) else {
            return;
        };
        // Those that last are told of the gap when they are back in place.
        let breaks = change.arm & (PERSISTENT | RECURSIVE) != 0;
        #[cfg(zk_planted)]
        let leaves = self.is_planted(crate::Planted::LeaveWatches);
        #[cfg(not(zk_planted))]
        let leaves = false;
        if change.remove != 0 && !self.cannot_unwatch && !leaves {
            let kind = WatcherType(change.remove);
            let request = Request::RemoveWatches {
                path: (&*path).into(),
                kind,
            };
            self.control.push_internal(Kind::Unwatch, &request);
            let place = self.watches.place(entry).filter(|_| breaks);
            self.unwatching.push_back(place);
        } else if let Some(place) = self.watches.place(entry).filter(|_| breaks) {
            self.watches.hush(place);
        }
        // A recursive watch would replace a child watch that is listed in the same request.
        let after = if change.arm & RECURSIVE != 0 {
            CHILD
        } else {
            0
        };
        for arm in [change.arm & !after, change.arm & after] {
            if arm != 0 {
                let lists = self.watches.lists_for(&path, arm);
                let request = Request::SetWatches(lists.into_request(change.since));
                self.control.push_internal(Kind::Rearm, &request);
                self.rearming.extend(self.watches.rearming(entry));
            }
        }
    }
}
