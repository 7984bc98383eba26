//! What comes before what, on futures, streams and callbacks.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};

use zk::{AsyncResult, Client, Error, Listen, Stat, State};

use crate::support::{
    Env, Heard, LIMIT, lose_connection, next, next_event, wait_for_callbacks, wait_until,
};

pub(crate) fn an_event_comes_before_the_reply_that_reveals_it(env: &Env) {
    let client = env.client();
    client.create("/a", b"").wait().unwrap();
    let mut stream = client.add_watch("/a").recursive().wait().unwrap();
    for n in 0..100 {
        let (_, _, mut watch) = client.get("/a").watched().wait().unwrap();
        client.set("/a", n.to_string()).wait().unwrap();
        assert!(watch.try_take().is_some(), "round {n}");
        assert!(stream.try_next().is_some(), "round {n}");
    }
}

pub(crate) fn a_change_by_others_is_heard_of_before_it_is_seen(env: &Env) {
    let (client, other) = (env.client(), env.other().chroot(env.root()).unwrap());
    client.create("/a", b"").wait().unwrap();
    let mut stream = client.add_watch("/a").wait().unwrap();
    for n in 1..=50 {
        other.set("/a", b"").send().detach();
        while client.get("/a").wait().unwrap().1.version < n {}
        let heard = stream.try_next();
        assert!(heard.is_some(), "read version {n} before its event");
    }
}

pub(crate) fn requests_are_carried_out_in_order(env: &Env) {
    let client = env.client();
    let create = client.create("/a", b"0").send();
    let first = client.get("/a").send();
    let set = client.set("/a", b"1").version(0).send();
    let second = client.get("/a").send();
    let delete = client.delete("/a").version(1).send();
    let gone = client.exists("/a").send();
    assert_eq!(gone.wait().unwrap(), None);
    // All before it are there.
    assert!(create.is_ready() && first.is_ready() && set.is_ready());
    assert_eq!(second.wait().unwrap().0, b"1");
    assert_eq!(first.wait().unwrap().0, b"0");
    delete.wait().unwrap();
    drop((create, set));
}

pub(crate) fn completions_are_called_in_order(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    for n in 0..500 {
        let tell = heard.teller();
        let result = client.create(&format!("/n{n}"), b"").send();
        result.on_complete(move |result| tell.send((n, result)).unwrap());
    }
    for n in 0..500 {
        assert_eq!(heard.next(), (n, Ok(format!("/n{n}"))));
    }
}

pub(crate) fn callbacks_of_all_kinds_come_in_order_and_one_at_a_time(env: &Env) {
    let client = env.client();
    let busy = Arc::new(AtomicBool::new(false));
    let heard = Heard::new();
    let teller = |what: &'static str| {
        let (tell, busy) = (heard.teller(), Arc::clone(&busy));
        move || {
            assert!(!busy.swap(true, Ordering::SeqCst), "two at once");
            tell.send(what).unwrap();
            std::thread::yield_now();
            busy.store(false, Ordering::SeqCst);
        }
    };
    let tell = teller("state");
    client.add_listener(move |_| {
        tell();
        Listen::Keep
    });
    for round in 0..20 {
        let path = format!("/n{round}");
        let (watch, create, get) = (teller("watch"), teller("create"), teller("get"));
        client.exists(&path).watch(move |_| watch()).wait().unwrap();
        client
            .create(&path, b"")
            .send()
            .on_complete(move |_| create());
        client.get(&path).send().on_complete(move |_| get());
        client.sync("/").wait().unwrap();
        lose_connection(&client);
        wait_for_callbacks(&client);
        let order = heard.so_far();
        assert_eq!(
            order,
            ["watch", "create", "get", "state", "state"],
            "round {round}"
        );
    }
}

