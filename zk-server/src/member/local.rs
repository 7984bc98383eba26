//! What a member answers by itself: reads, pings, watches, identities.

use zk_proto::{
    ErrorCode, EventType, KeeperState, ReplyHeader, Request, RequestHeader, SetWatches,
    WatcherEventRef, Xid, Zxid, frame, put_int, put_len, put_text,
};

use super::Shared;
use crate::{
    Caller, Standing,
    connection::{Client, Ending},
    read,
    watches::Kind,
};

impl Shared {
    /// Answers a request that is not for the leader.
    pub(super) fn answer(
        &mut self,
        client: &mut Client,
        header: RequestHeader,
        request: &Request<'_>,
    ) {
        let zxid = self.tree.last_zxid();
        let xid = header.xid;
        match request {
            Request::Exists { path, watch } => {
                let code = self.read(client, xid, request);
                if *watch && (code.is_ok() || code == ErrorCode::NO_NODE) {
                    self.watch(client, Kind::Data, path);
                }
            }
            Request::GetData { path, watch } => {
                if self.read(client, xid, request).is_ok() && *watch {
                    self.watch(client, Kind::Data, path);
                }
            }
            Request::GetChildren { path, watch, .. } => {
                if self.read(client, xid, request).is_ok() && *watch {
                    self.watch(client, Kind::Child, path);
                }
            }
            // Whatever its own number.
            Request::Ping => client.reply_code(Xid::PING, zxid, ErrorCode::OK),
            Request::SetWatches(watches) => {
                self.set_watches(client, watches);
                client.reply_code(xid, zxid, ErrorCode::OK);
            }
            Request::AddWatch { path, mode } => {
                let known = self.watches.add_lasting(*mode, path, client.id);
                client.reply(xid, zxid, |_, out| {
                    put_int(out, 0);
                    if known {
                        Ok(())
                    } else {
                        Err(ErrorCode::MARSHALLING_ERROR)
                    }
                });
                self.bound_watches(client);
            }
            Request::CheckWatches { path, kind } => {
                let found = self.watches.check(*kind, path, client.id);
                client.reply_code(xid, zxid, code_of(found));
            }
            Request::RemoveWatches { path, kind } => {
                let found = self.watches.remove(*kind, path, client.id);
                client.reply_code(xid, zxid, code_of(found));
            }
            Request::WhoAmI => {
                client.reply(xid, zxid, |ids, out| {
                    put_len(out, ids.len());
                    for id in ids {
                        put_text(out, &id.scheme);
                        put_text(out, user_of(&id.scheme, &id.id));
                    }
                    Ok(())
                });
            }
            // Only a session of this member alone ends without the leader.
            Request::CloseSession => {
                client.reply_code(xid, zxid, ErrorCode::OK);
                client.end(Ending::Flush);
            }
            #[cfg(zk_planted)]
            Request::Sync { path } if self.options.planted == Some(crate::Planted::LocalSync) => {
                client.reply(xid, zxid, |_, out| {
                    put_text(out, path);
                    Ok(())
                });
            }
            Request::Create { .. }
            | Request::Delete { .. }
            | Request::SetData { .. }
            | Request::SetAcl { .. }
            | Request::Sync { .. }
            | Request::Check { .. }
            | Request::Multi(_)
            | Request::Reconfig { .. } => {
                client.reply_code(xid, zxid, ErrorCode::NOT_READ_ONLY);
            }
            Request::MultiRead(ops) if read::exceeds(&self.tree, ops, self.options.output_cap) => {
                tracing::debug!(conn = %client.id, "closed: too much is read at once");
                client.end(Ending::Abort);
            }
            // Whatever else there is, `read` refuses.
            Request::GetAcl { .. }
            | Request::MultiRead(_)
            | Request::GetEphemerals { .. }
            | Request::GetAllChildrenNumber { .. }
            | Request::Auth { .. }
            | Request::Sasl { .. }
            | _ => {
                self.read(client, xid, request);
            }
        }
        self.sent += 1;
    }

