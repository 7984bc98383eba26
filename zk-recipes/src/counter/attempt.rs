//! One write of a change, and what became of it.

use std::sync::Arc;

use zk_client::{Client, Error, Stat, Zxid};

use super::{Change, Number};
use crate::mine::Mine;

/// A write that replaces one version of the counter. It can be sent again and again: only one can
/// find the version that it wants.
pub(super) struct Attempt<N> {
    change: Change<N>,
    data: Arc<[u8]>,
    version: i32,
    /// Which node had that version.
    created: Zxid,
    mark: Option<Mine>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Done,
    /// It was not carried out, but may still be.
    NotYet,
    /// It was not carried out, and cannot be any more.
    Never,
    Unknown,
}

impl<N: Number> Attempt<N> {
    pub(super) fn new(change: Change<N>, stat: &Stat, mark: Option<Mine>) -> Self {
        Self {
            change,
            data: change.post_value.write().into(),
            version: stat.version,
            created: stat.czxid,
            mark,
        }
    }

    pub(super) fn change(&self) -> Change<N> {
        self.change
    }

    /// It has made nothing.
    pub(super) fn abandon(self) {
        if let Some(mut mark) = self.mark {
            mark.gone();
        }
    }

    /// Sends it.
    pub(super) async fn send(&self, client: &Client, path: &str) -> Result<(), Error> {
        let set = client.set(path, &*self.data).version(self.version);
        let Some(mark) = &self.mark else {
            return set.await.map(drop);
        };
        let create = client.create(mark.path(), "").ephemeral();
        let commit = client.transaction().with(set).with(create).commit();
        match commit.in_session(mark.session()).await {
            Ok(_) => Ok(()),
            Err(Error::Transaction(error)) => Err(error.cause().clone()),
            Err(error) => Err(error),
        }
    }

    /// Finds out what became of it when its answer was lost.
    pub(super) async fn judge(&self, client: &Client, path: &str) -> Result<Verdict, Error> {
        let mark = self.mark.as_ref();
        let over = mark.is_some_and(|mark| !mark.is_of_session());
        // The counter first: once another version is there, the mark says all.
        let verdict = match client.get(path).synced().await {
            Ok((data, stat)) => self.judge_by(&data, &stat),
            Err(Error::NoNode) => Verdict::Unknown,
            Err(error) => return Err(error),
        };
        let mark = match (mark, verdict) {
            // A session that had ended before carries nothing out any more.
            (Some(_), Verdict::NotYet) if over => return Ok(Verdict::Never),
            (Some(mark), Verdict::Never | Verdict::Unknown) if !over => mark,
            _ => return Ok(verdict),
        };
        let there = client.exists(mark.path()).synced().await?.is_some();
        Ok(match (there, mark.is_of_session()) {
            (true, _) => Verdict::Done,
            (false, true) => Verdict::Never,
            (false, false) => verdict,
        })
    }

    /// Tells by what the counter is now.
    fn judge_by(&self, data: &[u8], stat: &Stat) -> Verdict {
        if stat.czxid != self.created {
            return Verdict::Unknown;
        }
        match stat.version.wrapping_sub(self.version) {
            0 => Verdict::NotYet,
            1 if *data != *self.data => Verdict::Never,
            _ => Verdict::Unknown,
        }
    }
}
