//! What a session tells its driver: things to do ([`Action`]) and things that happened ([`Event`]).

use std::time::Instant;

use zk_proto::{EventType, Reply, ServerAddr, Zxid};

use crate::{ConnId, LinkError, RequestError, RequestId, SaslError, SaslWork, TimerId, WatchId};

/// Something the driver must do. Exhaustive on purpose: a new action must break every loop.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver must not ignore an action"
)]
pub enum Action {
    /// Start a connection, and report `handle_connected` or `handle_disconnected`.
    Connect {
        /// The connection's name from now on.
        conn: ConnId,
        /// Where to. The name is to be resolved now, not from a cache.
        server: ServerAddr,
        /// How often this server was tried before: picks among several addresses.
        attempt: u32,
    },
    /// End a connection. Nothing needs to be reported. What is to be said last, where there is a
    /// security layer, is fetched by [`poll_transmit`](crate::Session::poll_transmit) as before;
    /// it is worth one attempt to write it, and no waiting.
    Disconnect {
        /// The connection.
        conn: ConnId,
        /// `false`: all is transmitted; write it out, then close. `true`: close now.
        abort: bool,
    },
    /// Work out the next SASL token, for mechanisms that answered
    /// [`Step::Later`](crate::Step::Later), and report `handle_sasl`. With a `Core` of `zk-client`,
    /// its `authenticate` does both.
    Sasl {
        /// The connection.
        conn: ConnId,
        /// What to [run](SaslWork::run), where blocking is allowed.
        work: SaslWork,
    },
}

/// Something that happened, in the order in which it did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The session changed its state. Comes before the failures and watch losses that it causes.
    StateChanged {
        /// The state before.
        from: State,
        /// The state now.
        to: State,
        /// Why.
        reason: StateReason,
    },
    /// A request ended. Comes exactly once for each one submitted and not cancelled, in the order
    /// of submission but for timeouts.
    Completed {
        /// The request.
        id: RequestId,
        /// The zxid in the reply's header; [`Zxid::ZERO`] if there was no reply.
        zxid: Zxid,
        /// Its result.
        result: Result<Reply, RequestError>,
    },
    /// A watcher has something to tell.
    Watch {
        /// The watcher.
        id: WatchId,
        /// What it tells.
        notice: Notice,
    },
    /// A timer of [`Session::set_timer`](crate::Session::set_timer) is due. It is gone now.
    Timer {
        /// The timer.
        id: TimerId,
    },
    /// An attempt to connect failed. The session goes on trying.
    ConnectFailed {
        /// The server tried.
        server: ServerAddr,
        /// Why.
        error: LinkError,
    },
    /// [`Session::close`](crate::Session::close) or [`detach`](crate::Session::detach) has ended.
    /// The last event of a session that was closed, but for timers that are set after it.
    Closed {
        /// How.
        outcome: CloseOutcome,
    },
}

/// Whether the session can be used, as kazoo's `KazooState` has it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the three states are the model users learn"
)]
pub enum State {
    /// There is no session: none yet, expired, given up, or closed. What is submitted waits for a
    /// new one, unless the session was closed or its credentials were refused.
    Lost,
    /// There is a session and a connection. Requests go out.
    Connected {
        /// The server does not take writes.
        read_only: bool,
    },
    /// The connection is lost, the session may live on. Requests wait.
    Suspended {
        /// The servers cannot have dropped the session before this moment.
        until: Instant,
    },
}

impl State {
    /// Is there a connection?
    pub fn is_connected(self) -> bool {
        matches!(self, Self::Connected { .. })
    }
}

/// Why a session changed its state.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StateReason {
    /// To `Connected`: a new session.
    Established,
    /// To `Connected`: the same session on a new connection.
    Resumed,
    /// To `Suspended`: the connection ended.
    ConnectionLost(LinkError),
    /// To `Lost`: the servers say that the session is gone.
    Expired,
    /// To `Lost`: a server took the session's id and answered with another session.
    Substituted,
    /// To `Lost`: nothing was heard for so long that the session is taken for gone. It is closed
    /// before a new one is made, should it still exist.
    GivenUp,
    /// To `Lost`, for good: the servers refused the credentials.
    AuthFailed(AuthFailure),
    /// To `Lost`, for good: [`ConfigBuilder::reconnect`](crate::ConfigBuilder::reconnect) allows no more attempts.
    RetriesExhausted,
    /// To `Lost`, for good: closed by the application.
    Closed,
    /// To `Lost`, for good: detached; the session lives on at the servers until its timeout.
    Detached,
}

/// What was wrong with the credentials.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthFailure {
    /// A configured credential of this scheme was refused.
    #[error("the server refused the {scheme:?} credential")]
    Credential {
        /// Its scheme, such as `digest`.
        scheme: String,
    },
    /// The SASL exchange failed on this side.
    #[error("SASL: {0}")]
    Sasl(SaslError),
    /// The SASL exchange was refused by the server.
    #[error("the server refused the SASL authentication")]
    SaslRefused,
    /// The server refused the mechanism itself, before it was told who is there: to DIGEST-MD5 this
    /// happens in FIPS mode, the default of later releases of 3.9, and on servers that have
    /// Kerberos only.
    #[error("the server does not take the SASL mechanism {mechanism}: {advice}")]
    MechanismRefused {
        /// Its name, such as `DIGEST-MD5`.
        mechanism: &'static str,
        /// What to do about it, for a person.
        advice: &'static str,
    },
    /// The server cannot do SASL.
    #[error("the server is not set up for SASL")]
    SaslUnsupported,
    /// The server wants an authentication that this session does not have.
    #[error("the server requires an authentication that this session does not offer")]
    Required,
}

/// What a watcher tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A znode changed. A one-shot watcher is gone after its first event.
    Event(WatchedEvent),
    /// For persistent watchers: changes between the two zxids may have gone unseen. Re-read.
    Gap {
        /// The newest zxid seen before the gap.
        from: Zxid,
        /// The watch is live again from this zxid on.
        to: Zxid,
    },
    /// The watcher is gone, with the session.
    End(StateReason),
}

/// One change of a znode (`WatchedEvent` of the Java client).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WatchedEvent {
    /// What happened.
    pub kind: EventType,
    /// Where, relative to the chroot of the request that set the watch.
    pub path: String,
    /// The change's zxid where the server tells it (3.9 and newer), else [`Zxid::ZERO`].
    pub zxid: Zxid,
}

/// How a session was closed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CloseOutcome {
    /// The server confirmed it, or there was nothing to close: its ephemerals are gone.
    Confirmed,
    /// No confirmation in time: ephemerals may live on until the session timeout. After a detach:
    /// the session was lost meanwhile.
    Unconfirmed,
    /// Detached: the session lives on, as asked.
    Detached,
}

/// Which moment [`Session::poll_timeout`](crate::Session::poll_timeout) speaks of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TimeoutReason {
    /// Nothing to wait for.
    Idle,
    /// Actions or events wait to be drained.
    Undrained,
    /// An attempt to connect has used up its time.
    Connect,
    /// The pause before the next attempt ends.
    Backoff,
    /// The server has been silent for too long.
    Silence,
    /// A ping or a `sync` is due.
    KeepAlive,
    /// The session is given up.
    GiveUp,
    /// A read-only session looks for a server that takes writes.
    Probe,
    /// The limit of a close passes.
    Close,
    /// A request's deadline passes.
    Request,
    /// A user's timer is due.
    User,
}
