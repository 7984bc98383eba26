use proptest::prelude::*;

use super::testing::{Plan, run};
use super::*;

fn options() -> Options {
    Options {
        budget: 20_000,
        ..Options::default()
    }
}

#[test]
fn probe() {
    for seed in 0..40 {
        let start = std::time::Instant::now();
        let (history, log) = run(Plan::new(seed));
        let made = start.elapsed();
        let result = check_all(&history, &log, options());
        println!("{seed} {:?} {:?} {:?}", made, start.elapsed(), result.map_err(|v| v.to_string()));
    }
}
