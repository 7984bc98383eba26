//! What happens to the clients of a [`World`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zk_proto::{EventType, Zxid};

use super::super::history::Event;
use super::super::{Command, Ended, OpNo, Stamp, Standing, Txn, WatchKind};
use super::{Delivery, World};

impl World {
    /// Loses the connection: what is on the way, and the answers to what was asked.
    pub(super) fn lose(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let standing = Standing::Suspended {
            session: peer.session,
            until: self.now,
        };
        let client = peer.no;
        self.history
            .push(self.now, Event::Stands { client, standing });
        self.fail_all(at);
        let peer = &mut self.peers[at];
        let mut lost = BTreeSet::new();
        for delivery in peer.inbox.drain(..) {
            match delivery {
                Delivery::Event(watch, ..) => {
                    lost.insert(watch);
                }
                Delivery::Reply(..) | Delivery::Stream(..) => {}
            }
        }
        let until = None;
        let session = peer.session;
        let standing = Standing::Connected { session, until };
        self.history
            .push(self.now, Event::Stands { client, standing });
        self.restore(at, &lost);
    }

    /// Every operation fails: some carried out, some sent, some not.
    pub(super) fn fail_all(&mut self, at: usize) {
        let mut unknown: BTreeMap<OpNo, ()> = BTreeMap::new();
        for delivery in &self.peers[at].inbox {
            if let Delivery::Reply(op, ..) = delivery {
                unknown.insert(*op, ());
            }
        }
        for op in unknown.into_keys() {
            self.history.end(self.now, op, Ended::Unknown, None);
        }
        let sent = self.below(4) as usize;
        let arrives = self.below(4) as usize;
        let queue = std::mem::take(&mut self.peers[at].queue);
        let waiting = queue.iter().filter(|(.., waits)| *waits).count();
        let old = queue.len() - waiting;
        for (index, (op, command, waits)) in queue.into_iter().enumerate() {
            let sent = index < old + sent;
            if waits {
                let ended = if sent {
                    Ended::Unknown
                } else {
                    Ended::NotApplied
                };
                self.history.end(self.now, op, ended, None);
            }
            let is_write = matches!(command, Command::Write(_));
            if !waits || (sent && is_write && index < old + arrives) {
                self.peers[at].queue.push_back((op, command, false));
            }
        }
    }

    /// Registers the watches again, as of the last reply.
    pub(super) fn restore(&mut self, at: usize, lost: &BTreeSet<usize>) {
        let (now, to) = (self.now, self.applied(at));
        let peer = &mut self.peers[at];
        let from = peer.last_zxid;
        peer.last_zxid = from.max(to);
        for (index, watch) in peer.watches.iter_mut().enumerate() {
            let Some(no) = watch.no else {
                watch.over = true;
                continue;
            };
            if watch.kind.is_stream() {
                if !watch.over {
                    self.history.push(
                        now,
                        Event::Gap {
                            watch: no,
                            from,
                            to,
                        },
                    );
                }
                continue;
            }
            if !lost.contains(&index) {
                continue;
            }
            let there = peer.replica.node(&watch.path).is_some();
            if watch.was_missing && !there {
                // Nobody learns of it: it goes on.
                watch.over = false;
                continue;
            }
            let kind = match (watch.was_missing, there, watch.kind) {
                (true, ..) => EventType::NODE_CREATED,
                (false, false, _) => EventType::NODE_DELETED,
                (false, true, WatchKind::Children) => EventType::NODE_CHILDREN_CHANGED,
                (false, true, _) => EventType::NODE_DATA_CHANGED,
            };
            self.history.watched(now, no, kind, &watch.path, Zxid::ZERO);
        }
    }

    pub(super) fn expire(&mut self, at: usize) {
        self.fail_all(at);
        self.peers[at].queue.clear();
        let (client, session) = (self.peers[at].no, self.peers[at].session);
        let fired: BTreeSet<usize> = self.peers[at]
            .inbox
            .drain(..)
            .filter_map(|delivery| match delivery {
                Delivery::Event(watch, ..) => Some(watch),
                Delivery::Reply(..) | Delivery::Stream(..) => None,
            })
            .collect();
        let standing = Standing::Lost;
        self.history
            .push(self.now, Event::Stands { client, standing });
        for (index, watch) in self.peers[at].watches.iter_mut().enumerate() {
            let open = !watch.over || fired.contains(&index);
            if let (Some(watch), true) = (watch.no, open) {
                self.history.push(self.now, Event::WatchEnded { watch });
            }
            watch.over = true;
        }
        self.now += Duration::from_micros(1);
        let stamp = Stamp {
            zxid: Zxid(self.newest().0 + 1),
            millis: (self.newest().0 + 1) * 10,
        };
        let _ = self.tree.close(session, stamp);
        self.commit(session, Txn::Close);
        self.now += Duration::from_micros(1);
        self.open(at);
    }
}
