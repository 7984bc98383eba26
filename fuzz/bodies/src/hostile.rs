//! A session and a server that says what it wants.
//!
//! An input is a list of steps, each a byte that says which, see [`World::step`], and the bytes that
//! the step takes. A step is a call of the session, or something that the server sends. The server
//! knows which replies are awaited, so that the fuzzer need not guess xids to get anywhere; it may
//! also send whatever it likes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_proto::{
    Acl, AddWatchMode, Chroot, ConnectReply, ConnectResponse, CreateMode, ErrorCode, MultiOp,
    OpCode, Password, ReadOp, Reader, ReplyHeader, Request, RequestHeader, ServerAddr, SessionId,
    WatcherType, Xid, Zxid, frame,
};
use zk_rig::checks::{Checks, tag_text};
use zk_rig::options::Options;
use zk_rig::world::{epoch, server};
use zk_session::{
    Action, Call, Cancelled, Config, ConnId, Event, KeepAlive, Outcome, RequestId, SaslError,
    Session, State, TimerId, WatchId,
};

use crate::cursor::Cursor;

/// The most that a session takes for a byte of input. A byte can be a request, which has a place in
/// several tables, an event, and bytes on both ways.
const EACH: u64 = 4096;
/// What it takes anyway, and what one large reply takes that was announced and lent a buffer for.
const LEAST: u64 = (1 << 20) + 2 * MAX_REPLY as u64;
/// Large enough for a buffer to be lent.
const MAX_REPLY: usize = 256 * 1024;

/// A session whose server is hostile.
///
/// # Panics
/// If the session breaks a promise, or takes more memory than what it was given accounts for.
pub fn session_bytes(input: &[u8]) {
    let taken = allocation_counter::measure(|| {
        let mut cursor = Cursor::new(input);
        let mut world = World::new(&mut cursor);
        while !cursor.is_empty() {
            world.step(&mut cursor);
        }
        world.finish();
    });
    let bound = EACH * input.len() as u64 + LEAST;
    let most = taken.bytes_max;
    assert!(most <= bound, "{} bytes of input took {most}", input.len());
}

struct World {
    session: Session,
    checks: Checks,
    now: Instant,
    /// Connections, and whether they are up.
    wires: BTreeMap<ConnId, bool>,
    /// Those that are over.
    old: Vec<ConnId>,
    /// Requests that the server has seen and not answered.
    awaited: VecDeque<(Xid, OpCode)>,
    sasl: Vec<ConnId>,
    requests: Vec<RequestId>,
    watches: Vec<WatchId>,
    timers: Vec<TimerId>,
    tag: u64,
    zxid: i64,
}

impl World {
    fn new(cursor: &mut Cursor<'_>) -> Self {
        let session = Session::new(config(cursor), [7; 32], epoch());
        let mut checks = Checks::new(session.state());
        checks.honest = false;
        Self {
            session,
            checks,
            now: epoch(),
            wires: BTreeMap::new(),
            old: Vec::new(),
            awaited: VecDeque::new(),
            sasl: Vec::new(),
            requests: Vec::new(),
            watches: Vec::new(),
            timers: Vec::new(),
            tag: 0,
            zxid: 1,
        }
    }

