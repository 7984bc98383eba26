//! The suite on plain threads.

use std::sync::Arc;

use zk::Handler;
use zk::threads::ThreadsHandler;
use zk_server::Release;
use zk_testkit::Version;

use crate::suite::mount_on_all;
use crate::support::{self, Env, Heard, LIMIT, Place, Server, wait_until};

fn make(_: &Server) -> Arc<dyn Handler> {
    Arc::new(ThreadsHandler::new())
}

fn run(place: Place, name: &str, test: fn(&Env)) {
    support::run(place, name, make, test);
}

/// Threads run only while there are clients for them.
fn threads_end_with_the_last_client(env: &Env) {
    let handler = ThreadsHandler::new();
    assert_eq!(handler.threads(), 0);
    for _ in 0..2 {
        let connect = env.builder().connect(Arc::new(handler.clone()));
        let client = connect.limit(LIMIT).wait().unwrap();
        let heard = Heard::new();
        let tell = heard.teller();
        client
            .exists("/")
            .send()
            .on_complete(move |stat| tell.send(stat).unwrap());
        heard.next().unwrap();
        assert!(handler.threads() >= 2);
        client.close().wait().unwrap();
        wait_until("the threads to end", || handler.threads() == 0);
    }
}

#[test]
fn threads_end_with_the_last_client_on_zk_server() {
    let place = Place::Embedded(Release::V3_9);
    run(place, "threads_end", threads_end_with_the_last_client);
}

#[test]
#[ignore = "needs a real ZooKeeper: cargo xtask test"]
fn threads_end_with_the_last_client_on_3_9() {
    let place = Place::Real(Version::V3_9);
    run(place, "threads_end", threads_end_with_the_last_client);
}

mount_on_all! { crate::on_threads::run, Kind::Threads }
