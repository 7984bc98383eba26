//! A store beside the servers, which knows holders by their tokens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use zk_client::Zxid;
use zk_sim::check::{Effect, Txn};

use super::lock;
use crate::recipes::Universe;

/// Remembers the greatest token, and refuses smaller ones.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    greatest: Zxid,
    /// The nodes of those whose writes were accepted, in that order.
    accepted: Vec<String>,
}

impl Store {
    /// A write of whoever holds this node. Was it accepted?
    pub(crate) fn write(&self, token: Zxid, node: &str) -> bool {
        let mut inner = lock(&self.0);
        if token < inner.greatest {
            return false;
        }
        inner.greatest = token;
        inner.accepted.push(node.to_owned());
        true
    }

    /// No write of an older holder was accepted after one of a younger one, whatever clocks say.
    pub(super) fn check(&self, universe: &Universe) -> Result<(), String> {
        let mut made = BTreeMap::new();
        for entry in universe.servers.log().entries {
            let Txn::Change(effects) = entry.txn else {
                continue;
            };
            for effect in effects {
                if let Effect::Create { path, .. } = effect {
                    made.insert(path, entry.zxid);
                }
            }
        }
        let inner = lock(&self.0);
        for pair in inner.accepted.windows(2) {
            if made.get(&pair[0]) > made.get(&pair[1]) {
                return Err(format!("a store accepted an older holder: {pair:?}"));
            }
        }
        Ok(())
    }
}
