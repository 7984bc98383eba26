//! How often a request makes the session ask for memory, once it has grown to its needs.

mod peer;

use allocation_counter::measure;
use peer::{Pair, body, data};
use zk_proto::{Chroot, Reply, Request, SessionId, Stat, Zxid};

const STAT: Reply = Reply::Stat(Stat {
    czxid: Zxid(1),
    mzxid: Zxid(1),
    ctime: 0,
    mtime: 0,
    version: 0,
    cversion: 0,
    aversion: 0,
    ephemeral_owner: SessionId::NONE,
    data_length: 0,
    num_children: 0,
    pzxid: Zxid(1),
});

fn get() -> Request<'static> {
    Request::GetData {
        path: "/config".into(),
        watch: false,
    }
}

fn set() -> Request<'static> {
    Request::SetData {
        path: "/config".into(),
        data: Some((&[7; 100][..]).into()),
        version: -1,
    }
}

fn exists() -> Request<'static> {
    Request::Exists {
        path: "/config".into(),
        watch: false,
    }
}

/// Allocations of the worst of a few rounds of `window` requests, after a few to grow. Replies are
/// dropped, or `kept` until the end.
fn allocations(make: fn() -> Request<'static>, answer: &[u8], window: usize, kept: bool) -> u64 {
    const ROUNDS: usize = 16;
    let mut pair = Pair::connected();
    let chroot = Chroot::default();
    let mut replies = Vec::with_capacity(2 * ROUNDS * window);
    let mut round = || {
        for _ in 0..window {
            pair.submit(&make(), &chroot);
        }
        if kept {
            pair.exchange_into(answer, &mut replies);
        } else {
            assert_eq!(pair.exchange(answer), window);
        }
    };
    (0..ROUNDS).for_each(|_| round());
    let counts = (0..ROUNDS).map(|_| measure(&mut round).count_total);
    counts.max().unwrap_or_default()
}

#[test]
fn allocations_are_counted() {
    assert_eq!(measure(|| drop(vec![1_u8])).count_total, 1);
}

#[test]
fn nothing_is_allocated_where_replies_are_dropped() {
    for window in [1, 1000] {
        for (name, make, answer) in [
            ("get", get as fn() -> _, data(100)),
            ("set", set, body(&STAT)),
            ("exists", exists, body(&STAT)),
        ] {
            let count = allocations(make, &answer, window, false);
            assert_eq!(count, 0, "{name}, {window} at a time");
        }
    }
}

/// Payloads are slices of the buffer that they arrived in: a new one is needed for the next bytes,
/// and a count of those who share it.
#[test]
fn one_buffer_is_allocated_for_all_payloads_that_arrive_together() {
    for window in [1, 1000] {
        let count = allocations(get, &data(100), window, true);
        assert!(count <= 2, "{count} allocations, {window} at a time");
    }
    assert_eq!(allocations(set, &body(&STAT), 1000, true), 0);
}
