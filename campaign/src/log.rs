//! The servers' log in the words of the checkers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{ErrorCode, Payload, SessionId};
use zk_server::{NodeData, Owner, TxnKind, TxnOp};
use zk_sim::check::{CommittedLog, Effect, Entry, Txn};

/// What the servers have agreed on.
pub(crate) fn log(commits: &[(Duration, Arc<zk_server::Txn>)]) -> CommittedLog {
    let entries = commits.iter().map(|(at, txn)| Entry {
        zxid: txn.zxid,
        session: txn.session,
        at: *at,
        millis: txn.time,
        txn: kind(&txn.kind),
    });
    CommittedLog {
        entries: entries.collect(),
    }
}

fn kind(kind: &TxnKind) -> Txn {
    match kind {
        TxnKind::CreateSession { .. } => Txn::Open,
        TxnKind::CloseSession => Txn::Close,
        TxnKind::Error(code) => Txn::Refused(*code),
        TxnKind::One(op) => Txn::Change(effect(op).into_iter().collect()),
        TxnKind::Multi(ops) => Txn::Change(ops.iter().filter_map(effect).collect()),
        TxnKind::FailedMulti(codes) => {
            let first = codes.iter().find(|code| !code.is_ok());
            Txn::Refused(first.copied().unwrap_or(ErrorCode::RUNTIME_INCONSISTENCY))
        }
        // No campaign changes who the members are.
        TxnKind::Reconfig { .. } | _ => Txn::Change(Vec::new()),
    }
}

fn effect(op: &TxnOp) -> Option<Effect> {
    Some(match op {
        TxnOp::Create {
            path, data, owner, ..
        } => Effect::Create {
            path: path.to_string(),
            data: payload(data),
            owner: match owner {
                Owner::Session(session) => *session,
                Owner::Nobody | Owner::Container | Owner::Ttl(_) => SessionId::NONE,
            },
        },
        TxnOp::Delete { path } => Effect::Delete {
            path: path.to_string(),
        },
        TxnOp::SetData { path, data, .. } => Effect::SetData {
            path: path.to_string(),
            data: payload(data),
        },
        TxnOp::SetAcl { path, .. } => Effect::SetAcl {
            path: path.to_string(),
        },
        TxnOp::Check | _ => return None,
    })
}

fn payload(data: &NodeData) -> Payload {
    Payload::from(data.as_option().map(Bytes::copy_from_slice))
}
