use std::sync::mpsc;
use std::thread;

use async_executor::Executor;
use zk_client::{Client, Error};
use zk_server::Server;

use super::*;

const SOON: Duration = Duration::from_secs(60);
/// So short that a wake that was lost is not made up for: neither by a ping nor by another attempt to
/// connect.
const AT_ONCE: Duration = Duration::from_secs(12);

fn server() -> Server {
    Server::builder().quiet().start().unwrap()
}

fn client(server: &Server, handler: &SmolHandler) -> Client {
    let mut builder = Client::builder(server.hosts());
    builder.session_timeout(Duration::from_secs(40));
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
fn a_handler_says_what_it_is() {
    let handler = SmolHandler::new();
    assert_eq!(handler.name(), "smol");
    assert_eq!(handler.identity(), clock::identity());
    assert!(handler.may_block());
    assert!(handler.now() <= handler.now());
    assert_ne!(handler.entropy(), handler.entropy());
    assert!(format!("{handler:?}").contains("threads: 0"));
}
