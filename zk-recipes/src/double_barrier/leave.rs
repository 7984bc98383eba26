//! Leaving a double barrier.

use std::collections::BTreeSet;

use zk_client::Error;

use super::{DoubleBarrier, Inside, Opened, patience};
use crate::Pending;
use crate::planted::Planted;

impl Inside {
    /// Is this member inside for all others, too? Not any more when its session has ended, or may
    /// have (kazoo: `participating`).
    pub fn is_participating(&self) -> bool {
        self.mine.is_live()
    }

    /// The path of the member's node.
    pub fn znode(&self) -> &str {
        self.mine.path()
    }

    /// Leaves, and waits until all have left. Dropping the call leaves without waiting.
    ///
    /// # Errors
    /// [`Error::NotHeld`] if this member's session has ended before, so that others may be gone
    /// already; those of [`Client::delete`](zk_client::Client::delete) that do not pass.
    pub fn leave(self) -> Pending<()> {
        let client = self.barrier.client.clone();
        Pending::new(&client, self.leave_now())
    }

    async fn leave_now(self) -> Result<(), Error> {
        let Self {
            barrier,
            mut mine,
            opened,
        } = self;
        if opened == Opened::Late {
            // A member in the manner of kazoo that has deleted it before may wait for it to go.
            barrier.delete_ready(None).await?;
        }
        if barrier.plan.has(Planted::LeaveAtOnce) {
            return mine.delete_with(None).await;
        }
        let name = mine.name().to_owned();
        let mut round: Option<BTreeSet<String>> = None;
        let mut left = false;
        loop {
            let (ready, look) = barrier.look(false).await?;
            let version = ready.map(|ready| ready.version);
            if !left && !look.names.contains(&name) {
                mine.gone();
                return Err(Error::NotHeld);
            }
            // Those who come later belong to the next round.
            let round = round.get_or_insert_with(|| look.members().map(str::to_owned).collect());
            let here: Vec<&str> = look.members().filter(|one| round.contains(*one)).collect();
            match here.as_slice() {
                [] => {
                    // The last one has ended without deleting it.
                    if look.members().next().is_none() && version.is_some() {
                        barrier.delete_ready(version).await?;
                    }
                    return Ok(());
                }
                [lowest, ..] if left => barrier.wait_for(lowest).await?,
                [_] => {
                    mine.delete_with(version.map(|_| barrier.ready())).await?;
                    left = true;
                }
                [lowest, .., highest] if *lowest == name => barrier.wait_for(highest).await?,
                [lowest, ..] => {
                    mine.delete_with(None).await?;
                    left = true;
                    barrier.wait_for(lowest).await?;
                }
            }
        }
    }
}

impl DoubleBarrier {
    /// Waits until this node is gone.
    async fn wait_for(&self, name: &str) -> Result<(), Error> {
        let client = &self.client;
        let path = format!("{}/{name}", self.path);
        loop {
            let exists = client.exists(&path).watched();
            let (stat, watch) = client.retry(&patience(), exists).await?;
            if stat.is_none() {
                return Ok(());
            }
            match watch.await {
                Ok(_) | Err(Error::WatchEnded(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes `ready`, of this version if one is given. One that is gone, or of another version, is
    /// fine.
    async fn delete_ready(&self, version: Option<i32>) -> Result<(), Error> {
        let client = &self.client;
        let path = self.ready();
        let delete = client.delete(&path).version(version.unwrap_or(-1));
        match client.retry(&patience(), delete).await {
            Ok(()) | Err(Error::NoNode | Error::BadVersion | Error::Unknown { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
