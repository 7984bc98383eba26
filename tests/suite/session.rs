//! How sessions begin, what they tell about themselves, and how they survive.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use zk::{
    Error, GiveUp, LinkError, Listen, Outcome, Password, ServerAddr, SessionId, State, StateReason,
};

use crate::support::{
    Env, Heard, LIMIT, assert_nothing_left, expire_session, kill_session, lose_connection, next,
    session_of, wait_for_callbacks, wait_for_connected, wait_until,
};

const UP: State = State::Connected { read_only: false };

pub(crate) fn a_new_client_knows_its_session(env: &Env) {
    let client = env.client();
    let (id, password) = client.client_id().unwrap();
    assert!(!id.is_none());
    assert_eq!(password.as_bytes().len(), 16);
    assert!(client.connected());
    assert_eq!(client.state(), UP);
    assert_eq!(client.negotiated_timeout(), Some(Duration::from_secs(10)));
    let server = ServerAddr::new("127.0.0.1", env.address().port());
    assert_eq!(client.server(), Some(server.clone()));
    assert_eq!(client.servers(), [server]);
    assert!(client.exists("/").wait().unwrap().is_some());
    assert!(client.last_zxid().is_positive());
    assert_eq!(client.last_error(), None);
    assert_eq!(client.root_path(), env.root());
    assert!(client.identity().contains(&std::process::id().to_string()));
    assert!(env.session_lives(id));
}

pub(crate) fn servers_bound_the_session_timeout(env: &Env) {
    let short = env.start(env.builder().session_timeout(Duration::from_millis(10)));
    // A machine that is busy may lose so short a session again.
    wait_until("a second", || {
        short.negotiated_timeout() == Some(Duration::from_secs(1))
    });
    let long = env.connect(env.builder().session_timeout(Duration::from_secs(1000)));
    assert_eq!(long.negotiated_timeout(), Some(Duration::from_secs(40)));
}

pub(crate) fn listeners_hear_each_change_once(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    let tell = heard.teller();
    client.add_listener(move |change| {
        tell.send((change.to, change.reason)).unwrap();
        Listen::Keep
    });
    client.close().wait().unwrap();
    assert_eq!(heard.next(), (State::Lost, StateReason::Closed));
    client.close().wait().unwrap();
    client.restart().wait().unwrap();
    assert_eq!(heard.next(), (UP, StateReason::Established));
    // Asked again for what is the case already.
    client.until_connected().wait().unwrap();
    wait_for_callbacks(&client);
    assert_eq!(heard.so_far(), []);
}

pub(crate) fn an_expiry_is_lost_then_connected(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    let tell = heard.teller();
    client.add_listener(move |change| {
        tell.send((change.to, change.reason)).unwrap();
        Listen::Keep
    });
    let before = session_of(&client);
    client.create("/mine", b"").ephemeral().wait().unwrap();
    expire_session(&client);
    let (state, reason) = heard.next();
    // The server ends the connection first, then refuses the session.
    assert!(matches!(state, State::Suspended { .. }), "{state:?}");
    assert!(
        matches!(reason, StateReason::ConnectionLost(_)),
        "{reason:?}"
    );
    assert_eq!(heard.next(), (State::Lost, StateReason::Expired));
    assert_eq!(heard.next(), (UP, StateReason::Established));
    assert_ne!(session_of(&client), before);
    assert_eq!(client.exists("/mine").wait().unwrap(), None);
    let stats = client.stats().session;
    assert_eq!((stats.sessions, stats.sessions_lost), (2, 1));
}

pub(crate) fn a_lost_connection_keeps_the_session(env: &Env) {
    let client = env.client();
    let mut changes = client.state_changes();
    let before = session_of(&client);
    client.create("/mine", b"").ephemeral().wait().unwrap();
    client.reconnect();
    let lost = next(&mut changes);
    assert_eq!(lost.from, UP);
    let State::Suspended { until } = lost.to else {
        panic!("{lost:?}");
    };
    assert!(until <= client.now() + Duration::from_secs(10));
    assert_eq!(
        lost.reason,
        StateReason::ConnectionLost(LinkError::Requested)
    );
    let back = next(&mut changes);
    assert_eq!((back.from, back.to), (lost.to, UP));
    assert_eq!(back.reason, StateReason::Resumed);
    assert_eq!(session_of(&client), before);
    assert!(client.exists("/mine").wait().unwrap().is_some());
    assert_eq!(client.stats().session.losses, 1);
}

