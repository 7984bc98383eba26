//! `Lock`, `ReadLock`, `WriteLock`, `Semaphore`, `Election`, `LeaderLatch`, `MultiLock`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use zk::recipes::{Election, LeaderLatch, Lock, Loss, MultiLock, ReadLock, Semaphore, WriteLock};
use zk::{Client, Error, RecipeError};
use zk_testkit::eventually;

use crate::support::{Env, LIMIT, expire_session, kill_session, lose_connection};

const MOMENT: Duration = Duration::from_millis(100);

/// Waits until so many contend.
fn wait_for(client: &Client, path: &str, count: usize) {
    let found = eventually(LIMIT, || {
        let names = client.get_children(path).synced().wait();
        (names.map_or(0, |names| names.iter().count()) == count).then_some(())
    });
    assert!(found.is_some(), "not {count} below {path}");
}

pub(crate) fn contenders_are_served_in_their_order(env: &Env) {
    let client = env.client();
    let others: Vec<_> = (0..3).map(|_| env.client()).collect();
    let lock = Lock::new(&client, "/lock").identifier("holder");
    let mut guard = lock.acquire().wait_timeout(LIMIT).unwrap();
    let mut waiting = Vec::new();
    for (number, other) in others.iter().enumerate() {
        let lock = Lock::new(other, "/lock").identifier(number.to_string());
        waiting.push(lock.acquire().send());
        wait_for(&client, "/lock", number + 2);
    }
    assert_eq!(lock.contenders().wait().unwrap(), ["holder", "0", "1", "2"]);
    for mut next in waiting {
        assert!(next.wait_for(Duration::from_millis(20)).is_none());
        let token = guard.token();
        guard.release().wait().unwrap();
        guard = next.wait_timeout(LIMIT).unwrap();
        assert!(guard.is_held() && guard.token() > token);
    }
}

pub(crate) fn a_busy_lock_is_given_up_in_every_way(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let lock = Lock::new(&client, "/lock");
    let guard = Lock::new(&other, "/lock").acquire().wait().unwrap();
    assert!(lock.try_acquire().wait().unwrap().is_none());
    wait_for(&client, "/lock", 1);
    let error = lock.acquire().wait_timeout(MOMENT).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    wait_for(&client, "/lock", 1);
    let waiting = lock.acquire().send();
    wait_for(&client, "/lock", 2);
    lock.cancel();
    assert_eq!(waiting.wait_timeout(LIMIT).unwrap_err(), Error::Cancelled);
    wait_for(&client, "/lock", 1);
    // Held by itself it is as busy.
    guard.release().wait().unwrap();
    let guard = lock.acquire().wait().unwrap();
    assert!(lock.try_acquire().wait().unwrap().is_none());
    let error = lock.acquire().wait_timeout(MOMENT).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(guard.is_held());
    guard.release().wait().unwrap();
    wait_for(&client, "/lock", 0);
}

pub(crate) fn twenty_try_one_lock(env: &Env) {
    let client = env.client();
    let lock = Lock::new(&client, "/lock");
    let trying: Vec<_> = (0..20).map(|_| lock.try_acquire().send()).collect();
    let held: Vec<_> = trying
        .into_iter()
        .filter_map(|one| one.wait_timeout(LIMIT).unwrap())
        .collect();
    assert_eq!(held.len(), 1);
    assert!(held[0].is_held());
    wait_for(&client, "/lock", 1);
}

/// What kazoo makes with `ephemeral=False`.
pub(crate) fn a_node_that_no_session_owns_is_waited_for(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let name = format!("/lock/{}__lock__", other.unique_id());
    let create = other.create(&name, "theirs").sequential().make_path();
    let node = create.wait().unwrap();
    other.close().wait().unwrap();
    let lock = Lock::new(&client, "/lock").identifier("ours");
    assert!(lock.try_acquire().wait().unwrap().is_none());
    let waiting = lock.acquire().send();
    wait_for(&client, "/lock", 2);
    assert_eq!(lock.contenders().wait().unwrap(), ["theirs", "ours"]);
    client.delete(&node).wait().unwrap();
    assert!(waiting.wait_timeout(LIMIT).unwrap().is_held());
}

