//! TLS that works.

use std::sync::Arc;

use zk_testkit::ClientAuth;
use zk_tls::Version;

use super::{Authority, HERE, TlsServer, at, connect, handlers, shows, threads, trusting};
use crate::support::Place;

pub(super) fn every_handler_speaks_tls(place: Place) {
    let authority = Authority::new("servers");
    let own = authority.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    let tls = trusting(&authority).build().unwrap();
    for (number, handler) in handlers().into_iter().enumerate() {
        let client = connect(&at(server.secure(), &tls), handler);
        let path = format!("/everyday-{number}");
        client.create(&path, b"first").wait().unwrap();
        let (data, stat, mut watch) = client.get(&path).watched().wait().unwrap();
        assert_eq!(data, b"first");
        client
            .set(&path, b"second")
            .version(stat.version)
            .wait()
            .unwrap();
        watch.wait_for(super::LIMIT).unwrap().unwrap();
        let children = client.get_children("/").wait().unwrap();
        assert!(children.iter().any(|name| name == &path[1..]));
        // By name, too.
        let hosts = format!("localhost:{}", server.secure().port());
        let mut by_name = zk::Client::builder(hosts);
        by_name.tls(tls.clone());
        let other = connect(&by_name, Arc::clone(client.handler()));
        assert_eq!(other.get(&path).wait().unwrap().0, b"second");
        other.close().wait().unwrap();
        client.delete(&path).wait().unwrap();
        client.close().wait().unwrap();
    }
    assert!(tls.handshakes().full >= 1);
}

pub(super) fn a_client_shows_its_certificate(place: Place) {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let own = servers.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &clients, ClientAuth::Need);
    let mut tls = trusting(&servers);
    shows(&mut tls, &clients.issue("alice", &[]));
    for highest in [Version::V1_2, Version::V1_3] {
        let tls = tls.max_version(highest).build().unwrap();
        let client = connect(&at(server.secure(), &tls), threads());
        client.sync("/").wait().unwrap();
        client.close().wait().unwrap();
    }
    // Who may have a certificate may have none.
    let server = TlsServer::start(place, &own, &clients, ClientAuth::Want);
    let tls = trusting(&servers).build().unwrap();
    let client = connect(&at(server.secure(), &tls), threads());
    client.close().wait().unwrap();
}

pub(super) fn large_data_passes_in_both_versions(place: Place) {
    let authority = Authority::new("servers");
    let own = authority.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    for version in [Version::V1_2, Version::V1_3] {
        let tls = trusting(&authority)
            .min_version(version)
            .max_version(version)
            .build()
            .unwrap();
        let client = connect(&at(server.secure(), &tls), threads());
        let data: Vec<u8> = (0..900_000_u32).map(|n| (n % 251) as u8).collect();
        client.create("/large", data.as_slice()).wait().unwrap();
        let reads: Vec<_> = (0..8).map(|_| client.get("/large").send()).collect();
        for read in reads {
            assert_eq!(read.wait().unwrap().0, *data);
        }
        client.delete("/large").wait().unwrap();
        client.close().wait().unwrap();
    }
}
