//! Leases of both, which outlive whoever holds them.

use std::time::Duration;

use zk::Client;
use zk::recipes::lease::Lease;
use zk::recipes::{MultiNonBlockingLease, NonBlockingLease};

use super::{Fleet, LIMIT, Member, fleets, stays_open, wait_for_children};

const HOUR: Duration = Duration::from_secs(3600);

/// How kazoo is asked: whether it has obtained the lease.
fn theirs(python: &mut Member, who: &str, seconds: u64) -> bool {
    let line = format!(
        "bool(client.NonBlockingLease('/lease', __import__('datetime').timedelta(seconds={seconds}), '{who}'))"
    );
    is_true(&python.run(&line))
}

fn theirs_of_two(python: &mut Member, who: &str, seconds: u64) -> bool {
    let line = format!(
        "bool(client.MultiNonBlockingLease(2, '/two', __import__('datetime').timedelta(seconds={seconds}), '{who}'))"
    );
    is_true(&python.run(&line))
}

fn is_true(answer: &str) -> bool {
    match answer {
        "True" => true,
        "False" => false,
        other => panic!("{other}"),
    }
}

fn ours(client: &Client, who: &str, duration: Duration) -> Option<Lease> {
    let lease = NonBlockingLease::new(client, "/lease", duration).identifier(who);
    lease.obtain().wait_timeout(LIMIT).unwrap()
}

fn ours_of_two(client: &Client, who: &str, duration: Duration) -> bool {
    let leases = MultiNonBlockingLease::new(client, 2, "/two", duration).identifier(who);
    leases.obtain().wait_timeout(LIMIT).unwrap().is_some()
}

/// Each refuses what the other holds, renews what is its own, and takes what has ended.
fn a_lease_goes_from_one_to_the_other(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let mut python = fleet.python();
    assert!(ours(&client, "host é", HOUR).is_some());
    assert!(!theirs(&mut python, "python", 3600));
    // Under one name they are one: the record of each is read by the other.
    assert!(theirs(&mut python, "host é", 3600));
    assert!(ours(&client, "host é", Duration::ZERO).is_some());
    assert!(theirs(&mut python, "python", 3600));
    assert!(ours(&client, "host é", HOUR).is_none());
    // To the byte, but for the time.
    let record = |client: &Client| {
        let (data, _) = client.get("/lease/lease_holder").synced().wait().unwrap();
        String::from_utf8(data.to_vec()).unwrap()
    };
    let written_by_them = record(&client);
    assert!(ours(&client, "python", HOUR).is_some());
    let written_by_us = record(&client);
    let head = r#"{"version": 1, "holder": "python", "end": ""#;
    for record in [&written_by_them, &written_by_us] {
        assert!(record.starts_with(head), "{record}");
        assert_eq!(record.len(), written_by_us.len(), "{record}");
    }
    assert!(theirs(&mut python, "python", 0));
    assert!(ours(&client, "rust", HOUR).is_some());
    assert!(!theirs(&mut python, "python", 3600));
    wait_for_children(&client, "/lease", 1);
}

/// A killed holder keeps its lease; one that is killed over the record holds nobody up for longer
/// than its session.
fn a_killed_holder_keeps_its_lease(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let mut python = fleet.python();
    assert!(theirs(&mut python, "python", 3600));
    python.kill();
    assert!(ours(&client, "rust", HOUR).is_none());
    // It has another life, under the same name.
    let mut python = fleet.python();
    assert!(theirs(&mut python, "python", 0));
    let mut rust = fleet.rust();
    assert_eq!(rust.run("lease-for /lease 3600 rust"), "True");
    rust.kill();
    assert!(!theirs(&mut python, "python", 3600));
    assert!(ours(&client, "rust", Duration::ZERO).is_some());
    // Killed with the inner lock in its hands.
    let mut victim = fleet.python();
    victim.run("lock = client.Lock('/lease', 'victim')");
    assert_eq!(victim.run("lock.acquire()"), "True");
    let lease = NonBlockingLease::new(&client, "/lease", HOUR).identifier("rust");
    let mut obtaining = lease.obtain().send();
    wait_for_children(&client, "/lease", 3);
    assert!(stays_open(|| obtaining.try_take().is_some()));
    victim.kill();
    assert!(obtaining.wait_timeout(LIMIT).unwrap().is_some());
    assert!(!theirs(&mut python, "python", 3600));
    assert!(ours(&client, "rust", Duration::ZERO).is_some());
    let mut victim = fleet.rust();
    victim.run("hold /lease lock");
    let task = python.begin("bool(client.NonBlockingLease('/lease', __import__('datetime').timedelta(hours=1), 'python'))");
    wait_for_children(&client, "/lease", 3);
    assert!(stays_open(|| python.has_answered(task)));
    victim.kill();
    assert!(is_true(&python.end(task)));
    assert!(ours(&client, "rust", HOUR).is_none());
    wait_for_children(&client, "/lease", 1);
}

/// Two slots, and never three holders.
fn two_leases_are_for_two(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let mut python = fleet.python();
    assert!(ours_of_two(&client, "rust", HOUR));
    assert!(theirs_of_two(&mut python, "python", 3600));
    assert!(!ours_of_two(&client, "third", HOUR));
    assert!(!theirs_of_two(&mut python, "fourth", 3600));
    // Both renew, each its own.
    assert!(ours_of_two(&client, "rust", HOUR));
    assert!(theirs_of_two(&mut python, "python", 3600));
    assert!(!ours_of_two(&client, "third", HOUR));
    python.kill();
    assert!(!ours_of_two(&client, "third", HOUR));
    let mut python = fleet.python();
    assert!(theirs_of_two(&mut python, "python", 0));
    assert!(ours_of_two(&client, "third", HOUR));
    assert!(!theirs_of_two(&mut python, "python", 3600));
}

/// Of many who ask at once, with programs of both, one obtains it.
fn one_of_many_obtains_it(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let (mut python, mut rust) = (fleet.python(), fleet.rust());
    for round in 0..6 {
        let over = Duration::ZERO;
        let holder = format!("holder of round {round}");
        let path = format!("/round{round}");
        let lease = NonBlockingLease::new(&client, &path, over).identifier(&holder);
        assert!(lease.obtain().wait_timeout(LIMIT).unwrap().is_some());
        let mut tasks = Vec::new();
        for n in 0..4 {
            let line = format!(
                "bool(client.NonBlockingLease('{path}', __import__('datetime').timedelta(hours=1), 'python{n}'))"
            );
            tasks.push((true, python.begin(&line)));
            tasks.push((false, rust.begin(&format!("lease-for {path} 3600 rust{n}"))));
        }
        let obtained = tasks.into_iter().filter(|(is_python, task)| {
            let member = if *is_python { &python } else { &rust };
            is_true(&member.end(*task))
        });
        assert_eq!(obtained.count(), 1);
    }
}

fleets! {
    a_killed_holder_keeps_its_lease
    a_lease_goes_from_one_to_the_other
    one_of_many_obtains_it
    two_leases_are_for_two
}
