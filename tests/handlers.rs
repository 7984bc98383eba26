//! What every handler has to do, with clients that it drives alone. Mounted beside the suite.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zk::{AsyncResult, Client};
use zk_server::Server;

use crate::support::under::{Kind, Under};
use crate::support::{LIMIT, assert_nothing_left, lose_connection, wait_until};

/// So short that a wake that was lost is not made up for: neither by a ping nor by another attempt
/// to connect.
const AT_ONCE: Duration = Duration::from_secs(60);

fn server() -> Server {
    let builder = Server::builder().quiet();
    // Servers allow sessions of twenty ticks.
    builder.tick(AT_ONCE / 5).start().unwrap()
}

fn client(server: &Server, under: &Under) -> Client {
    let mut builder = Client::builder(server.hosts());
    builder.session_timeout(4 * AT_ONCE);
    let connect = builder.connect(under.handler());
    connect.limit(AT_ONCE).wait().unwrap()
}

/// All at once, then one after the other.
fn all<T: Send + 'static>(results: impl IntoIterator<Item = AsyncResult<T>>) -> Vec<T> {
    let results: Vec<_> = results.into_iter().collect();
    let results = results.into_iter();
    results
        .map(|result| result.wait_timeout(LIMIT).unwrap())
        .collect()
}

pub(crate) fn two_thousand_sessions_are_driven(kind: Kind) {
    let (server, under) = (server(), Under::start(kind));
    let hosts = server.hosts();
    let start = |_| {
        let mut builder = Client::builder(&hosts);
        // So many keep a machine busy for as long as sessions last by default.
        builder.session_timeout(Duration::from_secs(40));
        builder.start(under.handler()).unwrap()
    };
    let clients: Vec<Client> = (0..2_000).map(start).collect();
    let paths: Vec<_> = (0..2_000).map(|number| format!("/{number}")).collect();
    let both = || clients.iter().zip(&paths);
    all(both().map(|(client, path)| client.create(path, path.as_bytes()).ephemeral().send()));
    let read = all(both().map(|(client, path)| client.get(path).send()));
    for ((data, _), path) in read.iter().zip(&paths) {
        assert_eq!(data, path.as_bytes());
    }
    assert_eq!(server.sessions().len(), 2_000);
    all(clients.iter().map(|client| client.close().send()));
    assert!(server.sessions().is_empty());
    under.assert_nothing_left();
    under.end();
}

pub(crate) fn replies_of_a_megabyte_arrive_whole(kind: Kind) {
    let (server, under) = (server(), Under::start(kind));
    let client = client(&server, &under);
    let large: Vec<u8> = (0..1_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let created = client.create("/large", &large).send();
    created.wait_timeout(AT_ONCE).unwrap();
    let results: Vec<_> = (0..8).map(|_| client.get("/large").send()).collect();
    let small = client.exists("/").send();
    for result in results {
        assert!(result.wait_timeout(AT_ONCE).unwrap().0 == large[..]);
    }
    assert!(small.wait_timeout(AT_ONCE).unwrap().is_some());
    client.close().wait().unwrap();
    under.end();
}

pub(crate) fn servers_have_ipv6_addresses_too(kind: Kind) {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let addr = "[::1]:0".parse().unwrap();
    let server = Server::builder().quiet().addr(addr).start().unwrap();
    let under = Under::start(kind);
    let client = client(&server, &under);
    assert_eq!(client.command(*b"ruok").wait().unwrap(), "imok");
    client.close().wait().unwrap();
    under.end();
}

/// One that never rests goes on until the other one is through.
pub(crate) fn a_flood_leaves_others_their_share(kind: Kind) {
    let (server, under) = (server(), Under::start(kind));
    let (flooding, other) = (client(&server, &under), client(&server, &under));
    let over = Arc::new(AtomicBool::new(false));
    let (flood, stop) = (flooding.clone(), Arc::clone(&over));
    let thread = std::thread::spawn(move || {
        let mut window = std::collections::VecDeque::new();
        while !stop.load(Ordering::Relaxed) {
            while window.len() < 5_000 {
                window.push_back(flood.get("/").send());
            }
            if let Some(oldest) = window.pop_front() {
                oldest.wait().unwrap();
            }
        }
    });
    for _ in 0..200 {
        other.get("/").send().wait_timeout(LIMIT).unwrap();
    }
    over.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    for client in [&flooding, &other] {
        client.sync("/").wait().unwrap();
        assert_nothing_left(client);
        client.close().wait().unwrap();
    }
    under.assert_nothing_left();
    under.end();
}

/// A client that is dropped without a word closes its session.
pub(crate) fn the_last_clone_closes_the_session(kind: Kind) {
    let (server, under) = (server(), Under::start(kind));
    let client = client(&server, &under);
    client.create("/mine", b"").ephemeral().wait().unwrap();
    let clone = client.clone();
    drop(client);
    let last = clone.create("/last", b"").send();
    drop(clone);
    last.wait_timeout(AT_ONCE).unwrap();
    under.assert_nothing_left();
    assert!(server.sessions().is_empty());
    assert_eq!(
        (server.data("/mine"), server.data("/last").is_some()),
        (None, true)
    );
    under.end();
}

/// A socket of a connection that is over is closed, whoever ended it.
pub(crate) fn connections_that_are_over_are_closed(kind: Kind) {
    let (server, under) = (server(), Under::start(kind));
    let client = client(&server, &under);
    let port = server.local_addr().port();
    for round in 0..4 {
        if round % 2 == 0 {
            lose_connection(&client);
        } else {
            let losses = client.stats().session.losses;
            server.cut_all();
            wait_until("the loss", || client.stats().session.losses > losses);
            client.sync("/").wait().unwrap();
        }
    }
    wait_until("old sockets to be closed", || sockets_to(port) == 1);
    client.close().wait().unwrap();
    under.assert_nothing_left();
    wait_until("the last socket to be closed", || sockets_to(port) == 0);
    under.end();
}

/// Sockets of this machine that are open and connected to a port, or were and are not closed yet.
fn sockets_to(port: u16) -> usize {
    const OPEN: [&str; 2] = ["01", "08"];
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_open = |line: &&str| {
        let mut words = line.split_whitespace().skip(2);
        let (Some(remote), Some(state)) = (words.next(), words.next()) else {
            return false;
        };
        remote.ends_with(&format!(":{port:04X}")) && OPEN.contains(&state)
    };
    table.lines().filter(is_open).count()
}

/// All of these, for one handler.
macro_rules! mount_handlers {
    ($kind:expr) => {
        mod handlers {
            use $crate::support::under::Kind;

            $crate::handlers::mount_handlers! { @ $kind;
                two_thousand_sessions_are_driven
                replies_of_a_megabyte_arrive_whole
                servers_have_ipv6_addresses_too
                a_flood_leaves_others_their_share
                the_last_clone_closes_the_session
                connections_that_are_over_are_closed
            }
        }
    };
    (@ $kind:expr; $($test:ident)*) => {$(
        #[test]
        fn $test() {
            $crate::handlers::$test($kind);
        }
    )*};
}

pub(crate) use mount_handlers;
