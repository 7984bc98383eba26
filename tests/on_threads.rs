//! The suite on plain threads.

use std::sync::Arc;

use zk::Handler;
use zk::threads::ThreadsHandler;
use zk_testkit::Version;

use crate::suite::mount;
use crate::support::{self, Env};

fn make() -> Arc<dyn Handler> {
    Arc::new(ThreadsHandler::new())
}

fn run(version: Version, name: &str, test: fn(&Env)) {
    support::run(version, name, make, test);
}

mod on_3_8 {
    super::mount!(V3_8, crate::on_threads::run);
}

mod on_3_9 {
    super::mount!(V3_9, crate::on_threads::run);
}
