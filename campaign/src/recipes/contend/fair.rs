//! Whoever waits keeps its place: nobody goes to the end of the line unasked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use zk_client::Client;
use zk_sim::check::{Effect, Txn};

use super::{Term, lock};
use crate::recipes::Universe;

/// How often a place may have been given up for a reason.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Calls that have not, or not yet, ended in a turn.
    in_vain: u64,
    clients: Vec<Client>,
}

impl Places {
    pub(super) fn meet(&self, client: &Client) {
        lock(&self.0).clients.push(client.clone());
    }

    pub(super) fn begin(&self) {
        lock(&self.0).in_vain += 1;
    }

    pub(super) fn granted(&self) {
        lock(&self.0).in_vain -= 1;
    }

    /// Every node of a line that was deleted by its owner is that of a turn, of a call that was given
    /// up, or of a create whose reply was lost.
    pub(super) fn check(
        &self,
        universe: &Universe,
        line: &str,
        terms: &[Term],
    ) -> Result<(), String> {
        let turns: BTreeSet<&str> = terms.iter().map(|term| &*term.node).collect();
        let mut owners = BTreeMap::new();
        let mut left: u64 = 0;
        for entry in universe.servers.log().entries {
            let Txn::Change(effects) = entry.txn else {
                continue;
            };
            for effect in effects {
                match effect {
                    Effect::Create { path, owner, .. } if path.starts_with(line) => {
                        owners.insert(path, owner);
                    }
                    Effect::Delete { path } => {
                        let own = owners.remove(&path) == Some(entry.session);
                        left += u64::from(own && !turns.contains(&*path));
                    }
                    Effect::Create { .. } | Effect::SetData { .. } | Effect::SetAcl { .. } | _ => {}
                }
            }
        }
        let inner = lock(&self.0);
        let losses: u64 = inner
            .clients
            .iter()
            .map(|it| it.stats().session.losses)
            .sum();
        let reasons = inner.in_vain + losses;
        if left > reasons {
            return Err(format!(
                "{left} places were given up, for {} calls in vain and {losses} losses",
                inner.in_vain
            ));
        }
        Ok(())
    }
}
