//! Protected creates.

use std::task::Poll;
use std::time::Duration;

use zk_proto::{ErrorCode, OpCode};

use super::retrying::policy;
use super::world::{Fault, SESSION, World};
use super::{Rig, poll_once};
use crate::op::Started;
use crate::{BackoffPolicy, Client, Error, Outcome};

/// The id in the name, which has the form that Curator's have.
fn id(path: &str) -> &str {
    let name = path.rsplit_once('/').unwrap().1;
    let (id, _) = name.strip_prefix("_c_").unwrap().split_at(36);
    assert_eq!(id.matches('-').count(), 4, "{path}");
    assert_eq!(&name[39..40], "-", "{path}");
    id
}

#[test]
fn a_lost_reply_is_made_good() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::LostAfter);
    let path = world.run(client.create("/a/n", "").protected()).unwrap();
    assert!(path.ends_with("-n"), "{path}");
    id(&path);
    world.fail(OpCode::CREATE, Fault::LostAfter);
    let made = client
        .create("/a/n-", "")
        .ephemeral()
        .sequential()
        .protected();
    let second = world.run(made).unwrap();
    assert!(second.ends_with("-n-0000000001"), "{second}");
    assert_ne!(id(&path), id(&second));
    assert_eq!(world.count("create"), 2);
    let mut paths = world.paths();
    paths.retain(|path| *path != "/a");
    assert_eq!(paths.len(), 2);
    world.settle();
    assert_eq!(world.count("delete"), 0);
}

/// Recipes have names of their own, and need the same care.
#[test]
fn a_name_that_is_unique_already_stays() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::LostAfter);
    let made = client.create("/a/0123-lock-", "").ephemeral().sequential();
    let path = world.run(made.unique()).unwrap();
    assert_eq!(path, "/a/0123-lock-0000000000");
    world.fail(OpCode::CREATE, Fault::LostAfter);
    let dropped = client.create("/a/4567", "").ephemeral().unique().send();
    drop(dropped);
    world.settle();
    assert_eq!(world.paths(), ["/a", "/a/0123-lock-0000000000"]);
}

#[test]
fn a_lost_request_is_not_applied() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::LostBefore);
    let made = client.create("/a/n-", "").sequential().protected();
    let error = world.run(made).unwrap_err();
    assert_eq!(error, Error::ConnectionLoss { sent: false });
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    world.settle();
    assert_eq!(world.paths(), ["/a"]);
}

#[test]
fn a_retry_makes_it_once() {
    let mut world = World::of(Rig::new("h1/app"), &["/app", "/app/a"]);
    let client = world.rig.client.clone();
    // The look is lost, too, and then the second attempt's reply.
    for (opcode, fault) in [
        (OpCode::CREATE2, Fault::LostBefore),
        (OpCode::SYNC, Fault::LostBefore),
        (OpCode::CREATE2, Fault::LostAfter),
        (OpCode::GET_CHILDREN, Fault::LostAfter),
    ] {
        world.fail(opcode, fault);
    }
    let made = client
        .create("/a/", "x")
        .sequential()
        .protected()
        .with_stat();
    let policy = BackoffPolicy::new().max_tries(8);
    let (path, stat) = world.run(client.retry(&policy, made)).unwrap();
    assert!(
        path.starts_with("/a/_c_") && path.ends_with("-0000000000"),
        "{path}"
    );
    assert_eq!(stat, world.nodes[&format!("/app{path}")].stat);
    assert_eq!(world.count("create2"), 2);
    assert_eq!(world.paths().len(), 3);
}

#[test]
fn missing_parents_are_made() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let made = client.create("/a/b/n", "").make_path().protected();
    let path = world.run(made).unwrap();
    assert!(path.starts_with("/a/b/_c_"), "{path}");
}

#[test]
fn a_foreign_node_of_a_similar_name_is_not_taken() {
    let mut world = World::new(&[
        "/a",
        "/a/_c_",
        "/a/_c_0",
        "/a/_c_00000000-0000-4000-a000-000000000000-n-0000000001",
    ]);
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::LostBefore);
    let made = client.create("/a/n-", "").sequential().protected();
    assert!(world.run(made).is_err());
}

#[test]
fn a_node_of_an_old_session_does_not_count() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::Silent);
    let made = client
        .create("/a/n-", "")
        .ephemeral()
        .sequential()
        .protected();
    let mut made = client.retry(&policy(), made);
    assert!(poll_once(&mut made).is_pending());
    world.serve();
    // It is there, but somebody else's by now.
    let node = world
        .nodes
        .iter_mut()
        .find(|(path, _)| path.contains("_c_"));
    node.unwrap().1.stat.ephemeral_owner.0 = SESSION - 1;
    world.rig.cut();
    let path = world.run(made).unwrap();
    assert!(path.ends_with("-n-0000000001"), "{path}");
    assert_eq!(world.nodes[&path].stat.ephemeral_owner.0, SESSION);
    assert_eq!(world.count("create"), 2);
}

