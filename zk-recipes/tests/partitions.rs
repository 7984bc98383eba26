//! `SetPartitioner`.

use std::time::Duration;

use zk_client::{Client, Error};
use zk_recipes::Lock;
use zk_recipes::partitioner::{Partition, PartitionState, SetPartitioner};

use crate::universe::{Universe, millis, seconds};

const ITEMS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

fn partitioner(client: &Client, name: &str) -> SetPartitioner {
    SetPartitioner::new(client, "/set", ITEMS)
        .identifier(name)
        .time_boundary(seconds(2))
}

fn joined(universe: &Universe, client: &Client, name: &str) -> Partition {
    universe.run(partitioner(client, name).start())
}

/// Lets go whatever is to be let go, for so long.
fn serve(universe: &Universe, parts: &[&Partition], time: Duration) {
    for _ in 0..time.as_millis() / 50 {
        universe.pass(millis(50));
        for part in parts {
            if part.state() == PartitionState::Release {
                universe.run(part.release_set());
            }
        }
        disjoint(parts);
    }
}

/// Nobody has what another has.
fn disjoint(parts: &[&Partition]) {
    let mut all: Vec<_> = parts.iter().flat_map(|part| part.items()).collect();
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count, "an item has two owners");
}

#[track_caller]
fn complete(parts: &[&Partition]) {
    disjoint(parts);
    let mut all: Vec<_> = parts.iter().flat_map(|part| part.items()).collect();
    all.sort();
    assert_eq!(all, ITEMS);
    for part in parts {
        assert_eq!(part.state(), PartitionState::Acquired);
    }
}

#[test]
fn one_member_gets_all_and_more_share_round_robin() {
    let universe = Universe::new(1);
    let clients = ["one", "two", "three"].map(|name| universe.client(name));
    let one = joined(&universe, &clients[0], "1");
    assert_eq!(one.state(), PartitionState::Allocating);
    universe.run(one.wait_for_acquire());
    complete(&[&one]);
    let two = joined(&universe, &clients[1], "2");
    let three = joined(&universe, &clients[2], "3");
    universe.pass(seconds(5));
    assert_eq!(one.state(), PartitionState::Release);
    assert_eq!(one.items(), ITEMS, "until they are let go");
    assert_eq!(two.state(), PartitionState::Allocating);
    assert!(two.items().is_empty() && !two.holds("b"));
    universe.run(one.release_set());
    for part in [&one, &two, &three] {
        universe.run(part.wait_for_acquire());
    }
    assert_eq!(one.items(), ["a", "d", "g"]);
    assert_eq!(two.items(), ["b", "e"]);
    assert_eq!(three.items(), ["c", "f"]);
    assert!(two.holds("b") && !two.holds("a"));
    complete(&[&one, &two, &three]);
    // One leaves.
    universe.run(two.finish());
    assert_eq!(two.state(), PartitionState::Failure);
    universe.run(two.release_set());
    assert_eq!(two.state(), PartitionState::Failure);
    let over = universe.end(two.wait_for_acquire());
    assert!(matches!(over, Err(Error::Cancelled)));
    serve(&universe, &[&one, &three], seconds(6));
    complete(&[&one, &three]);
    // One is dropped.
    drop(three);
    serve(&universe, &[&one], seconds(6));
    complete(&[&one]);
}

#[test]
fn more_members_than_items_leave_some_without() {
    let universe = Universe::new(2);
    let client = universe.client("app");
    let parts = ["1", "2", "3"].map(|name| {
        let set = SetPartitioner::new(&client, "/set", ["a", "b"]).identifier(name);
        universe.run(set.time_boundary(seconds(2)).start())
    });
    for part in &parts {
        universe.run(part.wait_for_acquire());
    }
    let shares = parts.each_ref().map(Partition::items);
    assert_eq!(shares, [vec!["a".to_owned()], vec!["b".to_owned()], vec![]]);
}

#[test]
fn a_division_of_ones_own_is_used() {
    let universe = Universe::new(3);
    let client = universe.client("app");
    let parts = ["1", "2"].map(|name| {
        let set = partitioner(&client, name).partition_by(|share| {
            assert_eq!(share.members.len(), 2);
            let half = share.items.len() / 2;
            let (first, second) = share.items.split_at(half);
            if share.index == 0 {
                first.to_vec()
            } else {
                second.to_vec()
            }
        });
        universe.run(set.start())
    });
    for part in &parts {
        universe.run(part.wait_for_acquire());
    }
    assert_eq!(parts[0].items(), ["a", "b", "c"]);
    complete(&[&parts[0], &parts[1]]);
}

