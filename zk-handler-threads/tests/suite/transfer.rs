//! Bytes in both directions, much of them, slowly, and for many clients.

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use zk_client::{EventType, Stat};
use zk_handler_threads::ThreadsHandler;
use zk_proto::{Reply, Request};

use crate::support::{SOON, Server, body_of, data, reply_bytes, until};

fn megabyte(seed: u8) -> Vec<u8> {
    (0..1_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 ^ seed)
        .collect()
}

#[test]
fn replies_of_a_megabyte_arrive_whole() {
    let server = Server::bind();
    let (client, mut peer) = server.client(&ThreadsHandler::new());
    let results: Vec<_> = (0..5).map(|_| client.get("/large").send()).collect();
    let small = client.get("/small").send();
    for seed in 0..5 {
        let request = peer.request();
        peer.reply(&request, &data(megabyte(seed)));
    }
    let request = peer.request();
    peer.reply(&request, &data("small"));
    for (seed, result) in (0..).zip(results) {
        assert!(result.wait_timeout(SOON).unwrap().0 == megabyte(seed));
    }
    assert_eq!(small.wait_timeout(SOON).unwrap().0, b"small");
}

#[test]
fn a_large_reply_in_small_pieces_arrives_whole() {
    let server = Server::bind();
    let (client, mut peer) = server.client(&ThreadsHandler::new());
    let result = client.get("/large").send();
    let next = client.get("/next").send();
    let mut bytes = reply_bytes(&peer.request(), &data(megabyte(7)));
    bytes.extend(reply_bytes(&peer.request(), &data("next")));
    // Sizes that do not divide anything.
    let mut rest = &bytes[..];
    for size in [1, 3, 17, 999, 65_537].into_iter().cycle() {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        let written = peer.stream.write_all(piece);
        written.unwrap_or_else(|error| panic!("{error}: {:?}", client.last_error()));
        rest = later;
        if rest.is_empty() {
            break;
        }
        // The loop is busy with the client also while the reply is under way.
        client.sleep(Duration::from_micros(100)).detach();
        thread::sleep(Duration::from_micros(300));
    }
    assert!(result.wait_timeout(SOON).unwrap().0 == megabyte(7));
    assert_eq!(next.wait_timeout(SOON).unwrap().0, b"next");
}

#[test]
fn a_server_that_reads_slowly_gets_everything_in_order() {
    const COUNT: usize = 40;
    let server = Server::bind();
    let (client, mut peer) = server.client(&ThreadsHandler::new());
    let results: Vec<_> = (0..COUNT)
        .map(|n| client.set("/large", megabyte(n as u8)).send())
        .collect();

    // What does not fit into the sockets stays in the session, where it counts as unsent.
    until("the socket is full", || {
        client.stats().session.bytes_out > 100_000
    });
    let mut before = 0;
    until("the loop has stopped writing", || {
        thread::sleep(Duration::from_millis(50));
        let now = client.stats().session.bytes_out;
        std::mem::replace(&mut before, now) == now
    });
    assert!(
        before < COUNT as u64 * 1_000_000 / 2,
        "{before} bytes count as sent"
    );
    assert!(client.stats().session.queued > COUNT / 2);

    for n in 0..COUNT {
        if n < 3 {
            // In small bites at first.
            peer.stream.set_read_timeout(Some(SOON)).unwrap();
        }
        let request = peer.request();
        let data = megabyte(n as u8);
        let expected = Request::SetData {
            path: "/large".into(),
            data: Some(data.into()),
            version: -1,
        };
        assert!(request.body == body_of(&expected), "request {n}");
        peer.reply(&request, &Reply::Stat(Stat::default()));
    }
    for result in results {
        result.wait_timeout(SOON).unwrap();
    }
    assert_eq!(client.stats().session.queued, 0);
}

#[test]
fn much_in_both_directions_at_once_does_not_lock_up() {
    let server = Server::bind();
    let (client, peer) = server.client(&ThreadsHandler::new());
    peer.serve_on();
    let path = format!("/{}", "x".repeat(5_000));
    // Each reply repeats the path: both sockets fill up.
    let results: Vec<_> = (0..10_000).map(|_| client.get(&path).send()).collect();
    for result in results {
        assert!(result.wait_timeout(SOON).unwrap().0 == path.as_bytes());
    }
}

