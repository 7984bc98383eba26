//! The mechanism within a session, and a peer that says what the test wants.

#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_proto::{
    ConnectReply, ConnectResponse, ErrorCode, FrameDecoder, Password, Reply, ReplyHeader, Request,
    RequestHeader, ServerAddr, SessionId, Zxid, frame,
};
use zk_sasl::server::{Answer, Exchange, Users};
use zk_sasl::{DigestMd5, Error};
use zk_session::{Action, AuthFailure, Config, ConnId, Event, Session, State, StateReason};

/// What the peer makes of a token.
type Answers<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Option<Vec<u8>>, ErrorCode>;

struct Peer {
    session: Session,
    now: Instant,
    conn: ConnId,
}

impl Peer {
    fn new(digest: DigestMd5) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a moment to begin at")]
        let now = Instant::now();
        let mut config = Config::builder(vec![ServerAddr::new("h1", 2181)]);
        config.mechanism(Arc::new(digest));
        let mut session = Session::new(config.build().unwrap(), [7; 32], now);
        let conn = connect(&mut session);
        Self { session, now, conn }
    }

    /// Answers until the session has nothing more to say, and gives the changes of its state.
    fn serve(&mut self, answers: Answers<'_>) -> Vec<(State, StateReason)> {
        self.session.handle_connected(self.now, self.conn);
        let mut decoder = FrameDecoder::new(1 << 16);
        let mut greeted = false;
        let mut changes = Vec::new();
        loop {
            let mut out = Vec::new();
            while self.session.poll_transmit(self.now, self.conn, &mut out) > 0 {}
            decoder.push(&out);
            let Some(received) = decoder.next_frame().unwrap() else {
                break;
            };
            let mut reply = Vec::new();
            if greeted {
                let mut reader = received.reader().unwrap();
                let header = RequestHeader::decode(&mut reader).unwrap();
                let request = Request::decode(header.opcode, &mut reader).unwrap();
                let Request::Sasl { token: Some(token) } = request else {
                    panic!("{request:?}");
                };
                let answer = answers(&token);
                frame(&mut reply, |out| {
                    let err = answer.as_ref().err().copied().unwrap_or(ErrorCode::OK);
                    let zxid = Zxid(0);
                    let xid = header.xid;
                    ReplyHeader { xid, zxid, err }.encode(out);
                    let token = answer.ok().flatten().map(Into::into);
                    Reply::Sasl(token).encode(header.opcode, out);
                });
            } else {
                greeted = true;
                let response = ConnectResponse {
                    protocol_version: 0,
                    timeout: 10_000,
                    session_id: SessionId(0x77),
                    password: Password::from_slice(&[1; 16]).unwrap(),
                    read_only: Some(false),
                };
                frame(&mut reply, |out| {
                    ConnectReply::Response(response).encode(out)
                });
            }
            self.session.handle_data(self.now, self.conn, &reply);
            while let Some(event) = self.session.poll_event() {
                if let Event::StateChanged { to, reason, .. } = event {
                    changes.push((to, reason));
                }
            }
        }
        changes
    }

    /// What the session has to say.
    fn sent(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.session.poll_transmit(self.now, self.conn, &mut out) > 0 {}
        out
    }

    /// The connection breaks, and there is another.
    fn reconnect(&mut self) {
        let (now, conn) = (self.now, self.conn);
        self.session
            .handle_disconnected(now, conn, ErrorKind::ConnectionReset);
        while self.session.poll_event().is_some() {}
        self.now += Duration::from_secs(1);
        self.session.handle_timeout(self.now);
        self.conn = connect(&mut self.session);
    }

    /// Why the session has ended for good.
    fn failure(&mut self, answers: Answers<'_>) -> AuthFailure {
        match self.serve(answers).pop() {
            Some((State::Lost, StateReason::AuthFailed(failure))) => failure,
            other => panic!("{other:?}"),
        }
    }
}

fn connect(session: &mut Session) -> ConnId {
    loop {
        match session.poll_action() {
            Some(Action::Connect { conn, .. }) => return conn,
            Some(_) => {}
            None => panic!("the session does not connect"),
        }
    }
}

/// What a server answers that knows these users.
fn server(users: Users, nonce: u8) -> impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, ErrorCode> {
    let mut exchange = Exchange::new([nonce; 30]);
    move |token| match exchange.step(token, &users) {
        Ok(Answer::Challenge(token) | Answer::Authenticated { token, .. }) => Ok(Some(token)),
        Err(_) => Err(ErrorCode::AUTH_FAILED),
    }
}

