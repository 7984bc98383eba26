//! `PersistentNode`, `Party`, `ShallowParty`.

use zk_client::{Client, Error, RecipeError};
use zk_recipes::party::{Party, ShallowParty};
use zk_recipes::persistent_node::{PersistentNode, Presence};
use zk_server::{MemberId, Options};
use zk_sim::{Cut, Sim};

use crate::universe::{Universe, millis, seconds};

fn owner(universe: &Universe, path: &str) -> Option<zk_client::SessionId> {
    universe.server.with(|server| {
        let node = server.get_mut().unwrap().tree().node(path)?;
        Some(node.stat().ephemeral_owner)
    })
}

fn data(universe: &Universe, path: &str) -> Option<Vec<u8>> {
    universe.server.with(|server| {
        let node = server.get_mut().unwrap().tree().node(path)?;
        node.data().map(<[u8]>::to_vec)
    })
}

fn children(universe: &Universe, path: &str) -> usize {
    universe.server.with(|server| {
        let node = server.get_mut().unwrap().tree().node(path);
        node.map_or(0, |node| node.children().len())
    })
}

#[test]
fn a_node_comes_back_after_its_session_and_after_a_deletion() {
    let universe = Universe::new(1);
    let client = universe.client("app");
    let node = PersistentNode::new(&client, "/deep/node", "me");
    let mut presence = node.changes();
    assert_eq!(
        universe.end(presence.next()).unwrap().unwrap(),
        Presence::Absent
    );
    universe.run(node.start());
    assert!(node.is_present());
    assert_eq!(data(&universe, "/deep/node").unwrap(), b"me");
    let first = universe.end(presence.next()).unwrap().unwrap();
    let session = Universe::session(&client);
    assert!(matches!(first, Presence::Present { session: s, .. } if s == session));
    universe.expire(&client);
    universe.pass(seconds(1));
    assert!(node.is_present());
    assert_eq!(
        owner(&universe, "/deep/node"),
        Some(Universe::session(&client))
    );
    // Read late: that it was away shows in its being another.
    let second = universe.end(presence.next()).unwrap().unwrap();
    assert_ne!(first, second);
    universe.run(client.delete("/deep/node"));
    let absent = universe.end(presence.next()).unwrap().unwrap();
    assert_eq!(absent, Presence::Absent);
    // The parent is deleted, too.
    universe.run(client.delete("/deep").recursive());
    universe.pass(seconds(1));
    assert!(node.is_present());
    assert!(universe.has("/deep/node"));
}

#[test]
fn a_lost_reply_makes_no_second_node_and_no_doubt() {
    for cut in [Cut::BeforeDelivery, Cut::AfterDelivery] {
        let universe = Universe::new(2);
        let client = universe.client("app");
        let node = PersistentNode::new(&client, "/a", "me");
        let started = node.start().send();
        universe.pass(std::time::Duration::ZERO);
        universe.sim.network().cut("app", "s1", cut);
        universe.run(started);
        assert_eq!(owner(&universe, "/a"), Some(Universe::session(&client)));
        assert!(node.is_present());
    }
}

#[test]
fn dropping_it_deletes_the_node_whatever_was_under_way() {
    for step in 0..12 {
        for cut in [None, Some(Cut::BeforeDelivery), Some(Cut::AfterDelivery)] {
            let universe = Universe::new(step);
            let client = universe.client("app");
            let node = PersistentNode::new(&client, "/a/b", "me");
            let started = node.start().send();
            universe.pass(std::time::Duration::from_micros(100 * step));
            if let Some(cut) = cut {
                universe.sim.network().cut("app", "s1", cut);
            }
            if step % 2 == 0 {
                drop(started);
                universe.pass(seconds(5));
                assert!(
                    !universe.has("/a/b"),
                    "the start was taken back ({step}, {cut:?})"
                );
                // And can be made again.
                universe.run(node.start());
                assert!(universe.has("/a/b"));
            } else {
                started.detach();
            }
            drop(node);
            universe.pass(seconds(5));
            assert!(!universe.has("/a/b"), "step {step}, {cut:?}");
            assert_eq!(client.stats().session.watches, 0);
        }
    }
}

#[test]
fn closing_tells_whether_there_was_a_node() {
    let universe = Universe::new(3);
    let client = universe.client("app");
    let node = PersistentNode::new(&client, "/a", "me");
    assert!(!universe.run(node.close()));
    universe.run(node.start());
    universe.run(node.start());
    assert!(universe.run(node.close()));
    assert!(!universe.has("/a") && !node.is_present());
    assert!(!universe.run(node.close()));
    universe.run(node.start());
    assert!(node.is_present() && universe.has("/a"));
}

