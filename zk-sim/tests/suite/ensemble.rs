//! An ensemble of three in a universe, and clients that go through what happens to it.

use std::collections::BTreeMap;
use std::time::Duration;

use zk_client::{Client, Error};
use zk_server::{MemberId, Options, PeerState, Tree, TxnKind};
use zk_sim::{Crash, EnsembleHandle, FaultPlan, Sim};

const ADDRESSES: [&str; 3] = ["s1:2181", "s2:2181", "s3:2181"];
const SERVERS: [&str; 3] = ["s1", "s2", "s3"];
const APPS: [&str; 3] = ["app1", "app2", "app3"];

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn start(seed: u64) -> (Sim, EnsembleHandle) {
    let sim = Sim::new(seed);
    let ensemble = sim.ensemble(&ADDRESSES, Options::new());
    (sim, ensemble)
}

fn connect(sim: &Sim, ensemble: &EnsembleHandle, machine: &str) -> Client {
    let handler = sim.machine(machine).handler();
    let client = Client::builder(ensemble.hosts()).connect(handler);
    sim.block_on(client).unwrap().unwrap()
}

/// Repeats what does no harm twice, until it has gone through.
async fn set(client: &Client, value: &str) -> u32 {
    for tries in 1.. {
        match client.set("/a", value).await {
            Ok(_) => return tries,
            Err(error) => assert!(matches!(error, Error::ConnectionLoss { .. }), "{error}"),
        }
    }
    0
}

#[test]
fn a_client_writes_through_the_loss_of_leaders() {
    let (sim, ensemble) = start(1);
    let client = connect(&sim, &ensemble, "app");
    sim.block_on(client.create("/a", "0")).unwrap().unwrap();
    sim.block_on(client.create("/e", "").ephemeral())
        .unwrap()
        .unwrap();
    let session = client.client_id().unwrap().0;
    let first = ensemble.leader().unwrap();
    let machine = ensemble.members()[usize::from(first.0) - 1]
        .machine()
        .clone();
    machine.crash(Crash::PowerLoss);
    sim.block_on(set(&client, "1")).unwrap();
    let second = ensemble.leader().unwrap();
    assert_ne!(first, second);
    machine.restart();
    sim.run_for(seconds(5)).unwrap();
    assert_eq!(
        ensemble.with(first, |peer| peer.state()),
        PeerState::Following(second)
    );
    // The others go on without the second leader, and so does the client.
    let name = ensemble.members()[usize::from(second.0) - 1]
        .machine()
        .name()
        .to_owned();
    let others: Vec<_> = SERVERS
        .into_iter()
        .chain(["app"])
        .filter(|it| *it != name)
        .collect();
    let partition = sim.network().partition(&[&name], &others);
    sim.block_on(set(&client, "2")).unwrap();
    sim.run_for(seconds(15)).unwrap();
    assert_ne!(ensemble.leader(), Some(second));
    sim.block_on(set(&client, "3")).unwrap();
    sim.network().heal(partition);
    sim.run_for(seconds(20)).unwrap();
    let (data, _) = sim.block_on(client.get("/a").synced()).unwrap().unwrap();
    assert_eq!(&*data, b"3");
    assert_eq!(client.client_id().unwrap().0, session);
    sim.block_on(client.close()).unwrap().unwrap();
    sim.run_for(seconds(1)).unwrap();
    check(&ensemble);
    let closes = ensemble.session_closes();
    assert_eq!(closes.len(), 3, "one on each member: {closes:?}");
    assert!(closes.iter().all(|close| close.session == session));
}

/// All members have the same, and it is what the record says.
fn check(ensemble: &EnsembleHandle) {
    let commits = ensemble.commits();
    let tree = ensemble.with(MemberId(1), |peer| peer.tree().unwrap().clone());
    for member in (1..=3).map(MemberId) {
        ensemble.with(member, |peer| {
            let recorded = commits.iter().map(|(_, txn)| txn);
            assert!(peer.committed().iter().eq(recorded), "{member}");
            assert_eq!(peer.tree(), Some(&tree), "{member}");
            assert!(
                tree.owners()
                    .all(|it| peer.member().unwrap().sessions().contains_key(&it))
            );
        });
    }
    let closed = commits
        .iter()
        .filter(|(_, txn)| txn.kind == TxnKind::CloseSession);
    let first: BTreeMap<_, _> = closed.map(|(at, txn)| (txn.session, *at)).collect();
    for close in ensemble.session_closes() {
        assert!(
            first[&close.session] <= close.at,
            "{close:?} before it was committed"
        );
    }
}

