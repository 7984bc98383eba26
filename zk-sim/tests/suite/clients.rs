//! Real clients in a universe.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use zk_client::{AsyncResult, Client, Error, Listen, Outcome, Stat, State, StateReason};
use zk_sim::{Crash, Cut, Machine, ServerHandle, Sim};

use crate::tiny::Tiny;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn start(seed: u64) -> (Sim, ServerHandle<Tiny>, Machine, Client) {
    let sim = Sim::new(seed);
    sim.keep_trace();
    let server = sim.server("s1:2181", Tiny::new());
    let app = sim.machine("app1");
    let builder = Client::builder(server.hosts());
    let client = sim
        .block_on(builder.connect(app.handler()))
        .unwrap()
        .unwrap();
    (sim, server, app, client)
}

#[test]
fn a_client_connects_creates_gets_and_closes() {
    let (sim, server, _, client) = start(1);
    let done = sim.block_on(async {
        assert!(client.identity().starts_with("app1-"));
        assert_eq!(client.create("/a", b"hello").await?, "/a");
        let (data, _) = client.get("/a").await?;
        assert_eq!(&*data, b"hello");
        assert!(matches!(client.get("/b").await, Err(Error::NoNode)));
        client.close().await
    });
    done.unwrap().unwrap();
    assert_eq!(
        server.with(|server| server.log()),
        ["create /a", "getData /a", "getData /b", "closeSession "]
    );
    assert_eq!(server.with(|server| server.sessions()), 0);
    let trace = sim.trace();
    for line in [
        "app1 asks for #1 to s1:2181",
        "app1 -> s1 #1 49 bytes; connect session=0x0 timeout=10000 seen=0x0",
        "s1 -> app1 #1 41 bytes; greeting session=0x5e56 timeout=10000",
        "app1 client 1 is connected",
        "create xid=1 /a",
        "reply getData xid=3 zxid=0x1 NoNode (-101)",
        "app1 client 1 is lost",
    ] {
        assert!(trace.contains(line), "{line} is not in\n{trace}");
    }
    assert!(!trace.contains("hello"), "no data in traces:\n{trace}");
}

#[test]
fn nobody_may_block_in_the_one_thread() {
    let (_sim, _server, _, client) = start(2);
    assert!(matches!(client.get("/a").wait(), Err(Error::WouldDeadlock)));
}

#[test]
fn a_write_cut_after_delivery_is_applied_and_in_doubt() {
    let (sim, server, _, client) = start(3);
    let pending = client.create("/a", "").send();
    sim.run_for(Duration::ZERO).unwrap();
    assert_eq!(sim.network().cut("app1", "s1", Cut::AfterDelivery), 1);
    let error = sim.block_on(pending).unwrap().unwrap_err();
    assert!(
        matches!(error, Error::ConnectionLoss { sent: true }),
        "{error:?}"
    );
    assert_eq!(error.outcome(), Some(Outcome::Unknown));
    let found = sim.block_on(client.exists("/a")).unwrap().unwrap();
    assert!(found.is_some(), "it was applied");
    assert_eq!(
        server.with(|server| server.log()),
        ["create /a", "exists /a"]
    );
}

#[test]
fn a_write_cut_before_delivery_is_not_applied() {
    let (sim, server, _, client) = start(4);
    let pending = client.create("/a", "").send();
    sim.run_for(Duration::ZERO).unwrap();
    sim.network().cut("app1", "s1", Cut::BeforeDelivery);
    sim.block_on(pending).unwrap().unwrap_err();
    assert_eq!(sim.block_on(client.exists("/a")).unwrap().unwrap(), None);
    assert_eq!(server.with(|server| server.log()), ["exists /a"]);
}

#[test]
fn a_session_expires_during_a_partition_and_a_new_one_comes_after_it() {
    let (sim, server, _, client) = start(5);
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    client.add_listener(move |change| {
        seen.lock().unwrap().push((change.to, change.reason));
        Listen::Keep
    });
    let first = client.client_id().unwrap().0;
    sim.block_on(client.create("/e", "").ephemeral())
        .unwrap()
        .unwrap();
    let deadline = client.deadline().unwrap();
    let partition = sim.network().partition(&["app1"], &["s1"]);
    let beginning = sim.now();
    sim.run_for(seconds(12)).unwrap();
    let log = server.with(|server| server.log());
    assert_eq!(log, ["create /e", &format!("expired {:#x}", first.0)]);
    assert!(!client.connected());
    let safe = sim.machine("app1").sim_time_of(deadline);
    assert!(safe < beginning + seconds(10), "the deadline was early");
    sim.network().heal(partition);
    sim.block_on(client.until_connected()).unwrap().unwrap();
    assert_ne!(client.client_id().unwrap().0, first);
    assert_eq!(sim.block_on(client.exists("/e")).unwrap().unwrap(), None);
    sim.run_for(seconds(1)).unwrap();
    let changes = changes.lock().unwrap();
    let kinds: Vec<_> = changes.iter().map(|(to, _)| *to).collect();
    assert!(
        matches!(
            *kinds,
            [
                State::Suspended { .. },
                State::Lost,
                State::Connected { .. }
            ]
        ),
        "{changes:?}"
    );
    assert_eq!(changes[1].1, StateReason::Expired);
}