/// Gives up a create, and expects that nothing is left of it.
fn give_up(world: &mut World, give_up: impl FnOnce(&mut World, &Client)) {
    let client = world.rig.client.clone();
    give_up(world, &client);
    world.settle();
    assert_eq!(world.paths(), ["/a"], "{:?}", world.log);
}

#[test]
fn what_is_given_up_leaves_no_node_behind() {
    let mut world = World::new(&["/a"]);
    let world = &mut world;
    // Dropped with the reply still to come.
    give_up(world, |world, client| {
        let mut made = client.create("/a/n", "").protected();
        assert!(poll_once(&mut made).is_pending());
        drop(made);
        world.serve();
    });
    // Dropped when the reply is there, and nobody has looked.
    give_up(world, |world, client| {
        let mut made = client
            .create("/a/n", "")
            .ephemeral()
            .sequential()
            .protected();
        assert!(poll_once(&mut made).is_pending());
        world.serve();
        assert_eq!(world.paths().len(), 2);
        drop(made);
    });
    // Dropped after the reply was lost.
    give_up(world, |world, client| {
        world.fail(OpCode::CREATE, Fault::LostAfter);
        let mut made = client.retry(&policy(), client.create("/a/n", "").protected());
        assert!(poll_once(&mut made).is_pending());
        world.serve();
        assert_eq!(world.paths().len(), 2);
        drop(made);
        // The first attempt to clean up is lost, too.
        world.fail(OpCode::DELETE, Fault::LostBefore);
    });
    // Timed out.
    give_up(world, |world, client| {
        world.fail(OpCode::CREATE, Fault::Silent);
        let made = client
            .create("/a/n", "")
            .protected()
            .timeout(Duration::from_millis(100));
        assert_eq!(world.run(made), Err(Error::Timeout { sent: true }));
    });
    // Sent, and the result dropped.
    give_up(world, |world, client| {
        let made = client.create("/a/n", "").protected().send();
        world.rig.handler.run_tasks();
        drop(made);
    });
    // Given up before anything was sent: nothing is made at all.
    let creates = world.count("create");
    give_up(world, |_, client| {
        let mut made = client.create("/a/n", "").protected();
        assert!(poll_once(&mut made).is_pending());
    });
    assert_eq!(world.count("create"), creates);
}

/// Only single creates were cleaned up.
#[test]
fn a_transaction_that_is_given_up_leaves_no_protected_node_behind() {
    let commit = |client: &Client| {
        client
            .transaction()
            .with(client.create("/a/n", "").protected())
            .check("/a", 0)
            .with(client.create("/a/s-", "").sequential().protected())
            .commit()
            .send()
    };
    let retry = |client: &Client| {
        let transaction = client
            .transaction()
            .with(client.create("/a/n", "").protected())
            .with(client.create("/a/s-", "").sequential().protected());
        client.retry(&policy(), transaction.commit()).send()
    };
    let mut world = World::new(&["/a"]);
    let world = &mut world;
    for call in [&commit as &dyn Fn(&Client) -> _, &retry] {
        // Dropped with the reply still to come.
        give_up(world, |world, client| {
            let made = call(client);
            world.rig.handler.run_tasks();
            drop(made);
            world.serve();
            assert_eq!(world.paths().len(), 3);
        });
        // Dropped when the reply is there, and nobody has looked.
        give_up(world, |world, client| {
            let made = call(client);
            deliver(world);
            assert!(made.is_ready());
            assert_eq!(world.paths().len(), 3);
            drop(made);
        });
        // Dropped after the reply was lost.
        give_up(world, |world, client| {
            world.fail(OpCode::MULTI, Fault::LostAfter);
            let made = call(client);
            deliver(world);
            assert_eq!(world.paths().len(), 3);
            drop(made);
        });
        // With an owner they stay.
        let client = world.rig.client.clone();
        let made = world.run(call(&client)).unwrap();
        world.settle();
        assert_eq!(world.paths().len(), 3, "{:?}", world.log);
        for result in made {
            if let Some(path) = result.path() {
                world.run(client.delete(path)).unwrap();
            }
        }
    }
}

