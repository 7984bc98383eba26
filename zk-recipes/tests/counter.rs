//! [`Counter`].

use std::time::Duration;

use zk_client::{BackoffPolicy, Client, Error, Outcome, RecipeError};
use zk_proto::OpCode;
use zk_recipes::Counter;
use zk_server::{Fault, Matcher};

use crate::stage::Stage;

#[test]
fn it_counts_as_kazoo_writes_it() {
    let stage = Stage::new(1);
    let client = stage.client("app");
    let whole = Counter::new(&client, "/counters/whole");
    assert_eq!(stage.run(whole.value()), 0);
    assert_eq!(stage.node("/counters/whole").unwrap().0, b"");
    let change = stage.run(whole.add(2));
    assert_eq!((change.pre_value, change.post_value), (0, 2));
    let change = stage.run(whole.subtract(5));
    assert_eq!((change.pre_value, change.post_value), (2, -3));
    assert_eq!(stage.node("/counters/whole").unwrap().0, b"-3");
    let float = Counter::float(&client, "/counters/float").default(1.5);
    assert_eq!(stage.run(float.add(1.75)).post_value, 3.25);
    assert_eq!(stage.node("/counters/float").unwrap().0, b"3.25");
    let curator = Counter::curator(&client, "/counters/curator");
    assert_eq!(stage.run(curator.add(i32::MAX)).post_value, i32::MAX);
    let (data, _) = stage.node("/counters/curator").unwrap();
    assert_eq!(data, [0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(stage.run(curator.value()), i32::MAX);
}

/// kazoo: curator mode does not check 32-bit range except in packing.
#[test]
fn quirk_a_sum_out_of_bounds_is_refused() {
    let stage = Stage::new(2);
    let client = stage.client("app");
    let out = |what| {
        Error::Recipe(RecipeError::OutOfBounds {
            what: "the sum",
            bounds: what,
        })
    };
    let curator = Counter::curator(&client, "/c").default(i32::MAX);
    assert_eq!(stage.fail(curator.add(1)), out("32 bits, signed"));
    let whole = Counter::new(&client, "/w").default(i64::MIN);
    assert_eq!(stage.fail(whole.subtract(1)), out("64 bits, signed"));
    assert_eq!(stage.node("/c").unwrap().1.version, 0);
}

#[test]
fn what_is_no_number_is_left_alone() {
    let stage = Stage::new(3);
    let client = stage.client("app");
    stage.run(client.create("/c", "many"));
    let counter = Counter::new(&client, "/c");
    let error = stage.fail(counter.add(1));
    assert!(
        matches!(error, Error::Recipe(RecipeError::NotUnderstood { .. })),
        "{error:?}"
    );
    assert_eq!(stage.node("/c").unwrap().0, b"many");
}

#[test]
fn nobodys_change_is_lost() {
    let stage = Stage::new(4);
    let clients: Vec<Client> = (0..8).map(|n| stage.client(&format!("app{n}"))).collect();
    let pending: Vec<_> = clients
        .iter()
        .flat_map(|client| (0..10).map(|_| Counter::new(client, "/c").add(3).send()))
        .collect();
    stage.run(async {
        for change in pending {
            change.await?;
        }
        Ok(())
    });
    let (data, stat) = stage.node("/c").unwrap();
    assert_eq!((data.as_slice(), stat.version), (b"240".as_slice(), 80));
}

/// kazoo: retry after ConnectionLoss may apply the delta twice.
#[test]
fn quirk_a_lost_reply_does_not_add_twice() {
    for marked in [false, true] {
        let stage = Stage::new(5);
        let client = stage.client("app");
        let counter = Counter::new(&client, "/c");
        let counter = if marked { counter.marked() } else { counter };
        stage.run(counter.add(1));
        let opcode = if marked {
            OpCode::MULTI
        } else {
            OpCode::SET_DATA
        };
        stage.inject(opcode, Fault::CutAfter);
        if marked {
            assert_eq!(stage.run(counter.add(1)).post_value, 2);
        } else {
            // Somebody else may have made 2 of 1.
            let error = stage.fail(counter.add(1));
            assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
            assert_eq!(error.outcome(), Some(Outcome::Unknown));
        }
        stage.assert_faults_happened();
        assert_eq!(stage.run(counter.value()), 2);
        stage.pass(Duration::from_secs(5));
        assert!(stage.children("/c").is_empty(), "the mark is deleted");
    }
}

#[test]
fn a_lost_request_is_made_again() {
    for marked in [false, true] {
        let stage = Stage::new(6);
        let client = stage.client("app");
        let counter = Counter::new(&client, "/c");
        let counter = if marked { counter.marked() } else { counter };
        let opcode = if marked {
            OpCode::MULTI
        } else {
            OpCode::SET_DATA
        };
        stage.inject(opcode, Fault::CutBefore);
        assert_eq!(stage.run(counter.add(7)).post_value, 7);
        stage.assert_faults_happened();
        assert_eq!(stage.run(counter.value()), 7);
    }
}

/// While its answer is lost others go on: their number in the next version shows that it was not
/// carried out; a mark shows it in any case.
#[test]
fn a_lost_change_is_told_from_others() {
    for (marked, theirs) in [(false, 10), (true, 10), (true, 1)] {
        let stage = Stage::new(7);
        let (client, other) = (stage.client("app"), stage.client("other"));
        let counter = Counter::new(&client, "/c");
        let counter = if marked { counter.marked() } else { counter };
        stage.run(counter.value());
        let opcode = if marked {
            OpCode::MULTI
        } else {
            OpCode::SET_DATA
        };
        stage.inject(opcode, Fault::CutBefore);
        stage
            .network()
            .slow("app", "s1", Duration::from_millis(300));
        let change = counter.add(1).send();
        stage.pass(Duration::from_millis(700));
        stage.assert_faults_happened();
        stage.run(Counter::new(&other, "/c").add(theirs));
        assert_eq!(stage.run(change).post_value, theirs + 1);
        assert_eq!(stage.run(counter.value()), theirs + 1);
    }
}

#[test]
fn a_mark_knows_its_change_after_many_others() {
    let stage = Stage::new(8);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let counter = Counter::new(&client, "/c").marked();
    stage.run(counter.value());
    stage.inject(OpCode::MULTI, Fault::CutAfter);
    stage
        .network()
        .slow("app", "s1", Duration::from_millis(300));
    let change = counter.add(1).send();
    stage.pass(Duration::from_millis(700));
    let others = Counter::new(&other, "/c");
    for _ in 0..5 {
        stage.run(others.add(1));
    }
    let change = stage.run(change);
    assert_eq!((change.pre_value, change.post_value), (0, 1));
    assert_eq!(stage.run(counter.value()), 6);
}

#[test]
fn a_session_that_ends_with_the_answer_leaves_a_marked_change_unknown() {
    let stage = Stage::new(9);
    let client = stage.client("app");
    let counter = Counter::new(&client, "/c").marked();
    stage.run(counter.value());
    let session = Stage::session(&client);
    stage.inject(OpCode::MULTI, Fault::CutAfter);
    let change = counter.add(1).send();
    stage.pass(Duration::from_millis(5));
    stage.assert_faults_happened();
    stage.expire(session);
    let error = stage.fail(change);
    assert_eq!(error.outcome(), Some(Outcome::Unknown), "{error:?}");
    assert_eq!(stage.run(counter.value()), 1);
}

#[test]
fn a_session_that_ends_before_the_request_does_not_stop_a_change() {
    for marked in [false, true] {
        let stage = Stage::new(10);
        let client = stage.client("app");
        let counter = Counter::new(&client, "/c");
        let counter = if marked { counter.marked() } else { counter };
        stage.run(counter.value());
        let session = Stage::session(&client);
        let opcode = if marked {
            OpCode::MULTI
        } else {
            OpCode::SET_DATA
        };
        stage.inject(opcode, Fault::CutBefore);
        let change = counter.add(1).send();
        stage.pass(Duration::from_millis(5));
        stage.expire(session);
        assert_eq!(stage.run(change).post_value, 1);
        assert_eq!(stage.run(counter.value()), 1);
    }
}

#[test]
fn a_change_that_is_given_up_leaves_no_mark() {
    let stage = Stage::new(11);
    let client = stage.client("app");
    let counter = Counter::new(&client, "/c").marked();
    stage.run(counter.value());
    let change = counter.add(1).send();
    stage.pass(Duration::from_micros(100));
    drop(change);
    stage.pass(Duration::from_secs(5));
    assert!(stage.children("/c").is_empty());
    stage.inject(OpCode::MULTI, Fault::CutAfter);
    let change = counter.add(1).send();
    stage.pass(Duration::from_millis(3));
    drop(change);
    stage.pass(Duration::from_secs(10));
    assert!(stage.children("/c").is_empty());
}

/// kazoo: contention backs off exponentially without jitter cap below an hour.
#[test]
fn quirk_contention_costs_no_pause() {
    let stage = Stage::new(12);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let counter = Counter::new(&client, "/c");
    let others = Counter::new(&other, "/c");
    stage.run(counter.value());
    let begun = stage.sim.now();
    for _ in 0..20 {
        let pending = [counter.add(1).send(), others.add(1).send()];
        stage.run(async {
            for change in pending {
                change.await?;
            }
            Ok(())
        });
    }
    let took = stage.sim.now() - begun;
    assert_eq!(stage.run(counter.value()), 40);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn the_clients_policy_limits_the_tries() {
    let stage = Stage::new(13);
    let machine = stage.sim.machine("app");
    let mut builder = Client::builder("s1:2181");
    builder.command_retry(BackoffPolicy::new().max_tries(2));
    let client = stage.run(builder.connect(machine.handler()));
    let counter = Counter::new(&client, "/c");
    stage.run(counter.value());
    for _ in 0..2 {
        stage.inject_at(Matcher::any().opcode(OpCode::SET_DATA), Fault::CutBefore);
    }
    let error = stage.fail(counter.add(1));
    assert!(
        matches!(error, Error::Unknown { .. } | Error::RetryFailed { .. }),
        "{error:?}"
    );
    assert_eq!(error.outcome(), Some(Outcome::Unknown));
    assert_eq!(stage.run(counter.value()), 0);
}