#[test]
fn callbacks_run_in_order_and_one_at_a_time() {
    for seed in 0..20 {
        let (sim, _server, _, client) = start(seed);
        let order = Arc::new(Mutex::new(Vec::new()));
        for number in 0..10 {
            let order = Arc::clone(&order);
            let push = move |_| order.lock().unwrap().push(number);
            client
                .create(&format!("/{number}"), "")
                .send()
                .on_complete(push);
        }
        sim.run_for(seconds(1)).unwrap();
        assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn timers_of_a_client_are_virtual() {
    let (sim, _server, app, client) = start(6);
    let start = sim.now();
    app.set_drift(-500_000);
    sim.block_on(client.sleep(seconds(5))).unwrap().unwrap();
    assert_eq!(sim.now() - start, seconds(10));
    sim.after(seconds(1), move || app.jump_clock(seconds(100)));
    sim.block_on(client.sleep(seconds(90))).unwrap().unwrap();
    assert_eq!(sim.now() - start, seconds(11));
}

#[test]
fn ephemerals_of_a_crashed_client_stay_until_its_session_ends() {
    let (sim, server, app, client) = start(7);
    sim.block_on(client.create("/e", "").ephemeral())
        .unwrap()
        .unwrap();
    let pending = client.get("/e").send();
    let refused = Client::builder(server.hosts()).connect(app.handler());
    app.crash(Crash::PowerLoss);
    let orphan = sim.block_on(pending).unwrap();
    assert!(matches!(orphan, Err(Error::Closed { .. })), "{orphan:?}");
    drop(client);
    app.restart();
    let second = sim.block_on(Client::builder(server.hosts()).connect(app.handler()));
    let second = second.unwrap().unwrap();
    assert!(
        sim.block_on(second.exists("/e"))
            .unwrap()
            .unwrap()
            .is_some()
    );
    sim.run_for(seconds(11)).unwrap();
    assert_eq!(sim.block_on(second.exists("/e")).unwrap().unwrap(), None);
    // Its handler was that of the life before.
    assert!(sim.block_on(refused).unwrap().is_err());
}

#[test]
fn a_server_that_crashes_is_found_again() {
    let (sim, server, _, client) = start(8);
    sim.block_on(client.create("/a", "")).unwrap().unwrap();
    for how in [Crash::Killed, Crash::PowerLoss] {
        let machine = server.machine().clone();
        machine.crash(how);
        sim.after(seconds(5), move || machine.restart());
        sim.run_for(seconds(20)).unwrap();
        sim.block_on(client.until_connected()).unwrap().unwrap();
        assert!(
            sim.block_on(client.exists("/a"))
                .unwrap()
                .unwrap()
                .is_some()
        );
    }
    assert_eq!(server.with(|server| server.crashes), 2);
}

#[test]
fn a_paused_client_learns_that_its_session_is_gone() {
    let (sim, server, app, client) = start(9);
    let first = client.client_id().unwrap().0;
    app.pause();
    sim.run_for(seconds(30)).unwrap();
    assert!(client.connected(), "it has not noticed anything yet");
    assert_eq!(server.with(|server| server.sessions()), 0);
    app.resume();
    let (mut changes, mut lost) = (client.state_changes(), false);
    let all = async {
        while let Some(change) = changes.next().await {
            lost |= change.to == State::Lost;
            if lost && change.to.is_connected() {
                break;
            }
        }
    };
    sim.block_on(all).unwrap();
    assert_ne!(client.client_id().unwrap().0, first);
}

#[test]
fn four_letter_words_are_answered_or_time_out() {
    let (sim, server, _, client) = start(10);
    assert_eq!(
        sim.block_on(client.command("ruok")).unwrap().unwrap(),
        "imok"
    );
    server.machine().pause();
    let start = sim.now();
    let late = sim
        .block_on(client.command("ruok").timeout(seconds(3)))
        .unwrap();
    assert!(late.is_err(), "{late:?}");
    assert!(sim.now() - start <= seconds(4));
}

#[test]
fn a_client_is_restarted_after_its_close() {
    for seed in 0..20 {
        let (sim, server, _, client) = start(seed);
        for _ in 0..5 {
            sim.block_on(client.close()).unwrap().unwrap();
            sim.block_on(client.restart()).unwrap().unwrap();
            sim.block_on(client.until_connected()).unwrap().unwrap();
        }
        assert_eq!(server.with(|server| server.sessions()), 1);
        // Its number stays.
        assert!(sim.trace().ends_with("app1 client 1 is connected\n"));
    }
}

/// A waker that is code of somebody: it makes the next call itself.
struct Caller {
    client: Client,
    calls: Mutex<Vec<AsyncResult<Option<Stat>>>>,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        let call = self.client.exists("/").send();
        self.calls.lock().unwrap().push(call);
    }
}

#[test]
fn what_a_waker_asks_for_is_sent_at_once() {
    let (sim, _, _, client) = start(1);
    let mut first = client.exists("/").send();
    let caller = Arc::new(Caller {
        client,
        calls: Mutex::default(),
    });
    let waker = Waker::from(Arc::clone(&caller));
    let poll = Pin::new(&mut first).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    // Long before the client would send a ping.
    sim.run_for(Duration::from_millis(200)).unwrap();
    let second = caller.calls.lock().unwrap().pop();
    assert!(second.unwrap().is_ready());
}
