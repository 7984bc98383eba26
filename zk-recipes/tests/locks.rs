//! Locks on a good day, and where kazoo's behave otherwise than one would think.

use std::sync::{Arc, Mutex};

use zk_client::{Error, RecipeError, Zxid};
use zk_recipes::Lock;
use zk_recipes::layout::LockLayout;

use crate::rig::{Rig, WAY, close, millis, seconds, session_of};

#[test]
fn a_free_lock_takes_two_round_trips_and_three_requests() {
    let rig = Rig::new(1);
    let client = rig.client("a");
    let lock = Lock::new(&client, "/locks/one").identifier("me");
    rig.run(client.ensure_path("/locks/one")).unwrap();
    let (before, requests) = (rig.sim.now(), rig.requests());
    let guard = rig.run(lock.acquire()).unwrap();
    assert_eq!(rig.sim.now() - before, WAY * 4);
    assert_eq!(rig.requests() - requests, 3, "{}", rig.sim.trace());
    assert!(guard.is_held());
    let children = rig.children("/locks/one");
    assert_eq!(children.len(), 1);
    let name = &children[0];
    assert!(
        name.ends_with("__lock__0000000000") && name.len() == 50,
        "{name}"
    );
    assert_eq!(guard.znode(), format!("/locks/one/{name}"));
    assert_eq!(guard.session(), session_of(&client));
    assert_eq!(rig.run(lock.contenders()).unwrap(), ["me"]);
    rig.run(guard.release()).unwrap();
    assert!(rig.children("/locks/one").is_empty());
    // The watch on its own node went with the node: nothing is to be removed.
    rig.pass(seconds(1));
    assert_eq!(rig.count("removeWatches"), 0);
    rig.run(close(client)).unwrap();
}

#[test]
fn the_order_is_that_of_arrival() {
    let rig = Rig::new(2);
    let clients: Vec<_> = (0..5).map(|n| rig.client(&format!("m{n}"))).collect();
    let locks: Vec<_> = (0..5)
        .map(|n| Lock::new(&clients[n], "/l").identifier(format!("{n}")))
        .collect();
    let first = rig.run(locks[0].acquire()).unwrap();
    let mut waiting = Vec::new();
    for lock in &locks[1..] {
        waiting.push(lock.acquire().send());
        rig.pass(millis(100));
    }
    assert_eq!(
        rig.run(locks[3].contenders()).unwrap(),
        ["0", "1", "2", "3", "4"]
    );
    let (mut held, mut tokens) = (first, Vec::new());
    for next in waiting {
        tokens.push(held.token());
        let before = rig.sim.now();
        drop(held);
        held = rig.run(next).unwrap();
        // A deletion, an event; a list: two round trips.
        assert_eq!(rig.sim.now() - before, WAY * 4);
    }
    tokens.push(held.token());
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
}

#[test]
fn handing_over_takes_three_requests() {
    let rig = Rig::new(3);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let waiting = Lock::new(&two, "/l").acquire().send();
    rig.pass(millis(200));
    let before = rig.requests();
    drop(guard);
    let guard = rig.run(waiting).unwrap();
    // The deletion, a sync and a list.
    assert_eq!(rig.requests() - before, 3, "{}", rig.sim.trace());
    drop(guard);
}

#[test]
fn a_busy_lock_is_not_waited_for_if_not_asked_to() {
    let rig = Rig::new(4);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let lock = Lock::new(&two, "/l");
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    assert!(rig.run(lock.try_acquire()).unwrap().is_none());
    assert_eq!(rig.children("/l").len(), 1, "it leaves nothing behind");
    rig.run(guard.release()).unwrap();
    let guard = rig.run(lock.try_acquire()).unwrap().unwrap();
    // Not reentrant, as in kazoo.
    assert!(rig.run(lock.try_acquire()).unwrap().is_none());
    assert!(guard.is_held());
}

/// kazoo counts it again whenever a predecessor leaves.
#[test]
fn quirk_a_timeout_is_counted_once() {
    let rig = Rig::new(5);
    let holder = rig.client("holder");
    let mut guards = Vec::new();
    let mut before = Vec::new();
    for n in 0..5 {
        before.push(Lock::new(&holder, "/l").acquire().send());
        rig.pass(millis(50));
        if n == 0 {
            guards.push(rig.run(before.remove(0)).unwrap());
        }
    }
    let client = rig.client("waiter");
    let start = rig.sim.now();
    let waiting = Lock::new(&client, "/l")
        .acquire()
        .timeout(seconds(1))
        .send();
    for next in before {
        rig.pass(millis(300));
        // Whoever is right before the waiter leaves.
        drop(next);
    }
    let error = rig.run(waiting).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(
        rig.sim.now() - start < millis(1250),
        "{:?}",
        rig.sim.now() - start
    );
    rig.pass(millis(100));
    assert_eq!(rig.children("/l").len(), 1);
    drop(guards);
}

