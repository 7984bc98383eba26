//! What users of other clients have reported of two leaders, of holders who were not told, and of
//! nodes left behind: each is a scenario, here or where the table says.
//!
//! | reported | scenario |
//! |---|---|
//! | a lock, or leadership, is taken by the node of a session that is about to end | [`a_leader_whose_node_is_of_another_session_is_none`], `races::a_node_of_another_session_does_not_count` |
//! | after all servers were away, the old node is found and relied on, and then deleted | [`a_leader_that_finds_its_old_node_after_an_outage_leads_only_while_it_lives`] |
//! | latches that reconnect together delete and make nodes past each other until both lead | [`latches_that_reconnect_together_never_both_lead`] |
//! | a tolerance for suspended connections makes two leaders | [`a_suspended_leader_steps_down_before_the_next_one_leads`] |
//! | a holder is not told that its session has ended | [`a_holder_that_slept_through_its_session_is_told`], `guards::an_expiry_is_told` |
//! | the loss of a connection is taken for that of the session, or the other way round | [`a_lost_connection_is_no_lost_session`] |
//! | a latch that is closed while its turn comes leaves a node that leads for ever | [`a_latch_that_is_closed_at_any_moment_leaves_no_node`] |
//! | a watch is lost with its connection, and who waits for it waits for ever | `races::a_waiter_survives_a_lost_connection`, `barrier::quirk_a_lost_connection_does_not_hide_the_removal`, `locking_queue::quirk_new_items_are_seen_after_a_lost_connection` |
//! | a create whose reply is lost leaves a node that blocks the line | `races::a_lost_reply_to_the_create_leaves_one_node` |
//! | a semaphore loses a lease to a reconnect, or to a call that was given up | [`a_reconnect_while_a_lease_is_taken_loses_no_lease`], `starved::nothing_is_left_of_a_call_that_is_dropped_between_its_steps` |
//! | leases of a session that has ended are not free again | `shared::a_lease_goes_with_its_session` |
//! | a release meets a lost connection, and nobody acquires any more | [`a_release_that_meets_a_lost_connection_blocks_nobody`], `races::a_lost_reply_to_the_release_is_repeated` |
//! | a leader that loses its connection and keeps its session waits behind its own old node | [`a_leader_back_in_its_session_does_not_wait_for_itself`] |
//! | a holder that dies right after its release blocks all others | [`a_holder_that_dies_right_after_its_release_blocks_nobody`] |
//! | an acquire that timed out, or was not to wait, leaves its node | [`an_acquire_in_vain_over_a_broken_connection_leaves_no_node`], `races::giving_up_at_any_moment_leaves_nothing` |

use zk_client::{Client, State};
use zk_proto::OpCode;
use zk_recipes::{LeaderLatch, Lock, Loss, Semaphore};
use zk_server::{Fault, Matcher};
use zk_sim::{Crash, Cut};

use crate::rig::{Rig, T, WAY, millis, seconds, session_of};

fn of(opcode: OpCode) -> Matcher {
    Matcher::any().opcode(opcode)
}

/// Lets time pass, in small steps, in none of which both lead.
fn never_both(rig: &Rig, latches: [&LeaderLatch; 2], steps: u32) {
    for step in 0..steps {
        rig.pass(millis(5));
        let [one, two] = latches.map(LeaderLatch::is_leader);
        assert!(!(one && two), "both lead after {step} steps");
    }
}

fn pair(rig: &Rig) -> ([Client; 2], [LeaderLatch; 2]) {
    let clients = ["one", "two"].map(|name| rig.client(name));
    let one = LeaderLatch::start(&clients[0], "/e", "one");
    rig.run(one.leading()).unwrap();
    let two = LeaderLatch::start(&clients[1], "/e", "two");
    rig.pass(millis(200));
    (clients, [one, two])
}

#[test]
fn a_leader_whose_node_is_of_another_session_is_none() {
    let rig = Rig::new(1);
    let ([one, _two], [first, second]) = pair(&rig);
    let node = format!("/e/{}", rig.children("/e")[0]);
    let old = session_of(&one);
    // Its node stays: the server says that the client is another session.
    rig.substitute(old);
    never_both(&rig, [&first, &second], 1000);
    assert_ne!(session_of(&one), old);
    assert!(!first.is_leader());
    if rig.children("/e").iter().any(|name| node.ends_with(name)) {
        assert!(!second.is_leader(), "it is behind a node that there is");
    }
    rig.expire(old);
    let next = rig.run(second.leading()).unwrap();
    assert!(!first.is_leader() && second.token() == Some(next));
}

