//! Watch events (ZooKeeper Programmer's Guide, ZooKeeper Watches).

use std::{borrow::Cow, fmt};

use crate::{DecodeError, Reader, opcode::named_constants, put_int, put_text};

/// What happened to a node (`Watcher.Event.EventType` of the Java client).
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct EventType(pub i32);

named_constants! { EventType {
    /// Nothing: the event is about the session.
    NONE = -1, "None";
    /// It was created.
    NODE_CREATED = 1, "NodeCreated";
    /// It was deleted.
    NODE_DELETED = 2, "NodeDeleted";
    /// Its data was written.
    NODE_DATA_CHANGED = 3, "NodeDataChanged";
    /// A child was created or deleted.
    NODE_CHILDREN_CHANGED = 4, "NodeChildrenChanged";
    /// A data watch was removed. Made by clients.
    DATA_WATCH_REMOVED = 5, "DataWatchRemoved";
    /// A child watch was removed. Made by clients.
    CHILD_WATCH_REMOVED = 6, "ChildWatchRemoved";
    /// A persistent watch was removed. Made by clients.
    PERSISTENT_WATCH_REMOVED = 7, "PersistentWatchRemoved";
} }

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "EventType({})", self.0),
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({})",
            self.name().unwrap_or("unknown event type"),
            self.0
        )
    }
}

/// The state of the session (`Watcher.Event.KeeperState` of the Java client). Servers always write
/// [`SYNC_CONNECTED`](Self::SYNC_CONNECTED).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct KeeperState(pub i32);

named_constants! { KeeperState {
    /// Not connected.
    DISCONNECTED = 0, "Disconnected";
    /// Connected.
    SYNC_CONNECTED = 3, "SyncConnected";
    /// A credential was rejected.
    AUTH_FAILED = 4, "AuthFailed";
    /// Connected to a read-only server.
    CONNECTED_READ_ONLY = 5, "ConnectedReadOnly";
    /// Authenticated by SASL.
    SASL_AUTHENTICATED = 6, "SaslAuthenticated";
    /// Closed by the client.
    CLOSED = 7, "Closed";
    /// Expired.
    EXPIRED = -112, "Expired";
} }

impl fmt::Display for KeeperState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name().unwrap_or("unknown state"), self.0)
    }
}

/// The body of a watch event.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct WatcherEvent {
    /// What happened.
    pub kind: EventType,
    /// The state of the session.
    pub state: KeeperState,
    /// The node, by its path on the server.
    pub path: String,
}

impl WatcherEvent {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Self {
            kind,
            state,
            ref path,
        } = *self;
        WatcherEventRef {
            kind,
            state,
            path: Cow::Borrowed(path),
        }
        .encode(out);
    }

    /// Reads it.
    ///
    /// # Errors
    /// Any [`DecodeError`] of [`Reader::text`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        WatcherEventRef::decode(reader).map(WatcherEventRef::into_owned)
    }
}

/// The body of a watch event, its path still in the frame.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct WatcherEventRef<'a> {
    /// What happened.
    pub kind: EventType,
    /// The state of the session.
    pub state: KeeperState,
    /// The node, by its path on the server.
    pub path: Cow<'a, str>,
}

impl<'a> WatcherEventRef<'a> {
    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.kind.0);
        put_int(out, self.state.0);
        put_text(out, &self.path);
    }

    /// Reads it.
    ///
    /// # Errors
    /// Any [`DecodeError`] of [`Reader::text`].
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: EventType(reader.int("event type")?),
            state: KeeperState(reader.int("event state")?),
            path: reader.text("event path")?,
        })
    }

    /// The event with memory of its own.
    pub fn into_owned(self) -> WatcherEvent {
        WatcherEvent {
            kind: self.kind,
            state: self.state,
            path: self.path.into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            EventType::NODE_DATA_CHANGED.to_string(),
            "NodeDataChanged (3)"
        );
        assert_eq!(EventType(99).to_string(), "unknown event type (99)");
        assert_eq!(KeeperState::SYNC_CONNECTED.to_string(), "SyncConnected (3)");
        assert_eq!(KeeperState(-1).to_string(), "unknown state (-1)");
    }
}
