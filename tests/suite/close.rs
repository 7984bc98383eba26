//! How clients end, from everywhere, at any moment.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use zk::{Error, Listen, Outcome, State, StateReason};

use crate::support::{
    Env, Heard, LIMIT, assert_nothing_left, kill_session, lose_connection, next, quick, session_of,
    wait_until,
};

const CLOSED: Error = Error::Closed { sent: false };

pub(crate) fn a_closed_client_refuses_everything(env: &Env) {
    let client = env.client();
    client.close().wait().unwrap();
    assert!(!client.connected());
    assert_eq!(client.state(), State::Lost);
    assert_eq!(client.client_id(), None);
    assert_eq!(client.deadline(), None);
    assert_eq!(client.server(), None);
    assert_eq!(client.exists("/").wait(), Err(CLOSED));
    assert_eq!(client.create("/a", b"").wait(), Err(CLOSED));
    assert_eq!(client.create("/a/b", b"").make_path().wait(), Err(CLOSED));
    assert_eq!(client.ensure_path("/a").wait(), Err(CLOSED));
    assert_eq!(client.get("/").watched().wait().unwrap_err(), CLOSED);
    assert_eq!(client.add_watch("/").wait().unwrap_err(), CLOSED);
    assert_eq!(client.add_auth("digest", "a:b").wait(), Err(CLOSED));
    assert_eq!(client.get("/").send().wait().unwrap_err(), CLOSED);
    assert_eq!(client.until_connected().wait(), Err(CLOSED));
    assert_eq!(client.sleep(Duration::from_secs(1000)).wait(), Err(CLOSED));
    assert_eq!(CLOSED.outcome(), Some(Outcome::NotApplied));
    client.reconnect();
    assert_eq!(client.state(), State::Lost);
}

pub(crate) fn closing_again_is_harmless(env: &Env) {
    let client = env.client();
    let (one, two) = (client.close().send(), client.close().send());
    one.wait().unwrap();
    two.wait().unwrap();
    client.close().wait().unwrap();
    client.detach().wait().unwrap();
    client.chroot("/a/view").unwrap().close().wait().unwrap();
}

pub(crate) fn closing_deletes_the_ephemerals_at_once(env: &Env) {
    let client = env.client();
    let id = session_of(&client);
    client.create("/e", b"").ephemeral().wait().unwrap();
    client.create("/p", b"").wait().unwrap();
    client.close().wait().unwrap();
    assert_eq!(env.other().exists(&env.full("/e")).wait().unwrap(), None);
    assert!(
        env.other()
            .exists(&env.full("/p"))
            .wait()
            .unwrap()
            .is_some()
    );
    assert!(!env.session_lives(id));
}

pub(crate) fn closing_sends_what_was_submitted_before(env: &Env) {
    let client = env.client();
    let creates: Vec<_> = (0..200)
        .map(|n| client.create(&format!("/n{n}"), b"").send())
        .collect();
    let close = client.close().send();
    assert_eq!(client.create("/late", b"").wait(), Err(CLOSED));
    for create in creates {
        create.wait().unwrap();
    }
    close.wait().unwrap();
    assert_eq!(
        env.other().get_children(env.root()).wait().unwrap().len(),
        200
    );
}

pub(crate) fn calls_race_with_the_close(env: &Env) {
    for _ in 0..5 {
        let client = env.client();
        let start = Barrier::new(5);
        thread::scope(|scope| {
            for t in 0..4 {
                let (client, start) = (&client, &start);
                scope.spawn(move || {
                    start.wait();
                    for n in 0.. {
                        match client
                            .create(&format!("/t{t}-{n}-"), b"")
                            .sequential()
                            .wait()
                        {
                            Ok(_) => {}
                            Err(error) => return assert_eq!(error, CLOSED),
                        }
                    }
                });
            }
            start.wait();
            client.exists("/").wait().unwrap();
            client.close().wait().unwrap();
        });
    }
}

pub(crate) fn completions_are_called_though_the_client_closes(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    for n in 0..100 {
        let tell = heard.teller();
        let create = client.create(&format!("/n{n}"), b"").send();
        create.on_complete(move |result| tell.send((n, result.is_ok())).unwrap());
    }
    let tell = heard.teller();
    client
        .close()
        .send()
        .on_complete(move |closed| tell.send((100, closed.is_ok())).unwrap());
    let late = client.exists("/").send();
    let tell = heard.teller();
    late.on_complete(move |result| tell.send((101, result.is_ok())).unwrap());
    let mut results: Vec<_> = (0..102).map(|_| heard.next()).collect();
    // The refused one did not wait for the others.
    results.sort_unstable();
    assert!(
        results.iter().all(|(n, ok)| *ok == (*n != 101)),
        "{results:?}"
    );
}