/// Nothing of it was to be done, said the retry of a transaction whose first attempt was carried
/// out late.
#[test]
fn a_transaction_that_a_server_reads_late_is_done_once() {
    let mut world = World::new(&["/a", "/b"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::MULTI, Fault::Late(OpCode::EXISTS));
    let made = client
        .transaction()
        .delete("/b")
        .with(client.create("/a/n", "").protected());
    let results = world.run(client.retry(&policy(), made.commit())).unwrap();
    let path = results[1].path().unwrap();
    world.settle();
    assert_eq!(world.paths(), ["/a", path]);
    assert_eq!(world.count("multi"), 2);
}

#[test]
fn a_result_that_nobody_takes_leaves_no_node_behind() {
    let mut world = World::new(&["/a"]);
    let world = &mut world;
    // It is in its slot already.
    give_up(world, |world, client| {
        let made = client.create("/a/n", "").protected().send();
        deliver(world);
        assert!(made.is_ready());
        assert_eq!(world.paths().len(), 2);
        drop(made);
    });
    // As the result of a retry, with a second node that is found late.
    give_up(world, |world, client| {
        world.fail(OpCode::CREATE, Fault::Late(OpCode::GET_CHILDREN));
        let made = client.create("/a/n-", "").sequential().protected();
        let made = client.retry(&policy(), made).send();
        while !made.is_ready() {
            world.turn();
        }
        assert_eq!(world.paths().len(), 3);
        drop(made);
    });
    // Sent after it was polled.
    give_up(world, |world, client| {
        let mut made = client.create("/a/n", "").ephemeral().protected();
        assert!(poll_once(&mut made).is_pending());
        let made = made.send();
        deliver(world);
        assert!(made.is_ready());
    });
}

#[test]
fn a_result_that_comes_just_as_it_is_given_up_leaves_no_node_behind() {
    let mut world = World::new(&["/a"]);
    give_up(&mut world, |world, client| {
        let mut made = client.create("/a/n", "").protected();
        let Ok(Started::Claimable(mut steps, claim)) = made.begin() else {
            panic!("somebody has to claim it");
        };
        assert!(poll_once(&mut steps).is_pending());
        world.serve();
        // Whoever drives it has seen the end, whoever waited for it has gone in between.
        drop(claim);
        let path = match poll_once(&mut steps) {
            Poll::Ready(path) => path.unwrap(),
            Poll::Pending => panic!("the reply is there"),
        };
        assert_eq!(world.paths(), ["/a", &*path]);
    });
}

#[test]
fn a_result_with_an_owner_keeps_its_node() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    let create = |world: &mut World, early: bool| {
        let made = client.create("/a/n", "").protected().send();
        if !early {
            deliver(world);
            assert!(made.is_ready());
        }
        made
    };
    for early in [true, false] {
        create(&mut world, early).detach();
        let (sender, receiver) = std::sync::mpsc::channel();
        create(&mut world, early).on_complete(move |path| sender.send(path).unwrap());
        world.settle();
        world.rig.run_callbacks();
        assert!(receiver.try_recv().unwrap().is_ok());
    }
    let mut taken = create(&mut world, false);
    assert!(taken.try_take().unwrap().is_ok());
    drop(taken);
    assert!(create(&mut world, false).wait().is_ok());
    let waited = create(&mut world, false).wait_timeout(Duration::ZERO);
    assert!(waited.is_ok());
    let polled = poll_once(&mut create(&mut world, false));
    assert!(matches!(polled, Poll::Ready(Ok(_))));
    world.settle();
    assert_eq!(world.paths().len(), 1 + 4 + 4, "{:?}", world.log);
    assert_eq!(world.count("delete"), 0);
}

/// Lets the peer answer, and background tasks hear of it.
fn deliver(world: &mut World) {
    world.rig.handler.run_tasks();
    world.serve();
    world.rig.handler.run_tasks();
}

#[test]
fn a_refusal_leaves_nothing_to_clean_up() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    assert_eq!(
        world.run(client.create("/a/n", "").protected()),
        Err(Error::NoNode)
    );
    world.fail(OpCode::CREATE, Fault::Answer(ErrorCode::NO_AUTH));
    assert_eq!(
        world.run(client.create("/n", "").protected()),
        Err(Error::NoAuth)
    );
    assert_eq!(world.rig.handler.tasks(), 0);
}

#[test]
fn what_a_server_reads_late_is_found_and_deleted() {
    // Behind the look: the second attempt meets the node of the first.
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::Late(OpCode::EXISTS));
    let made = client.retry(&policy(), client.create("/a/n", "").protected());
    let path = world.run(made).unwrap();
    world.settle();
    assert_eq!(world.paths(), ["/a", &*path]);
    // The same, and a second node is made.
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::Late(OpCode::GET_CHILDREN));
    let made = client.create("/a/n-", "").sequential().protected();
    let path = world.run(client.retry(&policy(), made)).unwrap();
    assert_eq!(world.paths().len(), 3);
    world.settle();
    assert_eq!(world.paths(), ["/a", &*path]);
    // Behind the first look of the background.
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::Late(OpCode::GET_CHILDREN));
    let mut made = client.create("/a/n-", "").sequential().protected();
    assert!(poll_once(&mut made).is_pending());
    world.serve();
    drop(made);
    world.settle();
    assert_eq!(world.paths(), ["/a"]);
}