#[test]
fn a_leader_that_finds_its_old_node_after_an_outage_leads_only_while_it_lives() {
    // From much shorter than the session to so long that the server ends it as soon as it is back.
    for tenths in 1..30 {
        let rig = Rig::new(tenths);
        let ([_one, _two], [first, second]) = pair(&rig);
        let server = rig.server.machine();
        server.pause();
        never_both(
            &rig,
            [&first, &second],
            u32::try_from(tenths).unwrap() * 100,
        );
        server.resume();
        never_both(&rig, [&first, &second], 1500);
        assert!(
            first.is_leader() ^ second.is_leader(),
            "one of them leads again, after {tenths} halves of a second"
        );
        let names = rig.children("/e");
        assert_eq!(names.len(), 2, "{names:?}");
    }
}

#[test]
fn latches_that_reconnect_together_never_both_lead() {
    for seed in 0..40 {
        let rig = Rig::new(seed);
        let ([_one, _two], [first, second]) = pair(&rig);
        // What they ask when they are back is slow, by turns.
        let slow = [
            OpCode::GET_CHILDREN,
            OpCode::CREATE2,
            OpCode::DELETE,
            OpCode::GET_DATA,
        ];
        let opcode = slow[usize::try_from(seed).unwrap() % slow.len()];
        rig.inject(of(opcode), Fault::Delay(millis(100 + 37 * seed)));
        for _ in 0..3 {
            for name in ["one", "two"] {
                rig.sim.network().cut(name, "s1", Cut::AfterDelivery);
            }
            never_both(&rig, [&first, &second], 100);
        }
        // All sessions end at once, and all begin again.
        let server = rig.server.machine();
        server.pause();
        rig.pass(T * 2);
        server.resume();
        never_both(&rig, [&first, &second], 2000);
        assert!(first.is_leader() ^ second.is_leader(), "seed {seed}");
    }
}

#[test]
fn a_suspended_leader_steps_down_before_the_next_one_leads() {
    for seed in 0..10 {
        let rig = Rig::new(seed);
        let ([one, _two], [first, second]) = pair(&rig);
        rig.pass(millis(433 * seed));
        let partition = rig.sim.network().partition(&["one"], &["s1"]);
        rig.pass(T / 3);
        assert!(first.is_leader(), "a moment of silence is no loss");
        never_both(&rig, [&first, &second], 4000);
        assert!(matches!(one.state(), State::Suspended { .. } | State::Lost));
        assert!(!first.is_leader() && second.is_leader());
        rig.sim.network().heal(partition);
        never_both(&rig, [&first, &second], 2000);
        assert!(second.is_leader());
    }
}

#[test]
fn a_holder_that_slept_through_its_session_is_told() {
    let rig = Rig::new(5);
    let (one, two) = (rig.client("one"), rig.client("two"));
    let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
    let lost = guard.lost().send();
    let waiting = Lock::new(&two, "/l").acquire().send();
    rig.pass(seconds(1));
    let machine = rig.machine("one");
    machine.pause();
    let next = rig.run(waiting).unwrap();
    machine.resume();
    // Before anything has come in.
    assert!(!guard.is_held() && next.is_held());
    assert_eq!(guard.loss(), Some(Loss::Unproven));
    assert_eq!(rig.run(lost).unwrap(), Loss::Unproven);
    rig.pass(seconds(5));
    assert!(!guard.is_held() && next.is_held());
}

#[test]
fn a_lost_connection_is_no_lost_session() {
    let rig = Rig::new(6);
    let client = rig.client("one");
    let guard = rig.run(Lock::new(&client, "/l").acquire()).unwrap();
    let mut lost = guard.lost().send();
    for cut in [Cut::BeforeDelivery, Cut::AfterDelivery] {
        rig.sim.network().cut("one", "s1", cut);
        rig.pass(millis(1));
        assert!(matches!(client.state(), State::Suspended { .. }));
        assert!(guard.is_held(), "the servers keep it");
        rig.pass(seconds(3));
        assert!(guard.is_held() && lost.try_take().is_none());
    }
    rig.expire(session_of(&client));
    rig.run(lost).unwrap();
    assert!(!guard.is_held());
}

#[test]
fn a_latch_that_is_closed_at_any_moment_leaves_no_node() {
    for at in 0..60 {
        let rig = Rig::new(at);
        let (clients, [first, second]) = pair(&rig);
        drop(first);
        // On the way to its turn.
        rig.pass(millis(1) * u32::try_from(at).unwrap());
        if at % 2 == 0 {
            rig.run(second.close()).unwrap();
        } else {
            drop(second);
        }
        rig.pass(seconds(2));
        let left = rig.children("/e");
        assert!(left.is_empty(), "after {at} ms: {left:?}");
        let next = LeaderLatch::start(&clients[0], "/e", "next");
        rig.run(next.leading()).unwrap();
    }
}