    /// One step. Seeds are written with the same numbers: see `seeds`.
    fn step(&mut self, cursor: &mut Cursor<'_>) {
        let now = self.now;
        match cursor.byte() % 32 {
            step::RAW => {
                let length = cursor.byte();
                let bytes = cursor.take(usize::from(length)).to_vec();
                self.hear(cursor.byte(), &bytes);
            }
            step::FRAME => {
                let length = cursor.byte();
                let bytes = cursor.take(usize::from(length)).to_vec();
                let mut framed = Vec::new();
                frame(&mut framed, |out| out.extend_from_slice(&bytes));
                self.hear(cursor.byte(), &framed);
            }
            step::GREET => self.greet(cursor),
            step::REPLY => self.reply(cursor),
            step::LONG => self.announce(cursor),
            step::CONNECTED => {
                if let Some(conn) = self.pick(cursor.byte()) {
                    self.wires.insert(conn, true);
                    self.session.handle_connected(now, conn);
                }
            }
            step::TRANSMIT => self.transmit(usize::from(cursor.byte())),
            step::FORWARD => self.forward(cursor.byte()),
            step::ATTACH => self.attach(),
            step::CUT => self.cut(cursor.byte()),
            step::STALE => self.stale(cursor.byte()),
            step::SASL => {
                let good = cursor.byte() % 8 != 0;
                for conn in std::mem::take(&mut self.sasl) {
                    let bad = SaslError::new("no ticket");
                    let token = good.then(|| b"token".to_vec()).ok_or(bad);
                    self.session.handle_sasl(now, conn, token);
                }
            }
            step::DRAIN => self.drain(),
            step::WAIT => {
                self.now += Duration::from_millis(u64::from(cursor.short()));
                self.session.handle_timeout(self.now);
            }
            step::DUE => {
                self.drain();
                if let Some(due) = self.session.poll_timeout() {
                    // Not to the end of the world, where a limit of years lies.
                    let most = self.now + Duration::from_secs(1 << 20);
                    self.now = self.now.max(due.min(most));
                }
                self.session.handle_timeout(self.now);
                self.settle();
            }
            step::SUBMIT.. => self.ask(cursor),
            _ => {}
        }
    }

    fn ask(&mut self, cursor: &mut Cursor<'_>) {
        let now = self.now;
        match cursor.byte() % 32 {
            20 => {
                let which = usize::from(cursor.byte());
                if let Some(id) = self.requests.get(which).copied() {
                    match self.session.cancel(now, id) {
                        Cancelled::Unknown => {}
                        outcome => self.checks.cancelled(id, outcome == Cancelled::Unsent),
                    }
                }
            }
            21 => {
                self.drain();
                if let Some(id) = self.watches.get(usize::from(cursor.byte())) {
                    self.session.unwatch(now, *id);
                    self.checks.unwatched(*id);
                }
            }
            22 => {
                let at = epoch() + Duration::from_millis(u64::from(cursor.short()) * 4);
                let id = self.session.set_timer(at);
                self.checks.timer(id);
                self.timers.push(id);
            }
            23 => {
                self.drain();
                if let Some(id) = self.timers.get(usize::from(cursor.byte())) {
                    self.session.cancel_timer(*id);
                    self.checks.timer_cancelled(*id);
                }
            }
            24 => self.session.set_servers(now, &list(cursor.byte())),
            25 => self.session.set_fallback_servers(&list(cursor.byte())),
            26 => self.session.set_keep_alive(now, KeepAlive::Sync),
            27 => self.session.set_keep_alive(now, KeepAlive::Ping),
            28 => self.session.reconnect(now),
            29 => {
                let limit = Duration::from_millis(u64::from(cursor.short()));
                self.session.close(now, limit);
            }
            30 => {
                let limit = Duration::from_millis(u64::from(cursor.short()));
                self.session.detach(now, limit);
            }
            31 => self.session.random(&mut [0; 3]),
            body => self.submit(body, cursor.byte()),
        }
    }

    fn submit(&mut self, body: u8, flags: u8) {
        let flag = |bit: u8| flags & (1 << bit) != 0;
        self.tag += 1;
        let tag = tag_text(self.tag);
        // Shared paths for watches to meet on.
        let path = if flag(0) {
            "/a".to_owned()
        } else {
            format!("/{tag}")
        };
        let request = request(body, &path, &tag, flag(1), flag(2));
        let chroot = if flag(3) { "/app" } else { "" };
        let chroot = Chroot::parse(chroot).expect("a path");
        let deadline = flag(4).then(|| self.now + Duration::from_millis(1500));
        let mut call = Call::new(&request, &chroot).deadline(deadline);
        if flag(5) {
            call = call.urgent();
        }
        match self.session.submit(self.now, call) {
            Ok(submitted) => {
                self.checks.submitted(submitted.id, Some(self.tag));
                self.requests.push(submitted.id);
                if let Some(id) = submitted.watch {
                    let lasting = matches!(request, Request::AddWatch { .. });
                    self.checks.watcher(id, lasting);
                    self.watches.push(id);
                }
            }
            Err(refused) => drop(refused.to_string()),
        }
    }

