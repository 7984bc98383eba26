//! The rows of the table of `line.rs`, one by one.

use zk_client::testing::lose_connection;
use zk_client::{Error, State};
use zk_proto::OpCode;
use zk_recipes::{Lock, Loss};
use zk_server::{Fault, Matcher};

use crate::rig::{Rig, T, WAY, millis, seconds, session_of};

fn of(opcode: OpCode) -> Matcher {
    Matcher::any().opcode(opcode)
}

#[test]
fn a_lost_reply_to_the_create_leaves_one_node() {
    for fault in [Fault::CutAfter, Fault::CutBefore] {
        let rig = Rig::new(1);
        let client = rig.client("a");
        rig.run(client.ensure_path("/l")).unwrap();
        rig.inject(of(OpCode::CREATE2), fault);
        let guard = rig.run(Lock::new(&client, "/l").acquire()).unwrap();
        assert!(guard.is_held());
        rig.pass(seconds(5));
        assert_eq!(rig.children("/l").len(), 1);
        assert_eq!(format!("/l/{}", rig.children("/l")[0]), guard.znode());
    }
}

/// A lock is not taken by the dying node of another session. Here the server says
/// that it is another one, and goes on with the one before.
#[test]
fn a_node_of_another_session_does_not_count() {
    let rig = Rig::new(2);
    let client = rig.client("a");
    rig.run(client.ensure_path("/l")).unwrap();
    let old = session_of(&client);
    rig.inject(of(OpCode::GET_CHILDREN), Fault::Delay(seconds(1)));
    let mut waiting = Lock::new(&client, "/l").acquire().send();
    rig.pass(WAY * 3);
    assert_eq!(rig.children("/l").len(), 1);
    rig.substitute(old);
    rig.pass(seconds(5));
    assert_ne!(session_of(&client), old);
    assert_eq!(rig.owner(&format!("/l/{}", rig.children("/l")[0])), old);
    assert!(waiting.try_take().is_none(), "it is first, but nobody's");
    assert!(rig.count(" create2 xid=") < 100, "it takes its time");
    // Of all that it has made there is one, and what was made before it knew.
    assert!(rig.children("/l").len() <= 3, "{:?}", rig.children("/l"));
}

#[test]
fn a_session_that_ends_between_create_and_list_begins_again() {
    let rig = Rig::new(3);
    let client = rig.client("a");
    rig.run(client.ensure_path("/l")).unwrap();
    rig.inject(of(OpCode::GET_CHILDREN), Fault::Delay(seconds(1)));
    let waiting = Lock::new(&client, "/l").acquire().send();
    rig.pass(WAY * 3);
    rig.expire(session_of(&client));
    let guard = rig.run(waiting).unwrap();
    assert!(guard.is_held());
    assert!(guard.znode().ends_with("0000000001"), "{}", guard.znode());
    assert_eq!(rig.children("/l").len(), 1);
}

