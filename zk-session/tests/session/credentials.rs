//! Credentials and SASL: presented on every connection before anything else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use zk_proto::{ErrorCode, Request, ServerAddr, Xid, put_buffer};
use zk_session::{
    AuthFailure, Challenge, LinkError, Mechanism, MechanismFactory, ProtocolError, RequestError,
    SaslError, SaslWork, StateReason, Step,
};

use crate::rig::expect::{auth, get, get_watched};
use crate::rig::{Rig, T, server};

#[test]
fn configured_credentials_come_first_and_connected_after_them() {
    let mut rig = Rig::with(|c| {
        c.auth("digest", "u:1").auth("digest", "u:2");
    });
    let waiting = rig.submit(&get("/a"));
    for round in 0..2 {
        rig.establish();
        let asked = [rig.asked_for(&auth("u:1")), rig.asked_for(&auth("u:2"))];
        rig.nothing_asked();
        assert!(asked.iter().all(|asked| asked.xid == Xid::AUTH));
        rig.answer(&asked[0]);
        rig.nothing_happened();
        rig.answer(&asked[1]);
        rig.connected();
        if round == 0 {
            let first = rig.asked_for(&get("/a"));
            assert_eq!(first.xid, Xid(1));
            rig.answer(&first);
            rig.ok(waiting);
        }
        rig.cut();
        rig.suspended();
    }
}

#[test]
fn credentials_come_before_watches() {
    let mut rig = Rig::with(|c| {
        c.auth("digest", "u:1");
    });
    rig.establish();
    rig.answer_all();
    rig.connected();
    rig.watching(&get_watched("/a"));
    rig.answer_all();
    rig.events.clear();
    rig.cut();
    rig.suspended();
    rig.establish();
    let asked = rig.asked_for(&auth("u:1"));
    rig.nothing_asked();
    rig.answer(&asked);
    rig.connected();
    rig.asked_set_watches(|w| assert_eq!(w.data, ["/a"]));
}

#[test]
fn an_added_credential_is_presented_again_and_only_once() {
    let mut rig = Rig::to_connected();
    for _ in 0..2 {
        let id = rig.submit(&auth("u:1"));
        rig.answer_all();
        rig.ok(id);
    }
    rig.cut();
    rig.suspended();
    rig.establish();
    let asked = rig.asked_for(&auth("u:1"));
    rig.nothing_asked();
    rig.answer(&asked);
    assert_eq!(rig.connected(), StateReason::Resumed);
}

#[test]
fn a_credential_in_flight_when_the_connection_is_lost_is_not_presented_again() {
    let mut rig = Rig::to_connected();
    let id = rig.submit(&auth("u:1"));
    rig.cut();
    rig.suspended();
    assert_eq!(rig.failed(id), RequestError::ConnectionLoss { sent: true });
    rig.establish();
    rig.connected();
    rig.nothing_asked();
}

#[test]
fn a_refused_one_does_not_take_another_s_place() {
    let mut rig = Rig::to_connected();
    let cancelled = rig.queue(&auth("u:0"));
    rig.cancel(cancelled);
    let (bad, good) = (rig.submit(&auth("u:1")), rig.submit(&auth("u:2")));
    let asked = [rig.asked(), rig.asked()];
    rig.answer_err(&asked[0], ErrorCode::AUTH_FAILED);
    rig.answer(&asked[1]);
    rig.failed(bad);
    rig.ok(good);
    rig.cut();
    rig.suspended();
    rig.establish();
    let asked = rig.asked_for(&auth("u:2"));
    rig.nothing_asked();
    rig.answer(&asked);
    rig.connected();
}

#[test]
fn a_credential_that_is_refused_later_is_terminal() {
    let mut rig = Rig::with(|c| {
        c.auth("digest", "u:1");
    });
    rig.establish();
    rig.answer_all();
    rig.connected();
    let id = rig.submit(&get("/a"));
    rig.cut();
    rig.suspended();
    rig.failed(id);
    let waiting = rig.submit(&get("/a"));
    rig.establish();
    rig.say(Xid::AUTH, ErrorCode::AUTH_FAILED, &[]);
    let scheme = "digest".to_owned();
    let reason = StateReason::AuthFailed(AuthFailure::Credential { scheme });
    assert_eq!(rig.lost(), reason);
    assert_eq!(
        rig.failed(waiting),
        RequestError::AuthFailed { sent: false }
    );
    rig.closed();
}