#[test]
fn a_session_can_be_ended_by_call() {
    let (sim, ensemble) = start(2);
    assert_eq!(ensemble.leader(), None);
    let client = connect(&sim, &ensemble, "app");
    sim.block_on(client.create("/e", "").ephemeral())
        .unwrap()
        .unwrap();
    let session = client.client_id().unwrap().0;
    assert!(ensemble.expire(session));
    sim.run_for(seconds(5)).unwrap();
    sim.block_on(client.until_connected()).unwrap().unwrap();
    assert_ne!(client.client_id().unwrap().0, session);
    assert_eq!(sim.block_on(client.exists("/e")).unwrap().unwrap(), None);
    assert_eq!(ensemble.session_closes().len(), 3);
}

#[test]
fn a_member_that_applies_late_is_behind_until_a_sync() {
    let (sim, ensemble) = start(3);
    let writer = connect(&sim, &ensemble, "app1");
    sim.block_on(writer.create("/a", "old")).unwrap().unwrap();
    let leader = ensemble.leader().unwrap();
    let late = (1..=3).map(MemberId).find(|it| *it != leader).unwrap();
    let host = ensemble.members()[usize::from(late.0) - 1]
        .hosts()
        .to_owned();
    sim.run_for(seconds(1)).unwrap();
    let handler = sim.machine("app2").handler();
    let reader = sim
        .block_on(Client::builder(&host).connect(handler))
        .unwrap()
        .unwrap();
    ensemble.with(late, |peer| peer.set_apply_delay(seconds(2)));
    sim.block_on(writer.set("/a", "new")).unwrap().unwrap();
    let (data, _) = sim.block_on(reader.get("/a")).unwrap().unwrap();
    assert_eq!(&*data, b"old");
    let (data, _) = sim.block_on(reader.get("/a").synced()).unwrap().unwrap();
    assert_eq!(&*data, b"new");
}

#[test]
fn the_log_says_what_was_done() {
    let (sim, ensemble) = start(4);
    let client = connect(&sim, &ensemble, "app");
    let session = client.client_id().unwrap().0;
    sim.block_on(async {
        client.create("/a", "1").ephemeral().await?;
        client.set("/a", "2").await?;
        assert_eq!(client.set("/b", "").await, Err(Error::NoNode));
        client.delete("/a").await?;
        client.close().await
    })
    .unwrap()
    .unwrap();
    let log = ensemble.committed_log();
    let said: Vec<_> = log
        .entries
        .iter()
        .map(|entry| format!("{:?}", entry.txn))
        .collect();
    let begins = [
        "Open",
        "Change([Create",
        "Change([SetData",
        "Refused",
        "Change([Delete",
        "Close",
    ];
    assert_eq!(said.len(), begins.len(), "{log}");
    for (entry, (said, begin)) in log.entries.iter().zip(said.iter().zip(begins)) {
        assert!(said.starts_with(begin), "{said}");
        assert_eq!(entry.session, session);
        assert!(entry.at <= sim.now());
        assert_eq!(entry.zxid.0 >> 32, 1);
    }
}

/// A minute in which everything goes wrong, and half a one in which nothing does.
fn minute(seed: u64) -> (u128, usize) {
    let (sim, ensemble) = start(seed);
    for name in APPS {
        let hosts = ensemble.hosts().to_owned();
        sim.machine(name).boot(move |machine| {
            let client = Client::builder(&hosts).start(machine.handler());
            async move {
                let client = client.expect("the options are valid");
                for round in 0_u64.. {
                    let path = format!("/{}-{}", machine.name(), round % 10);
                    let created = client.create(&path, "").ephemeral().await;
                    if created.is_err() {
                        client.delete(&path).await.ok();
                    }
                    client.get_children("/").await.ok();
                    machine.sleep(Duration::from_millis(300)).await;
                }
            }
        });
    }
    sim.unleash(&FaultPlan::new(&APPS, &SERVERS));
    sim.run_for(seconds(90)).unwrap();
    let before = ensemble.commits().len();
    sim.run_for(seconds(30)).unwrap();
    let quiet = ensemble.commits().len() - before;
    assert!(quiet > 250, "seed {seed}: {quiet} in the end");
    // Nobody writes any more, and what is under way arrives.
    for name in APPS {
        sim.machine(name).crash(Crash::Killed);
    }
    sim.run_for(seconds(60)).unwrap();
    check(&ensemble);
    let owners = ensemble.with(MemberId(1), |peer| {
        peer.tree().map_or(0, Tree::ephemeral_count)
    });
    assert_eq!(owners, 0, "seed {seed}");
    (sim.trace_hash(), before)
}

#[test]
fn a_minute_of_faults_ends_well() {
    let mut total = 0;
    for seed in 0..10 {
        total += minute(seed).1;
    }
    eprintln!("{total} commits in 10 minutes of faults");
    assert!(total > 10 * 100, "{total} commits");
}

#[test]
fn an_ensemble_does_the_same_each_time() {
    assert_eq!(minute(77), minute(77));
}
