//! Clients that say what they are told to.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use zk_proto::{
    Acl, Chroot, ConnectReply, ConnectRequest, CreateMode, ErrorCode, EventType, Frame,
    FrameDecoder, OpCode, Password, Reader, Reply, ReplyHeader, Request, RequestHeader, SessionId,
    WatcherEvent, Xid, Zxid, frame,
};
use zk_server::ConnId;

use super::World;

#[derive(Default)]
pub(crate) struct Client {
    pub(crate) conn: Option<ConnId>,
    decoder: Option<FrameDecoder>,
    pub(crate) session: Option<Session>,
    /// The answer to the connect request was that the session is gone.
    pub(crate) is_expired: bool,
    pub(crate) is_greeted: bool,
    pub(crate) closed: bool,
    pub(crate) is_closing: bool,
    pub(crate) read_only: bool,
    pub(crate) asks_read_only: bool,
    /// In milliseconds; 0 is one second.
    pub(crate) asks_timeout: i32,
    pub(crate) last: Zxid,
    pub(crate) asked: VecDeque<(i32, OpCode)>,
    pub(crate) got: VecDeque<Got>,
    next_xid: i32,
    /// When the server was last sent something, and served.
    pub(crate) touched: Option<Instant>,
    /// When it does something by itself.
    pub(crate) wakes: Option<Instant>,
    /// What it has written last with success, and what it may have written.
    pub(crate) written: u64,
    pub(crate) tried: u64,
    /// What it has asked to be written, by request.
    pub(crate) writes: BTreeMap<i32, u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) password: Password,
    pub(crate) timeout: i32,
}

/// What a client was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Got {
    Reply {
        xid: i32,
        zxid: Zxid,
        result: Result<Reply, ErrorCode>,
        opcode: OpCode,
    },
    Event(EventType, String),
}

impl Client {
    pub(crate) fn receive(&mut self, _now: Instant, bytes: &[u8]) {
        let Some(mut decoder) = self.decoder.take() else {
            return;
        };
        decoder.push(bytes);
        while let Some(next) = decoder.next_frame().unwrap() {
            let Frame::Whole { chunk, range } = next else {
                panic!("a large frame");
            };
            let mut reader = Reader::within(chunk, range);
            if !self.is_greeted {
                self.greeted(&mut reader);
                continue;
            }
            let header = ReplyHeader::decode(&mut reader).unwrap();
            if header.xid == Xid::WATCH {
                let event = WatcherEvent::decode(&mut reader).unwrap();
                self.got.push_back(Got::Event(event.kind, event.path));
                continue;
            }
            let (xid, opcode) = self.asked.pop_front().unwrap();
            assert_eq!(header.xid.0, xid, "replies are out of order");
            assert!(
                header.zxid >= self.last,
                "{} after {}",
                header.zxid,
                self.last
            );
            self.last = header.zxid;
            let result = if header.err.is_ok() {
                Ok(Reply::decode(opcode, &mut reader).unwrap())
            } else {
                Err(header.err)
            };
            let zxid = header.zxid;
            self.got.push_back(Got::Reply {
                xid,
                zxid,
                result,
                opcode,
            });
        }
        self.decoder = Some(decoder);
    }

    fn greeted(&mut self, reader: &mut Reader<'_>) {
        self.is_greeted = true;
        let ConnectReply::Response(response) = ConnectReply::decode(reader).unwrap() else {
            return;
        };
        self.read_only = response.read_only == Some(true);
        self.is_expired = response.is_expired();
        self.session = (!self.is_expired).then_some(Session {
            id: response.session_id,
            password: response.password,
            timeout: response.timeout,
        });
    }

    /// It has a session and can ask.
    pub(crate) fn is_up(&self) -> bool {
        self.is_greeted && !self.closed && self.session.is_some()
    }
}

impl World {
    pub(crate) fn add_client(&mut self) -> usize {
        self.clients.push(Client {
            closed: true,
            ..Client::default()
        });
        self.clients.len() - 1
    }