#[test]
fn other_data_is_written_now_and_again() {
    let universe = Universe::new(4);
    let client = universe.client("app");
    let node = PersistentNode::new(&client, "/a", "1");
    universe.run(node.set_data("2"));
    universe.run(node.start());
    assert_eq!(data(&universe, "/a").unwrap(), b"2");
    universe.run(node.set_data("3"));
    assert_eq!(data(&universe, "/a").unwrap(), b"3");
    universe.expire(&client);
    universe.pass(seconds(1));
    assert_eq!(data(&universe, "/a").unwrap(), b"3");
    // What others have written stays, until it is written again.
    universe.run(client.set("/a", "theirs"));
    universe.pass(seconds(1));
    assert_eq!(data(&universe, "/a").unwrap(), b"theirs");
    universe.run(node.set_data("4"));
    assert_eq!(data(&universe, "/a").unwrap(), b"4");
}

#[test]
fn a_node_of_another_session_is_waited_for_to_go() {
    let universe = Universe::new(5);
    let (one, two) = (universe.client("one"), universe.client("two"));
    let (first, second) = (
        PersistentNode::new(&one, "/a", "first"),
        PersistentNode::new(&two, "/a", "second"),
    );
    universe.run(first.start());
    let mut waiting = second.start().send();
    universe.pass(seconds(10));
    assert!(waiting.try_take().is_none() && !second.is_present());
    drop(first);
    universe.run(waiting);
    assert!(second.is_present());
    assert_eq!(data(&universe, "/a").unwrap(), b"second");
}

#[test]
fn within_a_session_it_is_made_in_no_other() {
    let universe = Universe::new(6);
    let client = universe.client("app");
    let node = PersistentNode::new(&client, "/a", "").within_session();
    universe.run(node.start());
    universe.run(client.delete("/a"));
    universe.pass(seconds(1));
    assert!(node.is_present());
    universe.expire(&client);
    universe.pass(seconds(5));
    assert!(!node.is_present() && !universe.has("/a"));
    universe.run(node.start());
    assert!(node.is_present() && universe.has("/a"));
}

#[test]
fn what_cannot_be_made_is_told() {
    let universe = Universe::new(7);
    let client = universe.client("app");
    universe.run(client.create("/e", "").ephemeral());
    let node = PersistentNode::new(&client, "/e/below", "");
    // An ephemeral node has no children, whoever asks.
    let result = universe.end(node.start());
    assert!(
        matches!(result, Err(Error::NoChildrenForEphemerals)),
        "{result:?}"
    );
}

/// The session ends, and another client's node is in the place, while data waits for room in the
/// queue. It was written into that one, which has the same version.
#[test]
fn data_that_waits_for_room_is_not_written_into_the_node_of_another_session() {
    let universe = Universe::new(8);
    let latency = zk_sim::Latency::fixed(millis(10));
    universe.sim.network().set_latency(latency);
    let mut builder = Client::builder(universe.server.hosts());
    builder.session_timeout(seconds(6)).max_queued(1, 1 << 20);
    let client = universe.run(builder.connect(universe.sim.machine("app").handler()));
    let other = universe.client("other");
    let node = PersistentNode::new(&client, "/a", "mine");
    universe.run(node.start());
    let session = Universe::session(&client);
    let mut written = node.set_data("mine again").send();
    universe.pass(millis(1));
    for _ in 0..3 {
        let ahead = client.clone();
        client.spawn(async move { drop(ahead.exists("/b").await) });
    }
    universe.pass(millis(25));
    assert_eq!(client.stats().waiting_for_room, 3, "two reads and the data");
    let away = universe.away("app");
    let now = universe.server.machine().now();
    universe
        .server
        .with(|server| server.get_mut().unwrap().expire(now, session));
    let theirs = PersistentNode::new(&other, "/a", "theirs");
    universe.run(theirs.start());
    universe.back(away);
    universe.pass(seconds(3));
    assert_ne!(Universe::session(&client), session);
    assert_eq!(client.stats().waiting_for_room, 0);
    assert_eq!(data(&universe, "/a").unwrap(), b"theirs");
    assert!(written.try_take().is_none() && !node.is_present());
    universe.run(theirs.close());
    universe.run(written);
    universe.pass(seconds(1));
    assert!(node.is_present());
    assert_eq!(data(&universe, "/a").unwrap(), b"mine again");
}