    fn pick(&self, which: u8) -> Option<ConnId> {
        let conns: Vec<ConnId> = self.wires.keys().copied().collect();
        (!conns.is_empty()).then(|| conns[usize::from(which) % conns.len()])
    }

    /// Bytes of the server arrive on all connections that are up. `how` they are cut: in pieces of so
    /// many bytes, or whole, or read into a loan.
    fn hear(&mut self, how: u8, bytes: &[u8]) {
        let size = match how % 64 {
            0 => bytes.len(),
            size => usize::from(size),
        };
        for conn in self.up() {
            for piece in bytes.chunks(size.max(1)) {
                let mut rest = piece;
                let wants = self.session.wants_read(conn);
                if let Some(mut loan) = (how >= 128).then(|| self.session.lend(conn)).flatten() {
                    assert!(self.session.read_hint(conn) > 0);
                    let room = loan.unfilled();
                    let fits = room.len().min(rest.len());
                    room[..fits].copy_from_slice(&rest[..fits]);
                    loan.advance(fits);
                    self.session.handle_lent(self.now, conn, loan);
                    rest = &rest[fits..];
                }
                // A driver may read although it was asked not to, but not for ever.
                if !wants {
                    self.drain();
                }
                self.session.handle_data(self.now, conn, rest);
            }
        }
    }

    fn up(&self) -> Vec<ConnId> {
        let up = self.wires.iter().filter(|(_, up)| **up);
        up.map(|(conn, _)| *conn).collect()
    }

    /// A greeting that makes sense, more or less.
    fn greet(&mut self, cursor: &mut Cursor<'_>) {
        let flags = cursor.byte();
        let mut out = Vec::new();
        let reply = if flags & 0x80 != 0 {
            ConnectReply::Refused(ErrorCode(i32::from(cursor.byte() as i8)))
        } else {
            ConnectReply::Response(ConnectResponse {
                protocol_version: 0,
                timeout: [6000, 0, 1, i32::MAX][usize::from(flags & 3)],
                session_id: SessionId(i64::from(flags >> 2 & 3)),
                password: Password::from([flags >> 2 & 3; 16]),
                read_only: [Some(false), Some(true), None, None][usize::from(flags >> 4 & 3)],
            })
        };
        frame(&mut out, |out| reply.encode(out));
        self.hear(0, &out);
    }

    /// An answer to the oldest request, or to one that is not due: flags, the number of bytes of the
    /// body, and these bytes.
    fn reply(&mut self, cursor: &mut Cursor<'_>) {
        let flags = cursor.byte();
        let length = cursor.byte();
        let body = cursor.take(usize::from(length)).to_vec();
        let which = usize::from(flags & 1).min(self.awaited.len().saturating_sub(1));
        let Some((xid, opcode)) = self.awaited.remove(which) else {
            return;
        };
        let err = match flags >> 4 {
            0..8 => ErrorCode::OK,
            8 => ErrorCode::NO_NODE,
            9 => ErrorCode::SESSION_EXPIRED,
            10 => ErrorCode::AUTH_FAILED,
            11 => ErrorCode::UNIMPLEMENTED,
            12 => ErrorCode::NOT_READ_ONLY,
            13 => ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
            14 => ErrorCode::NO_WATCHER,
            _ => ErrorCode(i32::from(length)),
        };
        self.zxid += i64::from(flags >> 1 & 1);
        let zxid = Zxid(if flags & 4 == 0 { self.zxid } else { 0 });
        let mut out = Vec::new();
        frame(&mut out, |out| {
            ReplyHeader { xid, zxid, err }.encode(out);
            out.extend_from_slice(&body);
            // Null and empty things, and zeros, make a body for most.
            if flags & 8 != 0 && err == ErrorCode::OK {
                out.extend_from_slice(plain_body(opcode));
            }
        });
        self.hear(flags & 0x80, &out);
    }

