//! One session, its user, and its connection, on which everything is read on its way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Instant;

use bytes::Bytes;
use zk_proto::{
    Chroot, ErrorCode, OpCode, Reader, Reply, ReplyHeader, Request, RequestHeader, ServerAddr, Xid,
};
use zk_server::ConnId as ServerConn;
use zk_session::{Action, Call, Config, ConnId, Event, RequestError, RequestId, Session, WatchId};

use super::Shared;
use super::asked::Ask;
use super::truth::Truth;
use super::watcher::{Kind, Watcher, are_apart};

type Said = Result<Reply, ErrorCode>;

pub(super) struct Client {
    pub(super) session: Session,
    chroot: Chroot,
    /// A connection that is to be made.
    wanted: Option<ConnId>,
    peer: Option<Peer>,
    /// Requests of the user that have not ended, in order.
    submitted: VecDeque<RequestId>,
    /// Those of them that have left the session, in order, and what the server said.
    sent: VecDeque<Option<Said>>,
    /// How many have ended that had left.
    ended: usize,
    /// Watchers whose requests have not ended.
    pending: BTreeMap<RequestId, (WatchId, Watcher)>,
    watchers: BTreeMap<WatchId, Watcher>,
    ids: Vec<WatchId>,
    /// All that were ever asked for.
    kinds: BTreeSet<Kind>,
}

struct Peer {
    conn: ConnId,
    server: ServerConn,
    /// Bytes that are no whole frame yet.
    rest: Vec<u8>,
    /// On their way to the server; of requests of the user, their number.
    frames: VecDeque<(Bytes, Option<usize>)>,
    has_greeted: bool,
    awaited: VecDeque<Awaited>,
    /// From the server, as far as it has been read.
    heard: Vec<u8>,
    was_greeted: bool,
    to_client: Vec<u8>,
    hung_up: bool,
}

struct Awaited {
    xid: Xid,
    opcode: OpCode,
    truth: Option<Truth>,
    number: Option<usize>,
}

impl Client {
    pub(super) fn new(number: u8, below: bool, little: bool) -> Self {
        let config = Config::builder(vec![ServerAddr::new("server", 2181)])
            .transmit_chunk(if little { 1 } else { 65_536 })
            .build()
            .expect("the options are sound");
        Self {
            session: Session::new(config, [number; 32], zk_rig::world::epoch()),
            chroot: Chroot::parse(if below { "/a" } else { "" }).expect("a path"),
            wanted: None,
            peer: None,
            submitted: VecDeque::new(),
            sent: VecDeque::new(),
            ended: 0,
            pending: BTreeMap::new(),
            watchers: BTreeMap::new(),
            ids: Vec::new(),
            kinds: BTreeSet::new(),
        }
    }