#[test]
fn a_server_that_requires_an_authentication_ends_the_session() {
    let mut rig = Rig::to_connected();
    let id = rig.submit(&get("/a"));
    let asked = rig.asked();
    rig.answer_err(&asked, ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH);
    assert_eq!(rig.lost(), StateReason::AuthFailed(AuthFailure::Required));
    assert_eq!(rig.failed(id), RequestError::AuthFailed { sent: true });
    rig.closed();
}

/// A mechanism that plays what the test has written down.
#[derive(Debug, Default)]
struct Script {
    steps: Mutex<VecDeque<Result<Step, SaslError>>>,
    challenges: Mutex<Vec<Option<Vec<u8>>>>,
    made: Mutex<Vec<(ServerAddr, [u8; 16])>>,
}

struct Player(Arc<Script>);

impl Mechanism for Player {
    fn step(&mut self, challenge: Challenge<'_>) -> Result<Step, SaslError> {
        let seen = match challenge {
            Challenge::Initial => None,
            Challenge::Token(token) => Some(token.to_vec()),
            Challenge::Null => Some(b"null".to_vec()),
        };
        self.0.challenges.lock().expect("one thread").push(seen);
        let next = self.0.steps.lock().expect("one thread").pop_front();
        next.expect("the script goes on")
    }

    /// Works on what it is told to.
    fn work(&mut self, challenge: Challenge<'_>) -> Result<Vec<u8>, SaslError> {
        match challenge {
            Challenge::Initial => Ok(b"from the beginning".to_vec()),
            Challenge::Token(b"panic") => panic!("as it was told"),
            Challenge::Token(token) => Ok([b"from ", token].concat()),
            Challenge::Null => Err(SaslError::new("from nothing comes nothing")),
        }
    }
}

#[derive(Debug)]
struct Players(Arc<Script>);

impl MechanismFactory for Players {
    fn mechanism(&self, server: &ServerAddr, nonce: [u8; 16]) -> Box<dyn Mechanism> {
        let mut made = self.0.made.lock().expect("one thread");
        made.push((server.clone(), nonce));
        Box::new(Player(Arc::clone(&self.0)))
    }
}

fn scripted(steps: Vec<Result<Step, SaslError>>) -> (Rig, Arc<Script>) {
    let script = Arc::new(Script::default());
    script.steps.lock().expect("one thread").extend(steps);
    let factory = Arc::new(Players(Arc::clone(&script)));
    let mut rig = Rig::with(|c| {
        c.mechanism(factory).auth("digest", "u:1");
    });
    rig.establish();
    (rig, script)
}

fn token(bytes: &[u8]) -> Request<'_> {
    let token = Some(bytes.into());
    Request::Sasl { token }
}

fn send(bytes: &[u8]) -> Result<Step, SaslError> {
    Ok(Step::Send(bytes.to_vec()))
}

/// The server's next move.
fn challenge(rig: &mut Rig, xid: Xid, token: Option<&[u8]>) {
    let mut body = Vec::new();
    put_buffer(&mut body, token);
    rig.say(xid, ErrorCode::OK, &body);
}

#[test]
fn sasl_comes_before_credentials_and_requests() {
    let (mut rig, script) = scripted(vec![send(b""), send(b"two"), Ok(Step::Done)]);
    let waiting = rig.submit(&get("/a"));
    let asked = rig.asked_for(&token(b""));
    rig.nothing_asked();
    challenge(&mut rig, asked.xid, Some(b"one"));
    let asked = rig.asked_for(&token(b"two"));
    challenge(&mut rig, asked.xid, Some(b"three"));
    rig.nothing_happened();
    let asked = rig.asked_for(&auth("u:1"));
    rig.nothing_asked();
    rig.answer(&asked);
    rig.connected();
    rig.answer_all();
    rig.ok(waiting);
    let challenges = script.challenges.lock().expect("one thread").clone();
    assert_eq!(
        challenges,
        [None, Some(b"one".to_vec()), Some(b"three".to_vec())]
    );
}

