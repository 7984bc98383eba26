//! What is repeated, what is looked up, and what is left to the caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use zk::{BackoffPolicy, Client, Doubt, Error, Outcome, Resolved, State};

use crate::support::{
    Direction, Env, LIMIT, Proxy, kill_session, next, quick, session_of, wait_until,
};

const MOMENT: Duration = Duration::from_millis(30);

/// A connected client, and the way between it and the server.
struct Rig {
    proxy: Arc<Proxy>,
    client: Client,
    policy: BackoffPolicy,
}

impl Rig {
    fn new(env: &Env) -> Self {
        let proxy = env.proxy();
        let mut builder = env.builder_through(&proxy);
        let pause = Duration::from_millis(50);
        let client = env.connect(builder.connection_retry(BackoffPolicy::new().max_delay(pause)));
        let policy = BackoffPolicy::new().delay(Duration::from_millis(10));
        Self {
            proxy,
            client,
            policy,
        }
    }

    /// The next reply is lost; what it answers has been carried out.
    fn lose_reply(&self) {
        self.proxy.cut_after(Direction::ToClient, 0);
    }

    /// The next request is lost, before a server sees it.
    fn lose_request(&self) {
        self.proxy.cut_after(Direction::ToServer, 0);
    }

    /// The connection is gone, and there will be no other for now.
    fn suspend(&self) {
        let mut changes = self.client.state_changes();
        self.proxy.refuse(true).unwrap();
        self.proxy.cut();
        assert!(matches!(next(&mut changes).to, State::Suspended { .. }));
    }
}

fn doubt<T: std::fmt::Debug>(result: Result<T, Error>) -> Doubt {
    let error = result.unwrap_err();
    assert_eq!(error.outcome(), Some(Outcome::Unknown), "{error:?}");
    let Error::Unknown { why, last } = error else {
        panic!("{error:?}");
    };
    assert_eq!(*last, Error::ConnectionLoss { sent: true });
    why
}

pub(crate) fn what_can_be_repeated_is(env: &Env) {
    let rig = Rig::new(env);
    let Rig { client, policy, .. } = &rig;
    client.create("/a", b"0").wait().unwrap();
    for lose in [Rig::lose_reply, Rig::lose_request] {
        lose(&rig);
        assert_eq!(
            client.retry(policy, client.get("/a")).wait().unwrap().0,
            b"0"
        );
        lose(&rig);
        assert!(
            client
                .retry(policy, client.exists("/a"))
                .wait()
                .unwrap()
                .is_some()
        );
        lose(&rig);
        assert_eq!(
            client.retry(policy, client.sync("/x")).wait().unwrap(),
            "/x"
        );
        lose(&rig);
        let (_, watch) = client
            .retry(policy, client.exists("/b").watched())
            .wait()
            .unwrap();
        drop(watch);
        lose(&rig);
        let stream = client.retry(policy, client.add_watch("/b")).wait().unwrap();
        drop(stream);
        lose(&rig);
        client.retry(policy, client.set("/a", b"0")).wait().unwrap();
        lose(&rig);
        client
            .retry(policy, client.ensure_path("/p/q/r"))
            .wait()
            .unwrap();
        lose(&rig);
        client
            .retry(policy, client.get_children("/p").synced())
            .wait()
            .unwrap();
        lose(&rig);
        client
            .retry(policy, client.delete("/p").recursive())
            .wait()
            .unwrap();
    }
    assert_eq!(rig.client.stats().session.losses, 18);
    assert_eq!(rig.client.stats().session.sessions, 1);
}

pub(crate) fn a_delete_that_was_carried_out_is_done(env: &Env) {
    let rig = Rig::new(env);
    let Rig { client, policy, .. } = &rig;
    client.create("/a", b"").wait().unwrap();
    rig.lose_reply();
    assert_eq!(client.retry(policy, client.delete("/a")).wait(), Ok(()));
    assert_eq!(client.exists("/a").wait().unwrap(), None);
    // But one that finds no node has failed.
    assert_eq!(
        client.retry(policy, client.delete("/a")).wait(),
        Err(Error::NoNode)
    );
}

