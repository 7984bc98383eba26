//! Several writes that happen all or not at all.

use std::borrow::Cow;
use std::sync::Arc;

use zk_proto::{ANY_VERSION, Acl, Chroot, CreateMode, Data, IntoData, MultiOp, ZnodePath};

use crate::op::delete::Delete;
use crate::op::protected::Mark;
use crate::op::write::{Create, CreateReply, SetData};
use crate::op::{Kind, Op};
use crate::{Client, Error};

mod commit;
mod outcome;

pub use commit::Commit;
pub use outcome::{Fate, TransactionError, TransactionResult, WriteKind};

use outcome::Label;

/// Writes that happen all or not at all: [`Client::transaction`].
///
/// Simple operations have a method each; refined ones are made as any other call, and
/// [added](Self::with) instead of sent. Mistakes in paths and options are kept and reported by
/// [`commit`](Self::commit).
///
/// ```no_run
/// # async fn f(client: zk_client::Client) -> Result<(), zk_client::Error> {
/// let results = client
///     .transaction()
///     .check("/config", 4)
///     .create("/jobs/7", b"data")
///     .with(client.create("/jobs/owner-", "").ephemeral().sequential())
///     .with(client.set("/count", "8").version(3))
///     .delete("/queue/7")
///     .commit()
///     .await?;
/// # drop(results); Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent until it is committed"]
pub struct Transaction<'a> {
    client: &'a Client,
    items: Vec<Item<'a>>,
    error: Option<Error>,
    /// The first write is a check of what the caller holds.
    held: bool,
}

/// One write, with the root path of the view that it was made by.
#[derive(Clone, Debug)]
#[expect(unnameable_types, reason = "only this crate uses it")]
pub struct Item<'a> {
    path: Cow<'a, str>,
    chroot: Chroot,
    what: What<'a>,
}

#[derive(Clone, Debug)]
enum What<'a> {
    Create {
        data: Data<'a>,
        acl: Cow<'a, [Acl]>,
        mode: CreateMode,
        with_stat: bool,
        mark: Option<Mark>,
    },
    Delete(i32),
    Set(Data<'a>, i32),
    Check(i32),
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self {
            client,
            items: Vec::new(),
            error: None,
            held: false,
        }
    }

    /// Only while there is this node, which stands for something that the caller holds, such as a
    /// lock: else nothing is done, and the error is [`Error::NotHeld`]. It is checked before
    /// everything else, has no result of its own, and counts in no [`TransactionError::index`].
    pub fn while_held(mut self, path: impl Into<String>) -> Self {
        let item = Item::new(self.client, path.into(), What::Check(ANY_VERSION));
        match item {
            Ok(item) if !self.held => {
                self.items.insert(0, item);
                self.held = true;
            }
            Ok(_) => {
                let twice = "only one thing can be held: check the others";
                self.error.get_or_insert(Error::NotInTransaction(twice));
            }
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self
    }

    /// Adds a [`create`](Client::create), as refined, a [`set`](Client::set) or a
    /// [`delete`](Client::delete). It may come from another [view](Client::chroot) of the same
    /// client, and keeps that view's root path. [`Op::make_path`], [`Op::urgent`] and
    /// [`Op::timeout`] mean nothing here.
    pub fn with<K: InTransaction<'a>>(self, op: Op<'a, K>) -> Self {
        let (client, kind, _) = op.into_parts();
        if !Arc::ptr_eq(client.core(), self.client.core()) {
            return self.push(Err(Error::NotInTransaction("it is of another client")));
        }
        self.push(kind.into_item(client))
    }

    /// Makes a node, with the default access control list.
    pub fn create(self, path: &'a str, data: impl IntoData<'a>) -> Self {
        let create = self.client.create(path, data);
        self.with(create)
    }

    /// Deletes a node, whatever its version is.
    pub fn delete(self, path: &'a str) -> Self {
        let delete = self.client.delete(path);
        self.with(delete)
    }

    /// Replaces the data of a node, whatever its version is.
    pub fn set(self, path: &'a str, data: impl IntoData<'a>) -> Self {
        let set = self.client.set(path, data);
        self.with(set)
    }

    /// The same as [`set`](Self::set), under kazoo's name.
    pub fn set_data(self, path: &'a str, data: impl IntoData<'a>) -> Self {
        self.set(path, data)
    }

    /// Demands that the node's data has this version, or with −1 that there is the node.
    pub fn check(self, path: &'a str, version: i32) -> Self {
        let item = Item::new(self.client, path, What::Check(version));
        self.push(item)
    }

    /// How many writes were added.
    pub fn len(&self) -> usize {
        self.items.len() - usize::from(self.held)
    }

    /// Was nothing added?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The call that sends it, in one request. It gives one [`TransactionResult`] for each write,
    /// in their order.
    ///
    /// An empty transaction is sent, too, and gives nothing: it is a quorum write without a change,
    /// after which the session sees all that was committed before (kazoo sends nothing).
    ///
    /// # Errors
    /// [`Error::Transaction`] says which write failed, and why: nothing was done then. (kazoo
    /// returns exceptions in place of results.) The first mistake made in adding a write. As for
    /// any write, [`Error::outcome`] tells whether it may have been carried out.
    pub fn commit(self) -> Op<'a, Commit<'a>> {
        Op::new(
            self.client,
            Commit {
                items: self.items,
                error: self.error,
                held: self.held,
                once: false,
            },
        )
    }

    fn push(mut self, item: Result<Item<'a>, Error>) -> Self {
        match item {
            Ok(item) => self.items.push(item),
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self
    }
}