pub(crate) fn twenty_share_one_lock(env: &Env) {
    let client = env.client();
    let lock = Lock::new(&client, "/lock");
    let inside = Arc::new(AtomicU32::new(0));
    let all: Vec<_> = (0..20)
        .map(|_| {
            let (acquire, inside, client) = (lock.acquire(), Arc::clone(&inside), client.clone());
            client.clone().run(async move {
                let guard = acquire.await?;
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                client.exists("/").await?;
                assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                guard.release().await
            })
        })
        .collect();
    for one in all {
        one.wait_timeout(LIMIT).unwrap();
    }
    wait_for(&client, "/lock", 0);
}

pub(crate) fn holders_and_waiters_live_through_losses(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let guard = Lock::new(&client, "/lock").acquire().wait().unwrap();
    let waiting = Lock::new(&other, "/lock").acquire().send();
    wait_for(&client, "/lock", 2);
    lose_connection(&client);
    lose_connection(&other);
    assert!(guard.is_held());
    kill_session(env, &other);
    wait_for(&client, "/lock", 2);
    let lost = guard.lost().send();
    kill_session(env, &client);
    let loss = lost.wait_timeout(LIMIT).unwrap();
    assert!(
        matches!(loss, Loss::SessionEnded | Loss::Deleted),
        "{loss:?}"
    );
    assert!(!guard.is_held());
    let next = waiting.wait_timeout(LIMIT).unwrap();
    assert!(next.token() > guard.token());
    let refused = guard.transaction().create("/late", "").commit().wait();
    assert_eq!(refused.unwrap_err(), Error::NotHeld);
    next.transaction()
        .create("/in-time", "")
        .commit()
        .wait()
        .unwrap();
    next.release().wait().unwrap();
}

pub(crate) fn readers_share_and_writers_wait_their_turn(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let (read, write) = (
        ReadLock::new(&client, "/lock"),
        WriteLock::new(&other, "/lock"),
    );
    let one = read.acquire().wait().unwrap();
    let two = ReadLock::new(&other, "/lock").acquire().wait().unwrap();
    assert!(write.try_acquire().wait().unwrap().is_none());
    let writing = write.acquire().send();
    wait_for(&client, "/lock", 3);
    let late = read.acquire().send();
    wait_for(&client, "/lock", 4);
    drop((one, two));
    let writer = writing.wait_timeout(LIMIT).unwrap();
    assert!(read.try_acquire().wait().unwrap().is_none());
    assert!(write.try_acquire().wait().unwrap().is_none());
    drop(writer);
    assert!(late.wait_timeout(LIMIT).unwrap().is_held());
}

pub(crate) fn a_semaphore_counts_its_leases(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let sem = Semaphore::new(&client, "/sem", 2).identifier("one");
    let theirs = Semaphore::new(&other, "/sem", 2).identifier("two");
    let first = sem.acquire().wait().unwrap();
    let second = theirs.acquire().wait().unwrap();
    assert!(sem.try_acquire().wait().unwrap().is_none());
    let mut holders = sem.lease_holders().wait().unwrap();
    holders.sort();
    assert_eq!(holders, ["one", "two"]);
    let error = sem.acquire().wait_timeout(MOMENT).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    let waiting = sem.acquire().send();
    wait_for(&client, "/sem-__lock__", 1);
    second.release().wait().unwrap();
    let third = waiting.wait_timeout(LIMIT).unwrap();
    let differs = Semaphore::new(&other, "/sem", 3).acquire().wait();
    let expected = RecipeError::LimitDiffers {
        path: "/sem".to_owned(),
        ours: 3,
        theirs: 2,
    };
    assert_eq!(differs.unwrap_err(), Error::Recipe(expected));
    let cancelled = sem.acquire().send();
    wait_for(&client, "/sem-__lock__", 1);
    sem.cancel();
    assert_eq!(cancelled.wait_timeout(LIMIT).unwrap_err(), Error::Cancelled);
    drop((first, third));
    wait_for(&client, "/sem", 0);
    wait_for(&client, "/sem-__lock__", 0);
}

