use proptest::prelude::*;

use super::testing::{Plan, run};
use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_right_world_leaves_behind_is_accepted(seed: u64) {
        let (history, log) = run(Plan::new(seed));
        if let Err(violation) = check_all(&history, &log, Options::default()) {
            panic!("{history}\n{log}\n{violation}");
        }
    }
}