#[test]
fn sasl_is_done_again_on_every_connection_with_a_fresh_nonce() {
    let (mut rig, script) = scripted(vec![Ok(Step::Done), Ok(Step::Done)]);
    rig.answer_all();
    rig.connected();
    rig.cut();
    rig.suspended();
    rig.establish();
    rig.answer_all();
    rig.connected();
    let made = script.made.lock().expect("one thread").clone();
    assert_eq!((&made[0].0, &made[1].0), (&server("a"), &server("b")));
    assert_ne!(made[0].1, made[1].1);
}

#[test]
fn a_mechanism_can_take_its_time() {
    let (mut rig, _) = scripted(vec![Ok(Step::Later), Ok(Step::Later), Ok(Step::Done)]);
    let conn = rig.conn();
    let work = put_off(&mut rig);
    assert_eq!(work.challenge(), Challenge::Initial);
    // A loop may know the token by itself.
    rig.session
        .handle_sasl(rig.now, conn, Ok(b"first".to_vec()));
    rig.drain();
    let asked = rig.asked_for(&token(b"first"));
    challenge(&mut rig, asked.xid, Some(b"next"));
    let work = put_off(&mut rig);
    assert_eq!(work.challenge(), Challenge::Token(b"next"));
    assert!(work.is_wanted());
    rig.session.handle_sasl(rig.now, conn, work.run());
    rig.drain();
    let asked = rig.asked_for(&token(b"from next"));
    challenge(&mut rig, asked.xid, Some(b""));
    rig.answer_all();
    rig.connected();
}

/// What the mechanism has put off.
fn put_off(rig: &mut Rig) -> SaslWork {
    let (conn, work) = rig.sasl.pop_front().expect("a token is to be worked out");
    assert_eq!(conn, rig.conn());
    work
}

#[test]
fn work_of_a_lost_connection_is_not_wanted() {
    let (mut rig, _) = scripted(vec![Ok(Step::Later), Ok(Step::Later), Ok(Step::Done)]);
    let (old, work) = (rig.conn(), put_off(&mut rig));
    rig.cut();
    rig.attempt_failed();
    assert!(!work.is_wanted());
    rig.establish();
    rig.session.handle_sasl(rig.now, old, work.run());
    rig.drain();
    rig.nothing_asked();
    assert!(put_off(&mut rig).is_wanted());
}

#[test]
fn a_token_that_nobody_waits_for_is_ignored() {
    let (mut rig, _) = scripted(vec![Ok(Step::Later), Ok(Step::Done)]);
    let conn = rig.conn();
    let work = put_off(&mut rig);
    rig.session.handle_sasl(rig.now, conn, work.clone().run());
    rig.session.handle_sasl(rig.now, conn, work.run());
    rig.drain();
    let asked = rig.asked_for(&token(b"from the beginning"));
    rig.nothing_asked();
    challenge(&mut rig, asked.xid, Some(b""));
    rig.answer_all();
    rig.connected();
}

#[test]
fn a_server_may_not_answer_while_the_mechanism_works() {
    let (mut rig, _) = scripted(vec![Ok(Step::Later)]);
    challenge(&mut rig, Xid(1), Some(b"in a hurry"));
    let (_, error) = rig.attempt_failed();
    let (got, expected) = (Xid(1), Xid::WATCH);
    let error_expected = LinkError::Protocol(ProtocolError::WrongXid { got, expected });
    assert_eq!(error, error_expected);
}

#[test]
fn a_mechanism_that_panics_has_failed() {
    let (mut rig, _) = scripted(vec![send(b"1"), Ok(Step::Later)]);
    let asked = rig.asked();
    challenge(&mut rig, asked.xid, Some(b"panic"));
    let token = put_off(&mut rig).run();
    let conn = rig.conn();
    rig.session.handle_sasl(rig.now, conn, token);
    rig.drain();
    let error = SaslError::new("the mechanism panicked");
    assert_eq!(auth_failure(rig), AuthFailure::Sasl(error));
}

