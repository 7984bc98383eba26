//! Transactions: what was decided about the data, to be applied everywhere in the same order.

use std::sync::Arc;

use zk_proto::{Acl, ErrorCode, SessionId, Zxid};

use crate::{NodeData, Owner};

/// One transaction. Applied to equal trees it leaves equal trees.
///
/// `Debug` shows the length of data only.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever numbers transactions makes them"
)]
pub struct Txn {
    /// Its number.
    pub zxid: Zxid,
    /// When it was made, in milliseconds since 1970, by the clock of the leader.
    pub time: i64,
    /// The session that asked for it; of a session that begins or ends, that session.
    pub session: SessionId,
    /// What it does.
    pub kind: TxnKind,
}

/// What a transaction does.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TxnKind {
    /// A session begins.
    CreateSession {
        /// Its timeout in milliseconds.
        timeout: i32,
    },
    /// A session ends, by itself or because it expired: its ephemeral nodes go.
    CloseSession,
    /// A write was refused. It has a number nevertheless.
    Error(ErrorCode),
    /// One write.
    One(TxnOp),
    /// All writes of a multi.
    Multi(Vec<TxnOp>),
    /// A multi of which nothing is done: [`ErrorCode::OK`] before the operation that failed, its own
    /// code there, [`ErrorCode::RUNTIME_INCONSISTENCY`] after it.
    FailedMulti(Vec<ErrorCode>),
    /// The ensemble has new members.
    Reconfig {
        /// The lines of the configuration but for the last, which is the number of the transaction.
        members: Arc<str>,
    },
}

/// One write that was found to be possible.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TxnOp {
    /// Creates a node.
    Create {
        /// The node, with its counter if it is sequential.
        path: Arc<str>,
        /// Its data.
        data: NodeData,
        /// Its access control list, normalised.
        acl: Arc<[Acl]>,
        /// What it lives by.
        owner: Owner,
        /// Whether the reply has its metadata.
        with_stat: bool,
    },
    /// Deletes a node.
    Delete {
        /// The node.
        path: Arc<str>,
    },
    /// Replaces the data of a node.
    SetData {
        /// The node.
        path: Arc<str>,
        /// The new data.
        data: NodeData,
        /// The version from now on.
        version: i32,
    },
    /// Replaces the access control list of a node.
    SetAcl {
        /// The node.
        path: Arc<str>,
        /// The new list, normalised.
        acl: Arc<[Acl]>,
        /// The version of the list from now on.
        version: i32,
    },
    /// A version was as expected.
    Check,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_data() {
        let txn = Txn {
            zxid: Zxid(1),
            time: 0,
            session: SessionId(1),
            kind: TxnKind::One(TxnOp::SetData {
                path: "/a".into(),
                data: NodeData::from(&b"secret"[..]),
                version: 1,
            }),
        };
        let shown = format!("{txn:?}");
        assert!(
            shown.contains("6 bytes") && !shown.contains("secret"),
            "{shown}"
        );
        assert!(!shown.contains("115"), "{shown}");
    }
}
