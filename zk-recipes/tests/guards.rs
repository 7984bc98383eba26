//! What the holder of a lock is told, and when.

use zk_client::{Error, StateReason};
use zk_recipes::{Lock, Loss};

use crate::rig::{Rig, T, close, millis, seconds, session_of};

#[test]
fn a_release_is_told_and_final() {
    let rig = Rig::new(1);
    let client = rig.client("a");
    let lock = Lock::new(&client, "/l");
    let guard = rig.run(lock.acquire()).unwrap();
    assert_eq!(guard.loss(), None);
    let lost = guard.lost().send();
    rig.run(guard.release()).unwrap();
    assert_eq!(rig.run(lost).unwrap(), Loss::Released);
    assert!(rig.children("/l").is_empty());
    let guard = rig.run(lock.acquire()).unwrap();
    let lost = guard.lost();
    drop(guard);
    assert_eq!(rig.run(lost).unwrap(), Loss::Released);
    rig.run(close(client)).unwrap();
}

/// It is never told too late: the others get the lock after that, in true time.
#[test]
fn a_partitioned_holder_stops_before_the_next_one_begins() {
    for seed in 0..20 {
        let rig = Rig::new(seed);
        let (one, two) = (rig.client("one"), rig.client("two"));
        let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
        let waiting = Lock::new(&two, "/l").acquire().send();
        rig.pass(seconds(60) + millis(317) * u32::try_from(seed).unwrap());
        assert!(guard.is_held(), "the deadline is kept ahead");
        rig.sim.network().partition(&["one"], &["s1"]);
        let cut = rig.sim.now();
        assert_eq!(rig.run(guard.lost()).unwrap(), Loss::Unproven);
        let stopped = rig.sim.now();
        assert!(!guard.is_held());
        let next = rig.run(waiting).unwrap();
        assert!(stopped - cut > T / 3, "{:?}", stopped - cut);
        assert!(rig.sim.now() >= stopped);
        assert!(next.token() > guard.token());
        // It does not come back.
        rig.sim.network().heal_all();
        rig.pass(seconds(30));
        assert_eq!(guard.loss(), Some(Loss::Unproven));
    }
}

/// kazoo's holder is not told, and its `is_acquired` stays true.
#[test]
fn quirk_an_expiry_is_told() {
    let rig = Rig::new(3);
    let client = rig.client("a");
    let lock = Lock::new(&client, "/l");
    let guard = rig.run(lock.acquire()).unwrap();
    rig.expire(session_of(&client));
    // The first that is heard of it is that the servers delete the node.
    let loss = rig.run(guard.lost()).unwrap();
    assert!(
        matches!(loss, Loss::SessionEnded | Loss::Deleted),
        "{loss:?}"
    );
    rig.pass(seconds(1));
    rig.run(client.until_connected()).unwrap();
    assert!(!guard.is_held());
    assert_eq!(rig.run(guard.release()).unwrap_err(), Error::NotHeld);
    assert!(rig.run(lock.try_acquire()).unwrap().is_some());
}

/// A client that is answered with another session does not take it for its own.
#[test]
fn a_substituted_session_ends_the_guard() {
    let rig = Rig::new(4);
    let client = rig.client("a");
    let guard = rig.run(Lock::new(&client, "/l").acquire()).unwrap();
    let mut changes = client.state_changes();
    rig.substitute(session_of(&client));
    assert_eq!(rig.run(guard.lost()).unwrap(), Loss::SessionEnded);
    rig.run(client.until_connected()).unwrap();
    assert_ne!(session_of(&client), guard.session());
    let mut reasons = Vec::new();
    while let Some(change) = changes.try_next() {
        reasons.push(change.reason);
    }
    assert!(reasons.contains(&StateReason::Substituted), "{reasons:?}");
}

#[test]
fn a_node_deleted_by_somebody_else_is_missed() {
    let rig = Rig::new(5);
    let (client, other) = (rig.client("a"), rig.client("b"));
    let guard = rig.run(Lock::new(&client, "/l").acquire()).unwrap();
    let node = guard.znode().to_owned();
    // Changing it is no loss.
    rig.run(other.set(&node, "x")).unwrap();
    rig.pass(millis(100));
    assert!(guard.is_held());
    rig.run(other.delete(&node)).unwrap();
    assert_eq!(rig.run(guard.lost()).unwrap(), Loss::Deleted);
    assert!(!guard.is_held());
    assert_eq!(rig.run(guard.release()).unwrap_err(), Error::NotHeld);
}

