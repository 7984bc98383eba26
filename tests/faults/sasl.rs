//! Servers that want to be told who is there, by SASL DIGEST-MD5.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use zk::threads::ThreadsHandler;
use zk::{AuthFailure, Client, Error, State, StateReason};
use zk_sasl::DigestMd5;
use zk_server::Server;
use zk_testkit::{Cluster, Options, Proxy, SASL_USERS, Sasl};

use super::{close_clean, cluster};
use crate::support::Place;

const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn a_user_signs_in_by_sasl_on_every_connection(place: impl Into<Place>) {
    let server = SaslServer::start(place.into(), Some(Sasl::Offered));
    for (user, password) in SASL_USERS {
        let client = signed_in(&server, DigestMd5::new(user, password));
        assert!(is(&client, user));
        let path = format!("/{user}");
        let acl = zk::Acl::creator_all();
        client.create(&path, b"mine").acl(acl).wait().unwrap();
        // Only the user may read it, so that a new connection has to say again who is there.
        let session = client.client_id();
        for _ in 0..3 {
            zk::testing::lose_connection(&client)
                .timeout(LIMIT)
                .wait()
                .unwrap();
            assert_eq!(client.get(&path).wait().unwrap().0, b"mine");
            assert!(is(&client, user));
        }
        assert_eq!(client.client_id(), session);
        let nobody = super::client(&server.hosts(), LIMIT);
        assert_eq!(nobody.get(&path).wait(), Err(Error::NoAuth));
        close_clean(&nobody);
        close_clean(&client);
    }
    // Whoever asks to act as another one is the user all the same.
    let (user, password) = SASL_USERS[2];
    let client = signed_in(&server, DigestMd5::new(user, password).authzid("alice"));
    assert!(is(&client, user) && !is(&client, "alice"));
    close_clean(&client);
}

pub(super) fn sasl_refuses_a_wrong_password_and_an_unknown_user(place: impl Into<Place>) {
    let server = SaslServer::start(place.into(), Some(Sasl::Offered));
    for digest in [
        DigestMd5::new(SASL_USERS[2].0, "wrong"),
        DigestMd5::new("nobody", "nothing"),
    ] {
        assert_eq!(failure(&server, digest), AuthFailure::SaslRefused);
    }
}

pub(super) fn a_server_that_insists_on_sasl_takes_nobody_else(place: impl Into<Place>) {
    let server = SaslServer::start(place.into(), Some(Sasl::Required));
    let (user, password) = SASL_USERS[1];
    let client = signed_in(&server, DigestMd5::new(user, password));
    assert!(client.exists("/").wait().unwrap().is_some());
    close_clean(&client);
    let wrong = DigestMd5::new(user, "wrong");
    assert_eq!(failure(&server, wrong), AuthFailure::SaslRefused);
    // One who does not sign in has a session, until it asks for something.
    let stranger = super::client(&server.hosts(), LIMIT);
    let error = stranger.get("/").wait().unwrap_err();
    assert!(matches!(error, Error::AuthFailed { .. }), "{error}");
    assert_eq!(stranger.state(), State::Lost);
    super::close_unheard(&stranger);
}

pub(super) fn a_server_without_sasl_is_named_as_such(place: impl Into<Place>) {
    let server = SaslServer::start(place.into(), None);
    let digest = DigestMd5::new("bob", "bobsecret");
    let failure = failure(&server, digest);
    assert_eq!(failure, AuthFailure::SaslUnsupported);
}

pub(super) fn a_server_in_fips_mode_is_named_as_such(place: impl Into<Place>) {
    let server = SaslServer::in_fips_mode(place.into());
    let (user, password) = SASL_USERS[2];
    let failure = failure(&server, DigestMd5::new(user, password));
    let text = failure.to_string();
    let AuthFailure::MechanismRefused { mechanism, .. } = failure else {
        panic!("{failure:?}");
    };
    assert_eq!(mechanism, "DIGEST-MD5");
    assert!(text.contains("-Dzookeeper.fips-mode=false"), "{text}");
}

