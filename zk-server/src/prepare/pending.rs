//! The tree as it will be after the operations of a multi that were checked already.

use std::{collections::BTreeMap, sync::Arc};

use zk_proto::Acl;

use crate::{Tree, TxnOp, Znode, path};

/// A tree, and the nodes in it that earlier operations change. Without any it costs nothing.
pub(super) struct Pending<'t> {
    pub(super) tree: &'t Tree,
    /// `None` is deleted.
    changed: BTreeMap<Arc<str>, Option<Record>>,
}

/// What checks need to know of a node (`ChangeRecord` of the Java server).
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) acl: Arc<[Acl]>,
    pub(super) version: i32,
    pub(super) aversion: i32,
    pub(super) creates: i32,
    pub(super) children: usize,
    pub(super) data_length: usize,
    pub(super) is_ephemeral: bool,
}

impl From<&Znode> for Record {
    fn from(node: &Znode) -> Self {
        Self {
            acl: Arc::clone(&node.acl),
            version: node.version,
            aversion: node.aversion,
            creates: node.creates,
            children: node.children.len(),
            data_length: node.data.len(),
            is_ephemeral: node.owner.session().is_some(),
        }
    }
}

impl<'t> Pending<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            changed: BTreeMap::new(),
        }
    }

    /// The node at `path`, if there is one; the empty path is the root.
    pub(super) fn record(&self, path: &str) -> Option<Record> {
        let path = if path.is_empty() { path::ROOT } else { path };
        match self.changed.get(path) {
            Some(record) => record.clone(),
            None => self.tree.node(path).map(Record::from),
        }
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        match self.changed.get(path) {
            Some(record) => record.is_some(),
            None => self.tree.node(path).is_some(),
        }
    }

    /// Takes an operation as done. `is_ephemeral` is what counts for a node that it creates, until
    /// the transaction is applied.
    pub(super) fn note(&mut self, op: &TxnOp, is_ephemeral: bool) {
        match op {
            TxnOp::Create {
                path, data, acl, ..
            } => {
                self.change_parent(path, |parent| {
                    parent.creates = parent.creates.saturating_add(1);
                    parent.children += 1;
                });
                let record = Record {
                    acl: Arc::clone(acl),
                    version: 0,
                    aversion: 0,
                    creates: 0,
                    children: 0,
                    data_length: data.len(),
                    is_ephemeral,
                };
                self.changed.insert(Arc::clone(path), Some(record));
            }
            TxnOp::Delete { path } => {
                self.change_parent(path, |parent| {
                    parent.children = parent.children.saturating_sub(1);
                });
                self.changed.insert(Arc::clone(path), None);
            }
            TxnOp::SetData {
                path,
                data,
                version,
            } => self.change(path, |record| {
                record.version = *version;
                record.data_length = data.len();
            }),
            TxnOp::SetAcl { path, acl, version } => self.change(path, |record| {
                record.acl = Arc::clone(acl);
                record.aversion = *version;
            }),
            TxnOp::Check => {}
        }
    }

    fn change_parent(&mut self, path: &str, change: impl FnOnce(&mut Record)) {
        match path::parent_of(path) {
            Some("") => self.change(path::ROOT, change),
            Some(parent) => self.change(parent, change),
            None => {}
        }
    }

    fn change(&mut self, path: &str, change: impl FnOnce(&mut Record)) {
        if let Some(mut record) = self.record(path) {
            change(&mut record);
            self.changed.insert(path.into(), Some(record));
        }
    }
}
