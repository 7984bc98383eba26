//! Which servers are tried, what is said of those that are none, and when it is given up.

use std::time::Duration;

use zk::session::Stranger;
use zk::{BackoffPolicy, Client, Error, LinkError, ServerAddr, State, StateReason};

use crate::support::{Env, LIMIT, Stranger as Peer, log, next, session_of, wait_until};

pub(crate) fn set_hosts_moves_the_connection_not_the_session(env: &Env) {
    let proxy = env.proxy();
    let client = env.client();
    let before = session_of(&client);
    assert_eq!(
        client.set_hosts("127.0.0.1:1/elsewhere"),
        Err(Error::ChrootChanged)
    );
    assert!(matches!(client.set_hosts("a,,b"), Err(Error::Hosts(_))));
    assert_eq!(session_of(&client), before);

    let mut changes = client.state_changes();
    client.set_hosts(&proxy.address().to_string()).unwrap();
    let lost = next(&mut changes);
    assert_eq!(
        lost.reason,
        StateReason::ConnectionLost(LinkError::ServerRemoved)
    );
    assert_eq!(next(&mut changes).reason, StateReason::Resumed);
    assert_eq!(session_of(&client), before);
    assert_eq!(client.server().unwrap().port(), proxy.address().port());
    assert_eq!(client.servers().len(), 1);
    // With the same root path it may be named.
    client.set_hosts(&env.hosts_at(proxy.address())).unwrap();
    // A restart goes where the client went, not back.
    client.restart().wait().unwrap();
    client.until_connected().wait().unwrap();
    assert_eq!(client.server().unwrap().port(), proxy.address().port());
}

pub(crate) fn hosts_are_tried_in_the_given_order_if_asked_for(env: &Env) {
    let (dead, alive) = (env.nobody(), env.address());
    let hosts = format!("{dead},{alive}{}", env.root());
    let client = env.connect(Client::builder(&hosts).randomize_hosts(false));
    let ports: Vec<u16> = client.servers().iter().map(ServerAddr::port).collect();
    assert_eq!(ports, [dead.port(), alive.port()]);
    assert_eq!(client.server().unwrap().port(), alive.port());
    // The dead one was tried before.
    assert_eq!(client.stats().session.attempts, 2);
}

/// Why nobody is reached there. A machine that is busy needs more time to find out.
fn connect_error(env: &Env, hosts: &str) -> (ServerAddr, LinkError) {
    let limits = [400, 4_000, 40_000].map(Duration::from_millis);
    let errors = limits.map(|limit| move || last_error(env, hosts, limit));
    let found = |error: &(ServerAddr, LinkError)| error.1 != LinkError::ConnectTimeout;
    let mut found = errors.into_iter().filter_map(|last| last().filter(found));
    found
        .next()
        .expect("another error than that it took too long")
}

/// The last error of a client that is given up after this time.
fn last_error(env: &Env, hosts: &str, limit: Duration) -> Option<(ServerAddr, LinkError)> {
    let start = env.handler().now();
    let connect = Client::builder(hosts)
        .attempt_timeout(limit / 2)
        .connect(env.handler());
    let error = connect.limit(limit).wait().unwrap_err();
    assert!(env.handler().now() >= start + limit, "{error} came early");
    assert_eq!(error.outcome(), None);
    let Error::ConnectTimeout { last } = error else {
        panic!("{error}");
    };
    last
}

pub(crate) fn a_port_where_nobody_listens_is_named(env: &Env) {
    let address = env.nobody();
    let (server, error) = connect_error(env, &address.to_string());
    assert_eq!(server, ServerAddr::new("127.0.0.1", address.port()));
    assert_eq!(error, LinkError::Io(std::io::ErrorKind::ConnectionRefused));
}

pub(crate) fn an_http_server_is_named(env: &Env) {
    let http = env.stranger(Peer::Answers(
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    ));
    let (_, error) = connect_error(env, &http.to_string());
    assert_eq!(error, LinkError::NotZooKeeper(Stranger::Http));
}

pub(crate) fn a_tls_server_is_named(env: &Env) {
    // An alert: unexpected message.
    let tls = env.stranger(Peer::Answers(&[0x15, 3, 1, 0, 2, 2, 10]));
    let (_, error) = connect_error(env, &tls.to_string());
    assert_eq!(error, LinkError::NotZooKeeper(Stranger::Tls));
}

pub(crate) fn a_server_that_hangs_up_is_named(env: &Env) {
    let (_, error) = connect_error(env, &env.stranger(Peer::HangsUp).to_string());
    assert_eq!(error, LinkError::Declined);
}

