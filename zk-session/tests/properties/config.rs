//! Random options of a session.

use std::time::Duration;

use proptest::prelude::*;
use zk_rig::options::Options;

pub(crate) fn options() -> impl Strategy<Value = Options> {
    let rare = |p: f64| prop::bool::weighted(p);
    let security = (
        rare(0.1),
        prop::option::weighted(0.15, any::<bool>()),
        any::<u8>(),
    );
    let first = (
        1..4usize,
        prop_oneof![Just(4000u64), Just(6000), Just(40_000), 1..100_000u64],
        rare(0.1),
        0..3usize,
        any::<bool>(),
        prop::option::weighted(0.1, 1..6u32),
        prop::option::weighted(0.2, duration()),
        prop::option::weighted(0.3, duration()),
    );
    let bounds = (
        (1..40usize, 100..4000usize),
        prop_oneof![Just(1_048_575usize), 40..200usize],
        prop_oneof![Just(64usize << 20), 20..200usize],
        prop_oneof![Just(65_536usize), 1..200usize],
        prop_oneof![Just(16_384usize), 1..20usize],
    );
    (first, bounds, security).prop_map(|(first, bounds, security)| Options {
        members: first.0,
        timeout: first.1,
        resume: first.2,
        auth: first.3,
        read_only: first.4,
        tries: first.5,
        connect_timeout: first.6,
        give_up: first.7,
        max_queued: bounds.0,
        max_request: bounds.1,
        max_reply: bounds.2,
        chunk: bounds.3,
        max_events: bounds.4,
        layered: security.0,
        mechanism: security.1,
        seed: security.2,
    })
}

/// From nothing much to for ever.
pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        8 => (1..20_000u64).prop_map(Duration::from_millis),
        1 => Just(Duration::from_secs(1 << 40)),
        1 => Just(Duration::MAX),
    ]
}
