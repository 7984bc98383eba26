//! What errors say about what became of a call.

use std::error::Error as _;

use zk::{Error, ErrorCode, LinkError, Outcome, State, StateReason};

use crate::support::{Direction, Env, Proxy, lose_connection, next, session_of};

fn connect(env: &Env, proxy: &Proxy) -> zk::Client {
    env.connect(&env.builder_through(proxy))
}

pub(crate) fn a_lost_reply_leaves_the_outcome_unknown(env: &Env) {
    let proxy = env.proxy();
    let client = connect(env, &proxy);
    let before = session_of(&client);
    // The connection is cut when the answer arrives, and the answer with it.
    proxy.cut_after(Direction::ToClient, 0);
    let error = client.create("/a", b"").wait().unwrap_err();
    assert_eq!(error, Error::ConnectionLoss { sent: true });
    assert_eq!(error.outcome(), Some(Outcome::Unknown));
    assert!(error.is_retryable());
    client.until_connected().wait().unwrap();
    assert_eq!(session_of(&client), before);
    assert!(client.exists("/a").wait().unwrap().is_some());
}

pub(crate) fn a_lost_request_leaves_the_outcome_unknown(env: &Env) {
    let proxy = env.proxy();
    let client = connect(env, &proxy);
    proxy.cut_after(Direction::ToServer, 0);
    let error = client.create("/a", b"").wait().unwrap_err();
    assert_eq!(error, Error::ConnectionLoss { sent: true });
    assert_eq!(client.exists("/a").wait().unwrap(), None);
}

pub(crate) fn a_large_write_may_break_off(env: &Env) {
    let proxy = env.proxy();
    let client = connect(env, &proxy);
    client.create("/a", b"intact").wait().unwrap();
    let before = session_of(&client);
    proxy.cut_after(Direction::ToServer, 300_000);
    let error = client.set("/a", vec![7; 1_000_000]).wait().unwrap_err();
    assert_eq!(error, Error::ConnectionLoss { sent: true });
    let (data, stat) = client.get("/a").wait().unwrap();
    assert_eq!((data.as_ref(), stat.version), (b"intact".as_slice(), 0));
    assert_eq!(session_of(&client), before);
    client.set("/a", vec![7; 1_000_000]).wait().unwrap();
}

/// Whatever was submitted before a loss fails with it: nothing may overtake what has failed.
pub(crate) fn all_that_was_submitted_fails_with_the_connection(env: &Env) {
    let proxy = env.proxy();
    let client = connect(env, &proxy);
    let mut changes = client.state_changes();
    proxy.stall_towards_client();
    let pending: Vec<_> = (0..50)
        .map(|n| client.create(&format!("/n{n}"), b"").send())
        .collect();
    proxy.refuse(true).unwrap();
    proxy.cut();
    assert!(matches!(next(&mut changes).to, State::Suspended { .. }));
    for result in pending {
        let error = result.wait().unwrap_err();
        assert!(matches!(error, Error::ConnectionLoss { .. }), "{error:?}");
        // What a future tells, the state has told before.
        assert!(matches!(client.state(), State::Suspended { .. }));
    }
    proxy.resume();
    proxy.refuse(false).unwrap();
    client.until_connected().wait().unwrap();
    assert_eq!(client.create("/later", b"").wait().unwrap(), "/later");
}

pub(crate) fn the_reason_of_a_loss_is_told(env: &Env) {
    let proxy = env.proxy();
    let client = connect(env, &proxy);
    let mut changes = client.state_changes();
    proxy.cut();
    let lost = next(&mut changes);
    let StateReason::ConnectionLost(LinkError::Io(kind)) = lost.reason else {
        panic!("{lost:?}");
    };
    let closed = [
        std::io::ErrorKind::UnexpectedEof,
        std::io::ErrorKind::ConnectionReset,
    ];
    assert!(closed.contains(&kind), "{kind:?}");
    let (server, _) = client.last_error().unwrap();
    assert_eq!(server.port(), proxy.address().port());
    client.until_connected().wait().unwrap();
}

pub(crate) fn errors_read_well_and_keep_their_code(env: &Env) {
    let client = env.client();
    let error = client.get("/none").wait().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NO_NODE));
    assert!(error.to_string().contains("no such node"));
    assert!(error.source().is_none());
    assert!(!error.is_retryable());
    lose_connection(&client);
    client.close().wait().unwrap();
    let error = client.get("/none").wait().unwrap_err();
    assert_eq!(error.code(), None);
    assert!(
        error
            .to_string()
            .contains("closed before the request was sent"),
        "{error}"
    );
}

pub(crate) fn a_standalone_server_does_not_reconfigure(env: &Env) {
    let client = env.client();
    let before = client.stats().session.losses;
    let error = client.reconfig().leaving("1").wait().unwrap_err();
    assert_eq!(error, Error::ReconfigDisabled);
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    let all = client
        .reconfig()
        .new_members("server.1=a:1:2;3")
        .from_config(1)
        .wait();
    assert_eq!(all.unwrap_err(), Error::ReconfigDisabled);
    let joining = client.reconfig().joining("server.2=a:1:2;3").wait();
    assert_eq!(joining.unwrap_err(), Error::ReconfigDisabled);
    // The connection stays.
    assert!(client.exists("/").wait().unwrap().is_some());
    assert_eq!(client.stats().session.losses, before);
}

pub(crate) fn special_nodes_are_protected_by_the_server(env: &Env) {
    let other = env.other();
    let quota = other.delete("/zookeeper/quota").wait();
    assert_eq!(quota, Err(Error::BadArguments));
    let root = other.delete("/").wait();
    assert_eq!(root, Err(Error::BadArguments));
}