/// By its full path, in whatever session, and whatever the view of the writes.
#[test]
fn a_transaction_is_done_only_while_the_node_is_there() {
    let rig = Rig::new(6);
    let client = rig.client("a");
    rig.run(client.ensure_path("/app/data")).unwrap();
    let (app, data) = (
        client.chroot("/app").unwrap(),
        client.chroot("/app/data").unwrap(),
    );
    let guard = rig.run(Lock::new(&app, "/l").acquire()).unwrap();
    let write = guard
        .transaction()
        .with(data.create("/x", "1"))
        .create("/y", "2");
    let results = rig.run(write.commit()).unwrap();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0].path(), Some("/x"));
    assert_eq!(rig.children("/app/data"), ["x"]);
    let failing = rig.run(guard.transaction().delete("/none").commit());
    let Err(Error::Transaction(error)) = failing else {
        panic!("{failing:?}");
    };
    assert_eq!(error.index(), 0);
    rig.expire(session_of(&client));
    rig.pass(seconds(1));
    assert!(!guard.is_held());
    let late = rig.run(guard.transaction().delete("/y").commit());
    assert_eq!(late.unwrap_err(), Error::NotHeld);
    assert_eq!(rig.children("/app"), ["data", "l", "y"]);
}

#[test]
fn a_guard_dropped_while_away_is_given_back_later() {
    let rig = Rig::new(7);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let waiting = Lock::new(&two, "/l").acquire().send();
    rig.pass(seconds(1));
    let partition = rig.sim.network().partition(&["one"], &["s1"]);
    rig.pass(seconds(2));
    let lost = guard.lost();
    drop(guard);
    assert_eq!(rig.run(lost).unwrap(), Loss::Released);
    rig.sim.network().heal(partition);
    let before = rig.sim.now();
    let next = rig.run(waiting).unwrap();
    assert!(
        rig.sim.now() - before < seconds(3),
        "its session has not expired"
    );
    assert!(next.is_held());
    assert_eq!(rig.children("/l").len(), 1);
}

#[test]
fn closing_the_client_gives_everything_back() {
    let rig = Rig::new(8);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let waiting = Lock::new(&two, "/l").acquire().send();
    let late = Lock::new(&one, "/l").acquire().send();
    rig.pass(seconds(1));
    let lost = guard.lost().send();
    rig.run(one.close()).unwrap();
    assert_eq!(rig.run(lost).unwrap(), Loss::SessionEnded);
    assert!(matches!(rig.run(late), Err(Error::Closed { .. })));
    assert!(rig.run(waiting).unwrap().is_held());
    assert_eq!(rig.run(guard.release()).unwrap_err(), Error::NotHeld);
}

/// After a long time of pings only, the deadline is far behind.
#[test]
fn a_long_wait_ends_in_a_guard_that_holds() {
    let rig = Rig::new(9);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let waiting = Lock::new(&two, "/l").acquire().send();
    rig.pass(seconds(600));
    assert!(two.deadline().unwrap() < two.now(), "it has only pinged");
    assert!(guard.is_held());
    drop(guard);
    let guard = rig.run(waiting).unwrap();
    assert!(guard.is_held());
    rig.pass(seconds(600));
    assert!(guard.is_held());
    // Afterwards pings are enough again.
    rig.run(guard.release()).unwrap();
    rig.pass(seconds(600));
    assert!(two.deadline().unwrap() < two.now());
}

/// Many may wait for the loss, also while others ask for it.
#[test]
fn all_who_wait_for_a_loss_are_told() {
    let rig = Rig::new(10);
    let (client, other) = (rig.client("a"), rig.client("b"));
    let guard = rig.run(Lock::new(&client, "/l").acquire()).unwrap();
    let waiting: Vec<_> = (0..10).map(|_| guard.lost().send()).collect();
    drop(guard.lost().try_take());
    rig.pass(seconds(1));
    assert!(guard.is_held());
    rig.run(other.delete(guard.znode())).unwrap();
    for one in waiting {
        assert_eq!(rig.run(one).unwrap(), Loss::Deleted);
    }
}
