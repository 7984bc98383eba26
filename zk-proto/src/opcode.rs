//! The numbers of the operations.

use std::fmt;

/// Makes the constants of an open newtype and its `name` from one table.
macro_rules! named_constants {
    ($type:ident { $($(#[$doc:meta])* $constant:ident = $value:literal, $name:literal;)+ }) => {
        impl $type {
            $($(#[$doc])* pub const $constant: Self = Self($value);)+

            /// The name of this value, if it is one of the constants.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use named_constants;

/// The number of an operation. Numbers unknown to this crate survive.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OpCode(pub i32);

named_constants! { OpCode {
    /// Never valid in a request.
    NOTIFICATION = 0, "notification";
    /// Creates a node.
    CREATE = 1, "create";
    /// Deletes a node.
    DELETE = 2, "delete";
    /// Reads the `Stat` of a node that may be missing.
    EXISTS = 3, "exists";
    /// Reads the data of a node.
    GET_DATA = 4, "getData";
    /// Replaces the data of a node.
    SET_DATA = 5, "setData";
    /// Reads the access control list of a node.
    GET_ACL = 6, "getACL";
    /// Replaces the access control list of a node.
    SET_ACL = 7, "setACL";
    /// Lists the children of a node.
    GET_CHILDREN = 8, "getChildren";
    /// Makes the server catch up with the leader.
    SYNC = 9, "sync";
    /// Keeps the session alive.
    PING = 11, "ping";
    /// Lists the children of a node and reads its `Stat`. Since ZooKeeper 3.3.
    GET_CHILDREN2 = 12, "getChildren2";
    /// Checks the version of a node, within a multi. Since ZooKeeper 3.4.
    CHECK = 13, "check";
    /// Applies several writes as one. Since ZooKeeper 3.4.
    MULTI = 14, "multi";
    /// Creates a node and reads its `Stat`. Since ZooKeeper 3.5.
    CREATE2 = 15, "create2";
    /// Changes the members of the ensemble. Since ZooKeeper 3.5.
    RECONFIG = 16, "reconfig";
    /// Asks whether a watch is registered. Since ZooKeeper 3.5.
    CHECK_WATCHES = 17, "checkWatches";
    /// Removes watches. Since ZooKeeper 3.5.
    REMOVE_WATCHES = 18, "removeWatches";
    /// Creates a container. Since ZooKeeper 3.5.1.
    CREATE_CONTAINER = 19, "createContainer";
    /// Reaps a container. Internal to servers.
    DELETE_CONTAINER = 20, "deleteContainer";
    /// Creates a node with a time to live. Since ZooKeeper 3.5.3.
    CREATE_TTL = 21, "createTTL";
    /// Does several reads at once. Since ZooKeeper 3.6.
    MULTI_READ = 22, "multiRead";
    /// Presents a credential.
    AUTH = 100, "auth";
    /// Registers watches again after a reconnect.
    SET_WATCHES = 101, "setWatches";
    /// One step of a SASL exchange. Since ZooKeeper 3.4.
    SASL = 102, "sasl";
    /// Lists the ephemeral nodes of the session. Since ZooKeeper 3.6.
    GET_EPHEMERALS = 103, "getEphemerals";
    /// Counts the descendants of a node. Since ZooKeeper 3.6.
    GET_ALL_CHILDREN_NUMBER = 104, "getAllChildrenNumber";
    /// Registers watches again after a reconnect, persistent ones too. Since ZooKeeper 3.6.
    SET_WATCHES2 = 105, "setWatches2";
    /// Adds a persistent watch. Since ZooKeeper 3.6.
    ADD_WATCH = 106, "addWatch";
    /// Lists the identities of the connection. Since ZooKeeper 3.7.
    WHO_AM_I = 107, "whoAmI";
    /// Opens a session. Internal to servers.
    CREATE_SESSION = -10, "createSession";
    /// Ends the session.
    CLOSE_SESSION = -11, "closeSession";
    /// A failed operation, among the results of a multi.
    ERROR = -1, "error";
} }

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "opcode {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_the_name_or_the_number() {
        assert_eq!(
            OpCode::GET_ALL_CHILDREN_NUMBER.to_string(),
            "getAllChildrenNumber"
        );
        assert_eq!(OpCode(9999).to_string(), "opcode 9999");
        assert_eq!(OpCode(-11), OpCode::CLOSE_SESSION);
    }
}
