//! Locks, readers and writers, semaphores and elections of both.

use std::collections::BTreeSet;

use zk::Client;
use zk::recipes::{Election, Lock, ReadLock, Semaphore, WriteLock};

use super::{Fleet, LIMIT, Member, fleets, stays_open, wait_for_children};

/// Counts up under the lock, by a read and a write that are not one: whoever is not alone loses a
/// count, and shows it by a version that is not the one it read.
const COUNT: &str = "\
for n in range(40):
    with client.Lock('/lock', 'python'):
        data, stat = client.get('/count')
        client.set('/count', str(int(data) + 1).encode(), stat.version)
    tell(n)
";

/// The same in this process, under a lock of the layout that it is about.
pub(crate) fn count(client: &Client, lock: &Lock, times: u32) {
    for _ in 0..times {
        let guard = lock.acquire().wait_timeout(LIMIT).unwrap();
        let (data, stat) = client.get("/count").wait().unwrap();
        let next: u32 = String::from_utf8_lossy(&data).parse().unwrap();
        let set = client.set("/count", (next + 1).to_string());
        set.version(stat.version).wait().unwrap();
        guard.release().wait().unwrap();
    }
}

fn lock(client: &Client) -> Lock {
    Lock::new(client, "/lock").identifier("rust")
}

pub(crate) fn counted(client: &Client) -> u32 {
    let (data, _) = client.get("/count").synced().wait().unwrap();
    String::from_utf8_lossy(&data).parse().unwrap()
}

/// No count is lost while programs of both hold one lock in turn.
fn both_hold_a_lock_in_turn(fleet: &Fleet<'_>) {
    let client = fleet.client();
    client.create("/count", "0").wait().unwrap();
    let (mut python, mut rust) = (fleet.python(), fleet.rust());
    let (one, other) = (python.begin(COUNT), rust.begin("count /lock 40"));
    count(&client, &lock(&client), 40);
    python.end(one);
    rust.end(other);
    assert_eq!(counted(&client), 120);
    wait_for_children(&client, "/lock", 0);
}

/// And while some of them are killed with the lock in their hands.
fn a_killed_holder_leaves_the_lock_to_the_other(fleet: &Fleet<'_>) {
    let client = fleet.client();
    client.create("/count", "0").wait().unwrap();
    for round in 0..4 {
        let (mut victim, line) = match round % 2 {
            0 => (fleet.python(), COUNT),
            _ => (fleet.rust(), "count /lock 40"),
        };
        victim.begin(line);
        victim.wait_until_told(5);
        let before = counted(&client);
        let told = victim.kill();
        let after = counted(&client);
        assert!(told.len() >= 5 && after >= before);
        // The lock is free again when the session of the victim has ended; what it did is whole.
        count(&client, &lock(&client), 10);
        assert_eq!(counted(&client), after + 10);
    }
    wait_for_children(&client, "/lock", 0);
}

/// One line, in which both see the same order, and each other's names.
fn both_see_the_same_line(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let mut python = fleet.python();
    let lock = Lock::new(&client, "/lock").identifier("rust");
    let guard = lock.acquire().wait().unwrap();
    python.run("lock = client.Lock('/lock', 'python')");
    assert_eq!(python.run("lock.acquire(blocking=False)"), "False");
    let task = python.begin("lock.acquire()");
    wait_for_children(&client, "/lock", 2);
    let waiting = lock.acquire().send();
    wait_for_children(&client, "/lock", 3);
    assert_eq!(
        lock.contenders().wait().unwrap(),
        ["rust", "python", "rust"]
    );
    assert_eq!(
        python.run("lock.contenders()"),
        "['rust', 'python', 'rust']"
    );
    assert!(stays_open(|| python.has_answered(task)));
    guard.release().wait().unwrap();
    assert_eq!(python.end(task), "True");
    assert!(lock.try_acquire().wait().unwrap().is_none());
    assert_eq!(python.run("lock.release()"), "True");
    drop(waiting.wait_timeout(LIMIT).unwrap());
}

