//! Several leases, of which a holder has one at most.

use std::time::Duration;

use zk_client::Client;

use super::{Lease, NonBlockingLease};
use crate::Pending;
use crate::planted::{Plan, Planted};

/// Leases for several, of which each holder has one. See the [module](super).
#[derive(Clone, Debug)]
pub struct MultiNonBlockingLease {
    client: Client,
    slots: Vec<NonBlockingLease>,
    plan: Plan,
}

impl MultiNonBlockingLease {
    /// So many leases below `path`. Nothing is sent.
    pub fn new(client: &Client, count: usize, path: &str, duration: Duration) -> Self {
        let path = path.trim_end_matches('/');
        let slot = |i| NonBlockingLease::new(client, &format!("{path}/{i}"), duration);
        Self {
            client: client.clone(),
            slots: (0..count).map(slot).collect(),
            plan: Plan::default(),
        }
    }

    /// Who holds it: [`NonBlockingLease::identifier`].
    #[must_use]
    pub fn identifier(mut self, identifier: &str) -> Self {
        let slots = self.slots.into_iter();
        self.slots = slots.map(|slot| slot.identifier(identifier)).collect();
        self
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: Planted) -> Self {
        self.plan = Plan::of(planted);
        self
    }

    /// Renews the lease that this holder had, or else obtains the first that is free; `None` if
    /// there is none. (kazoo obtains the first that is free in any case, and so a second one.)
    ///
    /// # Errors
    /// As [`NonBlockingLease::obtain`].
    pub fn obtain(&self) -> Pending<Option<Lease>> {
        let (slots, plan) = (self.slots.clone(), self.plan);
        Pending::new(&self.client, async move {
            for slot in &slots {
                if !plan.has(Planted::SecondSlot) && slot.is_named().await? {
                    if let Some(lease) = slot.obtain().await? {
                        return Ok(Some(lease));
                    }
                }
            }
            for slot in &slots {
                if let Some(lease) = slot.obtain().await? {
                    return Ok(Some(lease));
                }
            }
            Ok(None)
        })
    }
}
