//! Faults by call.

use std::time::Instant;

use zk_proto::SessionId;

use super::Member;
use crate::{ConnId, Fault, Matcher, connection::Ending, fault::Connects};

impl Member {
    /// Lets something go wrong with the next request that matches.
    pub fn inject(&mut self, matcher: Matcher, fault: Fault) {
        self.shared.faults.add(matcher, fault);
    }

    /// Takes back every fault that has not happened, refusals included. What is held stays so.
    pub fn clear_faults(&mut self) {
        self.shared.faults.clear();
    }

    /// The number of faults that have not happened.
    pub fn pending_faults(&self) -> usize {
        self.shared.faults.pending()
    }

    /// Cuts a connection. What waits to be sent is lost.
    pub fn cut(&mut self, now: Instant, conn: ConnId) {
        self.shared.clock.advance(now);
        self.shared.evict(conn, Ending::Abort);
        self.settle();
    }

    /// Cuts all connections.
    pub fn cut_all(&mut self, now: Instant) {
        self.shared.clock.advance(now);
        for conn in self.conns.keys() {
            self.shared.evicted.push((*conn, Ending::Abort));
        }
        self.settle();
    }

    /// Sends nothing on a connection until [`release`](Self::release), from now on.
    pub fn hold(&mut self, conn: ConnId) {
        if let Some(connection) = self.conns.get_mut(&conn) {
            let at = connection.client.output.len();
            connection.client.output.hold(at, None);
        }
    }

    /// Sends what was held back on all connections.
    pub fn release(&mut self, now: Instant) {
        self.shared.clock.advance(now);
        self.shared.releases.clear();
        let mut held = Vec::new();
        for (conn, connection) in &mut self.conns {
            if connection.client.output.is_held() {
                connection.client.output.release();
                held.push(*conn);
            }
        }
        for conn in held {
            self.released(conn);
        }
    }

    /// Closes connections that want to open a session, until
    /// [`accept_connects`](Self::accept_connects).
    pub fn refuse_connects(&mut self) {
        self.shared.faults.connects = Connects::Refused;
    }

    /// Ends [`refuse_connects`](Self::refuse_connects).
    pub fn accept_connects(&mut self) {
        self.shared.faults.connects = Connects::Accepted;
    }

    /// The next reply to a connect request has this session in place of the right one.
    pub fn substitute_session(&mut self, session: SessionId) {
        self.shared.faults.substitute = Some(session);
    }
}
