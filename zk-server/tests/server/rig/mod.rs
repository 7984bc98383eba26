//! A server without I/O, clients that say what they are told to, and a clock that stands still.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use zk_proto::{
    Acl, Chroot, ConnectReply, ConnectRequest, ConnectResponse, CreateMode, ErrorCode, EventType,
    Frame, FrameDecoder, OpCode, Password, Reader, Reply, ReplyHeader, Request, RequestHeader,
    SessionId, WatcherEvent, Xid, Zxid, frame,
};
use zk_server::{ConnId, Options, Output, Standalone};

/// Everything that one connection was sent, frame by frame.
pub(crate) struct Peer {
    decoder: FrameDecoder,
    pub(crate) frames: VecDeque<Bytes>,
    pub(crate) raw: Vec<u8>,
    pub(crate) closed: Option<Closed>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Closed {
    Orderly,
    Aborted,
}

pub(crate) struct Rig {
    pub(crate) server: Standalone,
    pub(crate) now: Instant,
    pub(crate) peers: BTreeMap<ConnId, Peer>,
    next: u64,
    /// Connections whose sockets are full: nothing is taken for them.
    pub(crate) full: Vec<ConnId>,
}

/// A client with a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) conn: ConnId,
    pub(crate) id: SessionId,
    pub(crate) password: Password,
    pub(crate) timeout: i32,
}

/// What a connection was sent next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Got {
    Reply(i32, i64, ErrorCode, Option<Reply>),
    Event(i64, EventType, String),
}

pub(crate) const WALL: u64 = 1_700_000_000_000;

impl Rig {
    pub(crate) fn new(options: Options) -> Self {
        let now = Instant::now();
        let wall: SystemTime = UNIX_EPOCH + Duration::from_millis(WALL);
        Self {
            server: Standalone::new(Arc::new(options), [7; 32], now, wall),
            now,
            peers: BTreeMap::new(),
            next: 1,
            full: Vec::new(),
        }
    }

    pub(crate) fn accept(&mut self) -> ConnId {
        self.accept_from(([127, 0, 0, 1], 40_000).into())
    }

    pub(crate) fn accept_from(&mut self, peer: SocketAddr) -> ConnId {
        let conn = ConnId(self.next);
        self.next += 1;
        let state = Peer {
            decoder: FrameDecoder::new(usize::MAX),
            frames: VecDeque::new(),
            raw: Vec::new(),
            closed: None,
        };
        self.peers.insert(conn, state);
        self.server.handle_accept(self.now, conn, peer);
        self.drain();
        conn
    }