    /// A reply that is announced as long, and of which little comes.
    fn announce(&mut self, cursor: &mut Cursor<'_>) {
        let length = u32::from(cursor.short()) << 4;
        let xid = self.awaited.front().map_or(Xid(1), |(xid, _)| *xid);
        let mut out = length.to_be_bytes().to_vec();
        let (zxid, err) = (Zxid(self.zxid), ErrorCode::OK);
        ReplyHeader { xid, zxid, err }.encode(&mut out);
        let how = cursor.byte();
        self.hear(how, &out);
        // Some of it, by itself and by a loan.
        let most = usize::from(cursor.short()).min(length as usize);
        self.hear(how | 128, &vec![0; most]);
    }

    /// Takes what the session has to say, at most so many times.
    fn transmit(&mut self, times: usize) {
        for conn in self.up() {
            for _ in 0..=times {
                let mut out = Vec::new();
                let told = self.session.poll_transmit(self.now, conn, &mut out);
                assert_eq!(told, out.len(), "it says what it appends");
                if out.is_empty() {
                    break;
                }
                self.read(&out);
            }
        }
    }

    /// What the server makes of what it gets. The first frame of a connection, which has zeros where
    /// requests have their number, repeats a password that the server itself has chosen.
    fn read(&mut self, out: &[u8]) {
        let mut rest = out;
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((frame, after)) = after.split_at_checked(length) else {
                return;
            };
            rest = after;
            let frame = bytes::Bytes::copy_from_slice(frame);
            let mut reader = Reader::new(&frame);
            let header = RequestHeader::decode(&mut reader);
            if let Some(header) = header.ok().filter(|header| header.xid != Xid(0)) {
                self.checks.transmitted(&frame);
                self.awaited.push_back((header.xid, header.opcode));
            }
        }
    }

    /// All that an honest network would do at once: connections come up, bytes go out.
    fn forward(&mut self, _: u8) {
        self.drain();
        for (conn, up) in &mut self.wires {
            if !*up {
                *up = true;
                self.session.handle_connected(self.now, *conn);
            }
        }
        self.transmit(100);
        self.drain();
    }

    /// The shortest way to a session that can be used, if nothing stands in it.
    fn attach(&mut self) {
        self.forward(0);
        let greeting = [0x04];
        self.greet(&mut Cursor::new(&greeting));
        self.forward(0);
    }

    fn cut(&mut self, which: u8) {
        const KINDS: [io::ErrorKind; 4] = [
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::NotFound,
            io::ErrorKind::TimedOut,
        ];
        if let Some(conn) = self.pick(which & 1) {
            self.over(conn);
            let why = KINDS[usize::from(which >> 1) % KINDS.len()];
            self.session.handle_disconnected(self.now, conn, why);
        }
    }

    fn over(&mut self, conn: ConnId) {
        self.wires.remove(&conn);
        self.old.push(conn);
        self.awaited.clear();
    }

    /// News of a connection that is over.
    fn stale(&mut self, which: u8) {
        let Some(conn) = self.old.get(usize::from(which >> 3)).copied() else {
            return;
        };
        let now = self.now;
        match which & 7 {
            0 => self.session.handle_connected(now, conn),
            1 => self.session.handle_data(now, conn, b"late news"),
            2 => self
                .session
                .handle_disconnected(now, conn, io::ErrorKind::BrokenPipe),
            3 => self.session.handle_sasl(now, conn, Ok(Vec::new())),
            _ => {
                assert!(self.session.lend(conn).is_none(), "nothing is under way");
                assert_eq!(self.session.poll_transmit(now, conn, &mut Vec::new()), 0);
                assert!(!self.session.wants_read(conn));
                assert_eq!(self.session.read_hint(conn), 0);
            }
        }
    }

    /// Fetches all actions and events.
    fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            let _ = format!("{action:?}");
            match action {
                Action::Connect { conn, .. } => {
                    let known = self.wires.insert(conn, false);
                    assert!(known.is_none() && !self.old.contains(&conn), "{conn} twice");
                    assert!(self.wires.len() <= 2, "one connection and one probe");
                }
                Action::Disconnect { conn, .. } => {
                    let known = self.wires.contains_key(&conn) || self.old.contains(&conn);
                    assert!(known, "{conn} was never asked for");
                    self.over(conn);
                }
                Action::Sasl { conn, .. } => self.sasl.push(conn),
            }
        }
        while let Some(event) = self.session.poll_event() {
            let _ = format!("{event:?}");
            self.checks.event(&event);
            if let Event::Completed {
                result: Err(error), ..
            } = event
            {
                let _ = format!("{error} {:?}", error.source().map(ToString::to_string));
                let applied = error.outcome() == Outcome::Applied;
                assert!(!(applied && error.is_retryable()), "twice: {error:?}");
            }
        }
        if !self.checks.is_closed() {
            self.checks.at_rest(self.session.state());
        }
        self.look();
    }

    /// What can be seen from outside is consistent.
    fn look(&self) {
        let session = &self.session;
        let _ = format!("{session:?} {:?}", session.timeout_reason());
        let there = session.state() != State::Lost;
        assert!(there || session.deadline().is_none(), "{session:?}");
        assert_eq!(there, session.credentials().is_some(), "{session:?}");
        assert_eq!(there, session.negotiated_timeout().is_some());
        assert!(!session.servers().is_empty());
        if let Some((server, error)) = session.last_error() {
            let _ = format!("{server}: {error}");
        }
        let connected = session.state().is_connected();
        assert!(!connected || session.server().is_some(), "{session:?}");
    }

    /// What is due is done, after which nothing more is due.
    fn settle(&mut self) {
        for _ in 0..64 {
            self.drain();
            if self.session.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            self.session.handle_timeout(self.now);
        }
        panic!("a busy loop over {:?}", self.session.timeout_reason());
    }

    /// Ends the session, whether or not the server helps, and looks at what is left.
    fn finish(&mut self) {
        self.session.close(self.now, Duration::from_secs(3));
        for _ in 0..200 {
            self.settle();
            if self.session.is_finished() {
                break;
            }
            self.transmit(100);
            self.drain();
            let next = self.session.poll_timeout();
            if self.session.is_finished() {
                break;
            }
            self.now = self.now.max(next.expect("something is awaited"));
            self.session.handle_timeout(self.now);
        }
        assert!(self.session.is_finished(), "the close never ends");
        assert!(self.wires.is_empty(), "connections are left");
        self.checks.finished(&BTreeSet::new());
        let stats = self.session.stats();
        let left = [
            stats.in_flight,
            stats.queued,
            stats.pending_bytes,
            stats.watches,
            stats.watched_paths,
            stats.timers,
            stats.deadlines,
            stats.events,
        ];
        assert_eq!(left, [0; 8], "something is left: {stats:?}");
    }
}