pub(crate) fn closing_right_after_the_start_works(env: &Env) {
    for _ in 0..10 {
        let client = env.start(&env.builder());
        client.close().wait().unwrap();
        assert_eq!(client.until_connected().wait(), Err(CLOSED));
    }
}

pub(crate) fn closing_without_a_server_says_so(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    let id = session_of(&client);
    let mut changes = client.state_changes();
    proxy.refuse(true).unwrap();
    proxy.cut();
    assert!(matches!(next(&mut changes).to, State::Suspended { .. }));
    let waiting = client.create("/never", b"").send();
    let start = Instant::now();
    let close = client.close().timeout(Duration::from_millis(300));
    assert_eq!(close.wait(), Err(Error::CloseUnconfirmed));
    quick(start);
    assert_eq!(waiting.wait().unwrap_err(), CLOSED);
    assert_eq!(client.state(), State::Lost);
    assert!(env.session_lives(id));
}

pub(crate) fn closing_while_the_connection_is_away_reaches_the_next(env: &Env) {
    let client = env.client();
    let id = session_of(&client);
    client.create("/e", b"").ephemeral().wait().unwrap();
    client.reconnect();
    client.close().wait().unwrap();
    assert!(!env.session_lives(id));
    assert_eq!(client.create("/late", b"").wait(), Err(CLOSED));
}

pub(crate) fn closing_an_expired_session_is_fine(env: &Env) {
    let client = env.client();
    kill_session(env, &client);
    client.close().wait().unwrap();
}

pub(crate) fn a_client_may_be_closed_in_its_own_callbacks(env: &Env) {
    // From a completion.
    let client = env.client();
    let heard = Heard::new();
    let (tell, user) = (heard.teller(), client.clone());
    client
        .exists("/")
        .send()
        .on_complete(move |_| tell.send(user.close().wait()).unwrap());
    heard.next().unwrap();

    // From a listener.
    let client = env.client();
    let (tell, user) = (heard.teller(), client.clone());
    client.add_listener(move |change| {
        if change.to.is_connected() {
            tell.send(user.close().wait()).unwrap();
            return Listen::Remove;
        }
        Listen::Keep
    });
    lose_connection(&client);
    heard.next().unwrap();

    // From a watch.
    let client = env.client();
    let (tell, user) = (heard.teller(), client.clone());
    let watch = move |event: Result<_, _>| {
        event.unwrap();
        tell.send(user.close().wait()).unwrap();
    };
    client.exists("/watched").watch(watch).wait().unwrap();
    env.other()
        .create(&env.full("/watched"), b"")
        .wait()
        .unwrap();
    heard.next().unwrap();
}

pub(crate) fn the_last_clone_closes_in_the_background(env: &Env) {
    let connect = env.builder().connect(env.handler());
    let client = connect.limit(LIMIT).wait().unwrap();
    let id = session_of(&client);
    let view = client.chroot("/below").unwrap();
    let clone = client.clone();
    drop(client);
    assert_eq!(clone.exists("/x").wait().unwrap(), None);
    drop(clone);
    assert_eq!(view.exists("/x").wait().unwrap(), None);
    assert!(env.session_lives(id));
    drop(view);
    wait_until("the session to end", || !env.session_lives(id));
}

pub(crate) fn what_is_sent_outlives_the_last_clone(env: &Env) {
    let connect = env.builder().connect(env.handler());
    let client = connect.limit(LIMIT).wait().unwrap();
    let pending = client.create("/a", b"").send();
    drop(client);
    assert_eq!(pending.wait().unwrap(), "/a");
}

pub(crate) fn watches_and_streams_end_with_the_client(env: &Env) {
    let client = env.client();
    let (_, watch) = client.exists("/a").watched().wait().unwrap();
    let mut stream = client.add_watch("/a").wait().unwrap();
    let heard = Heard::new();
    let tell = heard.teller();
    client
        .exists("/a")
        .watch(move |event| tell.send(event).unwrap())
        .wait()
        .unwrap();
    let forever = client.sleep(Duration::from_secs(1000));
    client.close().wait().unwrap();
    assert_eq!(watch.wait(), Err(Error::WatchEnded(StateReason::Closed)));
    assert_eq!(heard.next(), Err(Error::WatchEnded(StateReason::Closed)));
    assert_eq!(next(&mut stream), zk::Notice::End(StateReason::Closed));
    assert_eq!(stream.next_timeout(LIMIT).unwrap(), None);
    assert_eq!(forever.wait(), Err(CLOSED));
    assert_nothing_left(&client);
}
