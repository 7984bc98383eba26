//! [`Error`]: why an operation has no result, made to be matched on.

use zk_proto::{
    AclError, DecodeError, ErrorCode, HostsError, ModeError, OpCode, PathError, ServerAddr,
};
use zk_session::{
    AuthFailure, ConfigError, LinkError, Outcome, Refused, RequestError, StateReason,
};

use crate::{Doubt, RecipeError, StartError, TransactionError};

/// Why an operation has no result.
///
/// What users branch on has a variant of its own; any other code of a server is
/// [`Server`](Self::Server). [`outcome`](Self::outcome) says what became of the operation:
/// *not applied*, *applied*, or *unknown*. Nothing is ever retried behind the caller's back.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // What servers answer. ---------------------------------------------------------------------
    /// The znode, or the parent of the one to create, does not exist.
    #[error("no such node: create its parents first, or use make_path")]
    NoNode,
    /// The znode to create exists already.
    #[error("the node exists already")]
    NodeExists,
    /// The znode's version is another than the one given: somebody changed it. Read it again.
    #[error("the node's version differs from the one given: read it again")]
    BadVersion,
    /// The znode to delete has children.
    #[error("the node has children: delete them first, or delete recursively")]
    NotEmpty,
    /// An access control list forbids it.
    #[error("not permitted by the node's access control list: add_auth first")]
    NoAuth,
    /// Ephemeral znodes cannot have children.
    #[error("ephemeral nodes cannot have children")]
    NoChildrenForEphemerals,
    /// The server does not take this access control list.
    #[error("the server does not take this access control list")]
    InvalidAcl,
    /// The server finds an argument malformed, a path or a host list for example.
    #[error("the server finds an argument malformed")]
    BadArguments,
    /// The server is read-only, and this is a write.
    #[error("the server has lost its quorum and takes no writes: try again later")]
    NotReadOnly,
    /// No watch of that kind is registered on the path.
    #[error("no such watch is registered")]
    NoWatcher,
    /// The server does not know the operation, or it is switched off there.
    #[error("the server cannot do this operation")]
    Unimplemented,
    /// Dynamic reconfiguration is switched off on the servers.
    #[error("reconfiguration is disabled on the servers: see reconfigEnabled")]
    ReconfigDisabled,
    /// Another reconfiguration is under way.
    #[error("another reconfiguration is under way: try again later")]
    ReconfigInProgress,
    /// The proposed ensemble would be without a quorum of connected members.
    #[error("the new ensemble would have no quorum that is up to date")]
    NewConfigNoQuorum,
    /// The write would exceed a quota on the path.
    #[error("a quota would be exceeded")]
    QuotaExceeded,
    /// The server is overloaded and threw the request away.
    #[error("the server is overloaded and did not carry the request out: try again later")]
    Throttled,
    /// A local session cannot own ephemeral znodes.
    #[error("this session is local to its server and cannot own ephemeral nodes")]
    EphemeralOnLocalSession,
    /// Any other error code of a server.
    #[error("the server answered {0}")]
    Server(ErrorCode),

    // What happens on the way. -----------------------------------------------------------------
    /// The connection was lost before the answer.
    #[error("the connection was lost {}", sent_text(*.sent))]
    ConnectionLoss {
        /// Were bytes of the request handed to the transport? `false` proves that no server saw it.
        sent: bool,
    },
    /// Its deadline, or the limit of the wait, passed before the answer.
    #[error("timed out {}", sent_text(*.sent))]
    Timeout {
        /// As in [`ConnectionLoss`](Self::ConnectionLoss).
        sent: bool,
    },
    /// The session ended before the answer.
    #[error("the session ended {}", sent_text(*.sent))]
    SessionExpired {
        /// As in [`ConnectionLoss`](Self::ConnectionLoss).
        sent: bool,
    },
    /// The client was closed before the answer, or what was to bring it is gone.
    #[error("the client was closed {}", sent_text(*.sent))]
    Closed {
        /// As in [`ConnectionLoss`](Self::ConnectionLoss).
        sent: bool,
    },
    /// The servers rejected a credential: of the session as a whole, which has ended then, or the
    /// one given to `add_auth`, which changed nothing.
    #[error("the servers rejected a credential")]
    AuthFailed {
        /// As in [`ConnectionLoss`](Self::ConnectionLoss).
        sent: bool,
    },
    /// Carried out, but the reply is longer than the client takes.
    #[error(
        "the reply takes {length} bytes, the limit is {limit}: raise max_reply_bytes, or ask for less"
    )]
    ReplyTooLarge {
        /// The reply's length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Carried out, but the reply makes no sense.
    #[error("the reply cannot be decoded: {0}")]
    Undecodable(#[source] DecodeError),
    /// Carried out, but the reply is not the one that this operation has.
    #[error("the server's reply does not fit the operation")]
    UnexpectedReply,
    /// A one-shot watch ended without an event.
    #[error("the watch ended: {0:?}")]
    WatchEnded(StateReason),

    // What this side refuses. ------------------------------------------------------------------
    /// As many requests as allowed are waiting already. Only where the caller chose not to wait.
    #[error("{requests} requests of {bytes} bytes are waiting already: wait for some to complete")]
    Full {
        /// Requests queued or in flight.
        requests: usize,
        /// Their encoded size in bytes.
        bytes: usize,
    },
    /// The request is longer than servers take.
    #[error(
        "the request takes {size} bytes, the limit is {limit}: split the data, or raise jute.maxbuffer on the servers and max_request_bytes here"
    )]
    TooLarge {
        /// Its encoded size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not an operation that can be sent by itself.
    #[error("{0} cannot be sent as an operation of its own")]
    NotARequest(OpCode),
    /// Waiting here would stop the very thread that is to bring the result.
    #[error(
        "waiting here would block the thread or runtime that brings the result: use .await, or a thread of its own"
    )]
    WouldDeadlock,
    /// This process is a fork of the one that made the client; the threads stayed behind.
    #[error("the client was made before a fork: make a new one in the child process")]
    Forked,
    /// The result was taken before.
    #[error("the result has been taken already")]
    Taken,
    /// The path is malformed.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The list of hosts is malformed.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The access control list is malformed.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// The kind of znode to create does not exist, or its time to live is out of bounds.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// The options do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client's root path cannot be changed while it runs.
    #[error("the hosts name another chroot than the client has: make a new client")]
    ChrootChanged,
    /// The handler cannot drive the client.
    #[error(transparent)]
    Start(#[from] StartError),

    // What whole procedures end in. ------------------------------------------------------------
    /// No usable session within the limit.
    #[error("not connected in time{}", last_text(.last.as_ref()))]
    ConnectTimeout {
        /// The last server tried, and what went wrong there.
        last: Option<(ServerAddr, LinkError)>,
    },
    /// The client could not sign in, and has ended: a server refused its credentials, or the SASL
    /// mechanism failed. From [`Connect`](crate::Connect) only; a client that was started says it by
    /// [`auth_failure`](crate::Client::auth_failure).
    #[error("cannot sign in: {0}")]
    SignIn(AuthFailure),
    /// The client gave up connecting: its reconnect policy allows no more attempts.
    #[error("gave up connecting{}", last_text(.last.as_ref()))]
    RetriesExhausted {
        /// The last server tried, and what went wrong there.
        last: Option<(ServerAddr, LinkError)>,
    },
    /// Closed on this side, but no server confirmed it in time: ephemeral znodes may live on until
    /// the session timeout.
    #[error("no server confirmed the close: ephemeral nodes may live on until the session timeout")]
    CloseUnconfirmed,
    /// A four-letter word was not answered.
    #[error("the four-letter word was not answered: {0}")]
    Command(#[source] LinkError),
    /// A four-letter word is switched off on the server.
    #[error(
        "the server does not answer {0}: name it in the server's 4lw.commands.whitelist (system property zookeeper.4lw.commands.whitelist)"
    )]
    NotWhitelisted(String),
    /// Not a word of four letters.
    #[error("{0:?} is not a word of four ASCII letters")]
    NotAWord(String),
    /// The server does not say which version it is.
    #[error("the server's answer does not say its version: {0:?}")]
    NoVersion(String),
    /// One operation of a transaction failed, and so nothing of it was done.
    #[error(transparent)]
    Transaction(Box<TransactionError>),
    /// An operation of another client than the transaction's, or one that takes several requests.
    #[error("this operation cannot be part of the transaction: {0}")]
    NotInTransaction(&'static str),
    /// It may have been carried out or not, and cannot be repeated without knowing.
    #[error("cannot tell whether it was carried out ({last}): {why}")]
    Unknown {
        /// What keeps it from being repeated.
        why: Doubt,
        /// What the answer was lost to.
        #[source]
        last: Box<Self>,
    },
    /// Carried out, as is known by now, but its result was lost with the connection.
    #[error("it was carried out, but its result was lost with the connection: read it again")]
    ResultLost,
    /// It was tried as often, or as long, as its policy allows.
    #[error("failed {attempts} times, the last time because {last}")]
    RetryFailed {
        /// The attempts that were made.
        attempts: u32,
        /// What became of all attempts together.
        outcome: Outcome,
        /// Why the last one failed.
        #[source]
        last: Box<Self>,
    },
    /// What [`Client::retry_with`](crate::Client::retry_with) calls asks to be called again (kazoo:
    /// `ForceRetryError`).
    #[error("another attempt was asked for")]
    TryAgain,
    /// What a guard stood for is no longer held.
    #[error("no longer held")]
    NotHeld,
    /// Waiting was given up by the recipe's `cancel` (kazoo: `CancelledError`).
    #[error("cancelled")]
    Cancelled,
    /// What a recipe refuses, or finds on the servers and cannot work with.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

fn sent_text(sent: bool) -> &'static str {
    if sent {
        "after the request was sent"
    } else {
        "before the request was sent"
    }
}

