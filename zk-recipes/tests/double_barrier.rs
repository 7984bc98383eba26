//! [`DoubleBarrier`].

use std::time::Duration;

use zk_client::{AsyncResult, BackoffPolicy, Client, Error, RecipeError};
use zk_proto::OpCode;
use zk_recipes::DoubleBarrier;
use zk_recipes::double_barrier::Inside;
use zk_server::{Fault, Matcher, MemberId};
use zk_sim::{Cut, Sim};

use crate::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

fn clients(stage: &Stage, count: usize) -> Vec<Client> {
    let name = |n| format!("app{n}");
    (0..count).map(|n| stage.client(&name(n))).collect()
}

fn enter(client: &Client, members: usize) -> AsyncResult<Inside> {
    DoubleBarrier::new(client, "/jobs/one", members)
        .enter()
        .send()
}

/// Everybody comes in, then everybody leaves.
fn all_pass(stage: &Stage, entering: Vec<AsyncResult<Inside>>) {
    let inside: Vec<_> = entering.into_iter().map(|enter| stage.run(enter)).collect();
    assert!(inside.iter().all(Inside::is_participating));
    let leaving: Vec<_> = inside
        .into_iter()
        .map(|inside| inside.leave().send())
        .collect();
    for leave in leaving {
        stage.run(leave);
    }
    assert!(stage.children("/jobs/one").is_empty());
}

#[test]
fn all_begin_and_end_together() {
    for members in 1..=5 {
        let stage = Stage::new(members as u64);
        let clients = clients(&stage, members);
        // Round after round.
        for _ in 0..3 {
            let mut entering = Vec::new();
            for client in &clients {
                assert!(
                    entering
                        .iter_mut()
                        .all(|enter: &mut AsyncResult<_>| enter.try_take().is_none())
                );
                entering.push(enter(client, members));
                stage.pass(SECOND);
            }
            let mut inside: Vec<_> = entering.into_iter().map(|enter| stage.run(enter)).collect();
            let last = inside.pop().unwrap();
            let mut leaving: Vec<_> = inside
                .into_iter()
                .map(|inside| inside.leave().send())
                .collect();
            stage.pass(Duration::from_secs(30));
            assert!(leaving.iter_mut().all(|leave| leave.try_take().is_none()));
            assert!(last.is_participating());
            stage.run(last.leave());
            for leave in leaving {
                stage.run(leave);
            }
            assert!(stage.children("/jobs/one").is_empty());
        }
    }
}

#[test]
fn members_look_as_kazoos_do() {
    let stage = Stage::new(11);
    let clients = clients(&stage, 2);
    let named = DoubleBarrier::new(&clients[0], "/jobs/one", 2).identifier("first");
    let entering = [named.enter().send(), enter(&clients[1], 2)];
    stage.pass(SECOND);
    let names = stage.children("/jobs/one");
    assert!(names.contains("ready") && names.len() == 3, "{names:?}");
    assert_eq!(stage.node("/jobs/one/ready").unwrap().0, b"");
    let mut data: Vec<_> = names
        .iter()
        .filter(|name| *name != "ready")
        .map(|name| {
            assert!(name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit()));
            String::from_utf8(stage.node(&format!("/jobs/one/{name}")).unwrap().0).unwrap()
        })
        .collect();
    data.sort_unstable();
    assert_eq!(data, [clients[1].identity(), "first"]);
    all_pass(&stage, entering.into());
}

/// kazoo: entering waiters hang for ever after a connection drop.
#[test]
fn quirk_those_who_lost_their_connection_are_let_in() {
    let stage = Stage::new(12);
    let clients = clients(&stage, 3);
    // One is back before it opens, one later.
    let mut entering = vec![enter(&clients[0], 3), enter(&clients[1], 3)];
    stage.pass(SECOND);
    stage.cut("app0");
    let partition = stage.part("app1");
    entering.push(enter(&clients[2], 3));
    stage.pass(SECOND);
    assert!(entering[1].try_take().is_none());
    stage.network().heal(partition);
    all_pass(&stage, entering);
}