#[test]
fn a_client_that_floods_does_not_starve_another() {
    let server = Server::start();
    let handler = Arc::new(ThreadsHandler::new());
    let connect = || {
        let connect = server.builder().connect(Arc::clone(&handler) as _);
        connect.limit(SOON).wait().unwrap()
    };
    let (busy, quiet) = (connect(), connect());
    let results: Vec<_> = (0..30_000).map(|_| busy.get("/busy").send()).collect();
    for _ in 0..20 {
        quiet.get("/quiet").send().wait_timeout(SOON).unwrap();
    }
    for result in results {
        result.wait_timeout(SOON).unwrap();
    }
}

#[test]
fn two_hundred_clients_share_one_handler() {
    let server = Server::start();
    let handler = ThreadsHandler::new();
    let clients: Vec<_> = (0..200)
        .map(|_| server.builder().start(Arc::new(handler.clone())).unwrap())
        .collect();
    for client in &clients {
        client.until_connected().wait_timeout(SOON).unwrap();
    }
    assert_eq!(handler.threads(), 1, "the I/O loop alone");
    for _ in 0..5 {
        let results: Vec<_> = clients
            .iter()
            .map(|client| client.get("/a").send())
            .collect();
        for result in results {
            assert_eq!(result.wait_timeout(SOON).unwrap().0, b"/a");
        }
    }
    let closing: Vec<_> = clients.iter().map(|client| client.close().send()).collect();
    for closed in closing {
        closed.wait_timeout(SOON).unwrap();
    }
    until("no thread is left", || handler.threads() == 0);
}

#[test]
fn serial_calls_from_many_threads_all_come_back() {
    let server = Server::start();
    let client = zk_handler_threads::connect(server.hosts())
        .limit(SOON)
        .wait()
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for call in 0..500 {
                    let path = format!("/{thread}/{call}");
                    let (data, _) = client.get(&path).send().wait_timeout(SOON).unwrap();
                    assert_eq!(data, path.as_bytes());
                }
            });
        }
    });
}

#[test]
fn idle_sessions_are_kept_alive() {
    // Where this thread stands still for a third of the time, it answers too late.
    let timeouts = [1_500, 6_000, 24_000].map(Duration::from_millis);
    assert!(timeouts.into_iter().any(is_kept_alive));
}

/// Whether a session lives through some pings; false if one was answered too late.
fn is_kept_alive(timeout: Duration) -> bool {
    let server = Server::bind();
    let client = server
        .builder()
        .session_timeout(timeout)
        .start(Arc::new(ThreadsHandler::new()))
        .unwrap();
    let mut peer = server.accept();
    peer.handshake();
    client.until_connected().wait_timeout(SOON).unwrap();
    for _ in 0..3 {
        let Some(frame) = peer.frame() else {
            return false;
        };
        assert_eq!(frame[..8], [255, 255, 255, 254, 0, 0, 0, 11]);
        let ping = crate::support::Arrived {
            header: zk_proto::RequestHeader {
                xid: zk_proto::Xid::PING,
                opcode: zk_proto::OpCode::PING,
            },
            body: bytes::Bytes::new(),
        };
        peer.reply(&ping, &Reply::Empty);
    }
    if !client.connected() {
        return false;
    }
    // Silence is noticed, without anything being sent or received.
    assert_eq!(peer.stream.read(&mut [0; 1]).map(|_| ()).ok(), Some(()));
    until("the silence is noticed", || client.last_error().is_some());
    true
}

#[test]
fn events_come_while_nothing_is_asked() {
    let server = Server::bind();
    let (client, mut peer) = server.client(&ThreadsHandler::new());
    let result = client.get("/watched").watched().send();
    let request = peer.request();
    peer.reply(&request, &data("old"));
    let (_, _, watch) = result.wait_timeout(SOON).unwrap();
    peer.event(EventType::NODE_DATA_CHANGED, "/watched");
    let event = zk_client::block_on(watch).unwrap();
    assert_eq!(
        (event.kind, &*event.path),
        (EventType::NODE_DATA_CHANGED, "/watched")
    );
}
