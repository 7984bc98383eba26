use std::cell::Cell;
use std::sync::mpsc;
use std::thread;

use async_executor::Executor;
use zk_client::{Client, Error, State};
use zk_server::Server;

use super::*;

const SOON: Duration = Duration::from_secs(60);
/// So short that a wake that was lost is not made up for: neither by a ping nor by another attempt to
/// connect.
const AT_ONCE: Duration = Duration::from_secs(60);

fn server() -> Server {
    let builder = Server::builder().quiet();
    // Servers allow sessions of twenty ticks.
    builder.tick(AT_ONCE / 5).start().unwrap()
}

fn client(server: &Server, handler: &SmolHandler) -> Client {
    let mut builder = Client::builder(server.hosts());
    builder.session_timeout(4 * AT_ONCE);
    let connect = builder.connect(Arc::new(handler.clone()));
    connect.limit(AT_ONCE).wait().unwrap()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < SOON, "{what}");
        thread::yield_now();
    }
}

/// Where a handler with a thread of its own lets one wait.
#[test]
fn waiting_is_refused_on_the_thread_that_drives() {
    let (server, handler) = (server(), SmolHandler::new());
    let client = client(&server, &handler);
    let wait = |client: &Client| client.exists("/").wait().map(drop);
    assert_eq!(wait(&client), Ok(()), "on a plain thread");
    async_io::block_on(async {
        assert_eq!(wait(&client), Ok(()), "in somebody else's future");
    });
    let (told, heard) = mpsc::channel();
    let (theirs, tell) = (client.clone(), told.clone());
    handler.spawn(Task::new(async move {
        tell.send(theirs.exists("/").wait().map(drop)).unwrap();
    }));
    let answer = heard.recv_timeout(SOON).unwrap();
    assert_eq!(answer, Err(Error::WouldDeadlock), "in the background");
    let theirs = client.clone();
    client.exists("/").send().on_complete(move |_| {
        told.send(theirs.exists("/").wait().map(drop)).unwrap();
    });
    assert_eq!(heard.recv_timeout(SOON).unwrap(), Ok(()), "in a callback");
    client.close().wait().unwrap();
}

#[test]
fn waiting_is_refused_on_threads_of_an_executor_that_drive() {
    let server = server();
    let executor: Arc<Executor<'static>> = Arc::default();
    let spawner = Arc::downgrade(&executor);
    let handler = SmolHandler::on(move |task| {
        if let Some(executor) = spawner.upgrade() {
            executor.spawn(task).detach();
        }
    });
    let connect = Client::builder(server.hosts()).connect(Arc::new(handler.clone()));
    let client = async_io::block_on(executor.run(connect.limit(SOON))).unwrap();
    assert_eq!(handler.tasks(), 1);
    let refused = client.exists("/").wait().map(drop);
    assert_eq!(refused, Err(Error::WouldDeadlock));
    let theirs = client.clone();
    let elsewhere = thread::spawn(move || theirs.exists("/").wait().map(drop));
    async_io::block_on(executor.run(client.close())).unwrap();
    elsewhere.join().unwrap().ok();
    until("the tasks end", || {
        executor.try_tick();
        handler.tasks() == 0
    });
    assert!(executor.is_empty());
}

#[test]
fn a_panic_in_the_background_ends_only_itself() {
    let (server, handler) = (server(), SmolHandler::new());
    let client = client(&server, &handler);
    handler.spawn(Task::new(async { panic!("as the test wants it") }));
    until("the task ends", || handler.tasks() == 1);
    assert!(client.exists("/").wait().unwrap().is_some());
    client.close().wait().unwrap();
    until("the threads end", || handler.threads() == 0);
}

#[test]
fn a_spawner_that_drops_the_task_lets_nobody_hang() {
    let handler = SmolHandler::on(drop);
    let connect = Client::builder("127.0.0.1:1").connect(Arc::new(handler.clone()));
    assert!(matches!(connect.wait(), Err(Error::Closed { .. })));
    assert_eq!(handler.tasks(), 0);
}

#[test]
fn callbacks_keep_within_their_limits() {
    let limits = Limits::new()
        .parallel_callbacks(0)
        .max_callback_threads(0)
        .patience(Duration::ZERO);
    let handler = SmolHandler::new().limits(limits);
    let server = server();
    let clients = [client(&server, &handler), client(&server, &handler)];
    let (told, heard) = mpsc::channel();
    let (go_on, wait) = mpsc::channel();
    let tell = told.clone();
    clients[0].exists("/").send().on_complete(move |_| {
        tell.send("running").unwrap();
        let _ = wait.recv();
    });
    assert_eq!(heard.recv_timeout(SOON), Ok("running"));
    clients[1]
        .exists("/")
        .send()
        .on_complete(move |_| told.send("after it").unwrap());
    for _ in 0..200 {
        clients[1].exists("/").wait().unwrap();
    }
    assert!(heard.try_recv().is_err(), "it waits for the only thread");
    assert!(handler.threads() <= 2);
    go_on.send(()).unwrap();
    assert_eq!(heard.recv_timeout(SOON), Ok("after it"));
    for client in clients {
        client.close().wait().unwrap();
    }
}

thread_local! {
    static PROCESS_ID: Cell<u32> = const { Cell::new(1) };
}

#[test]
fn nobody_hangs_in_a_forked_child() {
    let server = server();
    let handler = SmolHandler::with(|| PROCESS_ID.get(), Home::own);
    let client = client(&server, &handler);
    client.sync("/").wait().unwrap();
    let sessions = server.sessions();

    PROCESS_ID.set(2);
    let mut given_up = false;
    until("the driver is woken", || {
        let mut result = client.get("/").send();
        given_up |= matches!(result.try_take(), Some(Err(Error::Closed { .. })));
        given_up || client.state() == State::Lost
    });
    let another = Client::builder("127.0.0.1:1").start(Arc::new(handler));
    assert_eq!(another.unwrap_err(), Error::Start(StartError::ShutDown));
    assert_eq!(server.sessions(), sessions, "the parent's session lives on");
}

#[test]
fn a_handler_says_what_it_is() {
    let handler = SmolHandler::new();
    assert_eq!(handler.name(), "smol");
    assert_eq!(handler.identity(), clock::identity());
    assert!(handler.may_block());
    assert!(handler.now() <= handler.now());
    assert_ne!(handler.entropy(), handler.entropy());
    assert!(format!("{handler:?}").contains("threads: 0"));
}