pub(crate) fn listeners_are_called_in_order_until_removed(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    let listener = |name: &'static str, answer: Listen| {
        let tell = heard.teller();
        client.add_listener(move |change| {
            tell.send((name, change.to.is_connected())).unwrap();
            answer
        })
    };
    listener("once", Listen::Remove);
    let second = listener("second", Listen::Keep);
    listener("third", Listen::Keep);
    lose_connection(&client);
    let first_loss = [("once", false), ("second", false), ("third", false)];
    assert_eq!([heard.next(), heard.next(), heard.next()], first_loss);
    assert_eq!(
        [heard.next(), heard.next()],
        [("second", true), ("third", true)]
    );
    client.remove_listener(second);
    client.remove_listener(second);
    lose_connection(&client);
    assert_eq!(
        [heard.next(), heard.next()],
        [("third", false), ("third", true)]
    );
    wait_for_callbacks(&client);
    assert_eq!(heard.so_far(), []);
}

pub(crate) fn a_panic_in_a_listener_is_contained(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    let tell = heard.teller();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    client.add_listener(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        panic!("as this test wants");
    });
    client.add_listener(move |change| {
        tell.send(change.to.is_connected()).unwrap();
        Listen::Keep
    });
    lose_connection(&client);
    assert_eq!([heard.next(), heard.next()], [false, true]);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert!(client.exists("/").wait().unwrap().is_some());
}

pub(crate) fn a_listener_may_use_the_client(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    let (tell, user) = (heard.teller(), client.clone());
    let id = client.add_listener(move |change| {
        if change.to.is_connected() {
            tell.send(user.create("/from-a-listener", b"").wait())
                .unwrap();
        }
        Listen::Keep
    });
    lose_connection(&client);
    assert_eq!(heard.next().unwrap(), "/from-a-listener");
    // The listener holds the client, and the client the listener.
    client.remove_listener(id);
}

pub(crate) fn changes_come_as_a_stream_too(env: &Env) {
    let client = env.client();
    let mut changes = client.state_changes();
    lose_connection(&client);
    assert!(matches!(next(&mut changes).to, State::Suspended { .. }));
    assert_eq!(next(&mut changes).to, UP);
    client.close().wait().unwrap();
    assert_eq!(next(&mut changes).reason, StateReason::Closed);
    assert_eq!(changes.next_timeout(LIMIT).unwrap(), None);
    assert_eq!(client.state_changes().next_timeout(LIMIT).unwrap(), None);
}

pub(crate) fn what_is_asked_before_the_first_connection_waits(env: &Env) {
    let client = env.start(&env.builder());
    let early: Vec<_> = (0..50)
        .map(|n| client.create(&format!("/n{n}"), b"").send())
        .collect();
    for (n, result) in early.into_iter().enumerate() {
        assert_eq!(result.wait().unwrap(), format!("/n{n}"));
    }
    assert_eq!(client.state(), UP);
}

pub(crate) fn what_is_asked_while_suspended_waits(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    let before = session_of(&client);
    let mut changes = client.state_changes();
    proxy.refuse(true).unwrap();
    proxy.cut();
    assert!(matches!(next(&mut changes).to, State::Suspended { .. }));
    let mut waiting = client.create("/later", b"").send();
    assert!(waiting.try_take().is_none());
    proxy.refuse(false).unwrap();
    wait_for_connected(&mut changes);
    assert_eq!(waiting.wait().unwrap(), "/later");
    assert_eq!(session_of(&client), before);
}