    pub(crate) fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.server.handle_data(self.now, conn, bytes);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit(conn) if self.full.contains(&conn) => {}
                Output::Transmit(conn) => self.take(conn),
                Output::Close { conn, abort } => {
                    if !abort {
                        self.take(conn);
                    }
                    let closed = if abort {
                        Closed::Aborted
                    } else {
                        Closed::Orderly
                    };
                    let peer = self.peers.get_mut(&conn).unwrap();
                    assert_eq!(peer.closed.replace(closed), None, "{conn} closed twice");
                }
            }
        }
    }

    /// Takes what there is for a connection.
    pub(crate) fn take(&mut self, conn: ConnId) {
        let mut out = Vec::new();
        while self.server.poll_transmit(conn, &mut out) > 0 {
            let peer = self.peers.get_mut(&conn).unwrap();
            assert_eq!(peer.closed, None, "{conn} was sent something after its end");
            peer.raw.extend_from_slice(&out);
            peer.decoder.push(&out);
            out.clear();
            while let Some(frame) = peer.decoder.next_frame().unwrap_or(None) {
                if let Frame::Whole { chunk, range } = frame {
                    peer.frames.push_back(chunk.slice(range));
                }
            }
        }
    }

    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(crate) fn frame(&mut self, conn: ConnId) -> Option<Bytes> {
        self.peers.get_mut(&conn).unwrap().frames.pop_front()
    }

    pub(crate) fn closed(&self, conn: ConnId) -> Option<Closed> {
        self.peers[&conn].closed
    }

    pub(crate) fn greet(&mut self, conn: ConnId, request: &ConnectRequest) -> Option<ConnectReply> {
        let mut bytes = Vec::new();
        frame(&mut bytes, |out| request.encode(out));
        self.send(conn, &bytes);
        let answer = self.frame(conn)?;
        Some(ConnectReply::decode(&mut Reader::new(&answer)).unwrap())
    }

    /// A client with a new session of ten seconds.
    pub(crate) fn connect(&mut self) -> Session {
        let conn = self.accept();
        let reply = self.greet(conn, &new_session(10_000));
        session(conn, reply)
    }

    /// The same session on another connection.
    pub(crate) fn reconnect(
        &mut self,
        session: Session,
        last: i64,
    ) -> (ConnId, Option<ConnectReply>) {
        let conn = self.accept();
        let request = ConnectRequest {
            session_id: session.id,
            password: session.password,
            last_zxid_seen: Zxid(last),
            ..new_session(session.timeout)
        };
        let reply = self.greet(conn, &request);
        (conn, reply)
    }

    pub(crate) fn ask(&mut self, session: Session, xid: i32, request: &Request<'_>) {
        self.send(session.conn, &encode(xid, request));
    }

    /// Asks and takes the reply, which is the only frame that came.
    pub(crate) fn call(
        &mut self,
        session: Session,
        request: &Request<'_>,
    ) -> Result<Reply, ErrorCode> {
        let xid = match request {
            Request::Ping => Xid::PING.0,
            _ => 77,
        };
        self.ask(session, xid, request);
        match self.got(session, request.opcode()) {
            Some(Got::Reply(answered, _, code, reply)) if answered == xid => {
                assert!(
                    self.peers[&session.conn].frames.is_empty(),
                    "more than the reply"
                );
                reply.ok_or(code)
            }
            other => panic!("{request:?}: {other:?}"),
        }
    }

    /// The next frame, which answers `opcode` unless it is an event.
    pub(crate) fn got(&mut self, session: Session, opcode: OpCode) -> Option<Got> {
        let bytes = self.frame(session.conn)?;
        let mut reader = Reader::new(&bytes);
        let header = ReplyHeader::decode(&mut reader).unwrap();
        if header.xid == Xid::WATCH {
            let event = WatcherEvent::decode(&mut reader).unwrap();
            return Some(Got::Event(header.zxid.0, event.kind, event.path));
        }
        let has_body = header.err.is_ok() || opcode == OpCode::SASL;
        let reply = has_body.then(|| Reply::decode(opcode, &mut reader).unwrap());
        assert_eq!(reader.remaining(), 0);
        Some(Got::Reply(header.xid.0, header.zxid.0, header.err, reply))
    }

    pub(crate) fn events(&mut self, session: Session) -> Vec<(EventType, String)> {
        let mut events = Vec::new();
        while let Some(got) = self.got(session, OpCode::PING) {
            let Got::Event(_, kind, path) = got else {
                panic!("{got:?}");
            };
            events.push((kind, path));
        }
        events
    }

    pub(crate) fn word(&mut self, word: &str) -> String {
        let conn = self.accept();
        self.send(conn, word.as_bytes());
        assert_eq!(self.closed(conn), Some(Closed::Orderly));
        String::from_utf8(self.peers[&conn].raw.clone()).unwrap()
    }
}

pub(crate) fn session(conn: ConnId, reply: Option<ConnectReply>) -> Session {
    let Some(ConnectReply::Response(response)) = reply else {
        panic!("{reply:?}");
    };
    assert!(!response.is_expired());
    let ConnectResponse {
        timeout,
        session_id: id,
        password,
        ..
    } = response;
    Session {
        conn,
        id,
        password,
        timeout,
    }
}

pub(crate) fn new_session(timeout: i32) -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout,
        session_id: SessionId::NONE,
        password: Password::EMPTY,
        read_only: Some(false),
    }
}

pub(crate) fn encode(xid: i32, request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| {
        let header = RequestHeader {
            xid: Xid(xid),
            opcode: request.opcode(),
        };
        header.encode(out);
        request.encode(&Chroot::ROOT, out);
    });
    bytes
}

pub(crate) fn create(path: &str, mode: CreateMode) -> Request<'_> {
    Request::Create {
        path: path.into(),
        data: Some((&b"data"[..]).into()),
        acl: Acl::open_unsafe_ref().into(),
        mode: mode.into(),
        with_stat: false,
    }
}

pub(crate) fn get(path: &str, watch: bool) -> Request<'_> {
    Request::GetData {
        path: path.into(),
        watch,
    }
}

pub(crate) fn set<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    Request::SetData {
        path: path.into(),
        data: Some(data.into()),
        version: -1,
    }
}

pub(crate) fn delete(path: &str) -> Request<'_> {
    Request::Delete {
        path: path.into(),
        version: -1,
    }
}