fn readers_and_writers_of_both_agree(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let mut python = fleet.python();
    python.run("read = client.ReadLock('/rw'); write = client.WriteLock('/rw')");
    let (read, write) = (
        ReadLock::new(&client, "/rw"),
        WriteLock::new(&client, "/rw"),
    );
    assert_eq!(python.run("read.acquire()"), "True");
    let reader = read.acquire().wait().unwrap();
    assert!(write.try_acquire().wait().unwrap().is_none());
    assert_eq!(python.run("write.acquire(blocking=False)"), "False");
    let mut writing = write.acquire().send();
    wait_for_children(&client, "/rw", 3);
    // Who comes after the writer waits.
    let task = python.begin("client.ReadLock('/rw').acquire()");
    wait_for_children(&client, "/rw", 4);
    python.run("read.release()");
    assert!(
        writing
            .wait_for(std::time::Duration::from_millis(50))
            .is_none()
    );
    drop(reader);
    let writer = writing.wait_timeout(LIMIT).unwrap();
    assert!(stays_open(|| python.has_answered(task)));
    drop(writer);
    assert_eq!(python.end(task), "True");
    // A reader of theirs that is killed is no reader any more.
    let writing = write.acquire().send();
    python.kill();
    drop(writing.wait_timeout(LIMIT).unwrap());
}

/// Takes a lease, tells so, waits, gives it back.
const LEASES: &str = "\
import time
for n in range(15):
    with client.Semaphore('/sem', 'python', max_leases=2):
        count = len(client.get_children('/sem'))
        tell(count)
        time.sleep(0.01)
";

/// Never more leases than there are, also when holders are killed.
fn a_semaphore_is_shared(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let sem = Semaphore::new(&client, "/sem", 2).identifier("rust");
    let held = sem.acquire().wait().unwrap();
    let mut python = fleet.python();
    python.run("sem = client.Semaphore('/sem', 'python', max_leases=2)");
    assert_eq!(python.run("sem.acquire()"), "True");
    assert!(sem.try_acquire().wait().unwrap().is_none());
    let holders: BTreeSet<_> = sem.lease_holders().wait().unwrap().into_iter().collect();
    assert_eq!(
        holders,
        BTreeSet::from(["python".to_owned(), "rust".to_owned()])
    );
    assert_eq!(
        python.run("sorted(sem.lease_holders())"),
        "['python', 'rust']"
    );
    let waiting = sem.acquire().send();
    python.kill();
    drop(waiting.wait_timeout(LIMIT).unwrap());
    drop(held);
    let (mut one, mut two, mut rust) = (fleet.python(), fleet.python(), fleet.rust());
    let (first, second) = (one.begin(LEASES), two.begin(LEASES));
    let third = rust.begin("lease /sem 2 15");
    for _ in 0..15 {
        let guard = sem.acquire().wait_timeout(LIMIT).unwrap();
        let leases = client.get_children("/sem").wait().unwrap().iter().count();
        assert!(leases <= 2, "{leases} leases");
        guard.release().wait().unwrap();
    }
    one.end(first);
    two.end(second);
    rust.end(third);
    let told = [one.told(), two.told(), rust.told()].concat();
    assert!(
        told.iter().all(|count| count == "1" || count == "2"),
        "{told:?}"
    );
    wait_for_children(&client, "/sem", 0);
}

/// Leads for ever.
const LEAD: &str = "\
def lead():
    tell('leads')
    threading.Event().wait()
client.Election('/election', 'python').run(lead)
";

fn begin_to_lead(member: &mut Member, line: &str) {
    member.begin(line);
    member.wait_until_told(1);
}

fn leadership_goes_from_one_to_the_other(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let mut python = fleet.python();
    begin_to_lead(&mut python, LEAD);
    let election = Election::new(&client, "/election").identifier("rust");
    let mut leading = election.lead().send();
    wait_for_children(&client, "/election", 2);
    assert_eq!(election.contenders().wait().unwrap(), ["python", "rust"]);
    assert!(stays_open(|| leading.try_take().is_some()));
    python.kill();
    let guard = leading.wait_timeout(LIMIT).unwrap();
    let mut rust = fleet.rust();
    rust.begin("lead /election");
    wait_for_children(&client, "/election", 2);
    let mut python = fleet.python();
    python.begin(LEAD);
    wait_for_children(&client, "/election", 3);
    drop(guard);
    rust.wait_until_told(1);
    assert!(stays_open(|| !python.told().is_empty()));
    rust.kill();
    python.wait_until_told(1);
}

fleets! {
    a_killed_holder_leaves_the_lock_to_the_other
    a_semaphore_is_shared
    both_hold_a_lock_in_turn
    both_see_the_same_line
    leadership_goes_from_one_to_the_other
    readers_and_writers_of_both_agree
}
