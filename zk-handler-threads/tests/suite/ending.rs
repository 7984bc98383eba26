//! How clients and handlers end.

use std::io::Write;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use zk_client::{Client, Error, EventType, FourLetterWord, Handler, LinkError, ServerAddr, State};
use zk_handler_threads::ThreadsHandler;
use zk_proto::OpCode;
use zk_session::{Layer, LayerError, LayerFactory};

use crate::support::{SOON, Server, data, until};

fn connected(server: &Server, handler: &ThreadsHandler) -> Client {
    server
        .builder()
        .connect(Arc::new(handler.clone()))
        .limit(SOON)
        .wait()
        .unwrap()
}

#[test]
fn a_handler_has_threads_only_while_it_drives_clients() {
    let server = Server::start();
    let handler = ThreadsHandler::new();
    for _ in 0..3 {
        assert_eq!(handler.threads(), 0);
        let client = connected(&server, &handler);
        let (send, received) = mpsc::channel();
        client
            .get("/a")
            .send()
            .on_complete(move |_| send.send(()).unwrap());
        received.recv_timeout(SOON).unwrap();
        assert!(handler.threads() >= 2);
        client.close().wait().unwrap();
        until("no thread is left", || handler.threads() == 0);
    }
}

#[test]
fn clients_outlive_the_value_of_their_handler() {
    let server = Server::start();
    let client = connected(&server, &ThreadsHandler::new());
    client.get("/a").send().wait_timeout(SOON).unwrap();
    client.close().wait().unwrap();
}

#[test]
fn the_last_clone_closes_the_session_behind_it() {
    let server = Server::bind();
    let handler = ThreadsHandler::new();
    let (client, mut peer) = server.client(&handler);
    let clone = client.clone();
    drop(client);
    clone.get("/a").send().detach();
    drop(clone);
    let get = peer.request();
    assert_eq!(get.header.opcode, OpCode::GET_DATA);
    peer.reply(&get, &data("a"));
    let close = peer.request();
    assert_eq!(close.header.opcode, OpCode::CLOSE_SESSION);
    peer.reply(&close, &zk_proto::Reply::Empty);
    assert!(peer.try_request().is_none());
    until("no thread is left", || handler.threads() == 0);
}

#[test]
fn close_from_a_callback_from_a_task_and_from_two_threads() {
    let server = Server::start();
    let handler = ThreadsHandler::new();

    let client = connected(&server, &handler);
    let (send, received) = mpsc::channel();
    let inner = client.clone();
    client
        .get("/a")
        .send()
        .on_complete(move |_| send.send(inner.close().wait()).unwrap());
    received.recv_timeout(SOON).unwrap().unwrap();
    assert!(matches!(
        client.get("/a").wait(),
        Err(Error::Closed { sent: false })
    ));

    let client = connected(&server, &handler);
    let (send, received) = mpsc::channel();
    let inner = client.clone();
    client.spawn(async move { send.send(inner.close().await).unwrap() });
    received.recv_timeout(SOON).unwrap().unwrap();

    let client = connected(&server, &handler);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| client.close().wait().unwrap());
        }
    });
    assert_eq!(client.state(), State::Lost);
    until("no thread is left", || handler.threads() == 0);
}

#[test]
fn closing_before_there_is_a_connection_ends_at_once() {
    let server = Server::bind();
    let handler = ThreadsHandler::new();
    let client = server.builder().start(Arc::new(handler.clone())).unwrap();
    let waiting = client.get("/a").send();
    client
        .close()
        .timeout(Duration::from_millis(200))
        .wait()
        .ok();
    assert!(matches!(
        waiting.wait_timeout(SOON),
        Err(Error::Closed { sent: false })
    ));
    until("no thread is left", || handler.threads() == 0);
}

#[test]
fn an_unconfirmed_close_says_so_within_its_limit() {
    let server = Server::bind();
    let handler = ThreadsHandler::new();
    let (client, _peer) = server.client(&handler);
    let closed = client.close().timeout(Duration::from_millis(100)).wait();
    assert_eq!(closed, Err(Error::CloseUnconfirmed));
    until("no thread is left", || handler.threads() == 0);
}

#[test]
fn a_detached_client_writes_everything_and_leaves_its_session() {
    let server = Server::bind();
    let handler = ThreadsHandler::new();
    let (client, mut peer) = server.client(&handler);
    let (session, password) = client.client_id().unwrap();
    let set = client.set("/a", vec![7; 500_000]).send();
    let detached = client.detach().send();
    let request = peer.request();
    assert_eq!(request.header.opcode, OpCode::SET_DATA);
    peer.reply(&request, &zk_proto::Reply::Stat(zk_client::Stat::default()));
    set.wait_timeout(SOON).unwrap();
    detached.wait_timeout(SOON).unwrap();
    assert!(
        peer.try_request().is_none(),
        "the connection ends without closeSession"
    );
    // The loop waits for this end of the connection, so that nothing written is lost.
    drop(peer);
    until("no thread is left", || handler.threads() == 0);

    let resumed = server
        .builder()
        .resume(session, password)
        .start(Arc::new(handler))
        .unwrap();
    let mut peer = server.accept();
    assert_eq!(peer.handshake().session_id, session);
    peer.serve_on();
    resumed.get("/a").send().wait_timeout(SOON).unwrap();
}

