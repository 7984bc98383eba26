//! Claiming an item.

use std::collections::BTreeSet;

use zk_client::{BackoffPolicy, Children, Error, Outcome, SessionId, WatchedEvent};

use super::{Item, LockingQueue};
use crate::mine::{Mine, pause};
use crate::planted::Planted;
use crate::queue::entry;
use crate::together::{both, either};

impl LockingQueue {
    /// Claims an item, and waits for one if need be.
    pub(super) async fn take(self) -> Result<Item, Error> {
        loop {
            if let Some(item) = self.clone().take_now().await? {
                return Ok(item);
            }
            if let Some(item) = self.take_or_wait().await? {
                return Ok(item);
            }
        }
    }

    /// Claims an item if there is one.
    pub(super) async fn take_now(self) -> Result<Option<Item>, Error> {
        let patience = BackoffPolicy::new();
        let client = &self.client;
        loop {
            let Some(session) = self.session().await? else {
                continue;
            };
            let (entries, taken) = both(
                client.retry(&patience, client.get_children(&self.entries)),
                client.retry(&patience, client.get_children(&self.taken)),
            )
            .await;
            match (entries, taken) {
                (Err(Error::NoNode), _) | (_, Err(Error::NoNode)) => self.make().await?,
                (entries, taken) => match self.take_first(&entries?, &taken?, session).await {
                    Err(Error::SessionExpired { .. }) => {}
                    taken => return taken,
                },
            }
        }
    }

    /// As [`take_now`](Self::take_now), with watches first; if there is none, waits until that may
    /// have changed.
    async fn take_or_wait(&self) -> Result<Option<Item>, Error> {
        let patience = BackoffPolicy::new();
        let client = &self.client;
        let Some(session) = self.session().await? else {
            return Ok(None);
        };
        let entries = client.get_children(&self.entries).watched();
        let (entries, new) = match client.retry(&patience, entries).await {
            Err(Error::NoNode) => return Ok(None),
            entries => entries?,
        };
        if entries.iter().next().is_none() {
            return fired(new.await);
        }
        let taken = client.get_children(&self.taken).watched();
        let (taken, mut given_back) = match client.retry(&patience, taken).await {
            Err(Error::NoNode) => return Ok(None),
            taken => taken?,
        };
        match self.take_first(&entries, &taken, session).await {
            Ok(None) => match either(new, &mut given_back).await {
                Ok(event) | Err(event) => fired(event),
            },
            Err(Error::SessionExpired { .. }) => Ok(None),
            taken => taken,
        }
    }

    /// The session in which claims are made; `None` if it was lost just now.
    async fn session(&self) -> Result<Option<SessionId>, Error> {
        self.client.until_connected().await?;
        Ok(self.client.client_id().map(|(id, _)| id))
    }

    async fn make(&self) -> Result<(), Error> {
        let client = &self.client;
        for path in [&self.entries, &self.taken] {
            client.retry_default(client.ensure_path(path)).await?;
        }
        Ok(())
    }

    /// Claims the first of these entries that is not taken.
    async fn take_first(
        &self,
        entries: &Children,
        taken: &Children,
        session: SessionId,
    ) -> Result<Option<Item>, Error> {
        let taken: BTreeSet<&str> = taken.iter().collect();
        for name in entry::in_order(entries) {
            if taken.contains(name.as_str()) {
                continue;
            }
            if let Some(item) = self.claim(&name, session).await? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Claims this entry, unless it is gone or others hold it.
    async fn claim(&self, name: &str, session: SessionId) -> Result<Option<Item>, Error> {
        let client = &self.client;
        let entry = format!("{}/{name}", self.entries);
        let id = client.unique_id();
        let path = format!("{}/{name}", self.taken);
        let mut claim = Mine::marked(client, path.clone(), session, id.clone());
        claim.keep_alive();
        let mut doubt = false;
        let data = loop {
            let create = client.create(&path, id.as_str()).ephemeral();
            let transaction = client.transaction().check(&entry, -1).with(create);
            let commit = transaction.commit().in_session(session);
            match both(commit, client.get(&entry)).await {
                (Ok(_), data) => {
                    claim.made();
                    break data;
                }
                (Err(Error::Transaction(error)), data) => {
                    let cause = error.cause().clone();
                    let exists = cause == Error::NodeExists;
                    if exists && doubt && claim.is_there().await? {
                        // By an attempt before this one.
                        claim.made();
                        break data;
                    }
                    if !doubt {
                        claim.gone();
                    }
                    if exists || cause == Error::NoNode {
                        return Ok(None);
                    }
                    return Err(cause);
                }
                (Err(error), _) => {
                    doubt |= error.outcome() == Some(Outcome::Unknown);
                    if doubt && self.plan.has(Planted::ForgetClaim) {
                        claim.gone();
                        return Ok(None);
                    }
                    pause(client, error).await?;
                }
            }
        };
        let again = client.get(&entry);
        let data = match data {
            Ok((data, _)) => data,
            Err(Error::NoNode) => return Ok(None),
            Err(_) => match client.retry(&BackoffPolicy::new(), again).await {
                Err(Error::NoNode) => return Ok(None),
                data => data?.0,
            },
        };
        Ok(Some(Item::new(client, entry, data, claim, self.plan)))
    }
}

/// Something has changed, or the session has ended: look again.
fn fired(event: Result<WatchedEvent, Error>) -> Result<Option<Item>, Error> {
    match event {
        Ok(_) | Err(Error::WatchEnded(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