    fn read(&self, client: &mut Client, xid: Xid, request: &Request<'_>) -> ErrorCode {
        let session = client.session().unwrap_or_default();
        let standing = if client.is_local() {
            Standing::Local
        } else {
            Standing::Global
        };
        let (tree, settings) = (&self.tree, &self.options.settings);
        client.reply(xid, tree.last_zxid(), |ids, out| {
            let caller = Caller {
                session,
                ids,
                standing,
            };
            read(tree, &caller, request, settings, out)
        })
    }

    fn watch(&mut self, client: &mut Client, kind: Kind, path: &str) {
        self.watches.add(kind, path, client.id);
        self.bound_watches(client);
    }

    fn bound_watches(&self, client: &mut Client) {
        if self.watches.bytes_of(client.id) > self.options.watch_bytes_cap {
            tracing::debug!(conn = %client.id, "closed: too many watches");
            client.end(Ending::Abort);
        }
    }

    /// Registers watches again, or says what happened meanwhile (`DataTree.setWatches` of the Java
    /// server). Neither access control lists nor the release matter here.
    fn set_watches(&mut self, client: &mut Client, watches: &SetWatches<'_>) {
        let since = watches.relative_zxid;
        #[cfg(zk_planted)]
        let since = if self.options.planted == Some(crate::Planted::NoCatchUp) {
            Zxid(i64::MAX)
        } else {
            since
        };
        for path in &watches.data {
            match self.tree.node(path).map(|node| node.stat().mzxid) {
                None => catch_up(client, EventType::NODE_DELETED, path),
                Some(zxid) if zxid > since => catch_up(client, EventType::NODE_DATA_CHANGED, path),
                Some(_) => self.watches.add(Kind::Data, path, client.id),
            }
        }
        for path in &watches.exist {
            match self.tree.node(path) {
                Some(_) => catch_up(client, EventType::NODE_CREATED, path),
                None => self.watches.add(Kind::Data, path, client.id),
            }
        }
        for path in &watches.child {
            match self.tree.node(path).map(|node| node.stat().pzxid) {
                None => catch_up(client, EventType::NODE_DELETED, path),
                Some(zxid) if zxid > since => {
                    catch_up(client, EventType::NODE_CHILDREN_CHANGED, path);
                }
                Some(_) => self.watches.add(Kind::Child, path, client.id),
            }
        }
        let lasting = [
            (zk_proto::AddWatchMode::PERSISTENT, &watches.persistent),
            (
                zk_proto::AddWatchMode::PERSISTENT_RECURSIVE,
                &watches.recursive,
            ),
        ];
        for (mode, paths) in lasting {
            for path in paths {
                self.watches.add_lasting(mode, path, client.id);
            }
        }
        self.bound_watches(client);
    }
}

/// An event of which nobody says which transaction it was.
fn catch_up(client: &mut Client, event: EventType, path: &str) {
    put_event(client.output.begin(), Zxid(-1), event, path);
}

/// Appends the frame of an event.
pub(super) fn put_event(out: &mut Vec<u8>, zxid: Zxid, event: EventType, path: &str) {
    frame(out, |out| {
        let header = ReplyHeader {
            xid: Xid::WATCH,
            zxid,
            err: ErrorCode::OK,
        };
        header.encode(out);
        let event = WatcherEventRef {
            kind: event,
            state: KeeperState::SYNC_CONNECTED,
            path: path.into(),
        };
        event.encode(out);
    });
}

fn code_of(found: Option<bool>) -> ErrorCode {
    match found {
        None => ErrorCode::MARSHALLING_ERROR,
        Some(false) => ErrorCode::NO_WATCHER,
        Some(true) => ErrorCode::OK,
    }
}

/// What is shown of an identity: no hash.
fn user_of<'a>(scheme: &str, id: &'a str) -> &'a str {
    match scheme {
        "digest" => id.split_once(':').map_or(id, |(user, _)| user),
        _ => id,
    }
}
