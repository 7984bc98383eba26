//! From a name to a session, and what goes wrong on the way.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use zk_client::{Client, Error, LinkError, ServerAddr, State};
use zk_handler_threads::ThreadsHandler;

use crate::support::{SOON, Server, data, reply_bytes, until};

/// A port of this machine at which nothing listens.
fn refused() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

fn last_error(hosts: &str) -> LinkError {
    // A machine that is busy, and one that asks for names elsewhere, may take a while.
    let limits = [500, 5_000, 50_000].map(Duration::from_millis);
    let errors = limits.map(|limit| {
        move || {
            let handler = Arc::new(ThreadsHandler::new());
            match Client::builder(hosts).connect(handler).limit(limit).wait() {
                Err(Error::ConnectTimeout { last }) => Some(last?.1),
                other => panic!("{other:?}"),
            }
        }
    });
    errors.into_iter().find_map(|error| error()).unwrap()
}

#[test]
fn connect_get_close() {
    let server = Server::start();
    let client = zk_handler_threads::connect(server.hosts())
        .limit(SOON)
        .wait()
        .unwrap();
    assert_eq!(
        client.server(),
        Some(ServerAddr::new("127.0.0.1", server.address().port()))
    );
    let (data, _) = client.get("/a/b").wait().unwrap();
    assert_eq!(data, b"/a/b");
    client.close().wait().unwrap();
    assert_eq!(client.state(), State::Lost);
}

#[test]
fn a_refused_port_is_told() {
    assert_eq!(
        last_error(&refused()),
        LinkError::Io(ErrorKind::ConnectionRefused)
    );
}

#[test]
fn a_name_that_does_not_resolve_is_told() {
    let error = last_error("no-such-host.invalid:2181");
    assert_eq!(error, LinkError::Io(ErrorKind::NotFound));
}

#[test]
fn names_are_resolved_and_all_their_addresses_tried() {
    let server = Server::start();
    // Mostly `::1` comes first, where nothing listens.
    let hosts = format!("localhost:{}", server.address().port());
    let client = zk_handler_threads::connect(hosts)
        .limit(SOON)
        .wait()
        .unwrap();
    client.get("/").wait().unwrap();
}

#[test]
fn the_next_server_takes_over_from_one_that_refuses_or_is_mute() {
    let (mute, server) = (Server::bind(), Server::start());
    let hosts = format!("{},{},{}", refused(), mute.hosts(), server.hosts());
    let handler = Arc::new(ThreadsHandler::new());
    let client = Client::builder(hosts)
        .randomize_hosts(false)
        .attempt_timeout(Duration::from_secs(2))
        .connect(handler)
        .limit(SOON)
        .wait()
        .unwrap();
    assert_eq!(
        client.server(),
        Some(ServerAddr::new("127.0.0.1", server.address().port()))
    );
    // It was connected to, and given up.
    let mut peer = mute.accept();
    peer.frame().expect("a connect request");
    assert_eq!(peer.frame(), None);
}

#[test]
fn a_server_that_appears_later_is_found() {
    let port = refused();
    let handler = Arc::new(ThreadsHandler::new());
    let client = Client::builder(&port).start(handler).unwrap();
    until("an attempt fails", || client.last_error().is_some());
    let listener = TcpListener::bind(&port).unwrap();
    let (stream, _) = listener.accept().unwrap();
    drop(stream);
}

#[test]
fn the_end_of_the_stream_is_told_apart_from_a_reset() {
    let server = Server::bind();
    let handler = ThreadsHandler::new();
    let (client, peer) = server.client(&handler);

    peer.stream.shutdown(Shutdown::Write).unwrap();
    let mut peer = server.accept();
    let (_, error) = client.last_error().unwrap();
    assert_eq!(error, LinkError::Io(ErrorKind::UnexpectedEof));
    peer.handshake();
    client.until_connected().wait_timeout(SOON).unwrap();

    // A socket that is closed with something unread in it resets the connection.
    let result = client.get("/unread").send();
    let mut byte = [0];
    assert_eq!(peer.stream.peek(&mut byte).unwrap(), 1);
    drop(peer);
    assert_eq!(
        result.wait_timeout(SOON).unwrap_err(),
        Error::ConnectionLoss { sent: true }
    );
    let mut peer = server.accept();
    let (_, error) = client.last_error().unwrap();
    assert_eq!(error, LinkError::Io(ErrorKind::ConnectionReset));
    peer.handshake();
    peer.serve_on();
    client.close().wait().unwrap();
}

#[test]
fn a_session_is_resumed_after_a_reply_was_cut_in_two() {
    let server = Server::bind();
    let handler = ThreadsHandler::new();
    let (client, mut peer) = server.client(&handler);
    let session = client.client_id().unwrap().0;

    let results: Vec<_> = (0..3).map(|_| client.get("/a").send()).collect();
    let first = peer.request();
    let bytes = reply_bytes(&first, &data("whole"));
    let cut = reply_bytes(&peer.request(), &data("half"));
    peer.stream
        .write_all(&[&bytes[..], &cut[..cut.len() / 2]].concat())
        .unwrap();
    peer.request();
    drop(peer);

    let mut results = results.into_iter();
    let mut next = || results.next().unwrap().wait_timeout(SOON);
    assert_eq!(next().unwrap().0, b"whole");
    assert_eq!(next().unwrap_err(), Error::ConnectionLoss { sent: true });
    assert_eq!(next().unwrap_err(), Error::ConnectionLoss { sent: true });

    let mut peer = server.accept();
    assert_eq!(peer.handshake().session_id, session);
    peer.serve_on();
    client.get("/again").send().wait_timeout(SOON).unwrap();
    client.close().wait().unwrap();
}
