//! Reads, answered from the tree of the server that the client is connected to.

use zk_proto::{
    Acl, ErrorCode, OpCode, Perms, ReadOp, Request, put_buffer, put_int, put_len, put_text,
};

use crate::{
    Caller, Release, Settings, Tree, Znode,
    access::masked,
    applied::{put_end, put_error_item, put_item_head},
};

/// Answers a read: exists, getData, getACL, getChildren, getChildren2, multiRead, getEphemerals or
/// getAllChildrenNumber. The body of the reply is appended to `out`, straight from the tree.
///
/// Of exists on a node that is missing the code is [`ErrorCode::NO_NODE`], and the watch is
/// registered nevertheless; every other error registers none.
///
/// # Errors
/// The code for the reply; nothing is appended. [`ErrorCode::UNIMPLEMENTED`] for a request that is
/// not one of these.
pub fn read(
    tree: &Tree,
    caller: &Caller<'_>,
    request: &Request<'_>,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    match request {
        // Of all reads this one alone looks at what it is given.
        Request::Exists { path, .. } if path.contains('\0') => {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        Request::Exists { path, .. } => {
            let node = tree.node(path).ok_or(ErrorCode::NO_NODE)?;
            if settings.release >= Release::V3_9 {
                caller.check(node.acl(), Perms::READ)?;
            }
            node.stat().encode(out);
        }
        Request::GetData { path, .. } => put_data(readable(tree, caller, path)?, out),
        Request::GetAcl { path } => {
            let node = tree.node(path).ok_or(ErrorCode::NO_NODE)?;
            caller.check(node.acl(), Perms::READ | Perms::ADMIN)?;
            put_acl(node, caller.may(node.acl(), Perms::ADMIN), out);
        }
        Request::GetChildren {
            path, with_stat, ..
        } => {
            let node = readable(tree, caller, path)?;
            put_children(node, out);
            if *with_stat {
                node.stat().encode(out);
            }
        }
        Request::MultiRead(ops) => {
            for op in ops.iter() {
                put_read(tree, caller, op, out);
            }
            put_end(out);
        }
        Request::GetEphemerals { prefix } => put_ephemerals(tree, caller, prefix, out),
        Request::GetAllChildrenNumber { path } => {
            readable(tree, caller, path)?;
            put_len(out, tree.descendants(path));
        }
        Request::Create { .. }
        | Request::Delete { .. }
        | Request::SetData { .. }
        | Request::SetAcl { .. }
        | Request::Sync { .. }
        | Request::Ping
        | Request::Check { .. }
        | Request::Multi(_)
        | Request::Reconfig { .. }
        | Request::CheckWatches { .. }
        | Request::RemoveWatches { .. }
        | Request::Auth { .. }
        | Request::SetWatches(_)
        | Request::Sasl { .. }
        | Request::AddWatch { .. }
        | Request::WhoAmI
        | Request::CloseSession
        | _ => return Err(ErrorCode::UNIMPLEMENTED),
    }
    Ok(())
}

/// Whether several reads at once show more than `room` bytes.
pub(crate) fn exceeds(tree: &Tree, ops: &[ReadOp<'_>], room: usize) -> bool {
    let mut left = room;
    let mut take = |bytes| {
        let rest = left.checked_sub(bytes);
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    !ops.iter().all(|op| match (op, tree.node(op.path())) {
        (_, None) => true,
        (ReadOp::GetData { .. }, Some(node)) => take(node.data().map_or(0, <[u8]>::len)),
        (ReadOp::GetChildren { .. }, Some(node)) => node.children().all(|name| take(name.len())),
    })
}

fn readable<'t>(tree: &'t Tree, caller: &Caller<'_>, path: &str) -> Result<&'t Znode, ErrorCode> {
    let node = tree.node(path).ok_or(ErrorCode::NO_NODE)?;
    caller.check(node.acl(), Perms::READ)?;
    Ok(node)
}

/// One read of several, which fails on its own.
fn put_read(tree: &Tree, caller: &Caller<'_>, op: &ReadOp<'_>, out: &mut Vec<u8>) {
    let node = match readable(tree, caller, op.path()) {
        Ok(node) => node,
        Err(code) => return put_error_item(out, code),
    };
    match op {
        ReadOp::GetData { .. } => {
            put_item_head(out, OpCode::GET_DATA, ErrorCode::OK);
            put_data(node, out);
        }
        ReadOp::GetChildren { .. } => {
            put_item_head(out, OpCode::GET_CHILDREN, ErrorCode::OK);
            put_children(node, out);
        }
    }
}

fn put_data(node: &Znode, out: &mut Vec<u8>) {
    put_buffer(out, node.data());
    node.stat().encode(out);
}

fn put_children(node: &Znode, out: &mut Vec<u8>) {
    let children = node.children();
    put_len(out, children.len());
    for name in children {
        put_text(out, name);
    }
}

/// Hashes of passwords are for those who may replace the list.
fn put_acl(node: &Znode, is_admin: bool, out: &mut Vec<u8>) {
    put_len(out, node.acl().len());
    for entry in node.acl().iter() {
        match masked(&entry.id).filter(|_| !is_admin) {
            Some(user) => {
                let Acl { perms, id } = entry;
                put_int(out, perms.0);
                put_text(out, &id.scheme);
                put_len(out, user.len() + ":x".len());
                out.extend_from_slice(user.as_bytes());
                out.extend_from_slice(b":x");
            }
            None => entry.encode(out),
        }
    }
    node.stat().encode(out);
}

/// Of the caller's session. The root and blank text are the prefix of all; otherwise it is text, not
/// a node.
fn put_ephemerals(tree: &Tree, caller: &Caller<'_>, prefix: &str, out: &mut Vec<u8>) {
    let prefix = match prefix.trim() {
        "" | "/" => "",
        _ => prefix,
    };
    let paths = || {
        tree.ephemerals(caller.session)
            .filter(|path| path.starts_with(prefix))
    };
    put_len(out, paths().count());
    for path in paths() {
        put_text(out, path);
    }
}

#[cfg(test)]
mod tests;
