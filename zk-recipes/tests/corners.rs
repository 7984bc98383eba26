//! Corners that users run into.

use std::sync::{Arc, Mutex};

use zk_client::{Error, Listen};
use zk_recipes::cache::{Cache, CacheEvent};
use zk_recipes::tree_cache::TreeCache;
use zk_recipes::{Barrier, Election, LeaderLatch, Lock, LockingQueue, Loss, Pending, Semaphore};

use crate::rig::{Rig, WAY, millis, seconds};

/// Work may go on for as long as it likes after it has given its leadership back.
#[test]
fn work_goes_on_after_it_has_stepped_down() {
    let rig = Rig::new(1);
    let client = rig.client("a");
    let machine = rig.machine("a");
    let work = Election::new(&client, "/e").run(move |guard| async move {
        guard.release().await?;
        for _ in 0..3 {
            machine.sleep(seconds(1)).await;
        }
        Ok(7)
    });
    assert_eq!(rig.run(work).unwrap(), 7);
}

/// A result is taken once; asking again is an answer, and no panic.
#[test]
fn a_result_is_taken_once() {
    let rig = Rig::new(2);
    let client = rig.client("a");
    let mut call = Pending::new(&client, async { Ok(1) });
    assert_eq!(call.try_take(), Some(Ok(1)));
    assert_eq!(call.try_take(), Some(Err(Error::Taken)));
    assert_eq!(rig.run(call), Err(Error::Taken));
}

/// The claim of an item that somebody has deleted does not stay.
#[test]
fn the_claim_of_an_item_that_is_gone_goes_too() {
    let rig = Rig::new(3);
    let client = rig.client("a");
    let queue = LockingQueue::new(&client, "/q");
    rig.run(queue.put("1")).unwrap();
    let item = rig.run(queue.get()).unwrap();
    rig.run(client.delete(item.znode())).unwrap();
    assert_eq!(rig.run(item.consume()), Err(Error::NotHeld));
    rig.pass(seconds(1));
    assert!(rig.children("/q/taken").is_empty());
}

/// Whoever has lost its claim to another consumer does not take the item from it.
#[test]
fn a_claim_of_another_is_left_alone() {
    let rig = Rig::new(3);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let queue = LockingQueue::new(&one, "/q");
    rig.run(queue.put("1")).unwrap();
    let first = rig.run(queue.get()).unwrap();
    let claim = rig.children("/q/taken").remove(0);
    rig.run(two.delete(&format!("/q/taken/{claim}"))).unwrap();
    let second = rig.run(LockingQueue::new(&two, "/q").get()).unwrap();
    assert_eq!(rig.run(first.consume()), Err(Error::NotHeld));
    assert_eq!(rig.run(second.consume()), Ok(()));
    assert_eq!(rig.run(queue.len()), Ok(0));
}

/// The deletion of its node is under way before anything that is asked afterwards.
#[test]
fn a_latch_that_waits_is_gone_when_it_is_closed() {
    let rig = Rig::new(4);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let first = LeaderLatch::start(&one, "/e", "one");
    rig.run(first.leading()).unwrap();
    let second = LeaderLatch::start(&two, "/e", "two");
    rig.pass(millis(500));
    assert_eq!(rig.children("/e").len(), 2);
    rig.run(second.close()).unwrap();
    rig.run(two.sync("/e")).unwrap();
    assert_eq!(rig.children("/e").len(), 1);
}

/// Whoever waits for the loss of a guard hears of the end of its client.
#[test]
fn the_end_of_a_client_is_a_loss() {
    let rig = Rig::new(5);
    let client = rig.client("a");
    let guard = rig.run(Lock::new(&client, "/l").acquire()).unwrap();
    let (lost, later) = (guard.lost(), guard.lost().send());
    rig.run(client.close()).unwrap();
    assert!(!guard.is_held());
    for lost in [rig.run(lost), rig.run(later)] {
        assert_eq!(lost, Ok(Loss::SessionEnded));
    }
    assert_eq!(rig.run(guard.release()), Err(Error::NotHeld));
    let waiting = rig.run(Barrier::new(&client, "/b").wait());
    assert!(matches!(waiting, Err(Error::Closed { .. })));
}

