//! What clients see of it.

use std::time::Duration;

use zk_proto::{CreateMode, ErrorCode, EventType, Reply, Request};
use zk_server::{Fault, Matcher};

use crate::rig::{
    Got, SYNC_LIMIT, TICK, World,
    client::{create, get, set, sync},
    options,
};

fn ephemeral(path: &str) -> Request<'_> {
    create(path, "", CreateMode::Ephemeral)
}

fn has(world: &World, at: usize, path: &str) -> bool {
    world.peers[at].tree().unwrap().node(path).is_some()
}

/// Pings once every half tick.
fn ping(world: &mut World, clients: &[usize], ticks: u32) {
    for _ in 0..ticks * 2 {
        for &client in clients {
            world.ask(client, &Request::Ping);
        }
        world.run(TICK / 2);
    }
}

#[test]
fn an_isolated_follower_answers_for_a_while_and_then_drops_its_clients() {
    let mut world = World::new(3, 1);
    let leader = world.settle();
    let follower = world.follower();
    let client = world.client_of(follower, 400);
    assert!(world.call(client, &ephemeral("/e")).unwrap().is_ok());
    world.isolate(follower);
    ping(&mut world, &[client], SYNC_LIMIT - 1);
    // The others have dropped the session, which this member cannot know.
    assert!(!has(&world, leader, "/e") && has(&world, follower, "/e"));
    assert_eq!(world.clients[client].asked.len(), 0);
    assert!(world.call(client, &get("/e")).unwrap().is_ok());
    assert_eq!(world.call_within(client, &sync(), 0), None);
    ping(&mut world, &[client], 2);
    assert!(world.clients[client].closed);
    world.connect(client, follower);
    assert!(world.clients[client].closed && !world.clients[client].is_greeted);
    world.connect(client, leader);
    world.ticks(1);
    assert!(world.clients[client].is_expired);
}

#[test]
fn a_deposed_leader_answers_all_but_writes() {
    let mut world = World::new(3, 2);
    let old = world.settle();
    let client = world.client_of(old, 4000);
    assert!(
        world
            .call(client, &create("/a", "old", CreateMode::Persistent))
            .unwrap()
            .is_ok()
    );
    world.ticks(1);
    world.isolate(old);
    // The followers notice at once, the leader at the next of its ticks.
    let deposed = |world: &World| {
        world.peers[old].leader().is_some() && world.leader().is_some_and(|at| at != old)
    };
    assert!(world.until(SYNC_LIMIT + 3, deposed));
    let new = world.leader().unwrap();
    let other = world.client_of(new, 4000);
    assert!(world.call(other, &set("/a", "new")).unwrap().is_ok());
    assert_eq!(world.get(client, "/a"), "old");
    assert!(
        world
            .call_within(client, &Request::Ping, 0)
            .unwrap()
            .is_ok()
    );
    assert!(
        world.call_within(client, &sync(), 0).unwrap().is_ok(),
        "a sync needs no majority"
    );
    assert_eq!(world.get(client, "/a"), "old");
    let write = world.call_within(client, &set("/a", "lost"), 3);
    assert_eq!(write, None);
    assert!(world.clients[client].closed, "{world:?}");
    world.heal();
    world.ticks(SYNC_LIMIT + 1);
    world.settle();
    assert_eq!(world.get(other, "/a"), "new");
    world.check_end();
}

#[test]
fn a_sync_waits_for_what_was_proposed_before_it() {
    let mut world = World::new(3, 3);
    let leader = world.settle();
    let (writer, reader) = (world.client(leader), world.client(leader));
    world.isolate(leader);
    assert!(world.call_within(reader, &sync(), 0).unwrap().is_ok());
    world.ask(writer, &create("/a", "1", CreateMode::Persistent));
    assert_eq!(world.call_within(reader, &sync(), 1), None);
    assert!(!world.clients[reader].closed, "it waits");
}

