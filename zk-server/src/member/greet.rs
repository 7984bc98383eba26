//! From a fresh connection to a session.

use zk_proto::{
    ConnectReply, ConnectRequest, ConnectResponse, ErrorCode, Password, Reader, ReplyHeader,
    SessionId, Xid, frame,
};

use super::{Shared, mode::Mode};
use crate::{
    Alive, Ticket, ToLeader,
    connection::{Client, Ending, Opening, Stage},
    fault::Connects,
};

impl Shared {
    /// The first frame of a connection.
    pub(super) fn greet(&mut self, client: &mut Client, reader: &mut Reader<'_>) {
        let Ok(request) = ConnectRequest::decode(reader) else {
            return client.end(Ending::Flush);
        };
        let read_only = match self.mode {
            Mode::Down => return client.end(Ending::Flush),
            Mode::Serving(_) => false,
            Mode::ReadOnly => true,
        };
        if self.faults.connects == Connects::Refused
            || read_only && request.read_only != Some(true)
            || request.last_zxid_seen > self.tree.last_zxid()
        {
            tracing::debug!(peer = %client.peer, ?request, "connection refused");
            return client.end(Ending::Flush);
        }
        let timeout = self.options.negotiate(request.timeout);
        let mut opening = Opening {
            session: request.session_id,
            timeout,
            has_read_only: request.read_only.is_some(),
            serial: client.serial(),
        };
        // The older connection goes, whatever becomes of this one.
        if let Some(older) = self.attached.remove(&request.session_id) {
            self.evict(older, Ending::Flush);
        }
        if read_only {
            return self.greet_read_only(client, opening);
        }
        let ticket = Ticket {
            member: self.options.member,
            conn: client.id,
            serial: opening.serial,
        };
        let message = if opening.session.is_none() {
            opening.session = self.new_session();
            ToLeader::CreateSession {
                ticket,
                session: opening.session,
                timeout,
            }
        } else if self.password(opening.session) == request.password {
            ToLeader::Revalidate {
                ticket,
                session: opening.session,
                timeout,
            }
        } else {
            return self.greeted(client, opening, Alive::No);
        };
        self.leave_greeting(client);
        client.stage = Stage::Opening(opening);
        self.to_leader.push_back(message);
    }

    /// Sessions that begin here while there is no leader are nobody else's business, and end with
    /// their connection. Those of the ensemble are not served.
    fn greet_read_only(&mut self, client: &mut Client, mut opening: Opening) {
        if self.sessions.contains_key(&opening.session) {
            return client.end(Ending::Flush);
        }
        if !opening.session.is_none() {
            return self.greeted(client, opening, Alive::No);
        }
        if self.options.local_sessions {
            opening.session = self.new_session();
            return self.greeted(client, opening, Alive::Yes);
        }
        let zxid = self.tree.last_zxid();
        frame(client.output.begin(), |out| {
            let refusal = ReplyHeader {
                xid: Xid(0),
                zxid,
                err: ErrorCode::NOT_READ_ONLY,
            };
            refusal.encode(out);
        });
        client.end(Ending::Flush);
    }

    /// Answers a connect request.
    pub(super) fn greeted(&mut self, client: &mut Client, opening: Opening, alive: Alive) {
        self.leave_greeting(client);
        let is_read_only = matches!(self.mode, Mode::ReadOnly);
        let mut response = ConnectResponse {
            protocol_version: 0,
            timeout: 0,
            session_id: SessionId::NONE,
            password: Password::EMPTY,
            read_only: opening.has_read_only.then_some(is_read_only),
        };
        match alive {
            Alive::Yes => {
                response.timeout = opening.timeout;
                response.session_id = opening.session;
                response.password = self.password(opening.session);
                client.stage = Stage::Active {
                    session: opening.session,
                    timeout: opening.timeout,
                    local: is_read_only,
                };
                if let Some(older) = self.attached.insert(opening.session, client.id)
                    && older != client.id
                {
                    self.evict(older, Ending::Flush);
                }
            }
            Alive::No => client.end(Ending::Flush),
        }
        if let Some(substitute) = self.faults.substitute.take() {
            response.session_id = substitute;
        }
        frame(client.output.begin(), |out| {
            ConnectReply::Response(response).encode(out);
        });
        self.sent += 1;
        client.stats.sent += 1;
    }

    pub(super) fn leave_greeting(&mut self, client: &Client) {
        if let Some(deadline) = client.stage.deadline() {
            self.deadlines.remove(&(deadline, client.id));
        }
    }

    fn new_session(&mut self) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session = self.next_session.wrapping_add(1);
        session
    }
}
