//! Callbacks and tasks of real clients.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use zk_client::{AsyncResult, Client, Error, EventType, Handler, Listen, Task};
use zk_handler_threads::ThreadsHandler;

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
fn completions_are_called_in_order() {
    let server = Server::start();
    let client = connected(&server, &ThreadsHandler::new());
    let (send, received) = mpsc::channel();
    for number in 0..2_000 {
        let send = send.clone();
        client.get("/a").send().on_complete(move |result| {
            send.send((number, result.is_ok())).unwrap();
        });
    }
    for number in 0..2_000 {
        assert_eq!(received.recv_timeout(SOON), Ok((number, true)));
    }
}

#[test]
fn a_watch_is_called_before_the_completion_that_reveals_its_change() {
    let server = Server::bind();
    let (client, mut peer) = server.client(&ThreadsHandler::new());
    let (send, received) = mpsc::channel();
    let seen = send.clone();
    let get = client.get("/a").watch(move |event| {
        assert_eq!(event.unwrap().kind, EventType::NODE_DATA_CHANGED);
        seen.send("watch").unwrap();
    });
    let first = get.send();
    let request = peer.request();
    peer.reply(&request, &data("old"));
    first.wait_timeout(SOON).unwrap();

    client
        .get("/a")
        .send()
        .on_complete(move |_| send.send("completion").unwrap());
    let request = peer.request();
    peer.event(EventType::NODE_DATA_CHANGED, "/a");
    peer.reply(&request, &data("new"));
    assert_eq!(received.recv_timeout(SOON), Ok("watch"));
    assert_eq!(received.recv_timeout(SOON), Ok("completion"));
}

#[test]
fn a_callback_may_wait_for_results_of_its_own_client() {
    let server = Server::start();
    let client = connected(&server, &ThreadsHandler::new());
    let (send, received) = mpsc::channel();
    let inner = client.clone();
    client.get("/a").send().on_complete(move |_| {
        let results: Vec<_> = (0..10)
            .map(|_| inner.get("/b").wait().map(|(data, _)| data))
            .collect();
        send.send(results).unwrap();
    });
    let results = received.recv_timeout(SOON).unwrap();
    assert!(results.into_iter().all(|result| result.unwrap() == b"/b"));
}

#[test]
fn a_callback_that_blocks_does_not_hold_others_up() {
    let server = Server::start();
    let handler = ThreadsHandler::builder()
        .parallel_callbacks(1)
        .patience(Duration::from_millis(5))
        .build();
    let (blocked, free) = (connected(&server, &handler), connected(&server, &handler));
    let (go_on, told) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel();
    blocked.get("/a").send().on_complete(move |_| {
        running.send(()).unwrap();
        let _ = told.recv();
    });
    runs.recv_timeout(SOON).unwrap();
    let (send, received) = mpsc::channel();
    for _ in 0..10 {
        let send = send.clone();
        free.get("/a")
            .send()
            .on_complete(move |result| send.send(result.is_ok()).unwrap());
        assert_eq!(received.recv_timeout(SOON), Ok(true));
    }
    // Its own client's I/O goes on, too.
    blocked.get("/b").send().wait_timeout(SOON).unwrap();
    drop(go_on);
}

#[test]
fn a_callback_that_panics_does_not_stop_the_next() {
    let server = Server::start();
    let client = connected(&server, &ThreadsHandler::new());
    let (send, received) = mpsc::channel();
    client
        .get("/a")
        .send()
        .on_complete(|_| panic!("as the test wants it"));
    client
        .get("/a")
        .send()
        .on_complete(move |result| send.send(result.is_ok()).unwrap());
    assert_eq!(received.recv_timeout(SOON), Ok(true));
}

#[test]
fn listeners_are_told_and_may_use_the_client() {
    let server = Server::start();
    let client = server
        .builder()
        .start(Arc::new(ThreadsHandler::new()))
        .unwrap();
    let (send, received) = mpsc::channel();
    let inner = client.clone();
    client.add_listener(move |change| {
        if change.to.is_connected() {
            send.send(inner.get("/from/listener").wait().map(|(data, _)| data))
                .unwrap();
        }
        Listen::Remove
    });
    if let Ok(answer) = received.recv_timeout(Duration::from_millis(500)) {
        assert_eq!(answer.unwrap(), b"/from/listener");
    } else {
        // It was connected before the listener was added, or this takes long.
        until("it is connected", || client.connected());
    }
}

#[test]
fn tasks_run_to_their_end() {
    let server = Server::start();
    let client = connected(&server, &ThreadsHandler::new());
    let (send, received) = mpsc::channel();
    for task in 0..100 {
        let (inner, send) = (client.clone(), send.clone());
        client.spawn(async move {
            for _ in 0..10 {
                inner.get("/a").await.unwrap();
            }
            inner.sleep(Duration::from_millis(5)).await.unwrap();
            send.send(task).unwrap();
        });
    }
    let mut done: Vec<_> = (0..100)
        .map(|_| received.recv_timeout(SOON).unwrap())
        .collect();
    done.sort_unstable();
    assert!(done.into_iter().eq(0..100));
}

#[test]
fn a_handler_without_clients_runs_tasks() {
    let handler = ThreadsHandler::new();
    assert_eq!(handler.threads(), 0);
    let (send, received) = mpsc::channel();
    handler.spawn(Task::new(async move { send.send(()).unwrap() }));
    received.recv_timeout(SOON).unwrap();
}

/// A waker that waits for another result when it is woken, on whatever thread that is.
struct WaitsWhenWoken {
    client: Client,
    answer: Mutex<mpsc::Sender<Result<(), Error>>>,
}

impl Wake for WaitsWhenWoken {
    fn wake(self: Arc<Self>) {
        let answer = self.client.get("/b").wait().map(drop);
        self.answer.lock().unwrap().send(answer).unwrap();
    }
}

fn poll_once<T>(result: &mut AsyncResult<T>, waker: &Waker) -> bool {
    let poll = std::pin::Pin::new(result).poll(&mut Context::from_waker(waker));
    matches!(poll, Poll::Ready(_))
}

#[test]
fn waiting_on_the_io_thread_is_refused() {
    let server = Server::bind();
    let (client, mut peer) = server.client(&ThreadsHandler::new());
    let (send, received) = mpsc::channel();
    let waits = WaitsWhenWoken {
        client: client.clone(),
        answer: Mutex::new(send),
    };
    let waker = Waker::from(Arc::new(waits));
    let mut result = client.get("/a").send();
    assert!(!poll_once(&mut result, &waker));
    let request = peer.request();
    peer.reply(&request, &data("a"));
    assert_eq!(received.recv_timeout(SOON), Ok(Err(Error::WouldDeadlock)));
    // The loop is none the worse for it.
    peer.serve_on();
    client.get("/c").send().wait_timeout(SOON).unwrap();
}

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("as the test wants it");
    }
}

#[test]
fn a_waker_that_panics_hurts_nobody_else() {
    let server = Server::bind();
    let handler = ThreadsHandler::new();
    let (client, mut peer) = server.client(&handler);
    let mut first = client.get("/a").send();
    assert!(!poll_once(&mut first, &Waker::from(Arc::new(Panics))));
    let second = client.get("/b").send();
    for _ in 0..2 {
        let request = peer.request();
        peer.reply(&request, &data("a"));
    }
    second.wait_timeout(SOON).unwrap();
    first.wait_timeout(SOON).unwrap();
    assert!(client.connected());
    peer.serve_on();
    client.get("/c").send().wait_timeout(SOON).unwrap();
}
