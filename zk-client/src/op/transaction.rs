//! Several writes that happen all or not at all.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use zk_proto::{
    ANY_VERSION, Acl, Chroot, CreateMode, Data, ErrorCode, IntoData, MultiOp, MultiResult, Reply,
    Request, Stat, ZnodePath,
};

use crate::op::protected::{Found, Mark};
use crate::op::sealed::Start;
use crate::op::write::{Create, CreateReply, Delete, SetData};
use crate::op::{Kind, Launch, Op, Started, retry};
use crate::{Client, Error};

/// Writes that happen all or not at all: [`Client::transaction`].
///
/// Simple operations have a method each; refined ones are made as any other call, and
/// [added](Self::add) instead of sent. Mistakes in paths and options are kept and reported by
/// [`commit`](Self::commit).
///
/// ```no_run
/// # async fn f(client: zk_client::Client) -> Result<(), zk_client::Error> {
/// let results = client
///     .transaction()
///     .check("/config", 4)
///     .create("/jobs/7", b"data")
///     .add(client.create("/jobs/owner-", "").ephemeral().sequential())
///     .add(client.set("/count", "8").version(3))
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

/// What a write of a transaction is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "servers take no other operations in a transaction"
)]
pub enum WriteKind {
    /// Makes a node.
    Create,
    /// Deletes a node.
    Delete,
    /// Replaces the data of a node.
    Set,
    /// Checks the version of a node.
    Check,
}

impl fmt::Display for WriteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Set => "set",
            Self::Check => "check",
        })
    }
}

/// What a write of a transaction gave.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is one for each kind of write"
)]
pub enum TransactionResult {
    /// A node was made.
    Created {
        /// Its path, with its number if it is sequential.
        path: String,
        /// Its stat, if it was asked for ([`Op::with_stat`]), or for containers and nodes with a
        /// time to live. Servers before 3.7.2 and 3.8.2 leave it out.
        stat: Option<Stat>,
    },
    /// A node was deleted.
    Deleted,
    /// Data was replaced; the node's new stat.
    Set(Stat),
    /// The version is as it should be.
    Checked,
}

impl TransactionResult {
    /// The path of the node that was made, if one was.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Created { path, .. } => Some(path),
            Self::Deleted | Self::Set(_) | Self::Checked => None,
        }
    }

    /// The stat that it gave, if it gave one.
    pub fn stat(&self) -> Option<&Stat> {
        match self {
            Self::Created { stat, .. } => stat.as_ref(),
            Self::Set(stat) => Some(stat),
            Self::Deleted | Self::Checked => None,
        }
    }
}

/// Why nothing of a transaction was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransactionError {
    index: usize,
    kind: WriteKind,
    path: String,
    cause: Error,
    codes: Vec<ErrorCode>,
}

/// What became of one write of a transaction that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth possibility")]
pub enum Fate {
    /// It would have succeeded, and was taken back (kazoo: `RolledBackError`).
    RolledBack,
    /// It failed, and with it all others.
    Failed(Error),
    /// It was not tried, as another had failed before (kazoo: `RuntimeInconsistency`).
    NotExecuted,
}

impl TransactionError {
    /// Which write failed, counted from 0 in the order in which they were added.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What that write was.
    pub fn kind(&self) -> WriteKind {
        self.kind
    }

    /// Which node that write was about, as the caller named it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Why it failed.
    pub fn cause(&self) -> &Error {
        &self.cause
    }

    /// The server's code for each write.
    pub fn codes(&self) -> &[ErrorCode] {
        &self.codes
    }

    /// What became of each write, in their order. This is what kazoo's `commit` returns.
    pub fn results(&self) -> impl ExactSizeIterator<Item = Fate> + '_ {
        (0..self.codes.len()).map(|at| match at.cmp(&self.index) {
            std::cmp::Ordering::Less => Fate::RolledBack,
            std::cmp::Ordering::Equal => Fate::Failed(self.cause.clone()),
            std::cmp::Ordering::Greater => Fate::NotExecuted,
        })
    }
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "nothing of the transaction was done: operation {}, {} {}: {}",
            self.index, self.kind, self.path, self.cause
        )
    }
}

impl std::error::Error for TransactionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self {
            client,
            items: Vec::new(),
            error: None,
        }
    }

    /// Adds a [`create`](Client::create), as refined, a [`set`](Client::set) or a
    /// [`delete`](Client::delete). It may come from another [view](Client::chroot) of the same
    /// client, and keeps that view's root path. [`Op::make_path`], [`Op::urgent`] and
    /// [`Op::timeout`] mean nothing here.
    pub fn add<K: InTransaction<'a>>(self, op: Op<'a, K>) -> Self {
        let (client, kind, _) = op.into_parts();
        if !Arc::ptr_eq(client.core(), self.client.core()) {
            return self.push(Err(Error::NotInTransaction("it is of another client")));
        }
        self.push(kind.into_item(client))
    }

    /// Makes a node, with the default access control list.
    pub fn create(self, path: &'a str, data: impl IntoData<'a>) -> Self {
        let create = self.client.create(path, data);
        self.add(create)
    }

    /// Deletes a node, whatever its version is.
    pub fn delete(self, path: &'a str) -> Self {
        let delete = self.client.delete(path);
        self.add(delete)
    }

    /// Replaces the data of a node, whatever its version is.
    pub fn set(self, path: &'a str, data: impl IntoData<'a>) -> Self {
        let set = self.client.set(path, data);
        self.add(set)
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
        self.items.len()
    }

    /// Was nothing added?
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
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
        let path = self.chroot.full(&self.path);
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