/// It was made in the next one for a moment, by data that was to be written.
#[test]
fn data_for_a_node_within_a_session_makes_none_in_the_next() {
    let universe = Universe::new(9);
    let (client, other) = (universe.client("app"), universe.client("other"));
    let node = PersistentNode::new(&client, "/a", "").within_session();
    universe.run(node.start());
    let session = Universe::session(&client);
    let away = universe.away("app");
    let written = node.set_data("more").send();
    universe.pass(millis(1));
    let now = universe.server.machine().now();
    universe
        .server
        .with(|server| server.get_mut().unwrap().expire(now, session));
    let (stat, mut made) = universe.run(other.exists("/a").watched());
    assert_eq!(stat, None);
    universe.back(away);
    assert_eq!(universe.end(written), Err(Error::NotHeld));
    universe.pass(seconds(3));
    assert_ne!(Universe::session(&client), session);
    assert!(made.try_take().is_none(), "it was there");
}

/// A server reads a create when it has answered on the next connection: here the same session makes
/// the node once more instead.
#[test]
fn a_create_that_a_server_reads_late_leaves_no_node() {
    let universe = Universe::new(28);
    let client = universe.client("app");
    let node = PersistentNode::new(&client, "/late", "me");
    let started = node.start().send();
    universe.pass(std::time::Duration::ZERO);
    universe.cut("app");
    drop(started);
    let closed = node.close().send();
    universe.run(client.until_connected());
    for time in [millis(150), seconds(1)] {
        universe.pass(time);
        assert!(!closed.is_ready(), "it may still turn up");
        universe.run(client.create("/late", "me").ephemeral());
    }
    assert!(universe.run(closed), "there was one");
    universe.pass(seconds(3));
    assert!(!universe.has("/late"));
    // Not in doubt, it is gone at once.
    universe.run(node.start());
    let closed = node.close().send();
    universe.pass(millis(100));
    assert!(closed.is_ready());
}

// Parties. -----------------------------------------------------------------------------------------

async fn names(client: &Client, path: &str) -> Vec<String> {
    let names = client.get_children(path).await.unwrap();
    names.sorted().into_iter().map(str::to_owned).collect()
}

#[test]
fn members_come_and_go() {
    let universe = Universe::new(20);
    let (one, two) = (universe.client("one"), universe.client("two"));
    let first = Party::new(&one, "/party").identifier("first");
    let second = Party::new(&two, "/party").identifier("second");
    assert_eq!(universe.run(first.len()), 0);
    assert!(universe.run(first.members()).is_empty());
    universe.run(second.join());
    universe.run(first.join());
    universe.run(first.join());
    assert!(first.participating());
    assert_eq!(universe.run(first.len()), 2);
    assert_eq!(
        universe.run(first.members()),
        ["second", "first"],
        "as they came"
    );
    assert!(universe.run(second.leave()));
    assert!(!universe.run(second.leave()));
    assert_eq!(universe.run(first.members()), ["first"]);
    // Deleted by somebody else.
    let node = universe.end(names(&one, "/party")).remove(0);
    assert!(node.ends_with("__party__") && node.len() == 32 + 9);
    drop(two);
    one.close().send().detach();
    universe.pass(seconds(1));
    assert_eq!(children(&universe, "/party"), 0);
}

#[test]
fn shallow_members_are_read_from_one_list() {
    let universe = Universe::new(21);
    let client = universe.client("app");
    let party = ShallowParty::new(&client, "/party").identifier("host-1-x");
    let default = ShallowParty::new(&client, "/party/");
    universe.run(party.join());
    universe.run(default.join());
    let before = client.stats().session.requests;
    let members = universe.run(party.members());
    assert_eq!(client.stats().session.requests - before, 1);
    assert_eq!(members.len(), 2);
    assert!(members.contains(&"host-1-x".to_owned()));
    assert!(members.contains(&client.identity().to_owned()));
    let result = universe.end(ShallowParty::new(&client, "/p").identifier("a/b").join());
    assert!(matches!(
        result,
        Err(Error::Recipe(RecipeError::OutOfBounds { .. }))
    ));
}

#[test]
fn members_are_a_stream_too() {
    let universe = Universe::new(22);
    let client = universe.client("app");
    let one = Party::new(&client, "/party").identifier("one");
    let two = Party::new(&client, "/party").identifier("two");
    universe.end(async {
        let mut changes = one.members_changes();
        assert!(changes.next().await.unwrap().unwrap().is_empty());
        one.join().await.unwrap();
        while changes.next().await.unwrap().unwrap() != ["one"] {}
        two.join().await.unwrap();
        while changes.next().await.unwrap().unwrap() != ["one", "two"] {}
        one.leave().await.unwrap();
        while changes.next().await.unwrap().unwrap() != ["two"] {}
    });
}

