//! Sessions of TLS that are resumed on the next connection, and why they are not on servers of 3.9.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use zk_testkit::{ClientAuth, Version as Release};
use zk_tls::Version;
use zk_tls::rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use zk_tls::rustls::pki_types::pem::PemObject;
use zk_tls::rustls::pki_types::{CertificateDer, ServerName};
use zk_tls::rustls::{
    self, ClientConfig, ClientConnection, HandshakeKind, NamedGroup, RootCertStore,
};

use super::{Authority, HERE, TlsServer, at, connect, lose_connection, threads, trusting};
use crate::support::Place;

/// Those of 3.9 make a context for each connection (`NettyServerCnxnFactory.initSSL`, which calls
/// `ClientX509Util.createNettySslContextForServer`), and what one has given out means nothing to the
/// next. Those of 3.8 have one for all.
fn forgets(place: Place) -> bool {
    matches!(place, Place::Real(release) if release >= Release::V3_9)
}

pub(super) fn sessions_of_tls_are_resumed(place: Place) {
    let authority = Authority::new("servers");
    let own = authority.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    for version in [Version::V1_3, Version::V1_2] {
        let tls = trusting(&authority)
            .min_version(version)
            .max_version(version)
            .build()
            .unwrap();
        let client = connect(&at(server.secure(), &tls), threads());
        let session = client.client_id();
        for _ in 0..3 {
            lose_connection(&client);
        }
        assert_eq!(client.client_id(), session);
        let handshakes = (tls.handshakes().full, tls.handshakes().resumed);
        let expected = if forgets(place) { (4, 0) } else { (1, 3) };
        assert_eq!(handshakes, expected, "{version:?}");
        client.close().wait().unwrap();

        let tls = trusting(&authority).resumption(0).build().unwrap();
        let client = connect(&at(server.secure(), &tls), threads());
        lose_connection(&client);
        assert_eq!(tls.handshakes().resumed, 0);
        client.close().wait().unwrap();
    }
}

/// Counts what is kept, and what is taken out to be offered.
#[derive(Debug)]
struct Counting {
    inner: ClientSessionMemoryCache,
    kept: AtomicU32,
    offered: AtomicU32,
}

impl Counting {
    fn offers<T>(&self, value: Option<T>) -> Option<T> {
        self.offered
            .fetch_add(u32::from(value.is_some()), Ordering::Relaxed);
        value
    }
}

impl ClientSessionStore for Counting {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.inner.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.inner.kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept.fetch_add(1, Ordering::Relaxed);
        self.inner.set_tls12_session(server, value);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.offers(self.inner.tls12_session(server))
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.inner.remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.kept.fetch_add(1, Ordering::Relaxed);
        self.inner.insert_tls13_ticket(server, value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.offers(self.inner.take_tls13_ticket(server))
    }
}

/// Asks a four-letter word, reads until the server closes, and tells how the handshake went.
fn ask(server: SocketAddr, config: &Arc<ClientConfig>) -> HandshakeKind {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let socket = TcpStream::connect(server).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, socket);
    stream.write_all(b"ruok").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "imok");
    stream.conn.handshake_kind().unwrap()
}

/// All servers give something to be remembered, and it is offered to them: it is not for the client
/// that those of 3.9 begin anew.
pub(super) fn what_servers_give_to_be_remembered(place: Place) {
    let authority = Authority::new("servers");
    let own = authority.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes());
    roots.add(root.unwrap()).unwrap();
    let roots = Arc::new(roots);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(Arc::clone(&roots))
            .with_no_client_auth();
        let store = Arc::new(Counting {
            inner: ClientSessionMemoryCache::new(8),
            kept: AtomicU32::new(0),
            offered: AtomicU32::new(0),
        });
        config.resumption = Resumption::store(Arc::clone(&store) as Arc<dyn ClientSessionStore>);
        let config = Arc::new(config);
        assert_eq!(ask(server.secure(), &config), HandshakeKind::Full);
        assert!(store.kept.load(Ordering::Relaxed) >= 1, "{version:?}");
        assert_eq!(store.offered.load(Ordering::Relaxed), 0);
        let second = ask(server.secure(), &config);
        assert_eq!(store.offered.load(Ordering::Relaxed), 1, "{version:?}");
        let expected = if forgets(place) {
            HandshakeKind::Full
        } else {
            HandshakeKind::Resumed
        };
        assert_eq!(second, expected, "{version:?}");
    }
}
