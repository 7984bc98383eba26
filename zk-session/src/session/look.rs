//! What can be seen of a session from outside, without changing it.

use std::time::{Duration, Instant};

use zk_proto::{Password, ServerAddr, SessionId, Zxid};

use super::Session;
use crate::{ConnId, LinkError, State};

impl Session {
    /// Whether there is, or is not, a usable connection.
    #[inline]
    pub fn state(&self) -> State {
        self.state
    }

    /// Before this moment the servers cannot have dropped the session. `None` without a session,
    /// and while none has been proven to live. See [`KeepAlive::Sync`](crate::KeepAlive::Sync) for keeping it in the future.
    pub fn deadline(&self) -> Option<Instant> {
        let live = self.state != State::Lost;
        let identity = self.identity.as_ref().filter(|_| live)?;
        let margin = self.config.clock_margin.unwrap_or(identity.timeout / 20);
        self.live.deadline(margin)
    }

    /// The session's id and password, for resuming it; `None` without a session.
    pub fn credentials(&self) -> Option<(SessionId, Password)> {
        let live = self.state != State::Lost;
        self.identity
            .as_ref()
            .filter(|_| live)
            .map(|i| (i.id, i.password))
    }

    /// The newest transaction this session has seen the result of.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The session timeout that the servers have set; `None` without a session.
    pub fn negotiated_timeout(&self) -> Option<Duration> {
        self.identity
            .as_ref()
            .filter(|_| self.state != State::Lost)
            .map(|i| i.timeout)
    }

    /// The server that the session is connected to.
    pub fn server(&self) -> Option<&ServerAddr> {
        self.link
            .as_ref()
            .filter(|link| link.is_active())
            .map(|link| &link.server)
    }

    /// The servers, in the order in which they are tried.
    pub fn servers(&self) -> Vec<ServerAddr> {
        self.servers.list().cloned().collect()
    }

    /// Why the last attempt or connection failed, and where.
    pub fn last_error(&self) -> Option<(&ServerAddr, &LinkError)> {
        self.last_error
            .as_ref()
            .map(|(server, error)| (server, error))
    }

    /// May more bytes be read? Not while too many events wait to be fetched.
    pub fn wants_read(&self, conn: ConnId) -> bool {
        self.probe.is(conn) || (self.has_link(conn) && self.events.len() < self.config.max_events)
    }

    /// Is all over, and all fetched? The driver may return then.
    pub fn is_finished(&self) -> bool {
        self.ended.is_some()
            && self.link.is_none()
            && self.actions.is_empty()
            && self.events.is_empty()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("state", &self.state)
            .field("id", &self.identity.as_ref().map(|i| i.id))
            .field("server", &self.server())
            .field("last_zxid", &self.last_zxid)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
