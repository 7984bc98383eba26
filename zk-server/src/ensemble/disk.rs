//! What outlives a crash: the log, and the epochs that a member has given its word for.

use std::{collections::BTreeMap, sync::Arc};

use zk_proto::{SessionId, Zxid};

use crate::{Leader, Tree, Txn, TxnKind};

/// The disk of a member. Nothing on it is lost, as a ZooKeeper writes through before it answers.
#[derive(Debug)]
pub(super) struct Disk {
    /// The newest epoch that this member has promised to take part in. It joins no older one.
    pub(super) accepted: i32,
    /// The newest epoch whose history this member has taken over.
    pub(super) current: i32,
    /// Everything logged, committed or not, from the first transaction on.
    log: Vec<Arc<Txn>>,
    /// How many of these are known to be committed.
    committed: usize,
    /// How often the member was started.
    pub(super) starts: u32,
    /// The next session that the member would have opened. A real one goes by the time alone; here
    /// it may be started again within the same millisecond.
    pub(super) next_session: i64,
    /// The data as the member had it when it was stopped: what a replay of the log up to there
    /// gives. `None` while the member runs, as it has it then.
    pub(super) image: Option<Image>,
}

/// The data at one point of the log.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) tree: Tree,
    pub(super) sessions: BTreeMap<SessionId, i32>,
}

/// What a leader gives to a follower to make its log the same.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) epoch: i32,
    pub(super) base: Base,
    /// What comes behind the base.
    pub(super) txns: Vec<Arc<Txn>>,
}

/// What a follower keeps.
#[derive(Clone, Debug)]
pub(super) enum Base {
    /// Its log up to this transaction (`DIFF`, and `TRUNC` if it has more).
    Own(Zxid),
    /// Nothing: here is the data, and the log that led to it (`SNAP`).
    Snapshot(Box<Image>, Vec<Arc<Txn>>),
}

impl Disk {
    pub(super) fn new() -> Self {
        Self {
            accepted: 0,
            current: 0,
            log: Vec::new(),
            committed: 0,
            starts: 0,
            next_session: i64::MIN,
            image: None,
        }
    }

    /// The last transaction logged.
    pub(super) fn last(&self) -> Zxid {
        self.log.last().map_or(Zxid::ZERO, |txn| txn.zxid)
    }

    pub(super) fn log(&self) -> &[Arc<Txn>] {
        &self.log
    }

    pub(super) fn committed(&self) -> &[Arc<Txn>] {
        &self.log[..self.committed]
    }

    pub(super) fn append(&mut self, txn: Arc<Txn>) {
        self.log.push(txn);
    }

    /// Takes note that the next transaction is committed, if it is not behind `zxid`.
    pub(super) fn commit_next(&mut self, zxid: Zxid) -> Option<Arc<Txn>> {
        let txn = self
            .log
            .get(self.committed)
            .filter(|txn| txn.zxid <= zxid)?;
        self.committed += 1;
        Some(Arc::clone(txn))
    }

    /// How many transactions are not behind `zxid`.
    pub(super) fn position(&self, zxid: Zxid) -> usize {
        self.log.partition_point(|txn| txn.zxid <= zxid)
    }

    /// Whether the log has this transaction; the beginning is always there.
    pub(super) fn has(&self, zxid: Zxid) -> bool {
        self.at_most(zxid) == zxid
    }

    /// Forgets all but the first transactions, committed or not.
    pub(super) fn truncate(&mut self, length: usize) {
        self.log.truncate(length);
        self.committed = self.committed.min(length);
    }

    /// What makes the log of a follower that ends with `last` the same as this one.
    ///
    /// The last transaction here that is not behind `last` is one that the follower has: all members
    /// that log in an epoch have taken over the same history before it.
    pub(super) fn history_behind(&self, last: Zxid) -> Vec<Arc<Txn>> {
        self.log[self.position(last)..].to_vec()
    }

    /// The last transaction that is not behind `last`.
    pub(super) fn at_most(&self, last: Zxid) -> Zxid {
        let position = self.position(last);
        let before = position.checked_sub(1).and_then(|at| self.log.get(at));
        before.map_or(Zxid::ZERO, |txn| txn.zxid)
    }

    /// Makes the log the same as that of the leader. Returns the data if it came with it, and the
    /// history itself if the log does not have what it builds on.
    pub(super) fn take_over(&mut self, history: History) -> Result<Option<Image>, Zxid> {
        let History { epoch, base, txns } = history;
        let image = match base {
            Base::Own(zxid) if !self.has(zxid) => return Err(zxid),
            Base::Own(zxid) => {
                self.truncate(self.position(zxid));
                None
            }
            Base::Snapshot(image, log) => {
                self.committed = log.len();
                self.log = log;
                Some(*image)
            }
        };
        self.log.extend(txns);
        self.current = epoch;
        Ok(image)
    }

    /// The number from which an epoch acknowledges: its beginning, or the last of the log.
    pub(super) fn acknowledged(&self) -> Zxid {
        self.last().max(Leader::begin_of(self.current))
    }
}

impl Image {
    /// The data of a server that has just been set up.
    pub(super) fn new(config: &str) -> Self {
        Self {
            tree: Tree::new(config.to_owned().into()),
            sessions: BTreeMap::new(),
        }
    }

    /// Applies transactions, where nobody has to be told.
    pub(super) fn replay(&mut self, txns: &[Arc<Txn>]) {
        let mut changes = Vec::new();
        for txn in txns {
            self.tree.apply(txn, &mut changes);
            changes.clear();
            if let TxnKind::CreateSession { timeout } = txn.kind {
                self.sessions.insert(txn.session, timeout);
            } else if txn.kind == TxnKind::CloseSession {
                self.sessions.remove(&txn.session);
            }
        }
    }
}
