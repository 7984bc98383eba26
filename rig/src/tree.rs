//! A small tree of znodes: enough for errors, zxids and watches to be right.

use std::collections::BTreeMap;

use zk_proto::{ANY_VERSION, ErrorCode, EventType, MultiOp, MultiResult, Stat, Zxid};

use crate::registry::parent_of;

/// A change that watches see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    pub zxid: i64,
    pub kind: EventType,
    pub path: String,
}

#[derive(Clone, Debug)]
pub struct Tree {
    nodes: BTreeMap<String, Stat>,
    pub zxid: i64,
}

impl Tree {
    pub fn new(paths: &[&str]) -> Self {
        let mut nodes = BTreeMap::new();
        for path in ["/"].iter().chain(paths) {
            let stat = Stat {
                czxid: Zxid(1),
                mzxid: Zxid(1),
                pzxid: Zxid(1),
                ..Stat::default()
            };
            nodes.insert((*path).to_owned(), stat);
        }
        Self { nodes, zxid: 1 }
    }

    pub fn stat(&self, path: &str) -> Option<Stat> {
        self.nodes.get(path).copied()
    }

    pub fn children(&self, path: &str) -> Vec<&str> {
        let under = if path == "/" { "/" } else { path };
        self.nodes
            .keys()
            .filter(|p| parent_of(p) == Some(under))
            .filter_map(|p| p.rsplit('/').next())
            .collect()
    }

    /// Carries a transaction out, or nothing of it. It takes a zxid either way.
    pub fn commit(
        &mut self,
        ops: &[MultiOp<'_>],
    ) -> Result<(Vec<MultiResult>, Vec<Change>), (usize, ErrorCode)> {
        self.zxid += 1;
        let mut next = self.clone();
        let (mut results, mut changes) = (Vec::new(), Vec::new());
        for (at, op) in ops.iter().enumerate() {
            results.push(next.apply(op, &mut changes).map_err(|code| (at, code))?);
        }
        *self = next;
        Ok((results, changes))
    }

    fn apply(
        &mut self,
        op: &MultiOp<'_>,
        changes: &mut Vec<Change>,
    ) -> Result<MultiResult, ErrorCode> {
        let zxid = self.zxid;
        let mut changed = |kind, path: &str| {
            changes.push(Change {
                zxid,
                kind,
                path: path.to_owned(),
            });
        };
        let path = op.path();
        match op {
            MultiOp::Create {
                mode, with_stat, ..
            } => {
                let path = if mode.flags() & 2 != 0 && mode.flags() != 4 {
                    format!("{path}{zxid:010}")
                } else {
                    path.to_owned()
                };
                let parent = parent_of(&path).ok_or(ErrorCode::NODE_EXISTS)?;
                if !self.nodes.contains_key(parent) {
                    return Err(ErrorCode::NO_NODE);
                }
                if self.nodes.contains_key(&path) {
                    return Err(ErrorCode::NODE_EXISTS);
                }
                self.touch_parent(&path);
                let stat = Stat {
                    czxid: Zxid(zxid),
                    mzxid: Zxid(zxid),
                    pzxid: Zxid(zxid),
                    ..Stat::default()
                };
                self.nodes.insert(path.clone(), stat);
                changed(EventType::NODE_CREATED, &path);
                let stat = with_stat.then_some(stat);
                Ok(MultiResult::Created { path, stat })
            }
            MultiOp::Delete { version, .. } => {
                self.check(path, *version)?;
                if path == "/" || !self.children(path).is_empty() {
                    return Err(ErrorCode::NOT_EMPTY);
                }
                self.nodes.remove(path);
                self.touch_parent(path);
                changed(EventType::NODE_DELETED, path);
                Ok(MultiResult::Deleted)
            }
            MultiOp::SetData { version, .. } => {
                let mut stat = self.check(path, *version)?;
                stat.mzxid = Zxid(zxid);
                stat.version += 1;
                self.nodes.insert(path.to_owned(), stat);
                changed(EventType::NODE_DATA_CHANGED, path);
                Ok(MultiResult::Set(stat))
            }
            MultiOp::Check { version, .. } => {
                self.check(path, *version)?;
                Ok(MultiResult::Checked)
            }
        }
    }

    fn check(&self, path: &str, version: i32) -> Result<Stat, ErrorCode> {
        let stat = self.stat(path).ok_or(ErrorCode::NO_NODE)?;
        if version != ANY_VERSION && version != stat.version {
            return Err(ErrorCode::BAD_VERSION);
        }
        Ok(stat)
    }

    fn touch_parent(&mut self, path: &str) {
        if let Some(stat) = parent_of(path).and_then(|parent| self.nodes.get_mut(parent)) {
            stat.pzxid = Zxid(self.zxid);
        }
    }
}
