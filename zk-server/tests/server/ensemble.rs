//! Members and a leader that are apart, with messages that take their time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use bytes::Bytes;
use zk_proto::{
    ConnectReply, ConnectRequest, CreateMode, ErrorCode, Frame, FrameDecoder, Reader, ReplyHeader,
    Request, Zxid, frame,
};
use zk_server::{ConnId, FromLeader, Leader, Member, MemberId, Options, Output, Role, Tree};

use crate::rig::{Session, create, delete, encode, get, new_session, session, set};

/// Three members, of which the first runs the leader.
struct Cluster {
    members: Vec<Member>,
    leader: Leader,
    /// The data with everything that the leader has decided.
    decided: Tree,
    /// What is on its way from the leader, by member.
    coming: Vec<VecDeque<FromLeader>>,
    /// What each connection was sent.
    sent: BTreeMap<ConnId, (FrameDecoder, VecDeque<Bytes>)>,
    closed: Vec<ConnId>,
    now: Instant,
    next: u64,
}

impl Cluster {
    fn new(options: &Options) -> Self {
        let now = Instant::now();
        let tree = Tree::new(Bytes::from_static(b"version=0"));
        let members = (1..=3).map(|id| {
            let options = options.clone().member(MemberId(id));
            let mut member = Member::new(Arc::new(options), tree.clone(), [9; 32], now, UNIX_EPOCH);
            let role = if id == 1 {
                Role::Leader
            } else {
                Role::Follower { heard: now }
            };
            member.follow(now, role);
            member
        });
        Self {
            members: members.collect(),
            leader: Leader::new(
                Arc::new(options.clone()),
                Leader::begin_of(1),
                [],
                now,
                UNIX_EPOCH,
            ),
            decided: tree,
            coming: vec![VecDeque::new(); 3],
            sent: BTreeMap::new(),
            closed: Vec::new(),
            now,
            next: 1,
        }
    }

    /// Carries everything to the leader, and its answers no further than onto their way.
    fn decide(&mut self) {
        for member in &mut self.members {
            while let Some(message) = member.poll_leader() {
                self.leader.handle(self.now, message);
            }
        }
        while let Some(answer) = self.leader.poll(&self.decided) {
            if let FromLeader::Commit { txn, .. } = &answer {
                self.decided.apply(txn, &mut Vec::new());
            }
            for (at, queue) in self.coming.iter_mut().enumerate() {
                let id = MemberId(u8::try_from(at).unwrap() + 1);
                if answer.member().is_none_or(|member| member == id) {
                    queue.push_back(answer.clone());
                }
            }
        }
    }

    /// Lets a member have what is on its way.
    fn deliver(&mut self, at: usize) {
        while let Some(message) = self.coming[at].pop_front() {
            self.members[at].handle_leader(self.now, message);
        }
        self.drain();
    }

    fn settle(&mut self) {
        for _ in 0..3 {
            self.decide();
            (0..3).for_each(|at| self.deliver(at));
        }
    }

    fn drain(&mut self) {
        for member in &mut self.members {
            while let Some(output) = member.poll_output() {
                match output {
                    Output::Transmit(conn) => take(member, conn, &mut self.sent),
                    Output::Close { conn, .. } => {
                        take(member, conn, &mut self.sent);
                        self.closed.push(conn);
                    }
                }
            }
        }
    }

    fn send(&mut self, at: usize, conn: ConnId, bytes: &[u8]) {
        self.members[at].handle_data(self.now, conn, bytes);
        self.drain();
    }

    fn ask(&mut self, at: usize, client: Session, xid: i32, request: &Request<'_>) {
        self.send(at, client.conn, &encode(xid, request));
    }

    fn greet(&mut self, at: usize, request: &ConnectRequest) -> ConnId {
        let conn = ConnId(self.next);
        self.next += 1;
        self.sent
            .insert(conn, (FrameDecoder::new(1 << 20), VecDeque::new()));
        self.members[at].handle_accept(self.now, conn, ([127, 0, 0, 1], 1).into());
        let mut bytes = Vec::new();
        frame(&mut bytes, |out| request.encode(out));
        self.send(at, conn, &bytes);
        conn
    }

    fn connect(&mut self, at: usize) -> Session {
        let conn = self.greet(at, &new_session(10_000));
        self.settle();
        session(conn, self.greeting(conn))
    }