    pub(super) fn is_at(&self, conn: ServerConn) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.server == conn)
    }

    /// It is connected and waits for nothing, or it is over.
    pub(super) fn is_idle(&self) -> bool {
        let quiet = |peer: &Peer| peer.frames.is_empty() && peer.to_client.is_empty();
        self.session.is_finished()
            || self.session.state().is_connected()
                && self.submitted.is_empty()
                && self.peer.as_ref().is_some_and(quiet)
    }

    pub(super) fn at_rest(&self, shared: &Shared) {
        assert!(self.submitted.is_empty() && self.sent.is_empty() && self.pending.is_empty());
        if are_apart(&self.kinds) {
            for watcher in self.watchers.values() {
                watcher.at_rest(&shared.changes, shared.release);
            }
        }
    }

    pub(super) fn ask(&mut self, now: Instant, ask: &Ask) {
        let request = ask.request();
        let call = Call::new(&request, &self.chroot);
        let Ok(submitted) = self.session.submit(now, call) else {
            return;
        };
        self.submitted.push_back(submitted.id);
        assert_eq!(submitted.watch.is_some(), ask.watch().is_some());
        if let (Some(id), Some(kind)) = (submitted.watch, ask.watch()) {
            let chroot = self.chroot.as_str().to_owned();
            let path = match ask.path() {
                "/" if !chroot.is_empty() => chroot.clone(),
                path => format!("{chroot}{path}"),
            };
            let watcher = Watcher::new(kind, path, chroot);
            self.pending.insert(submitted.id, (id, watcher));
            self.ids.push(id);
            self.kinds.insert(kind);
        }
    }

    pub(super) fn unwatch(&mut self, now: Instant, which: usize) {
        if let Some(id) = self.ids.get(which) {
            self.session.unwatch(now, *id);
            self.watchers.remove(id);
            self.pending.retain(|_, (pending, _)| pending != id);
        }
    }

    pub(super) fn connect(&mut self, shared: &mut Shared) -> bool {
        let Some(conn) = self.wanted.take() else {
            return false;
        };
        self.peer = Some(Peer {
            conn,
            server: shared.accept(),
            rest: Vec::new(),
            frames: VecDeque::new(),
            has_greeted: false,
            awaited: VecDeque::new(),
            heard: Vec::new(),
            was_greeted: false,
            to_client: Vec::new(),
            hung_up: false,
        });
        self.session.handle_connected(shared.now, conn);
        true
    }

    /// Takes what the session has to send.
    pub(super) fn transmit(&mut self, now: Instant) -> bool {
        let Some(peer) = &mut self.peer else {
            return false;
        };
        let mut moved = false;
        while self.session.poll_transmit(now, peer.conn, &mut peer.rest) > 0 {
            moved = true;
            for frame in frames(&mut peer.rest) {
                let own = std::mem::replace(&mut peer.has_greeted, true) && is_asked(&frame);
                let number = own.then(|| self.ended + self.sent.len());
                self.sent.extend(own.then_some(None));
                peer.frames.push_back((frame, number));
            }
        }
        moved
    }

    /// The server gets one frame.
    pub(super) fn serve(&mut self, shared: &mut Shared) -> bool {
        let Some(peer) = &mut self.peer else {
            return false;
        };
        let Some((frame, number)) = peer.frames.pop_front() else {
            return false;
        };
        let session = shared.server.member().session_of(peer.server);
        shared.server.handle_data(shared.now, peer.server, &frame);
        shared.settle();
        let Some(session) = session else {
            return true; // a greeting, or nobody listens any more
        };
        let mut reader = Reader::within(&frame, 4..frame.len());
        let header = RequestHeader::decode(&mut reader).expect("a header");
        let request = Request::decode(header.opcode, &mut reader).expect("a request");
        let truth = number.and_then(|_| shared.truth(session, &request));
        assert!(
            number.is_none() || truth.is_some(),
            "{request:?} is not known"
        );
        peer.awaited.push_back(Awaited {
            xid: header.xid,
            opcode: header.opcode,
            truth,
            number,
        });
        true
    }

    /// Takes what the server has to send, and holds it against the model.
    pub(super) fn hear(&mut self, shared: &mut Shared) {
        let Some(peer) = &mut self.peer else { return };
        let start = peer.to_client.len();
        while shared
            .server
            .poll_transmit(peer.server, &mut peer.to_client)
            > 0
        {}
        peer.heard.extend_from_slice(&peer.to_client[start..]);
        for frame in frames(&mut peer.heard) {
            let mut reader = Reader::within(&frame, 4..frame.len());
            if !std::mem::replace(&mut peer.was_greeted, true) {
                continue;
            }
            let header = ReplyHeader::decode(&mut reader).expect("a header");
            if header.xid == Xid::WATCH {
                continue;
            }
            let awaited = peer.awaited.pop_front().expect("an answer to something");
            assert_eq!(header.xid, awaited.xid);
            let said = match header.err {
                ErrorCode::OK => Ok(Reply::decode(awaited.opcode, &mut reader).expect("a reply")),
                code => Err(code),
            };
            assert_eq!(if said.is_ok() { reader.remaining() } else { 0 }, 0);
            if let Some(truth) = awaited.truth {
                let opcode = awaited.opcode;
                assert!(truth.is(&said), "{opcode}: {said:?} is not {truth:?}");
            }
            if let Some(at) = awaited
                .number
                .and_then(|number| number.checked_sub(self.ended))
            {
                self.sent[at] = Some(said);
            }
        }
    }

    /// The server has closed the connection.
    pub(super) fn hung_up(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.hung_up = true;
            peer.frames.clear();
        }
    }

    /// The session gets so many bytes.
    pub(super) fn deliver(&mut self, now: Instant, bytes: usize) -> bool {
        let Some(peer) = &mut self.peer else {
            return false;
        };
        let bytes = bytes.min(peer.to_client.len());
        let piece: Vec<u8> = peer.to_client.drain(..bytes).collect();
        if !piece.is_empty() {
            self.session.handle_data(now, peer.conn, &piece);
            return true;
        }
        if peer.hung_up {
            let conn = peer.conn;
            self.broken();
            let why = io::ErrorKind::UnexpectedEof;
            self.session.handle_disconnected(now, conn, why);
            return true;
        }
        false
    }

    /// The connection breaks.
    pub(super) fn cut(&mut self, shared: &mut Shared) {
        if let Some(peer) = self.broken() {
            shared.server.handle_closed(shared.now, peer.server);
            let why = io::ErrorKind::ConnectionReset;
            self.session.handle_disconnected(shared.now, peer.conn, why);
        }
    }

    fn broken(&mut self) -> Option<Peer> {
        for watcher in self.watchers.values_mut() {
            watcher.unbroken = false;
        }
        self.peer.take()
    }

    /// Does what the session wants, and looks at what it tells.
    pub(super) fn look(&mut self, shared: &mut Shared) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Connect { conn, .. } => self.wanted = Some(conn),
                Action::Disconnect { conn, abort } => {
                    self.wanted.take_if(|wanted| *wanted == conn);
                    if self.peer.as_ref().is_some_and(|peer| peer.conn == conn) {
                        while !abort && self.serve(shared) {}
                        if let Some(peer) = self.broken() {
                            shared.server.handle_closed(shared.now, peer.server);
                        }
                    }
                }
                Action::Sasl { .. } => panic!("nobody asked for that"),
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Completed { id, zxid, result } => {
                    self.completed(id, &result);
                    self.registered(id, zxid, &result);
                }
                Event::Watch { id, notice } => {
                    let apart = are_apart(&self.kinds);
                    let watcher = self.watchers.get_mut(&id).expect("a watcher that is there");
                    if !watcher.notice(&notice, apart, shared) {
                        self.watchers.remove(&id);
                    }
                }
                _ => {}
            }
        }
    }

    /// What the user is told is what the server said.
    fn completed(&mut self, id: RequestId, result: &Result<Reply, RequestError>) {
        assert_eq!(self.submitted.pop_front(), Some(id), "in order");
        let (sent, answer) = match result {
            Ok(reply) => (true, Some(Ok(reply.clone()))),
            Err(RequestError::Server(code)) => (true, Some(Err(*code))),
            Err(
                RequestError::ConnectionLoss { sent }
                | RequestError::SessionExpired { sent }
                | RequestError::Closed { sent },
            ) => (*sent, None),
            Err(error) => panic!("{error}"),
        };
        if !sent {
            return;
        }
        self.ended += 1;
        let mut said = self.sent.pop_front().expect("it has left the session");
        if let Some(Ok(reply)) = &mut said {
            reply.strip_chroot(&self.chroot);
        }
        if answer.is_some() {
            assert_eq!(answer, said, "what the server said is told");
        }
    }

    fn registered(
        &mut self,
        id: RequestId,
        zxid: zk_proto::Zxid,
        result: &Result<Reply, RequestError>,
    ) {
        let Some((watch, mut watcher)) = self.pending.remove(&id) else {
            return;
        };
        let missing = *result == Err(RequestError::Server(ErrorCode::NO_NODE));
        if result.is_ok() || missing && watcher.kind == Kind::Exists {
            watcher.since = Some(zxid);
            self.watchers.insert(watch, watcher);
        }
    }
}

/// Whether a frame is a request of the user.
fn is_asked(frame: &Bytes) -> bool {
    let header = RequestHeader::decode(&mut Reader::within(frame, 4..frame.len()));
    !matches!(
        header.expect("a header").opcode,
        OpCode::PING
            | OpCode::SET_WATCHES
            | OpCode::SET_WATCHES2
            | OpCode::REMOVE_WATCHES
            | OpCode::CHECK_WATCHES
            | OpCode::CLOSE_SESSION
    )
}

/// Takes whole frames, with their lengths.
fn frames(bytes: &mut Vec<u8>) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some(length) = bytes.first_chunk() {
        let end = 4 + u32::from_be_bytes(*length) as usize;
        if bytes.len() < end {
            break;
        }
        frames.push(bytes.drain(..end).collect());
    }
    frames
}
