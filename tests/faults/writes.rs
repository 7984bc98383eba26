//! Pipelined writes while servers are killed and restarted: what was said of each is true.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use zk::{AsyncResult, Client, Error, Outcome};
use zk_testkit::{Cluster, Options, Version};

use super::{client, close_clean, cluster, surely};

const WINDOW: usize = 200;
/// So many writes are acknowledged between two kills.
const BETWEEN: usize = 1_000;
const TIMEOUT: Duration = Duration::from_secs(6);

pub(super) fn no_acknowledged_write_is_lost_alone(version: Version) {
    let cluster = cluster(version, Options::new().tick(Duration::from_millis(500)));
    run(&cluster, 4);
}

pub(super) fn no_acknowledged_write_is_lost_on_an_ensemble(version: Version) {
    let cluster = cluster(
        version,
        Options::new().ensemble(3).tick(Duration::from_millis(500)),
    );
    run(&cluster, 6);
}

/// Writes until `kills` members were killed and restarted, the connected one first.
fn run(cluster: &Cluster, kills: usize) {
    let client = client(&cluster.connect_string(), TIMEOUT);
    surely(&client, client.ensure_path("/writes"))
        .wait()
        .unwrap();
    let (over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let fates = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&client, &over, &acknowledged));
        for turn in 0..kills {
            let so_far = acknowledged.load(Ordering::Relaxed);
            wait_until("writes are acknowledged", || {
                acknowledged.load(Ordering::Relaxed) >= so_far + BETWEEN
            });
            let connected = client.server().and_then(|server| {
                (0..cluster.len()).find(|m| cluster.address(*m).port() == server.port())
            });
            let member = connected.unwrap_or(turn % cluster.len());
            let before = client.stats().session.losses;
            cluster.kill(member);
            cluster.restart(member).unwrap();
            wait_until("the client is connected again", || client.connected());
            assert!(client.stats().session.losses >= before);
        }
        over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    check(&client, &fates);
    close_clean(&client);
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let met = zk_testkit::eventually(Duration::from_secs(60), || done().then_some(()));
    assert!(met.is_some(), "{what}: not in a minute");
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Acknowledged,
    NotApplied,
    Unknown,
}

fn fate(result: &Result<String, Error>) -> Fate {
    match result {
        Ok(_) => Fate::Acknowledged,
        Err(error) => match error.outcome() {
            Some(Outcome::NotApplied) => Fate::NotApplied,
            Some(Outcome::Applied) => Fate::Acknowledged,
            Some(Outcome::Unknown) => Fate::Unknown,
            None => panic!("no outcome: {error}"),
        },
    }
}

/// Keeps a window of creates in flight; each name is used once.
fn write(client: &Client, over: &AtomicBool, acknowledged: &AtomicUsize) -> BTreeMap<u64, Fate> {
    let mut fates = BTreeMap::new();
    let mut window: VecDeque<(u64, AsyncResult<String>)> = VecDeque::new();
    let mut next = 0;
    let start = Instant::now();
    let enough = || over.load(Ordering::Relaxed);
    while !enough() || !window.is_empty() {
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "the writer does not end"
        );
        while window.len() < WINDOW && !enough() {
            let path = format!("/writes/{next}");
            window.push_back((next, client.create(&path, b"x").send()));
            next += 1;
        }
        if let Some((n, result)) = window.pop_front() {
            let fate = fate(&result.wait());
            if fate == Fate::Acknowledged {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            fates.insert(n, fate);
        }
    }
    fates
}

fn check(client: &Client, fates: &BTreeMap<u64, Fate>) {
    let children = surely(client, client.get_children("/writes").linearizable());
    let children = children.wait().unwrap();
    let there: BTreeSet<u64> = children
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    let mut count = BTreeMap::new();
    for (n, fate) in fates {
        *count.entry(format!("{fate:?}")).or_insert(0) += 1;
        match fate {
            Fate::Acknowledged => assert!(there.contains(n), "write {n} was acknowledged"),
            Fate::NotApplied => assert!(!there.contains(n), "write {n} was not applied"),
            Fate::Unknown => {}
        }
    }
    eprintln!("{} writes: {count:?}", fates.len());
    assert!(
        count.get("Acknowledged").is_some_and(|n| *n > 1000),
        "too few: {count:?}"
    );
    assert!(
        count.contains_key("Unknown"),
        "no write was ever in flight at a kill: {count:?}"
    );
}
