//! [`LockingQueue`].

use std::collections::BTreeMap;
use std::time::Duration;

use zk_client::{Client, Error, Outcome};
use zk_proto::OpCode;
use zk_recipes::LockingQueue;
use zk_server::{Fault, Matcher};

use crate::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn items_are_claimed_and_consumed_in_order() {
    let stage = Stage::new(1);
    let client = stage.client("app");
    let queue = LockingQueue::new(&client, "/queues/jobs");
    assert_eq!(stage.run(queue.len()), 0);
    assert!(stage.run(queue.try_get()).is_none());
    let wait = queue.get().timeout(SECOND);
    assert!(matches!(stage.fail(wait), Error::Timeout { .. }));
    stage.run(queue.put_all(["b", "c"]));
    stage.run(queue.put_with_priority("a", 7));
    assert_eq!(
        stage
            .children("/queues/jobs/entries")
            .into_iter()
            .collect::<Vec<_>>(),
        [
            "entry-007-0000000002",
            "entry-100-0000000000",
            "entry-100-0000000001"
        ]
    );
    for expected in ["a", "b", "c"] {
        let item = stage.run(queue.get());
        assert_eq!(item.data(), expected.as_bytes());
        assert!(item.is_held());
        assert!(stage.run(item.holds_lock()));
        let name = item.znode().rsplit('/').next().unwrap().to_owned();
        let (id, stat) = stage.node(&format!("/queues/jobs/taken/{name}")).unwrap();
        assert!(id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit));
        assert_eq!(stat.ephemeral_owner, Stage::session(&client));
        assert_eq!(
            stage.run(queue.len()),
            stage.children("/queues/jobs/entries").len()
        );
        stage.run(item.consume());
    }
    assert_eq!(stage.run(queue.len()), 0);
    assert!(stage.children("/queues/jobs/taken").is_empty());
}

#[test]
fn what_is_given_back_or_dropped_is_there_for_others() {
    let stage = Stage::new(2);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let (queue, others) = (
        LockingQueue::new(&client, "/q"),
        LockingQueue::new(&other, "/q"),
    );
    stage.run(queue.put("x"));
    let item = stage.run(queue.get());
    assert!(stage.run(others.try_get()).is_none());
    assert!(
        stage.run(queue.try_get()).is_none(),
        "also not for the same session"
    );
    let mut waiting = others.get().send();
    stage.pass(SECOND);
    assert!(waiting.try_take().is_none());
    stage.run(item.release());
    let item = stage.run(waiting);
    let waiting = queue.get().send();
    stage.pass(SECOND);
    drop(item);
    let item = stage.run(waiting);
    stage.run(item.consume());
    assert!(stage.children("/q/taken").is_empty());
}

#[test]
fn one_of_many_gets_an_item() {
    let stage = Stage::new(3);
    let clients: Vec<_> = (0..6).map(|n| stage.client(&format!("app{n}"))).collect();
    // Two for each session.
    let mut waiting: Vec<_> = clients
        .iter()
        .flat_map(|client| [client, client])
        .map(|client| LockingQueue::new(client, "/q").get().send())
        .collect();
    let mut held = Vec::new();
    for n in 1..=12 {
        stage.run(LockingQueue::new(&clients[0], "/q").put(n.to_string()));
        stage.pass(SECOND);
        let (mut got, waits): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|mut wait| (wait.try_take(), wait))
            .partition(|(got, _)| got.is_some());
        waiting = waits.into_iter().map(|(_, wait)| wait).collect();
        assert_eq!(got.len(), 1);
        let item = got.pop().unwrap().0.unwrap().unwrap();
        assert_eq!(item.data(), n.to_string().as_bytes());
        held.push(item);
    }
    for item in held {
        stage.run(item.consume());
    }
}

