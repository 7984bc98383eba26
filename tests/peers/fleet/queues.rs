//! Queues of both.

use std::collections::BTreeSet;

use zk::Client;
use zk::recipes::{LockingQueue, Queue};

use super::{Fleet, LIMIT, fleets, stays_open, wait_for_children};

/// Takes what there is, and tells each item.
const DRAIN: &str = "\
queue = client.Queue('/q')
item = queue.get()
while item is not None:
    tell(item.decode())
    item = queue.get()
";

fn put(client: &Client, from: u32, count: u32) {
    let queue = Queue::new(client, "/q");
    for n in from..from + count {
        queue.put(n.to_string()).wait().unwrap();
    }
}

fn drain(client: &Client) -> Vec<String> {
    let queue = Queue::new(client, "/q");
    let mut items = Vec::new();
    while let Some(item) = queue.get().wait().unwrap() {
        items.push(String::from_utf8_lossy(&item).into_owned());
    }
    items
}

/// Each sees the order of the other.
fn both_have_the_same_order(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let mut python = fleet.python();
    python.run("queue = client.Queue('/q')");
    let queue = Queue::new(&client, "/q");
    for (item, priority) in [("d", 100), ("b", 7), ("f", 999)] {
        queue.put_with_priority(item, priority).wait().unwrap();
    }
    python.run("queue.put(b'e')\nqueue.put(b'c', 7)\nqueue.put(b'a', 0)");
    for item in ["a", "b", "c"] {
        assert_eq!(python.run("queue.get()"), format!("b'{item}'"));
    }
    client.sync("/q").wait().unwrap();
    assert_eq!(queue.len().wait(), Ok(3));
    for item in ["d", "e", "f"] {
        assert_eq!(queue.get().wait().unwrap().unwrap(), *item.as_bytes());
    }
    assert_eq!(python.run("queue.get()"), "None");
}

/// Nothing is taken twice, and nothing is lost while nobody is killed.
fn every_item_is_taken_once(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let (mut python, mut rust) = (fleet.python(), fleet.rust());
    python.run("queue = client.Queue('/q')\nfor n in range(100): queue.put(str(n).encode())");
    put(&client, 100, 100);
    let (one, other) = (python.begin(DRAIN), rust.begin("drain /q"));
    let mut taken = drain(&client);
    python.end(one);
    rust.end(other);
    taken.extend(python.told());
    taken.extend(rust.told());
    assert_eq!(taken.len(), 200);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 200);
}

/// A consumer that is killed takes one item along at most.
fn a_killed_consumer_loses_one_item_at_most(fleet: &Fleet<'_>) {
    let client = fleet.client();
    for round in 0..2 {
        put(&client, 0, 300);
        let (mut member, line) = match round {
            0 => (fleet.python(), DRAIN),
            _ => (fleet.rust(), "drain /q"),
        };
        member.begin(line);
        member.wait_until_told(20);
        let mut taken = member.kill();
        client.sync("/q").wait().unwrap();
        taken.extend(drain(&client));
        let count = taken.len();
        assert!(count == 300 || count == 299, "{count} of 300");
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), count);
    }
}

/// An item has one holder at a time; one that is held is there for others when its holder is killed,
/// and when it is given back.
fn a_killed_holder_gives_its_item_to_the_other(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let queue = LockingQueue::new(&client, "/lq");
    queue.put("one").wait().unwrap();
    // Python dies holding, Rust gets it.
    let mut python = fleet.python();
    python.run("queue = client.LockingQueue('/lq')");
    assert_eq!(python.run("queue.get(5)"), "b'one'");
    assert_eq!(python.run("queue.holds_lock()"), "True");
    let mut get = queue.get().send();
    assert!(stays_open(|| get.try_take().is_some()));
    python.kill();
    let item = get.wait_timeout(LIMIT).unwrap();
    assert_eq!(item.data(), b"one");
    // Python waits for what Rust gives back.
    let mut python = fleet.python();
    python.run("queue = client.LockingQueue('/lq')");
    let task = python.begin("queue.get(60)");
    assert!(stays_open(|| python.has_answered(task)));
    item.release().wait().unwrap();
    assert_eq!(python.end(task), "b'one'");
    python.run("queue.release()");
    // Rust dies holding, Python gets it and consumes it.
    let mut rust = fleet.rust();
    assert_eq!(rust.run("claim /lq a"), "one");
    let task = python.begin("queue.get(60)");
    assert!(stays_open(|| python.has_answered(task)));
    rust.kill();
    assert_eq!(python.end(task), "b'one'");
    let mut get = queue.get().send();
    assert!(stays_open(|| get.try_take().is_some()));
    assert_eq!(python.run("queue.consume()"), "True");
    assert_eq!(queue.len().wait(), Ok(0));
    assert!(stays_open(|| get.try_take().is_some()));
    python.run("queue.put(b'two')");
    get.wait_timeout(LIMIT).unwrap().consume().wait().unwrap();
}

/// Takes, tells and consumes what there is until nothing comes for a while.
const CONSUME: &str = "\
queue = client.LockingQueue('/lq')
item = queue.get(3)
while item is not None:
    tell('got', item.decode())
    if queue.consume():
        tell('did', item.decode())
    item = queue.get(3)
";

/// Every item is consumed once, though consumers of both are killed.
fn every_item_is_consumed_once(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let queue = LockingQueue::new(&client, "/lq");
    let items: BTreeSet<String> = (0..120).map(|n| n.to_string()).collect();
    queue.put_all(items.iter().take(60)).wait().unwrap();
    let mut victim = fleet.python();
    victim.run("client.LockingQueue('/lq').put_all([str(n).encode() for n in range(200, 220)])");
    queue.put_all(items.iter().skip(60)).wait().unwrap();
    let mut rust = fleet.rust();
    rust.run("claim /lq a");
    let mut python = fleet.python();
    victim.begin(CONSUME);
    let task = python.begin(CONSUME);
    let mut done = Vec::new();
    victim.wait_until_told(4);
    let told = victim.kill();
    rust.kill();
    while queue.len().wait().unwrap() > 0 {
        let Ok(item) = queue.get().wait_timeout(super::SESSION * 3) else {
            continue;
        };
        let name = String::from_utf8_lossy(item.data()).into_owned();
        item.consume().wait().unwrap();
        done.push(name);
    }
    python.end(task);
    let told = told.into_iter().chain(python.told());
    done.extend(told.filter_map(|line| Some(line.strip_prefix("did ")?.to_owned())));
    let once: BTreeSet<_> = done.iter().collect();
    assert_eq!(once.len(), done.len(), "nothing is consumed twice");
    // The victim may have consumed one that it did not live to tell of.
    assert!(
        done.len() == 140 || done.len() == 139,
        "{} of 140",
        done.len()
    );
    wait_for_children(&client, "/lq/taken", 0);
}

fleets! {
    a_killed_consumer_loses_one_item_at_most
    a_killed_holder_gives_its_item_to_the_other
    both_have_the_same_order
    every_item_is_consumed_once
    every_item_is_taken_once
}