/// The loop read to the end of what the peer had sent, which need not come.
#[test]
fn a_peer_that_sends_without_end_holds_nobody_up() {
    let (server, others) = (Server::bind(), Server::start());
    let handler = ThreadsHandler::new();
    let (client, mut peer) = server.client(&handler);
    let other = connected(&others, &handler);
    let flooding = thread::spawn(move || {
        let noise = vec![0; 1 << 20];
        while peer.stream.write_all(&noise).is_ok() {}
    });
    client.detach().send().wait_timeout(SOON).unwrap();
    other.get("/a").send().wait_timeout(SOON).unwrap();
    flooding.join().unwrap();
    other.close().wait().unwrap();
    until("no thread is left", || handler.threads() == 0);
}

/// Its decoder panics when it sees an event.
#[derive(Debug)]
struct Trap;

impl LayerFactory for Trap {
    fn layer(&self, _: &ServerAddr) -> Result<Box<dyn Layer>, LayerError> {
        Ok(Box::new(Self))
    }
}

impl Layer for Trap {
    fn is_established(&self) -> bool {
        true
    }

    fn flush(&mut self, _: &mut Vec<u8>) {}

    fn decode(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        _: &mut Vec<u8>,
    ) -> Result<(), LayerError> {
        assert_ne!(wire.get(4..8), Some(&[255; 4][..]), "as the test wants it");
        plain.extend_from_slice(wire);
        Ok(())
    }

    fn encode(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), LayerError> {
        wire.extend_from_slice(plain);
        Ok(())
    }
}

/// It left its session to its timeout, with its ephemeral nodes.
#[test]
fn a_client_that_panics_closes_its_session_and_others_go_on() {
    let (server, others) = (Server::bind(), Server::start());
    let handler = ThreadsHandler::new();
    let other = connected(&others, &handler);
    let mut builder = server.builder();
    builder.layer(Arc::new(Trap));
    let client = builder.start(Arc::new(handler.clone())).unwrap();
    let mut peer = server.accept();
    peer.handshake();
    client.until_connected().wait_timeout(SOON).unwrap();
    let get = client.get("/a").send();
    assert_eq!(peer.request().header.opcode, OpCode::GET_DATA);
    peer.event(EventType::NODE_CREATED, "/a");
    assert!(matches!(get.wait_timeout(SOON), Err(Error::Closed { .. })));
    assert_eq!(peer.request().header.opcode, OpCode::CLOSE_SESSION);
    assert!(peer.try_request().is_none());
    other.get("/a").send().wait_timeout(SOON).unwrap();
    other.close().wait().unwrap();
    until("no thread is left", || handler.threads() == 0);
}

#[test]
fn a_client_can_be_restarted_on_the_same_handler() {
    let server = Server::start();
    let handler = ThreadsHandler::new();
    let client = connected(&server, &handler);
    for _ in 0..3 {
        client.restart().send().wait_timeout(SOON).unwrap();
        client.get("/a").send().wait_timeout(SOON).unwrap();
    }
    client.close().wait().unwrap();
    client.restart().send().wait_timeout(SOON).unwrap();
    client.get("/a").send().wait_timeout(SOON).unwrap();
}

// Four-letter words. -----------------------------------------------------------------------------

fn ruok(server: ServerAddr) -> FourLetterWord {
    FourLetterWord::new(*b"ruok", server, None).unwrap()
}

fn ask(server: &Server, limit: Duration) -> zk_client::AsyncResult<String> {
    let address = ServerAddr::new("127.0.0.1", server.address().port());
    ThreadsHandler::new().four_letter(ruok(address), limit)
}

#[test]
fn four_letter_words_are_answered() {
    use std::io::Read;

    let server = Server::bind();
    let answer = ask(&server, SOON);
    let mut peer = server.accept();
    let mut word = [0; 4];
    peer.stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"ruok");
    peer.stream.write_all(b"im").unwrap();
    peer.stream.write_all(b"ok").unwrap();
    drop(peer);
    assert_eq!(answer.wait_timeout(SOON).unwrap(), "imok");
}

#[test]
fn a_four_letter_word_has_a_limit() {
    use std::io::ErrorKind;

    let server = Server::bind();
    let answer = ask(&server, Duration::from_millis(50));
    let expected = Error::Command(LinkError::Io(ErrorKind::TimedOut));
    assert_eq!(answer.wait_timeout(SOON).unwrap_err(), expected);

    let nowhere = ServerAddr::new("no-such-host.invalid", 2181);
    let answer = ThreadsHandler::new().four_letter(ruok(nowhere), SOON);
    let expected = Error::Command(LinkError::Io(ErrorKind::NotFound));
    assert_eq!(answer.wait_timeout(SOON).unwrap_err(), expected);
}