impl<'a> Item<'a> {
    fn new(client: &Client, path: impl Into<Cow<'a, str>>, what: What<'a>) -> Result<Self, Error> {
        let path = match path.into() {
            Cow::Borrowed(path) => ZnodePath::parse(path)?.into_cow(),
            Cow::Owned(path) => ZnodePath::parse(&path)?.into_owned().into_cow(),
        };
        Ok(Self {
            path,
            chroot: client.chroot_ref().clone(),
            what,
        })
    }

    fn as_op(&self) -> MultiOp<'_> {
        let path = match &self.what {
            // An empty name below the root path, which is not the root path itself.
            What::Create { mode, .. } if mode.is_sequential() => {
                Cow::Owned(format!("{}{}", self.chroot.as_str(), self.path))
            }
            What::Create { .. } | What::Delete(_) | What::Set(..) | What::Check(_) => {
                self.chroot.full(&self.path)
            }
        };
        match &self.what {
            What::Create {
                data,
                acl,
                mode,
                with_stat,
                ..
            } => MultiOp::Create {
                path,
                data: data.as_cow(),
                acl: Cow::Borrowed(acl),
                mode: (*mode).into(),
                with_stat: *with_stat,
            },
            What::Delete(version) => MultiOp::Delete {
                path,
                version: *version,
            },
            What::Set(data, version) => MultiOp::SetData {
                path,
                data: data.as_cow(),
                version: *version,
            },
            What::Check(version) => MultiOp::Check {
                path,
                version: *version,
            },
        }
    }

    fn label(&self) -> Label {
        Label {
            path: self.path.as_ref().into(),
            chroot: self.chroot.clone(),
            kind: match self.what {
                What::Create { .. } => WriteKind::Create,
                What::Delete(_) => WriteKind::Delete,
                What::Set(..) => WriteKind::Set,
                What::Check(_) => WriteKind::Check,
            },
        }
    }

    fn into_owned(self) -> Item<'static> {
        Item {
            path: Cow::Owned(self.path.into_owned()),
            chroot: self.chroot,
            what: match self.what {
                What::Create {
                    data,
                    acl,
                    mode,
                    with_stat,
                    mark,
                } => What::Create {
                    data: data.into_owned(),
                    acl: Cow::Owned(acl.into_owned()),
                    mode,
                    with_stat,
                    mark,
                },
                What::Delete(version) => What::Delete(version),
                What::Set(data, version) => What::Set(data.into_owned(), version),
                What::Check(version) => What::Check(version),
            },
        }
    }
}

/// A call that can be part of a transaction: [`Client::create`], [`Client::set`] and
/// [`Client::delete`], with their refinements.
pub trait InTransaction<'a>: Kind + private::IntoItem<'a> {}

mod private {
    use super::{Client, Error, Item};

    #[expect(unnameable_types, reason = "only this crate implements it")]
    pub trait IntoItem<'a> {
        fn into_item(self, client: &Client) -> Result<Item<'a>, Error>;
    }
}

impl<'a, T: CreateReply> InTransaction<'a> for Create<'a, T> {}

impl<'a, T: CreateReply> private::IntoItem<'a> for Create<'a, T> {
    fn into_item(self, client: &Client) -> Result<Item<'a>, Error> {
        if self.parents {
            return Err(Error::NotInTransaction(
                "make_path takes several requests: add a create for each parent",
            ));
        }
        let mode = self.mode()?;
        let (create, mark) = if self.protected {
            let (create, mark) = self.marked(client)?;
            (create, Some(mark))
        } else {
            (self, None)
        };
        let acl = Cow::Owned(create.acl_or_default(client)?.to_vec());
        let path = create.parsed_path()?.into_owned().into_cow();
        Ok(Item {
            path,
            chroot: client.chroot_ref().clone(),
            what: What::Create {
                data: create.data,
                acl,
                mode,
                with_stat: T::WITH_STAT,
                mark,
            },
        })
    }
}

impl<'a> InTransaction<'a> for SetData<'a> {}

impl<'a> private::IntoItem<'a> for SetData<'a> {
    fn into_item(self, client: &Client) -> Result<Item<'a>, Error> {
        Item::new(client, self.path, What::Set(self.data, self.version))
    }
}

impl<'a> InTransaction<'a> for Delete<'a> {}

impl<'a> private::IntoItem<'a> for Delete<'a> {
    fn into_item(self, client: &Client) -> Result<Item<'a>, Error> {
        Item::new(client, self.path, What::Delete(self.version))
    }
}

/// Is any version meant?
pub(crate) const fn is_any(version: i32) -> bool {
    version == ANY_VERSION
}