/// Those who leave do not take `ready` along from under those who are away.
#[test]
fn those_who_are_away_are_let_in_though_others_have_begun_to_leave() {
    for away in 0..3 {
        let stage = Stage::new(13);
        let clients = clients(&stage, 3);
        let name = format!("app{away}");
        let mut entering: Vec<_> = Vec::new();
        let mut slow = None;
        let mut partition = None;
        for (n, client) in clients.iter().enumerate().filter(|(n, _)| *n == away) {
            slow = Some((n, enter(client, 3)));
            stage.pass(SECOND);
            partition = Some(stage.part(&name));
        }
        for (_, client) in clients.iter().enumerate().filter(|(n, _)| *n != away) {
            entering.push(enter(client, 3));
        }
        let leaving: Vec<_> = entering
            .into_iter()
            .map(|enter| stage.run(enter).leave().send())
            .collect();
        stage.pass(SECOND);
        stage.network().heal(partition.unwrap());
        let (_, slow) = slow.unwrap();
        let slow = stage.run(slow);
        stage.run(slow.leave());
        for leave in leaving {
            stage.run(leave);
        }
        assert!(stage.children("/jobs/one").is_empty());
    }
}

/// kazoo: any error is swallowed.
#[test]
fn quirk_errors_are_told() {
    let stage = Stage::new(14);
    let client = stage.client("app");
    stage.run(client.create("/e", "").ephemeral());
    let error = stage.fail(DoubleBarrier::new(&client, "/e/jobs", 1).enter());
    assert_eq!(error, Error::NoChildrenForEphemerals);
    let inside = stage.run(enter(&client, 1));
    stage.expire(Stage::session(&client));
    stage.pass(SECOND);
    assert!(!inside.is_participating());
    assert_eq!(stage.fail(inside.leave()), Error::NotHeld);
}

#[test]
fn waiting_goes_on_in_a_new_session() {
    let stage = Stage::new(15);
    let clients = clients(&stage, 2);
    let first = enter(&clients[0], 2);
    stage.pass(SECOND);
    stage.expire(Stage::session(&clients[0]));
    stage.pass(SECOND);
    assert_eq!(stage.children("/jobs/one").len(), 1, "a new node");
    let second = enter(&clients[1], 2);
    all_pass(&stage, vec![first, second]);
}

#[test]
fn a_lost_reply_makes_no_second_member() {
    for opcode in [OpCode::CREATE, OpCode::MULTI] {
        for fault in [Fault::CutAfter, Fault::CutBefore] {
            let stage = Stage::new(16);
            let clients = clients(&stage, 3);
            stage.run(clients[0].ensure_path("/jobs/one"));
            stage.inject(opcode, fault);
            let entering: Vec<_> = clients.iter().map(|client| enter(client, 3)).collect();
            stage.pass(Duration::from_secs(10));
            stage.assert_faults_happened();
            all_pass(&stage, entering);
        }
    }
}

#[test]
fn a_lost_reply_does_not_keep_others_from_leaving() {
    for fault in [Fault::CutAfter, Fault::CutBefore] {
        let stage = Stage::new(17);
        let clients = clients(&stage, 3);
        let entering: Vec<_> = clients.iter().map(|client| enter(client, 3)).collect();
        let inside: Vec<_> = entering.into_iter().map(|enter| stage.run(enter)).collect();
        for skip in 0..3 {
            stage.inject_at(Matcher::any().opcode(OpCode::MULTI).skip(skip), fault);
        }
        let leaving: Vec<_> = inside
            .into_iter()
            .map(|inside| inside.leave().send())
            .collect();
        for leave in leaving {
            stage.run(leave);
        }
        assert!(stage.children("/jobs/one").is_empty());
    }
}

