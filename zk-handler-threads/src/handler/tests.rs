use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;

use zk_client::{Client, Error, Password, SessionId, State};
use zk_proto::ConnectResponse;

use super::*;

const SOON: Duration = Duration::from_secs(60);

/// So long that nothing is due while a test runs: no ping, and no silence to be noticed.
const SESSION: Duration = Duration::from_secs(1000);

/// A client of a server that has heard its greeting, and never says anything.
fn client(handler: &ThreadsHandler) -> (Client, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hosts = listener.local_addr().unwrap().to_string();
    let client = Client::builder(hosts)
        .session_timeout(SESSION)
        .start(Arc::new(handler.clone()))
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 49]).unwrap();
    (client, stream)
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON, "{what}");
        thread::yield_now();
    }
}

/// Until the loop sleeps.
fn until_idle(handler: &ThreadsHandler) {
    until("the loop sleeps", || {
        lock(&handler.shared.io_loop)
            .as_ref()
            .is_some_and(|inbox| inbox.is_asleep())
    });
}

thread_local! {
    static PROCESS_ID: Cell<u32> = const { Cell::new(1) };
}

/// A handler for which this thread is in process 1 until it says otherwise; its own threads stay
/// there.
fn forking_handler() -> ThreadsHandler {
    let mut builder = ThreadsHandler::builder();
    builder.process_id = || PROCESS_ID.get();
    builder.build()
}

/// Lets the server greet the client back.
fn greet(client: &Client, server: &mut TcpStream) {
    let mut frame = vec![0, 0, 0, 37];
    ConnectResponse {
        protocol_version: 0,
        timeout: i32::try_from(SESSION.as_millis()).unwrap(),
        session_id: SessionId(7),
        password: Password::EMPTY,
        read_only: Some(false),
    }
    .encode(&mut frame);
    server.write_all(&frame).unwrap();
    client.until_connected().wait_timeout(SOON).unwrap();
}

fn read_request(server: &mut TcpStream) {
    let mut length = [0; 4];
    server.read_exact(&mut length).unwrap();
    server
        .read_exact(&mut vec![0; u32::from_be_bytes(length) as usize])
        .unwrap();
}

#[test]
fn a_first_request_is_written_without_the_loop() {
    let handler = ThreadsHandler::new();
    let (client, mut server) = client(&handler);
    greet(&client, &mut server);
    until_idle(&handler);
    let inbox = lock(&handler.shared.io_loop).clone().unwrap();

    let first = client.get("/first").send();
    assert!(inbox.is_asleep(), "nobody has woken it");
    read_request(&mut server);
    let second = client.get("/second").send();
    read_request(&mut server);
    drop((first, second));
}

#[test]
fn an_idle_client_does_not_wake_the_loop() {
    let (idle, busy) = (ThreadsHandler::new(), ThreadsHandler::new());
    let (client, mut server) = client(&idle);
    greet(&client, &mut server);
    until_idle(&idle);
    let inbox = lock(&idle.shared.io_loop).clone().unwrap();
    let sleeps = inbox.sleeps.load(Ordering::SeqCst);
    // Meanwhile much goes on elsewhere.
    for _ in 0..20 {
        let (client, _server) = self::client(&busy);
        client.close().timeout(Duration::ZERO).wait().ok();
    }
    assert!(inbox.is_asleep());
    assert_eq!(inbox.sleeps.load(Ordering::SeqCst), sleeps);
}

#[test]
fn a_request_with_an_early_deadline_is_given_up_in_time() {
    let handler = ThreadsHandler::new();
    let (client, mut server) = client(&handler);
    greet(&client, &mut server);
    until_idle(&handler);
    let limit = Duration::from_millis(30);
    let start = Instant::now();
    let timed_out = client.get("/a").timeout(limit).send().wait_timeout(SOON);
    assert_eq!(timed_out.unwrap_err(), Error::Timeout { sent: true });
    assert!(start.elapsed() >= limit);
    read_request(&mut server);
}

#[test]
fn nobody_hangs_in_a_forked_child() {
    let handler = forking_handler();
    let (client, _server) = client(&handler);
    let before = client.get("/before").send();
    until_idle(&handler);

    PROCESS_ID.set(2);
    let after = client.get("/after").send();
    // Without waiting: the parent's loop has no part in it.
    for mut result in [before, after] {
        assert!(matches!(result.try_take(), Some(Err(Error::Closed { .. }))));
    }
    assert_eq!(client.state(), State::Lost);
    let another = Client::builder("127.0.0.1:1").start(Arc::new(handler));
    assert_eq!(another.unwrap_err(), Error::Start(StartError::ShutDown));
}

#[test]
fn callbacks_are_not_queued_in_a_forked_child() {
    let handler = forking_handler();
    let (client, _server) = client(&handler);
    until_idle(&handler);
    let (send, received) = mpsc::channel();
    client
        .get("/before")
        .send()
        .on_complete(move |_| send.send(()).unwrap());
    until_idle(&handler);
    let threads = handler.threads();

    PROCESS_ID.set(2);
    drop(client.get("/after").send());
    assert_eq!(
        received.recv_timeout(SOON),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
    assert_eq!(handler.threads(), threads);
}

#[test]
fn a_handler_that_was_not_used_before_a_fork_can_be_used_after_it() {
    let handler = forking_handler();
    PROCESS_ID.set(2);
    let (client, _server) = client(&handler);
    client
        .close()
        .timeout(Duration::from_millis(10))
        .wait()
        .ok();
}

#[test]
fn nobody_hangs_when_the_loop_dies() {
    let handler = ThreadsHandler::new();
    let (client, _server) = client(&handler);
    let (other, _other_server) = self::client(&handler);
    let results = [client.get("/a").send(), other.get("/a").send()];
    let connected = client.until_connected();
    let inbox = lock(&handler.shared.io_loop).clone().unwrap();
    inbox.post(Letter::Panic).unwrap();
    for result in results {
        assert!(matches!(
            result.wait_timeout(SOON),
            Err(Error::Closed { .. })
        ));
    }
    connected.wait_timeout(SOON).unwrap_err();
    assert!(matches!(
        client.get("/b").wait(),
        Err(Error::Closed { sent: false })
    ));
    until("no thread is left", || handler.threads() == 0);

    // The handler itself goes on, with another loop.
    let (client, _server) = self::client(&handler);
    assert_eq!(handler.threads(), 1);
    client
        .close()
        .timeout(Duration::from_millis(10))
        .wait()
        .ok();
    until("no thread is left", || handler.threads() == 0);
}

#[test]
fn a_handler_says_what_it_is() {
    let handler = ThreadsHandler::new();
    assert_eq!(handler.name(), "threads");
    assert_eq!(handler.identity(), clock::identity());
    assert!(handler.may_block());
    assert!(handler.now() <= handler.now());
    assert_ne!(handler.entropy(), handler.entropy());
    assert!(format!("{handler:?}").contains("threads: 0"));
}

#[test]
fn limits_of_zero_count_as_one() {
    let handler = ThreadsHandler::builder()
        .parallel_callbacks(0)
        .max_callback_threads(0)
        .max_look_ups(0)
        .max_words(0)
        .patience(Duration::ZERO)
        .linger(Duration::ZERO)
        .build();
    let (send, received) = mpsc::channel();
    handler.spawn(Task::new(async move { send.send(()).unwrap() }));
    received.recv_timeout(SOON).unwrap();
}