#[test]
fn a_lost_connection_is_a_release_and_a_lost_session_the_end() {
    let universe = Universe::new(4);
    let (one, two) = (universe.client("one"), universe.client("two"));
    let first = joined(&universe, &one, "1");
    let second = joined(&universe, &two, "2");
    universe.run(first.wait_for_acquire());
    universe.run(second.wait_for_acquire());
    let shares = [first.items(), second.items()];
    universe.cut("one");
    universe.cut("two");
    universe.pass(seconds(2));
    assert_eq!(first.state(), PartitionState::Release);
    assert_eq!(second.state(), PartitionState::Release);
    serve(&universe, &[&first, &second], seconds(6));
    complete(&[&first, &second]);
    assert_eq!([first.items(), second.items()], shares);
    universe.expire(&one);
    universe.pass(millis(100));
    assert_eq!(first.state(), PartitionState::Failure);
    assert!(first.items().is_empty());
    let over = universe.end(first.wait_for_acquire());
    assert!(matches!(over, Err(Error::SessionExpired { .. })));
    serve(&universe, &[&first, &second], seconds(6));
    complete(&[&second]);
    // And begins again.
    let first = joined(&universe, &one, "1");
    serve(&universe, &[&first, &second], seconds(8));
    complete(&[&first, &second]);
}

#[test]
fn dropping_the_start_takes_it_back() {
    for micros in (0..4000).step_by(250) {
        let universe = Universe::new(5);
        let client = universe.client("app");
        let start = partitioner(&client, "1").start().send();
        universe.pass(Duration::from_micros(micros));
        drop(start);
        universe.pass(seconds(5));
        let members = universe.end(client.get_children("/set/party"));
        assert_eq!(members.map_or(0, |members| members.len()), 0);
        assert_eq!(client.stats().session.watches, 0);
    }
}

#[test]
fn dropping_it_lets_go_whoever_still_listens() {
    let universe = Universe::new(10);
    let (client, other) = (universe.client("app"), universe.client("other"));
    let part = joined(&universe, &client, "1");
    universe.run(part.wait_for_acquire());
    let mut states = part.changes();
    let waiting = part.finish();
    drop(part);
    drop(universe.run(Lock::new(&other, "/set/locks/a").acquire()));
    let last = universe.end(states.next()).unwrap().unwrap();
    assert_eq!(last, PartitionState::Failure);
    assert!(universe.end(states.next()).is_none());
    universe.run(waiting);
}

#[test]
fn quirk_a_lock_that_others_hold_is_never_taken_for_ours() {
    let universe = Universe::new(6);
    let (client, other) = (universe.client("app"), universe.client("other"));
    let thief = universe.run(Lock::new(&other, "/set/locks/c").acquire());
    let part = joined(&universe, &client, "1");
    universe.pass(seconds(300));
    assert_eq!(part.state(), PartitionState::Allocating);
    assert!(part.items().is_empty());
    universe.run(thief.release());
    universe.run(part.wait_for_acquire());
    complete(&[&part]);
}

#[test]
fn quirk_members_of_one_name_are_told_apart() {
    let universe = Universe::new(7);
    let clients = ["one", "two"].map(|name| universe.client(name));
    let parts = clients
        .each_ref()
        .map(|client| joined(&universe, client, "same"));
    for part in &parts {
        universe.run(part.wait_for_acquire());
    }
    complete(&[&parts[0], &parts[1]]);
    assert!(parts.iter().all(|part| part.items().len() >= 3));
}

#[test]
fn quirk_nothing_is_left_behind_by_finish() {
    let universe = Universe::new(8);
    let client = universe.client("app");
    let part = joined(&universe, &client, "1");
    universe.run(part.wait_for_acquire());
    universe.run(part.finish());
    universe.pass(millis(100));
    assert_eq!(client.stats().session.watches, 0);
    for item in ITEMS {
        let locks = universe.run(client.get_children(&format!("/set/locks/{item}")));
        assert!(locks.is_empty());
    }
    assert!(universe.run(client.get_children("/set/party")).is_empty());
    // What happens now is none of its business.
    universe.cut("app");
    universe.pass(seconds(3));
    assert_eq!(part.state(), PartitionState::Failure);
}

#[test]
fn a_member_that_comes_while_locks_are_slow_is_heard_of() {
    let universe = Universe::new(9);
    let (client, other) = (universe.client("app"), universe.client("other"));
    let slow = universe.run(Lock::new(&other, "/set/locks/b").acquire());
    let one = joined(&universe, &client, "1");
    universe.pass(seconds(5));
    assert_eq!(one.state(), PartitionState::Allocating, "it waits for b");
    let two = joined(&universe, &other, "2");
    universe.pass(seconds(5));
    // It has let everything go meanwhile, and b is not its own any more.
    universe.run(one.wait_for_acquire());
    assert_eq!(one.items(), ["a", "c", "e", "g"]);
    universe.run(slow.release());
    universe.run(two.wait_for_acquire());
    complete(&[&one, &two]);
}
