//! [`Barrier`].

use std::time::Duration;

use zk_client::{Client, Error};
use zk_proto::OpCode;
use zk_recipes::Barrier;
use zk_server::{Fault, MemberId};
use zk_sim::Sim;

use crate::stage::Stage;

#[test]
fn it_keeps_all_until_it_is_removed() {
    let stage = Stage::new(1);
    let clients: Vec<_> = (0..5).map(|n| stage.client(&format!("app{n}"))).collect();
    let barrier = Barrier::new(&clients[0], "/gates/one");
    stage.run(barrier.wait());
    assert!(!stage.run(barrier.remove()));
    stage.run(barrier.create());
    stage.run(barrier.create());
    assert_eq!(stage.node("/gates/one").unwrap().0, b"");
    let error = stage.fail(barrier.wait().timeout(Duration::from_secs(1)));
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    let mut waiting: Vec<_> = clients
        .iter()
        .map(|client| Barrier::new(client, "/gates/one").wait().send())
        .collect();
    stage.pass(Duration::from_secs(30));
    assert!(waiting.iter_mut().all(|wait| wait.try_take().is_none()));
    assert!(stage.run(barrier.remove()));
    stage.pass(Duration::from_secs(1));
    assert!(
        waiting
            .iter_mut()
            .all(|wait| wait.try_take() == Some(Ok(())))
    );
}

#[test]
fn writing_to_it_releases_nobody() {
    let stage = Stage::new(2);
    let client = stage.client("app");
    let barrier = Barrier::new(&client, "/gate");
    stage.run(barrier.create());
    let mut waiting = barrier.wait().send();
    stage.run(client.set("/gate", "x"));
    stage.pass(Duration::from_secs(1));
    assert!(waiting.try_take().is_none());
    stage.run(barrier.remove());
    stage.run(waiting);
}

/// kazoo: after a connection drop the watch is gone: deletion is never noticed.
#[test]
fn quirk_a_lost_connection_does_not_hide_the_removal() {
    let stage = Stage::new(3);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let barrier = Barrier::new(&other, "/gate");
    stage.run(barrier.create());
    // Removed after the connection is back.
    let waiting = Barrier::new(&client, "/gate").wait().send();
    stage.pass(Duration::from_secs(1));
    stage.cut("app");
    stage.pass(Duration::from_secs(1));
    assert!(stage.run(barrier.remove()));
    stage.run(waiting);
    // Removed while it is away.
    stage.run(barrier.create());
    let mut waiting = Barrier::new(&client, "/gate").wait().send();
    stage.pass(Duration::from_secs(1));
    let partition = stage.part("app");
    assert!(stage.run(barrier.remove()));
    assert!(waiting.try_take().is_none());
    stage.network().heal(partition);
    stage.run(waiting);
}

/// All or none: those who were away when it was removed do not wait for the next one.
#[test]
fn a_new_barrier_does_not_keep_those_who_waited_for_the_old_one() {
    let stage = Stage::new(4);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let barrier = Barrier::new(&other, "/gate");
    for (again, lost) in [(false, false), (true, false), (true, true)] {
        stage.run(barrier.create());
        let waiting = Barrier::new(&client, "/gate").wait().send();
        stage.pass(Duration::from_secs(1));
        let partition = stage.part("app");
        if lost {
            stage.expire(Stage::session(&client));
        }
        stage.run(barrier.remove());
        if again {
            stage.run(barrier.create());
        }
        stage.network().heal(partition);
        stage.run(waiting);
        stage.run(barrier.remove());
    }
}

#[test]
fn waiting_goes_on_in_a_new_session() {
    let stage = Stage::new(5);
    let (client, other) = (stage.client("app"), stage.client("other"));
    let barrier = Barrier::new(&other, "/gate");
    stage.run(barrier.create());
    let mut waiting = Barrier::new(&client, "/gate").wait().send();
    stage.pass(Duration::from_secs(1));
    stage.expire(Stage::session(&client));
    stage.pass(Duration::from_secs(20));
    assert!(waiting.try_take().is_none());
    stage.run(barrier.remove());
    stage.run(waiting);
}

#[test]
fn a_removal_whose_reply_was_lost_is_one() {
    let stage = Stage::new(6);
    let client = stage.client("app");
    let barrier = Barrier::new(&client, "/gate");
    stage.run(barrier.create());
    stage.inject(OpCode::DELETE, Fault::CutAfter);
    assert!(stage.run(barrier.remove()));
    stage.assert_faults_happened();
    assert!(stage.node("/gate").is_none());
}

#[test]
fn a_wait_that_is_dropped_leaves_no_watch() {
    let stage = Stage::new(7);
    let client = stage.client("app");
    let barrier = Barrier::new(&client, "/gate");
    stage.run(barrier.create());
    for _ in 0..10 {
        let waiting = barrier.wait().send();
        stage.pass(Duration::from_millis(100));
        drop(waiting);
    }
    stage.pass(Duration::from_secs(1));
    assert_eq!(client.stats().session.watches, 0);
}

/// Who is connected to a server that lags behind is kept as well.
#[test]
fn a_server_that_has_not_heard_of_it_lets_nobody_through() {
    let sim = Sim::new(8);
    let ensemble = sim.ensemble(
        &["s1:2181", "s2:2181", "s3:2181"],
        zk_server::Options::new(),
    );
    let connect = |name: &str, host: &str| {
        let handler = sim.machine(name).handler();
        let connect = Client::builder(host).connect(handler);
        sim.block_on(connect).unwrap().unwrap()
    };
    let (one, two) = (connect("one", "s1:2181"), connect("two", "s2:2181"));
    ensemble.with(MemberId(2), |peer| {
        peer.set_apply_delay(Duration::from_secs(2))
    });
    let barrier = Barrier::new(&one, "/gate");
    sim.block_on(barrier.create()).unwrap().unwrap();
    let mut waiting = Barrier::new(&two, "/gate").wait().send();
    sim.run_for(Duration::from_secs(10)).unwrap();
    assert!(waiting.try_take().is_none(), "it was there before");
    assert!(sim.block_on(barrier.remove()).unwrap().unwrap());
    sim.block_on(waiting).unwrap().unwrap();
}