pub(crate) fn a_semaphore_goes_on_after_losses(env: &Env) {
    let (client, other) = (env.client(), env.client());
    // No number: nobody compares it.
    client.create("/sem", "as you like").wait().unwrap();
    let sem = Semaphore::new(&client, "/sem", 1);
    let theirs = Semaphore::new(&other, "/sem", 1);
    // There is nothing to cancel yet.
    sem.cancel();
    let held = sem.acquire().wait_timeout(LIMIT).unwrap();
    let waiting = theirs.acquire().send();
    wait_for(&client, "/sem-__lock__", 1);
    lose_connection(&other);
    expire_session(&other);
    wait_for(&client, "/sem-__lock__", 1);
    held.release().wait().unwrap();
    let next = waiting.wait_timeout(LIMIT).unwrap();
    assert!(next.is_held());
    let waiting = sem.acquire().send();
    expire_session(&other);
    assert!(!next.is_held());
    assert!(waiting.wait_timeout(LIMIT).unwrap().is_held());
    let (data, _) = client.get("/sem").wait().unwrap();
    assert_eq!(data, b"as you like");
}

pub(crate) fn leaders_are_elected_in_turn(env: &Env) {
    let clients: Vec<_> = (0..3).map(|_| env.client()).collect();
    let elections: Vec<_> = clients
        .iter()
        .zip(["a", "b", "c"])
        .map(|(client, name)| Election::new(client, "/election").identifier(name))
        .collect();
    let first = elections[0].lead().wait().unwrap();
    let second = elections[1].run(|_| async { Ok(()) }).send();
    wait_for(&clients[0], "/election", 2);
    let third = elections[2]
        .run(|_| async { Err::<(), _>(Error::BadVersion) })
        .send();
    wait_for(&clients[0], "/election", 3);
    assert_eq!(elections[0].contenders().wait().unwrap(), ["a", "b", "c"]);
    elections[1].cancel();
    assert_eq!(second.wait_timeout(LIMIT).unwrap_err(), Error::Cancelled);
    drop(first);
    assert_eq!(third.wait_timeout(LIMIT).unwrap_err(), Error::BadVersion);
    let lead = || elections[0].run(|guard| async move { Ok(guard.is_held()) });
    assert!(lead().wait_timeout(LIMIT).unwrap());
    // Cancelling while it leads is nothing, now or later.
    let leading = elections[0].lead().wait().unwrap();
    elections[0].cancel();
    assert!(leading.is_held());
    leading.release().wait().unwrap();
    assert!(lead().wait_timeout(LIMIT).unwrap());
}

pub(crate) fn a_latch_leads_again_after_its_session(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let first = LeaderLatch::start(&client, "/latch", "one");
    let token = first.leading().wait_timeout(LIMIT).unwrap();
    let second = LeaderLatch::start(&other, "/latch", "two");
    wait_for(&client, "/latch", 2);
    assert!(first.is_leader() && !second.is_leader());
    let changed = first.changed().send();
    kill_session(env, &client);
    changed.wait_timeout(LIMIT).unwrap();
    let next = second.leading().wait_timeout(LIMIT).unwrap();
    assert!(next > token && !first.is_leader());
    wait_for(&client, "/latch", 2);
    assert_eq!(first.participants().wait().unwrap(), ["two", "one"]);
    second.close().wait().unwrap();
    assert!(first.leading().wait_timeout(LIMIT).unwrap() > next);
    let term = first.transaction().unwrap().create("/term", "2");
    term.commit().wait().unwrap();
}

pub(crate) fn several_locks_are_one(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let one = MultiLock::new(&client, ["/b", "/a"]);
    let two = MultiLock::new(&other, ["/a", "/b"]);
    let guard = one.acquire().wait().unwrap();
    assert_eq!(guard.tokens().len(), 2);
    assert!(two.try_acquire().wait().unwrap().is_none());
    let waiting = two.acquire().send();
    guard.release().wait().unwrap();
    let guard = waiting.wait_timeout(LIMIT).unwrap();
    assert!(guard.is_held());
}
