//! What can be seen of a client from outside: its log, and the spans that this is in. (Figures are
//! tested where they come from.)

use std::fmt::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use zk::threads::ThreadsHandler;
use zk::{BackoffPolicy, Builder, Client};
use zk_server::Server;
use zk_testkit::eventually;

use crate::support::log::{self, SECRET};
use crate::support::{LIMIT, lose_connection, wait_until};

fn builder(hosts: &str) -> Builder {
    log::start();
    let mut builder = Client::builder(hosts);
    let policy = BackoffPolicy::new().max_delay(Duration::from_millis(5));
    builder.connection_retry(policy);
    builder
}

/// Starts a client whose log is kept, and tells by what to ask for it.
fn start(builder: &Builder) -> (Client, String) {
    let client = builder.start(Arc::new(ThreadsHandler::new())).unwrap();
    let span = format!("client{{id={} ", client.id());
    log::keep(&span);
    (client, span)
}

/// How many lines of a client's log contain this.
fn count(span: &str, part: &str) -> usize {
    let lines = log::kept(span);
    lines.iter().filter(|line| line.contains(part)).count()
}

#[test]
fn an_outage_is_told_once_and_not_for_each_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (client, span) = start(&builder(&format!("{address},{address}")));
    let warning = "no server can be reached";
    for outage in 1..=2 {
        let before = client.stats().session.attempts;
        wait_until("some more attempts", || {
            client.stats().session.attempts >= before + 20
        });
        // The first may have been told before the log was kept.
        let told = log::kept(&span);
        let told: Vec<_> = told.iter().filter(|line| line.contains(warning)).collect();
        assert!(told.len() <= outage && told.len() + 1 >= outage, "{told:?}");
        if outage == 2 {
            assert!(!told.is_empty() && told[0].contains(" WARN "), "{told:?}");
        }
        let server = || Server::builder().quiet().addr(address).start().ok();
        let server = eventually(LIMIT, server).expect("the port is free");
        client.until_connected().wait_timeout(LIMIT).unwrap();
        if outage == 2 {
            client.close().wait().unwrap();
        }
        drop(server);
    }
    assert!(
        count(&span, "connecting") > 20,
        "attempts are told at another level"
    );
}

#[test]
fn the_log_is_in_spans_of_client_session_and_connection() {
    let server = Server::builder().quiet().start().unwrap();
    let (client, span) = start(&builder(&server.hosts()));
    client.until_connected().wait_timeout(LIMIT).unwrap();
    let (session, _) = client.client_id().unwrap();
    client.get("/").wait().unwrap();
    lose_connection(&client);
    client.get("/").wait().unwrap();
    client.close().wait().unwrap();
    let inside = format!("handler=\"threads\"}}:session{{id={session} timeout=10s");
    let lines = log::kept(&span);
    let state = lines.iter().find(|line| line.contains("to=Suspended"));
    let state = state.expect("the loss is in the log");
    assert!(
        state.contains(" INFO ") && state.contains(&inside),
        "{state}"
    );
    // The second connection was made in the session.
    let frame = format!("connection{{conn=conn-2 server={}}}", server.hosts());
    let frames = || {
        lines
            .iter()
            .filter(|line| line.contains("zk_session::frame"))
    };
    let sent = frames().find(|line| line.contains(&frame) && line.contains("sent xid=1 "));
    let sent = sent.unwrap_or_else(|| panic!("{frame} is not in {lines:#?}"));
    assert!(sent.contains("TRACE") && sent.contains(&inside), "{sent}");
    assert!(sent.contains("opcode=getData"), "{sent}");
    assert!(frames().all(|line| line.contains("TRACE")));
}

/// Forms in which bytes get into a log by mistake.
fn forms(bytes: &[u8]) -> Vec<String> {
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let list = format!("{bytes:?}");
    let list = list.trim_matches(['[', ']']).to_owned();
    let text = bytes.escape_ascii().to_string();
    vec![hex.to_uppercase(), hex, list, text]
}

#[test]
fn the_log_of_a_busy_session_holds_no_secret() {
    let server = Server::builder().quiet().start().unwrap();
    let credential = format!("user:{SECRET}-digest");
    let mut builder = builder(&server.hosts());
    let (client, span) = start(builder.auth("digest", credential.clone()));
    client.until_connected().wait_timeout(LIMIT).unwrap();
    let payload = format!("{SECRET}-payload").repeat(3);
    for round in 0..3 {
        let path = format!("/busy-{round}");
        client.create(&path, &payload).wait().unwrap();
        client.set(&path, &payload).wait().unwrap();
        let (_, _, watch) = client.get(&path).watched().wait().unwrap();
        let mut many = client.transaction();
        many = many.set(&path, &payload).check(&path, 2);
        many.commit().wait().unwrap();
        watch.wait().unwrap();
        client.add_auth("digest", &credential).wait().unwrap();
        assert!(client.add_auth("none", &credential).wait().is_err());
        // The session's password goes out again.
        lose_connection(&client);
        let read = client.get(&path).synced().wait().unwrap();
        assert_eq!(read.0, payload.as_bytes());
        client.delete(&path).wait().unwrap();
    }
    let (_, password) = client.client_id().unwrap();
    client.close().wait().unwrap();
    let lines = log::kept(&span);
    assert!(
        count(&span, "zk_session::frame") > 40,
        "frames are in the log"
    );
    for secret in [SECRET.as_bytes(), password.as_bytes()] {
        for form in forms(secret) {
            let leak = lines.iter().find(|line| line.contains(&form));
            assert_eq!(leak, None, "{form} is in the log");
        }
    }
    assert_eq!(log::leaks(), "");
}
