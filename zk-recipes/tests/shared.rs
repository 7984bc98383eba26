//! Readers and writers, semaphores, elections, latches, several locks at once.

use std::collections::BTreeSet;

use zk_client::{Error, RecipeError};
use zk_recipes::{Election, LeaderLatch, Lock, Loss, MultiLock, ReadLock, Semaphore, WriteLock};
use zk_sim::Cut;

use crate::rig::{Rig, WAY, millis, seconds, session_of};

#[test]
fn readers_share_and_writers_do_not() {
    let rig = Rig::new(1);
    let client = rig.client("a");
    let (read, write) = (
        ReadLock::new(&client, "/l").identifier("r"),
        WriteLock::new(&client, "/l").identifier("w"),
    );
    let readers = [
        rig.run(read.acquire()).unwrap(),
        rig.run(read.acquire()).unwrap(),
    ];
    assert!(rig.children("/l")[0].ends_with("__rlock__0000000000"));
    assert!(rig.run(write.try_acquire()).unwrap().is_none());
    let writing = write.acquire().send();
    rig.pass(millis(100));
    // Who comes after a writer waits for it: no writer starves.
    assert!(rig.run(read.try_acquire()).unwrap().is_none());
    let late = read.acquire().send();
    rig.pass(millis(100));
    assert_eq!(rig.run(read.contenders()).unwrap(), ["r", "r", "w", "r"]);
    let [one, two] = readers;
    drop(two);
    rig.pass(millis(100));
    drop(one);
    let writer = rig.run(writing).unwrap();
    assert!(rig.run(write.try_acquire()).unwrap().is_none());
    drop(writer);
    let late = rig.run(late).unwrap();
    assert!(late.is_held());
    // A plain lock does not see readers, as in kazoo.
    assert!(
        rig.run(Lock::new(&client, "/l").try_acquire())
            .unwrap()
            .is_some()
    );
}

/// A reader that leaves wakes a writer only if it was the last before it, and other readers never.
#[test]
fn readers_wake_nobody_in_vain() {
    let rig = Rig::new(2);
    let (client, other) = (rig.client("a"), rig.client("b"));
    let read = ReadLock::new(&client, "/l");
    let first = rig.run(read.acquire()).unwrap();
    let second = rig.run(read.acquire()).unwrap();
    let writing = WriteLock::new(&other, "/l").acquire().send();
    rig.pass(millis(200));
    let before = rig.count("event ");
    drop(first);
    rig.pass(millis(200));
    // Its own, on the node that it has deleted.
    assert_eq!(rig.count("event ") - before, 1);
    drop(second);
    drop(rig.run(writing).unwrap());
}

#[test]
fn a_semaphore_gives_so_many_leases() {
    let rig = Rig::new(3);
    let client = rig.client("a");
    let other = rig.client("b");
    let sem = Semaphore::new(&client, "/sem", 2).identifier("a");
    let theirs = Semaphore::new(&other, "/sem", 2).identifier("b");
    let one = rig.run(sem.acquire()).unwrap();
    let before = rig.sim.now();
    let two = rig.run(sem.acquire()).unwrap();
    assert_eq!(rig.sim.now() - before, WAY * 8, "four round trips");
    let name = one.znode().strip_prefix("/sem/").unwrap();
    assert!(
        name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()),
        "{name}"
    );
    assert_eq!(rig.run(client.get("/sem")).unwrap().0, *b"2");
    assert!(rig.run(theirs.try_acquire()).unwrap().is_none());
    rig.pass(millis(100));
    assert!(rig.children("/sem-__lock__").is_empty(), "nothing is left");
    assert_eq!(rig.run(theirs.lease_holders()).unwrap(), ["a", "a"]);
    let waiting = theirs.acquire().send();
    let last = Semaphore::new(&client, "/sem", 2).acquire().send();
    rig.pass(millis(300));
    assert_eq!(rig.children("/sem-__lock__").len(), 2);
    drop(one);
    let three = rig.run(waiting).unwrap();
    let holders: BTreeSet<_> = rig.run(sem.lease_holders()).unwrap().into_iter().collect();
    assert_eq!(holders, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    rig.run(two.release()).unwrap();
    drop(rig.run(last).unwrap());
    rig.run(three.release()).unwrap();
    rig.pass(millis(100));
    assert!(rig.children("/sem").is_empty());
}

#[test]
fn a_semaphore_whose_limit_differs_is_refused() {
    let rig = Rig::new(4);
    let client = rig.client("a");
    rig.run(rig.client("b").create("/sem", "3")).unwrap();
    let error = rig
        .run(Semaphore::new(&client, "/sem", 2).acquire())
        .unwrap_err();
    let expected = RecipeError::LimitDiffers {
        path: "/sem".to_owned(),
        ours: 2,
        theirs: 3,
    };
    assert_eq!(error, Error::Recipe(expected));
    rig.run(client.set("/sem", "no number")).unwrap();
    let guard = rig
        .run(Semaphore::new(&client, "/sem", 2).acquire())
        .unwrap();
    assert!(guard.is_held());
}