/// The numbers of the steps.
pub(crate) mod step {
    pub(crate) const RAW: u8 = 0;
    pub(crate) const FRAME: u8 = 1;
    pub(crate) const GREET: u8 = 2;
    pub(crate) const REPLY: u8 = 3;
    pub(crate) const LONG: u8 = 4;
    pub(crate) const CONNECTED: u8 = 5;
    pub(crate) const TRANSMIT: u8 = 6;
    pub(crate) const FORWARD: u8 = 7;
    pub(crate) const ATTACH: u8 = 8;
    pub(crate) const CUT: u8 = 9;
    pub(crate) const STALE: u8 = 10;
    pub(crate) const SASL: u8 = 11;
    pub(crate) const DRAIN: u8 = 12;
    pub(crate) const WAIT: u8 = 13;
    pub(crate) const DUE: u8 = 14;
    /// This one and all above.
    pub(crate) const SUBMIT: u8 = 16;
}

fn config(cursor: &mut Cursor<'_>) -> Arc<Config> {
    let flags = cursor.byte();
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let options = Options {
        timeout: 6000,
        resume: flag(0),
        auth: usize::from(flag(1)),
        read_only: flag(2),
        tries: flag(3).then_some(3),
        connect_timeout: None,
        give_up: None,
        max_queued: (1000, 100_000),
        max_request: 10_000,
        max_reply: if flag(4) { 40 } else { MAX_REPLY },
        chunk: if flag(5) { 30 } else { 65_536 },
        max_events: if flag(6) { 2 } else { 1000 },
        layered: false,
        mechanism: flag(7).then_some(flag(0)),
        ..Options::read_only(2)
    };
    options.build()
}

