//! Signing in by SASL DIGEST-MD5, at a server that insists on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use zk::{Acl, AuthFailure, Client, Error, ServerAddr, State, StateReason};
use zk_sasl::DigestMd5;
use zk_session::{Challenge, Mechanism, MechanismFactory, SaslError, Step};
use zk_testkit::SASL_USERS;

use crate::support::{Env, LIMIT, assert_nothing_left, lose_connection, next};

/// Bob's name and password.
const BOB: (&str, &str) = SASL_USERS[2];

fn bob() -> DigestMd5 {
    DigestMd5::new(BOB.0, BOB.1)
}

fn connect(env: &Env, mechanism: impl MechanismFactory + 'static) -> Client {
    Client::builder(env.sasl_address().to_string())
        .session_timeout(LIMIT)
        .sasl(mechanism)
        .connect(env.handler())
        .limit(LIMIT)
        .wait()
        .unwrap()
}

/// Whether the server knows the client as bob.
fn is_bob(client: &Client) -> bool {
    let known = client.who_am_i().wait().unwrap();
    known
        .iter()
        .any(|id| id.scheme == "sasl" && id.user == BOB.0)
}

fn close(client: &Client) {
    assert_nothing_left(client);
    client.close().wait().unwrap();
}

/// Why a client that signs in so ends for good.
fn failure(env: &Env, mechanism: impl MechanismFactory + 'static) -> AuthFailure {
    // It finds the server only when there is somebody to hear of the end.
    let client = Client::builder(env.nobody().to_string())
        .sasl(mechanism)
        .start(env.handler())
        .unwrap();
    let early = client.exists("/").send();
    let mut changes = client.state_changes();
    client.set_hosts(&env.sasl_address().to_string()).unwrap();
    let change = next(&mut changes);
    // Never was it connected, not even for a moment.
    assert_eq!(change.to, State::Lost);
    assert_eq!(changes.next_timeout(LIMIT).unwrap(), None);
    let failed = Error::AuthFailed { sent: false };
    assert_eq!(early.wait(), Err(failed.clone()));
    assert_eq!(client.exists("/").wait(), Err(failed));
    assert_eq!(client.close().wait(), Err(Error::CloseUnconfirmed));
    assert_nothing_left(&client);
    why(change.reason)
}

fn why(reason: StateReason) -> AuthFailure {
    let StateReason::AuthFailed(failure) = reason else {
        panic!("{reason:?}");
    };
    failure
}

pub(crate) fn a_user_signs_in_before_anything_else_on_every_connection(env: &Env) {
    let client = Client::builder(env.sasl_address().to_string())
        .session_timeout(LIMIT)
        .sasl(bob())
        .start(env.handler())
        .unwrap();
    // The server ends a session that asks for anything before it has signed in.
    let early = client.exists("/").send();
    assert!(early.wait().unwrap().is_some());
    assert!(is_bob(&client));
    let session = client.client_id();
    let path = format!("/bob-{}", client.unique_id());
    let acl = Acl::creator_all();
    client.create(&path, b"bob's").acl(acl).wait().unwrap();
    for _ in 0..3 {
        lose_connection(&client);
        assert!(is_bob(&client));
        assert_eq!(client.get(&path).wait().unwrap().0, b"bob's");
    }
    assert_eq!(client.client_id(), session);
    client.delete(&path).wait().unwrap();
    close(&client);
    client.restart().wait().unwrap();
    assert!(is_bob(&client));
    close(&client);
}

pub(crate) fn a_wrong_password_ends_the_client(env: &Env) {
    for digest in [
        DigestMd5::new(BOB.0, "wrong"),
        DigestMd5::new("nobody", "nothing"),
    ] {
        let connect = Client::builder(env.sasl_address().to_string())
            .sasl(digest.clone())
            .connect(env.handler());
        let refused = AuthFailure::SaslRefused;
        assert_eq!(connect.wait().unwrap_err(), Error::SignIn(refused.clone()));
        assert_eq!(failure(env, digest), refused);
    }
}

/// Signs in as bob, until somebody has changed his password.
#[derive(Clone, Debug, Default)]
struct Changing {
    changed: Arc<AtomicBool>,
}

