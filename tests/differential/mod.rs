//! The server of this project and a real one, asked the same.

mod compare;
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
    number(OPERATIONS).unwrap_or(10_000) as usize
}

/// A seed that no run had.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    number(SEED).unwrap_or(now.subsec_nanos().into())
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
    run::run(&pair, fresh_seed(), operations());
}

fn ours_against_real(version: Version, release: Release, seed: u64) {
    let real = real(version);
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
    let ours = Server::builder().options(options).start().unwrap();
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
        }
    };
}

mount!(on_3_8, V3_8);
mount!(on_3_9, V3_9);