/// Asking who is there takes two round trips, whatever the number.
#[test]
fn contenders_are_asked_for_in_one_flight() {
    let rig = Rig::new(8);
    let client = rig.client("a");
    let lock = Lock::new(&client, "/l").identifier("a");
    let waiting: Vec<_> = (0..30).map(|_| lock.acquire().send()).collect();
    rig.pass(seconds(1));
    let begun = rig.sim.now();
    assert_eq!(rig.run(lock.contenders()).unwrap(), ["a"; 30]);
    assert!(rig.sim.now() - begun < 5 * WAY);
    drop(waiting);
}

/// The same of leases; and no more than a bounded number of them at once.
#[test]
fn lease_holders_are_asked_for_in_one_flight() {
    let rig = Rig::new(9);
    let client = rig.client("a");
    rig.run(client.create("/sem", "200")).unwrap();
    for _ in 0..200 {
        let lease = format!("/sem/{}", client.unique_id());
        rig.run(client.create(&lease, "a").ephemeral()).unwrap();
    }
    let (begun, before) = (rig.sim.now(), client.stats().session.requests);
    let mut asked = Semaphore::new(&client, "/sem", 200).lease_holders().send();
    let mut most = 0;
    let holders = loop {
        if let Some(holders) = asked.try_take() {
            break holders.unwrap();
        }
        most = most.max(client.stats().session.in_flight);
        rig.pass(millis(1));
    };
    assert_eq!(holders, ["a"; 200]);
    // The list, and twice as many as may be under way.
    assert!(rig.sim.now() - begun < 7 * WAY);
    assert!((100..=128).contains(&most), "{most} at once");
    assert_eq!(client.stats().session.requests - before, 202);
}

/// A start that has not got far can be made again.
#[test]
fn a_tree_cache_that_could_not_be_started_is_started_later() {
    let rig = Rig::new(6);
    let client = rig.client("a");
    let cache = TreeCache::new(&client, "/t");
    let parted = rig.sim.network().partition(&["a"], &["s1"]);
    let start = rig.run(cache.start().timeout(seconds(1)));
    assert!(matches!(start, Err(Error::Timeout { .. })));
    rig.sim.network().heal(parted);
    rig.run(cache.start()).unwrap();
    assert!(rig.run(cache.start()).is_err());
}

/// Parents come before their children, whatever happens while the cache is filled.
#[test]
fn parents_are_told_of_before_their_children_while_a_cache_is_filled() {
    let rig = Rig::new(7);
    let client = rig.client("a");
    let other = rig.client("b");
    rig.run(async {
        for n in 0..400 {
            client
                .create(&format!("/r/{n:03}/x/y"), "")
                .make_path()
                .await?;
        }
        Ok::<(), Error>(())
    })
    .unwrap();
    for wait in [5, 15, 25, 35, 45, 55, 65, 75, 95, 115] {
        let cache = Cache::new(&client, "/r");
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let list = Arc::clone(&seen);
        cache.listen(move |event| {
            if let CacheEvent::Added(node) = event {
                list.lock().unwrap().push(node.path.clone());
            }
            Listen::Keep
        });
        let start = cache.start().send();
        rig.pass(millis(wait));
        rig.run(async {
            other.set("/r/000/x/y", "1").await?;
            other.set("/r/399/x/y", "1").await?;
            other.create(&format!("/r/200/x/{wait}"), "").await?;
            other
                .create(&format!("/r/{wait}a/x/y"), "")
                .make_path()
                .await
        })
        .unwrap();
        rig.run(start).unwrap();
        rig.pass(seconds(1));
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let mut known = std::collections::BTreeSet::new();
        for path in &seen {
            let above = path.rsplit_once('/').unwrap().0;
            assert!(path == "/r" || known.contains(above), "{wait} {path}");
            assert!(known.insert(path.as_str()), "{path} twice");
        }
        assert_eq!(seen.len(), cache.len());
        cache.close();
    }
}
