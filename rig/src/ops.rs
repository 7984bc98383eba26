//! What can be asked of a session, and what can happen to it.

use std::time::Duration;

use zk_proto::ErrorCode;

/// A step of a case. Numbers that name a thing are taken as far as there are such things.
#[derive(Clone, Debug)]
pub enum Op {
    Submit {
        body: u8,
        shared: bool,
        watch: bool,
        chroot: bool,
        deadline: Option<i64>,
        urgent: bool,
    },
    Cancel(usize),
    Unwatch(usize),
    SetTimer(i64),
    CancelTimer(usize),
    SetServers(u8),
    SetFallback(u8),
    KeepAlive(bool),
    Reconnect,
    Close(Duration),
    Detach(Duration),
    Connected(usize),
    Refuse(usize),
    Cut(usize, bool),
    Stale(usize, u8),
    Sasl(bool),
    Transmit(usize, usize),
    Serve(usize, usize),
    Deliver(usize, usize, usize),
    Advance(Duration),
    Skew(Duration),
    Timeout,
    Drain,
    Turns(usize),
    Kill,
    Substitute,
    Isolate(usize, bool),
    Heal(usize),
    Code(usize, usize),
    Write(bool),
    Garbage(usize, Vec<u8>),
    /// Bytes of the next frame to the client are others.
    Corrupt(usize, Vec<(usize, u8)>),
}

/// What a server can be made to answer.
pub const CODES: [ErrorCode; 8] = [
    ErrorCode::SESSION_EXPIRED,
    ErrorCode::AUTH_FAILED,
    ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
    ErrorCode::UNIMPLEMENTED,
    ErrorCode::THROTTLED_OP,
    ErrorCode::NOT_READ_ONLY,
    ErrorCode::NO_NODE,
    ErrorCode::MARSHALLING_ERROR,
];