#[test]
fn a_reconnect_while_a_lease_is_taken_loses_no_lease() {
    for fault in [Fault::CutAfter, Fault::CutBefore] {
        for opcode in [
            OpCode::CREATE,
            OpCode::CREATE2,
            OpCode::GET_CHILDREN,
            OpCode::EXISTS,
            OpCode::SYNC,
            OpCode::DELETE,
        ] {
            let rig = Rig::new(8);
            let (one, two) = (rig.client("one"), rig.client("two"));
            rig.run(Semaphore::new(&two, "/s", 2).acquire().timeout(seconds(9)))
                .unwrap()
                .release()
                .send()
                .detach();
            rig.pass(seconds(1));
            rig.inject(of(opcode), fault);
            let held = rig.run(Semaphore::new(&one, "/s", 2).acquire()).unwrap();
            assert!(held.is_held());
            // One of two is left, and not more.
            let other = rig.run(Semaphore::new(&two, "/s", 2).acquire()).unwrap();
            let third = rig
                .run(Semaphore::new(&two, "/s", 2).try_acquire())
                .unwrap();
            assert!(third.is_none(), "{opcode:?} {fault:?}");
            drop((held, other));
            rig.pass(seconds(6));
            let left = (rig.children("/s"), rig.children("/s-__lock__"));
            assert!(
                left.0.is_empty() && left.1.is_empty(),
                "{opcode:?} {left:?}"
            );
        }
    }
}

#[test]
fn a_release_that_meets_a_lost_connection_blocks_nobody() {
    for cut in [Cut::BeforeDelivery, Cut::AfterDelivery] {
        for wait in [0, 5, 10, 15, 30] {
            let rig = Rig::new(9);
            let (one, two) = (rig.client("one"), rig.client("two"));
            let lock = Lock::new(&one, "/l");
            let guard = rig.run(lock.acquire()).unwrap();
            let release = guard.release().send();
            rig.pass(millis(wait));
            rig.sim.network().cut("one", "s1", cut);
            rig.run(release).unwrap();
            // The same object again, and others.
            let again = rig.run(lock.acquire().timeout(seconds(2))).unwrap();
            drop(again);
            let other = Lock::new(&two, "/l").acquire();
            assert!(rig.run(other.timeout(seconds(2))).unwrap().is_held());
        }
    }
}

#[test]
fn a_leader_back_in_its_session_does_not_wait_for_itself() {
    for away in [1, 4, 7] {
        let rig = Rig::new(away);
        let ([one, _two], [first, second]) = pair(&rig);
        let session = session_of(&one);
        let partition = rig.sim.network().partition(&["one"], &["s1"]);
        rig.pass(seconds(away));
        rig.sim.network().heal(partition);
        never_both(&rig, [&first, &second], 1000);
        assert_eq!(session_of(&one), session);
        assert!(first.is_leader() ^ second.is_leader());
        assert_eq!(rig.children("/e").len(), 2, "each has one node");
    }
}

#[test]
fn a_holder_that_dies_right_after_its_release_blocks_nobody() {
    for at in 0..40 {
        let rig = Rig::new(11);
        let (one, two) = (rig.client("one"), rig.client("two"));
        let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
        let waiting = Lock::new(&two, "/l").acquire().send();
        rig.pass(seconds(1));
        guard.release().send().detach();
        rig.pass(millis(1) * at);
        rig.machine("one").crash(Crash::Killed);
        let died = rig.sim.now();
        assert!(rig.run(waiting).unwrap().is_held());
        let waited = rig.sim.now() - died;
        // At once, or if the release was not sent with the session.
        assert!(
            waited < WAY * 6 || waited < T * 2 && at < 1,
            "{at}: {waited:?}"
        );
    }
}

#[test]
fn an_acquire_in_vain_over_a_broken_connection_leaves_no_node() {
    for fault in [Fault::CutAfter, Fault::CutBefore] {
        for opcode in [OpCode::CREATE2, OpCode::GET_CHILDREN, OpCode::DELETE] {
            let rig = Rig::new(12);
            let (one, two) = (rig.client("one"), rig.client("two"));
            let guard = rig.run(Lock::new(&one, "/l").acquire()).unwrap();
            rig.inject(of(opcode), fault);
            assert!(
                rig.run(Lock::new(&two, "/l").try_acquire())
                    .unwrap()
                    .is_none()
            );
            rig.pass(seconds(3));
            assert_eq!(rig.children("/l").len(), 1, "{opcode:?} {fault:?}");
            rig.inject(of(opcode), fault);
            let late = Lock::new(&two, "/l").acquire().timeout(seconds(1));
            assert!(rig.run(late).is_err());
            rig.pass(seconds(3));
            assert_eq!(rig.children("/l").len(), 1, "{opcode:?} {fault:?}");
            drop(guard);
            assert!(rig.run(Lock::new(&two, "/l").acquire()).unwrap().is_held());
        }
    }
}
