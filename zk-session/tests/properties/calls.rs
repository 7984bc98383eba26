//! Any calls in any order: nothing panics, nothing loops, and what is told is true.

use std::time::Duration;

use proptest::prelude::*;
use zk_rig::ops::Op;
use zk_rig::options::Options;
use zk_rig::registry::Flavour;
use zk_rig::run::{Case, transcript};
use zk_rig::world::Cuts;

use crate::config::options;
use crate::ops::{hostile, op};

fn cases(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Case> {
    let ops = prop::collection::vec(op, 1..120);
    let case = (options(), any::<bool>(), ops, any::<bool>());
    case.prop_map(|(options, replacing, ops, cooperative)| Case {
        options,
        flavour: if replacing {
            Flavour::Replacing
        } else {
            Flavour::Coexisting
        },
        ops,
        cooperative,
    })
}

#[test]
fn any_calls_in_any_order() {
    crate::check(450, cases(op()), |case| {
        transcript(&case, Cuts::None);
    });
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    crate::check(80, cases(op()), |case| {
        let once = transcript(&case, Cuts::None);
        assert_eq!(once, transcript(&case, Cuts::None));
    });
}

#[test]
fn any_cut_of_the_stream_gives_the_same_events() {
    crate::check(80, (cases(op()), any::<u32>()), |(case, seed)| {
        let whole = transcript(&case, Cuts::None);
        assert_eq!(whole, transcript(&case, Cuts::Random(seed)));
        assert_eq!(whole, transcript(&case, Cuts::Every(1)));
    });
}

#[test]
fn a_server_that_talks_nonsense_does_no_harm() {
    let ops = prop_oneof![10 => op(), 1 => hostile()];
    crate::check(300, cases(ops), |case| {
        transcript(&case, Cuts::None);
    });
}

/// The failure of the attempt that made the session give up closing came after it.
#[test]
fn nothing_is_told_after_the_end_of_a_close_that_was_refused() {
    let wait = |ms| Op::Advance(Duration::from_millis(ms));
    let ops = [
        Op::Turns(1),
        wait(2667),
        wait(813),
        wait(1854),
        Op::Refuse(0),
        wait(5334),
    ];
    let case = Case {
        options: Options::read_only(2),
        flavour: Flavour::Coexisting,
        ops: ops.to_vec(),
        cooperative: false,
    };
    transcript(&case, Cuts::None);
}
