//! The error codes of replies.

use std::fmt;

use crate::opcode::named_constants;

/// The error code of a reply. Codes unknown to this crate survive.
///
/// The constants are those of `KeeperException.Code` of the Java client.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ErrorCode(pub i32);

named_constants! { ErrorCode {
    /// Success; among the results of a failed multi, an operation that was rolled back.
    OK = 0, "Ok";
    /// Marks the range of system errors; never sent.
    SYSTEM_ERROR = -1, "SystemError";
    /// Not executed because another operation of the same multi failed.
    RUNTIME_INCONSISTENCY = -2, "RuntimeInconsistency";
    /// Reserved.
    DATA_INCONSISTENCY = -3, "DataInconsistency";
    /// The connection was lost: whether a write was executed is unknown. Made by clients.
    CONNECTION_LOSS = -4, "ConnectionLoss";
    /// The server could not read the request.
    MARSHALLING_ERROR = -5, "MarshallingError";
    /// The server does not know the operation, or the feature is off.
    UNIMPLEMENTED = -6, "Unimplemented";
    /// Reserved.
    OPERATION_TIMEOUT = -7, "OperationTimeout";
    /// A path, flag, time to live or member specification is not valid.
    BAD_ARGUMENTS = -8, "BadArguments";
    /// The C client is in a state that does not allow the call; never sent.
    INVALID_STATE = -9, "InvalidState";
    /// The session is unknown. Internal to servers.
    UNKNOWN_SESSION = -12, "UnknownSession";
    /// Too few members of the new configuration are up to date.
    NEW_CONFIG_NO_QUORUM = -13, "NewConfigNoQuorum";
    /// Another reconfiguration is under way.
    RECONFIG_IN_PROGRESS = -14, "ReconfigInProgress";
    /// TLS failed in the C client; never sent.
    SSL_CONNECTION_ERROR = -15, "SslConnectionError";
    /// Marks the range of API errors; never sent.
    API_ERROR = -100, "ApiError";
    /// The node does not exist.
    NO_NODE = -101, "NoNode";
    /// The access control list does not allow it.
    NO_AUTH = -102, "NoAuth";
    /// The version is not the one expected.
    BAD_VERSION = -103, "BadVersion";
    /// Ephemeral nodes have no children.
    NO_CHILDREN_FOR_EPHEMERALS = -108, "NoChildrenForEphemerals";
    /// The node exists already.
    NODE_EXISTS = -110, "NodeExists";
    /// The node has children.
    NOT_EMPTY = -111, "NotEmpty";
    /// The session is gone.
    SESSION_EXPIRED = -112, "SessionExpired";
    /// Reserved.
    INVALID_CALLBACK = -113, "InvalidCallback";
    /// The access control list is empty or has an entry that the server does not accept.
    INVALID_ACL = -114, "InvalidACL";
    /// A credential was rejected.
    AUTH_FAILED = -115, "AuthFailed";
    /// The C client is closing; never sent.
    CLOSING = -116, "Closing";
    /// The C client has nothing to do; never sent.
    NOTHING = -117, "Nothing";
    /// The session lives on another server now.
    SESSION_MOVED = -118, "SessionMoved";
    /// The server is read-only; the request was not executed.
    NOT_READ_ONLY = -119, "NotReadOnly";
    /// A local session cannot own ephemeral nodes.
    EPHEMERAL_ON_LOCAL_SESSION = -120, "EphemeralOnLocalSession";
    /// No such watch is registered.
    NO_WATCHER = -121, "NoWatcher";
    /// The request took too long: whether it was executed is unknown. Made by clients.
    REQUEST_TIMEOUT = -122, "RequestTimeout";
    /// Reconfiguration is switched off.
    RECONFIG_DISABLED = -123, "ReconfigDisabled";
    /// The server wants an authenticated connection, by SASL or otherwise.
    SESSION_CLOSED_REQUIRE_SASL_AUTH = -124, "SessionClosedRequireSaslAuth";
    /// A hard quota would be exceeded.
    QUOTA_EXCEEDED = -125, "QuotaExceeded";
    /// The server is overloaded; the request was not executed.
    THROTTLED_OP = -127, "ThrottledOp";
} }

impl ErrorCode {
    /// Whether this is [`OK`](Self::OK).
    #[inline]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name().unwrap_or("unknown error"), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_has_the_name_and_the_number() {
        assert_eq!(ErrorCode::NO_NODE.to_string(), "NoNode (-101)");
        assert_eq!(ErrorCode(-999).to_string(), "unknown error (-999)");
        assert!(ErrorCode::OK.is_ok() && !ErrorCode::NO_NODE.is_ok());
    }
}
