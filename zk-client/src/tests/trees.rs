//! Walking trees, and deleting them.

use zk_proto::{ErrorCode, OpCode};

use super::Rig;
use super::retrying::policy;
use super::world::{Fault, World};
use crate::Error;

fn tree(root: &str, width: usize) -> Vec<String> {
    let mut paths = vec![root.to_owned()];
    for a in 0..width {
        paths.push(format!("{root}/{a}"));
        paths.extend((0..width).map(|b| format!("{root}/{a}/{b}")));
    }
    paths
}

fn world(paths: &[String]) -> World {
    World::new(&paths.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_tree_goes_deepest_first_and_many_at_a_time() {
    let mut world = world(&tree("/t", 20));
    let client = world.rig.client.clone();
    assert_eq!(world.run(client.delete("/t").recursive()), Ok(()));
    assert!(world.paths().is_empty());
    assert_eq!(world.count("delete "), 421);
    // One that is gone is fine.
    assert_eq!(world.run(client.delete("/t").recursive()), Ok(()));
}

#[test]
fn nodes_that_come_and_go_meanwhile_are_fine() {
    let mut world = world(&tree("/t", 3));
    let client = world.rig.client.clone();
    world
        .meanwhile
        .push_back((OpCode::DELETE, "/t/0/late".to_owned()));
    world
        .meanwhile
        .push_back((OpCode::DELETE, "/t/later".to_owned()));
    world.fail(OpCode::GET_CHILDREN, Fault::Answer(ErrorCode::NO_NODE));
    assert_eq!(world.run(client.delete("/t").recursive()), Ok(()));
    world.faults.clear();
    assert_eq!(world.run(client.delete("/t").recursive()), Ok(()));
    assert!(world.paths().is_empty(), "{:?}", world.paths());
}

#[test]
fn it_does_not_go_round_for_ever() {
    let mut world = world(&tree("/t", 1));
    let client = world.rig.client.clone();
    for at in 0..100 {
        world
            .meanwhile
            .push_back((OpCode::GET_CHILDREN, format!("/t/x{at}")));
        world
            .meanwhile
            .push_back((OpCode::DELETE, format!("/t/y{at}")));
    }
    let deleted = world.run(client.delete("/t").recursive());
    assert_eq!(deleted, Err(Error::NotEmpty));
}

#[test]
fn errors_and_the_roots_version_count() {
    let mut world = world(&tree("/t", 2));
    let client = world.rig.client.clone();
    world.fail(OpCode::DELETE, Fault::Answer(ErrorCode::NO_AUTH));
    assert_eq!(
        world.run(client.delete("/t").recursive()),
        Err(Error::NoAuth)
    );
    let deleted = world.run(client.delete("/t").version(3).recursive());
    assert_eq!(deleted, Err(Error::BadVersion));
    assert_eq!(world.paths(), ["/t"]);
    assert_eq!(
        world.run(client.delete("/").recursive()),
        Err(Error::BadArguments)
    );
}

#[test]
fn a_retry_goes_on_where_it_was() {
    let mut world = World::of(Rig::new("h1/app"), &["/app", "/app/t", "/app/t/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::GET_CHILDREN, Fault::LostBefore);
    world.fail(OpCode::DELETE, Fault::LostAfter);
    let deleted = client.retry(&policy(), client.delete("/t").recursive());
    assert_eq!(world.run(deleted), Ok(()));
    assert_eq!(world.paths(), ["/app"]);
    // The root path's own node.
    assert_eq!(world.run(client.delete("/").recursive()), Ok(()));
    assert!(world.paths().is_empty());
}

#[test]
fn a_walk_comes_by_every_node_parents_first() {
    let expected = tree("/t", 10);
    let mut world = world(&expected);
    let client = world.rig.client.clone();
    let walk = async {
        let mut walk = client.walk("t").window(7);
        let mut seen = Vec::new();
        while let Some(node) = walk.next().await {
            let node = node?;
            let parent = node.path.rsplit_once('/').unwrap().0.to_owned();
            assert!(parent.is_empty() || seen.contains(&parent));
            seen.push(node.path);
        }
        Ok::<_, Error>(seen)
    };
    let mut seen = world.run(walk).unwrap();
    seen.sort();
    assert_eq!(seen, {
        let mut all = expected;
        all.sort();
        all
    });
}

#[test]
fn a_walk_tells_what_it_may_not_see_and_ends_with_an_error() {
    let mut world = World::new(&["/t"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::GET_CHILDREN, Fault::Answer(ErrorCode::NO_AUTH));
    let mut walk = client.walk("/t");
    let node = world.run(walk.next()).unwrap().unwrap();
    assert!(node.path == "/t" && node.children.is_none());
    assert!(world.run(walk.next()).is_none());
    world.fail(OpCode::GET_CHILDREN, Fault::LostBefore);
    let mut walk = client.walk("/t");
    let lost = Error::ConnectionLoss { sent: true };
    assert_eq!(world.run(walk.next()).unwrap().unwrap_err(), lost);
    assert!(world.run(walk.next()).is_none());
    assert!(matches!(
        world.run(client.walk("/a//b/..").next()),
        Some(Err(Error::Path(_)))
    ));
}