pub(crate) fn an_ephemeral_node_of_its_own_is_found(env: &Env) {
    let rig = Rig::new(env);
    let Rig { client, policy, .. } = &rig;
    for lose in [Rig::lose_reply, Rig::lose_request] {
        lose(&rig);
        let create = client.create("/e", b"").ephemeral().with_stat();
        let (path, stat) = client.retry(policy, create).wait().unwrap();
        assert_eq!(
            (path.as_str(), stat.ephemeral_owner),
            ("/e", session_of(client))
        );
        client.delete("/e").wait().unwrap();
    }
    env.client().create("/e", b"").ephemeral().wait().unwrap();
    rig.lose_reply();
    let taken = client
        .retry(policy, client.create("/e", b"").ephemeral())
        .wait();
    assert_eq!(taken, Err(Error::NodeExists));
}

pub(crate) fn a_plain_node_may_be_anybodys(env: &Env) {
    let rig = Rig::new(env);
    let Rig { client, policy, .. } = &rig;
    rig.lose_request();
    assert_eq!(
        client
            .retry(policy, client.create("/a", b""))
            .wait()
            .unwrap(),
        "/a"
    );
    rig.lose_reply();
    assert_eq!(
        doubt(client.retry(policy, client.create("/b", b"")).wait()),
        Doubt::Exists
    );
    rig.lose_reply();
    let sequential = client.create("/s-", b"").sequential();
    assert_eq!(
        doubt(client.retry(policy, sequential).wait()),
        Doubt::Sequential
    );
    assert_eq!(client.get_children("/").wait().unwrap().len(), 3);
}

pub(crate) fn protected_nodes_are_made_just_once(env: &Env) {
    let rig = Rig::new(env);
    let Rig { client, policy, .. } = &rig;
    client.create("/q", b"").wait().unwrap();
    for lose in [Rig::lose_reply, Rig::lose_request] {
        lose(&rig);
        let create = || {
            client
                .create("/q/n-", b"x")
                .ephemeral()
                .sequential()
                .protected()
        };
        let path = client.retry(policy, create()).wait().unwrap();
        assert!(
            path.starts_with("/q/_c_") && path.contains("-n-0000"),
            "{path}"
        );
        assert_eq!(client.get(&path).wait().unwrap().0, b"x");
        lose(&rig);
        let again = client.retry(policy, create().with_stat()).wait().unwrap();
        assert_eq!(again.1.ephemeral_owner, session_of(client));
    }
    assert_eq!(client.get_children("/q").wait().unwrap().len(), 4);
}

pub(crate) fn the_reply_to_a_protected_create_is_looked_for_without_a_retry(env: &Env) {
    // Each with a client of its own: what was lost is looked for in the background for a while.
    let rig = Rig::new(env);
    rig.client.create("/q", b"").wait().unwrap();
    rig.lose_reply();
    let create = rig.client.create("/q/n-", b"").sequential().protected();
    let path = create.wait().unwrap();
    assert!(rig.client.exists(&path).wait().unwrap().is_some());

    let rig = Rig::new(env);
    rig.lose_request();
    let lost = rig
        .client
        .create("/q/n-", b"")
        .sequential()
        .protected()
        .wait();
    assert_eq!(lost.unwrap_err().outcome(), Some(Outcome::NotApplied));
    assert_eq!(rig.client.get_children("/q").wait().unwrap().len(), 1);
}

