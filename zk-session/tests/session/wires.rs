//! A connection on anything that reads and writes, with a stream of the test.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use zk_proto::{Chroot, ErrorCode, ServerAddr, Xid};
use zk_session::{Action, Call, Config, ConnId, Event, Flow, LinkError, Session, State, Wire};

use crate::rig::expect::get;
use crate::rig::{Rig, SID, password};

/// What it answers, in this order; then it would block.
#[derive(Default)]
struct Stream {
    reads: VecDeque<io::Result<Vec<u8>>>,
    /// How much is taken at once; nothing left: it would block.
    takes: VecDeque<io::Result<usize>>,
    written: Vec<u8>,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self
            .reads
            .pop_front()
            .unwrap_or_else(|| Err(ErrorKind::WouldBlock.into()))?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        if count < bytes.len() {
            self.reads.push_front(Ok(bytes[count..].to_vec()));
        }
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let takes = self
            .takes
            .pop_front()
            .unwrap_or_else(|| Err(ErrorKind::WouldBlock.into()))?;
        let count = takes.min(bytes.len());
        self.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a test begins at some moment")]
fn start() -> Instant {
    Instant::now()
}

fn session(now: Instant) -> (Session, ConnId) {
    let config = Config::builder(vec![ServerAddr::new("a", 2181)]);
    let mut session = Session::new(config.build().expect("a server"), [1; 32], now);
    let Some(Action::Connect { conn, .. }) = session.poll_action() else {
        panic!("it begins to connect");
    };
    (session, conn)
}

fn accepted() -> Vec<u8> {
    let mut bytes = Vec::new();
    zk_proto::frame(&mut bytes, |out| {
        zk_proto::ConnectResponse {
            protocol_version: 0,
            timeout: 6000,
            session_id: SID,
            password: password(SID),
            read_only: Some(false),
        }
        .encode(out);
    });
    bytes
}

fn open(session: &mut Session, now: Instant, conn: ConnId) -> Wire<Stream> {
    let mut wire = Wire::new();
    wire.open(session, now, conn, Ok(Stream::default()));
    wire
}

fn stream(wire: &mut Wire<Stream>) -> &mut Stream {
    wire.stream_mut().expect("it is up")
}

#[test]
fn a_stream_that_could_not_be_had_is_told() {
    let now = start();
    let (mut session, conn) = session(now);
    let refused = Err(ErrorKind::ConnectionRefused.into());
    let mut wire = Wire::<Stream>::default();
    wire.open(&mut session, now, conn, refused);
    assert!(wire.stream().is_none());
    assert_eq!(wire.turn(&mut session, || now), Flow::Over);
    let Some(Event::ConnectFailed { error, .. }) = session.poll_event() else {
        panic!("the attempt has failed");
    };
    assert_eq!(error, LinkError::Io(ErrorKind::ConnectionRefused));
}

#[test]
fn bytes_go_both_ways_however_they_are_cut() {
    let now = start();
    let (mut session, conn) = session(now);
    let mut wire = open(&mut session, now, conn);
    assert_eq!(wire.turn(&mut session, || now), Flow::Idle, "it is full");
    stream(&mut wire).takes = [Ok(1), Err(ErrorKind::Interrupted.into()), Ok(3)].into();
    assert_eq!(wire.turn(&mut session, || now), Flow::Moved);
    stream(&mut wire).takes = [Ok(1000)].into();
    assert_eq!(wire.turn(&mut session, || now), Flow::Moved);
    assert_eq!(stream(&mut wire).written.len(), 49, "a connect request");
    assert_eq!(wire.turn(&mut session, || now), Flow::Idle);

    let greeting = accepted();
    let pieces = greeting.chunks(3).map(|piece| Ok(piece.to_vec()));
    stream(&mut wire).reads = pieces.collect();
    stream(&mut wire)
        .reads
        .insert(1, Err(ErrorKind::Interrupted.into()));
    while wire.turn(&mut session, || now) == Flow::Moved {}
    assert!(matches!(session.state(), State::Connected { .. }));

    // A reply that is read into its place.
    let call = get("/a");
    session
        .submit(now, Call::new(&call, &Chroot::ROOT))
        .expect("it is connected");
    stream(&mut wire).takes = [Ok(1000)].into();
    let mut body = Vec::new();
    zk_proto::put_buffer(&mut body, Some(&[7; 500_000]));
    body.extend([0; 68]);
    let reply = Rig::frame(Xid(1), 0x100, ErrorCode::OK, &body);
    stream(&mut wire).reads = reply.chunks(70_000).map(|p| Ok(p.to_vec())).collect();
    while wire.turn(&mut session, || now) == Flow::Moved {}
    let completed = std::iter::from_fn(|| session.poll_event())
        .any(|event| matches!(event, Event::Completed { result: Ok(_), .. }));
    assert!(completed);
}

#[test]
fn a_stream_that_ends_or_breaks_is_over() {
    let now = start();
    let ends: [fn(&mut Stream); 4] = [
        |stream| stream.reads.push_back(Ok(Vec::new())),
        |stream| {
            let reset = Err(ErrorKind::ConnectionReset.into());
            stream.reads.push_back(reset);
        },
        |stream| stream.takes.push_back(Ok(0)),
        |stream| stream.takes.push_back(Err(ErrorKind::BrokenPipe.into())),
    ];
    for end in ends {
        let (mut session, conn) = session(now);
        let mut wire = open(&mut session, now, conn);
        end(stream(&mut wire));
        assert_eq!(wire.turn(&mut session, || now), Flow::Over);
        assert!(wire.stream().is_none());
        assert!(matches!(
            session.poll_event(),
            Some(Event::ConnectFailed { .. })
        ));
    }
}

/// A socket that blocks answers so when its timeout has passed, by a name that depends on the system.
#[test]
fn a_timeout_is_no_failure() {
    let now = start();
    for kind in [ErrorKind::WouldBlock, ErrorKind::TimedOut] {
        let (mut session, conn) = session(now);
        let mut wire = open(&mut session, now, conn);
        stream(&mut wire).reads.push_back(Err(kind.into()));
        assert_eq!(wire.turn(&mut session, || now), Flow::Idle);
    }
}

#[test]
fn what_is_left_goes_out_before_the_end() {
    let now = start();
    let (mut session, conn) = session(now);
    let mut wire = open(&mut session, now, conn);
    stream(&mut wire).reads.push_back(Ok(accepted()));
    stream(&mut wire).takes.push_back(Ok(49));
    assert_eq!(wire.turn(&mut session, || now), Flow::Moved);
    session.close(now, Duration::from_secs(1));
    stream(&mut wire).takes.push_back(Ok(1000));
    let (mut elsewhere, _) = self::session(now);
    elsewhere.reconnect(now);
    elsewhere.handle_timeout(now + Duration::from_secs(10));
    let second = std::iter::from_fn(|| elsewhere.poll_action()).find_map(|action| match action {
        Action::Connect { conn, .. } => Some(conn),
        Action::Disconnect { .. } | Action::Sasl { .. } => None,
    });
    wire.close(&mut session, now, second.expect("another attempt"));
    assert!(wire.stream().is_some(), "that is another one");
    wire.close(&mut session, now, conn);
    assert!(wire.stream().is_none());
    wire.close(&mut session, now, conn);
    // closeSession was handed out: it is with the server, or may be.
    let mut out = Vec::new();
    assert_eq!(session.poll_transmit(now, conn, &mut out), 0);
}

#[test]
fn actions_are_carried_out() {
    let now = start();
    let config = Config::builder(vec![ServerAddr::new("a", 2181)]);
    let mut session = Session::new(config.build().expect("a server"), [1; 32], now);
    let mut wire = Wire::new();
    let mut asked = Vec::new();
    let mut connect = |server: &ServerAddr, attempt| {
        asked.push((server.to_string(), attempt));
        Ok(Stream::default())
    };
    wire.follow(&mut session, || now, &mut connect);
    assert!(wire.stream().is_some());
    session.reconnect(now);
    let later = now + Duration::from_secs(10);
    session.handle_timeout(later);
    wire.follow(&mut session, || later, &mut connect);
    assert!(wire.stream().is_some());
    session.close(later, Duration::ZERO);
    session.handle_timeout(later);
    wire.follow(&mut session, || later, &mut connect);
    assert!(wire.stream().is_none());
    assert_eq!(asked, [("a:2181".to_owned(), 0), ("a:2181".to_owned(), 1)]);
    // While events wait there is no time to lose.
    assert_eq!(session.time_left(later), Some(Duration::ZERO));
    while session.poll_event().is_some() {}
    assert_eq!(session.time_left(later), None);
}
