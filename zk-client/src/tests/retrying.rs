//! `retry`: what is repeated, what is looked up, and what is left unknown.

use std::task::Poll;
use std::time::Duration;

use zk_proto::{Acl, ErrorCode, EventType, OpCode};

use super::world::{Fault, World};
use super::{Rig, poll_once};
use crate::{BackoffPolicy, Doubt, Error, Outcome};

pub(super) fn policy() -> BackoffPolicy {
    BackoffPolicy::new().max_tries(4)
}

/// The reason of an `Unknown`, which also says so as an outcome.
fn doubt<T: std::fmt::Debug>(result: Result<T, Error>) -> Doubt {
    let error = result.unwrap_err();
    assert_eq!(error.outcome(), Some(Outcome::Unknown));
    let Error::Unknown { why, .. } = error else {
        panic!("{error}");
    };
    why
}

#[test]
fn what_was_never_sent_is_sent_again_whatever_it_is() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    let mut set = client.retry(&policy(), client.set("/a", "x").version(0));
    let mut make = client.retry(&policy(), client.create("/s-", "").sequential());
    let mut multi = client.retry(&policy(), client.transaction().create("/m", "").commit());
    assert!(poll_once(&mut set).is_pending());
    assert!(poll_once(&mut make).is_pending());
    assert!(poll_once(&mut multi).is_pending());
    world.rig.cut();
    assert_eq!(world.run(set).unwrap().version, 1);
    assert_eq!(world.run(make).unwrap(), "/s-0000000000");
    assert!(world.run(multi).is_ok());
    assert_eq!(world.count("create"), 1);
}

#[test]
fn reads_and_writes_without_version_are_repeated() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::ExpiredAfter] {
        let mut world = World::new(&["/a"]);
        let client = world.rig.client.clone();
        for opcode in [
            OpCode::GET_DATA,
            OpCode::SYNC,
            OpCode::SET_DATA,
            OpCode::SET_ACL,
        ] {
            world.fail(opcode, fault);
        }
        assert!(world.run(client.retry(&policy(), client.get("/a"))).is_ok());
        assert!(
            world
                .run(client.retry(&policy(), client.sync("/a")))
                .is_ok()
        );
        let stat = world
            .run(client.retry(&policy(), client.set("/a", "x")))
            .unwrap();
        assert_eq!(stat.version, if fault == Fault::LostBefore { 1 } else { 2 });
        let acl = client.set_acls("/a", Acl::open_unsafe());
        assert!(world.run(client.retry(&policy(), acl)).is_ok());
        assert_eq!(world.count("setData"), 2, "{:?}", world.log);
    }
}

#[test]
fn reads_are_repeated_with_their_watches() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::GET_DATA, Fault::LostAfter);
    world.fail(OpCode::ADD_WATCH, Fault::LostAfter);
    let (.., mut watch) = world
        .run(client.retry(&policy(), client.get("/a").watched()))
        .unwrap();
    let mut stream = world
        .run(client.retry(&policy(), client.add_watch("/b")))
        .unwrap();
    let event = Rig::event_frame(EventType::NODE_DATA_CHANGED, "/a");
    world.rig.feed(&event);
    assert_eq!(watch.try_take().unwrap().unwrap().path, "/a");
    let event = Rig::event_frame(EventType::NODE_CREATED, "/b");
    world.rig.feed(&event);
    assert!(stream.try_next().is_some());
}

#[test]
fn a_delete_without_version_takes_its_own_success() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let mut world = World::new(&["/a"]);
        let client = world.rig.client.clone();
        world.fail(OpCode::DELETE, fault);
        assert_eq!(
            world.run(client.retry(&policy(), client.delete("/a"))),
            Ok(())
        );
        assert!(world.paths().is_empty());
    }
    // Nothing was lost: there was no such node.
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let delete = world.run(client.retry(&policy(), client.delete("/a")));
    assert_eq!(delete, Err(Error::NoNode));
    // Refused, and therefore not done.
    world.fail(OpCode::DELETE, Fault::Answer(ErrorCode::THROTTLED_OP));
    let delete = world.run(client.retry(&policy(), client.delete("/a")));
    assert_eq!(delete, Err(Error::NoNode));
}

#[test]
fn writes_with_a_version_end_as_unknown() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let mut world = World::new(&["/a"]);
        let client = world.rig.client.clone();
        world.fail(OpCode::SET_DATA, fault);
        let set = world.run(client.retry(&policy(), client.set("/a", "").version(0)));
        assert_eq!(doubt(set), Doubt::Versioned);
        world.fail(OpCode::SET_ACL, fault);
        let acl = client.set_acls("/a", Acl::open_unsafe()).version(0);
        assert_eq!(
            doubt(world.run(client.retry(&policy(), acl))),
            Doubt::Versioned
        );
        world.fail(OpCode::DELETE, fault);
        let delete = client.delete("/a").version(0);
        assert_eq!(
            doubt(world.run(client.retry(&policy(), delete))),
            Doubt::Versioned
        );
        assert_eq!(world.count("setData"), 1);
    }
}