/// kazoo's next acquire would raise.
#[test]
fn quirk_a_cancel_ends_what_waits_and_nothing_later() {
    let rig = Rig::new(6);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let lock = Lock::new(&two, "/l");
    lock.cancel();
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let (waiting, other) = (
        lock.acquire().send(),
        Lock::new(&two, "/l").acquire().send(),
    );
    rig.pass(millis(100));
    assert_eq!(rig.children("/l").len(), 3);
    lock.cancel();
    assert_eq!(rig.run(waiting).unwrap_err(), Error::Cancelled);
    rig.pass(millis(100));
    assert_eq!(
        rig.children("/l").len(),
        2,
        "its node is gone, the other one's not"
    );
    let again = lock.acquire().send();
    drop(guard);
    drop(rig.run(other).unwrap());
    assert!(rig.run(again).unwrap().is_held());
}

/// kazoo's mutex is per object; here every acquire stands in the line for itself.
#[test]
fn one_object_serves_many() {
    let rig = Rig::new(7);
    let client = rig.client("a");
    let lock = Lock::new(&client, "/l");
    let tokens: Arc<Mutex<Vec<Zxid>>> = Arc::default();
    let all: Vec<_> = (0..20)
        .map(|_| {
            let (acquire, tokens) = (lock.acquire(), Arc::clone(&tokens));
            client.run(async move {
                let guard = acquire.await?;
                tokens.lock().unwrap().push(guard.token());
                guard.release().await
            })
        })
        .collect();
    for one in all {
        rig.run(one).unwrap();
    }
    let tokens = tokens.lock().unwrap();
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert_eq!(tokens.len(), 20);
    let tries: Vec<_> = (0..20).map(|_| lock.try_acquire().send()).collect();
    let got: Vec<_> = tries
        .into_iter()
        .filter_map(|one| rig.run(one).unwrap())
        .collect();
    assert_eq!(got.len(), 1);
}

#[test]
fn nodes_of_others_are_left_out_or_waited_for() {
    let rig = Rig::new(8);
    let client = rig.client("a");
    let foreign = "/l/_c_0f0f-lock-";
    rig.run(client.ensure_path("/l")).unwrap();
    rig.run(client.create(foreign, "").sequential()).unwrap();
    rig.run(client.create("/l/readme", "")).unwrap();
    rig.run(client.create("/l/x__lock__", "")).unwrap();
    rig.run(client.create("/l/x__lock__later", "")).unwrap();
    let plain = rig.run(Lock::new(&client, "/l").try_acquire()).unwrap();
    drop(plain.unwrap());
    let both = Lock::new(&client, "/l").extra_patterns(["-lock-"]);
    assert!(rig.run(both.try_acquire()).unwrap().is_none());
    rig.run(client.delete("/l/_c_0f0f-lock-0000000000"))
        .unwrap();
    assert!(rig.run(both.try_acquire()).unwrap().is_some());
}

#[test]
fn the_layout_of_curator_is_an_option() {
    let rig = Rig::new(9);
    let client = rig.client("a");
    let lock = Lock::new(&client, "/l").layout(LockLayout::Curator);
    let guard = rig.run(lock.acquire()).unwrap();
    let name = guard.znode().strip_prefix("/l/_c_").unwrap();
    let (id, number) = name.split_at(36);
    assert_eq!(id.matches('-').count(), 4);
    assert_eq!(number, "-lock-0000000000");
    assert!(rig.run(lock.try_acquire()).unwrap().is_none());
}

#[test]
fn names_without_an_order_are_refused() {
    let rig = Rig::new(10);
    let client = rig.client("a");
    let lock = Lock::new(&client, "/l");
    rig.run(client.ensure_path("/l")).unwrap();
    // As a server with counters of 64 bits would make them.
    for name in ["x__lock__12345678901", "x__lock__2147483648"] {
        rig.run(client.create(&format!("/l/{name}"), "")).unwrap();
        let error = rig.run(lock.acquire()).unwrap_err();
        let Error::Recipe(RecipeError::Unordered { name: named, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(named, name);
        rig.pass(millis(100));
        assert_eq!(rig.children("/l").len(), 1, "its own node is gone");
        rig.run(client.delete(&format!("/l/{name}"))).unwrap();
    }
}

#[test]
fn contenders_of_no_lock_are_none() {
    let rig = Rig::new(11);
    let client = rig.client("a");
    let lock = Lock::new(&client, "/none");
    assert!(rig.run(lock.contenders()).unwrap().is_empty());
}

/// As any result: asked again, it says that it was taken.
#[test]
fn a_call_can_be_asked_again() {
    let rig = Rig::new(12);
    let client = rig.client("a");
    let mut pending = Lock::new(&client, "/l").acquire();
    assert!(pending.try_take().is_none());
    rig.pass(seconds(1));
    while pending.try_take().is_none() {
        rig.pass(millis(10));
    }
    assert_eq!(pending.try_take().unwrap().unwrap_err(), Error::Taken);
    assert_eq!(rig.run(pending).unwrap_err(), Error::Taken);
}