impl MechanismFactory for Changing {
    fn mechanism(&self, server: &ServerAddr, nonce: [u8; 16]) -> Box<dyn Mechanism> {
        let digest = if self.changed.load(Ordering::Relaxed) {
            DigestMd5::new(BOB.0, "what it was before")
        } else {
            bob()
        };
        digest.mechanism(server, nonce)
    }
}

pub(crate) fn a_password_that_has_become_wrong_ends_the_client_at_the_next_connection(env: &Env) {
    let changing = Changing::default();
    let client = connect(env, changing.clone());
    assert!(is_bob(&client));
    let mut changes = client.state_changes();
    changing.changed.store(true, Ordering::Relaxed);
    client.reconnect();
    assert!(matches!(next(&mut changes).to, State::Suspended { .. }));
    let ended = next(&mut changes);
    assert_eq!(ended.to, State::Lost);
    assert_eq!(why(ended.reason), AuthFailure::SaslRefused);
    assert_eq!(changes.next_timeout(LIMIT).unwrap(), None);
    let failed = Error::AuthFailed { sent: false };
    assert_eq!(client.get("/").wait(), Err(failed));
    assert_eq!(client.close().wait(), Err(Error::CloseUnconfirmed));
    assert_nothing_left(&client);
}

type Gate = (Sender<()>, Option<Receiver<()>>);

/// Signs in as bob, and puts off what it can, as a mechanism does that asks others.
#[derive(Debug)]
struct PuttingOff {
    /// Told of each work that begins, which ends when it is told to.
    gate: Option<Mutex<Gate>>,
}

struct PutOff {
    digest: Box<dyn Mechanism>,
    token: Vec<u8>,
    gate: Option<Gate>,
}

impl MechanismFactory for PuttingOff {
    fn mechanism(&self, server: &ServerAddr, nonce: [u8; 16]) -> Box<dyn Mechanism> {
        let gate = self.gate.as_ref().map(|gate| {
            let mut gate = gate.lock().unwrap();
            (gate.0.clone(), gate.1.take())
        });
        Box::new(PutOff {
            digest: bob().mechanism(server, nonce),
            token: Vec::new(),
            gate,
        })
    }
}

impl Mechanism for PutOff {
    fn step(&mut self, challenge: Challenge<'_>) -> Result<Step, SaslError> {
        match self.digest.step(challenge)? {
            Step::Send(token) => {
                self.token = token;
                Ok(Step::Later)
            }
            step @ (Step::Done | Step::Later) => Ok(step),
        }
    }

    fn work(&mut self, _: Challenge<'_>) -> Result<Vec<u8>, SaslError> {
        if let Some((begun, may_end)) = &self.gate {
            let _ = begun.send(());
            if let Some(may_end) = may_end {
                let _ = may_end.recv();
            }
        }
        Ok(std::mem::take(&mut self.token))
    }
}

pub(crate) fn a_mechanism_that_blocks_is_in_nobodys_way(env: &Env) {
    let ((begun, has_begun), (end, may_end)) = (channel(), channel());
    let mechanism = PuttingOff {
        gate: Some(Mutex::new((begun, Some(may_end)))),
    };
    let client = Client::builder(env.sasl_address().to_string())
        .session_timeout(LIMIT)
        .sasl(mechanism)
        .start(env.handler())
        .unwrap();
    has_begun.recv_timeout(LIMIT).unwrap();
    // Others of the same handler go on, their callbacks too.
    let (tell, told) = channel();
    let other = env.client();
    other
        .exists("/")
        .send()
        .on_complete(move |found| tell.send(found.is_ok()).unwrap());
    assert!(told.recv_timeout(LIMIT).unwrap());
    assert_eq!(client.state(), State::Lost);
    // All works that are to come may end at once.
    drop(end);
    client.until_connected().wait_timeout(LIMIT).unwrap();
    assert!(is_bob(&client));
    close(&client);
}

pub(crate) fn work_that_is_quickly_done_is_not_missed(env: &Env) {
    let client = connect(env, PuttingOff { gate: None });
    for _ in 0..20 {
        lose_connection(&client);
    }
    assert!(is_bob(&client));
    close(&client);
    for _ in 0..10 {
        client.restart().wait().unwrap();
        assert!(is_bob(&client));
        close(&client);
    }
}