pub(crate) fn a_protected_create_that_is_given_up_leaves_nothing(env: &Env) {
    let rig = Rig::new(env);
    let client = &rig.client;
    client.create("/q", b"").wait().unwrap();
    rig.proxy.stall_towards_client();
    let given_up = |limit: Duration| {
        let create = client.create("/q/n-", b"").sequential().protected();
        create.timeout(limit).wait().unwrap_err()
    };
    // A machine that is busy may not have sent it in so short a time.
    let mut errors = [MOMENT, 100 * MOMENT].into_iter().map(given_up);
    let sent = errors.find(|error| *error == Error::Timeout { sent: true });
    assert!(sent.is_some());
    let dropped = client.create("/q/n-", b"").sequential().protected().send();
    let other = env.other().chroot(&env.full("/q")).unwrap();
    wait_until("the nodes", || {
        other.get_children("/").wait().unwrap().len() == 2
    });
    drop(dropped);
    rig.proxy.resume();
    wait_until("a clean-up", || {
        other.get_children("/").wait().unwrap().is_empty()
    });
}

pub(crate) fn writes_with_a_version_are_left_to_the_caller(env: &Env) {
    let rig = Rig::new(env);
    let Rig { client, policy, .. } = &rig;
    client.create("/a", b"").wait().unwrap();
    rig.lose_reply();
    let set = client.set("/a", b"1").version(0);
    assert_eq!(doubt(client.retry(policy, set).wait()), Doubt::Versioned);
    assert_eq!(client.exists("/a").wait().unwrap().unwrap().version, 1);
    // Who knows how to look may tell.
    for lose in [Rig::lose_reply, Rig::lose_request] {
        let before = client.exists("/a").wait().unwrap().unwrap().version;
        lose(&rig);
        let set = client.set("/a", b"mine").version(before);
        let resolved = client.retry(policy, set).resolve(move |client| async move {
            let (_, stat) = client.get("/a").synced().await?;
            let applied = stat.version == before + 1;
            Ok(if applied {
                Resolved::Applied(stat)
            } else {
                Resolved::NotApplied
            })
        });
        assert_eq!(resolved.wait().unwrap().version, before + 1);
        assert_eq!(
            client.exists("/a").wait().unwrap().unwrap().version,
            before + 1
        );
    }
}

pub(crate) fn transactions_are_known_by_a_protected_create(env: &Env) {
    let rig = Rig::new(env);
    let Rig { client, policy, .. } = &rig;
    client.create("/a", b"").wait().unwrap();
    rig.lose_reply();
    let plain = client.transaction().set("/a", b"1").commit();
    assert_eq!(
        doubt(client.retry(policy, plain).wait()),
        Doubt::Transaction
    );
    assert_eq!(client.exists("/a").wait().unwrap().unwrap().version, 1);
    for lose in [Rig::lose_reply, Rig::lose_request] {
        let before = client.exists("/a").wait().unwrap().unwrap().version;
        let marker = client.create("/marker-", b"").ephemeral().protected();
        let marked = client
            .transaction()
            .with(marker)
            .check("/a", before)
            .delete("/a");
        let marked = marked.create("/a", b"");
        lose(&rig);
        let results = client.retry(policy, marked.commit()).wait().unwrap();
        assert_eq!(results.len(), 4);
        assert!(results[0].path().unwrap().starts_with("/_c_"));
    }
    assert_eq!(client.get_children("/").wait().unwrap().len(), 3);
}

pub(crate) fn answers_of_servers_end_it_at_once(env: &Env) {
    let Rig { client, policy, .. } = &Rig::new(env);
    let before = client.stats().session.requests;
    assert_eq!(
        client
            .retry(policy, client.get("/none"))
            .wait()
            .unwrap_err(),
        Error::NoNode
    );
    let exists = client.retry(policy, client.create("/", b"")).wait();
    assert_eq!(exists, Err(Error::NodeExists));
    assert_eq!(client.stats().session.requests, before + 2);
    let malformed = client.retry(policy, client.get("/../a")).wait();
    assert!(matches!(malformed, Err(Error::Path(_))));
    client.close().wait().unwrap();
    let start = Instant::now();
    let closed = client.retry(policy, client.get("/none")).wait();
    assert_eq!(closed.unwrap_err(), Error::Closed { sent: false });
    quick(start);
}

