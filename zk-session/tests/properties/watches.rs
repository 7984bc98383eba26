//! Watches against a server that keeps registrations as 3.8 does, and as 3.9 does: everyone is told
//! what they are entitled to, once, and the server keeps no more than is needed.

use proptest::prelude::*;
use zk_rig::registry::Flavour;
use zk_rig::watches::{KINDS, Op, PATHS, run};

fn op() -> impl Strategy<Value = Op> {
    // Few paths, so that watchers meet.
    let path = || prop_oneof![6 => 0..2usize, 3 => 2..PATHS.len()];
    let watch = (
        0..KINDS.len(),
        path(),
        any::<bool>(),
        prop::bool::weighted(0.1),
    );
    let watch = watch.prop_map(|(kind, path, chroot, impatient)| Op::Watch {
        kind,
        path,
        chroot,
        impatient,
    });
    let few = || 1..4usize;
    prop_oneof![
        30 => watch,
        14 => (0..20usize).prop_map(Op::Unwatch),
        5 => (0..20usize).prop_map(Op::Cancel),
        20 => (0..3usize, path()).prop_map(|(what, path)| Op::Write(what, path)),
        3 => (0..3usize, path()).prop_map(|(what, path)| Op::Own(what, path)),
        12 => few().prop_map(Op::Transmit),
        12 => few().prop_map(Op::Serve),
        12 => few().prop_map(Op::Deliver),
        16 => Just(Op::Turn),
        2 => (1..1500u64).prop_map(Op::Wait),
        5 => any::<bool>().prop_map(Op::Cut),
        4 => Just(Op::Rest),
        1 => Just(Op::Kill),
    ]
}

fn cases() -> impl Strategy<Value = (usize, Vec<Op>)> {
    let chunk = prop_oneof![Just(1usize), Just(65_536)];
    (chunk, prop::collection::vec(op(), 1..60))
}

#[test]
fn watches_on_a_server_where_the_last_registration_wins() {
    crate::check(400, cases(), |(chunk, ops)| {
        run(Flavour::Replacing, chunk, &ops)
    });
}

#[test]
fn watches_on_a_server_where_modes_coexist() {
    crate::check(400, cases(), |(chunk, ops)| {
        run(Flavour::Coexisting, chunk, &ops)
    });
}

const fn watch(kind: usize, path: usize) -> Op {
    Op::Watch {
        kind,
        path,
        chroot: false,
        impatient: false,
    }
}

const DATA: usize = 0;
const EXIST: usize = 1;
const CHILD: usize = 2;
const PERSISTENT: usize = 3;
const RECURSIVE: usize = 4;

/// The recursive watch replaces the child watch on servers before 3.9. The change came before it
/// could be put right, because a request that was to set a watch on the path was awaited.
#[test]
fn a_replaced_child_watch_is_caught_up_with_since_it_was_replaced() {
    let ops = [
        watch(CHILD, 0),
        watch(DATA, 0),
        watch(RECURSIVE, 0),
        Op::Own(1, 1),
        watch(DATA, 0),
    ];
    run(Flavour::Replacing, 1, &ops);
}

/// The connection broke before the child watch was back: the reconnect caught up with what came
/// after the newest reply only.
#[test]
fn a_replaced_child_watch_is_caught_up_with_on_the_next_connection() {
    let ops = [
        Op::Rest,
        watch(CHILD, 0),
        watch(RECURSIVE, 0),
        Op::Own(1, 1),
        Op::Turn,
        Op::Cut(false),
    ];
    run(Flavour::Replacing, 1, &ops);
}

/// A change between the removal of a recursive watch and the return of the persistent one that
/// stays: a one-shot that either of them serves has to hear of it.
#[test]
fn a_one_shot_is_told_of_a_change_while_what_serves_it_is_exchanged() {
    let ops = [
        watch(PERSISTENT, 0),
        watch(DATA, 0),
        watch(RECURSIVE, 0),
        Op::Rest,
        Op::Unwatch(2),
        Op::Transmit(3),
        Op::Serve(1),
        Op::Write(2, 0),
    ];
    run(Flavour::Replacing, 1, &ops);
    run(Flavour::Coexisting, 1, &ops);
}

/// A read of the node found it missing and watches for its creation; another watcher is told at the
/// same time that it was deleted. That is no news for the first, who stays.
#[test]
fn who_waits_for_a_creation_is_not_told_of_the_deletion_before_it() {
    let ops = [
        watch(DATA, 0),
        watch(PERSISTENT, 1),
        Op::Turn,
        watch(DATA, 1),
        Op::Unwatch(1),
        Op::Turn,
        Op::Cut(false),
        watch(EXIST, 1),
        Op::Write(1, 1),
    ];
    run(Flavour::Replacing, 1, &ops);
    run(Flavour::Coexisting, 1, &ops);
}

/// The connection broke while a registration was exchanged, and a new request waits to set a watch
/// there too: what was missed must be caught up with before that one is sent.
#[test]
fn an_exchange_that_broke_is_caught_up_with_before_new_requests() {
    let ops = [
        watch(DATA, 0),
        watch(CHILD, 0),
        watch(RECURSIVE, 0),
        Op::Turn,
        Op::Turn,
        Op::Cut(false),
        Op::Write(2, 0),
        watch(RECURSIVE, 0),
    ];
    run(Flavour::Replacing, 1, &ops);
    run(Flavour::Coexisting, 1, &ops);
}

/// A child event behind the event that it was derived from is not told again. The recursive watch had
/// given way to the persistent one, and the next change was taken for such a repetition.
#[test]
fn a_change_after_a_recursive_watch_has_gone_is_no_repetition() {
    let begin = [
        watch(PERSISTENT, 1),
        watch(RECURSIVE, 1),
        Op::Rest,
        Op::Write(0, 2),
        Op::Turn,
    ];
    let exchanged = [Op::Unwatch(1), Op::Turn, Op::Write(1, 2)];
    let afresh = [
        Op::Unwatch(0),
        Op::Unwatch(1),
        Op::Turn,
        watch(PERSISTENT, 1),
        Op::Turn,
        Op::Write(1, 2),
    ];
    for end in [&exchanged[..], &afresh] {
        let ops = [&begin, end].concat();
        run(Flavour::Replacing, 1, &ops);
        run(Flavour::Coexisting, 1, &ops);
    }
}

/// The one-shot was told by the lasting watch that it was to be taken from, and the registration that
/// was on its way for it stayed on the server.
#[test]
fn what_an_exchange_registers_for_nobody_is_removed() {
    let ops = [
        watch(PERSISTENT, 4),
        Op::Turn,
        watch(EXIST, 4),
        Op::Turn,
        Op::Write(0, 4),
        Op::Unwatch(0),
        Op::Write(1, 4),
    ];
    run(Flavour::Replacing, 65_536, &ops);
    run(Flavour::Replacing, 1, &ops);
    run(Flavour::Coexisting, 1, &ops);
}