/// A server that knows the users, or one without SASL.
enum SaslServer {
    Real(Cluster),
    Embedded(Server),
}

impl SaslServer {
    fn start(place: Place, sasl: Option<Sasl>) -> Self {
        match place {
            Place::Real(version) => {
                let options = Options::new();
                Self::Real(cluster(
                    version,
                    match sasl {
                        Some(sasl) => options.sasl_digest(sasl),
                        None => options,
                    },
                ))
            }
            Place::Simulated(_) | Place::Secured(_) => panic!("these tests need a port"),
            Place::Embedded(release) => {
                let users = Arc::new(zk_server::DigestMd5::new(SASL_USERS));
                let builder = Server::builder().quiet().with(|options| {
                    let options = options.release(release);
                    match sasl {
                        Some(Sasl::Required) => options.sasl(users).enforce_scheme("sasl"),
                        Some(_) => options.sasl(users),
                        None => options,
                    }
                });
                Self::Embedded(builder.start().unwrap())
            }
        }
    }

    /// One that knows the users, and lets none of them sign in by DIGEST-MD5.
    fn in_fips_mode(place: Place) -> Self {
        match place {
            Place::Real(version) => {
                let options = Options::new().sasl_digest(Sasl::Offered);
                // Over what the testkit does for the tests' sake.
                Self::Real(cluster(version, options.java("-Dzookeeper.fips-mode=true")))
            }
            Place::Simulated(_) | Place::Secured(_) => panic!("these tests need a port"),
            Place::Embedded(release) => {
                let users = zk_server::DigestMd5::new(SASL_USERS).fips_mode();
                let builder = Server::builder().quiet();
                let with =
                    |options: zk_server::Options| options.release(release).sasl(Arc::new(users));
                Self::Embedded(builder.with(with).start().unwrap())
            }
        }
    }

    fn hosts(&self) -> String {
        match self {
            Self::Real(cluster) => cluster.connect_string(),
            Self::Embedded(server) => server.hosts(),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Real(cluster) => cluster.address(0),
            Self::Embedded(server) => server.local_addr(),
        }
    }
}

/// A client that has signed in.
fn signed_in(server: &SaslServer, digest: DigestMd5) -> Client {
    Client::builder(server.hosts())
        .session_timeout(LIMIT)
        .sasl(digest)
        .connect(Arc::new(ThreadsHandler::new()))
        .limit(LIMIT)
        .wait()
        .unwrap()
}

/// Whether the server knows the client as this user.
fn is(client: &Client, user: &str) -> bool {
    let known = client.who_am_i().wait().unwrap();
    known
        .iter()
        .any(|known| known.scheme == "sasl" && known.user == user)
}

/// Why a client that signs in so ends for good.
fn failure(server: &SaslServer, digest: DigestMd5) -> AuthFailure {
    // Nobody is reached before there is somebody to hear of it.
    let proxy = Proxy::start(server.address()).unwrap();
    proxy.refuse(true).unwrap();
    let client = Client::builder(proxy.address().to_string())
        .sasl(digest)
        .start(Arc::new(ThreadsHandler::new()))
        .unwrap();
    let mut changes = client.state_changes();
    proxy.refuse(false).unwrap();
    let change = changes.next_timeout(LIMIT).unwrap().unwrap();
    assert_eq!(change.to, State::Lost);
    assert_eq!(changes.next_timeout(LIMIT).unwrap(), None);
    let failed = Error::AuthFailed { sent: false };
    assert_eq!(client.until_connected().wait(), Err(failed.clone()));
    assert_eq!(client.get("/").wait(), Err(failed));
    super::close_unheard(&client);
    let StateReason::AuthFailed(failure) = change.reason else {
        panic!("{:?}", change.reason);
    };
    failure
}