/// kazoo: after a connection drop `get()` no longer sees new items.
#[test]
fn quirk_new_items_are_seen_after_a_lost_connection() {
    let stage = Stage::new(4);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let (queue, others) = (
        LockingQueue::new(&client, "/q"),
        LockingQueue::new(&other, "/q"),
    );
    for lose in [false, true] {
        let waiting = queue.get().send();
        stage.pass(SECOND);
        if lose {
            stage.expire(Stage::session(&client));
        } else {
            stage.cut("app");
        }
        stage.pass(SECOND);
        stage.run(others.put("x"));
        stage.run(stage.run(waiting).consume());
        // And those that came while it was away.
        let waiting = queue.get().send();
        stage.pass(SECOND);
        let partition = stage.part("app");
        stage.run(others.put("y"));
        stage.network().heal(partition);
        stage.run(stage.run(waiting).consume());
    }
}

/// kazoo: watchers accumulate on repeated timed-out gets.
#[test]
fn quirk_a_wait_that_is_given_up_leaves_no_watch() {
    let stage = Stage::new(5);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let (queue, others) = (
        LockingQueue::new(&client, "/q"),
        LockingQueue::new(&other, "/q"),
    );
    stage.run(others.put("x"));
    let item = stage.run(others.get());
    for _ in 0..10 {
        assert!(matches!(
            stage.fail(queue.get().timeout(SECOND)),
            Error::Timeout { .. }
        ));
    }
    stage.pass(SECOND);
    assert_eq!(client.stats().session.watches, 0);
    stage.run(item.consume());
}

/// kazoo: lock node gone → NoNodeError escapes from holds_lock, consume and release.
#[test]
fn quirk_a_lost_claim_is_not_held() {
    let stage = Stage::new(6);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let (queue, others) = (
        LockingQueue::new(&client, "/q"),
        LockingQueue::new(&other, "/q"),
    );
    stage.run(queue.put("x"));
    for consume in [true, false] {
        // With the session: somebody else has it by then.
        let item = stage.run(queue.get());
        let partition = stage.part("app");
        stage.expire(Stage::session(&client));
        let theirs = stage.run(others.get());
        stage.network().heal(partition);
        stage.pass(SECOND);
        assert!(!item.is_held());
        assert!(!stage.run(item.holds_lock()));
        let given_up = if consume {
            item.consume()
        } else {
            item.release()
        };
        assert_eq!(stage.fail(given_up), Error::NotHeld);
        stage.pass(SECOND);
        assert!(
            stage.run(theirs.holds_lock()),
            "the other's claim is left alone"
        );
        stage.run(theirs.release());
        // By hand.
        let item = stage.run(queue.get());
        let name = item.znode().rsplit('/').next().unwrap().to_owned();
        stage.run(other.delete(&format!("/q/taken/{name}")));
        let theirs = stage.run(others.get());
        assert!(!stage.run(item.holds_lock()));
        stage.run(theirs.release());
        let given_up = if consume {
            item.consume()
        } else {
            item.release()
        };
        assert_eq!(stage.fail(given_up), Error::NotHeld);
    }
    assert_eq!(stage.run(queue.len()), 1);
}

/// kazoo: transaction failure is ignored and reported as success.
#[test]
fn quirk_a_put_that_failed_is_told() {
    let stage = Stage::new(7);
    let client = stage.client("app");
    let queue = LockingQueue::new(&client, "/q");
    stage.run(queue.put_all(["one"]));
    stage.inject(OpCode::MULTI, Fault::Answer(zk_client::ErrorCode::NO_AUTH));
    let error = stage.fail(queue.put_all(["two", "three"]));
    assert_eq!(error.outcome(), Some(Outcome::NotApplied), "{error:?}");
    stage.inject(OpCode::MULTI, Fault::CutAfter);
    let error = stage.fail(queue.put_all(["two", "three"]));
    assert_eq!(error.outcome(), Some(Outcome::Unknown));
    assert_eq!(stage.run(queue.len()), 3);
}

