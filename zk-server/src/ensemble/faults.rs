//! Faults by call, of one member. Those to come are forgotten when it stops.

use std::time::{Duration, Instant};

use zk_proto::SessionId;

use super::Peer;
use crate::{ConnId, Fault, Matcher, Member};

impl Peer {
    /// From now on the member applies what is committed only after this time, and shows its clients
    /// what was before.
    pub fn set_apply_delay(&mut self, delay: Duration) {
        self.site.apply_delay = delay;
    }

    /// Lets something go wrong with the next request that matches.
    pub fn inject(&mut self, matcher: Matcher, fault: Fault) {
        self.with_member(|member| member.inject(matcher, fault));
    }

    /// Takes back every fault that has not happened, refusals included. What is held stays so.
    pub fn clear_faults(&mut self) {
        self.with_member(Member::clear_faults);
    }

    /// The number of faults that have not happened.
    pub fn pending_faults(&self) -> usize {
        self.member().map_or(0, Member::pending_faults)
    }

    /// Cuts a connection. What waits to be sent is lost.
    pub fn cut(&mut self, now: Instant, conn: ConnId) {
        self.run(now, |core, _| {
            let now = core.now();
            core.memory.member.cut(now, conn);
        });
    }

    /// Cuts the connection that the client of a session has here.
    pub fn cut_session(&mut self, now: Instant, session: SessionId) {
        let conn = self
            .member()
            .and_then(|member| member.connection_of(session));
        if let Some(conn) = conn {
            self.cut(now, conn);
        }
    }

    /// Cuts all connections of clients.
    pub fn cut_all(&mut self, now: Instant) {
        self.run(now, |core, _| {
            let now = core.now();
            core.memory.member.cut_all(now);
        });
    }

    /// Sends nothing on a connection until [`release`](Self::release).
    pub fn hold(&mut self, conn: ConnId) {
        self.with_member(|member| member.hold(conn));
    }

    /// Sends what was held back on all connections.
    pub fn release(&mut self, now: Instant) {
        self.run(now, |core, _| {
            let now = core.now();
            core.memory.member.release(now);
        });
    }

    /// Ends a session as if it had not been heard of for too long. Only who leads can.
    pub fn expire(&mut self, now: Instant, session: SessionId) {
        self.run(now, |core, state| {
            let now = core.now();
            if let Some(leader) = state.leader_mut() {
                leader.expire(now, session);
            }
        });
    }

    /// Closes connections that want to open a session, until
    /// [`accept_connects`](Self::accept_connects).
    pub fn refuse_connects(&mut self) {
        self.with_member(Member::refuse_connects);
    }

    /// Ends [`refuse_connects`](Self::refuse_connects).
    pub fn accept_connects(&mut self) {
        self.with_member(Member::accept_connects);
    }

    /// The next reply to a connect request has this session in place of the right one.
    pub fn substitute_session(&mut self, session: SessionId) {
        self.with_member(|member| member.substitute_session(session));
    }

    fn with_member(&mut self, action: impl FnOnce(&mut Member)) {
        if let Some(running) = &mut self.running {
            action(&mut running.memory.member);
        }
    }
}
