//! The suite on tokio, on runtimes of both flavours.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::runtime::{Builder, Handle, Runtime};
use zk::{Error, Handler};
use zk_handler_tokio::TokioHandler;
use zk_server::Release;

use crate::suite::mount_on_all;
use crate::support::{self, Env, LIMIT, Place, Server, session_of, wait_until};

/// Workers of the runtime with several.
fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// One that all tests share.
pub(crate) fn runtime() -> Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(multi_thread).handle().clone()
}

fn on_multi_thread(_: &Server) -> Arc<dyn Handler> {
    Arc::new(TokioHandler::new(runtime()))
}

fn on_current_thread(_: &Server) -> Arc<dyn Handler> {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    let handle = RUNTIME.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        handle
    });
    Arc::new(TokioHandler::new(handle.clone()))
}

/// A client of its own on a runtime of its own, and that it leaves nothing behind there.
fn nothing_is_left_of_a_closed_client(env: &Env) {
    let runtime = multi_thread();
    let metrics = runtime.metrics();
    let handler = TokioHandler::new(runtime.handle().clone());
    for _ in 0..2 {
        let connect = env.builder().connect(Arc::new(handler.clone()));
        let client = connect.limit(LIMIT).wait().unwrap();
        client.exists("/").send().on_complete(drop);
        assert!(metrics.num_alive_tasks() >= 1);
        client.close().wait().unwrap();
        wait_until("the task to end", || metrics.num_alive_tasks() == 0);
        wait_until("the threads to end", || handler.threads() == 0);
    }
}

/// A runtime that goes takes the sessions of its clients along.
fn the_end_of_a_runtime_closes_its_sessions(env: &Env) {
    let runtime = multi_thread();
    let handler = TokioHandler::new(runtime.handle().clone());
    let connect = env.builder().connect(Arc::new(handler));
    let client = connect.limit(LIMIT).wait().unwrap();
    client.create("/mine", b"").ephemeral().wait().unwrap();
    let session = session_of(&client);
    let other = env.client();
    let (stat, mut gone) = other.exists("/mine").watched().wait().unwrap();
    assert_eq!(stat.unwrap().ephemeral_owner, session);

    let start = Instant::now();
    let unsent = client.create("/last", b"").send();
    drop(runtime);
    assert!(matches!(
        client.get("/").wait(),
        Err(Error::Closed { sent: false })
    ));
    // Either its answer has come in time, or it fails; it does not hang.
    drop(unsent.wait());
    gone.wait_for(LIMIT).unwrap().unwrap();
    let elapsed = start.elapsed();
    let timeout = other.negotiated_timeout().unwrap();
    assert!(elapsed < timeout / 2, "took {elapsed:?}");
    assert!(!env.session_lives(session));
    assert!(other.exists("/last").wait().unwrap().is_some());
}

#[test]
fn nothing_is_left_of_a_closed_client_on_zk_server() {
    let place = Place::Embedded(Release::V3_9);
    let test = nothing_is_left_of_a_closed_client;
    support::run(place, "nothing_is_left", on_multi_thread, test);
}

#[test]
fn the_end_of_a_runtime_closes_its_sessions_on_zk_server() {
    let place = Place::Embedded(Release::V3_9);
    let test = the_end_of_a_runtime_closes_its_sessions;
    support::run(place, "end_of_runtime", on_multi_thread, test);
}

#[test]
#[ignore = "needs a real ZooKeeper: cargo xtask test"]
fn the_end_of_a_runtime_closes_its_sessions_on_3_9() {
    let place = Place::Real(zk_testkit::Version::V3_9);
    let test = the_end_of_a_runtime_closes_its_sessions;
    support::run(place, "end_of_runtime", on_multi_thread, test);
}

mod current_thread {
    use crate::support::{self, Env, Place};

    fn run(place: Place, name: &str, test: fn(&Env)) {
        support::run(place, name, super::on_current_thread, test);
    }

    super::mount_on_all! {
        crate::on_tokio::current_thread::run, Kind::TokioCurrentThread; the_runtime_ends
    }
}

mod multi_thread {
    use crate::support::{self, Env, Place};

    fn run(place: Place, name: &str, test: fn(&Env)) {
        support::run(place, name, super::on_multi_thread, test);
    }

    super::mount_on_all! {
        crate::on_tokio::multi_thread::run, Kind::TokioMultiThread; the_runtime_ends
    }
}
