//! The spans that the log of a session is in, and what may stand in them.
//!
//! ```text
//! whatever encloses Session::new       of a client: `client`, with its number
//!   session      info    id, timeout, read_only      from the greeting to the session's end
//!     connection debug   conn, server                one connection, from the attempt to its end
//! ```
//!
//! An attempt that is made without a session has its `connection` outside of any. No event or span
//! carries a password, a credential, a token or data of nodes, at any level.

use std::time::Duration;

use tracing::{Span, debug_span, info_span};
use zk_proto::{ServerAddr, SessionId};

use crate::ConnId;

/// The target of what is logged of each frame, apart from the rest.
pub(super) const FRAMES: &str = "zk_session::frame";

pub(super) struct Spans {
    outer: Span,
    session: Span,
}

impl Spans {
    pub(super) fn new() -> Self {
        let outer = Span::current();
        let session = outer.clone();
        Self { outer, session }
    }

    /// Where news of the session go.
    pub(super) fn session(&self) -> &Span {
        &self.session
    }

    /// A server has given us a session.
    pub(super) fn begin(&mut self, id: SessionId, timeout: Duration, read_only: bool) {
        self.session = info_span!(parent: &self.outer, "session", %id, ?timeout, read_only);
    }

    /// It is gone.
    pub(super) fn end(&mut self) {
        self.session = self.outer.clone();
    }

    pub(super) fn connection(&self, conn: ConnId, server: &ServerAddr) -> Span {
        debug_span!(parent: &self.session, "connection", %conn, %server)
    }
}
