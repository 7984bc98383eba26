//! What servers have committed, in the words of the checks.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::{ErrorCode, Payload, SessionId};
use zk_server::{NodeData, Owner, TxnKind, TxnOp};

use crate::check::{CommittedLog, Effect, Entry, Txn};

/// Where the configuration of the ensemble is.
const CONFIG: &str = "/zookeeper/config";

/// The log of these commits, each with the time at which it was first known.
pub(crate) fn committed_log(commits: &[(Duration, Arc<zk_server::Txn>)]) -> CommittedLog {
    let entries = commits.iter().map(|(at, txn)| Entry {
        zxid: txn.zxid,
        session: txn.session,
        at: *at,
        millis: txn.time,
        txn: said(txn),
    });
    CommittedLog {
        entries: entries.collect(),
    }
}

fn said(txn: &zk_server::Txn) -> Txn {
    match &txn.kind {
        TxnKind::CreateSession { .. } => Txn::Open,
        TxnKind::CloseSession => Txn::Close,
        TxnKind::Error(code) => Txn::Refused(*code),
        TxnKind::FailedMulti(codes) => {
            let first = codes.iter().copied().find(|code| *code != ErrorCode::OK);
            Txn::Refused(first.unwrap_or(ErrorCode::RUNTIME_INCONSISTENCY))
        }
        TxnKind::One(op) => Txn::Change(effect(op).into_iter().collect()),
        TxnKind::Multi(ops) => Txn::Change(ops.iter().filter_map(effect).collect()),
        TxnKind::Reconfig { members } => {
            let data = format!("{members}version={:x}", txn.zxid.0).into_bytes();
            let path = CONFIG.to_owned();
            let data = Payload::from(data);
            Txn::Change(vec![Effect::SetData { path, data }])
        }
        kind => {
            tracing::error!(?kind, "the checks do not know this kind of transaction");
            Txn::Change(Vec::new())
        }
    }
}

/// `None` if it changes nothing.
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
        TxnOp::Check => return None,
        op => {
            tracing::error!(?op, "the checks do not know this kind of write");
            return None;
        }
    })
}

fn payload(data: &NodeData) -> Payload {
    data.as_option()
        .map_or_else(|| Payload::from(None), Payload::from)
}
