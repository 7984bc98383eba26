//! Four-letter words at ports with TLS and without: answered, or refused with the reason.

use std::io::ErrorKind::TimedOut;
use std::sync::Arc;
use std::time::Duration;

use zk::{Error, FourLetterWord, Handler, LayerErrorKind, LinkError, ServerAddr};
use zk_handler_base::{OwnHandler, OwnLoop};
use zk_testkit::ClientAuth;
use zk_tls::{Tls, Version};

use super::{Authority, HERE, LIMIT, TlsServer, at, connect, handlers, shows, threads, trusting};
use crate::support::{Place, Stranger};

/// A loop that is never asked to drive anybody.
struct NoLoop;

impl OwnLoop for NoLoop {
    fn drive(&self, _: Arc<zk::Core>) -> Result<(), zk::StartError> {
        Err(zk::StartError::ShutDown)
    }

    fn is_here(&self) -> bool {
        false
    }
}

/// The handlers that drive clients, and that of a loop of one's own.
fn all_handlers() -> Vec<Arc<dyn Handler>> {
    let mut all = handlers();
    all.push(Arc::new(OwnHandler::new(NoLoop)));
    all
}

fn ask(
    handler: &Arc<dyn Handler>,
    server: std::net::SocketAddr,
    tls: Option<&Tls>,
    limit: Duration,
) -> Result<String, Error> {
    let server = ServerAddr::new(&server.ip().to_string(), server.port());
    let layer = tls.map(|tls| tls as &dyn zk::session::LayerFactory);
    let word = FourLetterWord::new(*b"ruok", server, layer).unwrap();
    handler.four_letter(word, limit).wait()
}

pub(super) fn words_are_answered_by_way_of_tls(place: Place) {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let own = servers.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &clients, ClientAuth::Need);
    for version in [Version::V1_2, Version::V1_3] {
        let mut tls = trusting(&servers);
        shows(&mut tls, &clients.issue("alice", &[]));
        let tls = tls.max_version(version).build().unwrap();
        for handler in all_handlers() {
            let answer = ask(&handler, server.secure(), Some(&tls), LIMIT);
            assert_eq!(answer.as_deref(), Ok("imok"), "{handler:?}");
        }
        for handler in handlers() {
            let client = connect(&at(server.secure(), &tls), handler);
            assert_eq!(client.command("ruok").wait().unwrap(), "imok");
            // Longer than one record may be.
            let name = "x".repeat(150);
            let watches: Vec<_> = (0..200)
                .map(|n| client.exists(&format!("/{name}-{n}")).watched().send())
                .collect();
            let watches: Vec<_> = watches.into_iter().map(|w| w.wait().unwrap()).collect();
            let answer = client.command("wchc").wait().unwrap();
            assert!(answer.len() > 30_000, "{}", answer.len());
            assert_eq!(answer.matches(&name).count(), 200);
            drop(watches);
            let version = client.server_version().wait().unwrap();
            assert!(version.is_at_least(&[3, 8]));
            client.close().wait().unwrap();
        }
    }
}

pub(super) fn a_word_at_the_wrong_port_is_told(place: Place) {
    let (authority, other) = (Authority::new("servers"), Authority::new("servers"));
    let own = authority.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &authority, ClientAuth::None);
    let tls = trusting(&authority).build().unwrap();
    let mistrusting = trusting(&other).build().unwrap();
    let kind = |answer| match answer {
        Err(Error::Command(LinkError::Layer(error))) => error.kind,
        other => panic!("{other:?}"),
    };
    for handler in all_handlers() {
        let plain = ask(&handler, server.plain(), Some(&tls), LIMIT);
        assert_eq!(kind(plain), LayerErrorKind::Plaintext);
        let unknown = ask(&handler, server.secure(), Some(&mistrusting), LIMIT);
        assert_eq!(kind(unknown), LayerErrorKind::UnknownAuthority);
        // Four bytes are less than the head of a record: a server in Java waits for the rest of it.
        let (limit, expected) = match place {
            Place::Real(_) => (Duration::from_millis(300), LinkError::Io(TimedOut)),
            Place::Embedded(_) | Place::Simulated(_) | Place::Secured(_) => {
                (LIMIT, LinkError::NotZooKeeper(zk::session::Stranger::Tls))
            }
        };
        let without = ask(&handler, server.secure(), None, limit);
        assert_eq!(without, Err(Error::Command(expected)));
        assert_eq!(
            ask(&handler, server.plain(), None, LIMIT).as_deref(),
            Ok("imok")
        );
    }
}

#[test]
fn a_handshake_without_an_end_is_given_up() {
    let silent = Stranger::Silent.listen();
    let http = Stranger::Answers(b"HTTP/1.1 400 Bad Request\r\n\r\n").listen();
    let tls = trusting(&Authority::new("servers")).build().unwrap();
    for handler in all_handlers() {
        let timed_out = LinkError::Io(TimedOut);
        let answer = ask(&handler, silent, Some(&tls), Duration::from_millis(100));
        assert_eq!(answer, Err(Error::Command(timed_out)), "{handler:?}");
        let Err(Error::Command(LinkError::Layer(error))) = ask(&handler, http, Some(&tls), LIMIT)
        else {
            panic!("{handler:?}");
        };
        assert_eq!(error.kind, LayerErrorKind::Plaintext);
        let stranger = LinkError::NotZooKeeper(zk::session::Stranger::Http);
        let answer = ask(&handler, http, None, LIMIT);
        assert_eq!(answer, Err(Error::Command(stranger)));
    }
    // A layer that cannot be made is told at once.
    let server = zk_server::Server::builder().quiet().start().unwrap();
    let client = connect(&zk::Client::builder(server.hosts()), threads());
    assert_eq!(client.command("ruok").wait().unwrap(), "imok");
    client.close().wait().unwrap();
}
