//! [`Footprint`]: which nodes an operation may depend on, and which it may change.
//!
//! Contents of a node have to do with nothing else. That it comes or goes has to do with its parent,
//! whatever is done to that. A sequential create names its node by the children that its parent ever
//! had, so it has to do with all that come.

use std::collections::BTreeSet;

use super::super::command::{Command, Ended, Reply, Write};
use super::super::history::Operation;
use super::super::tree::{key, parent};

/// The nodes that an operation has to do with.
#[derive(Clone, Debug, Default)]
pub(super) struct Footprint<'a> {
    /// In any way.
    nodes: BTreeSet<&'a str>,
    /// The parents of those that come or go.
    parents: BTreeSet<&'a str>,
    /// The parents whose children are counted for a name.
    counted: BTreeSet<&'a str>,
    /// How names begin that are not known.
    beginnings: BTreeSet<&'a str>,
}

impl<'a> Footprint<'a> {
    pub(super) fn of(operation: &'a Operation<'a>) -> Self {
        let mut footprint = Self::default();
        let reply = match operation.ended {
            Some((_, Ended::Reply(reply))) => Some(reply),
            Some((_, Ended::Applied | Ended::NotApplied | Ended::Unknown)) | None => None,
        };
        match operation.command {
            Command::Read(read, _) => {
                footprint.nodes.insert(key(read.path()));
            }
            Command::Write(write) => footprint.write(write, reply),
        }
        footprint
    }

    /// Adds those of another one.
    pub(super) fn extend(&mut self, other: &Self) {
        self.nodes.extend(&other.nodes);
        self.parents.extend(&other.parents);
        self.counted.extend(&other.counted);
        self.beginnings.extend(&other.beginnings);
    }

    /// May one of two operations change what the other one does?
    pub(super) fn meets(&self, other: &Self) -> bool {
        !self.nodes.is_disjoint(&other.nodes) || self.changes(other) || other.changes(self)
    }

    fn changes(&self, other: &Self) -> bool {
        let begins = |node: &&str| self.beginnings.iter().any(|name| node.starts_with(name));
        !self.parents.is_disjoint(&other.nodes)
            || !self.counted.is_disjoint(&other.nodes)
            || !self.counted.is_disjoint(&other.parents)
            || !self.counted.is_disjoint(&other.counted)
            || !self.beginnings.is_empty() && other.nodes.iter().any(begins)
    }

    fn write(&mut self, write: &'a Write, reply: Option<&'a Reply>) {
        match write {
            Write::Create { path, mode, .. } => {
                self.parents.insert(parent(path));
                if !mode.is_sequential() {
                    self.nodes.insert(path);
                    return;
                }
                self.counted.insert(parent(path));
                if let Some(Reply::Created { path, .. }) = reply {
                    self.nodes.insert(path);
                } else {
                    self.beginnings.insert(path);
                }
            }
            Write::Delete { path, .. } => {
                self.nodes.insert(key(path));
                self.parents.insert(parent(path));
            }
            Write::SetData { path, .. }
            | Write::SetAcl { path, .. }
            | Write::Check { path, .. } => {
                self.nodes.insert(key(path));
            }
            Write::Multi(parts) => {
                let replies = match reply {
                    Some(Reply::Multi(replies)) => replies.as_slice(),
                    _ => &[],
                };
                for (at, part) in parts.iter().enumerate() {
                    self.write(part, replies.get(at));
                }
            }
        }
    }
}
