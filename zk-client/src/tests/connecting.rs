//! `connect`, and those who wait for a connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use zk_proto::ErrorCode;

use super::{Rig, TestHandler, poll_once};
use crate::{BackoffPolicy, Client, Connect, Error, Handler, LinkError};

fn connect(hosts: &str) -> (Arc<TestHandler>, Connect) {
    let handler = TestHandler::new();
    let connect = Client::builder(hosts).connect(Arc::clone(&handler) as Arc<dyn Handler>);
    (handler, connect)
}

/// A rig for the client that `connect` has started.
fn rig(handler: &Arc<TestHandler>) -> Rig {
    let other = Client::builder("unused").start(TestHandler::new()).unwrap();
    let mut rig = Rig::of(Arc::clone(handler), other);
    rig.core = handler.last_driven();
    rig
}

#[test]
fn connect_resolves_when_the_session_is_usable() {
    let (handler, mut connect) = connect("h1");
    assert_eq!(
        handler.drives(),
        0,
        "nothing is started before it is polled"
    );
    assert!(poll_once(&mut connect).is_pending());
    let mut rig = rig(&handler);
    rig.pump();
    rig.greet(0x77);
    let Poll::Ready(Ok(client)) = poll_once(&mut connect) else {
        unreachable!()
    };
    assert!(client.connected());
    assert_eq!(client.until_connected().wait(), Ok(()));
    assert!(matches!(
        poll_once(&mut connect),
        Poll::Ready(Err(Error::Taken))
    ));
}

#[test]
fn connect_looks_at_the_root_path() {
    let (handler, mut connect) = connect("h1/app");
    assert!(poll_once(&mut connect).is_pending());
    let mut rig = rig(&handler);
    rig.pump();
    rig.greet(0x77);
    let Poll::Ready(Ok(client)) = poll_once(&mut connect) else {
        unreachable!()
    };
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/app");
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert_eq!(rig.run_callbacks(), 1);
    drop(client);
}

#[test]
fn connect_gives_up_in_time_and_names_the_last_error() {
    let (handler, connect) = connect("h1");
    let mut connect = connect.limit(Duration::from_secs(3));
    assert!(poll_once(&mut connect).is_pending());
    let mut rig = rig(&handler);
    rig.pump();
    rig.refuse();
    rig.advance(Duration::from_secs(3));
    let Poll::Ready(Err(error)) = poll_once(&mut connect) else {
        unreachable!()
    };
    let Error::ConnectTimeout {
        last: Some((server, why)),
    } = &error
    else {
        unreachable!()
    };
    assert_eq!(
        (server.host(), why),
        ("h1", &LinkError::Io(std::io::ErrorKind::ConnectionRefused))
    );
    let text = error.to_string();
    assert!(
        text.contains("h1:2181") && text.contains("nothing listens there"),
        "{text}"
    );
    rig.pump();
    assert!(rig.core.is_finished(), "the client is closed");
}

#[test]
fn connect_ends_early_when_no_more_attempts_are_allowed() {
    let handler = TestHandler::new();
    let mut builder = Client::builder("h1");
    builder.connection_retry(BackoffPolicy::new().max_tries(1));
    let mut connect = builder.connect(Arc::clone(&handler) as Arc<dyn Handler>);
    assert!(poll_once(&mut connect).is_pending());
    let mut rig = rig(&handler);
    rig.pump();
    rig.refuse();
    let Poll::Ready(Err(error)) = poll_once(&mut connect) else {
        unreachable!()
    };
    assert!(
        matches!(error, Error::RetriesExhausted { last: Some(_) }),
        "{error}"
    );
}

#[test]
fn connect_would_deadlock_before_anything_is_started() {
    let (handler, connect) = connect("h1");
    handler.may_block.store(false, Ordering::Relaxed);
    assert_eq!(
        connect.wait().map(|_| ()).unwrap_err(),
        Error::WouldDeadlock
    );
    assert_eq!(handler.drives(), 0);
    let malformed = Client::builder("").connect(TestHandler::new()).wait();
    assert!(matches!(malformed, Err(Error::Hosts(_))));
    assert_eq!(
        Connect::failed(Error::NotHeld)
            .wait()
            .map(|_| ())
            .unwrap_err(),
        Error::NotHeld
    );
}

#[test]
fn dropping_connect_closes_what_it_started() {
    let (handler, mut connect) = connect("h1");
    assert!(poll_once(&mut connect).is_pending());
    let mut rig = rig(&handler);
    drop(connect);
    rig.pump();
    assert!(rig.core.is_finished());
}