#[test]
fn quirk_participating_is_not_said_of_a_session_that_is_gone() {
    let universe = Universe::new(23);
    let client = universe.client("app");
    let party = Party::new(&client, "/party");
    universe.run(party.join());
    universe.expire(&client);
    assert!(!party.participating());
    universe.pass(seconds(5));
    assert!(!party.participating());
    assert_eq!(universe.run(party.len()), 0);
    universe.run(party.join());
    assert!(party.participating());
    assert_eq!(universe.run(party.len()), 1);
}

#[test]
fn quirk_a_member_that_is_told_to_joins_again_by_itself() {
    let universe = Universe::new(24);
    let client = universe.client("app");
    let party = Party::new(&client, "/party").rejoining();
    universe.run(party.join());
    let mut presence = party.presence();
    universe.expire(&client);
    universe.pass(seconds(5));
    assert!(party.participating());
    assert_eq!(universe.run(party.len()), 1);
    let mut next = || universe.end(presence.next()).unwrap().unwrap();
    assert!(
        matches!(next(), Presence::Present { .. }),
        "the newest is seen first"
    );
    assert!(presence.try_next().is_none());
}

#[test]
fn quirk_other_children_are_no_members() {
    let universe = Universe::new(25);
    let client = universe.client("app");
    universe.run(client.create("/party/config", "").make_path());
    let shallow = ShallowParty::new(&client, "/party").identifier("me");
    let deep = Party::new(&client, "/party").identifier("me too");
    universe.run(shallow.join());
    assert_eq!(universe.run(shallow.len()), 1);
    assert_eq!(universe.run(shallow.members()), ["me"]);
    universe.run(deep.join());
    assert_eq!(universe.run(deep.len()), 1);
    assert_eq!(universe.run(deep.members()), ["me too"]);
}

#[test]
fn the_last_clone_leaves() {
    let universe = Universe::new(26);
    let client = universe.client("app");
    let party = Party::new(&client, "/party");
    let clone = party.clone();
    universe.run(party.join());
    drop(party);
    universe.pass(millis(500));
    assert_eq!(children(&universe, "/party"), 1);
    drop(clone);
    universe.pass(millis(500));
    assert_eq!(children(&universe, "/party"), 0);
}

/// Its create is on two servers of five when its reply is lost, and committed when they are five
/// again.
#[test]
fn a_create_that_servers_finish_late_leaves_no_node() {
    let sim = Sim::new(27);
    let hosts = ["s1:2181", "s2:2181", "s3:2181", "s4:2181", "s5:2181"];
    let ensemble = sim.ensemble(&hosts, Options::new());
    let connect = |name: &str, hosts: &str| {
        let mut builder = Client::builder(hosts);
        builder.session_timeout(seconds(20)).randomize_hosts(false);
        let client = builder.connect(sim.machine(name).handler());
        sim.block_on(client).unwrap().unwrap()
    };
    let observer = connect("observer", ensemble.hosts());
    let leader = ensemble.leader().unwrap();
    let name = |member: MemberId| format!("s{}", member.0);
    let others: Vec<String> = (1..=5)
        .map(MemberId)
        .filter(|member| *member != leader)
        .map(name)
        .collect();
    let (leader, follower) = (name(leader), &*others[0]);
    // After the leader the follower is the next.
    let client = connect("app", &format!("{leader}:2181,{follower}:2181"));
    let far: Vec<&str> = others[1..].iter().map(String::as_str).collect();
    sim.network().partition(&["app", &leader, follower], &far);

    let node = PersistentNode::new(&client, "/late", "me");
    let started = node.start().send();
    sim.run_for(millis(100)).unwrap();
    assert!(!node.is_present());
    let cut = sim.network().cut("app", &leader, Cut::BeforeDelivery);
    assert_eq!(cut, 1);
    sim.block_on(client.until_connected()).unwrap().unwrap();
    drop(started);
    let closed = node.close().send();
    sim.run_for(seconds(5)).unwrap();
    assert!(!closed.is_ready(), "nobody knows yet what becomes of it");

    sim.network().heal_all();
    sim.block_on(closed).unwrap().unwrap();
    sim.run_for(seconds(5)).unwrap();
    let left = observer.exists("/late").linearizable();
    assert_eq!(sim.block_on(left).unwrap().unwrap(), None);
    let log = format!("{}", ensemble.committed_log());
    assert!(log.contains("/late"), "it was not made at all: {log}");
}