#[test]
fn a_waiter_whose_session_ends_goes_to_the_end_of_the_line() {
    let rig = Rig::new(4);
    let (one, two, three) = (rig.client("one"), rig.client("two"), rig.client("three"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let mut second = Lock::new(&two, "/l").acquire().send();
    rig.pass(millis(100));
    let third = Lock::new(&three, "/l").acquire().send();
    rig.pass(millis(100));
    rig.expire(session_of(&two));
    rig.pass(seconds(3));
    assert_eq!(rig.children("/l").len(), 3);
    drop(guard);
    let third = rig.run(third).unwrap();
    assert!(second.try_take().is_none());
    drop(third);
    assert!(rig.run(second).unwrap().is_held());
}

#[test]
fn a_waiter_survives_a_lost_connection() {
    let rig = Rig::new(5);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let waiting = Lock::new(&two, "/l").acquire().send();
    rig.pass(millis(100));
    rig.run(lose_connection(&two)).unwrap();
    assert_eq!(rig.children("/l").len(), 2);
    // Released while it is away: it is told afterwards.
    let partition = rig.sim.network().partition(&["two"], &["s1"]);
    rig.pass(seconds(7));
    assert!(matches!(two.state(), State::Suspended { .. }));
    rig.run(guard.release()).unwrap();
    rig.sim.network().heal(partition);
    let guard = rig.run(waiting).unwrap();
    assert!(guard.znode().ends_with("0000000001"), "it kept its place");
}

#[test]
fn the_node_before_vanishes_between_list_and_watch() {
    let rig = Rig::new(6);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let waiting = Lock::new(&two, "/l").acquire().send();
    // The list is under way to it; the deletion arrives before it asks for the watch.
    rig.pass(WAY * 3 + millis(1));
    drop(guard);
    let guard = rig.run(waiting).unwrap();
    assert!(guard.is_held());
    assert_eq!(rig.count("reply getData") - rig.count("zxid=0x0"), 1);
    assert!(rig.sim.trace().contains("NoNode"), "{}", rig.sim.trace());
}

#[test]
fn a_change_of_the_node_before_is_no_release() {
    let rig = Rig::new(7);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let mut waiting = Lock::new(&two, "/l").acquire().send();
    rig.pass(millis(100));
    rig.run(two.set(guard.znode(), "x")).unwrap();
    rig.pass(millis(200));
    assert!(waiting.try_take().is_none());
    drop(guard);
    assert!(rig.run(waiting).unwrap().is_held());
}

#[test]
fn a_waiter_whose_node_is_deleted_by_somebody_else_goes_to_the_end() {
    let rig = Rig::new(8);
    let (one, two, three) = (rig.client("one"), rig.client("two"), rig.client("three"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let second = Lock::new(&two, "/l").acquire().send();
    rig.pass(millis(100));
    let third = Lock::new(&three, "/l").acquire().send();
    rig.pass(millis(100));
    let node = format!("/l/{}", rig.children("/l")[1]);
    rig.run(one.delete(&node)).unwrap();
    rig.pass(millis(200));
    assert_eq!(
        rig.children("/l").len(),
        3,
        "it noticed, though nobody else left"
    );
    drop(guard);
    drop(rig.run(third).unwrap());
    assert!(rig.run(second).unwrap().is_held());
}

#[test]
fn a_directory_that_is_deleted_is_made_again() {
    let rig = Rig::new(9);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/a/l").acquire()).unwrap();
    let waiting = Lock::new(&two, "/a/l").acquire().send();
    rig.pass(millis(100));
    rig.run(one.delete("/a").recursive()).unwrap();
    assert_eq!(rig.run(guard.lost()).unwrap(), Loss::Deleted);
    assert!(rig.run(waiting).unwrap().is_held());
}

/// The first create is lost with its connection, the second finds no directory, the third succeeds:
/// what cleans up after the first two must leave that one alone.
#[test]
fn cleaning_up_after_a_create_leaves_the_next_one_alone() {
    let rig = Rig::new(14);
    let client = rig.client("a");
    rig.inject(of(OpCode::CREATE2), Fault::CutAfter);
    let guard = rig.run(Lock::new(&client, "/a/l").acquire()).unwrap();
    rig.pass(seconds(5));
    assert!(guard.is_held());
    assert_eq!(rig.children("/a/l").len(), 1);
}

/// At every moment of an acquire: dropped, timed out, or cancelled.
#[test]
fn giving_up_at_any_moment_leaves_nothing() {
    for at in 0..60 {
        let rig = Rig::new(at);
        let (one, two) = (rig.client("one"), rig.client("two"));
        rig.run(one.ensure_path("/l")).unwrap();
        let lock = Lock::new(&two, "/l");
        let held = (at % 3 == 0).then(|| rig.run(Lock::new(&one, "/l").acquire()).unwrap());
        let waiting = lock.acquire();
        let moment = millis(1) * u32::try_from(at).unwrap();
        match at % 4 {
            0 => {
                let waiting = waiting.send();
                rig.pass(moment);
                drop(waiting);
            }
            1 => drop(rig.run(waiting.timeout(moment))),
            2 => {
                let waiting = waiting.send();
                rig.pass(moment);
                lock.cancel();
                drop(rig.run(waiting));
            }
            _ => {
                // The reply to the create is lost besides.
                rig.inject(of(OpCode::CREATE2), Fault::CutAfter);
                let waiting = waiting.send();
                rig.pass(moment);
                drop(waiting);
            }
        }
        rig.pass(seconds(5));
        assert_eq!(
            rig.children("/l").len(),
            held.iter().count(),
            "after {at} ms"
        );
        drop(held);
        assert!(rig.run(lock.acquire()).unwrap().is_held());
    }
}

#[test]
fn a_lost_reply_to_the_release_is_repeated() {
    for fault in [Fault::CutAfter, Fault::CutBefore] {
        let rig = Rig::new(10);
        let client = rig.client("a");
        let lock = Lock::new(&client, "/l");
        let guard = rig.run(lock.acquire()).unwrap();
        rig.inject(of(OpCode::DELETE), fault);
        rig.run(guard.release()).unwrap();
        assert!(rig.children("/l").is_empty());
        let guard = rig.run(lock.acquire()).unwrap();
        rig.inject(of(OpCode::DELETE), fault);
        drop(guard);
        rig.pass(seconds(3));
        assert!(rig.children("/l").is_empty(), "{fault:?}");
    }
}

/// A release that is given up has been sent all the same.
#[test]
fn a_release_may_be_dropped() {
    let rig = Rig::new(11);
    let client = rig.client("a");
    let lock = Lock::new(&client, "/l");
    drop(rig.run(lock.acquire()).unwrap().release());
    rig.pass(millis(50));
    assert!(rig.children("/l").is_empty());
    let release = rig.run(lock.acquire()).unwrap().release().send();
    rig.pass(millis(1));
    drop(release);
    rig.pass(millis(50));
    assert!(rig.children("/l").is_empty());
}

#[test]
fn nothing_is_granted_without_a_proof() {
    let rig = Rig::new(12);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let mut waiting = Lock::new(&two, "/l").acquire().send();
    rig.pass(seconds(60));
    // The sync that goes with the list is held up beyond the deadline.
    rig.inject(of(OpCode::SYNC).session(session_of(&two)), Fault::Hold);
    drop(guard);
    rig.pass(T / 2);
    assert!(waiting.try_take().is_none());
    rig.pass(T * 3);
    rig.server.with(|server| {
        let server = server.get_mut().unwrap();
        server.clear_faults();
    });
    let guard = rig.run(waiting).unwrap();
    assert!(guard.is_held());
    assert_eq!(guard.session(), session_of(&two));
}

#[test]
fn a_client_that_is_closed_refuses() {
    let rig = Rig::new(13);
    let client = rig.client("a");
    rig.run(client.close()).unwrap();
    let result = rig.run(Lock::new(&client, "/l").acquire());
    assert!(matches!(result, Err(Error::Closed { .. })), "{result:?}");
}
