//! When the servers drop an ephemeral node, its owner's deadline has passed: whoever acts only
//! before it never acts beside a successor.

use std::time::{Duration, Instant};

use zk::{Client, EventType};
use zk_testkit::{Cluster, Options, Proxy, Version};

use super::{client, close_clean, close_unheard, cluster, surely};
use crate::support::wait_until;

const TICK: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(4);

fn ensemble(version: Version) -> Cluster {
    let options = Options::new()
        .ensemble(3)
        .tick(TICK)
        .sync_limit(Duration::from_secs(8));
    cluster(version, options.proxied_quorum(true))
}

pub(super) fn the_deadline_comes_before_the_end_on_the_leader(version: Version) {
    let cluster = ensemble(version);
    let leader = cluster.leader().unwrap();
    stalled_client(&cluster, leader);
}

pub(super) fn the_deadline_comes_before_the_end_on_a_follower(version: Version) {
    let cluster = ensemble(version);
    let follower = cluster.followers()[0];
    stalled_client(&cluster, follower);
}

/// The owner's own connection is stalled.
fn stalled_client(cluster: &Cluster, member: usize) {
    let proxy = Proxy::start(cluster.address(member)).unwrap();
    let owner = client(&proxy.address().to_string(), TIMEOUT);
    let noticed = || {
        wait_until("the dead link to be noticed", || !owner.connected());
    };
    run(cluster, &owner, member, || proxy.stall(), noticed);
}

/// The owner's server is cut off from its leader, and goes on answering the owner.
pub(super) fn the_deadline_comes_before_the_end_on_an_isolated_follower(version: Version) {
    let cluster = ensemble(version);
    let follower = cluster.followers()[0];
    let owner = client(&cluster.address(follower).to_string(), TIMEOUT);
    let fault = || cluster.isolate(follower);
    run(&cluster, &owner, follower, fault, || ());
}

fn run(
    cluster: &Cluster,
    owner: &Client,
    owners: usize,
    fault: impl FnOnce(),
    afterwards: impl FnOnce(),
) {
    let observed = (0..cluster.len()).find(|m| *m != owners && Some(*m) == cluster.leader());
    let observed = observed.unwrap_or_else(|| cluster.followers()[0]);
    let observer = client(
        &cluster.address(observed).to_string(),
        Duration::from_secs(10),
    );
    let assured = owner.keep_alive_by_sync();
    owner.create("/owned", b"").ephemeral().wait().unwrap();
    surely(&observer, observer.sync("/owned")).wait().unwrap();
    let there = surely(&observer, observer.exists("/owned").watched());
    let (stat, watch) = there.wait().unwrap();
    assert!(stat.is_some(), "the observer sees the node");
    // Let the keep-alive prove the session a few times.
    let first = owner.deadline().unwrap();
    wait_until("the deadline to move on, with a sync every quarter", || {
        let now = owner.deadline();
        now.is_some_and(|now| now > first + TIMEOUT / 2)
    });
    wait_until("it to lie ahead, while all is well", || {
        owner.deadline().is_some_and(|now| now > Instant::now())
    });

    let began = Instant::now();
    fault();
    let mut watch = watch;
    let event = watch
        .wait_for(Duration::from_secs(30))
        .expect("the node goes")
        .unwrap();
    let dropped = Instant::now();
    assert_eq!(event.kind, EventType::NODE_DELETED);
    let deadline = owner.deadline().unwrap_or(began);
    eprintln!(
        "dropped {:?} after the fault, the deadline was {:?} after it",
        dropped - began,
        deadline.saturating_duration_since(began),
    );
    assert!(
        deadline < dropped,
        "the deadline is {:?} late",
        deadline - dropped
    );
    afterwards();
    drop(assured);
    close_clean(&observer);
    close_unheard(owner);
}