/// kazoo counts every child.
#[test]
fn quirk_children_that_are_no_leases_do_not_count() {
    let rig = Rig::new(5);
    let client = rig.client("a");
    rig.run(client.create("/sem", "1")).unwrap();
    rig.run(client.create("/sem/notes", "")).unwrap();
    let sem = Semaphore::new(&client, "/sem", 1);
    assert!(rig.run(sem.try_acquire()).unwrap().is_some());
}

/// kazoo's cancel does not reach who waits for the inner lock.
#[test]
fn quirk_a_cancel_reaches_who_waits_for_the_inner_lock() {
    let rig = Rig::new(6);
    let (client, other) = (rig.client("a"), rig.client("b"));
    let held = rig
        .run(Semaphore::new(&client, "/sem", 1).acquire())
        .unwrap();
    let first = Semaphore::new(&client, "/sem", 1).acquire().send();
    rig.pass(millis(200));
    let sem = Semaphore::new(&other, "/sem", 1);
    let second = sem.acquire().send();
    rig.pass(millis(200));
    sem.cancel();
    assert_eq!(rig.run(second).unwrap_err(), Error::Cancelled);
    drop(held);
    drop(rig.run(first).unwrap());
    assert!(rig.run(sem.acquire()).unwrap().is_held());
}

/// kazoo gives up when somebody else happens to be counting.
#[test]
fn quirk_a_free_lease_is_found_though_somebody_is_counting() {
    let rig = Rig::new(7);
    let clients: Vec<_> = (0..4).map(|n| rig.client(&format!("m{n}"))).collect();
    let tries: Vec<_> = clients
        .iter()
        .map(|client| Semaphore::new(client, "/sem", 4).try_acquire().send())
        .collect();
    let guards: Vec<_> = tries.into_iter().map(|one| rig.run(one).unwrap()).collect();
    assert!(guards.iter().all(Option::is_some));
}

#[test]
fn a_lease_goes_with_its_session() {
    let rig = Rig::new(8);
    let (client, other) = (rig.client("a"), rig.client("b"));
    let held = rig
        .run(Semaphore::new(&client, "/sem", 1).acquire())
        .unwrap();
    let waiting = Semaphore::new(&other, "/sem", 1).acquire().send();
    rig.pass(millis(200));
    rig.expire(session_of(&client));
    assert!(rig.run(waiting).unwrap().is_held());
    rig.pass(seconds(1));
    assert!(!held.is_held());
}

#[test]
fn elections_go_round() {
    let rig = Rig::new(9);
    let clients: Vec<_> = (0..3).map(|n| rig.client(&format!("m{n}"))).collect();
    let elections: Vec<_> = clients
        .iter()
        .zip(["a", "b", "c"])
        .map(|(client, id)| Election::new(client, "/e").identifier(id))
        .collect();
    let first = rig.run(elections[0].lead()).unwrap();
    let second = elections[1].run(|_| async { Ok("b led") }).send();
    rig.pass(millis(100));
    let machine = rig.machine("m2");
    let third = elections[2]
        .run(move |guard| async move {
            machine.sleep(seconds(1)).await;
            Ok(guard.token())
        })
        .send();
    rig.pass(millis(100));
    assert_eq!(rig.run(elections[0].contenders()).unwrap(), ["a", "b", "c"]);
    elections[1].cancel();
    assert_eq!(rig.run(second).unwrap_err(), Error::Cancelled);
    let token = first.token();
    drop(first);
    assert!(rig.run(third).unwrap() > token);
    assert!(rig.run(elections[0].try_lead()).unwrap().is_some());
}

/// kazoo: the next run returns without having led.
#[test]
fn quirk_a_cancel_of_the_leader_is_nothing_later() {
    let rig = Rig::new(20);
    let client = rig.client("a");
    let election = Election::new(&client, "/e");
    let leading = rig.run(election.lead()).unwrap();
    election.cancel();
    rig.pass(seconds(1));
    assert!(leading.is_held());
    rig.run(leading.release()).unwrap();
    let led = rig.run(election.run(|guard| async move { Ok(guard.is_held()) }));
    assert_eq!(led, Ok(true));
}

/// kazoo: a listener for each acquire, which stays until the session is lost.
#[test]
fn quirk_leases_that_were_given_back_leave_nothing() {
    let rig = Rig::new(21);
    let (client, other) = (rig.client("a"), rig.client("b"));
    let (sem, theirs) = (
        Semaphore::new(&client, "/sem", 1),
        Semaphore::new(&other, "/sem", 1),
    );
    let idle = client.stats().session;
    for round in 0..10 {
        let held = rig.run(theirs.acquire()).unwrap();
        let waiting = sem.acquire().send();
        rig.pass(millis(200));
        if round % 2 == 0 {
            rig.sim.network().cut("a", "s1", Cut::BeforeDelivery);
            rig.pass(seconds(1));
        }
        rig.run(held.release()).unwrap();
        rig.run(rig.run(waiting).unwrap().release()).unwrap();
    }
    rig.pass(seconds(1));
    let left = client.stats();
    let nothing = (idle.watches, idle.timers, idle.deadlines, 0);
    let (s, queued) = (left.session, left.callbacks_queued);
    assert_eq!((s.watches, s.timers, s.deadlines, queued), nothing);
}

