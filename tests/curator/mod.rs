//! Programs with Curator and programs with `zk` at one lock, in the layout of Curator's
//! `InterProcessMutex`; some of them are killed while they hold it, or wait. On `zk-server` and on a
//! real server.
//!
//! As `peers::fleet`, with `Member.java` in the place of Python. It takes a JDK, and so is a step of
//! `cargo xtask nightly`.

use std::path::Path;

use zk::Client;
use zk::recipes::Lock;
use zk::recipes::layout::LockLayout;
use zk_testkit::Curator;

use crate::peers::fleet::locks::{count, counted};
use crate::peers::fleet::{self, LIMIT, Member, SESSION, stays_open, wait_for_children, worker};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/curator/Member.java");

/// Where a fleet meets.
struct Fleet<'a> {
    curator: &'a Curator,
    hosts: String,
}

impl Fleet<'_> {
    /// A process with Curator.
    fn java(&self) -> Member {
        let mut java = self.curator.program(Path::new(SOURCE));
        java.args([&self.hosts, &SESSION.as_millis().to_string()]);
        Member::start(java)
    }

    /// A process with `zk`.
    fn rust(&self) -> Member {
        Member::start(worker::command(&self.hosts))
    }

    /// A client in this process, and the lock.
    fn lock(&self) -> (Client, Lock) {
        let client = fleet::connect(&self.hosts);
        let lock = Lock::new(&client, "/lock").layout(LockLayout::Curator);
        (client, lock)
    }
}

/// No count is lost while programs of both hold one lock in turn.
fn both_hold_a_lock_in_turn(fleet: &Fleet<'_>) {
    let (client, lock) = fleet.lock();
    client.create("/count", "0").wait().unwrap();
    let (mut java, mut rust) = (fleet.java(), fleet.rust());
    let (one, other) = (
        java.begin("count /lock 40"),
        rust.begin("count-as-curator /lock 40"),
    );
    count(&client, &lock, 40);
    java.end(one);
    rust.end(other);
    assert_eq!(counted(&client), 120);
    wait_for_children(&client, "/lock", 0);
}

/// And while some of them are killed with the lock in their hands, or in front of it.
fn a_killed_holder_leaves_the_lock_to_the_other(fleet: &Fleet<'_>) {
    let (client, lock) = fleet.lock();
    client.create("/count", "0").wait().unwrap();
    for round in 0..4 {
        let (mut victim, line) = match round % 2 {
            0 => (fleet.java(), "count /lock 100000"),
            _ => (fleet.rust(), "count-as-curator /lock 100000"),
        };
        victim.begin(line);
        victim.wait_until_told(5);
        let before = counted(&client);
        victim.kill();
        let after = counted(&client);
        assert!(after >= before && before >= 5);
        // The lock is free again when the session of the victim has ended; what it did is whole.
        count(&client, &lock, 10);
        assert_eq!(counted(&client), after + 10);
        client.set("/count", "0").wait().unwrap();
    }
    wait_for_children(&client, "/lock", 0);
}

/// One line, in which both see the same order, and each waits for whoever is before it.
fn both_see_the_same_line(fleet: &Fleet<'_>) {
    let (client, lock) = fleet.lock();
    let mut java = fleet.java();
    let guard = lock.acquire().wait().unwrap();
    assert_eq!(java.run("try /lock"), "false");
    wait_for_children(&client, "/lock", 1);
    let task = java.begin("acquire /lock");
    wait_for_children(&client, "/lock", 2);
    let waiting = lock.acquire().send();
    wait_for_children(&client, "/lock", 3);
    let contenders = lock.contenders().wait().unwrap();
    assert_eq!(contenders.len(), 3);
    assert_eq!(
        (&*contenders[0], &*contenders[2]),
        ("", ""),
        "those are ours"
    );
    // Who only looks is on another thread of theirs.
    let mut looker = fleet.java();
    let participants = looker.run("participants /lock");
    let participants: Vec<_> = participants.split(',').collect();
    let name = guard.znode().rsplit('/').next().unwrap();
    assert_eq!((participants.len(), participants[0]), (3, name));
    assert!(stays_open(|| java.has_answered(task)));
    guard.release().wait().unwrap();
    assert_eq!(java.end(task), "true");
    assert!(lock.try_acquire().wait().unwrap().is_none());
    assert_eq!(java.run("release /lock"), "true");
    let guard = waiting.wait_timeout(LIMIT).unwrap();
    let name = guard.znode().rsplit('/').next().unwrap();
    assert_eq!(looker.run("participants /lock"), name);
    assert_eq!(name, participants[2]);
    guard.release().wait().unwrap();
    assert_eq!(java.run("acquire /lock"), "true");
}

/// Each waits for a holder of the other that is killed, with another one killed in between.
fn each_waits_for_one_that_is_killed(fleet: &Fleet<'_>) {
    let (client, lock) = fleet.lock();
    let (mut java, mut between, mut rust) = (fleet.java(), fleet.java(), fleet.rust());
    assert_eq!(java.run("acquire /lock"), "true");
    between.begin("acquire /lock");
    wait_for_children(&client, "/lock", 2);
    let mut waiting = lock.acquire().send();
    wait_for_children(&client, "/lock", 3);
    between.kill();
    wait_for_children(&client, "/lock", 2);
    assert!(stays_open(|| waiting.try_take().is_some()));
    java.kill();
    let guard = waiting.wait_timeout(LIMIT).unwrap();
    guard.release().wait().unwrap();

    rust.run("hold-as-curator /lock lock");
    let mut between = fleet.rust();
    between.begin("hold-as-curator /lock lock");
    wait_for_children(&client, "/lock", 2);
    let mut java = fleet.java();
    let task = java.begin("acquire /lock");
    wait_for_children(&client, "/lock", 3);
    between.kill();
    wait_for_children(&client, "/lock", 2);
    assert!(stays_open(|| java.has_answered(task)));
    rust.kill();
    assert_eq!(java.end(task), "true");
    assert!(lock.try_acquire().wait().unwrap().is_none());
    assert_eq!(java.run("release /lock"), "true");
    wait_for_children(&client, "/lock", 0);
}

/// Each of these on our server and on a real one.
macro_rules! fleets {
    ($($test:ident)*) => {
        mod on_zk_server {
            $(#[test]
            #[ignore = "needs Curator and a JDK: cargo xtask nightly curator"]
            fn $test() {
                let curator = zk_testkit::curator().unwrap();
                let server = zk_server::Server::builder().quiet();
                let server = server.tick($crate::peers::fleet::TICK).start().unwrap();
                super::$test(&super::Fleet { curator: &curator, hosts: server.hosts() });
            })*
        }
        mod on_a_real_server {
            $(#[test]
            #[ignore = "needs Curator and a JDK: cargo xtask nightly curator"]
            fn $test() {
                let curator = zk_testkit::curator().unwrap();
                let options = zk_testkit::Options::new().tick($crate::peers::fleet::TICK);
                let server = zk_testkit::Cluster::start(zk_testkit::Version::V3_9, &options);
                let server = server.unwrap();
                super::$test(&super::Fleet { curator: &curator, hosts: server.connect_string() });
            })*
        }
    };
}

fleets! {
    a_killed_holder_leaves_the_lock_to_the_other
    both_hold_a_lock_in_turn
    both_see_the_same_line
    each_waits_for_one_that_is_killed
}
