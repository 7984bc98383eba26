//! The server of this project and a real one, asked the same.

mod compare;
mod lockstep;
mod odd;
mod requests;
mod rng;
mod run;
mod wire;
mod world;

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zk_testkit::{Cluster, Options, Version};

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

fn real_against_real(version: Version) {
    let (one, two) = (real(version), real(version));
    let addresses = [one.address(0), two.address(0)];
    run::run(
        &format!("real {version} and itself"),
        addresses,
        fresh_seed(),
        operations(),
    );
}

mod on_3_9 {
    use super::*;

    #[test]
    #[ignore = "needs a real ZooKeeper: cargo xtask test"]
    fn a_real_server_agrees_with_itself() {
        real_against_real(Version::V3_9);
    }
}

mod on_3_8 {
    use super::*;

    #[test]
    #[ignore = "needs a real ZooKeeper: cargo xtask test"]
    fn a_real_server_agrees_with_itself() {
        real_against_real(Version::V3_8);
    }
}
