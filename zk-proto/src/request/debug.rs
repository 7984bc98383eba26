//! `Debug` by hand, because data, credentials and tokens do not belong in logs.

use std::fmt;

use super::Request;
use crate::data::Length;

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create {
                path,
                data,
                acl,
                mode,
                with_stat,
            } => f
                .debug_struct("Create")
                .field("path", path)
                .field("data", &Length(data.as_deref()))
                .field("acl", acl)
                .field("mode", mode)
                .field("with_stat", with_stat)
                .finish(),
            Self::SetData {
                path,
                data,
                version,
            } => f
                .debug_struct("SetData")
                .field("path", path)
                .field("data", &Length(data.as_deref()))
                .field("version", version)
                .finish(),
            Self::Auth { scheme, data } => f
                .debug_struct("Auth")
                .field("scheme", scheme)
                .field("data", &Length(data.as_deref()))
                .finish(),
            Self::Sasl { token } => f
                .debug_struct("Sasl")
                .field("token", &Length(token.as_deref()))
                .finish(),
            Self::Delete { path, version } => f
                .debug_struct("Delete")
                .field("path", path)
                .field("version", version)
                .finish(),
            Self::Exists { path, watch } => f
                .debug_struct("Exists")
                .field("path", path)
                .field("watch", watch)
                .finish(),
            Self::GetData { path, watch } => f
                .debug_struct("GetData")
                .field("path", path)
                .field("watch", watch)
                .finish(),
            Self::GetAcl { path } => f.debug_struct("GetAcl").field("path", path).finish(),
            Self::SetAcl { path, acl, version } => f
                .debug_struct("SetAcl")
                .field("path", path)
                .field("acl", acl)
                .field("version", version)
                .finish(),
            Self::GetChildren {
                path,
                watch,
                with_stat,
            } => f
                .debug_struct("GetChildren")
                .field("path", path)
                .field("watch", watch)
                .field("with_stat", with_stat)
                .finish(),
            Self::Sync { path } => f.debug_struct("Sync").field("path", path).finish(),
            Self::Ping => f.write_str("Ping"),
            Self::Check { path, version } => f
                .debug_struct("Check")
                .field("path", path)
                .field("version", version)
                .finish(),
            Self::Multi(ops) => f.debug_tuple("Multi").field(ops).finish(),
            Self::MultiRead(ops) => f.debug_tuple("MultiRead").field(ops).finish(),
            Self::Reconfig {
                joining,
                leaving,
                new_members,
                from_config,
            } => f
                .debug_struct("Reconfig")
                .field("joining", joining)
                .field("leaving", leaving)
                .field("new_members", new_members)
                .field("from_config", from_config)
                .finish(),
            Self::CheckWatches { path, kind } => f
                .debug_struct("CheckWatches")
                .field("path", path)
                .field("kind", kind)
                .finish(),
            Self::RemoveWatches { path, kind } => f
                .debug_struct("RemoveWatches")
                .field("path", path)
                .field("kind", kind)
                .finish(),
            Self::SetWatches(watches) => f.debug_tuple("SetWatches").field(watches).finish(),
            Self::GetEphemerals { prefix } => f
                .debug_struct("GetEphemerals")
                .field("prefix", prefix)
                .finish(),
            Self::GetAllChildrenNumber { path } => f
                .debug_struct("GetAllChildrenNumber")
                .field("path", path)
                .finish(),
            Self::AddWatch { path, mode } => f
                .debug_struct("AddWatch")
                .field("path", path)
                .field("mode", mode)
                .finish(),
            Self::WhoAmI => f.write_str("WhoAmI"),
            Self::CloseSession => f.write_str("CloseSession"),
            Self::Raw(raw) => raw.fmt(f),
        }
    }
}
