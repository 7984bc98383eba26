//! What must never happen, looked for after everything that happens to a machine.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use zk_proto::{SessionId, Zxid};
use zk_server::{Tree, Txn, TxnKind};

use super::{TICK, World};

pub(crate) struct Watch {
    /// What was committed first at each place.
    pub(crate) log: Vec<Arc<Txn>>,
    /// How much of the log of each machine has been compared.
    seen: Vec<usize>,
    /// The transactions that clients have had replies to.
    pub(crate) acknowledged: Vec<(Zxid, SessionId)>,
    pub(crate) closed: BTreeSet<SessionId>,
    /// How often two replicas were compared.
    pub(crate) compared: u64,
    looks: u64,
}

impl Watch {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            log: Vec::new(),
            seen: vec![0; count],
            acknowledged: Vec::new(),
            closed: BTreeSet::new(),
            compared: 0,
            looks: 0,
        }
    }

    /// The last commits are gone, by will.
    pub(crate) fn forget(&mut self, count: usize) {
        self.log.truncate(self.log.len() - count);
        let length = self.log.len();
        for seen in &mut self.seen {
            *seen = length.min(*seen);
        }
        self.acknowledged.clear();
    }

    /// A machine has lost some of its log, by will.
    pub(crate) fn forget_of(&mut self, at: usize) {
        self.seen[at] = 0;
    }
}

impl World {
    /// Looks at what a machine has newly committed, and compares its data with that of others.
    pub(crate) fn look(&mut self, at: usize) {
        let committed = self.peers[at].committed();
        let seen = self.watch.seen[at];
        assert!(
            committed.len() >= seen,
            "machine {at} has forgotten commits"
        );
        let new = committed[seen..].to_vec();
        for (place, txn) in (seen..).zip(new) {
            if let Some(first) = self.watch.log.get(place) {
                assert_eq!(*first, txn, "two transactions at {place}: {self:?}");
            } else {
                let last = self.watch.log.last().map_or(Zxid::ZERO, |last| last.zxid);
                assert!(last < txn.zxid, "{last} before {}", txn.zxid);
                self.first_committed(&txn);
                self.watch.log.push(txn);
            }
            self.watch.seen[at] += 1;
        }
        self.watch.looks += 1;
        if self.watch.looks % 8 == 0 {
            self.compare(at);
        }
    }

    fn compare(&mut self, at: usize) {
        let Some(member) = self.peers[at].member() else {
            return;
        };
        let tree = member.tree();
        for owner in tree.owners() {
            assert!(
                member.sessions().contains_key(&owner),
                "{owner} has outlived its session"
            );
        }
        for other in &self.peers {
            if other.id() == self.peers[at].id() {
                continue;
            }
            if let Some(other) = other.member().filter(|it| same_place(it.tree(), tree)) {
                assert_eq!(other.tree(), tree);
                assert_eq!(other.sessions(), member.sessions());
                self.watch.compared += 1;
            }
        }
    }

    /// A session that was heard of in time must not end by itself, unless something is broken.
    fn first_committed(&mut self, txn: &Txn) {
        if txn.kind != TxnKind::CloseSession || !self.watch.closed.insert(txn.session) {
            return;
        }
        let of = |client: &&super::Client| client.session.is_some_and(|it| it.id == txn.session);
        let Some(client) = self.clients.iter().find(of) else {
            return;
        };
        let Some(touched) = client.touched.filter(|_| !client.is_closing) else {
            return;
        };
        // When the session was last heard of, and what it takes for the leader to hear of that.
        let silent = self.now - touched;
        let slack = TICK / 2 + self.latency.1 * 4;
        let timeout = Duration::from_millis(client.session.unwrap().timeout as u64);
        assert!(
            !self.is_calm() || self.disturbed + timeout >= touched || silent + slack >= timeout,
            "{} expired after {silent:?} of {timeout:?}: {self:?}",
            txn.session
        );
    }

    /// At the end: all machines have the same, and all that was acknowledged is there.
    pub(crate) fn check_end(&mut self) {
        let mut tree = self.peers[0].tree().unwrap().clone();
        for peer in &self.peers {
            assert_eq!(peer.committed(), self.watch.log, "{self:?}");
            assert_eq!(peer.tree(), Some(&tree));
        }
        for (zxid, session) in &self.watch.acknowledged {
            let place = self.watch.log.binary_search_by_key(zxid, |txn| txn.zxid);
            let txn = place.map(|place| &self.watch.log[place]);
            assert_eq!(txn.map(|txn| txn.session), Ok(*session), "{zxid} is lost");
        }
        let mut replayed = Tree::new(Self::config(self.peers.len()).into());
        for txn in &self.watch.log {
            replayed.apply(txn, &mut Vec::new());
        }
        assert_eq!(replayed, tree);
        tree.apply(
            &Txn {
                zxid: Zxid(i64::MAX),
                ..(*self.watch.log[0]).clone()
            },
            &mut Vec::new(),
        );
        assert_ne!(replayed, tree);
    }

    fn config(count: usize) -> String {
        let line = |id| format!("server.{id}=member-{id}:2888:3888:participant;2181\n");
        (1..=count).map(line).collect::<String>() + "version=0"
    }
}

fn same_place(a: &Tree, b: &Tree) -> bool {
    a.last_zxid() == b.last_zxid()
}
