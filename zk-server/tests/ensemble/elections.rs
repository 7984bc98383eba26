//! Who leads, and what becomes of logs.

use zk_proto::{CreateMode, Reply};
use zk_server::{MemberId, PeerState};

use crate::rig::{
    SYNC_LIMIT, TICK, World,
    client::{create, set},
    options,
};

const MADE: fn(&str) -> Option<Result<Reply, zk_proto::ErrorCode>> =
    |path| Some(Ok(Reply::Path(path.into())));

fn make(world: &mut World, client: usize, path: &str) {
    let reply = world.call(client, &create(path, "1", CreateMode::Persistent));
    assert_eq!(reply, MADE(path), "{world:?}");
}

fn has(world: &World, at: usize, path: &str) -> bool {
    world.peers[at].tree().unwrap().node(path).is_some()
}

/// The epoch of the last transaction that a machine has.
fn epoch(world: &World, at: usize) -> i64 {
    world.committed(at).last().unwrap().zxid.0 >> 32
}

#[test]
fn three_members_elect_a_leader_and_commit() {
    let mut world = World::new(3, 1);
    let leader = world.settle();
    assert!(world.time() < TICK * 3, "{world:?}");
    let client = world.client(leader);
    make(&mut world, client, "/a");
    world.ticks(1);
    for at in 0..3 {
        assert_eq!(world.committed(at).len(), 2);
        assert!(has(&world, at, "/a"));
        assert_eq!(epoch(&world, at), 1);
    }
}

#[test]
fn one_member_is_a_majority_of_one() {
    let mut world = World::new(1, 1);
    let leader = world.settle();
    let client = world.client(leader);
    assert!(world.call(client, &set("/zookeeper", "x")).unwrap().is_ok());
    assert_eq!(world.state(0), PeerState::Leading);
    world.crash(0);
    assert_eq!(world.state(0), PeerState::Down);
    world.start(0);
    world.settle();
    assert_eq!((epoch(&world, 0), world.committed(0).len()), (1, 2));
}

#[test]
fn without_a_majority_nobody_leads_or_serves() {
    let mut world = World::new(3, 2);
    world.crash(0);
    world.crash(1);
    world.ticks(60);
    assert!(world.leader().is_none() && !world.peers[2].is_serving());
    let client = world.add_client();
    world.connect(client, 2);
    assert!(world.clients[client].closed && !world.clients[client].is_greeted);
}

#[test]
fn a_new_leader_begins_a_new_epoch() {
    let mut world = World::new(3, 3);
    let old = world.settle();
    let client = world.client(old);
    make(&mut world, client, "/a");
    world.crash(old);
    assert!(world.until(20, |world| world.is_whole() && world.leader() != Some(old)));
    let new = world.leader().unwrap();
    world.connect(client, new);
    assert!(world.until(5, |world| world.clients[client].is_up()));
    make(&mut world, client, "/b");
    let zxid = world.committed(new).last().unwrap().zxid;
    assert_eq!(zxid.0, 0x2_0000_0001);
}

#[test]
fn whoever_has_logged_most_is_elected() {
    for seed in 0..20 {
        let mut world = World::new(3, seed);
        let leader = world.settle();
        let behind = world.follower();
        world.crash(behind);
        let client = world.client(leader);
        make(&mut world, client, "/a");
        for at in 0..3 {
            world.crash(at);
        }
        world.ticks(1);
        for at in 0..3 {
            world.start(at);
        }
        let elected = world.settle();
        assert_ne!(elected, behind);
        assert!(has(&world, behind, "/a"));
    }
}

#[test]
fn what_a_majority_has_logged_survives_though_nobody_was_told() {
    let mut world = World::new(3, 4);
    let leader = world.settle();
    let client = world.client(leader);
    // The followers get the proposal, but the leader never hears of it.
    for at in (0..3).filter(|at| *at != leader) {
        world.mute(at, leader);
    }
    let reply = world.call_within(client, &create("/a", "1", CreateMode::Persistent), 2);
    assert_eq!(reply, None);
    assert!(!world.clients[client].closed && !has(&world, leader, "/a"));
    world.crash(leader);
    world.heal();
    world.settle();
    for at in (0..3).filter(|at| *at != leader) {
        assert!(has(&world, at, "/a"));
    }
    world.start(leader);
    world.settle();
    assert!(has(&world, leader, "/a"));
    world.check_end();
}

#[test]
fn what_only_a_minority_has_logged_is_cut_off() {
    let mut world = World::new(3, 5);
    let old = world.settle();
    let client = world.client(old);
    world.isolate(old);
    let reply = world.call_within(client, &create("/a", "1", CreateMode::Persistent), 2);
    assert_eq!(reply, None);
    assert_eq!(world.peers[old].logged().len(), 2);
    assert!(world.until(20, |world| world.leader().is_some_and(|at| at != old)));
    let new = world.leader().unwrap();
    let other = world.client(new);
    make(&mut world, other, "/b");
    world.heal();
    world.ticks(SYNC_LIMIT + 2);
    world.settle();
    for at in 0..3 {
        assert!(!has(&world, at, "/a") && has(&world, at, "/b"));
    }
    assert!(world.clients[client].closed);
    world.check_end();
}

