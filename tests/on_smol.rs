//! The suite on async-io: on a thread of the handler's own, and on an executor.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use async_executor::Executor;
use zk::{Error, Handler};
use zk_handler_smol::SmolHandler;
use zk_server::Release;

use crate::suite::mount_on_all;
use crate::support::{self, Env, LIMIT, Place, Server, session_of, wait_until};

fn own_thread(_: &Server) -> Arc<dyn Handler> {
    Arc::new(SmolHandler::new())
}

fn handler_on(executor: &Arc<Executor<'static>>) -> SmolHandler {
    let executor = Arc::downgrade(executor);
    SmolHandler::on(move |task| {
        if let Some(executor) = executor.upgrade() {
            executor.spawn(task).detach();
        }
    })
}

/// An executor that two threads run.
fn on_executor(_: &Server) -> Arc<dyn Handler> {
    static EXECUTOR: OnceLock<Arc<Executor<'static>>> = OnceLock::new();
    let executor = EXECUTOR.get_or_init(|| {
        let executor = Arc::<Executor<'static>>::default();
        for _ in 0..2 {
            let executor = Arc::clone(&executor);
            thread::spawn(move || {
                async_io::block_on(executor.run(std::future::pending::<()>()));
            });
        }
        executor
    });
    Arc::new(handler_on(executor))
}

/// Thread and tasks are there only while there are clients for them.
fn nothing_is_left_of_a_closed_client(env: &Env) {
    let handler = SmolHandler::new();
    assert_eq!(handler.threads(), 0);
    for _ in 0..2 {
        let connect = env.builder().connect(Arc::new(handler.clone()));
        let client = connect.limit(LIMIT).wait().unwrap();
        client.exists("/").send().on_complete(drop);
        assert!(handler.threads() >= 1);
        client.close().wait().unwrap();
        wait_until("the tasks to end", || handler.tasks() == 0);
        wait_until("the threads to end", || handler.threads() == 0);
    }
}

/// A client of an executor that this thread runs, to its end and beyond.
fn the_end_of_an_executor_closes_its_sessions(env: &Env) {
    let executor = Arc::<Executor<'static>>::default();
    let handler = handler_on(&executor);
    let connect = env.builder().connect(Arc::new(handler));
    let client = async_io::block_on(executor.run(connect.limit(LIMIT))).unwrap();
    async_io::block_on(executor.run(client.create("/mine", b"").ephemeral())).unwrap();
    assert_eq!(client.get("/").wait().unwrap_err(), Error::WouldDeadlock);
    let session = session_of(&client);
    let other = env.client();
    let (stat, mut gone) = other.exists("/mine").watched().wait().unwrap();
    assert_eq!(stat.unwrap().ephemeral_owner, session);

    let start = Instant::now();
    let unsent = client.create("/last", b"").send();
    drop(executor);
    for mut result in [unsent, client.create("/later", b"").send()] {
        assert!(matches!(result.try_take(), Some(Err(Error::Closed { .. }))));
    }
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
    support::run(place, "nothing_is_left", own_thread, test);
}

#[test]
fn the_end_of_an_executor_closes_its_sessions_on_zk_server() {
    let place = Place::Embedded(Release::V3_9);
    let test = the_end_of_an_executor_closes_its_sessions;
    support::run(place, "end_of_executor", own_thread, test);
}

mod on_a_thread {
    use crate::support::{self, Env, Place};

    fn run(place: Place, name: &str, test: fn(&Env)) {
        support::run(place, name, super::own_thread, test);
    }

    super::mount_on_all! { crate::on_smol::on_a_thread::run, Kind::SmolThread }
}

mod on_an_executor {
    use crate::support::{self, Env, Place};

    fn run(place: Place, name: &str, test: fn(&Env)) {
        support::run(place, name, super::on_executor, test);
    }

    super::mount_on_all! { crate::on_smol::on_an_executor::run, Kind::SmolExecutor; the_runtime_ends }
}
