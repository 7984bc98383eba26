//! Sending a transaction.

use std::borrow::Cow;
use std::sync::Arc;

use zk_proto::{Chroot, CreateMode, MultiOp, Reply, Request};

use crate::Error;
use crate::op::protected::{Found, Mark};
use crate::op::sealed::Start;
use crate::op::transaction::outcome::{Label, convert};
use crate::op::transaction::{Item, TransactionResult, What};
use crate::op::{Kind, Launch, Started, retry};

/// [`Transaction::commit`](crate::Transaction::commit): gives one result for each write.
#[derive(Debug)]
pub struct Commit<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) error: Option<Error>,
    /// The first write is a check of what the caller holds, and is not shown.
    pub(super) held: bool,
    /// One attempt, whose reply may be lost.
    pub(super) once: bool,
}

impl Commit<'_> {
    pub(crate) fn into_owned(self) -> Commit<'static> {
        Commit {
            items: self.items.into_iter().map(Item::into_owned).collect(),
            error: self.error,
            held: self.held,
            once: true,
        }
    }

    /// Does it make nodes that go with the session?
    pub(crate) fn is_session_bound(&self) -> bool {
        self.modes().any(|mode| {
            matches!(
                mode,
                CreateMode::Ephemeral | CreateMode::EphemeralSequential
            )
        })
    }

    fn modes(&self) -> impl Iterator<Item = CreateMode> + '_ {
        self.items.iter().filter_map(|item| match &item.what {
            What::Create { mode, .. } => Some(*mode),
            What::Delete(_) | What::Set(..) | What::Check(_) => None,
        })
    }

    /// The protected creates: place, root path and mark. By the first it can be told whether all
    /// was done.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (usize, &Chroot, &Mark)> {
        let items = self.items.iter().enumerate();
        items.filter_map(|(place, item)| match &item.what {
            What::Create {
                mark: Some(mark), ..
            } => Some((place, &item.chroot, mark)),
            What::Create { .. } | What::Delete(_) | What::Set(..) | What::Check(_) => None,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What can be told of the results when only the first node of [`marks`](Self::marks) is found.
    pub(crate) fn outline(&self) -> Outline {
        let mut marked = false;
        let shown = self.items.iter().skip(usize::from(self.held));
        let lines = shown.map(|item| match &item.what {
            What::Create { mark: Some(_), .. } if !std::mem::replace(&mut marked, true) => {
                Line::Marked
            }
            What::Create {
                mode:
                    CreateMode::Persistent
                    | CreateMode::Ephemeral
                    | CreateMode::Container
                    | CreateMode::PersistentWithTtl(_),
                with_stat: false,
                ..
            } => Line::Known(TransactionResult::Created {
                path: item.path.clone().into_owned(),
                stat: None,
            }),
            What::Create { .. } | What::Set(..) => Line::Lost,
            What::Delete(_) => Line::Known(TransactionResult::Deleted),
            What::Check(_) => Line::Known(TransactionResult::Checked),
        });
        Outline(lines.collect())
    }
}

/// The results of a transaction, as far as they are known without a reply.
pub(crate) struct Outline(Vec<Line>);

enum Line {
    Marked,
    Known(TransactionResult),
    Lost,
}

impl Outline {
    pub(crate) fn results(&self, (path, stat): &Found) -> Result<Vec<TransactionResult>, Error> {
        self.0
            .iter()
            .map(|line| match line {
                Line::Marked => Ok(TransactionResult::Created {
                    path: path.clone(),
                    stat: Some(*stat),
                }),
                Line::Known(result) => Ok(result.clone()),
                Line::Lost => Err(Error::ResultLost),
            })
            .collect()
    }
}

impl Start for Commit<'_> {
    type Reply = Vec<TransactionResult>;

    fn start(&mut self, launch: &mut Launch<'_>) -> Result<Started<Self::Reply>, Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if !self.once && self.marks().next().is_some() {
            let commit = Self {
                items: self.items.clone(),
                error: None,
                held: self.held,
                once: true,
            };
            return retry::look_if_lost(commit, launch);
        }
        let ops: Vec<MultiOp<'_>> = self.items.iter().map(Item::as_op).collect();
        let labels: Arc<[Label]> = self.items.iter().map(Item::label).collect();
        let body = Request::Multi(Cow::Owned(ops));
        let held = self.held;
        // The paths are whole already: each write has the root path of its own view.
        launch.request_below(&body, &Chroot::ROOT, false, move |reply| {
            let Reply::Multi(results) = reply else {
                return Err(Error::UnexpectedReply);
            };
            convert(&labels, results, held)
        })
    }
}

impl Kind for Commit<'_> {
    type Output = Vec<TransactionResult>;
}
