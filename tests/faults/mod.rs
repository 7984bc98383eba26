//! Servers that are killed, paused, cut off and cut away while clients work.
//!
//! Each test starts servers of its own. `load` is about handlers, and mounted beside the suite.

mod deadline;
pub(crate) mod load;
mod loops;
mod pause;
mod quickstart;
mod sasl;
mod watches;
mod writes;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use zk::op::Retryable;
use zk::{AsyncResult, BackoffPolicy, Client, Op};
use zk_testkit::{Cluster, Options, Version};

use crate::support::{LIMIT, assert_nothing_left};

/// Servers of `version`, with a short tick so that sessions can be short.
fn cluster(version: Version, options: Options) -> Cluster {
    let cluster = Cluster::start(version, &options).unwrap();
    eprintln!(
        "on ZooKeeper {}, {} members",
        cluster.dist().release(),
        cluster.len()
    );
    cluster
}

/// An example, as it is now: a run of the tests alone does not build it.
fn example(name: &str, features: &str) -> Command {
    let build = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", name])
        .args(["--features", features])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(build.unwrap().success(), "{name} does not build");
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    Command::new(path.join(name))
}

/// A client with a session timeout of its own.
fn client(hosts: &str, timeout: Duration) -> Client {
    Client::builder(hosts)
        .session_timeout(timeout)
        .connect(Arc::new(zk::threads::ThreadsHandler::new()))
        .limit(Duration::from_secs(30))
        .wait()
        .unwrap()
}

/// Asks again when the connection is lost: a machine that is busy may stand still for longer than a
/// session does.
pub(crate) fn surely<K: Retryable>(client: &Client, op: Op<'_, K>) -> AsyncResult<K::Output> {
    let again = client.retry(&BackoffPolicy::new(), op);
    again.timeout(LIMIT).send()
}

/// Closes a client whose user holds nothing any more: nothing may be left in it.
pub(crate) fn close_clean(client: &Client) {
    surely(client, client.sync("/")).wait().unwrap();
    assert_nothing_left(client);
    client.close().timeout(LIMIT).wait().unwrap();
    assert_nothing_left(client);
}

/// Closes a client that no server may hear any more: nothing may be left in it either.
fn close_unheard(client: &Client) {
    let _ = client.close().timeout(Duration::from_secs(1)).wait();
    assert_nothing_left(client);
}

/// Each fault test, once for each version.
macro_rules! faults {
    ($($module:ident :: $test:ident),* $(,)?) => {
        mod v3_8 {
            $(#[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn $test() {
                super::$module::$test(zk_testkit::Version::V3_8);
            })*
        }
        mod v3_9 {
            $(#[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn $test() {
                super::$module::$test(zk_testkit::Version::V3_9);
            })*
        }
    };
}

/// What has changed in the version that comes next.
mod next {
    use zk_testkit::Version;

    macro_rules! next {
        ($($test:ident),* $(,)?) => {$(
            #[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask nightly next"]
            fn $test() {
                super::sasl::$test(Version::Next);
            }
        )*};
    }

    next! {
        a_server_in_fips_mode_is_named_as_such,
        a_user_signs_in_by_sasl_on_every_connection,
        sasl_refuses_a_wrong_password_and_an_unknown_user,
        a_server_that_insists_on_sasl_takes_nobody_else,
        a_server_without_sasl_is_named_as_such,
    }
}

/// Those that need nothing of a server that ours has not.
mod on_zk_server {
    use zk_server::Release;

    macro_rules! sasl {
        ($($test:ident),* $(,)?) => {$(
            #[test]
            fn $test() {
                super::sasl::$test(Release::V3_9);
            }
        )*};
    }

    sasl! {
        a_user_signs_in_by_sasl_on_every_connection,
        sasl_refuses_a_wrong_password_and_an_unknown_user,
        a_server_that_insists_on_sasl_takes_nobody_else,
        a_server_without_sasl_is_named_as_such,
        a_server_in_fips_mode_is_named_as_such,
    }
}

faults! {
    writes::no_acknowledged_write_is_lost_alone,
    writes::no_acknowledged_write_is_lost_on_an_ensemble,
    watches::all_watches_survive_a_cut,
    pause::a_paused_server_is_noticed_in_time,
    deadline::the_deadline_comes_before_the_end_on_the_leader,
    deadline::the_deadline_comes_before_the_end_on_a_follower,
    deadline::the_deadline_comes_before_the_end_on_an_isolated_follower,
    sasl::a_user_signs_in_by_sasl_on_every_connection,
    sasl::sasl_refuses_a_wrong_password_and_an_unknown_user,
    sasl::a_server_that_insists_on_sasl_takes_nobody_else,
    sasl::a_server_without_sasl_is_named_as_such,
    loops::loops_of_ones_own_serve_real_servers,
    quickstart::the_tour_ends_alone,
    quickstart::the_tour_survives_the_loss_of_its_server,
}