#[test]
fn a_lost_reply_claims_once() {
    for (fault, skip) in [(Fault::CutAfter, 0), (Fault::CutBefore, 0)] {
        let stage = Stage::new(8);
        let client = stage.client("app");
        let queue = LockingQueue::new(&client, "/q");
        stage.run(queue.put("one"));
        stage.run(queue.put("two"));
        // Two takers in one session, whose claims are lost together.
        stage.inject_at(Matcher::any().opcode(OpCode::MULTI).skip(skip), fault);
        let takers = [queue.get().send(), queue.get().send()];
        let mut items = BTreeMap::new();
        for taker in takers {
            let item = stage.run(taker);
            assert!(stage.run(item.holds_lock()));
            items.insert(item.data().to_vec(), item);
        }
        stage.assert_faults_happened();
        assert_eq!(items.len(), 2, "each has an item of its own");
        assert_eq!(stage.children("/q/taken").len(), 2);
        for item in items.into_values() {
            stage.run(item.consume());
        }
        assert_eq!(stage.run(queue.len()), 0);
    }
}

#[test]
fn a_lost_reply_consumes_once() {
    for fault in [Fault::CutAfter, Fault::CutBefore] {
        let stage = Stage::new(9);
        let client = stage.client("app");
        let queue = LockingQueue::new(&client, "/q");
        stage.run(queue.put("one"));
        let item = stage.run(queue.get());
        stage.inject(OpCode::MULTI, fault);
        stage.run(item.consume());
        stage.assert_faults_happened();
        assert_eq!(stage.run(queue.len()), 0);
        assert!(stage.children("/q/taken").is_empty());
        stage.run(queue.put("two"));
        let item = stage.run(queue.get());
        stage.inject(OpCode::DELETE, fault);
        stage.run(item.release());
        stage.assert_faults_happened();
        assert_eq!(stage.run(queue.len()), 1);
        assert!(stage.children("/q/taken").is_empty());
    }
}

#[test]
fn an_item_whose_claim_is_lost_with_the_answer_is_unknown_or_there() {
    for (fault, consumed) in [(Fault::CutAfter, true), (Fault::CutBefore, false)] {
        let stage = Stage::new(10);
        let client = stage.client("app");
        let queue = LockingQueue::new(&client, "/q");
        stage.run(queue.put("one"));
        let item = stage.run(queue.get());
        let session = Stage::session(&client);
        stage.inject(OpCode::MULTI, fault);
        let consume = item.consume().send();
        stage.pass(Duration::from_millis(5));
        stage.assert_faults_happened();
        stage.expire(session);
        let error = stage.fail(consume);
        if consumed {
            assert_eq!(error.outcome(), Some(Outcome::Unknown), "{error:?}");
        } else {
            assert_eq!(error, Error::NotHeld);
        }
        assert_eq!(stage.run(queue.len()), usize::from(!consumed));
    }
}

#[test]
fn what_is_given_up_leaves_no_claim() {
    let stage = Stage::new(11);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let (queue, others) = (
        LockingQueue::new(&client, "/q"),
        LockingQueue::new(&other, "/q"),
    );
    stage.run(queue.put("x"));
    for fault in [None, Some(Fault::CutAfter), Some(Fault::CutBefore)] {
        for micros in (0..6000).step_by(300) {
            if let Some(fault) = fault {
                stage.inject(OpCode::MULTI, fault);
            }
            let get = queue.get().send();
            stage.pass(Duration::from_micros(micros));
            drop(get);
            stage.pass(Duration::from_secs(4));
            let item = stage.run(others.get().timeout(Duration::from_secs(30)));
            stage.run(item.release());
            // What is left of the fault.
            stage.run(async {
                match client.transaction().commit().await {
                    Ok(_) | Err(Error::ConnectionLoss { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            });
        }
    }
}

#[test]
fn consumers_that_die_lose_nothing() {
    let stage = Stage::new(12);
    let clients: Vec<Client> = (0..4).map(|n| stage.client(&format!("app{n}"))).collect();
    let queue = LockingQueue::new(&clients[0], "/q");
    for n in 0..20 {
        stage.run(queue.put(n.to_string()));
    }
    let mut seen = Vec::new();
    for round in 0..40 {
        let client = &clients[round % 4];
        let Some(item) = stage.run(LockingQueue::new(client, "/q").try_get()) else {
            break;
        };
        if round % 2 == 0 {
            stage.expire(Stage::session(client));
            stage.pass(SECOND);
            drop(item);
        } else {
            seen.push(String::from_utf8(item.data().to_vec()).unwrap());
            stage.run(item.consume());
        }
    }
    let expected: Vec<_> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(seen, expected);
}
