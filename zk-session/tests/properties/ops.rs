//! Random steps.

use std::time::Duration;

use proptest::prelude::*;
use zk_rig::ops::{CODES, Op};

use crate::config::duration;

pub(crate) fn op() -> impl Strategy<Value = Op> {
    let which = || 0..4usize;
    let millis = || -3000..20_000i64;
    let submit = (
        0..20u8,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        prop::option::weighted(0.3, millis()),
        prop::bool::weighted(0.1),
    );
    let submit = submit.prop_map(
        |(body, shared, watch, chroot, deadline, urgent)| Op::Submit {
            body,
            shared,
            watch,
            chroot,
            deadline,
            urgent,
        },
    );
    let asked = prop_oneof![
        60 => submit,
        8 => (0..60usize).prop_map(Op::Cancel),
        8 => (0..60usize).prop_map(Op::Unwatch),
        4 => millis().prop_map(Op::SetTimer),
        2 => which().prop_map(Op::CancelTimer),
        2 => any::<u8>().prop_map(Op::SetServers),
        2 => any::<u8>().prop_map(Op::SetFallback),
        3 => any::<bool>().prop_map(Op::KeepAlive),
        2 => Just(Op::Reconnect),
        1 => duration().prop_map(Op::Close),
        1 => duration().prop_map(Op::Detach),
    ];
    let network = prop_oneof![
        6 => which().prop_map(Op::Connected),
        2 => which().prop_map(Op::Refuse),
        3 => (which(), any::<bool>()).prop_map(|(conn, served)| Op::Cut(conn, served)),
        2 => (which(), any::<u8>()).prop_map(|(conn, kind)| Op::Stale(conn, kind)),
        2 => prop::bool::weighted(0.9).prop_map(Op::Sasl),
        10 => (which(), 1..20usize).prop_map(|(conn, n)| Op::Transmit(conn, n)),
        10 => (which(), 1..20usize).prop_map(|(conn, n)| Op::Serve(conn, n)),
        10 => (which(), 1..20usize, prop_oneof![Just(usize::MAX), 1..30usize])
            .prop_map(|(conn, n, piece)| Op::Deliver(conn, n, piece)),
        8 => (1..3000u64).prop_map(|ms| Op::Advance(Duration::from_millis(ms))),
        2 => (1..200_000u64).prop_map(|ms| Op::Advance(Duration::from_millis(ms))),
        2 => (0..9000u64).prop_map(|ms| Op::Skew(Duration::from_millis(ms))),
        3 => Just(Op::Timeout),
        4 => Just(Op::Drain),
        20 => (1..8usize).prop_map(Op::Turns),
    ];
    let servers = prop_oneof![
        1 => Just(Op::Kill),
        1 => Just(Op::Substitute),
        6 => (which(), prop::bool::weighted(0.3)).prop_map(|(n, ro)| Op::Isolate(n, ro)),
        6 => which().prop_map(Op::Heal),
        2 => (which(), 0..CODES.len()).prop_map(|(conn, code)| Op::Code(conn, code)),
        4 => any::<bool>().prop_map(Op::Write),
        1 => (which(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(conn, bytes)| Op::Garbage(conn, bytes)),
    ];
    prop_oneof![10 => asked, 10 => network, 3 => servers]
}

/// What a server does that is broken, or none.
pub(crate) fn hostile() -> impl Strategy<Value = Op> {
    let which = || 0..4usize;
    let bytes = prop::collection::vec(any::<u8>(), 1..40);
    let values = prop_oneof![any::<u8>(), Just(0), Just(0x7f), Just(0xff)];
    let changes = prop::collection::vec((0..80usize, values), 1..4);
    prop_oneof![
        1 => (which(), bytes).prop_map(|(conn, bytes)| Op::Garbage(conn, bytes)),
        4 => (which(), changes).prop_map(|(conn, changes)| Op::Corrupt(conn, changes)),
    ]
}
