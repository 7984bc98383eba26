//! Who leads, and what becomes of logs.

use zk_proto::{CreateMode, Reply};
use zk_server::PeerState;

use crate::rig::{
    World,
    client::{create, set},
};

#[test]
fn three_members_elect_a_leader_and_commit() {
    let mut world = World::new(3, 1);
    let leader = world.settle();
    assert!(world.time() < crate::rig::TICK * 3, "{world:?}");
    let client = world.client(leader);
    let reply = world.call(client, &create("/a", "1", CreateMode::Persistent));
    assert_eq!(reply, Some(Ok(Reply::Path("/a".into()))));
    world.ticks(1);
    for at in 0..3 {
        assert_eq!(world.committed(at).len(), 2);
        assert!(world.peers[at].tree().unwrap().node("/a").is_some());
    }
}

#[test]
fn one_member_is_a_majority_of_one() {
    let mut world = World::new(1, 1);
    let leader = world.settle();
    let client = world.client(leader);
    assert!(world.call(client, &set("/zookeeper", "x")).unwrap().is_ok());
    assert_eq!(world.state(0), PeerState::Leading);
}