    fn reconnect(&mut self, at: usize, client: Session, last: Zxid) -> ConnId {
        let request = ConnectRequest {
            session_id: client.id,
            password: client.password,
            last_zxid_seen: last,
            ..new_session(10_000)
        };
        self.greet(at, &request)
    }

    fn greeting(&mut self, conn: ConnId) -> Option<ConnectReply> {
        let bytes = self.sent.get_mut(&conn).unwrap().1.pop_front()?;
        Some(ConnectReply::decode(&mut Reader::new(&bytes)).unwrap())
    }

    /// The xids and codes of everything that a client was sent and nobody has looked at.
    fn heads(&mut self, client: Session) -> Vec<(i32, ErrorCode)> {
        let frames = self.sent.get_mut(&client.conn).unwrap().1.drain(..);
        frames
            .map(|bytes| {
                let header = ReplyHeader::decode(&mut Reader::new(&bytes)).unwrap();
                (header.xid.0, header.err)
            })
            .collect()
    }

    /// Time passes, without a word from the leader for the members in `cut`.
    fn advance(&mut self, time: Duration, cut: &[usize]) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(500);
            self.leader.handle_timeout(self.now);
            for (at, member) in self.members.iter_mut().enumerate() {
                if !cut.contains(&at) {
                    member.handle_leader_heard(self.now);
                }
                member.handle_timeout(self.now);
            }
            self.drain();
            for (at, member) in self.members.iter_mut().enumerate() {
                while let Some(message) = member.poll_leader() {
                    if !cut.contains(&at) {
                        self.leader.handle(self.now, message);
                    }
                }
            }
            self.decide();
            for at in 0..3 {
                if !cut.contains(&at) {
                    self.deliver(at);
                }
            }
        }
    }
}

fn take(
    member: &mut Member,
    conn: ConnId,
    sent: &mut BTreeMap<ConnId, (FrameDecoder, VecDeque<Bytes>)>,
) {
    let (decoder, frames) = sent.get_mut(&conn).unwrap();
    let mut out = Vec::new();
    while member.poll_transmit(conn, &mut out) > 0 {
        decoder.push(&out);
        out.clear();
    }
    while let Some(Frame::Whole { chunk, range }) = decoder.next_frame().unwrap() {
        frames.push_back(chunk.slice(range));
    }
}

const OK: ErrorCode = ErrorCode::OK;

fn auth() -> Request<'static> {
    Request::Auth {
        scheme: "digest".into(),
        data: Some(b"a:b"[..].into()),
    }
}

#[test]
fn a_read_and_a_ping_wait_for_the_write_before_them_and_a_credential_does_not() {
    let mut cluster = Cluster::new(&Options::new());
    let (client, other) = (cluster.connect(1), cluster.connect(1));
    cluster.ask(1, client, 1, &create("/a", CreateMode::Persistent));
    cluster.ask(1, client, 2, &get("/a", false));
    cluster.ask(1, client, -2, &Request::Ping);
    cluster.ask(1, client, -4, &auth());
    cluster.ask(1, other, 9, &get("/a", false));
    assert_eq!(cluster.heads(client), [(-4, OK)]);
    assert_eq!(
        cluster.heads(other),
        [(9, ErrorCode::NO_NODE)],
        "nobody waits for others"
    );
    cluster.decide();
    cluster.deliver(0);
    assert_eq!(cluster.heads(client), [], "it is committed, but not here");
    cluster.deliver(1);
    assert_eq!(cluster.heads(client), [(1, OK), (2, OK), (-2, OK)]);
}

#[test]
fn a_read_between_two_writes_does_not_see_the_second_though_its_client_does_not_read() {
    let mut cluster = Cluster::new(&Options::new().output_high_water(1));
    let client = cluster.connect(1);
    for xid in 0..20 {
        cluster.ask(1, client, 3 * xid, &create("/a", CreateMode::Persistent));
        cluster.ask(1, client, 3 * xid + 1, &get("/a", false));
        cluster.ask(1, client, 3 * xid + 2, &delete("/a"));
    }
    cluster.settle();
    let expected: Vec<_> = (0..60).map(|xid| (xid, OK)).collect();
    assert_eq!(cluster.heads(client), expected);
}