pub(crate) fn the_state_changes_before_the_failures_it_causes(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    let heard = Heard::new();
    let (tell, failed) = (heard.teller(), heard.teller());
    client.add_listener(move |change| {
        tell.send(format!("{}", change.to.is_connected())).unwrap();
        Listen::Keep
    });
    let mut changes = client.state_changes();
    proxy.stall_towards_client();
    let mut pending = client.create("/a", b"").send();
    client.create("/b", b"").send().on_complete(move |result| {
        failed.send(format!("{}", result.is_ok())).unwrap();
    });
    proxy.refuse(true).unwrap();
    proxy.cut();
    assert!(matches!(
        pending.wait_for(LIMIT),
        Some(Err(Error::ConnectionLoss { .. }))
    ));
    assert!(matches!(client.state(), State::Suspended { .. }));
    assert!(changes.try_next().is_some());
    assert_eq!([heard.next(), heard.next()], ["false", "false"]);
    proxy.resume();
    proxy.refuse(false).unwrap();
    assert_eq!(heard.next(), "true");
}

pub(crate) fn a_gap_comes_before_the_connection_can_be_used(env: &Env) {
    let client = env.client();
    let mut stream = client.add_watch("/a").wait().unwrap();
    lose_connection(&client);
    client.create("/a", b"").wait().unwrap();
    assert!(matches!(next(&mut stream), zk::Notice::Gap { .. }));
    assert_eq!(next_event(&mut stream).1, "/a");
}

pub(crate) fn a_callback_may_block_on_its_own_client(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    let (tell, user) = (heard.teller(), client.clone());
    client.exists("/").send().on_complete(move |_| {
        user.create("/a", b"").wait().unwrap();
        user.create("/b/c", b"").make_path().wait().unwrap();
        let (_, mut watch) = user.exists("/d").watched().wait().unwrap();
        user.create("/d", b"").wait().unwrap();
        tell.send(watch.wait_for(LIMIT).is_some()).unwrap();
    });
    assert!(heard.next());
}

pub(crate) fn callbacks_of_different_clients_do_not_wait_for_each_other(env: &Env) {
    const CLIENTS: usize = 12;
    let clients: Vec<_> = (0..CLIENTS).map(|_| env.client()).collect();
    let heard = Heard::new();
    let (release, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    // All but one block until the last has run.
    for client in &clients[1..] {
        let (tell, gate) = (heard.teller(), Arc::clone(&gate));
        client.exists("/").send().on_complete(move |_| {
            let released = gate.lock().unwrap().recv_timeout(LIMIT);
            tell.send(released.is_ok()).unwrap();
        });
    }
    let tell = heard.teller();
    clients[0].exists("/").send().on_complete(move |_| {
        for _ in 1..CLIENTS {
            release.send(()).unwrap();
        }
        tell.send(true).unwrap();
    });
    for _ in 0..CLIENTS {
        assert!(heard.next());
    }
}

/// A waker that does what none should: it waits for another result, on whatever thread wakes it.
struct Impatient {
    client: Client,
    path: &'static str,
    heard: mpsc::Sender<Result<Option<Stat>, Error>>,
}

impl Wake for Impatient {
    fn wake(self: Arc<Self>) {
        let result = self.client.exists(self.path).wait();
        self.heard.send(result).unwrap();
    }
}

pub(crate) fn waiting_where_results_come_from_is_refused(env: &Env) {
    let client = env.client();
    let proxy = env.proxy();
    let slow = env.connect(&env.builder_through(&proxy));
    // Held up, so that this thread cannot be the one that finds the answer.
    proxy.stall();
    let mut pending: AsyncResult<Option<Stat>> = slow.exists("/").send();
    let (heard, answer) = mpsc::channel();
    let waker = Arc::new(Impatient {
        client: client.clone(),
        path: "/",
        heard,
    })
    .into();
    let poll = Pin::new(&mut pending).poll(&mut Context::from_waker(&waker));
    assert!(matches!(poll, Poll::Pending));
    drop(waker);
    proxy.resume();
    assert_eq!(
        answer.recv_timeout(LIMIT).unwrap(),
        Err(Error::WouldDeadlock)
    );
    pending.wait().unwrap();
    wait_until("the client to be idle", || {
        client.stats().session.in_flight == 0
    });
}
