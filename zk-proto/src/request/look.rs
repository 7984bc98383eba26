//! What a request is, to whoever decides about it.

use super::Request;

impl Request<'_> {
    /// Whether it changes the tree: after the loss of a connection it is unknown whether it did.
    pub fn is_write(&self) -> bool {
        if let Self::Raw(raw) = self {
            return raw.is_write();
        }
        matches!(
            self,
            Self::Create { .. }
                | Self::Delete { .. }
                | Self::SetData { .. }
                | Self::SetAcl { .. }
                | Self::Multi(_)
                | Self::Reconfig { .. }
        )
    }

    /// Whether it needs a quorum: the writes, sync and check. A read-only server refuses it.
    pub fn is_quorum(&self) -> bool {
        if let Self::Raw(raw) = self {
            return raw.is_quorum();
        }
        self.is_write() || matches!(self, Self::Sync { .. } | Self::Check { .. })
    }

    /// The node that it is about, if it is about one; the prefix of
    /// [`GetEphemerals`](Self::GetEphemerals).
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path, .. }
            | Self::Exists { path, .. }
            | Self::GetData { path, .. }
            | Self::SetData { path, .. }
            | Self::GetAcl { path }
            | Self::SetAcl { path, .. }
            | Self::GetChildren { path, .. }
            | Self::Sync { path }
            | Self::Check { path, .. }
            | Self::CheckWatches { path, .. }
            | Self::RemoveWatches { path, .. }
            | Self::GetAllChildrenNumber { path }
            | Self::AddWatch { path, .. }
            | Self::GetEphemerals { prefix: path } => Some(path),
            Self::Raw(raw) => raw.path(),
            Self::Ping
            | Self::Multi(_)
            | Self::MultiRead(_)
            | Self::Reconfig { .. }
            | Self::Auth { .. }
            | Self::SetWatches(_)
            | Self::Sasl { .. }
            | Self::WhoAmI
            | Self::CloseSession => None,
        }
    }
}