    /// Lets a client connect, with the session that it has.
    pub(crate) fn connect(&mut self, client: usize, at: usize) {
        self.disconnect(client);
        let conn = self.next_conn();
        let it = &mut self.clients[client];
        it.conn = Some(conn);
        it.decoder = Some(FrameDecoder::new(1 << 20));
        (it.is_greeted, it.closed, it.is_expired) = (false, false, false);
        it.asked.clear();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: it.last,
            timeout: if it.asks_timeout == 0 {
                1000
            } else {
                it.asks_timeout
            },
            session_id: it.session.map_or(SessionId::NONE, |session| session.id),
            password: it
                .session
                .map_or(Password::EMPTY, |session| session.password),
            read_only: Some(it.asks_read_only),
        };
        let mut bytes = Vec::new();
        frame(&mut bytes, |out| request.encode(out));
        self.conns.insert(conn, (at, client));
        self.peers[at].handle_accept(self.now, conn, ([127, 0, 0, 1], 4000).into());
        self.peers[at].handle_data(self.now, conn, &bytes);
        self.drain(at);
    }

    /// A client closes its connection.
    pub(crate) fn disconnect(&mut self, client: usize) {
        self.clients[client].closed = true;
        let conn = self.clients[client].conn.take();
        if let Some(conn) = conn
            && let Some((at, _)) = self.conns.remove(&conn)
        {
            self.peers[at].handle_closed(self.now, conn);
            self.drain(at);
        }
    }

    /// A client with a new session.
    pub(crate) fn client(&mut self, at: usize) -> usize {
        let client = self.add_client();
        self.connect(client, at);
        assert!(
            self.until(20, |world| world.clients[client].is_up()),
            "no session: {self:?}"
        );
        client
    }

    pub(crate) fn ask(&mut self, client: usize, request: &Request<'_>) -> i32 {
        let it = &mut self.clients[client];
        it.next_xid += 1;
        let xid = if *request == Request::Ping {
            -2
        } else {
            it.next_xid
        };
        it.asked.push_back((xid, request.opcode()));
        it.is_closing |= *request == Request::CloseSession;
        let mut bytes = Vec::new();
        frame(&mut bytes, |out| {
            let header = RequestHeader {
                xid: Xid(xid),
                opcode: request.opcode(),
            };
            header.encode(out);
            request.encode(&Chroot::ROOT, out);
        });
        let conn = it.conn;
        if let Some(conn) = conn
            && let Some(&(at, _)) = self.conns.get(&conn)
        {
            if self.peers[at].is_serving() {
                self.clients[client].touched = Some(self.now);
            }
            self.peers[at].handle_data(self.now, conn, &bytes);
            self.drain(at);
        }
        xid
    }

    /// Asks and waits. `None` if the connection ends first, or nothing comes for so many ticks.
    pub(crate) fn call_within(
        &mut self,
        client: usize,
        request: &Request<'_>,
        ticks: u32,
    ) -> Option<Result<Reply, ErrorCode>> {
        let xid = self.ask(client, request);
        let has = |world: &Self| {
            let it = &world.clients[client];
            it.closed || it.asked.iter().all(|(asked, _)| *asked != xid)
        };
        self.until(ticks, has);
        self.clients[client].got.iter().find_map(|got| match got {
            Got::Reply {
                xid: of, result, ..
            } if *of == xid => Some(result.clone()),
            _ => None,
        })
    }

    pub(crate) fn call(
        &mut self,
        client: usize,
        request: &Request<'_>,
    ) -> Option<Result<Reply, ErrorCode>> {
        self.clients[client].got.clear();
        self.call_within(client, request, 20)
    }

    /// The data of a node as a client is shown it.
    pub(crate) fn get(&mut self, client: usize, path: &str) -> String {
        match self.call(client, &get(path)) {
            Some(Ok(Reply::Data { data, .. })) => String::from_utf8(data.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// A client whose session ends so many milliseconds after it was last heard of.
    pub(crate) fn client_of(&mut self, at: usize, timeout: i32) -> usize {
        let client = self.add_client();
        self.clients[client].asks_timeout = timeout;
        self.connect(client, at);
        assert!(
            self.until(20, |world| world.clients[client].is_up()),
            "no session: {self:?}"
        );
        client
    }

    pub(crate) fn session(&self, client: usize) -> SessionId {
        self.clients[client].session.unwrap().id
    }
}

pub(crate) fn create<'a>(path: &'a str, data: &'a str, mode: CreateMode) -> Request<'a> {
    Request::Create {
        path: path.into(),
        data: Some(data.as_bytes().into()),
        acl: Acl::open_unsafe_ref().into(),
        mode: mode.into(),
        with_stat: false,
    }
}

pub(crate) fn get(path: &str) -> Request<'_> {
    Request::GetData {
        path: path.into(),
        watch: false,
    }
}

pub(crate) fn set<'a>(path: &'a str, data: &'a str) -> Request<'a> {
    Request::SetData {
        path: path.into(),
        data: Some(data.as_bytes().into()),
        version: -1,
    }
}

pub(crate) fn sync() -> Request<'static> {
    Request::Sync { path: "/".into() }
}