#[test]
fn work_that_fails_is_an_error_and_leadership_moves_on() {
    let rig = Rig::new(10);
    let client = rig.client("a");
    let election = Election::new(&client, "/e");
    let failed = rig.run(election.run(|_| async { Err::<(), _>(Error::BadVersion) }));
    assert_eq!(failed.unwrap_err(), Error::BadVersion);
    let next = rig.run(election.run(|guard| async move {
        // Stepping down before the end is no loss.
        guard.release().await?;
        Ok(7)
    }));
    assert_eq!(next.unwrap(), 7);
    // kazoo's next run would return without having led.
    election.cancel();
    assert_eq!(rig.run(election.run(|_| async { Ok(8) })).unwrap(), 8);
}

#[test]
fn work_is_dropped_when_leadership_is_lost() {
    let rig = Rig::new(11);
    let client = rig.client("a");
    let election = Election::new(&client, "/e");
    let work = election
        .run(|guard| async move {
            let _guard = guard;
            std::future::pending::<Result<(), Error>>().await
        })
        .send();
    rig.pass(seconds(1));
    rig.expire(session_of(&client));
    assert_eq!(rig.run(work).unwrap_err(), Error::NotHeld);
    rig.pass(seconds(1));
    assert!(rig.children("/e").is_empty());
}

#[test]
fn latches_take_over_and_come_back() {
    let rig = Rig::new(12);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let first = LeaderLatch::start(&one, "/e", "one");
    let token = rig.run(first.leading()).unwrap();
    let second = LeaderLatch::start(&two, "/e", "two");
    rig.pass(millis(100));
    assert!(first.is_leader() && !second.is_leader());
    assert!(second.transaction().is_none());
    assert_eq!(rig.run(first.participants()).unwrap(), ["one", "two"]);
    let changed = first.changed().send();
    rig.expire(session_of(&one));
    rig.run(changed).unwrap();
    assert!(!first.is_leader());
    let next = rig.run(second.leading()).unwrap();
    assert!(next > token);
    rig.pass(seconds(2));
    assert_eq!(
        rig.run(first.participants()).unwrap(),
        ["two", "one"],
        "it goes to the end"
    );
    rig.run(second.close()).unwrap();
    assert!(rig.run(first.leading()).unwrap() > next);
    let write = first.transaction().unwrap().create("/term", "2").commit();
    rig.run(write).unwrap();
    let waiting = first.changed().send();
    drop(first);
    rig.run(waiting).unwrap();
    rig.pass(millis(200));
    assert!(rig.children("/e").is_empty());
}

#[test]
fn a_latch_ends_with_its_client() {
    let rig = Rig::new(13);
    let client = rig.client("a");
    let latch = LeaderLatch::start(&client, "/e", "a");
    rig.run(latch.leading()).unwrap();
    rig.run(client.close()).unwrap();
    let end = rig.run(latch.leading()).unwrap_err();
    assert!(matches!(end, Error::Closed { .. }), "{end:?}");
    assert!(!latch.is_leader());
}

#[test]
fn several_locks_are_taken_in_the_order_of_their_paths() {
    let rig = Rig::new(14);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let first = MultiLock::new(&one, ["/b", "/a", "b"]).identifier("one");
    let second = MultiLock::new(&two, ["/a", "/b"]);
    let guard = rig.run(first.acquire()).unwrap();
    assert_eq!(guard.tokens().len(), 2);
    assert!(guard.tokens()[0] < guard.tokens()[1], "/a first");
    assert!(guard.znodes().next().unwrap().starts_with("/a/"));
    assert!(rig.run(second.try_acquire()).unwrap().is_none());
    assert_eq!((rig.children("/a").len(), rig.children("/b").len()), (1, 1));
    let waiting = second.acquire().send();
    rig.pass(millis(100));
    assert_eq!((rig.children("/a").len(), rig.children("/b").len()), (2, 1));
    let results = rig
        .run(guard.transaction().create("/x", "").commit())
        .unwrap();
    assert_eq!(results.len(), 2, "a check of the second, and the create");
    let lost = guard.lost();
    rig.run(guard.release()).unwrap();
    assert_eq!(rig.run(lost).unwrap(), Loss::Released);
    let guard = rig.run(waiting).unwrap();
    rig.expire(session_of(&two));
    rig.run(guard.lost()).unwrap();
    assert!(!guard.is_held());
    rig.pass(seconds(1));
    let refused = rig.run(guard.transaction().create("/y", "").commit());
    assert_eq!(refused.unwrap_err(), Error::NotHeld);
    first.cancel();
}