pub(crate) fn a_silent_server_is_named(env: &Env) {
    let silent = env.stranger(Peer::Silent).to_string();
    let limits = [400, 4_000, 40_000].map(Duration::from_millis);
    let mut errors = limits
        .iter()
        .filter_map(|limit| last_error(env, &silent, *limit));
    let (_, error) = errors.next().unwrap();
    assert_eq!(error, LinkError::ConnectTimeout);
}

pub(crate) fn a_name_that_does_not_resolve_is_named(env: &Env) {
    // Reserved for never existing (RFC 6761). A resolver without a network may take its time.
    let mut builder = Client::builder("zookeeper.invalid");
    builder.connection_retry(BackoffPolicy::new().max_tries(1));
    let connect = builder.connect(env.handler()).limit(LIMIT);
    let error = connect.wait().unwrap_err();
    let Error::RetriesExhausted { last } = error else {
        panic!("{error}");
    };
    let (server, error) = last.unwrap();
    assert_eq!(server, ServerAddr::new("zookeeper.invalid", 2181));
    let expected = [
        LinkError::Io(std::io::ErrorKind::NotFound),
        LinkError::ConnectTimeout,
    ];
    assert!(expected.contains(&error), "{error:?}");
}

pub(crate) fn names_are_resolved(env: &Env) {
    let hosts = format!("LocalHost:{}{}", env.address().port(), env.root());
    let client = env.connect(&Client::builder(hosts));
    assert_eq!(client.server().unwrap().host(), "localhost");
}

pub(crate) fn garbage_is_survived(env: &Env) {
    // Connects through the real server in the end.
    let garbage = env.stranger(Peer::Answers(&[0, 0, 0, 4, 1, 2, 3, 4]));
    let hosts = format!("{garbage},{}{}", env.address(), env.root());
    let client = env.connect(Client::builder(hosts).randomize_hosts(false));
    assert_eq!(client.server().unwrap().port(), env.address().port());
}

pub(crate) fn limited_tries_end_the_client(env: &Env) {
    let policy = BackoffPolicy::new()
        .max_tries(2)
        .delay(Duration::from_millis(1));
    let mut builder = Client::builder(env.nobody().to_string());
    builder.connection_retry(policy);
    let error = builder
        .connect(env.handler())
        .limit(LIMIT)
        .wait()
        .unwrap_err();
    let refused = LinkError::Io(std::io::ErrorKind::ConnectionRefused);
    let Error::RetriesExhausted {
        last: Some((_, last)),
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*last, refused);

    let client = env.start(&builder);
    assert_eq!(client.until_connected().wait(), Err(error));
    assert_eq!(
        client.exists("/").wait(),
        Err(Error::Closed { sent: false })
    );
    assert_eq!(client.state(), State::Lost);
}

pub(crate) fn malformed_options_are_refused_at_once(env: &Env) {
    for hosts in ["", "/app", "a,,b", "a:port", "a:0", "[::1"] {
        let error = Client::builder(hosts).start(env.handler()).unwrap_err();
        assert!(matches!(error, Error::Hosts(_)), "{hosts:?}: {error:?}");
        let error = Client::builder(hosts)
            .connect(env.handler())
            .wait()
            .unwrap_err();
        assert!(matches!(error, Error::Hosts(_)), "{hosts:?}: {error:?}");
    }
    let mut builder = env.builder();
    let error = builder
        .session_timeout(Duration::ZERO)
        .start(env.handler())
        .unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error:?}");
    let mut builder = env.builder();
    builder.connection_retry(BackoffPolicy::new().factor(0.5));
    assert!(matches!(
        builder.start(env.handler()),
        Err(Error::Config(_))
    ));
}

pub(crate) fn a_missing_root_path_is_warned_of(env: &Env) {
    let root = format!("{}/no-such-root", env.root());
    let client = env.track(
        Client::builder(format!("{}{root}", env.address()))
            .connect(env.handler())
            .limit(LIMIT)
            .wait()
            .unwrap(),
    );
    wait_until("a warning", || {
        log::warned(&["WARN", "root path does not exist", &root])
    });
    assert_eq!(client.create("/a", b"").wait(), Err(Error::NoNode));
    client.ensure_path("/").wait().unwrap();
    client.create("/a", b"").wait().unwrap();
    assert!(
        env.other()
            .exists(&format!("{root}/a"))
            .wait()
            .unwrap()
            .is_some()
    );
}

pub(crate) fn giving_up_a_connect_leaves_no_session(env: &Env) {
    // Neither when it is dropped before it is done, nor when nothing was ever started.
    drop(env.builder().connect(env.handler()));
    let connect = env.builder().connect(env.handler()).limit(Duration::ZERO);
    assert!(matches!(
        connect.wait(),
        Err(Error::ConnectTimeout { .. }) | Ok(_)
    ));
}
