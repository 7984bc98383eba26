//! [`Item`]: an item that is claimed.

use std::fmt;

use zk_client::op::Doubt;
use zk_client::{BackoffPolicy, Client, Error, Outcome, Payload};

use crate::Pending;
use crate::mine::{Mine, pause};
use crate::planted::{Plan, Planted};

/// An item that this consumer holds. Dropping it gives it back.
#[must_use = "dropping it gives it back"]
pub struct Item {
    client: Client,
    entry: String,
    data: Payload,
    claim: Mine,
    plan: Plan,
}

impl Item {
    pub(super) fn new(
        client: &Client,
        entry: String,
        data: Payload,
        claim: Mine,
        plan: Plan,
    ) -> Self {
        Self {
            client: client.clone(),
            entry,
            data,
            claim,
            plan,
        }
    }

    /// What was put.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The path of the item's node.
    pub fn znode(&self) -> &str {
        &self.entry
    }

    /// Is it certainly held? Not any more once the session's deadline has passed.
    pub fn is_held(&self) -> bool {
        self.claim.is_live()
    }

    /// Asks the servers whether it is held (kazoo: `holds_lock`).
    ///
    /// # Errors
    /// Those of [`Client::get`] that do not pass.
    pub fn holds_lock(&self) -> Pending<bool> {
        let look = self.claim.look();
        Pending::new(&self.client, look)
    }

    /// Deletes it: it is done.
    ///
    /// # Errors
    /// [`Error::NotHeld`] if the claim was lost before, so that others may have the item now;
    /// [`Error::Unknown`] if it was lost together with the answer, and the item is gone: this
    /// consumer or the next one has consumed it; those of
    /// [`Transaction::commit`](zk_client::Transaction::commit) that do not pass.
    pub fn consume(self) -> Pending<()> {
        let client = self.client.clone();
        Pending::new(&client, self.consume_now())
    }

    /// Gives it back, for others to get.
    ///
    /// # Errors
    /// [`Error::NotHeld`] if the claim was lost before; those of [`Client::delete`] that do not
    /// pass.
    pub fn release(self) -> Pending<()> {
        let Self {
            client, mut claim, ..
        } = self;
        Pending::new(&client, async move { claim.delete().await })
    }

    async fn consume_now(mut self) -> Result<(), Error> {
        let client = self.client.clone();
        if self.plan.has(Planted::ConsumeUnheld) {
            let delete = client.delete(&self.entry);
            return client.retry(&BackoffPolicy::new(), delete).await;
        }
        // The transaction cannot see whose claim it deletes.
        if !self.claim.look().await? {
            self.claim.gone();
            return Err(Error::NotHeld);
        }
        let mut doubt = None;
        let lost = loop {
            let transaction = client.transaction().delete(self.claim.path());
            let transaction = transaction.delete(&self.entry);
            match transaction.commit().in_session(self.claim.session()).await {
                Ok(_) => {
                    self.claim.gone();
                    return Ok(());
                }
                Err(Error::Transaction(error)) if *error.cause() == Error::NoNode => {
                    if error.index() > 0 {
                        // Somebody has deleted the item alone: the claim goes with this value.
                        return Err(Error::NotHeld);
                    }
                    break Error::NoNode;
                }
                Err(Error::Transaction(error)) => return Err(error.cause().clone()),
                Err(error @ Error::SessionExpired { .. }) => break error,
                Err(error) => {
                    if error.outcome() == Some(Outcome::Unknown) {
                        if self.plan.has(Planted::DoneUnseen) {
                            return Ok(());
                        }
                        doubt.get_or_insert_with(|| error.clone());
                    }
                    pause(&client, error).await?;
                }
            }
        };
        // Whatever is in its place now is not this claim.
        self.claim.gone();
        let sent = lost.outcome() == Some(Outcome::Unknown);
        let Some(last) = doubt.or_else(|| sent.then(|| lost.clone())) else {
            return Err(Error::NotHeld);
        };
        let entry = client.exists(&self.entry).synced();
        if client.retry(&BackoffPolicy::new(), entry).await?.is_some() {
            return Err(Error::NotHeld);
        }
        if lost == Error::NoNode {
            // Nobody else could have consumed it while it was held.
            return Ok(());
        }
        Err(Error::Unknown {
            why: Doubt::Transaction,
            last: Box::new(last),
        })
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("znode", &self.entry)
            .finish_non_exhaustive()
    }
}