#[test]
fn a_leader_without_a_majority_steps_down() {
    let mut world = World::new(3, 6);
    let leader = world.settle();
    world.isolate(leader);
    world.ticks(SYNC_LIMIT - 1);
    assert_eq!(world.state(leader), PeerState::Leading);
    world.ticks(3);
    assert_eq!(world.state(leader), PeerState::Looking);
    assert!(!world.peers[leader].is_serving());
}

#[test]
fn a_follower_far_behind_is_sent_the_data() {
    for snapshot_behind in [0, 5, 1000] {
        let mut world = World::with(3, 7, options(), |ensemble| {
            ensemble.snapshot_behind(snapshot_behind)
        });
        let leader = world.settle();
        let behind = world.follower();
        world.crash(behind);
        let client = world.client(leader);
        for place in 0..20 {
            make(&mut world, client, &format!("/n{place}"));
        }
        world.start(behind);
        world.settle();
        assert!(has(&world, behind, "/n19"));
        assert_eq!(world.committed(behind).len(), 21);
        // What is committed from then on arrives as well.
        make(&mut world, client, "/more");
        world.ticks(1);
        assert!(has(&world, behind, "/more"));
        world.check_end();
    }
}

#[test]
fn a_lost_message_ends_the_link() {
    let mut world = World::new(3, 8);
    let leader = world.settle();
    let follower = world.follower();
    let client = world.client(leader);
    world.mute(leader, follower);
    make(&mut world, client, "/lost");
    world.run(world.latency.1);
    world.heal();
    assert_eq!(
        world.state(follower),
        PeerState::Following(MemberId(leader as u8 + 1))
    );
    assert!(world.until(1, |world| !world.peers[follower].is_serving()));
    world.settle();
    assert!(has(&world, follower, "/lost"));
    assert_eq!(world.leader(), Some(leader), "one follower is enough");
    world.check_end();
}

#[test]
fn a_restart_of_all_loses_nothing() {
    let mut world = World::new(3, 9);
    let leader = world.settle();
    let client = world.client(leader);
    make(&mut world, client, "/a");
    for at in 0..3 {
        world.crash(at);
    }
    world.ticks(100);
    for at in 0..3 {
        assert_eq!(world.state(at), PeerState::Down);
        world.start(at);
    }
    let leader = world.settle();
    let other = world.client(leader);
    assert_ne!(world.session(client), world.session(other));
    assert_eq!(world.get(other, "/a"), "1");
}

#[test]
fn a_follower_that_has_promised_more_gets_a_new_epoch() {
    // Member 3 follows in turn each of the others, which then vanish before they have a majority of
    // five. In the end all have to agree on an epoch newer than all promises.
    for seed in 0..30 {
        let mut world = World::new(5, seed);
        for round in 0..6 {
            let time = world.chance.below(400);
            world.run(std::time::Duration::from_millis(time));
            world.heal();
            world.isolate(round % 5);
            world.isolate((round + 1) % 5);
        }
        world.heal();
        world.ticks(SYNC_LIMIT + 1);
        let leader = world.settle();
        let client = world.client(leader);
        make(&mut world, client, "/a");
    }
}

#[test]
fn a_disk_that_lies_can_lose_what_was_acknowledged() {
    let mut world = World::new(3, 10);
    let leader = world.settle();
    let client = world.client(leader);
    make(&mut world, client, "/a");
    make(&mut world, client, "/b");
    world.ticks(1);
    for at in 0..3 {
        world.peers[at].crash_losing(1);
        world.crash(at);
    }
    world.watch.forget(1);
    for at in 0..3 {
        world.start(at);
    }
    world.settle();
    for at in 0..3 {
        assert!(has(&world, at, "/a") && !has(&world, at, "/b"));
    }
}

#[test]
fn what_one_disk_has_lost_it_gets_back() {
    let mut world = World::new(3, 11);
    let leader = world.settle();
    let liar = world.follower();
    let client = world.client(leader);
    for path in ["/a", "/b", "/c"] {
        make(&mut world, client, path);
    }
    world.ticks(1);
    world.peers[liar].crash_losing(2);
    world.crash(liar);
    assert_eq!(world.committed(liar).len(), 2);
    world.watch.forget_of(liar);
    world.start(liar);
    world.settle();
    assert!(has(&world, liar, "/c"));
    world.check_end();
}

#[test]
fn an_idle_ensemble_has_little_to_do() {
    let mut world = World::with(3, 12, zk_server::Options::new(), |ensemble| ensemble);
    world.settle();
    let (begin, steps) = (world.now, world.steps);
    world.run(std::time::Duration::from_secs(1000));
    assert_eq!(world.now, begin + std::time::Duration::from_secs(1000));
    // Two pings a second, their answers, and the timers.
    let steps = world.steps - steps;
    assert!(steps <= 6000, "{steps} steps in 1000 seconds");
}