#[test]
fn a_sync_brings_a_lagging_member_up_to_date() {
    let mut cluster = Cluster::new(&Options::new());
    let (writer, reader) = (cluster.connect(0), cluster.connect(2));
    cluster.ask(0, writer, 1, &create("/a", CreateMode::Persistent));
    cluster.decide();
    cluster.deliver(0);
    assert_eq!(cluster.heads(writer), [(1, OK)]);
    cluster.ask(2, reader, 1, &get("/a", false));
    cluster.ask(2, reader, 2, &Request::Sync { path: "/".into() });
    cluster.ask(2, reader, 3, &get("/a", false));
    assert_eq!(cluster.heads(reader), [(1, ErrorCode::NO_NODE)]);
    cluster.settle();
    assert_eq!(cluster.heads(reader), [(2, OK), (3, OK)]);
}

#[test]
fn a_member_that_lags_refuses_a_client_that_has_seen_more() {
    let mut cluster = Cluster::new(&Options::new());
    let client = cluster.connect(0);
    cluster.ask(0, client, 1, &create("/a", CreateMode::Persistent));
    cluster.decide();
    cluster.deliver(0);
    let last = cluster.members[0].tree().last_zxid();
    assert_eq!((last.epoch(), last.counter()), (1, 2));
    let conn = cluster.reconnect(1, client, last);
    assert!(cluster.closed.contains(&conn));
    cluster.deliver(1);
    let conn = cluster.reconnect(1, client, last);
    cluster.settle();
    assert!(matches!(cluster.greeting(conn), Some(ConnectReply::Response(r)) if !r.is_expired()));
}

#[test]
fn a_session_that_has_moved_reads_at_its_old_place_and_writes_nowhere_else() {
    let mut cluster = Cluster::new(&Options::new());
    let client = cluster.connect(1);
    cluster.ask(1, client, 1, &create("/a", CreateMode::Persistent));
    cluster.settle();
    let conn = cluster.reconnect(2, client, Zxid::ZERO);
    cluster.settle();
    let moved = session(conn, cluster.greeting(conn));
    assert_eq!(moved.id, client.id);
    cluster.ask(1, client, 2, &get("/a", false));
    assert_eq!(cluster.heads(client), [(1, OK), (2, OK)]);
    cluster.ask(2, moved, 1, &set("/a", b"1"));
    cluster.ask(1, client, 3, &delete("/a"));
    cluster.settle();
    assert_eq!(cluster.heads(moved), [(1, OK)]);
    assert_eq!(cluster.heads(client), [], "no reply");
    assert!(cluster.closed.contains(&client.conn) && !cluster.closed.contains(&conn));
    assert!(cluster.members[0].tree().node("/a").is_some());
}

#[test]
fn a_member_cut_off_answers_reads_for_a_while_and_then_drops_its_clients() {
    let mut cluster = Cluster::new(
        &Options::new()
            .sync_limit(2)
            .read_only_mode()
            .local_sessions(),
    );
    let client = cluster.connect(2);
    cluster.advance(Duration::from_millis(3500), &[2]);
    cluster.ask(2, client, 1, &get("/", false));
    cluster.ask(2, client, -2, &Request::Ping);
    assert_eq!(cluster.heads(client), [(1, OK), (-2, OK)]);
    cluster.advance(Duration::from_millis(1000), &[2]);
    assert!(cluster.closed.contains(&client.conn));
    assert!(cluster.members[2].is_read_only());
    let conn = cluster.greet(
        2,
        &ConnectRequest {
            read_only: Some(true),
            ..new_session(1)
        },
    );
    assert!(matches!(
        cluster.greeting(conn),
        Some(ConnectReply::Response(r)) if r.read_only == Some(true) && !r.is_expired()
    ));
    // The leader goes on without it, and the session runs out.
    assert!(cluster.leader.is_alive(client.id));
    cluster.advance(Duration::from_secs(12), &[2]);
    assert!(!cluster.leader.is_alive(client.id));
    assert!(!cluster.members[0].sessions().contains_key(&client.id));
    assert!(cluster.members[2].sessions().contains_key(&client.id));
}

#[test]
fn members_tell_the_leader_of_sessions_every_half_tick() {
    let mut cluster = Cluster::new(&Options::new());
    let client = cluster.connect(1);
    for _ in 0..5 {
        cluster.advance(Duration::from_secs(8), &[]);
        cluster.ask(1, client, -2, &Request::Ping);
    }
    assert!(cluster.leader.is_alive(client.id));
    cluster.advance(Duration::from_secs(14), &[]);
    assert!(!cluster.leader.is_alive(client.id));
    assert!(cluster.closed.contains(&client.conn));
}

