//! What a server says.

use zk_proto::{
    ConnectReply, ConnectResponse, ErrorCode, EventType, KeeperState, Payload, Reply, ReplyHeader,
    Request, SessionId, Stat, WatcherEvent, Xid, Zxid, frame,
};
use zk_session::ConnId;

use super::{Asked, Rig, SID, T, password};

impl Rig {
    /// Takes whatever session is offered, or gives a new one, on the attempt under way.
    pub(crate) fn establish(&mut self) -> ConnId {
        let conn = self.attempt();
        self.up(conn);
        self.accept(conn);
        conn
    }

    /// Answers the connect request with the session that it names, or with the next new one.
    pub(crate) fn accept(&mut self, conn: ConnId) {
        let offered = self.greeting(conn).session_id;
        let id = if offered == SessionId::NONE {
            self.last_session = SessionId((self.last_session.0 + 1).max(SID.0));
            self.last_session
        } else {
            offered
        };
        self.grant(conn, id, T.as_millis() as i32, false);
    }

    pub(crate) fn grant(&mut self, conn: ConnId, id: SessionId, timeout: i32, read_only: bool) {
        self.greeted(
            conn,
            &ConnectReply::Response(ConnectResponse {
                protocol_version: 0,
                timeout,
                session_id: id,
                password: password(id),
                read_only: Some(read_only),
            }),
        );
    }

    /// Says that there is no such session.
    pub(crate) fn expire(&mut self, conn: ConnId) {
        self.grant(conn, SessionId::NONE, 0, false);
    }

    pub(crate) fn greeted(&mut self, conn: ConnId, reply: &ConnectReply) {
        let mut out = Vec::new();
        frame(&mut out, |out| reply.encode(out));
        self.push(conn, &out);
    }

    /// A frame of a header and a body.
    pub(crate) fn frame(xid: Xid, zxid: i64, err: ErrorCode, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame(&mut out, |out| {
            let zxid = Zxid(zxid);
            ReplyHeader { xid, zxid, err }.encode(out);
            out.extend_from_slice(body);
        });
        out
    }

    pub(crate) fn say(&mut self, xid: Xid, err: ErrorCode, body: &[u8]) {
        let bytes = Self::frame(xid, self.zxid, err, body);
        let conn = self.conn();
        self.push(conn, &bytes);
    }

    /// The usual answer: success.
    pub(crate) fn answer(&mut self, asked: &Asked) {
        self.answer_with(asked, &usual(&asked.request()));
    }

    pub(crate) fn answer_with(&mut self, asked: &Asked, reply: &Reply) {
        if asked.request().is_write() {
            self.zxid += 1;
        }
        let mut body = Vec::new();
        reply.encode(asked.opcode, &mut body);
        self.say(asked.xid, ErrorCode::OK, &body);
    }

    pub(crate) fn answer_err(&mut self, asked: &Asked, err: ErrorCode) {
        self.say(asked.xid, err, &[]);
    }

    /// Answers all that was asked, with success.
    pub(crate) fn answer_all(&mut self) -> Vec<Asked> {
        let mut answered = Vec::new();
        while let Some(conn) = self.serving() {
            let Some(asked) = self.peer(conn).asked.pop_front() else {
                break;
            };
            self.answer(&asked);
            answered.push(asked);
        }
        answered
    }

    pub(super) fn answer_keep_alives(&mut self) {
        while let Some(conn) = self.serving() {
            let first = self.peer(conn).asked.front().cloned();
            let Some(asked) = first.filter(Asked::is_keep_alive) else {
                break;
            };
            self.peer(conn).asked.pop_front();
            self.answer(&asked);
        }
    }

    fn serving(&self) -> Option<ConnId> {
        let mut up = self.peers.iter().filter(|(_, p)| p.greeting.is_some());
        up.next().map(|(conn, _)| *conn)
    }

    /// A watch event, with the zxid in its header: of a 3.9 server, or -1 of one before.
    pub(crate) fn fire_at(&mut self, zxid: i64, kind: EventType, path: &str) {
        let event = WatcherEvent {
            kind,
            state: KeeperState::SYNC_CONNECTED,
            path: path.to_owned(),
        };
        let mut body = Vec::new();
        event.encode(&mut body);
        let bytes = Self::frame(Xid::WATCH, zxid, ErrorCode::OK, &body);
        let conn = self.conn();
        self.push(conn, &bytes);
    }

    pub(crate) fn fire(&mut self, kind: EventType, path: &str) {
        self.fire_at(-1, kind, path);
    }
}

/// A successful reply to a request.
pub(crate) fn usual(request: &Request<'_>) -> Reply {
    let stat = Stat::default();
    match request {
        Request::Create {
            path, with_stat, ..
        } => {
            let path = path.to_string();
            if *with_stat {
                Reply::Created { path, stat }
            } else {
                Reply::Path(path)
            }
        }
        Request::Sync { path } => Reply::Path(path.to_string()),
        Request::Exists { .. } | Request::SetData { .. } | Request::SetAcl { .. } => {
            Reply::Stat(stat)
        }
        Request::GetData { .. } => Reply::Data {
            data: Payload::from(&b"data"[..]),
            stat,
        },
        Request::GetChildren {
            with_stat: false, ..
        } => Reply::Children(["x"].into_iter().collect()),
        Request::GetChildren {
            with_stat: true, ..
        } => Reply::ChildrenStat {
            children: ["x"].into_iter().collect(),
            stat,
        },
        Request::Multi(_) => Reply::Multi(Vec::new()),
        // All others have no body.
        _ => Reply::Empty,
    }
}
