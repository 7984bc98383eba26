//! The cases: each is one client, in the process that a test has started for it.

use std::env;
use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use zk::sasl::{DigestMd5, Gssapi};
use zk::threads::ThreadsHandler;
use zk::{Acl, AuthFailure, Client, Error, Handler, LinkError, State, StateReason};
use zk_handler_smol::SmolHandler;
use zk_handler_tokio::TokioHandler;
use zk_testkit::Proxy;

use crate::HOSTS;

const LIMIT: Duration = Duration::from_secs(30);

/// Where to, if this is the process of a case.
fn hosts() -> Option<String> {
    let hosts = env::var(HOSTS).ok();
    if hosts.is_none() {
        eprintln!("kerberos: left out, as this is a part of another test");
    }
    hosts
}

fn signed_in(hosts: &str, gssapi: Gssapi, handler: Arc<dyn Handler>) -> Client {
    Client::builder(hosts)
        .session_timeout(LIMIT)
        .sasl(gssapi)
        .connect(handler)
        .limit(LIMIT)
        .wait()
        .unwrap()
}

fn is_bob(client: &Client) -> bool {
    let known = client.who_am_i().wait().unwrap();
    eprintln!("who am I: {known:?}");
    known
        .iter()
        .any(|id| id.scheme == "sasl" && id.user == "bob")
}

fn lose_connection(client: &Client) {
    let lost = zk::testing::lose_connection(client);
    lost.timeout(LIMIT).wait().unwrap();
}

/// A way to the server that can be closed, so that a client fails only when somebody listens.
fn gate(hosts: &str) -> (Proxy, String) {
    let mut addresses = hosts.to_socket_addrs().unwrap();
    let address = addresses.find(SocketAddr::is_ipv4).unwrap();
    let proxy = Proxy::start(address).unwrap();
    let by_name = format!("localhost:{}", proxy.address().port());
    (proxy, by_name)
}

/// Why a client that signs in so ends for good.
fn failure(hosts: &str, mechanism: impl zk_session::MechanismFactory + 'static) -> AuthFailure {
    let (proxy, hosts) = gate(hosts);
    proxy.refuse(true).unwrap();
    let client = Client::builder(&hosts)
        .sasl(mechanism)
        .start(Arc::new(ThreadsHandler::new()))
        .unwrap();
    let mut changes = client.state_changes();
    proxy.refuse(false).unwrap();
    let change = changes.next_timeout(LIMIT).unwrap().unwrap();
    assert_eq!(change.to, State::Lost);
    let failed = Error::AuthFailed { sent: false };
    assert_eq!(client.until_connected().wait(), Err(failed));
    let StateReason::AuthFailed(failure) = change.reason else {
        panic!("{:?}", change.reason);
    };
    eprintln!("refused: {failure}");
    failure
}

/// The text of what went wrong on this side.
fn complaint(failure: AuthFailure) -> String {
    let AuthFailure::Sasl(error) = failure else {
        panic!("{failure:?}");
    };
    error.message
}

#[test]
fn a_ticket_signs_in_on_every_handler_and_every_connection() {
    let Some(hosts) = hosts() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let handlers: [Arc<dyn Handler>; 3] = [
        Arc::new(ThreadsHandler::new()),
        Arc::new(TokioHandler::new(runtime.handle().clone())),
        Arc::new(SmolHandler::new()),
    ];
    for handler in handlers {
        let client = signed_in(&hosts, Gssapi::new().principal("bob"), handler);
        assert!(is_bob(&client));
        let acl = Acl::creator_all();
        client.create("/mine", b"bob's").acl(acl).wait().unwrap();
        let session = client.client_id();
        for _ in 0..3 {
            lose_connection(&client);
            assert!(is_bob(&client));
            // Only bob may read it.
            assert_eq!(client.get("/mine").wait().unwrap().0, b"bob's");
        }
        assert_eq!(client.client_id(), session);
        client.delete("/mine").wait().unwrap();
        client.close().wait().unwrap();
    }
}

#[test]
fn without_tickets_it_says_what_to_do() {
    let Some(hosts) = hosts() else { return };
    let text = complaint(failure(&hosts, Gssapi::new()));
    assert!(text.contains("run kinit"), "{text}");
}

#[test]
fn another_principal_than_that_of_the_tickets_is_missed() {
    let Some(hosts) = hosts() else { return };
    let text = complaint(failure(&hosts, Gssapi::new().principal("alice")));
    assert!(text.contains("run kinit"), "{text}");
}

#[test]
fn a_service_that_nobody_knows_is_named() {
    let Some(hosts) = hosts() else { return };
    let text = complaint(failure(&hosts, Gssapi::new().service("nobody")));
    assert!(text.contains("does not know nobody/localhost"), "{text}");
}

#[test]
fn a_ticket_for_another_server_is_refused() {
    let Some(hosts) = hosts() else { return };
    let elsewhere = Gssapi::new().server_principal("zookeeper/elsewhere");
    assert_eq!(failure(&hosts, elsewhere), AuthFailure::SaslRefused);
}

#[test]
fn a_server_for_passwords_refuses_tickets() {
    let Some(hosts) = hosts() else { return };
    let text = complaint(failure(&hosts, Gssapi::new()));
    assert!(text.contains("does not speak Kerberos"), "{text}");
}

#[test]
fn digest_md5_is_refused_as_a_mechanism() {
    let Some(hosts) = hosts() else { return };
    let digest = DigestMd5::new("bob", "bobsecret");
    let failure = failure(&hosts, digest);
    let AuthFailure::MechanismRefused { mechanism, .. } = failure else {
        panic!("{failure:?}");
    };
    assert_eq!(mechanism, "DIGEST-MD5");
}

#[test]
fn a_ticket_that_has_gone_is_missed_at_the_next_connection() {
    let Some(hosts) = hosts() else { return };
    let client = signed_in(&hosts, Gssapi::new(), Arc::new(ThreadsHandler::new()));
    assert!(is_bob(&client));
    fs::remove_file(env::var("KRB5CCNAME").unwrap()).unwrap();
    let mut changes = client.state_changes();
    client.reconnect();
    let suspended = changes.next_timeout(LIMIT).unwrap().unwrap();
    assert!(matches!(suspended.to, State::Suspended { .. }));
    let ended = changes.next_timeout(LIMIT).unwrap().unwrap();
    assert_eq!(ended.to, State::Lost);
    let StateReason::AuthFailed(failure) = ended.reason else {
        panic!("{:?}", ended.reason);
    };
    let text = complaint(failure);
    assert!(text.contains("run kinit"), "{text}");
    assert_eq!(changes.next_timeout(LIMIT).unwrap(), None);
}

#[test]
fn a_kerberos_server_out_of_reach_costs_attempts_only() {
    let Some(hosts) = hosts() else { return };
    let connect = Client::builder(&hosts)
        .sasl(Gssapi::new())
        .connect(Arc::new(ThreadsHandler::new()))
        .limit(Duration::from_secs(5));
    let error = connect.wait().unwrap_err();
    let Error::ConnectTimeout { last: Some(last) } = error else {
        panic!("{error}");
    };
    let LinkError::Sasl(error) = last.1 else {
        panic!("{:?}", last.1);
    };
    eprintln!("out of reach: {error}");
    assert!(error.temporary);
    assert!(
        error.message.contains("no Kerberos server answers"),
        "{error}"
    );
}
