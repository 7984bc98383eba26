//! Writes checked and made into transactions (`PrepRequestProcessor` of the Java server).

use std::sync::Arc;

use zk_proto::{ErrorCode, MultiOp, OpCode, Request};

use self::{
    pending::Pending,
    write::{Create, Write},
};
use crate::{Caller, Release, Settings, Tree, TxnKind, TxnOp};

mod pending;
mod reconfig;
mod write;

/// Checks a write against a tree to which everything decided so far has been applied. Nothing is
/// changed. Of several mistakes the one is found that real servers find.
///
/// Either way the write takes a number: what is refused is a [`TxnKind::Error`].
///
/// # Errors
/// The code for the reply. [`ErrorCode::UNIMPLEMENTED`] for a request that is not a write, among
/// them a check outside of a multi since 3.9: that one takes no number.
pub fn prepare(
    tree: &Tree,
    caller: &Caller<'_>,
    request: &Request<'_>,
    settings: &Settings,
) -> Result<TxnKind, ErrorCode> {
    let mut write = Write {
        pending: Pending::new(tree),
        caller,
        settings,
        in_multi: false,
    };
    let op = match request {
        Request::Create {
            path,
            data,
            acl,
            mode,
            with_stat,
        } => write.create(&Create {
            path,
            data: data.as_deref(),
            acl,
            mode: *mode,
            with_stat: *with_stat,
        }),
        Request::Delete { path, version } => write.delete(path, *version),
        Request::SetData {
            path,
            data,
            version,
        } => write.set_data(path, data.as_deref(), *version),
        Request::SetAcl { path, acl, version } => write.set_acl(path, acl, *version),
        Request::Check { path, version } if settings.release < Release::V3_9 => {
            write.check(path, *version)
        }
        // Since 3.9 flags are looked at as a multi is decoded.
        Request::Multi(ops)
            if settings.release >= Release::V3_9
                && ops.iter().any(|op| has_unknown_flags(op, 4)) =>
        {
            return Err(ErrorCode::MARSHALLING_ERROR);
        }
        Request::Multi(ops) => return write.multi(ops),
        Request::Reconfig {
            joining,
            leaving,
            new_members,
            from_config,
        } => {
            return reconfig::prepare(
                tree,
                caller,
                settings,
                &reconfig::Change {
                    joining: joining.as_deref(),
                    leaving: leaving.as_deref(),
                    new_members: new_members.as_deref(),
                    from_config: *from_config,
                },
            );
        }
        Request::CloseSession => return Ok(TxnKind::CloseSession),
        Request::Exists { .. }
        | Request::GetData { .. }
        | Request::GetAcl { .. }
        | Request::GetChildren { .. }
        | Request::Sync { .. }
        | Request::Ping
        | Request::Check { .. }
        | Request::MultiRead(_)
        | Request::CheckWatches { .. }
        | Request::RemoveWatches { .. }
        | Request::Auth { .. }
        | Request::SetWatches(_)
        | Request::Sasl { .. }
        | Request::GetEphemerals { .. }
        | Request::GetAllChildrenNumber { .. }
        | Request::AddWatch { .. }
        | Request::WhoAmI
        | _ => Err(ErrorCode::UNIMPLEMENTED),
    };
    op.map(TxnKind::One)
}

/// Checks that a node of [`Tree::reapable`] may still go: the server's own deletion, which needs no
/// rights (`OpCode.deleteContainer`).
///
/// # Errors
/// [`ErrorCode::NO_NODE`], [`ErrorCode::NOT_EMPTY`], [`ErrorCode::BAD_ARGUMENTS`] for the nodes that
/// a server cannot be without, [`ErrorCode::BAD_VERSION`] for an ephemeral node.
pub fn prepare_reap(tree: &Tree, path: &Arc<str>) -> Result<TxnKind, ErrorCode> {
    if crate::path::is_special(path) {
        return Err(ErrorCode::BAD_ARGUMENTS);
    }
    let node = tree.node(path).ok_or(ErrorCode::NO_NODE)?;
    if !node.children.is_empty() {
        return Err(ErrorCode::NOT_EMPTY);
    }
    if node.owner.session().is_some() {
        return Err(ErrorCode::BAD_VERSION);
    }
    let path = Arc::clone(path);
    Ok(TxnKind::One(TxnOp::Delete { path }))
}

impl Write<'_> {
    /// Every operation sees those before it. The first that fails makes all fail.
    fn multi(&mut self, ops: &[MultiOp<'_>]) -> Result<TxnKind, ErrorCode> {
        self.in_multi = true;
        let mut done = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            if has_unknown_flags(op, 4) && !has_unknown_flags(op, 6) {
                // Before 3.9 this is where servers find that there is no time to live.
                return Err(ErrorCode::MARSHALLING_ERROR);
            }
            match self.op(op) {
                Ok(done_op) => {
                    self.pending.note(&done_op, says_ephemeral(op));
                    done.push(done_op);
                }
                Err(code) => {
                    let mut codes = vec![ErrorCode::OK; ops.len()];
                    codes[index] = code;
                    codes[index + 1..].fill(ErrorCode::RUNTIME_INCONSISTENCY);
                    return Ok(TxnKind::FailedMulti(codes));
                }
            }
        }
        Ok(TxnKind::Multi(done))
    }

    fn op(&self, op: &MultiOp<'_>) -> Result<TxnOp, ErrorCode> {
        match op {
            MultiOp::Create {
                path,
                data,
                acl,
                mode,
                with_stat,
            } => self.create(&Create {
                path,
                data: data.as_deref(),
                acl,
                mode: *mode,
                with_stat: *with_stat,
            }),
            MultiOp::Delete { path, version } => self.delete(path, *version),
            MultiOp::SetData {
                path,
                data,
                version,
            } => self.set_data(path, data.as_deref(), *version),
            MultiOp::Check { path, version } => self.check(path, *version),
        }
    }
}

/// Whether the flags are those of an ephemeral node, whatever the operation makes of them: within the
/// multi, servers go by the flags alone when they look for the parent of a node.
fn says_ephemeral(op: &MultiOp<'_>) -> bool {
    matches!(op, MultiOp::Create { mode, .. } if matches!(mode.flags(), 1 | 3))
}

/// Whether the flags are above `most`, or negative. Those of the operation for nodes with a time to
/// live are looked at in its turn.
fn has_unknown_flags(op: &MultiOp<'_>, most: i32) -> bool {
    matches!(op, MultiOp::Create { mode, with_stat, .. }
        if mode.opcode(*with_stat) != OpCode::CREATE_TTL && !(0..=most).contains(&mode.flags()))
}

#[cfg(test)]
mod tests;