pub(crate) fn what_waits_fails_unsent_if_the_session_has_expired(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    let mut changes = client.state_changes();
    proxy.refuse(true).unwrap();
    proxy.cut();
    assert!(matches!(next(&mut changes).to, State::Suspended { .. }));
    let waiting = client.create("/never", b"").send();
    kill_session(env, &client);
    proxy.refuse(false).unwrap();
    let error = waiting.wait().unwrap_err();
    assert_eq!(error, Error::SessionExpired { sent: false });
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    client.until_connected().wait().unwrap();
    assert_eq!(client.exists("/never").wait().unwrap(), None);
}

pub(crate) fn what_is_asked_after_the_loss_waits_for_the_next_session(env: &Env) {
    let client = env.client();
    let heard = Heard::new();
    let (tell, user) = (heard.teller(), client.clone());
    let id = client.add_listener(move |change| {
        if change.to == State::Lost {
            tell.send(user.create("/next", b"").ephemeral().with_stat().wait())
                .unwrap();
        }
        Listen::Keep
    });
    kill_session(env, &client);
    let (_, stat) = heard.next().unwrap();
    assert_eq!(stat.ephemeral_owner, session_of(&client));
    client.remove_listener(id);
}

/// A client that hears of no server says that its session is lost, by its own clock.
pub(crate) fn a_session_without_contact_is_given_up(env: &Env) {
    let proxy = env.proxy();
    let mut builder = env.builder_through(&proxy);
    let client = env.connect(
        builder
            .session_timeout(Duration::from_secs(3))
            .give_up(GiveUp::After(Duration::ZERO)),
    );
    let first = session_of(&client);
    client.create("/mine", b"").ephemeral().wait().unwrap();
    let mut changes = client.state_changes();
    proxy.refuse(true).unwrap();
    proxy.cut();
    let State::Suspended { until } = next(&mut changes).to else {
        panic!("not suspended");
    };
    let lost = next(&mut changes);
    assert_eq!((lost.to, lost.reason), (State::Lost, StateReason::GivenUp));
    assert!(client.now() >= until);
    proxy.refuse(false).unwrap();
    wait_for_connected(&mut changes);
    // Whatever was left of the old session does not haunt the new one.
    assert_ne!(session_of(&client), first);
    client.create("/mine", b"").ephemeral().wait().unwrap();
}

pub(crate) fn the_deadline_moves_on_while_a_sync_keeps_alive(env: &Env) {
    let client = env.connect(env.builder().session_timeout(Duration::from_secs(4)));
    let held = client.keep_alive_by_sync();
    let first = client.deadline();
    wait_until("a later deadline", || client.deadline() > first);
    wait_until("it to lie ahead", || {
        client
            .deadline()
            .is_some_and(|deadline| deadline > client.now())
    });
    drop(held);
}

pub(crate) fn detached_sessions_can_be_resumed(env: &Env) {
    let handler = env.new_handler();
    let first = env.builder().connect(handler).limit(LIMIT).wait().unwrap();
    let (id, password) = first.client_id().unwrap();
    first.create("/mine", b"").ephemeral().wait().unwrap();
    first.detach().wait().unwrap();
    assert_eq!(first.state(), State::Lost);
    assert_eq!(
        first.get("/mine").wait().unwrap_err(),
        Error::Closed { sent: false }
    );
    assert_nothing_left(&first);
    drop(first);
    assert!(env.session_lives(id));

    let second = env.start(env.builder().resume(id, password));
    second.until_connected().wait().unwrap();
    assert_eq!(second.client_id(), Some((id, password)));
    let (_, stat) = second.get("/mine").wait().unwrap();
    assert_eq!(stat.owner_session_id(), Some(id));
    second.close().wait().unwrap();
    assert_eq!(env.other().exists(&env.full("/mine")).wait().unwrap(), None);
}

pub(crate) fn a_bogus_session_is_replaced(env: &Env) {
    let bogus = SessionId(0x0123_4567_89ab_cdef);
    let password = Password::from_slice(&[7; 16]).unwrap();
    let client = env.connect(env.builder().resume(bogus, password));
    assert_ne!(session_of(&client), bogus);
    client.create("/usable", b"").wait().unwrap();
}

