//! The server of this project and a real one, asked the same.
//!
//! Each logical connection is one TCP connection to each of the two servers. They go in lockstep: a
//! request is sent to both, both replies are read, with the events in front of them, and all of it has
//! to be equal. What one connection causes on another waits there for that one's next request: a
//! server queues an event before it acknowledges the write behind it, so the order of what a
//! connection sees is fixed. Now and then several requests are sent in one go. Nothing of the client is
//! used but `zk-proto`, so that it hides nothing.
//!
//! Requests come from a seed (`requests`): every operation, by several sessions which come, go, and
//! move between connections, on a few names so that they collide; with watches of all kinds, access
//! control lists good and bad, credentials, quotas, transactions; with bodies that are damaged, frames
//! too short and too long, and operations that there are not (`odd`). Every few thousand operations
//! the whole trees are compared, by somebody for whom no access control list counts.
//!
//! ```text
//! ZK_DIFF_OPS=100000 cargo test --test main -- --include-ignored --nocapture differential::on_3_9
//! ZK_DIFF_SEED=17    # for the runs with a fresh seed: the one that a failure has named
//! ZK_DIFF_COUNTS=1   # shows how often each operation was answered with what
//! ```
//!
//! A run tells its seed first. Where the servers differ it ends, with the last operations and both
//! answers. It also ends without a difference if an operation has not succeeded, or an event not been
//! seen, often enough for the run to mean anything.
//!
//! # What is compared
//!
//! Everything, but for what has to differ (`compare`):
//!
//! | what | how it is compared |
//! |---|---|
//! | zxids in headers, events and `Stat`s | exactly: both servers are fresh, so both count from 1 |
//! | session ids, owners of nodes | by the number of the session |
//! | session passwords | by their length |
//! | ctime, mtime | all that a server says of one transaction agrees, and with the other server's clock |
//! | order of children, ephemerals, identities | not promised: sorted |
//! | order of the identities that `auth` stands for in a list | not promised: sorted |
//! | order of the nodes that go with a session | not promised: events of one closeSession are sorted |
//!
//! Not part of it is what depends on time: expiry, and reaping of containers and of nodes with a time
//! to live.
//!
//! # Where the servers differ
//!
//! These are found in each run, counted, and let pass in exactly this form (`listed`):
//!
//! | request | real | ours | reason |
//! |---|---|---|---|
//! | null as scheme or id within an access control list | MarshallingError: an exception in the server | InvalidACL | no client can send it |
//! | 3.8: checkWatches for a watch that only another connection has, or on any path while somebody has a recursive watch | Ok | NoWatcher | a mistake, mended in 3.9 |
//! | 3.8: checkWatches on a path without a slash in front | Ok, NoWatcher or MarshallingError, by what others watch | as for any path | part of the same |
//!
//! These are left out by the generator, as they would end the comparison, or the real server. They are
//! asked once, where both servers have to answer as is said here (`left_out`):
//!
//! | request | real | ours | reason |
//! |---|---|---|---|
//! | 3.9: a write to the path null | MarshallingError, with a zxid of its own | MarshallingError | no client can send it |
//! | sync, getEphemerals or addWatch of the path null | Ok | MarshallingError | no client can send it |
//! | deleteContainer, createSession | executed: they are the server's own | Unimplemented, and the connection ends | clients have no business with them |
//! | createTTL of a node without a time to live, the time being negative | what it then applies ends the server | BadArguments | a mistake with consequences |
//! | anything but numbers in `zookeeper_limits` or `zookeeper_stats` | the next write below that quota ends the server | counts as no limit | a mistake with consequences |
//!
//! And these are not asked in one go, since real servers race there against themselves: a write behind
//! setACL may still be held against the list before; one behind another, against the quota before; in
//! 3.8 what follows a multi with flags that do not belong there may see half of it; what is created
//! below a node right behind it is held against the flags of that node, whatever the operation made of
//! them; credentials and SASL overtake; whatever follows closeSession may or may not be answered.
//!
//! That the method itself is sound is shown by a real server and another of its kind, which do not
//! differ.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most of what a server may say matters in most places not at all"
)]
#![expect(
    clippy::print_stdout,
    reason = "seed and figures are for whoever runs it"
)]

