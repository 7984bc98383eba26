//! What clients ask, what they are answered, and what a log says was done: the words that the
//! histories, the model and the checks share.

use std::fmt;

use zk_client::Error;
use zk_proto::{CreateMode, ErrorCode, Payload, SessionId, Stat};
use zk_session::Outcome;

/// A request that changes the tree. Access control lists are not modelled, only their version is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Write {
    /// Creates a node.
    Create {
        /// Where; the beginning of it if the mode is sequential.
        path: String,
        /// Its data.
        data: Payload,
        /// Its kind.
        mode: CreateMode,
    },
    /// Deletes a node.
    Delete {
        /// Where.
        path: String,
        /// The version it must have, or -1.
        version: i32,
    },
    /// Replaces the data of a node.
    SetData {
        /// Where.
        path: String,
        /// The new data.
        data: Payload,
        /// The version it must have, or -1.
        version: i32,
    },
    /// Replaces the access control list of a node by one that permits everything.
    SetAcl {
        /// Where.
        path: String,
        /// The version its list must have, or -1.
        version: i32,
    },
    /// Checks the version of a node. Only within [`Multi`](Self::Multi).
    Check {
        /// Where.
        path: String,
        /// The version it must have, or -1.
        version: i32,
    },
    /// All or nothing.
    Multi(Vec<Self>),
}

/// A request that changes nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Read {
    /// Data and [`Stat`].
    Get(String),
    /// The [`Stat`], if there is a node.
    Exists(String),
    /// The names of the children.
    Children(String),
}

impl Read {
    /// What is read.
    pub fn path(&self) -> &str {
        match self {
            Self::Get(path) | Self::Exists(path) | Self::Children(path) => path,
        }
    }
}

/// What a read promises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Strength {
    /// Never back behind what the session has seen.
    Plain,
    /// After a `sync`: as fresh as the leader, if that one still is the leader.
    Synced,
    /// As if there were one copy.
    Linearizable,
}

/// An operation of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// A write.
    Write(Write),
    /// A read.
    Read(Read, Strength),
}

/// An answer of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Created, under this name.
    Created {
        /// Where.
        path: String,
        /// What the new node is like, if asked for.
        stat: Option<Stat>,
    },
    /// Deleted.
    Deleted,
    /// Data or access control list replaced; what the node is like now, if it was kept.
    Set(Option<Stat>),
    /// The version is the one given.
    Checked,
    /// One for each part.
    Multi(Vec<Self>),
    /// Answer of [`Read::Get`].
    Data {
        /// The data.
        data: Payload,
        /// What the node is like.
        stat: Stat,
    },
    /// Answer of [`Read::Exists`], for a missing node too.
    Exists(Option<Stat>),
    /// Answer of [`Read::Children`].
    Children {
        /// Their names, in any order.
        names: Vec<String>,
        /// What the node is like, if asked for.
        stat: Option<Stat>,
    },
    /// Not done.
    Refused(Refusal),
}

/// Which part of a request failed, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a pair with names")]
pub struct Refusal {
    /// The failing part of a multi, 0 for others.
    pub index: usize,
    /// Why.
    pub code: ErrorCode,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { index: 0, code }
    }
}

/// How an operation ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ended {
    /// With an answer.
    Reply(Reply),
    /// Without, and it was not done and never will be.
    NotApplied,
    /// Without, but it was done.
    Applied,
    /// Without, and it may have been done, or may still be.
    Unknown,
}

impl Ended {
    /// What an error says about an operation. Codes that depend on the tree are answers; others,
    /// of a server that is overloaded or read-only for example, say that it was not done.
    pub fn from_error(error: &Error) -> Self {
        let index = if let Error::Transaction(error) = error {
            error.index()
        } else {
            0
        };
        match (error.code(), error.outcome()) {
            (Some(code), _) if of_the_tree(code) => {
                Self::Reply(Reply::Refused(Refusal { index, code }))
            }
            (_, Some(Outcome::NotApplied)) => Self::NotApplied,
            (_, Some(Outcome::Applied)) => Self::Applied,
            (_, Some(Outcome::Unknown) | None) => Self::Unknown,
        }
    }
}

fn of_the_tree(code: ErrorCode) -> bool {
    [
        ErrorCode::NO_NODE,
        ErrorCode::NODE_EXISTS,
        ErrorCode::BAD_VERSION,
        ErrorCode::NOT_EMPTY,
        ErrorCode::NO_CHILDREN_FOR_EPHEMERALS,
        ErrorCode::BAD_ARGUMENTS,
    ]
    .contains(&code)
}

/// What a transaction did to one node.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// The node is new.
    Create {
        /// Where, counter included.
        path: String,
        /// Its data.
        data: Payload,
        /// The session that it ends with, or [`SessionId::NONE`].
        owner: SessionId,
    },
    /// The node is gone.
    Delete {
        /// Where.
        path: String,
    },
    /// The data is new.
    SetData {
        /// Where.
        path: String,
        /// The data.
        data: Payload,
    },
    /// The access control list is new.
    SetAcl {
        /// Where.
        path: String,
    },
}

/// How much of two [`Stat`]s must agree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Compare {
    /// All.
    Whole,
    /// All but zxids and times, which only a log knows.
    Counters,
}

