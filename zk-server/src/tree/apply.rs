//! Transactions applied (`DataTree.processTxn` of the Java server).

use std::sync::Arc;

use zk_proto::{Acl, ErrorCode, EventType, SessionId, Stat, Zxid};

use super::{Owner, Tree, Znode};
use crate::{Applied, Change, NodeData, NodePath, Txn, TxnKind, TxnOp, path, quota};

/// The number and the time of a transaction.
#[derive(Clone, Copy)]
struct Stamp {
    zxid: Zxid,
    time: i64,
}

impl Tree {
    /// Applies a transaction. What watches may be about is appended to `changes`, in the order in
    /// which clients learn of it.
    ///
    /// It never fails: an operation that [`prepare`](crate::prepare()) would not have let through, as
    /// its node is not there, is an [`Applied::Error`] and changes nothing.
    pub fn apply(&mut self, txn: &Txn, changes: &mut Vec<Change>) -> Applied {
        self.last_zxid = txn.zxid;
        let stamp = Stamp {
            zxid: txn.zxid,
            time: txn.time,
        };
        match &txn.kind {
            TxnKind::CreateSession { .. } => Applied::Done,
            TxnKind::CloseSession => {
                self.close(txn.session, stamp, changes);
                Applied::Done
            }
            TxnKind::Error(code) => Applied::Error(*code),
            TxnKind::One(op) => self.apply_op(op, stamp, changes),
            TxnKind::Multi(ops) => {
                let results = ops.iter().map(|op| self.apply_op(op, stamp, changes));
                Applied::Multi(results.collect())
            }
            TxnKind::FailedMulti(codes) => {
                Applied::Multi(codes.iter().copied().map(Applied::Error).collect())
            }
            TxnKind::Reconfig { members } => self.reconfigure(members, stamp, changes),
        }
    }

    fn apply_op(&mut self, op: &TxnOp, stamp: Stamp, changes: &mut Vec<Change>) -> Applied {
        let done = match op {
            TxnOp::Create {
                path,
                data,
                acl,
                owner,
                with_stat,
            } => {
                let node = Znode::new(
                    data.clone(),
                    Arc::clone(acl),
                    *owner,
                    stamp.zxid,
                    stamp.time,
                );
                let stat = with_stat.then(|| node.stat());
                self.create(path, node, stamp, changes)
                    .map(|()| Applied::Created {
                        path: Arc::clone(path),
                        stat,
                    })
            }
            TxnOp::Delete { path } => self.delete(path, stamp, changes).map(|()| Applied::Done),
            TxnOp::SetData {
                path,
                data,
                version,
            } => self
                .set_data(path, data, *version, stamp, changes)
                .map(Applied::Set),
            TxnOp::SetAcl { path, acl, version } => {
                self.set_acl(path, acl, *version).map(Applied::Set)
            }
            TxnOp::Check => Ok(Applied::Checked),
        };
        done.unwrap_or_else(Applied::Error)
    }

    fn create(
        &mut self,
        path: &Arc<str>,
        node: Znode,
        stamp: Stamp,
        changes: &mut Vec<Change>,
    ) -> Result<(), ErrorCode> {
        if self.node(path).is_some() {
            return Err(ErrorCode::NODE_EXISTS);
        }
        let parent = path::parent_of(path).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let parent = self.node_mut(parent).ok_or(ErrorCode::NO_NODE)?;
        parent.children.insert(Arc::clone(path));
        // At its end the counter stands still, and sequential names are taken.
        parent.creates = parent.creates.saturating_add(1);
        parent.pzxid = stamp.zxid;
        let parent_acl = Arc::clone(&parent.acl);
        match node.owner {
            Owner::Nobody => {}
            Owner::Session(session) => {
                let paths = self.ephemerals.entry(session).or_default();
                paths.insert(Arc::clone(path));
                self.ephemeral_count += 1;
            }
            Owner::Container => {
                self.containers.insert(Arc::clone(path));
            }
            Owner::Ttl(_) => {
                self.with_ttl.insert(Arc::clone(path));
            }
        }
        let (acl, size) = (Arc::clone(&node.acl), node.data.len());
        self.bytes += path.len() + size;
        self.nodes.insert(Arc::clone(path), Arc::new(node));
        self.quota_created(path, size);
        changes.push(change(EventType::NODE_CREATED, path.into(), acl));
        let parent = NodePath::parent_of(path);
        changes.push(change(EventType::NODE_CHILDREN_CHANGED, parent, parent_acl));
        Ok(())
    }