/// What a round that broke off has left behind lets nobody in, and the next one works.
#[test]
fn an_old_ready_lets_nobody_in() {
    let stage = Stage::new(18);
    let clients = clients(&stage, 2);
    stage.run(clients[0].create("/jobs/one/ready", "").make_path());
    let mut first = enter(&clients[0], 2);
    stage.pass(Duration::from_secs(5));
    assert!(first.try_take().is_none());
    all_pass(&stage, vec![first, enter(&clients[1], 2)]);
}

#[test]
fn the_last_to_end_without_leaving_leaves_no_ready() {
    let stage = Stage::new(19);
    let clients = clients(&stage, 3);
    let entering: Vec<_> = clients.iter().map(|client| enter(client, 3)).collect();
    let mut inside: Vec<_> = entering.into_iter().map(|enter| stage.run(enter)).collect();
    inside.sort_by(|a, b| b.znode().cmp(a.znode()));
    // The lowest, for which the others wait.
    let lowest = inside.pop().unwrap();
    let leaving: Vec<_> = inside
        .into_iter()
        .map(|inside| inside.leave().send())
        .collect();
    stage.pass(SECOND);
    let owner = stage.node(lowest.znode()).unwrap().1.ephemeral_owner;
    stage.expire(owner);
    for leave in leaving {
        stage.run(leave);
    }
    assert!(stage.children("/jobs/one").is_empty());
    drop(lowest);
}

#[test]
fn giving_up_leaves_no_node() {
    let stage = Stage::new(20);
    let client = stage.client("app");
    let wait = DoubleBarrier::new(&client, "/jobs/one", 2)
        .enter()
        .timeout(SECOND);
    assert!(matches!(stage.fail(wait), Error::Timeout { .. }));
    stage.pass(SECOND);
    assert!(stage.children("/jobs/one").is_empty());
    // Also when the reply to its create was lost, and whenever it is dropped.
    for micros in (0..6000).step_by(300) {
        stage.inject_at(Matcher::any().opcode(OpCode::CREATE), Fault::CutAfter);
        let wait = enter(&client, 2);
        stage.pass(Duration::from_micros(micros));
        drop(wait);
        stage.pass(Duration::from_secs(10));
        stage.run(client.create("/x", "").ephemeral().protected());
        assert!(
            stage.children("/jobs/one").is_empty(),
            "dropped after {micros} µs"
        );
    }
    let inside = stage.run(enter(&client, 1));
    drop(inside);
    stage.pass(SECOND);
    let left = stage.children("/jobs/one");
    assert!(left.iter().all(|name| name == "ready"), "{left:?}");
    assert_eq!(client.stats().session.watches, 0);
}

/// A member in the manner of kazoo deletes `ready` as soon as it leaves. Those who were away then
/// cannot know whether it was ever there, but that something was.
#[test]
fn what_was_missed_is_told_and_keeps_nobody() {
    let stage = Stage::new(21);
    let clients = clients(&stage, 2);
    let away = enter(&clients[0], 2);
    stage.pass(SECOND);
    let partition = stage.part("app0");
    let kazoo = &clients[1];
    stage.run(async {
        kazoo.create("/jobs/one/0", "").ephemeral().await?;
        kazoo.create("/jobs/one/ready", "").await?;
        kazoo.delete("/jobs/one/ready").await?;
        kazoo.delete("/jobs/one/0").await
    });
    stage.network().heal(partition);
    let path = "/jobs/one".to_owned();
    assert_eq!(
        stage.fail(away),
        Error::Recipe(RecipeError::Missed { path })
    );
    stage.pass(SECOND);
    assert!(stage.children("/jobs/one").is_empty());
}

