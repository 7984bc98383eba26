//! A tiny ZooKeeper: sessions that expire, create, getData, exists, delete, ping, close.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use zk_proto::{
    ConnectReply, ConnectRequest, ConnectResponse, ErrorCode, FrameDecoder, OpCode, Password,
    Payload, Reader, Reply, ReplyHeader, Request, RequestHeader, SessionId, Stat, Xid, Zxid, frame,
};
use zk_sim::{Message, ServerConn, ServerOutput, SimServer};

/// What all members of an ensemble know, at once.
#[derive(Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, (Vec<u8>, Stat)>,
    sessions: BTreeMap<i64, Session>,
    zxid: i64,
    last_session: i64,
    /// Requests but for pings, in the order of their being carried out.
    pub(crate) log: Vec<String>,
}

struct Session {
    timeout: i64,
    expires: i64,
}

/// One server of an ensemble.
pub(crate) struct Tiny {
    pub(crate) tree: Arc<Mutex<Tree>>,
    conns: BTreeMap<ServerConn, Conn>,
    outputs: VecDeque<ServerOutput>,
    /// The wall clock in milliseconds, at a moment.
    clock: Option<(Instant, i64)>,
    /// Stops reading, and so acting, on all connections.
    pub(crate) deaf: bool,
    /// Messages from other servers.
    pub(crate) heard: Vec<String>,
    pub(crate) to_send: Vec<(String, u32)>,
    pub(crate) crashes: u32,
    /// The sizes of all that was read at once.
    pub(crate) pieces: Vec<usize>,
}

struct Conn {
    frames: FrameDecoder,
    session: Option<i64>,
    greeted: bool,
    out: Vec<u8>,
}

impl Tiny {
    pub(crate) fn new() -> Self {
        Self::member(&Arc::default())
    }

    pub(crate) fn member(tree: &Arc<Mutex<Tree>>) -> Self {
        Self {
            tree: Arc::clone(tree),
            conns: BTreeMap::new(),
            outputs: VecDeque::new(),
            clock: None,
            deaf: false,
            heard: Vec::new(),
            to_send: Vec::new(),
            crashes: 0,
            pieces: Vec::new(),
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.tree.lock().unwrap().log.clone()
    }

    pub(crate) fn sessions(&self) -> usize {
        self.tree.lock().unwrap().sessions.len()
    }

    fn millis(&self, now: Instant) -> i64 {
        let (start, wall) = self.clock.unwrap();
        wall + (now - start).as_millis() as i64
    }

    fn greet(&mut self, now: i64, conn: ServerConn, request: &ConnectRequest) {
        let tree = &mut *self.tree.lock().unwrap();
        let id = if request.session_id.is_none() {
            tree.last_session += 1;
            let (timeout, id) = (i64::from(request.timeout), 0x5e55 + tree.last_session);
            let expires = now + timeout;
            tree.sessions.insert(id, Session { timeout, expires });
            id
        } else {
            request.session_id.0
        };
        let known = self.conns.get_mut(&conn).unwrap();
        let found = tree.sessions.get_mut(&id);
        let timeout = found.map_or(0, |session| {
            session.expires = now + session.timeout;
            session.timeout as i32
        });
        known.session = (timeout > 0).then_some(id);
        let response = ConnectReply::Response(ConnectResponse {
            protocol_version: 0,
            timeout,
            session_id: SessionId(if timeout > 0 { id } else { 0 }),
            password: Password::from_slice(&[7; 16]).unwrap(),
            read_only: Some(false),
        });
        frame(&mut known.out, |out| response.encode(out));
        self.outputs.push_back(ServerOutput::Transmit(conn));
        if timeout <= 0 {
            let abort = false;
            self.outputs.push_back(ServerOutput::Close { conn, abort });
        }
    }

    fn answer(&mut self, now: i64, conn: ServerConn, xid: Xid, request: &Request<'_>) {
        let tree = &mut *self.tree.lock().unwrap();
        let known = self.conns.get_mut(&conn).unwrap();
        let Some(id) = known.session else { return };
        let Some(session) = tree.sessions.get_mut(&id) else {
            let abort = false;
            self.outputs.push_back(ServerOutput::Close { conn, abort });
            return;
        };
        session.expires = now + session.timeout;
        if *request != Request::Ping {
            let path = request.path().unwrap_or_default();
            tree.log.push(format!("{} {path}", request.opcode()));
        }
        let reply = tree.carry_out(id, request);
        let (err, reply) = match reply {
            Ok(reply) => (ErrorCode::OK, Some(reply)),
            Err(code) => (code, None),
        };
        let zxid = Zxid(tree.zxid);
        frame(&mut known.out, |out| {
            ReplyHeader { xid, zxid, err }.encode(out);
            if let Some(reply) = reply {
                reply.encode(request.opcode(), out);
            }
        });
        self.outputs.push_back(ServerOutput::Transmit(conn));
        if *request == Request::CloseSession {
            tree.end(id);
            let abort = false;
            self.outputs.push_back(ServerOutput::Close { conn, abort });
        }
    }
}

impl Tree {
    fn end(&mut self, session: i64) {
        self.sessions.remove(&session);
        self.nodes
            .retain(|_, (_, stat)| stat.ephemeral_owner.0 != session);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "it can do what is listed, and no more"
    )]
    fn carry_out(&mut self, session: i64, request: &Request<'_>) -> Result<Reply, ErrorCode> {
        Ok(match request {
            Request::Create {
                path, data, mode, ..
            } => {
                if self.nodes.contains_key(&**path) {
                    return Err(ErrorCode::NODE_EXISTS);
                }
                self.zxid += 1;
                let data = data.as_deref().unwrap_or_default().to_vec();
                let mut stat = Stat {
                    czxid: Zxid(self.zxid),
                    mzxid: Zxid(self.zxid),
                    data_length: data.len() as i32,
                    ..Stat::default()
                };
                if mode.known().is_some_and(|it| it.is_ephemeral()) {
                    stat.ephemeral_owner = SessionId(session);
                }
                self.nodes.insert(path.to_string(), (data, stat));
                let path = path.to_string();
                match request.opcode() {
                    OpCode::CREATE => Reply::Path(path),
                    _ => Reply::Created { path, stat },
                }
            }
            Request::GetData { path, .. } => {
                let (data, stat) = self.nodes.get(&**path).ok_or(ErrorCode::NO_NODE)?;
                Reply::Data {
                    data: Payload::from(bytes::Bytes::from(data.clone())),
                    stat: *stat,
                }
            }
            Request::Exists { path, .. } => {
                let (_, stat) = self.nodes.get(&**path).ok_or(ErrorCode::NO_NODE)?;
                Reply::Stat(*stat)
            }
            Request::SetData { path, data, .. } => {
                self.zxid += 1;
                let (old, stat) = self.nodes.get_mut(&**path).ok_or(ErrorCode::NO_NODE)?;
                *old = data.as_deref().unwrap_or_default().to_vec();
                stat.mzxid = Zxid(self.zxid);
                Reply::Stat(*stat)
            }
            Request::Delete { path, .. } => {
                self.zxid += 1;
                self.nodes.remove(&**path).ok_or(ErrorCode::NO_NODE)?;
                Reply::Empty
            }
            Request::Ping | Request::CloseSession | Request::SetWatches(_) => Reply::Empty,
            _ => return Err(ErrorCode::UNIMPLEMENTED),
        })
    }
}