#[test]
fn a_plain_create_is_unknown_only_if_there_is_a_new_node() {
    let mut world = World::new(&["/old"]);
    world.catch_up();
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::LostBefore);
    let made = world.run(client.retry(&policy(), client.create("/a", "")));
    assert_eq!(made.as_deref(), Ok("/a"));
    assert_eq!(
        world.log,
        ["create /a", "sync /a", "exists /a", "create /a"]
    );

    world.fail(OpCode::CREATE, Fault::LostAfter);
    let made = world.run(client.retry(&policy(), client.create("/b", "")));
    assert_eq!(doubt(made), Doubt::Exists);

    // Known for older than the call.
    world.fail(OpCode::CREATE, Fault::LostAfter);
    let made = world.run(client.retry(&policy(), client.create("/old", "")));
    assert_eq!(made, Err(Error::NodeExists));
}

#[test]
fn an_ephemeral_create_is_known_by_its_owner() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let path = format!("/{fault:?}");
        world.fail(OpCode::CREATE, fault);
        let made = client.create(&path, "").ephemeral().with_stat();
        let (made, stat) = world.run(client.retry(&policy(), made)).unwrap();
        assert_eq!((made, stat.ephemeral_owner.0), (path, world.session));
    }
    // Somebody else was faster.
    world.fail(OpCode::CREATE, Fault::LostBefore);
    world.meanwhile.push_back((OpCode::SYNC, "/c".to_owned()));
    let made = client.create("/c", "").ephemeral();
    assert_eq!(
        world.run(client.retry(&policy(), made)),
        Err(Error::NodeExists)
    );
}

#[test]
fn what_depends_on_the_session_ends_with_it() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    world.fail(OpCode::CREATE, Fault::ExpiredAfter);
    let made = world.run(client.retry(&policy(), client.create("/a", "").ephemeral()));
    assert_eq!(made, Err(Error::SessionExpired { sent: true }));
    world.fail(OpCode::CREATE, Fault::ExpiredAfter);
    let made = client.create("/b", "").ephemeral().protected();
    let made = world.run(client.retry(&policy(), made));
    assert_eq!(made, Err(Error::SessionExpired { sent: true }));
    assert_eq!(world.count("create"), 2);
    // Others go on, unless told otherwise.
    world.fail(OpCode::GET_DATA, Fault::ExpiredAfter);
    assert!(world.run(client.retry(&policy(), client.get("/"))).is_ok());
}

#[test]
fn a_sequential_create_is_unknown_and_made_once() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        world.fail(OpCode::CREATE, fault);
        let made = client.create("/a-", "").sequential();
        assert_eq!(
            doubt(world.run(client.retry(&policy(), made))),
            Doubt::Sequential
        );
    }
    assert_eq!(world.count("create"), 2);
}

#[test]
fn delays_grow_and_tries_are_counted() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    for _ in 0..3 {
        world.fail(OpCode::GET_DATA, Fault::Answer(ErrorCode::THROTTLED_OP));
    }
    let begun = world.rig.now();
    let policy = BackoffPolicy::new().jitter(0.0).max_tries(4);
    assert!(world.run(client.retry(&policy, client.get("/a"))).is_ok());
    assert_eq!(
        world.rig.now() - begun,
        Duration::from_millis(100 + 200 + 400)
    );

    for _ in 0..4 {
        world.fail(OpCode::SET_DATA, Fault::LostAfter);
    }
    let error = world
        .run(client.retry(&policy, client.set("/a", "")))
        .unwrap_err();
    let last = Box::new(Error::ConnectionLoss { sent: true });
    let (attempts, outcome) = (4, Outcome::Unknown);
    assert_eq!(
        error,
        Error::RetryFailed {
            attempts,
            outcome,
            last
        }
    );
    assert_eq!(world.nodes["/a"].stat.version, 4);

    for _ in 0..2 {
        world.fail(OpCode::SET_DATA, Fault::Answer(ErrorCode::NOT_READ_ONLY));
    }
    let error = client.retry(&policy.max_tries(2), client.set("/a", ""));
    let error = world.run(error).unwrap_err();
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
}