pub(crate) fn tries_are_counted(env: &Env) {
    let rig = Rig::new(env);
    let Rig { client, policy, .. } = &rig;
    rig.suspend();
    let three = policy.clone().max_tries(3);
    let error = client
        .retry(&three, client.get("/a").timeout(MOMENT))
        .wait()
        .unwrap_err();
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    let Error::RetryFailed { attempts, last, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((attempts, *last), (3, Error::Timeout { sent: false }));
    // A limit for all of them together.
    let start = Instant::now();
    let get = client.get("/a").timeout(MOMENT);
    let error = client
        .retry(policy, get)
        .timeout(10 * MOMENT)
        .wait()
        .unwrap_err();
    assert!(
        matches!(error, Error::RetryFailed { .. } | Error::Timeout { .. }),
        "{error:?}"
    );
    quick(start);
    let late = policy.clone().deadline(MOMENT);
    let error = client
        .retry(&late, client.get("/a").timeout(MOMENT))
        .wait()
        .unwrap_err();
    assert!(matches!(error, Error::RetryFailed { .. }), "{error:?}");
    rig.proxy.refuse(false).unwrap();
}

pub(crate) fn it_ends_well_when_the_server_comes_back(env: &Env) {
    let rig = Rig::new(env);
    let Rig {
        client,
        policy,
        proxy,
    } = &rig;
    client.create("/a", b"0").wait().unwrap();
    rig.suspend();
    let set = client
        .retry(policy, client.set("/a", b"1").timeout(MOMENT))
        .send();
    proxy.refuse(false).unwrap();
    set.wait_timeout(LIMIT).unwrap();
    assert_eq!(client.get("/a").wait().unwrap().0, b"1");
}

pub(crate) fn the_client_has_a_policy_of_its_own(env: &Env) {
    let mut builder = env.builder();
    builder.command_retry(BackoffPolicy::new().max_tries(2));
    let client = env.connect(&builder);
    assert_eq!(client.command_retry().max_tries, Some(2));
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let policy = client.command_retry().clone();
    let error = client
        .retry_with(&policy, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            async { Err::<(), _>(Error::TryAgain) }
        })
        .wait()
        .unwrap_err();
    assert!(
        matches!(error, Error::RetryFailed { attempts: 2, .. }),
        "{error:?}"
    );
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    client.create("/a", b"").wait().unwrap();
    assert!(
        client
            .retry_default(client.exists("/a"))
            .wait()
            .unwrap()
            .is_some()
    );
}

pub(crate) fn any_code_can_be_called_again(env: &Env) {
    let Rig { client, policy, .. } = &Rig::new(env);
    let calls = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&calls);
    let third = client.retry_with(policy, move |client| {
        let call = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if call < 2 {
                return Err(Error::TryAgain);
            }
            client.create("/a", b"").await
        }
    });
    assert_eq!(third.wait().unwrap(), "/a");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    let ends = client.retry_with(policy, |client| async move { client.get("/none").await });
    assert_eq!(ends.wait().unwrap_err(), Error::NoNode);
}

pub(crate) fn a_new_session_is_used_only_by_what_does_not_depend_on_the_old(env: &Env) {
    for (n, depends) in [(0, false), (1, true)] {
        let rig = Rig::new(env);
        let Rig {
            client,
            policy,
            proxy,
        } = &rig;
        let (first, path) = (session_of(client), format!("/n{n}"));
        client.create(&path, b"").wait().unwrap();
        rig.suspend();
        let child = format!("{path}/e");
        let get = client.retry(policy, client.get(&path)).send();
        let within = client
            .retry(policy, client.get(&path))
            .within_session()
            .send();
        let create = client.create(&child, b"").ephemeral();
        let create = depends.then(|| client.retry(policy, create).send());
        kill_session(env, client);
        proxy.refuse(false).unwrap();
        get.wait().unwrap();
        assert_ne!(session_of(client), first);
        assert!(matches!(
            within.wait(),
            Err(Error::SessionExpired { sent: false })
        ));
        if let Some(create) = create {
            assert!(matches!(
                create.wait(),
                Err(Error::SessionExpired { sent: false })
            ));
        }
        assert_eq!(client.exists(&child).wait().unwrap(), None);
    }
}