impl SimServer for Tiny {
    fn start(&mut self, now: Instant, wall: SystemTime) {
        let wall = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        self.clock = Some((now, wall.as_millis() as i64));
    }

    fn accept(&mut self, _: Instant, conn: ServerConn, peer: SocketAddr) {
        assert!(peer.ip().to_string().starts_with("10.0."));
        let known = Conn {
            frames: FrameDecoder::new(1 << 20),
            session: None,
            greeted: false,
            out: Vec::new(),
        };
        assert!(self.conns.insert(conn, known).is_none());
    }

    fn data(&mut self, now: Instant, conn: ServerConn, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        self.pieces.push(bytes.len());
        let now = self.millis(now);
        let known = self.conns.get_mut(&conn).expect("accepted before");
        if !known.greeted && bytes == b"ruok" {
            known.out.extend_from_slice(b"imok");
            self.outputs.push_back(ServerOutput::Transmit(conn));
            let abort = false;
            self.outputs.push_back(ServerOutput::Close { conn, abort });
            return;
        }
        known.frames.push(bytes);
        loop {
            let known = self.conns.get_mut(&conn).unwrap();
            let greeted = known.greeted;
            let bytes: Vec<u8> = match known.frames.next_frame().unwrap() {
                Some(frame) => {
                    let mut reader = frame.reader().unwrap();
                    let count = reader.remaining();
                    reader.take(count, "frame").unwrap().to_vec()
                }
                None => return,
            };
            let bytes = bytes::Bytes::from(bytes);
            let mut reader = Reader::new(&bytes);
            if greeted {
                let header = RequestHeader::decode(&mut reader).unwrap();
                let request = Request::decode(header.opcode, &mut reader).unwrap();
                self.answer(now, conn, header.xid, &request);
            } else {
                known.greeted = true;
                let request = ConnectRequest::decode(&mut reader).unwrap();
                self.greet(now, conn, &request);
            }
        }
    }

    fn closed(&mut self, _: Instant, conn: ServerConn) {
        assert!(self.conns.remove(&conn).is_some());
    }

    fn timeout(&mut self, now: Instant) {
        let now = self.millis(now);
        let tree = &mut *self.tree.lock().unwrap();
        let over = tree.sessions.iter().filter(|(_, it)| it.expires <= now);
        let over: Vec<_> = over.map(|(id, _)| *id).collect();
        for id in over {
            tree.end(id);
            tree.log.push(format!("expired {id:#x}"));
        }
    }

    fn message(&mut self, _: Instant, from: &str, message: Message) {
        let number = message.take::<u32>().unwrap();
        self.heard.push(format!("{from} {number}"));
    }

    fn transmit(&mut self, conn: ServerConn, out: &mut Vec<u8>) -> usize {
        let Some(known) = self.conns.get_mut(&conn) else {
            return 0;
        };
        let count = known.out.len();
        out.append(&mut known.out);
        count
    }

    fn poll_output(&mut self) -> Option<ServerOutput> {
        if let Some(output) = self.outputs.pop_front() {
            if let ServerOutput::Close { conn, abort: true } = &output {
                self.conns.remove(conn);
            }
            return Some(output);
        }
        if self.to_send.is_empty() {
            return None;
        }
        let (to, number) = self.to_send.remove(0);
        let message = Message::new(format!("number {number}"), number);
        Some(ServerOutput::Send { to, message })
    }

    fn next_timeout(&self) -> Option<Instant> {
        let (start, wall) = self.clock?;
        let tree = self.tree.lock().unwrap();
        let next = tree.sessions.values().map(|it| it.expires).min()?;
        Some(start + Duration::from_millis((next - wall).max(0) as u64))
    }

    fn wants_read(&self, _: ServerConn) -> bool {
        !self.deaf
    }

    fn crash(&mut self) {
        self.conns.clear();
        self.outputs.clear();
        self.crashes += 1;
    }
}
