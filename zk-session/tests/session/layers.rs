//! The seam for TLS, with a layer of the test: a hello in each direction, then bytes turned over.

use std::sync::{Arc, Mutex};

use zk_proto::{ServerAddr, Xid};
use zk_session::{ConnId, FourLetterWord, Layer, LayerError, LayerFactory, LinkError, Stranger};

use crate::rig::expect::{get, set};
use crate::rig::{Rig, SID};

const KEY: u8 = 0x5A;
const CLIENT_HELLO: &[u8] = b"client hello";
const SERVER_HELLO: &[u8] = b"server hello";
const FINISHED: &[u8] = b"finished";
const ALERT: &[u8] = b"alert";
const GOODBYE: &[u8] = b"goodbye";

fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ KEY).collect()
}

#[derive(Default)]
struct Turning {
    greeted: bool,
    heard: Vec<u8>,
    established: bool,
}

impl Layer for Turning {
    fn is_established(&self) -> bool {
        self.established
    }

    fn flush(&mut self, wire: &mut Vec<u8>) {
        if !self.greeted {
            self.greeted = true;
            wire.extend_from_slice(CLIENT_HELLO);
        }
    }

    fn decode(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> Result<(), LayerError> {
        if self.established {
            plain.extend(turned(wire));
            return Ok(());
        }
        self.heard.extend_from_slice(wire);
        let known = self.heard.len().min(SERVER_HELLO.len());
        if self.heard[..known] != SERVER_HELLO[..known] {
            reply.extend_from_slice(ALERT);
            return Err(LayerError::new("not our kind of server"));
        }
        if self.heard.len() >= SERVER_HELLO.len() {
            self.established = true;
            reply.extend_from_slice(FINISHED);
            plain.extend(turned(&self.heard[SERVER_HELLO.len()..]));
        }
        Ok(())
    }

    fn encode(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), LayerError> {
        assert!(
            self.established,
            "nothing of the session leaves in the clear"
        );
        wire.extend(turned(plain));
        Ok(())
    }

    fn close(&mut self, wire: &mut Vec<u8>) {
        if self.established {
            wire.extend_from_slice(GOODBYE);
        }
    }
}

#[derive(Debug, Default)]
struct TurningFactory {
    names: Mutex<Vec<String>>,
    broken: bool,
}

impl LayerFactory for TurningFactory {
    fn layer(&self, server: &ServerAddr) -> Result<Box<dyn Layer>, LayerError> {
        self.names
            .lock()
            .expect("one thread")
            .push(server.to_string());
        if self.broken {
            return Err(LayerError::new("no certificate"));
        }
        Ok(Box::new(Turning::default()))
    }
}

fn layered() -> Rig {
    Rig::with(|c| {
        c.layer(Arc::new(TurningFactory::default()));
    })
}

/// The connection is up and the layer's handshake is over, in pieces of this size.
fn handshake(rig: &mut Rig, piece: usize) -> ConnId {
    let conn = rig.attempt();
    rig.peer(conn).opaque = true;
    rig.up(conn);
    assert_eq!(std::mem::take(&mut rig.peer(conn).raw), CLIENT_HELLO);
    for bytes in SERVER_HELLO.chunks(piece) {
        assert!(
            rig.peer(conn).raw.is_empty(),
            "not before the handshake is over"
        );
        rig.push(conn, bytes);
    }
    let raw = std::mem::take(&mut rig.peer(conn).raw);
    assert_eq!(&raw[..FINISHED.len()], FINISHED);
    let plain = turned(&raw[FINISHED.len()..]);
    rig.peer(conn).read(&plain);
    conn
}

/// What was sent since, below the layer.
fn uncover(rig: &mut Rig, conn: ConnId) {
    let raw = std::mem::take(&mut rig.peer(conn).raw);
    rig.peer(conn).read(&turned(&raw));
}

/// Says it through the layer, in pieces of this size.
fn say(rig: &mut Rig, conn: ConnId, plain: &[u8], piece: usize) {
    for bytes in turned(plain).chunks(piece) {
        rig.push(conn, bytes);
    }
}

fn accepted() -> Vec<u8> {
    let mut bytes = Vec::new();
    zk_proto::frame(&mut bytes, |out| {
        zk_proto::ConnectResponse {
            protocol_version: 0,
            timeout: 6000,
            session_id: SID,
            password: crate::rig::password(SID),
            read_only: Some(false),
        }
        .encode(out);
    });
    bytes
}

#[test]
fn a_session_works_through_a_layer_wherever_its_bytes_are_cut() {
    for piece in [1, 2, 3, 7, 1000] {
        let mut rig = layered();
        let conn = handshake(&mut rig, piece);
        rig.greeting(conn);
        say(&mut rig, conn, &accepted(), piece);
        rig.connected();
        let id = rig.submit(&get("/a"));
        uncover(&mut rig, conn);
        let asked = rig.asked_for(&get("/a"));
        let reply = Rig::frame(asked.xid, 0x100, zk_proto::ErrorCode::NO_NODE, &[]);
        say(&mut rig, conn, &reply, piece);
        rig.failed(id);
        rig.nothing_happened();
    }
}

#[test]
fn the_session_s_first_bytes_can_come_with_the_layer_s_last() {
    let mut rig = layered();
    let conn = handshake(&mut rig, 1000);
    let mut both = accepted();
    both.extend(Rig::frame(Xid::PING, 0, zk_proto::ErrorCode::OK, &[]));
    say(&mut rig, conn, &both, 1000);
    rig.connected();
    rig.nothing_happened();
}

#[test]
fn a_handshake_that_fails_costs_the_attempt() {
    let mut rig = layered();
    let conn = rig.attempt();
    rig.peer(conn).opaque = true;
    rig.up(conn);
    rig.push(conn, b"HTTP/1.1 400");
    let (_, error) = rig.attempt_failed();
    assert_eq!(
        error,
        LinkError::Layer(LayerError::new("not our kind of server"))
    );
}

#[test]
fn a_layer_that_cannot_be_made_is_told_and_retried_with_pauses() {
    let factory = Arc::new(TurningFactory {
        broken: true,
        ..TurningFactory::default()
    });
    let mut rig = Rig::with(|c| {
        c.layer(Arc::clone(&factory) as Arc<dyn LayerFactory>);
    });
    for _ in 0..3 {
        let (_, error) = rig.attempt_failed();
        assert_eq!(error, LinkError::Layer(LayerError::new("no certificate")));
    }
    rig.nothing_happened();
    let names = factory.names.lock().expect("one thread").clone();
    assert_eq!(names, ["a:2181", "b:2181", "c:2181"]);
}

#[test]
fn what_was_encoded_counts_as_sent() {
    let mut rig = layered();
    let conn = handshake(&mut rig, 1000);
    say(&mut rig, conn, &accepted(), 1000);
    rig.connected();
    let sent = rig.submit(&set("/a", b"1"));
    let unsent = rig.queue(&set("/a", b"2"));
    rig.session
        .handle_disconnected(rig.now, conn, std::io::ErrorKind::ConnectionReset);
    rig.peers.clear();
    rig.drain();
    rig.suspended();
    let loss = |sent| zk_session::RequestError::ConnectionLoss { sent };
    assert_eq!(rig.failed(sent), loss(true));
    assert_eq!(rig.failed(unsent), loss(false));
}

#[test]
fn a_search_for_a_writable_server_goes_through_the_layer_too() {
    let mut rig = Rig::with(|c| {
        c.layer(Arc::new(TurningFactory::default())).read_only(true);
    });
    let conn = handshake(&mut rig, 1000);
    let mut bytes = accepted();
    *bytes.last_mut().expect("the read-only byte") = 1;
    say(&mut rig, conn, &bytes, 1000);
    rig.connected_read_only();
    let probe = rig.attempt();
    rig.peer(probe).opaque = true;
    rig.up(probe);
    assert_eq!(std::mem::take(&mut rig.peer(probe).raw), CLIENT_HELLO);
    rig.push(probe, SERVER_HELLO);
    let raw = std::mem::take(&mut rig.peer(probe).raw);
    assert_eq!(turned(&raw[FINISHED.len()..]), b"isro");
    rig.push(probe, &turned(b"rw"));
    let (_, error) = rig.suspended();
    assert_eq!(error, LinkError::FoundWritable);
}

/// What the layer says last, fetched as all else is.
fn last_words(rig: &mut Rig, conn: ConnId) -> Vec<u8> {
    let mut out = Vec::new();
    while rig.session.poll_transmit(rig.now, conn, &mut out) > 0 {}
    out
}

#[test]
fn a_server_is_told_why_the_handshake_failed() {
    let mut rig = layered();
    let conn = rig.attempt();
    rig.peer(conn).opaque = true;
    rig.up(conn);
    rig.session.handle_data(rig.now, conn, b"HTTP/1.1 400");
    assert_eq!(last_words(&mut rig, conn), ALERT);
    assert_eq!(last_words(&mut rig, conn), b"");
}

#[test]
fn a_server_is_told_that_this_side_ends_the_connection() {
    let end: [fn(&mut Rig); 3] = [
        |rig| rig.session.reconnect(rig.now),
        |rig| {
            let later = rig.now + std::time::Duration::from_secs(60);
            rig.session.handle_timeout(later);
        },
        |rig| rig.session.detach(rig.now, std::time::Duration::ZERO),
    ];
    for end in end {
        let mut rig = layered();
        let conn = handshake(&mut rig, 1000);
        say(&mut rig, conn, &accepted(), 1000);
        rig.connected();
        end(&mut rig);
        assert_eq!(last_words(&mut rig, conn), GOODBYE);
        assert_eq!(last_words(&mut rig, conn), b"");
    }
}

/// The last request goes out in the same call as the end that it was waited for with.
#[test]
fn nothing_follows_the_last_words() {
    let mut rig = layered();
    let conn = handshake(&mut rig, 1000);
    say(&mut rig, conn, &accepted(), 1000);
    rig.connected();
    rig.session
        .close(rig.now, std::time::Duration::from_secs(5));
    let asked = turned(&last_words(&mut rig, conn));
    rig.session.handle_data(
        rig.now,
        conn,
        &turned(&Rig::frame(Xid(1), 0x100, zk_proto::ErrorCode::OK, &[])),
    );
    assert!(!asked.is_empty());
    assert_eq!(last_words(&mut rig, conn), GOODBYE);
}

/// Nobody who does not fetch them makes a session keep more and more of them.
#[test]
fn few_last_words_are_kept() {
    let mut rig = layered();
    let mut conns = Vec::new();
    for _ in 0..20 {
        let conn = rig.attempt();
        rig.session.handle_connected(rig.now, conn);
        rig.session.handle_data(rig.now, conn, SERVER_HELLO);
        rig.session.reconnect(rig.now);
        rig.now += std::time::Duration::from_secs(60);
        rig.session.handle_timeout(rig.now);
        conns.push(conn);
    }
    let kept = conns.iter().filter(|conn| {
        let mut out = Vec::new();
        rig.session.poll_transmit(rig.now, **conn, &mut out) > 0
    });
    assert!((1..=4).contains(&kept.count()));
}

#[test]
fn a_four_letter_word_goes_through_the_layer() {
    let server = ServerAddr::new("a", 2181);
    let factory = TurningFactory::default();
    let new = || FourLetterWord::new(*b"ruok", server.clone(), Some(&factory)).expect("a layer");
    let mut word = new();
    let mut out = Vec::new();
    assert_eq!(word.poll_transmit(&mut out), 0, "not connected");
    word.handle_connected();
    word.poll_transmit(&mut out);
    assert_eq!(out, CLIENT_HELLO);
    out.clear();
    word.handle_data(SERVER_HELLO);
    word.poll_transmit(&mut out);
    assert_eq!(out, [FINISHED, &turned(b"ruok")].concat());
    assert_eq!(word.poll_transmit(&mut out), 0);
    word.handle_data(&turned(b"im"));
    word.handle_data(&turned(b"ok"));
    assert!(word.take_answer().is_none());
    word.handle_disconnected(std::io::ErrorKind::UnexpectedEof);
    assert_eq!(word.take_answer(), Some(Ok("imok".to_owned())));

    // The server is told of a failure, and so is whoever asks.
    let mut word = new();
    word.handle_connected();
    word.poll_transmit(&mut Vec::new());
    word.handle_data(b"HTTP/1.1 400");
    let mut out = Vec::new();
    word.poll_transmit(&mut out);
    assert_eq!(out, ALERT);
    let failed = LinkError::Layer(LayerError::new("not our kind of server"));
    assert_eq!(word.take_answer(), Some(Err(failed)));

    let broken = TurningFactory {
        broken: true,
        ..TurningFactory::default()
    };
    let failed = FourLetterWord::new(*b"ruok", server, Some(&broken)).map(drop);
    let expected = LinkError::Layer(LayerError::new("no certificate"));
    assert_eq!(failed, Err(expected));
}

#[test]
fn who_answers_a_four_letter_word_is_told() {
    let asked = |answer: &[u8], end| {
        let server = ServerAddr::new("a", 2181);
        let mut word = FourLetterWord::new(*b"ruok", server, None).expect("no layer");
        word.handle_connected();
        word.handle_data(answer);
        word.handle_disconnected(end);
        word.take_answer().expect("it is over")
    };
    let eof = std::io::ErrorKind::UnexpectedEof;
    let reset = std::io::ErrorKind::ConnectionReset;
    assert_eq!(asked(b"imok", eof), Ok("imok".to_owned()));
    assert_eq!(asked(b"imok", reset), Err(LinkError::Io(reset)));
    let alert = [0x15, 3, 3, 0, 2, 2, 10];
    let expected = LinkError::NotZooKeeper(Stranger::Tls);
    assert_eq!(asked(&alert, eof), Err(expected.clone()));
    assert_eq!(asked(&alert, reset), Err(expected));
    let expected = LinkError::NotZooKeeper(Stranger::Http);
    assert_eq!(asked(b"HTTP/1.1 400 Bad Request", eof), Err(expected));
    let long = vec![b'x'; FourLetterWord::MAX_ANSWER + 1];
    let too_long = LinkError::Io(std::io::ErrorKind::InvalidData);
    assert_eq!(asked(&long, eof), Err(too_long));
}
