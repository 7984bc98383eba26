//! Seeds that every test run goes through; `cargo xtask sim` runs others.

use std::collections::BTreeSet;
use std::process::Command;

use zk_campaign::{Campaign, Options, run};

/// What is different in debug builds takes longer.
const SEEDS: u64 = 30;

#[test]
fn fixed_seeds_keep_all_promises() {
    let campaign = Campaign {
        first: 0,
        seeds: SEEDS,
        threads: 2,
        limit: None,
        options: Options::default(),
    };
    let mut said = String::new();
    let good = campaign.run(&mut |line| said += &format!("{line}\n"));
    assert!(good, "{said}");
}

#[test]
fn one_seed_gives_the_same_trace_in_one_process() {
    let options = Options {
        trace: true,
        ..Options::default()
    };
    for seed in [3, 4] {
        let (one, other) = (run(seed, options), run(seed, options));
        assert!(one.trace.len() > 10_000, "{} bytes", one.trace.len());
        assert!(one.trace == other.trace, "the traces of seed {seed} differ");
        assert_eq!(one.history, other.history);
        assert_eq!(one.hash, run(seed, Options::default()).hash);
    }
}

#[test]
fn one_seed_gives_the_same_trace_in_two_processes() {
    let output = |seed: &str| {
        let program = env!("CARGO_BIN_EXE_zk-campaign");
        let output = Command::new(program)
            .args(["--seed", seed, "--trace"])
            .output()
            .expect("the program was built for this test");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let outputs: BTreeSet<_> = (0..2).map(|_| output("5")).collect();
    assert_eq!(outputs.len(), 1);
    assert_ne!(output("6"), output("5"));
}

#[test]
fn what_is_not_understood_is_refused() {
    let program = env!("CARGO_BIN_EXE_zk-campaign");
    for words in [&["--seed"][..], &["--seeds", "many"], &["--mutant", "none"]] {
        let output = Command::new(program).args(words).output();
        let output = output.expect("the program was built for this test");
        assert!(!output.status.success(), "{words:?}");
    }
}