fn last_text(last: Option<&(ServerAddr, LinkError)>) -> String {
    match last {
        Some((server, error)) => format!(": {server}: {error}"),
        None => ": no server was reached".to_owned(),
    }
}

/// Gives the table of codes that have a variant of their own, in both directions.
macro_rules! codes {
    ($($variant:ident <=> $code:ident,)*) => {
        impl From<ErrorCode> for Error {
            fn from(code: ErrorCode) -> Self {
                match code {
                    $(ErrorCode::$code => Self::$variant,)*
                    // A refused `add_auth` changed nothing.
                    ErrorCode::AUTH_FAILED => Self::AuthFailed { sent: false },
                    other => Self::Server(other),
                }
            }
        }

        impl Error {
            /// The code a server answered with, if this error is such an answer.
            pub fn code(&self) -> Option<ErrorCode> {
                match self {
                    $(Self::$variant => Some(ErrorCode::$code),)*
                    Self::AuthFailed { .. } => Some(ErrorCode::AUTH_FAILED),
                    Self::Server(code) => Some(*code),
                    Self::Transaction(error) => error.cause().code(),
                    _ => None,
                }
            }
        }
    };
}

codes! {
    NoNode <=> NO_NODE,
    NodeExists <=> NODE_EXISTS,
    BadVersion <=> BAD_VERSION,
    NotEmpty <=> NOT_EMPTY,
    NoAuth <=> NO_AUTH,
    NoChildrenForEphemerals <=> NO_CHILDREN_FOR_EPHEMERALS,
    InvalidAcl <=> INVALID_ACL,
    BadArguments <=> BAD_ARGUMENTS,
    NotReadOnly <=> NOT_READ_ONLY,
    NoWatcher <=> NO_WATCHER,
    Unimplemented <=> UNIMPLEMENTED,
    ReconfigDisabled <=> RECONFIG_DISABLED,
    ReconfigInProgress <=> RECONFIG_IN_PROGRESS,
    NewConfigNoQuorum <=> NEW_CONFIG_NO_QUORUM,
    QuotaExceeded <=> QUOTA_EXCEEDED,
    Throttled <=> THROTTLED_OP,
    EphemeralOnLocalSession <=> EPHEMERAL_ON_LOCAL_SESSION,
}

