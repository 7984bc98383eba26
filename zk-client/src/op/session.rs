//! Calls that mean something in one session only.

use zk_proto::SessionId;

use crate::op::transaction::Commit;
use crate::op::{InTransaction, Op};

impl<'a, K: InTransaction<'a>> Op<'a, K> {
    /// Sends it only while the client's session is this one ([`Client::client_id`](crate::Client::client_id)): what belongs to an ephemeral node of a
    /// session must not be done to the node of the same path of another. What was sent in the
    /// session is carried out in it or not at all.
    ///
    /// For calls of one request: it means nothing with [`make_path`](Op::make_path),
    /// [`protected`](Op::protected), within a transaction, or in [`Client::retry`](crate::Client::retry).
    ///
    /// # Errors
    /// [`Error::SessionExpired`](crate::Error::SessionExpired), not sent, if it is another.
    pub fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }
}

impl<'a> Op<'a, Commit<'a>> {
    /// Sends it only while the client's session is this one: see [`Op::in_session`] of a single
    /// write.
    pub fn in_session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }
}
