use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Runtime};
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

fn runtime(workers: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}

fn client(server: &Server, handler: &TokioHandler) -> Client {
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

#[test]
fn waiting_is_refused_where_it_could_hold_up_a_runtime() {
    let (server, runtime) = (server(), runtime(1));
    let handler = TokioHandler::new(runtime.handle().clone());
    let client = client(&server, &handler);
    let wait = |client: &Client| client.exists("/").wait().map(drop);
    assert_eq!(wait(&client), Ok(()), "on a plain thread");

    let refused = Err(Error::WouldDeadlock);
    runtime.block_on(async {
        assert_eq!(wait(&client), refused, "where the runtime is run");
        let theirs = client.clone();
        let in_task = tokio::spawn(async move { theirs.exists("/").wait().map(drop) });
        assert_eq!(in_task.await.unwrap(), refused, "in a task");
        for _ in 0..3 {
            let theirs = client.clone();
            let allowed = blocking(move || theirs.exists("/").wait().map(drop));
            assert_eq!(allowed.await.unwrap(), Ok(()), "where it is allowed");
            let theirs = client.clone();
            let blocked = tokio::task::spawn_blocking(move || theirs.exists("/").wait().map(drop));
            assert_eq!(blocked.await.unwrap(), refused, "not said to be allowed");
        }
    });

    let (told, heard) = mpsc::channel();
    let (theirs, tell) = (client.clone(), told.clone());
    handler.spawn(Task::new(async move {
        tell.send(theirs.exists("/").wait().map(drop)).unwrap();
    }));
    assert_eq!(
        heard.recv_timeout(SOON).unwrap(),
        refused,
        "in the background"
    );
    let theirs = client.clone();
    client.exists("/").send().on_complete(move |_| {
        told.send(theirs.exists("/").wait().map(drop)).unwrap();
    });
    assert_eq!(heard.recv_timeout(SOON).unwrap(), Ok(()), "in a callback");
    client.close().wait().unwrap();
}

#[test]
fn a_panic_does_not_leave_the_permission_to_block_behind() {
    let runtime = runtime(1);
    runtime.block_on(async {
        blocking(|| panic!("as the test wants it"))
            .await
            .unwrap_err();
        let marked = tokio::task::spawn_blocking(|| MAY_BLOCK.get());
        assert!(!marked.await.unwrap());
    });
}

#[test]
fn the_runtime_is_that_of_the_call_or_of_the_first_poll() {
    let server = server();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let inside = runtime.block_on(async { crate::connect(server.hosts()).await.unwrap() });
    let outside = runtime
        .block_on(crate::connect(server.hosts()).limit(SOON))
        .unwrap();
    runtime.block_on(async {
        assert!(inside.exists("/").await.unwrap().is_some());
        assert!(outside.exists("/").await.unwrap().is_some());
        inside.close().await.unwrap();
        outside.close().await.unwrap();
    });
    assert!(server.sessions().is_empty());
}

#[test]
fn what_is_missing_is_told() {
    let no_runtime = crate::connect("127.0.0.1:1").wait().unwrap_err();
    let kind = |error: &Error| {
        let Error::Start(StartError::Io { kind, .. }) = error else {
            return None;
        };
        Some(*kind)
    };
    assert_eq!(kind(&no_runtime), Some(ErrorKind::NotFound), "{no_runtime}");

    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    let no_clock = runtime.block_on(crate::connect("127.0.0.1:1")).unwrap_err();
    assert_eq!(kind(&no_clock), Some(ErrorKind::Unsupported), "{no_clock}");

    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let no_sockets = runtime.block_on(crate::connect("127.0.0.1:1")).unwrap_err();
    assert_eq!(
        kind(&no_sockets),
        Some(ErrorKind::Unsupported),
        "{no_sockets}"
    );
}

#[test]
fn a_runtime_that_was_shut_down_lets_nobody_hang() {
    let (server, runtime) = (server(), runtime(1));
    let handler = TokioHandler::new(runtime.handle().clone());
    let client = client(&server, &handler);
    drop(runtime);
    let closed = Error::Closed { sent: false };
    assert_eq!(client.get("/").wait().unwrap_err(), closed);
    let builder = Client::builder(server.hosts());
    builder
        .connect(Arc::new(handler.clone()))
        .wait()
        .unwrap_err();
    until("the threads end", || handler.threads() == 0);
    until("the session ends", || server.sessions().is_empty());
}

#[test]
fn a_handler_says_what_it_is() {
    let handler = TokioHandler::current();
    assert_eq!(handler.name(), "tokio");
    assert_eq!(handler.identity(), clock::identity());
    assert!(handler.may_block());
    assert!(handler.now() <= handler.now());
    assert_ne!(handler.entropy(), handler.entropy());
    assert!(format!("{handler:?}").contains("threads: 0"));
}