fn bob() -> Users {
    Users::new().user("bob", "secret")
}

#[test]
fn every_connection_is_authenticated_before_the_session_is_usable() {
    let mut peer = Peer::new(DigestMd5::new("bob", "secret"));
    let connected = State::Connected { read_only: false };
    let changes = peer.serve(&mut server(bob(), 1));
    assert_eq!(changes, [(connected, StateReason::Established)]);
    peer.reconnect();
    let mut tokens = 0;
    let mut second = server(bob(), 2);
    let changes = peer.serve(&mut |token| {
        tokens += 1;
        second(token)
    });
    assert_eq!(changes, [(connected, StateReason::Resumed)]);
    assert_eq!(tokens, 2);
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused() {
    for digest in [
        DigestMd5::new("bob", "wrong"),
        DigestMd5::new("eve", "secret"),
    ] {
        let failure = Peer::new(digest).failure(&mut server(bob(), 1));
        assert_eq!(failure, AuthFailure::SaslRefused);
    }
}

/// What ZooKeeper 3.9.6 sends in FIPS mode, its default: the session, then to the first token a
/// refusal with a null token, before it closes the connection.
const FIPS_GREETING: &str =
    "000000250000000000002710010000be6e8000000000001072d26e8e1738efdfa0577494b85765d900";
const FIPS_REQUEST: &str = "0000000c000000010000006600000000";
const FIPS_REFUSAL: &str = "00000014000000010000000000000000ffffff8dffffffff";
/// The same from a server that requires SASL.
const FIPS_REFUSAL_REQUIRED: &str = "00000014000000010000000000000000ffffff84ffffffff";

fn unhex(text: &str) -> Vec<u8> {
    let digits = (0..text.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn a_server_in_fips_mode_is_named_as_such() {
    for refusal in [FIPS_REFUSAL, FIPS_REFUSAL_REQUIRED] {
        let mut peer = Peer::new(DigestMd5::new("bob", "secret"));
        peer.session.handle_connected(peer.now, peer.conn);
        let sent = peer.sent();
        assert!(!sent.is_empty());
        peer.session
            .handle_data(peer.now, peer.conn, &unhex(FIPS_GREETING));
        assert_eq!(peer.sent(), unhex(FIPS_REQUEST));
        peer.session
            .handle_data(peer.now, peer.conn, &unhex(refusal));
        let failure = std::iter::from_fn(|| peer.session.poll_event()).find_map(|event| {
            let Event::StateChanged { reason, .. } = event else {
                return None;
            };
            Some(reason)
        });
        let Some(StateReason::AuthFailed(failure)) = failure else {
            panic!("{failure:?}");
        };
        let text = failure.to_string();
        let AuthFailure::MechanismRefused { mechanism, .. } = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(mechanism, "DIGEST-MD5");
        assert!(text.contains("-Dzookeeper.fips-mode=false"), "{text}");
    }
}

#[test]
fn a_server_without_sasl_is_named_as_such() {
    let mut peer = Peer::new(DigestMd5::new("bob", "secret"));
    let failure = peer.failure(&mut |_| Ok(None));
    assert_eq!(failure, AuthFailure::SaslUnsupported);
}

#[test]
fn a_malformed_challenge_and_an_impostor_are_told_apart() {
    let message = |answers: Answers<'_>| {
        let mut peer = Peer::new(DigestMd5::new("bob", "secret"));
        match peer.failure(answers) {
            AuthFailure::Sasl(error) => error.message,
            AuthFailure::SaslRefused | _ => panic!("it is not the mechanism's failure"),
        }
    };
    let directive = "nonce";
    let missing = Error::Missing { directive }.to_string();
    let text = message(&mut |_| Ok(Some(b"realm=\"x\"".to_vec())));
    assert!(text.ends_with(&missing), "{text}");
    // It lets everybody in, without knowing any password.
    let mut theirs = server(Users::new(), 1);
    let text = message(&mut |token| {
        let forged = || format!("rspauth={}", "0".repeat(32)).into_bytes();
        Ok(theirs(token).unwrap_or_else(|_| Some(forged())))
    });
    assert!(text.ends_with(&Error::Impostor.to_string()), "{text}");
}
