//! What the network does to bytes.

use std::io::ErrorKind;
use std::time::Duration;

use zk_sim::{Cut, Latency, ServerHandle, Sim, SimError, Socket};

use crate::echo::Echo;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A universe with an echo on `s1`, and a connection to it from `app`.
fn connected(seed: u64) -> (Sim, ServerHandle<Echo>, Socket) {
    let sim = Sim::new(seed);
    sim.keep_trace();
    let server = sim.server("s1:7", Echo::default());
    let app = sim.machine("app");
    let socket = sim.block_on(app.connect("s1", 7)).unwrap().unwrap();
    (sim, server, socket)
}

async fn read_all(socket: &mut Socket, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let piece = socket.read().await.unwrap();
        assert!(!piece.is_empty(), "ended after {}", all.len());
        all.extend(piece);
    }
    all
}

#[test]
fn bytes_take_the_time_of_both_directions() {
    let (sim, _server, mut socket) = connected(1);
    let millis = |count| Latency::fixed(Duration::from_millis(count));
    sim.network().set_latency_between("app", "s1", millis(30));
    sim.network().set_latency_between("s1", "app", millis(7));
    let start = sim.now();
    let answer = sim.block_on(async {
        socket.write_all(b"hello").await.unwrap();
        socket.read().await.unwrap()
    });
    assert_eq!(answer.unwrap(), b"hello");
    assert_eq!(sim.now() - start, Duration::from_millis(37));
    sim.network().slow("s1", "app", seconds(1));
    let start = sim.now();
    sim.block_on(async {
        socket.write_all(b"again").await.unwrap();
        socket.read().await.unwrap()
    })
    .unwrap();
    assert_eq!(sim.now() - start, Duration::from_millis(1037));
}

#[test]
fn a_partition_holds_bytes_back_until_it_is_healed() {
    let (sim, server, mut socket) = connected(2);
    let network = sim.network();
    let first = network.partition(&["app"], &["s1"]);
    let second = network.partition(&["s1", "s2"], &["app", "other"]);
    sim.block_on(socket.write_all(b"one")).unwrap().unwrap();
    sim.run_for(seconds(20)).unwrap();
    assert_eq!(server.with(|server| server.heard.len()), 0);
    network.heal(first);
    sim.run_for(seconds(20)).unwrap();
    assert_eq!(server.with(|server| server.heard.len()), 0, "the other one");
    network.heal(second);
    sim.block_on(socket.write_all(b"two")).unwrap().unwrap();
    let answer = sim.block_on(read_all(&mut socket, 6)).unwrap();
    assert_eq!(answer, b"onetwo");
}

#[test]
fn a_one_way_partition_lets_the_other_direction_pass() {
    let (sim, server, mut socket) = connected(3);
    let network = sim.network();
    network.partition_one_way(&["s1"], &["app"]);
    sim.block_on(socket.write_all(b"one")).unwrap().unwrap();
    sim.run_for(seconds(5)).unwrap();
    assert_eq!(server.with(|server| server.heard.clone()), b"one");
    let start = sim.now();
    sim.after(seconds(5), move || network.heal_all());
    assert_eq!(sim.block_on(socket.read()).unwrap().unwrap(), b"one");
    assert!(sim.now() - start >= seconds(5));
}

#[test]
fn a_partition_that_flickers_keeps_the_order() {
    let (sim, _server, mut socket) = connected(4);
    let network = sim.network();
    for round in 0..20_u8 {
        let id = network.partition_one_way(&["app"], &["s1"]);
        sim.block_on(socket.write_all(&[round; 3]))
            .unwrap()
            .unwrap();
        sim.run_for(Duration::from_millis(13)).unwrap();
        network.heal(id);
        sim.block_on(socket.write_all(&[round; 2]))
            .unwrap()
            .unwrap();
        sim.run_for(Duration::from_millis(29)).unwrap();
    }
    let answer = sim.block_on(read_all(&mut socket, 100)).unwrap();
    let expected: Vec<u8> = (0..20).flat_map(|round| [round; 5]).collect();
    assert_eq!(answer, expected);
}

