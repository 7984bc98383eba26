//! What comes of a transaction.

use std::fmt;

use zk_proto::{Chroot, ErrorCode, MultiResult, Stat};

use crate::Error;

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
        /// Its stat, if it was asked for ([`with_stat`](crate::Op::with_stat)), or for containers and nodes with a
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

/// What an error says about a write, and how its result is named.
pub(super) struct Label {
    pub(super) kind: WriteKind,
    pub(super) path: Box<str>,
    pub(super) chroot: Chroot,
}

/// The results, or the error that is among them. If `held`, the first is not the caller's.
pub(super) fn convert(
    labels: &[Label],
    results: Vec<MultiResult>,
    held: bool,
) -> Result<Vec<TransactionResult>, Error> {
    if results.len() != labels.len() {
        return Err(Error::UnexpectedReply);
    }
    if results
        .iter()
        .any(|result| matches!(result, MultiResult::Error(_)))
    {
        return Err(failure(labels, &results, held));
    }
    labels
        .iter()
        .zip(results)
        .skip(usize::from(held))
        .map(|(label, result)| match (label.kind, result) {
            (WriteKind::Create, MultiResult::Created { path, stat }) => {
                let path = label
                    .chroot
                    .strip(&path)
                    .map_or_else(|| path.clone(), str::to_owned);
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
fn failure(labels: &[Label], results: &[MultiResult], held: bool) -> Error {
    let mut codes: Vec<ErrorCode> = results
        .iter()
        .map(|result| match result {
            MultiResult::Error(code) => *code,
            MultiResult::Created { .. }
            | MultiResult::Deleted
            | MultiResult::Set(_)
            | MultiResult::Checked => ErrorCode::OK,
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
    let index = match (held, index) {
        (true, 0) if cause == Error::NoNode => return Error::NotHeld,
        // It is another one's mistake, such as a list that forbids reading.
        (true, 0) => return cause,
        (true, index) => {
            codes.remove(0);
            index - 1
        }
        (false, index) => index,
    };
    Error::Transaction(Box::new(TransactionError {
        index,
        kind: label.kind,
        path: label.path.to_string(),
        cause,
        codes,
    }))
}