/// It comes back while the other one, in the manner of kazoo, waits for it to go, having deleted
/// `ready`: it goes in and out, and leaves nothing that the other would wait for.
#[test]
fn who_opens_late_takes_ready_along() {
    let stage = Stage::new(22);
    let clients = clients(&stage, 2);
    let away = enter(&clients[0], 2);
    stage.pass(SECOND);
    let partition = stage.part("app0");
    let kazoo = &clients[1];
    stage.run(async {
        kazoo.create("/jobs/one/0", "").ephemeral().await?;
        kazoo.create("/jobs/one/ready", "").await?;
        kazoo.delete("/jobs/one/ready").await
    });
    stage.network().heal(partition);
    let inside = stage.run(away);
    let leaving = inside.leave().send();
    stage.pass(SECOND);
    let left = stage.children("/jobs/one");
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["0"]);
    stage.run(kazoo.delete("/jobs/one/0"));
    stage.run(leaving);
}

/// A look whose first answer came before the connection was lost, and the second one after it.
#[test]
fn a_look_that_a_lost_connection_splits_misses_nothing() {
    let stage = Stage::new(23);
    let clients = clients(&stage, 2);
    let of_one = Matcher::any().session(Stage::session(&clients[0]));
    // The first list is made before its node.
    let list = of_one.opcode(OpCode::GET_CHILDREN2).skip(1);
    stage.inject_at(list, Fault::CutBefore);
    let path = "/jobs/one";
    stage.run(clients[1].ensure_path(path));
    let mut first = enter(&clients[0], 2);
    while stage.run(clients[1].get_children(path)).iter().count() < 1 {
        stage.pass(Duration::from_micros(100));
    }
    while stage.pending_faults() > 0 {
        stage.pass(Duration::from_micros(100));
    }
    let partition = stage.network().partition(&["app0"], &["s1"]);
    // The other one comes, opens it, and is gone.
    drop(stage.run(enter(&clients[1], 2)));
    stage.pass(SECOND);
    assert!(first.try_take().is_none());
    stage.network().heal(partition);
    let inside = stage.run(first);
    stage.run(inside.leave());
    assert!(stage.children(path).is_empty());
}

/// A server that lags behind shows that something was missed, and not yet that it is open.
#[test]
fn a_server_that_lags_behind_does_not_make_who_is_back_miss_it() {
    let sim = Sim::new(24);
    let ensemble = sim.ensemble(
        &["s1:2181", "s2:2181", "s3:2181"],
        zk_server::Options::new(),
    );
    let connect = |name: &str, hosts: &str| {
        let mut builder = Client::builder(hosts);
        let soon = BackoffPolicy::new().max_delay(SECOND / 10);
        builder.session_timeout(SECOND * 10).connection_retry(soon);
        let connect = builder.connect(sim.machine(name).handler());
        sim.block_on(connect).unwrap().unwrap()
    };
    let members = ensemble.members();
    let (first, second) = (members[0].machine(), members[1].machine());
    second.refuse_connections();
    let away = connect("away", "s1:2181,s2:2181");
    let (one, two) = (connect("one", "s1:2181"), connect("two", "s3:2181"));
    let mut waiting = enter(&away, 3);
    sim.run_for(SECOND).unwrap();
    first.refuse_connections();
    sim.network().cut_all("away", Cut::BeforeDelivery);
    // Somebody comes and gives up; later all are there.
    let vain = enter(&two, 3);
    sim.run_for(SECOND / 2).unwrap();
    drop(vain);
    sim.run_for(SECOND).unwrap();
    // Its session is asked for before all are there, and goes on before the server shows that.
    ensemble.with(MemberId(2), |peer| peer.set_apply_delay(SECOND));
    second.accept_connections();
    sim.run_for(SECOND / 2).unwrap();
    let others = [enter(&one, 3), enter(&two, 3)];
    assert!(waiting.try_take().is_none());
    let all = [waiting].into_iter().chain(others);
    let inside: Vec<_> = all
        .map(|enter| sim.block_on(enter).unwrap().unwrap())
        .collect();
    assert!(inside.iter().all(Inside::is_participating));
}