#[test]
fn no_attempt_begins_after_the_limit_of_policy_or_call() {
    for by_policy in [true, false] {
        let mut world = World::new(&["/a"]);
        let client = world.rig.client.clone();
        for _ in 0..10 {
            world.fail(OpCode::GET_DATA, Fault::Answer(ErrorCode::THROTTLED_OP));
        }
        let limit = Duration::from_millis(400);
        let policy = BackoffPolicy::new().jitter(0.0);
        let get = if by_policy {
            client.retry(&policy.deadline(limit), client.get("/a"))
        } else {
            client.retry(&policy, client.get("/a")).timeout(limit)
        };
        let begun = world.rig.now();
        let error = world.run(get).unwrap_err();
        assert!(
            matches!(error, Error::RetryFailed { attempts: 3, .. }),
            "{error}"
        );
        assert!(world.rig.now() - begun <= limit);
    }
}

#[test]
fn the_limit_of_the_inner_call_is_that_of_an_attempt() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::SET_DATA, Fault::Silent);
    let set = client.set("/a", "").timeout(Duration::from_millis(100));
    assert_eq!(world.run(client.retry(&policy(), set)).unwrap().version, 2);
    world.fail(OpCode::DELETE, Fault::Silent);
    let delete = client.delete("/a").timeout(Duration::from_millis(100));
    assert_eq!(world.run(client.retry(&policy(), delete)), Ok(()));
}

#[test]
fn a_failed_repetition_does_not_hide_an_earlier_success() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::SET_DATA, Fault::LostAfter);
    let mut set = client.retry(&policy(), client.set("/a", ""));
    assert!(poll_once(&mut set).is_pending());
    world.serve();
    world.nodes.remove("/a");
    assert_eq!(doubt(world.run(set)), Doubt::RepetitionFailed);
}

#[test]
fn other_errors_end_it_at_once() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let get = world.run(client.retry(&policy(), client.get("/a")));
    assert_eq!(get, Err(Error::NoNode));
    assert!(matches!(
        world.run(client.retry(&policy(), client.get("a/../b"))),
        Err(Error::Path(_))
    ));
    assert_eq!(world.log, ["getData /a"]);
}

#[test]
fn closing_ends_the_pause() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::SET_DATA, Fault::LostAfter);
    let mut set = client.retry(&policy(), client.set("/a", ""));
    assert!(poll_once(&mut set).is_pending());
    world.serve();
    assert!(poll_once(&mut set).is_pending());
    client.close().timeout(Duration::ZERO).send().detach();
    world.rig.advance(Duration::from_millis(1));
    assert_eq!(
        poll_once(&mut set),
        Poll::Ready(Err(Error::Closed { sent: true }))
    );
}

#[test]
fn it_can_be_sent_and_given_up() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::GET_DATA, Fault::LostAfter);
    let get = client.retry_default(client.get("/a")).send();
    assert!(world.run(get).is_ok());
    world.fail(OpCode::GET_DATA, Fault::Silent);
    drop(client.retry_default(client.get("/a")).send());
    world.settle();
}

#[test]
fn functions_are_called_again() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::SET_DATA, Fault::LostAfter);
    let mut calls = 0;
    let version = client.retry_with(&policy(), move |client| {
        calls += 1;
        async move {
            let stat = client.set("/a", "").await?;
            if calls < 3 {
                return Err(Error::TryAgain);
            }
            Ok((calls, stat.version))
        }
    });
    assert_eq!(world.run(version), Ok((3, 3)));

    let never = client.retry_with(&policy().max_tries(10), |_| async {
        Err::<(), _>(Error::TryAgain)
    });
    let error = world.run(never).unwrap_err();
    assert!(matches!(error, Error::RetryFailed { attempts: 10, .. }));
    let never = client.retry_with(&policy(), |_| async { Err::<(), _>(Error::NoNode) });
    assert_eq!(world.run(never), Err(Error::NoNode));
    let closed = client.retry_with(&policy(), |_| async {
        Err::<(), _>(Error::Closed { sent: false })
    });
    assert_eq!(world.run(closed), Err(Error::Closed { sent: false }));
    let stuck = client.retry_with(&policy(), |_| std::future::pending::<Result<(), Error>>());
    let stuck = stuck.timeout(Duration::from_secs(1));
    assert_eq!(world.run(stuck), Err(Error::Timeout { sent: true }));
}

#[test]
fn an_expired_session_is_retried_unless_told_otherwise() {
    let expired = || async { Err::<(), _>(Error::SessionExpired { sent: false }) };
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let retried = world.run(client.retry_with(&policy(), move |_| expired()));
    assert!(matches!(
        retried,
        Err(Error::RetryFailed { attempts: 4, .. })
    ));
    let once = client.retry_with(&policy(), move |_| expired());
    let once = world.run(once.within_session());
    assert_eq!(once, Err(Error::SessionExpired { sent: false }));
}