#[test]
fn a_lagging_follower_shows_what_was_and_refuses_who_knows_more() {
    let mut world = World::new(3, 4);
    let leader = world.settle();
    let follower = world.follower();
    let reader = world.client(follower);
    let writer = world.client(leader);
    assert!(
        world
            .call(writer, &create("/a", "old", CreateMode::Persistent))
            .unwrap()
            .is_ok()
    );
    world.ticks(1);
    world.peers[follower].set_apply_delay(TICK * 3);
    assert!(world.call(writer, &set("/a", "new")).unwrap().is_ok());
    world.run(Duration::from_millis(20));
    assert_eq!(world.get(reader, "/a"), "old");
    world.connect(writer, follower);
    assert!(
        world.clients[writer].closed && !world.clients[writer].is_greeted,
        "{world:?}"
    );
    assert_eq!(
        world.call(reader, &sync()).unwrap(),
        Ok(Reply::Path("/".into()))
    );
    assert_eq!(world.get(reader, "/a"), "new");
    world.connect(writer, follower);
    assert!(world.until(4, |world| world.clients[writer].is_up()));
}

#[test]
fn a_write_is_answered_when_it_is_applied_where_the_client_is() {
    let mut world = World::new(3, 5);
    world.settle();
    let follower = world.follower();
    let client = world.client(follower);
    world.peers[follower].set_apply_delay(TICK * 2);
    let begin = world.now;
    assert!(
        world
            .call(client, &create("/a", "1", CreateMode::Persistent))
            .unwrap()
            .is_ok()
    );
    assert!(world.now >= begin + TICK * 2);
    assert_eq!(world.get(client, "/a"), "1");
}

#[test]
fn a_new_leader_gives_every_session_its_whole_timeout() {
    let mut world = World::new(3, 6);
    let old = world.settle();
    let client = world.client_of(old, 1000);
    assert!(world.call(client, &ephemeral("/e")).unwrap().is_ok());
    world.ticks(4);
    let begin = world.now;
    world.crash(old);
    assert!(world.until(20, |world| world.leader().is_some()));
    let elected = world.now;
    let new = world.leader().unwrap();
    assert!(
        elected - begin >= TICK * (SYNC_LIMIT - 1),
        "by now it would have expired"
    );
    assert!(has(&world, new, "/e"));
    world.ticks(5);
    assert!(has(&world, new, "/e"), "1000 ms have not passed again");
    world.ticks(2);
    assert!(!has(&world, new, "/e"));
}

#[test]
fn a_session_that_is_heard_of_at_a_follower_lives() {
    let mut world = World::new(3, 7);
    let leader = world.settle();
    let follower = world.follower();
    let alive = world.client_of(follower, 400);
    let silent = world.client_of(follower, 400);
    assert!(world.call(alive, &ephemeral("/alive")).unwrap().is_ok());
    assert!(world.call(silent, &ephemeral("/silent")).unwrap().is_ok());
    ping(&mut world, &[alive], 20);
    for at in [leader, follower] {
        assert!(has(&world, at, "/alive") && !has(&world, at, "/silent"));
    }
    assert!(world.clients[silent].closed && !world.clients[alive].closed);
}

#[test]
fn a_session_that_has_moved_cannot_write_where_it_was() {
    let mut world = World::new(3, 8);
    let leader = world.settle();
    let follower = world.follower();
    let old = world.client_of(follower, 2000);
    assert!(
        world
            .call(old, &create("/a", "1", CreateMode::Persistent))
            .unwrap()
            .is_ok()
    );
    let new = world.add_client();
    world.clients[new].session = world.clients[old].session;
    world.connect(new, leader);
    assert!(world.until(2, |world| world.clients[new].is_up()));
    assert_eq!(world.session(new), world.session(old));
    assert_eq!(world.get(old, "/a"), "1");
    assert_eq!(world.call(old, &set("/a", "2")), None);
    assert!(world.clients[old].closed);
    assert_eq!(world.get(new, "/a"), "1");
    assert!(world.call(new, &set("/a", "3")).unwrap().is_ok());
}

#[test]
fn an_event_comes_when_the_change_is_applied_where_the_watch_is() {
    let mut world = World::new(3, 9);
    let leader = world.settle();
    let follower = world.follower();
    let (near, far) = (world.client(leader), world.client(follower));
    for client in [near, far] {
        let watch = Request::Exists {
            path: "/a".into(),
            watch: true,
        };
        assert_eq!(world.call(client, &watch), Some(Err(ErrorCode::NO_NODE)));
        world.clients[client].got.clear();
    }
    world.peers[follower].set_apply_delay(TICK);
    let writer = world.client(leader);
    assert!(
        world
            .call(writer, &create("/a", "", CreateMode::Persistent))
            .unwrap()
            .is_ok()
    );
    let event = Got::Event(EventType::NODE_CREATED, "/a".into());
    assert_eq!(world.clients[near].got, std::slice::from_ref(&event));
    assert_eq!(world.clients[far].got, []);
    world.ticks(2);
    assert_eq!(world.clients[far].got, [event]);
}