pub(crate) fn a_session_is_not_resumed_with_a_wrong_password(env: &Env) {
    let owner = env.client();
    let id = session_of(&owner);
    let password = Password::from_slice(&[7; 16]).unwrap();
    let thief = env.connect(env.builder().resume(id, password));
    assert_ne!(session_of(&thief), id);
    assert!(owner.exists("/").wait().unwrap().is_some());
    assert_eq!(session_of(&owner), id);
}

pub(crate) fn a_restart_begins_a_new_session(env: &Env) {
    let client = env.client();
    let before = session_of(&client);
    client.create("/ephemeral", b"").ephemeral().wait().unwrap();
    client.create("/persistent", b"").wait().unwrap();
    client.restart().wait().unwrap();
    client.until_connected().wait().unwrap();
    assert_ne!(session_of(&client), before);
    assert_eq!(client.exists("/ephemeral").wait().unwrap(), None);
    assert!(client.exists("/persistent").wait().unwrap().is_some());
    // Again, and from a closed state.
    client.close().wait().unwrap();
    client.restart().wait().unwrap();
    assert!(client.exists("/persistent").wait().unwrap().is_some());
}

pub(crate) fn a_restarted_client_does_not_resume_what_it_once_resumed(env: &Env) {
    let first = env.client();
    let (id, password) = first.client_id().unwrap();
    first.detach().wait().unwrap();
    let second = env.connect(env.builder().resume(id, password));
    assert_eq!(session_of(&second), id);
    second.restart().wait().unwrap();
    second.until_connected().wait().unwrap();
    assert_ne!(session_of(&second), id);
}

pub(crate) fn one_handler_drives_two_hundred_clients(env: &Env) {
    const CLIENTS: usize = 200;
    let handler = env.new_handler();
    let connecting: Vec<_> = (0..CLIENTS)
        .map(|_| env.builder().start(Arc::clone(&handler)).unwrap())
        .collect();
    for client in &connecting {
        client.until_connected().wait().unwrap();
    }
    let results: Vec<_> = connecting
        .iter()
        .enumerate()
        .map(|(n, client)| client.create(&format!("/n{n}"), b"").ephemeral().send())
        .collect();
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result.wait().unwrap(), format!("/n{n}"));
    }
    let (_, stat) = env.other().get(env.root()).wait().unwrap();
    assert_eq!(stat.children_count(), 200);
    let closes: Vec<_> = connecting
        .iter()
        .map(|client| client.close().send())
        .collect();
    for close in closes {
        close.wait().unwrap();
    }
    assert!(
        env.other()
            .get_children(env.root())
            .wait()
            .unwrap()
            .is_empty()
    );
    for client in &connecting {
        assert_nothing_left(client);
    }
}

pub(crate) fn one_client_serves_many_threads(env: &Env) {
    let client = env.client();
    thread::scope(|scope| {
        for t in 0..8 {
            let client = client.clone();
            scope.spawn(move || {
                for n in 0..25 {
                    let path = format!("/t{t}-n{n}");
                    client.create(&path, path.as_bytes()).wait().unwrap();
                    let (data, _) = client.get(&path).wait().unwrap();
                    assert_eq!(data, path);
                }
            });
        }
    });
    assert_eq!(client.get_children("/").wait().unwrap().len(), 8 * 25);
}

pub(crate) fn threads_make_and_close_clients_at_once(env: &Env) {
    let (done, all) = mpsc::channel();
    thread::scope(|scope| {
        for n in 0..8 {
            let done = done.clone();
            scope.spawn(move || {
                for round in 0..4 {
                    let connect = env.builder().connect(env.handler());
                    let client = connect.limit(LIMIT).wait().unwrap();
                    let path = format!("/t{n}-{round}");
                    client.create(&path, b"").ephemeral().wait().unwrap();
                    client.close().wait().unwrap();
                }
                done.send(n).unwrap();
            });
        }
    });
    assert_eq!(all.try_iter().count(), 8);
    assert!(
        env.other()
            .get_children(env.root())
            .wait()
            .unwrap()
            .is_empty()
    );
}
