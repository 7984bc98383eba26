//! Files that change while clients use them.

use std::time::Duration;

use zk_testkit::ClientAuth;
use zk_tls::Tls;

use super::{Authority, Folder, HERE, TlsServer, at, connect, lose_connection, threads};
use crate::support::{Place, log};

pub(super) fn a_renewed_certificate_is_shown_from_the_next_connection_on(place: Place) {
    log::start();
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let own = servers.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &clients, ClientAuth::Need);
    let folder = Folder::new();
    let ca = folder.write("ca.pem", servers.pem());
    let stranger = servers.issue("old", &[]);
    let (good, better) = (clients.issue("good", &[]), clients.issue("better", &[]));
    let certificate = folder.write("client.pem", &stranger.certificate);
    let key = folder.write("client.key", &stranger.key);
    let tls = Tls::builder()
        .ca_file(&ca)
        .certificate_files(&certificate, &key)
        .build()
        .unwrap();

    // What the server does not take is replaced, and the client that goes on trying gets in.
    let client = at(server.secure(), &tls).start(threads()).unwrap();
    while client.last_error().is_none() {
        std::thread::yield_now();
    }
    assert!(!client.connected());
    folder.write("client.pem", &good.certificate);
    folder.write("client.key", &good.key);
    let connected = client.until_connected().wait_timeout(super::LIMIT);
    connected.unwrap();

    // Of no use: what was good before still is.
    folder.write("client.key", "-----BEGIN NONSENSE-----\n");
    assert!(tls.reload().is_err());
    lose_connection(&client);
    folder.write("ca.pem", "");
    lose_connection(&client);
    lose_connection(&client);
    let named = folder.path().join("ca.pem").display().to_string();
    assert_eq!(log::warnings(&["of no use", &named]), 1);

    // Of use again, and the sessions of TLS of before are none of the new identity.
    folder.write("ca.pem", servers.pem());
    folder.write("client.pem", &better.certificate);
    folder.write("client.key", &better.key);
    let before = tls.handshakes();
    lose_connection(&client);
    assert_eq!(tls.handshakes().full, before.full + 1);
    if let Place::Real(zk_testkit::Version::V3_9) = place {
        let known = client.who_am_i().wait().unwrap();
        assert!(known.iter().any(|known| known.user == "CN=better"));
    }
    client.close().wait().unwrap();

    // Only when told to.
    let by_hand = Tls::builder()
        .ca_file(&ca)
        .certificate_files(&certificate, &key)
        .reload_by_hand()
        .build()
        .unwrap();
    folder.write("ca.pem", "");
    let client = connect(&at(server.secure(), &by_hand), threads());
    client.close().wait().unwrap();
    assert!(by_hand.reload().is_err());
    folder.write("ca.pem", clients.pem());
    by_hand.reload().unwrap();
    let mut builder = at(server.secure(), &by_hand);
    let refused = builder.session_timeout(Duration::from_secs(4));
    let limit = Duration::from_secs(2);
    refused.connect(threads()).limit(limit).wait().unwrap_err();
}
