//! What must go well in the end, whatever went on before.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{
    Acl, Chroot, ConnectReply, CreateMode, ErrorCode, OpCode, Password, Reader, Reply, ReplyHeader,
    Request, RequestHeader, SessionId, Xid, frame,
};

use super::options::SUPER;
use super::{HONEST, Heard, World};
use crate::cursor::Cursor;

/// Where the honest client writes. Nobody else knows of it.
const NODE: &str = "/25d6e1c4-honest";

/// The session that a greeting tells of, if there is one.
pub(super) fn credentials(greeting: &[u8]) -> Option<(SessionId, Password)> {
    match ConnectReply::decode(&mut Reader::new(&Bytes::copy_from_slice(
        greeting.get(4..)?,
    ))) {
        Ok(ConnectReply::Response(reply)) if !reply.is_expired() => {
            Some((reply.session_id, reply.password))
        }
        _ => None,
    }
}

impl World {
    /// An honest client is served, and of the others nothing is left.
    pub(super) fn finish(&mut self) {
        self.server.become_writable(self.now);
        self.server.clear_faults();
        self.server.release(self.now);
        self.drain();
        self.all_are_read();
        self.honest();
        // Nobody is heard of any more.
        for _ in 0..200 {
            let Some(due) = self.server.poll_timeout() else {
                break;
            };
            if due > self.now + Duration::from_secs(200) {
                break;
            }
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
            self.drain();
        }
        let member = self.server.member();
        assert_eq!(member.connections(), 0, "connections are left");
        assert!(member.sessions().is_empty(), "sessions are left");
        assert_eq!(self.server.tree().ephemeral_count(), 0);
        assert_eq!(self.server.tree().owners().count(), 0);
    }

    /// Once all that waits has been taken, every client is listened to.
    fn all_are_read(&mut self) {
        self.full = [false; super::PLACES];
        for place in 0..super::PLACES {
            if let Some(conn) = self.places[place] {
                self.take(conn);
                self.drain();
            }
            if let Some(conn) = self.places[place] {
                assert!(self.server.wants_read(conn), "{conn} is not listened to");
            }
        }
    }

    fn honest(&mut self) {
        let peer: SocketAddr = ([10, 0, 1, 0], 4000).into();
        self.heard.insert(HONEST, Heard::NOTHING);
        self.server.handle_accept(self.now, HONEST, peer);
        let greeting = self.greeting(&mut Cursor::new(&[]));
        let answer = self.exchange(&greeting);
        let session = credentials(&answer);
        assert!(session.is_some(), "no session");
        let scheme = "digest".into();
        let data = Some(SUPER.as_bytes().into());
        self.ask(Xid::AUTH, &Request::Auth { scheme, data })
            .expect("the credential is known");
        let created = self.ask(
            Xid(1),
            &Request::Create {
                path: NODE.into(),
                data: Some(NODE.as_bytes().into()),
                acl: Acl::open_unsafe_ref().into(),
                mode: CreateMode::Ephemeral.into(),
                with_stat: false,
            },
        );
        // Somebody may have set a quota for all.
        if created == Err(ErrorCode::QUOTA_EXCEEDED) && self.limits.quota {
            return;
        }
        assert_eq!(created, Ok(Reply::Path(NODE.to_owned())));
        let (path, watch) = (NODE.into(), false);
        match self.ask(Xid(2), &Request::GetData { path, watch }) {
            Ok(Reply::Data { data, stat }) => {
                assert_eq!(data.as_option(), Some(NODE.as_bytes()));
                assert_eq!(Some(stat.ephemeral_owner), session.map(|(id, _)| id));
            }
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, xid: Xid, request: &Request<'_>) -> Result<Reply, ErrorCode> {
        let opcode = request.opcode();
        let mut bytes = Vec::new();
        frame(&mut bytes, |out| {
            RequestHeader { xid, opcode }.encode(out);
            request.encode(&Chroot::ROOT, out);
        });
        let answer = Bytes::from(self.exchange(&bytes));
        let mut reader = Reader::new(&answer);
        reader.int("length").expect("a whole frame");
        let header = ReplyHeader::decode(&mut reader).expect("a header");
        assert_eq!(header.xid, xid);
        if !header.err.is_ok() {
            return Err(header.err);
        }
        let reply = match opcode {
            OpCode::AUTH => Reply::Empty,
            _ => Reply::decode(opcode, &mut reader).expect("a reply"),
        };
        assert_eq!(reader.remaining(), 0, "{reply:?}");
        Ok(reply)
    }

    /// What is answered at once.
    fn exchange(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.server.handle_data(self.now, HONEST, bytes);
        self.drain();
        assert_eq!(self.heard[&HONEST].closed, None);
        std::mem::take(&mut self.answer)
    }
}