    fn delete(
        &mut self,
        path: &Arc<str>,
        stamp: Stamp,
        changes: &mut Vec<Change>,
    ) -> Result<(), ErrorCode> {
        #[cfg(zk_planted)]
        let planted = self.planted;
        let node = self.node(path).ok_or(ErrorCode::NO_NODE)?;
        if !node.children.is_empty() {
            return Err(ErrorCode::NOT_EMPTY);
        }
        if path::is_special(path) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let parent = path::parent_of(path).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let parent = self.node_mut(parent).ok_or(ErrorCode::NO_NODE)?;
        parent.children.remove(path);
        #[cfg(zk_planted)]
        let stamp = if planted == Some(crate::Planted::StillPzxid) {
            let zxid = parent.pzxid;
            Stamp { zxid, ..stamp }
        } else {
            stamp
        };
        parent.pzxid = stamp.zxid;
        let parent_acl = Arc::clone(&parent.acl);
        let node = self.nodes.remove(path).ok_or(ErrorCode::NO_NODE)?;
        match node.owner {
            Owner::Nobody => {}
            Owner::Session(session) => {
                self.ephemeral_count -= 1;
                if let Some(paths) = self.ephemerals.get_mut(&session) {
                    paths.remove(path);
                    if paths.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
            Owner::Container => {
                self.containers.remove(path);
            }
            Owner::Ttl(_) => {
                self.with_ttl.remove(path);
            }
        }
        self.bytes -= path.len() + node.data.len();
        self.quota_deleted(path, node.data.len());
        let acl = Arc::clone(&node.acl);
        changes.push(change(EventType::NODE_DELETED, path.into(), acl));
        let parent = NodePath::parent_of(path);
        changes.push(change(EventType::NODE_CHILDREN_CHANGED, parent, parent_acl));
        Ok(())
    }

    fn set_data(
        &mut self,
        path: &Arc<str>,
        data: &NodeData,
        version: i32,
        stamp: Stamp,
        changes: &mut Vec<Change>,
    ) -> Result<Stat, ErrorCode> {
        #[cfg(zk_planted)]
        let planted = self.planted;
        let node = self.node_mut(path).ok_or(ErrorCode::NO_NODE)?;
        let before = std::mem::replace(&mut node.data, data.clone());
        #[cfg(zk_planted)]
        let version = if planted == Some(crate::Planted::StillVersion) && version % 4 == 3 {
            node.version
        } else {
            version
        };
        node.version = version;
        node.mzxid = stamp.zxid;
        node.mtime = stamp.time;
        let (acl, stat) = (Arc::clone(&node.acl), node.stat());
        self.bytes = self.bytes + data.len() - before.len();
        self.quota_written(path, before.len(), data.len());
        changes.push(change(EventType::NODE_DATA_CHANGED, path.into(), acl));
        Ok(stat)
    }

    fn set_acl(&mut self, path: &str, acl: &Arc<[Acl]>, version: i32) -> Result<Stat, ErrorCode> {
        let node = self.node_mut(path).ok_or(ErrorCode::NO_NODE)?;
        node.acl = Arc::clone(acl);
        node.aversion = version;
        Ok(node.stat())
    }

    /// Deletes the ephemeral nodes of a session, in alphabetical order.
    fn close(&mut self, session: SessionId, stamp: Stamp, changes: &mut Vec<Change>) {
        #[cfg(zk_planted)]
        let kept = usize::from(self.planted == Some(crate::Planted::KeepEphemeral));
        #[cfg(not(zk_planted))]
        let kept = 0;
        let paths = self.ephemerals.remove(&session).unwrap_or_default();
        for path in paths.into_iter().skip(kept) {
            // It is there, as the index holds nothing else, and it has no children.
            let _ = self.delete(&path, stamp, changes);
        }
    }

    fn reconfigure(&mut self, members: &str, stamp: Stamp, changes: &mut Vec<Change>) -> Applied {
        let text = format!("{members}version={:x}", stamp.zxid.0);
        let data = NodeData::from(text.as_bytes());
        match self.set_data(&path::CONFIG.into(), &data, -1, stamp, changes) {
            Ok(stat) => Applied::Config { data, stat },
            Err(code) => Applied::Error(code),
        }
    }

    fn quota_created(&mut self, path: &str, size: usize) {
        match quota::role(path) {
            Some((quota::Role::Limits, node)) => {
                self.quotas.insert(node.to_owned());
            }
            Some((quota::Role::Usage, node)) => {
                let usage = quota::Track::of_subtree(self, node);
                self.put_usage(node, |_| usage);
            }
            None => {}
        }
        self.use_quota(path, size as i64, 1);
    }

    fn quota_deleted(&mut self, path: &str, size: usize) {
        if let Some((quota::Role::Limits, node)) = quota::role(path) {
            self.quotas.remove(node);
        }
        self.use_quota(path, -(size as i64), -1);
    }

    fn quota_written(&mut self, path: &str, before: usize, after: usize) {
        self.use_quota(path, after as i64 - before as i64, 0);
    }

    fn use_quota(&mut self, path: &str, bytes: i64, count: i64) {
        if let Some(node) = self.quota_above(path) {
            self.put_usage(node, |usage| usage.plus(bytes, count));
        }
    }

    /// Replaces the usage of the quota of a node in place: no version, no event.
    fn put_usage(&mut self, node: &str, usage: impl FnOnce(quota::Track) -> quota::Track) {
        let path = quota::usage_path(node);
        if let Some(node) = self.node_mut(&path) {
            let data = usage(quota::Track::parse(node.data())).to_string();
            let data = NodeData::from(data.as_bytes());
            let after = data.len();
            let before = std::mem::replace(&mut node.data, data).len();
            self.bytes = self.bytes + after - before;
        }
    }
}

fn change(event: EventType, path: NodePath, acl: Arc<[Acl]>) -> Change {
    Change { event, path, acl }
}
