//! Properties of a session against a model of its servers.
//!
//! The model is in `zk-rig`, which the fuzz targets share. Every test runs a fixed number of cases from a fixed seed, so that a run can be repeated. More
//! cases come with `PROPTEST_CASES` (256 stand for the usual number), others with
//! `PROPTEST_RNG_SEED`.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "most enums here are open, and tests name what they are about"
)]

mod calls;
mod config;
mod ops;
mod watches;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Runs `test` on `cases` values, fewer or more if the environment asks for it.
fn check<S: Strategy>(cases: u32, values: S, test: impl Fn(S::Value)) {
    let mut config = Config::default();
    config.cases = (u64::from(cases) * u64::from(config.cases) / 256) as u32;
    config.failure_persistence = None;
    config.max_shrink_iters = 20_000;
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(1);
    }
    let mut runner = TestRunner::new(config);
    let result = runner.run(&values, |value| {
        test(value);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