#[test]
fn a_cut_before_delivery_loses_what_is_under_way() {
    let (sim, server, mut socket) = connected(5);
    sim.block_on(socket.write_all(b"lost")).unwrap().unwrap();
    assert_eq!(sim.network().cut("app", "s1", Cut::BeforeDelivery), 1);
    let error = sim.block_on(socket.read()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    sim.run_for(seconds(1)).unwrap();
    assert_eq!(
        server.with(|server| (server.heard.len(), server.ended)),
        (0, 1)
    );
}

#[test]
fn a_cut_after_delivery_loses_the_answer_alone() {
    let (sim, server, mut socket) = connected(6);
    sim.block_on(socket.write_all(b"seen")).unwrap().unwrap();
    assert_eq!(sim.network().cut_all("s1", Cut::AfterDelivery), 1);
    let error = sim.block_on(socket.read()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = sim.block_on(socket.write_all(b"x")).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    sim.run_for(seconds(1)).unwrap();
    assert_eq!(server.with(|server| server.heard.clone()), b"seen");
    assert_eq!(server.with(|server| server.ended), 1);
    assert_eq!(sim.network().cut("app", "s1", Cut::AfterDelivery), 0);
}

#[test]
fn splits_cut_anywhere_and_lose_nothing() {
    let (sim, server, mut socket) = connected(7);
    sim.network().set_splits(1.0);
    let sent: Vec<u8> = (0..=255).cycle().take(4000).collect();
    let got = sim.block_on(async {
        for chunk in sent.chunks(40) {
            socket.write_all(chunk).await.unwrap();
        }
        read_all(&mut socket, sent.len()).await
    });
    assert_eq!(got.unwrap(), sent);
    let pieces = server.with(|server| server.pieces.clone());
    let single = pieces.iter().filter(|length| **length == 1).count();
    assert!(pieces.len() > 100 && single > 20, "{pieces:?}");
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer() {
    let (sim, server, mut socket) = connected(8);
    sim.network().set_buffer(1000);
    server.with(|server| server.deaf = true);
    let app = sim.machine("app");
    let writer = app.spawn(async move {
        socket.write_all(&[1; 5000]).await.unwrap();
        socket
    });
    let mut writer = std::pin::pin!(writer);
    let wait = async {
        let sleep = std::pin::pin!(app.sleep(seconds(10)));
        first(writer.as_mut(), sleep).await.is_none()
    };
    assert!(sim.block_on(wait).unwrap(), "nobody has read");
    server.with(|server| server.deaf = false);
    let mut socket = sim.block_on(writer).unwrap().unwrap();
    let largest = server.with(|server| server.pieces.iter().max().copied());
    assert!(largest.is_some_and(|largest| largest <= 1000));
    assert_eq!(
        sim.block_on(read_all(&mut socket, 5000)).unwrap(),
        [1; 5000]
    );
}

#[test]
fn a_client_that_does_not_read_stops_the_server() {
    let (sim, server, mut socket) = connected(9);
    sim.network().set_buffer(1000);
    server.with(|server| server.flood(5000));
    sim.run_for(seconds(10)).unwrap();
    let unsent = server.with(|server| server.unsent());
    assert!((3900..=4000).contains(&unsent), "{unsent}");
    assert_eq!(
        sim.block_on(read_all(&mut socket, 5000)).unwrap(),
        [7; 5000]
    );
}

async fn first<A: Future + Unpin, B: Future + Unpin>(mut a: A, mut b: B) -> Option<A::Output> {
    use std::pin::Pin;
    use std::task::Poll;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = Pin::new(&mut a).poll(cx) {
            return Poll::Ready(Some(output));
        }
        Pin::new(&mut b).poll(cx).map(|_| None)
    })
    .await
}

#[test]
fn connections_are_refused_not_found_or_never_answered() {
    let mut sim = Sim::new(10);
    sim.set_limit(seconds(100));
    let server = sim.server("s1:7", Echo::default());
    let app = sim.machine("app");
    let kind = |sim: &Sim, host: &'static str, port| {
        let result = sim.block_on(app.connect(host, port)).unwrap();
        result.err().map(|error| error.kind())
    };
    assert_eq!(kind(&sim, "s1", 7), None);
    assert_eq!(kind(&sim, "S1", 7), None, "case does not count");
    assert_eq!(kind(&sim, "s1", 8), Some(ErrorKind::ConnectionRefused));
    assert_eq!(kind(&sim, "s9", 7), Some(ErrorKind::NotFound));
    server.machine().refuse_connections();
    assert_eq!(kind(&sim, "s1", 7), Some(ErrorKind::ConnectionRefused));
    server.machine().accept_connections();
    sim.network().partition(&["app"], &["s1"]);
    let hangs = sim.block_on(app.connect("s1", 7)).unwrap_err();
    assert!(matches!(hangs, SimError::Deadlock { seed: 10, .. }));
}

#[test]
fn an_orderly_end_comes_after_all_bytes_and_a_reset_is_an_error() {
    let (sim, server, mut socket) = connected(11);
    server.with(|server| {
        server.flood(500);
        server.hang_up(true);
    });
    let error = sim.block_on(socket.read()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut socket = sim
        .block_on(sim.machine("app").connect("s1", 7))
        .unwrap()
        .unwrap();
    sim.block_on(socket.write_all(&[3; 500])).unwrap().unwrap();
    assert_eq!(sim.block_on(read_all(&mut socket, 500)).unwrap(), [3; 500]);
    server.with(|server| server.hang_up(false));
    assert_eq!(sim.block_on(socket.read()).unwrap().unwrap(), b"");
    drop(socket);
    let (mut last, ended) = {
        let socket = sim.block_on(sim.machine("app").connect("s1", 7));
        (socket.unwrap().unwrap(), server.with(|server| server.ended))
    };
    sim.block_on(last.write_all(b"bye")).unwrap().unwrap();
    drop(last);
    sim.run_for(seconds(1)).unwrap();
    assert_eq!(server.with(|server| server.ended), ended + 1);
    assert!(server.with(|server| server.heard.ends_with(b"bye")));
}