fn list(mask: u8) -> Vec<ServerAddr> {
    let servers = (0..4).filter(|n| mask & (1 << n) != 0);
    servers.map(server).collect()
}

/// What follows the bytes of an input in a reply, so that it can be read.
fn plain_body(opcode: OpCode) -> &'static [u8] {
    const ZEROS: [u8; 96] = [0; 96];
    const END_OF_MULTI: [u8; 9] = [255, 255, 255, 255, 1, 255, 255, 255, 255];
    match opcode {
        OpCode::MULTI | OpCode::MULTI_READ => &END_OF_MULTI,
        _ => &ZEROS,
    }
}

fn request<'a>(body: u8, path: &'a str, tag: &'a str, watch: bool, other: bool) -> Request<'a> {
    let at = || path.into();
    let data = || Some(tag.as_bytes().into());
    let acl = || Acl::open_unsafe_ref().into();
    let version = -1;
    let (mode, with_stat) = if other {
        (CreateMode::EphemeralSequential.into(), watch)
    } else {
        (CreateMode::Persistent.into(), watch)
    };
    let create = |path, data| MultiOp::Create {
        path,
        data,
        acl: acl(),
        mode,
        with_stat,
    };
    match body {
        0 => Request::Create {
            path: at(),
            data: data(),
            acl: acl(),
            mode,
            with_stat,
        },
        1 => Request::Delete {
            path: at(),
            version,
        },
        2 => Request::SetData {
            path: at(),
            data: data(),
            version,
        },
        3 | 4 => Request::Exists { path: at(), watch },
        5 | 6 => Request::GetData { path: at(), watch },
        7 | 8 => Request::GetChildren {
            path: at(),
            watch,
            with_stat: other,
        },
        9 => Request::AddWatch {
            path: at(),
            mode: AddWatchMode(i32::from(other)),
        },
        10 => Request::Multi(
            vec![
                create(at(), data()),
                MultiOp::Check {
                    path: at(),
                    version,
                },
            ]
            .into(),
        ),
        11 => Request::MultiRead(vec![ReadOp::GetData { path: at() }].into()),
        12 => Request::Auth {
            scheme: "digest".into(),
            data: data(),
        },
        13 => Request::Sync { path: at() },
        14 => Request::Reconfig {
            joining: Some(tag.into()),
            leaving: None,
            new_members: None,
            from_config: -1,
        },
        15 => Request::RemoveWatches {
            path: at(),
            kind: WatcherType::ANY,
        },
        16 => Request::GetAcl { path: at() },
        17 => Request::GetEphemerals { prefix: at() },
        18 => Request::GetAllChildrenNumber { path: at() },
        _ if other => Request::CheckWatches {
            path: at(),
            kind: WatcherType::DATA,
        },
        _ if watch => Request::CloseSession,
        _ => Request::WhoAmI,
    }
}