impl Compare {
    fn stats(self, left: &Stat, right: &Stat) -> bool {
        match self {
            Self::Whole => left == right,
            Self::Counters => counters(left) == counters(right),
        }
    }

    /// A [`Stat`] that was not asked for agrees with any.
    fn wanted(self, observed: Option<&Stat>, truth: Option<&Stat>) -> bool {
        match (observed, truth) {
            (Some(observed), Some(truth)) => self.stats(observed, truth),
            (None, _) => true,
            (Some(_), None) => false,
        }
    }

    /// Can a client have been answered `observed` where the model says `truth`?
    pub(crate) fn fits(self, observed: &Reply, truth: &Reply) -> bool {
        match (observed, truth) {
            (
                Reply::Created { path, stat },
                Reply::Created {
                    path: true_path,
                    stat: true_stat,
                },
            ) => path == true_path && self.wanted(stat.as_ref(), true_stat.as_ref()),
            (Reply::Set(stat), Reply::Set(truth)) => self.wanted(stat.as_ref(), truth.as_ref()),
            (Reply::Multi(parts), Reply::Multi(truth)) => {
                parts.len() == truth.len()
                    && parts
                        .iter()
                        .zip(truth)
                        .all(|(part, truth)| self.fits(part, truth))
            }
            (
                Reply::Data { data, stat },
                Reply::Data {
                    data: true_data,
                    stat: true_stat,
                },
            ) => data == true_data && self.stats(stat, true_stat),
            (Reply::Exists(None), Reply::Exists(None)) => true,
            (Reply::Exists(Some(stat)), Reply::Exists(Some(truth))) => self.stats(stat, truth),
            (
                Reply::Children { names, stat },
                Reply::Children {
                    names: true_names,
                    stat: true_stat,
                },
            ) => {
                let mut names = names.clone();
                names.sort_unstable();
                &names == true_names && self.wanted(stat.as_ref(), true_stat.as_ref())
            }
            (observed, truth) => observed == truth,
        }
    }
}

fn counters(stat: &Stat) -> (i32, i32, i32, SessionId, i32, i32) {
    (
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
    )
}

/// Data of nodes, told apart without being shown.
pub(crate) struct Shown<'a>(pub(crate) &'a Payload);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_option() {
            None => f.write_str("null"),
            Some(bytes) => {
                // FNV-1a: short, and the same on every machine.
                let sum = bytes.iter().fold(0x811c_9dc5_u32, |sum, byte| {
                    (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
                });
                write!(f, "{}B#{sum:08x}", bytes.len())
            }
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { path, data, mode } => {
                write!(f, "create {path} {} {mode:?}", Shown(data))
            }
            Self::Delete { path, version } => write!(f, "delete {path} v{version}"),
            Self::SetData {
                path,
                data,
                version,
            } => write!(f, "set {path} {} v{version}", Shown(data)),
            Self::SetAcl { path, version } => write!(f, "set_acls {path} v{version}"),
            Self::Check { path, version } => write!(f, "check {path} v{version}"),
            Self::Multi(parts) => {
                f.write_str("multi [")?;
                for (at, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if at == 0 { "" } else { "; " })?;
                }
                f.write_str("]")
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(write) => write.fmt(f),
            Self::Read(read, strength) => {
                let verb = match read {
                    Read::Get(_) => "get",
                    Read::Exists(_) => "exists",
                    Read::Children(_) => "get_children",
                };
                write!(f, "{verb} {}", read.path())?;
                match strength {
                    Strength::Plain => Ok(()),
                    Strength::Synced => f.write_str(" synced"),
                    Strength::Linearizable => f.write_str(" linearizable"),
                }
            }
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { path, stat } => {
                write!(f, "created {path}")?;
                show_stat(f, stat.as_ref())
            }
            Self::Deleted => f.write_str("deleted"),
            Self::Set(stat) => {
                f.write_str("set")?;
                show_stat(f, stat.as_ref())
            }
            Self::Checked => f.write_str("checked"),
            Self::Multi(parts) => {
                f.write_str("[")?;
                for (at, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if at == 0 { "" } else { "; " })?;
                }
                f.write_str("]")
            }
            Self::Data { data, stat } => {
                write!(f, "{}", Shown(data))?;
                show_stat(f, Some(stat))
            }
            Self::Exists(None) => f.write_str("missing"),
            Self::Exists(stat) => {
                f.write_str("there")?;
                show_stat(f, stat.as_ref())
            }
            Self::Children { names, stat } => {
                write!(f, "{names:?}")?;
                show_stat(f, stat.as_ref())
            }
            Self::Refused(Refusal { index, code }) => write!(f, "{code} at {index}"),
        }
    }
}

fn show_stat(f: &mut fmt::Formatter<'_>, stat: Option<&Stat>) -> fmt::Result {
    let Some(stat) = stat else { return Ok(()) };
    write!(
        f,
        " (c{} m{} p{} v{}/{}/{} owner {} children {})",
        stat.czxid,
        stat.mzxid,
        stat.pzxid,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner,
        stat.num_children
    )
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(reply) => reply.fmt(f),
            Self::NotApplied => f.write_str("not applied"),
            Self::Applied => f.write_str("applied, no result"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
