//! What can go wrong, told apart by who must act: the caller ([`Refused`]), the operation
//! ([`RequestError`]), or the connection ([`LinkError`]).

use std::io;

use zk_proto::{DecodeError, ErrorCode, Xid, Zxid};

use crate::LayerError;

/// Why [`Session::submit`](crate::Session::submit) did not take a request. Nothing was queued and
/// nothing will be sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The bounds of [`ConfigBuilder::max_queued`](crate::ConfigBuilder::max_queued) are reached.
    #[error("{requests} requests of {bytes} bytes are waiting already: wait for some to complete")]
    Full {
        /// Requests queued or in flight.
        requests: usize,
        /// Their encoded size in bytes.
        bytes: usize,
    },
    /// Longer than servers take: they would drop the connection without a word.
    #[error(
        "the request takes {size} bytes, the limit is {limit}: split the data, or raise jute.maxbuffer on the servers and max_request_bytes here"
    )]
    TooLarge {
        /// The encoded size of the frame in bytes.
        size: usize,
        /// [`ConfigBuilder::max_request_bytes`](crate::ConfigBuilder::max_request_bytes).
        limit: usize,
    },
    /// The session is closed, being closed, or detached.
    #[error("the session is closed")]
    Closed,
    /// The servers rejected the credentials; the session has ended for good.
    #[error("the servers rejected the session's credentials")]
    AuthFailed,
    /// Only the session itself may send this (ping, setWatches, removeWatches, closeSession, SASL
    /// tokens), or
    /// real servers stall on it (`check` outside of a transaction).
    #[error("{0} cannot be submitted as a request of its own")]
    NotARequest(zk_proto::OpCode),
}

/// Why a submitted request has no result. [`outcome`](Self::outcome) says what became of it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The server answered with an error; nothing was changed.
    #[error("{0}")]
    Server(ErrorCode),
    /// The connection was lost before the answer.
    #[error("connection lost {}", sent_text(*.sent))]
    ConnectionLoss {
        /// Were its bytes handed to the transport? `false` proves that no server saw it.
        sent: bool,
    },
    /// Its deadline passed before the answer.
    #[error("timed out {}", sent_text(*.sent))]
    TimedOut {
        /// As in [`ConnectionLoss`](Self::ConnectionLoss).
        sent: bool,
    },
    /// The session ended before the answer.
    #[error("session expired {}", sent_text(*.sent))]
    SessionExpired {
        /// As in [`ConnectionLoss`](Self::ConnectionLoss).
        sent: bool,
    },
    /// The session was closed before the answer.
    #[error("session closed {}", sent_text(*.sent))]
    Closed {
        /// As in [`ConnectionLoss`](Self::ConnectionLoss).
        sent: bool,
    },
    /// The servers rejected the session's credentials before the answer.
    #[error("authentication failed {}", sent_text(*.sent))]
    AuthFailed {
        /// As in [`ConnectionLoss`](Self::ConnectionLoss).
        sent: bool,
    },
    /// The server carried it out, but its reply is longer than
    /// [`ConfigBuilder::max_reply_bytes`](crate::ConfigBuilder::max_reply_bytes).
    #[error(
        "the reply takes {length} bytes, the limit is {limit}: raise max_reply_bytes, or ask for less"
    )]
    ReplyTooLarge {
        /// The reply's length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The server carried it out, but the body of its reply makes no sense.
    #[error("the reply cannot be decoded: {0}")]
    Undecodable(DecodeError),
}

fn sent_text(sent: bool) -> &'static str {
    if sent {
        "after the request was sent"
    } else {
        "before the request was sent"
    }
}

/// What became of a request that has no result.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth possibility")]
pub enum Outcome {
    /// It had no effect and never will.
    NotApplied,
    /// It took effect; only its reply is missing.
    Applied,
    /// It may have taken effect, or may still.
    Unknown,
}

impl RequestError {
    /// What became of the request. For reads, [`Outcome::Unknown`] means "no answer".
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Server(_) => Outcome::NotApplied,
            Self::ReplyTooLarge { .. } | Self::Undecodable(_) => Outcome::Applied,
            Self::ConnectionLoss { sent }
            | Self::TimedOut { sent }
            | Self::SessionExpired { sent }
            | Self::Closed { sent }
            | Self::AuthFailed { sent } => {
                if *sent {
                    Outcome::Unknown
                } else {
                    Outcome::NotApplied
                }
            }
        }
    }

    /// May the same request succeed when it is sent again in the same session? Whether it *should*
    /// be is another question: see [`outcome`](Self::outcome).
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ConnectionLoss { .. } => true,
            Self::Server(code) => [
                ErrorCode::THROTTLED_OP,
                ErrorCode::CONNECTION_LOSS,
                ErrorCode::NOT_READ_ONLY,
            ]
            .contains(code),
            Self::TimedOut { .. }
            | Self::SessionExpired { .. }
            | Self::Closed { .. }
            | Self::AuthFailed { .. }
            | Self::ReplyTooLarge { .. }
            | Self::Undecodable(_) => false,
        }
    }
}

