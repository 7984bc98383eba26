//! How often an operation makes the client ask for memory, from the call to its result, once it has
//! grown to its needs.

mod peer;

use allocation_counter::measure;
use peer::{Peer, WINDOW, created, data, framed, watched};
use zk_client::{AsyncResult, Client, Error};
use zk_proto::OpCode;

/// Allocations for each operation, of the worst of a few windows after a few to grow, in hundredths.
fn allocations<T: Send + 'static>(
    opcode: OpCode,
    reply: &zk_proto::Reply,
    call: impl Fn(&Client, usize) -> AsyncResult<T>,
    mut then: impl FnMut(&Peer, Vec<T>),
) -> u64 {
    const WINDOWS: usize = 16;
    let mut peer = Peer::connected().expect("a connected client");
    let reply = framed(opcode, reply);
    let mut worst = 0;
    for window in 0..WINDOWS {
        let mut under_way = Vec::with_capacity(WINDOW);
        let mut results = Vec::with_capacity(WINDOW);
        let counted = measure(|| {
            under_way.extend((0..WINDOW).map(|n| call(&peer.client, n)));
            peer.answer(&reply);
            for mut result in under_way.drain(..) {
                results.push(there(result.try_take()));
            }
            then(&peer, results);
        });
        if window >= WINDOWS / 2 {
            worst = worst.max(counted.count_total);
        }
    }
    worst * 100 / WINDOW as u64
}

fn there<T>(result: Option<Result<T, Error>>) -> T {
    result.expect("an answer").expect("success")
}

#[test]
fn a_get_allocates_its_slot() {
    let get = |client: &Client, _| client.get("/config").send();
    let count = allocations(OpCode::GET_DATA, &data(), get, |_, results| drop(results));
    assert!(count <= 105, "{count} hundredths of an allocation for each");
}

#[test]
fn a_create_allocates_its_slot_and_the_path() {
    let create = |client: &Client, _| client.create("/config", "some data").send();
    let count = allocations(OpCode::CREATE, &created(), create, |_, results| {
        drop(results)
    });
    assert!(count <= 205, "{count} hundredths of an allocation for each");
}

#[test]
fn a_watch_allocates_little() {
    let (paths, events) = watched();
    let get = |client: &Client, n: usize| client.get(&paths[n]).watched().send();
    let count = allocations(OpCode::GET_DATA, &data(), get, |peer, results| {
        peer.hear(&events);
        for (_, _, mut watch) in results {
            there(watch.try_take());
        }
    });
    assert!(count <= 530, "{count} hundredths of an allocation for each");
}
