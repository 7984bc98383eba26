//! What the proxy does to connections; needs no server but an echo.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use zk_testkit::{Direction, Proxy, eventually};

/// For what must happen.
const LIMIT: Duration = Duration::from_secs(60);

/// For what must not: long enough that a fault would show, as all of it is on loopback.
const SILENCE: Duration = Duration::from_millis(150);

/// A server that sends back what it gets, and closes when its client does.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Everything that still comes; a connection may be closed or reset at its end.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    bytes
}

fn assert_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    stream.set_read_timeout(Some(LIMIT)).unwrap();
}

fn wait_for(condition: impl Fn() -> bool) {
    assert!(eventually(LIMIT, || condition().then_some(())).is_some());
}

#[test]
fn forwards_and_counts() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut one = connect(&proxy);
    let mut two = connect(&proxy);
    one.write_all(b"one").unwrap();
    two.write_all(b"four").unwrap();
    assert_eq!(read(&mut one, 3), b"one");
    assert_eq!(read(&mut two, 4), b"four");
    assert_eq!((proxy.connections(), proxy.accepted()), (2, 2));
    wait_for(|| proxy.bytes(Direction::ToServer) == 7 && proxy.bytes(Direction::ToClient) == 7);
    drop(one);
    wait_for(|| proxy.connections() == 1);
    assert_eq!(proxy.accepted(), 2);
}

#[test]
fn carries_much_data_and_the_end() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    let sent: Vec<u8> = (0..5_000_000_u32)
        .map(|number| number.to_le_bytes()[1])
        .collect();
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    writing.join().unwrap();
    assert!(received == sent);
    wait_for(|| proxy.connections() == 0);
}

#[test]
fn a_stall_holds_up_and_loses_nothing() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    stream.write_all(b"a").unwrap();
    assert_eq!(read(&mut stream, 1), b"a");
    proxy.stall();
    stream.write_all(b"b").unwrap();
    let mut late = connect(&proxy);
    late.write_all(b"c").unwrap();
    assert_silent(&mut stream);
    assert_silent(&mut late);
    assert_eq!(proxy.bytes(Direction::ToServer), 1);
    wait_for(|| proxy.connections() == 2);
    proxy.resume();
    assert_eq!(read(&mut stream, 1), b"b");
    assert_eq!(read(&mut late, 1), b"c");
}

#[test]
fn one_direction_stalls_alone() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.stall_towards_client();
    stream.write_all(b"abc").unwrap();
    wait_for(|| proxy.bytes(Direction::ToServer) == 3);
    assert_silent(&mut stream);
    assert_eq!(proxy.bytes(Direction::ToClient), 0);
    proxy.resume();
    assert_eq!(read(&mut stream, 3), b"abc");
    proxy.stall_towards_server();
    stream.write_all(b"d").unwrap();
    assert_silent(&mut stream);
    assert_eq!(proxy.bytes(Direction::ToServer), 3);
}

#[test]
fn a_cut_closes_even_what_is_stalled() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut one = connect(&proxy);
    let mut two = connect(&proxy);
    wait_for(|| proxy.connections() == 2);
    proxy.stall();
    two.write_all(b"lost").unwrap();
    proxy.cut();
    assert_eq!(proxy.connections(), 0);
    assert_eq!(rest(&mut one), b"");
    assert_eq!(rest(&mut two), b"");
    proxy.resume();
    let mut three = connect(&proxy);
    three.write_all(b"x").unwrap();
    assert_eq!(read(&mut three, 1), b"x");
}

#[test]
fn cuts_amid_what_the_client_sends() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.cut_after(Direction::ToServer, 5);
    stream.write_all(b"0123456789").unwrap();
    rest(&mut stream);
    assert_eq!(proxy.bytes(Direction::ToServer), 5);
    // Once only.
    let mut next = connect(&proxy);
    next.write_all(b"0123456789").unwrap();
    assert_eq!(read(&mut next, 10), b"0123456789");
}

#[test]
fn cuts_amid_what_the_server_sends() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    stream.write_all(b"ab").unwrap();
    assert_eq!(read(&mut stream, 2), b"ab");
    proxy.cut_after(Direction::ToClient, 3);
    stream.write_all(b"0123456789").unwrap();
    assert_eq!(rest(&mut stream), b"012");
    assert_eq!(proxy.bytes(Direction::ToClient), 5);
}

#[test]
fn cuts_before_the_next_byte() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.cut_after(Direction::ToClient, 0);
    stream.write_all(b"abc").unwrap();
    assert_eq!(rest(&mut stream), b"");
    assert_eq!(proxy.bytes(Direction::ToServer), 3);
}

#[test]
fn refuses_and_accepts_again() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut open = connect(&proxy);
    wait_for(|| proxy.connections() == 1);
    proxy.refuse(true).unwrap();
    for _ in 0..50 {
        let error = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
    open.write_all(b"x").unwrap();
    assert_eq!(read(&mut open, 1), b"x");
    proxy.refuse(false).unwrap();
    let mut again = connect(&proxy);
    again.write_all(b"y").unwrap();
    assert_eq!(read(&mut again, 1), b"y");
}

#[test]
fn a_missing_server_closes_the_connection() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = port.local_addr().unwrap();
    drop(port);
    let proxy = Proxy::start(nobody).unwrap();
    assert_eq!(rest(&mut connect(&proxy)), b"");
    wait_for(|| proxy.connections() == 0);
    assert_eq!(proxy.accepted(), 1);
}

#[test]
fn dropping_it_closes_everything() {
    let proxy = Proxy::start(echo()).unwrap();
    let address = proxy.address();
    let mut stream = connect(&proxy);
    wait_for(|| proxy.connections() == 1);
    drop(proxy);
    assert_eq!(rest(&mut stream), b"");
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}