/// Why a connection, or an attempt at one, ended.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The transport failed, or the name did not resolve.
    #[error("{}", io_text(*.0))]
    Io(io::ErrorKind),
    /// No usable session within the attempt's share of the session timeout.
    #[error("no answer in time")]
    ConnectTimeout,
    /// The SASL mechanism had no token within the attempt's share of the session timeout.
    #[error(
        "the SASL mechanism has no token in time: is what it asks, such as the Kerberos server, reachable?"
    )]
    SaslTimeout,
    /// The SASL mechanism cannot go on now, and may on another connection.
    #[error("SASL: {0}")]
    Sasl(SaslError),
    /// Two thirds of the session timeout passed without a byte from the server.
    #[error("the server has gone silent")]
    Silent,
    /// The server closed the connection instead of answering the connect request. It may be
    /// without quorum, behind what this session has seen, or full (maxClientCnxns); and the port of a
    /// Java server that wants TLS says nothing to a client without.
    #[error(
        "the server closed the connection instead of taking the session: it has no quorum, lags behind what this session has seen, has too many connections, or wants TLS on this port"
    )]
    Declined,
    /// The server refused with this code; [`ErrorCode::NOT_READ_ONLY`] comes from a read-only
    /// server that cannot take this session.
    #[error("the server refused the session: {0}")]
    Refused(ErrorCode),
    /// Whatever listens there does not speak ZooKeeper's protocol.
    #[error("{0}")]
    NotZooKeeper(Stranger),
    /// The server broke the protocol.
    #[error("protocol violation: {0}")]
    Protocol(ProtocolError),
    /// The security layer failed.
    #[error("security layer: {0}")]
    Layer(LayerError),
    /// A read-only session found a server that takes writes.
    #[error("leaving the read-only server for one that takes writes")]
    FoundWritable,
    /// The list of servers was changed, and this server is not on it.
    #[error("the server is no longer on the list")]
    ServerRemoved,
    /// The driver asked for it, see [`Session::reconnect`](crate::Session::reconnect).
    #[error("reconnect was asked for")]
    Requested,
    /// Watches could not be put back.
    #[error("the server did not take the watches back: {0}")]
    WatchesRefused(ErrorCode),
}

fn io_text(kind: io::ErrorKind) -> String {
    if kind == io::ErrorKind::NotFound {
        "the host name does not resolve".to_owned()
    } else if kind == io::ErrorKind::ConnectionRefused {
        "connection refused: nothing listens there".to_owned()
    } else if kind == io::ErrorKind::UnexpectedEof {
        "the server closed the connection".to_owned()
    } else {
        kind.to_string()
    }
}

/// What answered in place of a ZooKeeper server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Stranger {
    /// An HTTP server, such as ZooKeeper's own AdminServer on port 8080.
    #[error(
        "an HTTP server answered: is this the AdminServer's port? Clients connect to clientPort"
    )]
    Http,
    /// A TLS endpoint.
    #[error(
        "a TLS endpoint answered: this looks like secureClientPort, which needs TLS on this side too"
    )]
    Tls,
    /// Something else.
    #[error("what answered is not a ZooKeeper server")]
    Other,
}

/// How a server broke the protocol.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame with a negative length.
    #[error("frame of {0} bytes")]
    BadLength(i64),
    /// A reply that belongs to no request, or comes out of order.
    #[error("a reply to xid {got} where {expected} was due")]
    WrongXid {
        /// The xid in the reply.
        got: Xid,
        /// The oldest unanswered request; [`Xid::WATCH`] if there was none.
        expected: Xid,
    },
    /// A frame of the protocol itself (handshake, event, ping) that cannot be decoded.
    #[error("{0}")]
    Undecodable(DecodeError),
    /// A reply from a state older than one this session has seen already.
    #[error("the server is at zxid {got}, this session has seen {seen}")]
    WentBack {
        /// The reply's zxid.
        got: Zxid,
        /// The newest zxid seen before.
        seen: Zxid,
    },
    /// A frame that is too large and is no reply to a request.
    #[error("frame of {0} bytes")]
    TooLarge(usize),
}

/// Why a [`Mechanism`](crate::Mechanism) cannot go on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct SaslError {
    /// What happened and what to do, for a person.
    pub message: String,
    /// May it be different on another connection? If so the attempt fails with
    /// [`LinkError::Sasl`], and the session goes on trying.
    pub temporary: bool,
}

impl SaslError {
    /// An error that reads `message`, and that ends the session.
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        let temporary = false;
        Self { message, temporary }
    }

    /// An error that reads `message`, and that says nothing about the credentials: what the
    /// mechanism depends on is out of reach.
    pub fn temporary(message: impl Into<String>) -> Self {
        let temporary = true;
        Self {
            temporary,
            ..Self::new(message)
        }
    }
}