#[test]
fn a_temporary_error_costs_the_attempt_only() {
    let error = SaslError::temporary("the Kerberos server is away");
    let (mut rig, _) = scripted(vec![Err(error.clone()), Ok(Step::Later), Ok(Step::Done)]);
    let (_, why) = rig.attempt_failed();
    assert_eq!(why, LinkError::Sasl(error.clone()));
    rig.establish();
    let conn = rig.conn();
    rig.session.handle_sasl(rig.now, conn, Err(error.clone()));
    rig.drain();
    let (_, why) = rig.attempt_failed();
    assert_eq!(why, LinkError::Sasl(error));
    rig.establish();
    rig.answer_all();
    rig.connected();
}

#[test]
fn a_null_token_at_the_end_is_a_challenge_too() {
    let (mut rig, script) = scripted(vec![send(b"1"), send(b"2"), Ok(Step::Done)]);
    let asked = rig.asked();
    challenge(&mut rig, asked.xid, Some(b"more"));
    let asked = rig.asked();
    challenge(&mut rig, asked.xid, None);
    rig.answer_all();
    rig.connected();
    let challenges = script.challenges.lock().expect("one thread").clone();
    assert_eq!(challenges.last(), Some(&Some(b"null".to_vec())));
}

fn auth_failure(mut rig: Rig) -> AuthFailure {
    let reason = rig.lost();
    rig.closed();
    match reason {
        StateReason::AuthFailed(failure) => failure,
        other => panic!("unexpected: {other:?}"),
    }
}

#[test]
fn a_null_token_at_the_beginning_means_that_the_server_has_no_sasl() {
    let (mut rig, _) = scripted(vec![send(b"1")]);
    let asked = rig.asked();
    challenge(&mut rig, asked.xid, None);
    assert_eq!(auth_failure(rig), AuthFailure::SaslUnsupported);
}

#[test]
fn a_sasl_refusal_is_terminal() {
    for code in [
        ErrorCode::AUTH_FAILED,
        ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
    ] {
        let (mut rig, _) = scripted(vec![send(b"1")]);
        let asked = rig.asked();
        rig.answer_err(&asked, code);
        assert_eq!(auth_failure(rig), AuthFailure::SaslRefused);
    }
}

#[test]
fn a_mechanism_s_own_error_is_terminal() {
    let error = SaslError::new("no ticket");
    let (rig, _) = scripted(vec![Err(error.clone())]);
    assert_eq!(auth_failure(rig), AuthFailure::Sasl(error.clone()));
    let (mut rig, _) = scripted(vec![Ok(Step::Later)]);
    let conn = rig.conn();
    rig.session.handle_sasl(rig.now, conn, Err(error.clone()));
    rig.drain();
    assert_eq!(auth_failure(rig), AuthFailure::Sasl(error));
}

#[test]
fn a_connection_lost_in_the_exchange_is_no_refusal() {
    let (mut rig, _) = scripted(vec![send(b"1"), send(b"1")]);
    rig.asked();
    rig.cut();
    let (_, error) = rig.attempt_failed();
    assert_eq!(error, LinkError::Io(std::io::ErrorKind::UnexpectedEof));
    rig.establish();
    rig.asked_for(&token(b"1"));
}

#[test]
fn an_exchange_that_takes_too_long_costs_the_attempt() {
    let (mut rig, _) = scripted(vec![Ok(Step::Later)]);
    rig.pass(T * 2 / 9);
    let (_, error) = rig.attempt_failed();
    assert_eq!(error, LinkError::SaslTimeout);
    // One that waits for the server is the server's fault.
    let (mut rig, _) = scripted(vec![send(b"1")]);
    rig.pass(T * 2 / 9);
    let (_, error) = rig.attempt_failed();
    assert_eq!(error, LinkError::ConnectTimeout);
}

#[test]
fn nothing_secret_is_in_any_debug_output() {
    let mut rig = Rig::with(|c| {
        c.auth("digest", "u:hunter2")
            .resume(crate::rig::SID, crate::rig::password(crate::rig::SID));
    });
    rig.establish();
    let text = format!("{:?} {:?}", rig.session, rig.events);
    assert!(
        !text.contains("hunter2") && !text.contains("171, 171"),
        "{text}"
    );
}
