//! TLS that is set up wrong: each way is an error of its own, which the client tells to whoever asks,
//! and warns of once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zk::session::Stranger;
use zk::{Error, LayerErrorKind, LinkError};
use zk_testkit::ClientAuth;
use zk_tls::{Tls, Version};

use super::{Authority, HERE, TlsServer, at, shows, threads, trusting};
use crate::support::{Place, log, wait_until};

/// How often a test makes clients fail in the same way.
const VARIANTS: usize = 3;

/// How long a client tries that cannot succeed.
const SHORT: Duration = Duration::from_secs(2);

pub(super) fn a_plain_client_at_the_port_for_tls(place: Place) {
    let authority = Authority::new("servers");
    let own = authority.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    let error = failure(zk::Client::builder(server.secure().to_string()));
    // Servers in Java hang up without a word.
    let expected = match place {
        Place::Real(_) => LinkError::Declined,
        Place::Embedded(_) | Place::Simulated(_) | Place::Secured(_) => {
            LinkError::NotZooKeeper(Stranger::Tls)
        }
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("TLS"), "{error}");
}

pub(super) fn a_client_with_tls_at_the_plain_port(place: Place) {
    let authority = Authority::new("servers");
    let own = authority.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    let tls = trusting(&authority).build().unwrap();
    fails(server.plain(), &tls, LayerErrorKind::Plaintext);
}

pub(super) fn a_certificate_that_has_expired(place: Place) {
    let authority = Authority::new("servers");
    let own = authority.issue_until("server", &HERE, 2001);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    let tls = trusting(&authority).build().unwrap();
    fails(server.secure(), &tls, LayerErrorKind::Expired);
}

pub(super) fn a_certificate_for_another_name(place: Place) {
    let authority = Authority::new("servers");
    let own = authority.issue("localhost", &["zk.example.com"]);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    let tls = trusting(&authority).build().unwrap();
    fails(server.secure(), &tls, LayerErrorKind::WrongName);
    // The name that it does have, and the loud options.
    let named = trusting(&authority).server_name("zk.example.com").build();
    let any_name = trusting(&authority).danger_accept_any_name().build();
    let anything = Tls::builder().danger_accept_any_certificate().build();
    for tls in [named, any_name, anything] {
        let client = super::connect(&at(server.secure(), &tls.unwrap()), threads());
        client.close().wait().unwrap();
    }
}

pub(super) fn a_certificate_of_an_unknown_authority(place: Place) {
    let (authority, other) = (Authority::new("servers"), Authority::new("servers"));
    let own = authority.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    for version in [Version::V1_2, Version::V1_3] {
        let tls = trusting(&other).max_version(version).build().unwrap();
        fails(server.secure(), &tls, LayerErrorKind::UnknownAuthority);
    }
    let any_name = trusting(&other).danger_accept_any_name().build().unwrap();
    fails(server.secure(), &any_name, LayerErrorKind::UnknownAuthority);
}

pub(super) fn a_client_without_the_certificate_that_is_wanted(place: Place) {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let own = servers.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &clients, ClientAuth::Need);
    for version in [Version::V1_2, Version::V1_3] {
        let tls = trusting(&servers).max_version(version).build().unwrap();
        fails(server.secure(), &tls, LayerErrorKind::CertificateRequired);
    }
}

pub(super) fn a_client_with_a_certificate_that_is_not_taken(place: Place) {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let own = servers.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &clients, ClientAuth::Need);
    for version in [Version::V1_2, Version::V1_3] {
        let mut tls = trusting(&servers);
        shows(&mut tls, &servers.issue("mallory", &[]));
        let tls = tls.max_version(version).build().unwrap();
        fails(server.secure(), &tls, LayerErrorKind::CertificateRefused);
    }
}

/// Connecting there fails for this, whenever one looks, and is warned of once.
fn fails(address: SocketAddr, tls: &Tls, kind: LayerErrorKind) {
    let error = failure(at(address, tls));
    let LinkError::Layer(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind, kind, "{error}");
    assert_eq!(tls.handshakes().resumed, 0);
}

/// Why a client with these options does not connect.
fn failure(mut builder: zk::Builder) -> LinkError {
    log::start();
    let builder = builder.connection_retry(quick());
    let begun = Instant::now();
    let client = builder.start(threads()).unwrap();
    wait_until("a few attempts", || client.stats().session.attempts >= 4);
    let (server, why) = client.last_error().unwrap();
    // The same for one that gives up. A machine that is busy takes its time for each attempt.
    let limit = SHORT.max(begun.elapsed());
    let error = builder.connect(threads()).limit(limit).wait().unwrap_err();
    let Error::ConnectTimeout { last } = error else {
        panic!("{error}");
    };
    assert_eq!(last, Some((server.clone(), why.clone())));
    let _ = client.close().timeout(SHORT).wait();
    if why != LinkError::Declined {
        let parts = ["cannot connect", &server.to_string(), &why.to_string()];
        let warnings = log::warnings(&parts);
        // One for each client; another kind of failure is another warning.
        assert!(warnings >= 2 && warnings % 2 == 0, "{warnings}");
        assert!(warnings <= 2 * VARIANTS, "{warnings}");
    }
    why
}

/// Attempts in so short an order that a test need not wait for them.
fn quick() -> zk::BackoffPolicy {
    zk::BackoffPolicy::new()
        .delay(Duration::from_millis(20))
        .max_delay(Duration::from_millis(50))
}
