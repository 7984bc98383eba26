//! What the servers have in the end, from what they have agreed on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zk_proto::{Payload, SessionId, Zxid};
use zk_sim::check::{Effect, Txn};

use crate::recipes::Universe;

/// A node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Znode {
    pub(crate) data: Vec<u8>,
    pub(crate) owner: SessionId,
    pub(crate) czxid: Zxid,
    pub(crate) mzxid: Zxid,
}

/// Nodes, sessions, and all data that there ever was.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) nodes: BTreeMap<String, Znode>,
    pub(crate) sessions: BTreeSet<SessionId>,
    /// What was written into which node by which transaction.
    pub(crate) written: BTreeMap<(String, Zxid), Vec<u8>>,
}

impl Universe {
    /// The nodes that there are according to the servers, below a path.
    pub(crate) fn nodes_below(&self, path: &str) -> Vec<String> {
        let mut nodes: BTreeMap<String, _> = BTreeMap::new();
        for entry in self.servers.log().entries {
            match entry.txn {
                Txn::Change(effects) => {
                    for effect in effects {
                        match effect {
                            Effect::Create { path, owner, .. } => drop(nodes.insert(path, owner)),
                            Effect::Delete { path } => drop(nodes.remove(&path)),
                            Effect::SetData { .. } | Effect::SetAcl { .. } | _ => {}
                        }
                    }
                }
                Txn::Close => nodes.retain(|_, owner| *owner != entry.session),
                Txn::Open | Txn::Refused(_) | _ => {}
            }
        }
        let prefix = format!("{path}/");
        nodes
            .into_keys()
            .filter(|node| node.starts_with(&prefix))
            .collect()
    }

    /// What was written into a node, in the order of the servers.
    pub(crate) fn written(&self, node: &str) -> Vec<String> {
        let mut all = Vec::new();
        for entry in self.servers.log().entries {
            let Txn::Change(effects) = entry.txn else {
                continue;
            };
            for effect in effects {
                if let Effect::SetData { path, data } = effect {
                    if path == node {
                        all.push(String::from_utf8_lossy(&data).into_owned());
                    }
                }
            }
        }
        all
    }

    /// When a node was deleted, by whomever.
    pub(crate) fn deletions(&self) -> BTreeMap<String, Duration> {
        let mut nodes: BTreeMap<String, _> = BTreeMap::new();
        let mut gone = BTreeMap::new();
        for entry in self.servers.log().entries {
            match entry.txn {
                Txn::Change(effects) => {
                    for effect in effects {
                        match effect {
                            Effect::Create { path, owner, .. } => drop(nodes.insert(path, owner)),
                            Effect::Delete { path } => drop(gone.insert(path, entry.at)),
                            Effect::SetData { .. } | Effect::SetAcl { .. } | _ => {}
                        }
                    }
                }
                Txn::Close => {
                    for (path, _) in nodes.iter().filter(|(_, owner)| **owner == entry.session) {
                        gone.entry(path.clone()).or_insert(entry.at);
                    }
                }
                Txn::Open | Txn::Refused(_) | _ => {}
            }
        }
        gone
    }

    /// All of it.
    pub(crate) fn state(&self) -> State {
        let mut state = State::default();
        for entry in self.servers.log().entries {
            match entry.txn {
                Txn::Open => drop(state.sessions.insert(entry.session)),
                Txn::Close => {
                    state.sessions.remove(&entry.session);
                    state.nodes.retain(|_, node| node.owner != entry.session);
                }
                Txn::Change(effects) => {
                    for effect in effects {
                        state.apply(entry.zxid, effect);
                    }
                }
                Txn::Refused(_) | _ => {}
            }
        }
        state
    }
}

impl State {
    fn apply(&mut self, zxid: Zxid, effect: Effect) {
        match effect {
            Effect::Create { path, data, owner } => {
                let data = bytes(&data);
                self.written.insert((path.clone(), zxid), data.clone());
                let node = Znode {
                    data,
                    owner,
                    czxid: zxid,
                    mzxid: zxid,
                };
                self.nodes.insert(path, node);
            }
            Effect::Delete { path } => drop(self.nodes.remove(&path)),
            Effect::SetData { path, data } => {
                let data = bytes(&data);
                self.written.insert((path.clone(), zxid), data.clone());
                if let Some(node) = self.nodes.get_mut(&path) {
                    node.data = data;
                    node.mzxid = zxid;
                }
            }
            Effect::SetAcl { .. } | _ => {}
        }
    }

    /// The nodes below a path, and that itself.
    pub(crate) fn tree(&self, root: &str) -> BTreeMap<String, Znode> {
        let prefix = format!("{root}/");
        let nodes = self.nodes.iter();
        nodes
            .filter(|(path, _)| *path == root || path.starts_with(&prefix))
            .map(|(path, node)| (path.clone(), node.clone()))
            .collect()
    }
}

fn bytes(data: &Payload) -> Vec<u8> {
    data.to_vec()
}
