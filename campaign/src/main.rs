//! The campaign's command.

#![expect(clippy::print_stdout, reason = "a command speaks on its output")]

use zk_campaign::{Options, run};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let first: u64 = arguments[0].parse().unwrap();
    let count: u64 = arguments[1].parse().unwrap();
    let trace = arguments.get(2).is_some();
    let start = std::time::Instant::now();
    let mut failed = 0;
    for seed in first..first + count {
        let options = { let mut o = Options::default(); o.trace = trace; o };
        let outcome = run(seed, options);
        if trace {
            println!("{}\n{}", outcome.trace, outcome.history);
            println!("{:?} {:?} {}", outcome.summary, outcome.counts, outcome.events);
        }
        if let Some(failure) = &outcome.failure {
            failed += 1;
            println!("seed {seed}: {failure}");
        }
    }
    println!("{failed} failed of {count} in {:?}", start.elapsed());
}