mod compare;
mod flags;
mod left_out;
mod listed;
mod lockstep;
mod odd;
mod requests;
mod rng;
mod run;
mod wire;
mod world;

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zk_server::{Release, Server, Settings};
use zk_testkit::{Cluster, Options, Version};

use run::Pair;

/// How many operations a run has.
const OPERATIONS: &str = "ZK_DIFF_OPS";

/// The seed of the runs that have no other.
const SEED: &str = "ZK_DIFF_SEED";

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

fn operations() -> usize {
    number(OPERATIONS).unwrap_or(20_000) as usize
}

/// A seed that no run had.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    number(SEED).unwrap_or_else(|| now.subsec_nanos().into())
}

fn real(version: Version) -> Cluster {
    let (min, max) = run::SESSION_TIMEOUT;
    let options = Options::new()
        .tick(Duration::from_secs(2))
        .conf(format!("minSessionTimeout={min}"))
        .conf(format!("maxSessionTimeout={max}"))
        .java("-Dznode.container.checkIntervalMs=2000000000")
        .java("-Dzookeeper.enforceQuota=true");
    Cluster::start(version, &options).unwrap()
}

/// The method itself: where a server differs from another of its kind, the test would be wrong.
fn real_against_real(version: Version) {
    let (one, two) = (real(version), real(version));
    let pair = Pair {
        title: format!("real {version} and its like"),
        addresses: [one.address(0), two.address(0)],
        is_3_8: version == Version::V3_8,
    };
    run::run(&pair, fresh_seed(), operations() / 4);
}

fn ours(release: Release) -> Server {
    let (min, max) = run::SESSION_TIMEOUT;
    let millis = |millis: i32| Duration::from_millis(millis as u64);
    let options = zk_server::Options::new()
        .release(release)
        .min_session_timeout(millis(min))
        .max_session_timeout(millis(max))
        .reap_interval(millis(2_000_000_000))
        .super_user("super", "superpw")
        .settings(Settings {
            enforce_quota: true,
            ..Settings::default()
        });
    Server::builder().options(options).start().unwrap()
}

fn ours_against_real(version: Version, release: Release, seed: u64) {
    let (real, ours) = (real(version), ours(release));
    let pair = Pair {
        title: format!("real {version} and ours"),
        addresses: [real.address(0), ours.local_addr()],
        is_3_8: version == Version::V3_8,
    };
    run::run(&pair, seed, operations());
}

macro_rules! mount {
    ($module:ident, $version:ident) => {
        mod $module {
            use super::*;

            #[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn a_real_server_agrees_with_its_like() {
                real_against_real(Version::$version);
            }

            #[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn ours_agrees_on_the_operations_of_a_fixed_seed() {
                ours_against_real(Version::$version, Release::$version, 1);
            }

            #[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn ours_agrees_on_the_operations_of_a_fresh_seed() {
                ours_against_real(Version::$version, Release::$version, fresh_seed());
            }

            #[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn ours_agrees_on_every_operation_with_all_flags() {
                let (real, ours) = (real(Version::$version), ours(Release::$version));
                let addresses = [real.address(0), ours.local_addr()];
                flags::check(addresses, format!("flags, {}", Version::$version));
            }

            #[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn what_the_generator_leaves_out_differs_as_listed() {
                let release = Release::$version;
                let (one, two) = (real(Version::$version), real(Version::$version));
                let ours = ours(release);
                left_out::check(one.address(0), ours.local_addr(), release);
                left_out::check_quotas(two.address(0), ours.local_addr(), release);
            }
        }
    };
}

mount!(on_3_8, V3_8);
mount!(on_3_9, V3_9);
