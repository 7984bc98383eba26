//! What a client knows of its session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_proto::{Password, ServerAddr, SessionId, Zxid};
use zk_session::{AuthFailure, LinkError, Session, State};

use crate::async_result::Slot;
use crate::core::{Listen, ListenerId, StateChange, Ticket};
use crate::{AsyncResult, Client, ClientId, Core, EventStream, StateStream, Stats};

/// The session's state.
impl Client {
    /// Whether the session can be used (kazoo: `state`). It shows everything that came before any
    /// result or event seen so far.
    pub fn state(&self) -> State {
        self.core().look(Session::state)
    }

    /// Is there a usable connection (kazoo: `connected`)?
    pub fn connected(&self) -> bool {
        self.state().is_connected()
    }

    /// Resolves when there is a usable connection, at once if there is one.
    ///
    /// # Errors
    /// What ended the client: [`Error::AuthFailed`](crate::Error::AuthFailed), [`Error::RetriesExhausted`](crate::Error::RetriesExhausted),
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn until_connected(&self) -> AsyncResult<()> {
        self.core().result(Arc::new(Slot::new(())), |inner, slot| {
            inner.until_connected(slot);
            Ticket::NONE
        })
    }

    /// Why the client could not sign in, if that has ended it.
    pub fn auth_failure(&self) -> Option<AuthFailure> {
        self.core().enter(|inner| inner.auth_failure().cloned())
    }

    /// Calls `f` at every change of the session's state until it is removed: in order with the
    /// client's other callbacks, off the I/O loop. It may use the client; one that it owns a clone
    /// of stays open, so give it a [`WeakClient`](crate::WeakClient) instead.
    pub fn add_listener(
        &self,
        f: impl FnMut(StateChange) -> Listen + Send + 'static,
    ) -> ListenerId {
        self.core().enter(|inner| inner.listeners.add(Box::new(f)))
    }

    /// Removes a listener. Removing an absent one is fine.
    pub fn remove_listener(&self, id: ListenerId) {
        drop(self.core().enter(|inner| inner.listeners.remove(id)));
    }

    /// Every change of the session's state from now on. Ends when the client is closed. If nobody
    /// reads, the newest 1,024 are kept.
    pub fn state_changes(&self) -> StateStream {
        let buffer = self.core().enter(|inner| inner.add_state_stream());
        EventStream::new(buffer, self.core().origin(), Ticket::NONE)
    }

    /// Before this moment of [`now`](Self::now) the servers cannot have dropped the session.
    /// `None` without a session.
    pub fn deadline(&self) -> Option<Instant> {
        self.core().look(Session::deadline)
    }

    /// The session's id and password, for resuming it; `None` without a session.
    pub fn client_id(&self) -> Option<(SessionId, Password)> {
        self.core().look(Session::credentials)
    }

    /// The session timeout that the servers have set; `None` without a session.
    pub fn negotiated_timeout(&self) -> Option<Duration> {
        self.core().look(Session::negotiated_timeout)
    }

    /// The newest transaction that this session has seen the result of.
    pub fn last_zxid(&self) -> Zxid {
        self.core().look(Session::last_zxid)
    }

    /// The server that the session is connected to.
    pub fn server(&self) -> Option<ServerAddr> {
        self.core().look(|session| session.server().cloned())
    }

    /// The servers, in the order in which they are tried.
    pub fn servers(&self) -> Vec<ServerAddr> {
        self.core().look(Session::servers)
    }

    /// Why the last attempt or connection failed, and where.
    pub fn last_error(&self) -> Option<(ServerAddr, LinkError)> {
        self.core().look(|session| {
            session
                .last_error()
                .map(|(at, why)| (at.clone(), why.clone()))
        })
    }

    /// The client's name in this process: in the spans of its log, and in its metrics.
    pub fn id(&self) -> ClientId {
        self.core().id()
    }

    /// What the client has done, and what waits in it.
    pub fn stats(&self) -> Stats {
        let callbacks_queued = self.core().callbacks_queued();
        self.core().enter(|inner| Stats {
            session: inner.session.stats(),
            callbacks_queued,
            waiting_for_room: inner.room.len(),
            stream_overflows: inner.overflows(),
        })
    }

    /// While any of these is held, the session is kept alive by a `sync` every quarter of its
    /// timeout instead of by pings, so that its [`deadline`](Self::deadline) stays in the future; by
    /// one every eighth, while servers are slow to answer. For what relies on the session, such as a
    /// held lock.
    pub fn keep_alive_by_sync(&self) -> SyncKeepAlive {
        let now = self.now();
        self.core().enter(|inner| inner.hold_sync(now));
        SyncKeepAlive(Arc::clone(self.core()))
    }
}

/// See [`Client::keep_alive_by_sync`].
#[derive(Debug)]
#[must_use = "dropping it goes back to pings"]
pub struct SyncKeepAlive(Arc<Core>);

impl Drop for SyncKeepAlive {
    fn drop(&mut self) {
        let now = self.0.handler().now();
        self.0.enter(|inner| inner.release_sync(now));
    }
}