/// [`Transaction::commit`]: gives one result for each write.
#[derive(Debug)]
pub struct Commit<'a> {
    items: Vec<Item<'a>>,
    error: Option<Error>,
    /// One attempt, whose reply may be lost.
    once: bool,
}

impl Commit<'_> {
    pub(crate) fn into_owned(self) -> Commit<'static> {
        Commit {
            items: self.items.into_iter().map(Item::into_owned).collect(),
            error: self.error,
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

    /// The root path and the mark of the first protected create, by which it can be told whether
    /// all was done.
    pub(crate) fn mark(&self) -> Option<(&Chroot, &Mark)> {
        self.items.iter().find_map(|item| match &item.what {
            What::Create {
                mark: Some(mark), ..
            } => Some((&item.chroot, mark)),
            What::Create { .. } | What::Delete(_) | What::Set(..) | What::Check(_) => None,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What can be told of the results when only the node of [`mark`](Self::mark) is found.
    pub(crate) fn outline(&self) -> Outline {
        let mut marked = false;
        let lines = self.items.iter().map(|item| match &item.what {
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
        if !self.once && self.mark().is_some() {
            let commit = Self {
                items: self.items.clone(),
                error: None,
                once: true,
            };
            return retry::look_if_lost(commit, launch);
        }
        let ops: Vec<MultiOp<'_>> = self.items.iter().map(Item::as_op).collect();
        let labels: Arc<[Label]> = self.items.iter().map(Item::label).collect();
        let body = Request::Multi(Cow::Owned(ops));
        // The paths are whole already: each write has the root path of its own view.
        launch.request_below(&body, &Chroot::ROOT, false, move |reply| {
            let Reply::Multi(results) = reply else {
                return Err(Error::UnexpectedReply);
            };
            convert(&labels, results)
        })
    }
}

impl Kind for Commit<'_> {
    type Output = Vec<TransactionResult>;
}

/// What an error says about a write, and how its result is named.
struct Label {
    kind: WriteKind,
    path: Box<str>,
    chroot: Chroot,
}

fn convert(labels: &[Label], results: Vec<MultiResult>) -> Result<Vec<TransactionResult>, Error> {
    if results.len() != labels.len() {
        return Err(Error::UnexpectedReply);
    }
    if results
        .iter()
        .any(|result| matches!(result, MultiResult::Error(_)))
    {
        return Err(failure(labels, &results));
    }
    labels
        .iter()
        .zip(results)
        .map(|(label, result)| match (label.kind, result) {
            (WriteKind::Create, MultiResult::Created { path, stat }) => {
                let path = label
                    .chroot
                    .strip(&path)
                    .map_or(path.clone(), str::to_owned);
                Ok(TransactionResult::Created { path, stat })
            }
            (WriteKind::Delete, MultiResult::Deleted) => Ok(TransactionResult::Deleted),
            (WriteKind::Set, MultiResult::Set(stat)) => Ok(TransactionResult::Set(stat)),
            (WriteKind::Check, MultiResult::Checked) => Ok(TransactionResult::Checked),
            _ => Err(Error::UnexpectedReply),
        })
        .collect()
}

/// The error of a transaction that failed: that of the first write with a code.
fn failure(labels: &[Label], results: &[MultiResult]) -> Error {
    let codes: Vec<ErrorCode> = results
        .iter()
        .map(|result| match result {
            MultiResult::Error(code) => *code,
            _ => ErrorCode::OK,
        })
        .collect();
    let failed = codes.iter().position(|code| *code != ErrorCode::OK);
    let Some((index, label)) = failed.and_then(|at| Some((at, labels.get(at)?))) else {
        return Error::UnexpectedReply;
    };
    let cause = match codes[index] {
        // Within a transaction it means an ephemeral node on a local session.
        ErrorCode::SESSION_EXPIRED => Error::EphemeralOnLocalSession,
        code => code.into(),
    };
    Error::Transaction(Box::new(TransactionError {
        index,
        kind: label.kind,
        path: label.path.to_string(),
        cause,
        codes,
    }))
}

/// Does not matter whether it has any version.
pub(crate) const fn is_any(version: i32) -> bool {
    version == ANY_VERSION
}