impl Error {
    /// What became of the operation. For reads, [`Outcome::Unknown`] means "no answer". `None`
    /// where the question makes no sense: for watches, for connecting and closing, and for a
    /// result that was taken before.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::ConnectionLoss { sent }
            | Self::Timeout { sent }
            | Self::SessionExpired { sent }
            | Self::Closed { sent }
            | Self::AuthFailed { sent } => Some(if *sent {
                Outcome::Unknown
            } else {
                Outcome::NotApplied
            }),
            Self::ReplyTooLarge { .. }
            | Self::Undecodable(_)
            | Self::UnexpectedReply
            | Self::ResultLost => Some(Outcome::Applied),
            Self::RetryFailed { outcome, .. } => Some(*outcome),
            // Given before sending, or after: in both cases the answer is not known here.
            Self::WouldDeadlock | Self::Forked | Self::Unknown { .. } => Some(Outcome::Unknown),
            Self::WatchEnded(_)
            | Self::Taken
            | Self::Start(_)
            | Self::ConnectTimeout { .. }
            | Self::SignIn(_)
            | Self::RetriesExhausted { .. }
            | Self::CloseUnconfirmed
            | Self::Command(_)
            | Self::NotWhitelisted(_)
            | Self::NoVersion(_)
            | Self::TryAgain => None,
            // An error reply.
            Self::NoNode
            | Self::NodeExists
            | Self::BadVersion
            | Self::NotEmpty
            | Self::NoAuth
            | Self::NoChildrenForEphemerals
            | Self::InvalidAcl
            | Self::BadArguments
            | Self::NotReadOnly
            | Self::NoWatcher
            | Self::Unimplemented
            | Self::ReconfigDisabled
            | Self::ReconfigInProgress
            | Self::NewConfigNoQuorum
            | Self::QuotaExceeded
            | Self::Throttled
            | Self::EphemeralOnLocalSession
            | Self::Transaction(_)
            | Self::Server(_) => Some(Outcome::NotApplied),
            // Refused on this side.
            Self::Full { .. }
            | Self::TooLarge { .. }
            | Self::NotARequest(_)
            | Self::Path(_)
            | Self::Hosts(_)
            | Self::Acl(_)
            | Self::Mode(_)
            | Self::Config(_)
            | Self::ChrootChanged
            | Self::NotAWord(_)
            | Self::NotInTransaction(_)
            | Self::NotHeld
            | Self::Cancelled
            | Self::Recipe(_) => Some(Outcome::NotApplied),
        }
    }

    /// May the same operation succeed when it is tried again in the same session? Whether it
    /// *should* be is another question: see [`outcome`](Self::outcome).
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::ConnectionLoss { .. }
                | Self::Throttled
                | Self::NotReadOnly
                | Self::Full { .. }
                | Self::TryAgain
                | Self::Server(ErrorCode::CONNECTION_LOSS)
        )
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Server(code) => code.into(),
            RequestError::ConnectionLoss { sent } => Self::ConnectionLoss { sent },
            RequestError::TimedOut { sent } => Self::Timeout { sent },
            RequestError::SessionExpired { sent } => Self::SessionExpired { sent },
            RequestError::Closed { sent } => Self::Closed { sent },
            RequestError::AuthFailed { sent } => Self::AuthFailed { sent },
            RequestError::ReplyTooLarge { length, limit } => Self::ReplyTooLarge { length, limit },
            RequestError::Undecodable(error) => Self::Undecodable(error),
            // A newer session's error: the worst is assumed of it.
            _ => Self::ConnectionLoss { sent: true },
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full { requests, bytes } => Self::Full { requests, bytes },
            Refused::TooLarge { size, limit } => Self::TooLarge { size, limit },
            Refused::AuthFailed => Self::AuthFailed { sent: false },
            Refused::NotARequest(opcode) => Self::NotARequest(opcode),
            Refused::Closed | _ => Self::Closed { sent: false },
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn codes_and_variants_agree() {
        for code in (-130..=-1).map(ErrorCode) {
            assert_eq!(Error::from(code).code(), Some(code));
        }
    }

    #[test]
    fn outcomes_follow_what_was_sent() {
        assert_eq!(Error::NoNode.outcome(), Some(Outcome::NotApplied));
        assert_eq!(
            Error::Timeout { sent: false }.outcome(),
            Some(Outcome::NotApplied)
        );
        assert_eq!(
            Error::Timeout { sent: true }.outcome(),
            Some(Outcome::Unknown)
        );
        assert_eq!(Error::UnexpectedReply.outcome(), Some(Outcome::Applied));
        assert_eq!(Error::Taken.outcome(), None);
    }

    #[test]
    fn an_error_stays_small_enough_to_be_moved_about() {
        assert!(size_of::<Error>() <= 72, "{}", size_of::<Error>());
    }
}