#[test]
fn a_new_leader_begins_an_epoch_and_gives_sessions_their_time_again() {
    let mut cluster = Cluster::new(&Options::new());
    let client = cluster.connect(1);
    cluster.ask(1, client, 1, &create("/e", CreateMode::Ephemeral));
    cluster.settle();
    cluster.advance(Duration::from_secs(8), &[]);
    let sessions = cluster.members[1].sessions().clone();
    assert_eq!(
        sessions.into_iter().collect::<Vec<_>>(),
        [(client.id, 10_000)]
    );
    cluster.leader = Leader::new(
        Arc::new(Options::new().member(MemberId(2))),
        Leader::begin_of(2),
        [(client.id, 10_000)],
        cluster.now,
        UNIX_EPOCH,
    );
    cluster.advance(Duration::from_secs(8), &[]);
    assert!(cluster.leader.is_alive(client.id));
    cluster.ask(1, client, 2, &delete("/e"));
    cluster.settle();
    assert_eq!(cluster.heads(client), [(1, OK), (2, OK)]);
    let last = cluster.members[2].tree().last_zxid();
    assert_eq!((last.epoch(), last.counter()), (2, 1));
}

#[test]
fn a_member_that_starts_again_has_the_data_and_sessions_of_another() {
    let mut cluster = Cluster::new(&Options::new().read_only_mode());
    let client = cluster.connect(1);
    cluster.ask(1, client, 1, &create("/a", CreateMode::Persistent));
    cluster.settle();
    let options = Options::new().member(MemberId(3)).read_only_mode();
    let tree = cluster.members[0].tree().clone();
    let mut member = Member::new(Arc::new(options), tree, [9; 32], cluster.now, UNIX_EPOCH);
    member.restore_sessions(cluster.members[0].sessions().clone());
    member.leave(cluster.now);
    cluster.members[2] = member;
    // It knows that the session is one of all, which a read-only server does not serve.
    let request = ConnectRequest {
        session_id: client.id,
        password: client.password,
        read_only: Some(true),
        ..new_session(10_000)
    };
    let conn = cluster.greet(2, &request);
    assert_eq!(cluster.greeting(conn), None);
    let heard = cluster.now;
    cluster.members[2].follow(heard, Role::Follower { heard });
    let conn = cluster.greet(2, &request);
    cluster.settle();
    let again = session(conn, cluster.greeting(conn));
    cluster.ask(2, again, 2, &get("/a", false));
    assert_eq!(cluster.heads(again), [(2, OK)]);
}

#[test]
fn a_deposed_leader_syncs_its_own_clients_and_commits_nothing() {
    let mut cluster = Cluster::new(&Options::new());
    let client = cluster.connect(0);
    // What it decides from now on reaches nobody as a commit; everything else still works.
    cluster.ask(0, client, 1, &Request::Sync { path: "/".into() });
    cluster.ask(0, client, 2, &get("/", false));
    cluster.settle();
    assert_eq!(cluster.heads(client), [(1, OK), (2, OK)]);
    cluster.ask(0, client, 3, &create("/a", CreateMode::Persistent));
    cluster.ask(0, client, 4, &Request::Sync { path: "/".into() });
    cluster.decide();
    let waiting: Vec<_> = cluster.coming[0]
        .iter()
        .map(|m| matches!(m, FromLeader::Commit { .. }))
        .collect();
    assert_eq!(
        waiting,
        [true, false],
        "the sync takes effect behind the write"
    );
    cluster.members[0].leave(cluster.now);
    cluster.drain();
    assert_eq!(cluster.heads(client), []);
    assert!(cluster.closed.contains(&client.conn) && !cluster.members[0].is_serving());
    // What comes after that finds nobody.
    cluster.deliver(0);
    assert_eq!(cluster.members[0].poll_output(), None);
}

#[test]
fn the_password_of_a_session_holds_on_every_member() {
    let mut cluster = Cluster::new(&Options::new());
    let (one, three) = (cluster.connect(0), cluster.connect(2));
    assert_eq!(((one.id.0 as u64) >> 56, (three.id.0 as u64) >> 56), (1, 3));
    assert_ne!(one.password, three.password);
    let forged = Session {
        password: one.password,
        ..three
    };
    let conn = cluster.reconnect(1, forged, Zxid::ZERO);
    cluster.settle();
    assert!(matches!(cluster.greeting(conn), Some(ConnectReply::Response(r)) if r.is_expired()));
    assert_eq!(cluster.members[1].connection_of(three.id), None);
}