#[test]
fn a_session_closed_at_a_follower_ends_everywhere() {
    let mut world = World::new(3, 10);
    world.settle();
    let follower = world.follower();
    let client = world.client(follower);
    assert!(world.call(client, &ephemeral("/e")).unwrap().is_ok());
    assert!(world.call(client, &Request::CloseSession).unwrap().is_ok());
    assert!(world.clients[client].closed);
    world.ticks(1);
    for at in 0..3 {
        assert!(!has(&world, at, "/e") && world.peers[at].member().unwrap().sessions().is_empty());
    }
}

#[test]
fn a_member_that_may_serves_reads_without_a_majority() {
    let options = options().read_only_mode().local_sessions();
    let mut world = World::with(3, 11, options, |ensemble| ensemble);
    let leader = world.settle();
    let client = world.client_of(leader, 4000);
    assert!(
        world
            .call(client, &create("/a", "1", CreateMode::Persistent))
            .unwrap()
            .is_ok()
    );
    world.ticks(1);
    for at in (0..3).filter(|at| *at != leader) {
        world.crash(at);
    }
    world.ticks(SYNC_LIMIT + 2);
    // At first it hopes for an election.
    assert!(
        world.peers[leader]
            .member()
            .is_some_and(|member| !member.is_serving())
    );
    world.ticks(11);
    assert!(world.peers[leader].member().unwrap().is_read_only());
    world.connect(client, leader);
    assert!(world.clients[client].closed, "its session is one of all");
    let reader = world.add_client();
    world.clients[reader].asks_read_only = true;
    world.connect(reader, leader);
    assert!(world.clients[reader].is_up() && world.clients[reader].read_only);
    assert_eq!(world.get(reader, "/a"), "1");
    let write = world.call(reader, &set("/a", "2"));
    assert_eq!(write, Some(Err(ErrorCode::NOT_READ_ONLY)));
    for at in (0..3).filter(|at| *at != leader) {
        world.start(at);
    }
    world.settle();
    assert!(world.clients[reader].closed);
    world.clients[client].last = zk_proto::Zxid::ZERO;
    let at = world.leader().unwrap();
    world.connect(client, at);
    assert!(
        world.until(3, |world| world.clients[client].is_up()),
        "{world:?}"
    );
}

#[test]
fn a_restart_within_a_moment_repeats_no_session() {
    let mut world = World::new(1, 13);
    world.latency = (Duration::ZERO, Duration::ZERO);
    world.settle();
    let one = world.client(0);
    world.crash(0);
    world.start(0);
    world.settle();
    let two = world.client(0);
    assert_ne!(world.session(one), world.session(two));
}

#[test]
fn faults_by_call_reach_one_member() {
    let mut world = World::new(3, 12);
    let leader = world.settle();
    let follower = world.follower();
    let client = world.client(follower);
    let cut = Matcher::any().path("/a");
    world.peers[follower].inject(cut, Fault::CutAfter);
    assert_eq!(world.peers[follower].pending_faults(), 1);
    assert_eq!(
        world.call(client, &create("/a", "", CreateMode::Persistent)),
        None
    );
    assert!(world.clients[client].closed && has(&world, leader, "/a"));
    world.peers[follower].refuse_connects();
    world.connect(client, follower);
    assert!(world.clients[client].closed);
    world.peers[follower].accept_connects();
    world.connect(client, follower);
    assert!(world.until(2, |world| world.clients[client].is_up()));
    let (now, session) = (world.now, world.session(client));
    world.clients[client].is_closing = true;
    world.peers[leader].expire(now, session);
    world.drain(leader);
    world.ticks(1);
    assert!(world.clients[client].closed);
    assert!(
        world.peers[follower]
            .member()
            .unwrap()
            .sessions()
            .is_empty()
    );
}
