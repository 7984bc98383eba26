//! Questions of operators: four-letter words and versions.

use std::time::Duration;

use zk::{Error, LinkError, Outcome};

use crate::support::{Env, lose_connection, next, session_of};

pub(crate) fn words_are_answered(env: &Env) {
    let client = env.client();
    assert_eq!(client.command("ruok").wait().unwrap(), "imok");
    assert_eq!(client.command(b"isro").wait().unwrap(), "rw");
    assert!(
        client
            .command("conf")
            .wait()
            .unwrap()
            .contains("tickTime=500")
    );
    let sessions = client.command("cons").wait().unwrap();
    assert!(sessions.contains(&format!("sid=0x{:x}", session_of(&client).0)));
    let connections = env.client();
    assert_eq!(
        connections.command("srst").wait().unwrap(),
        "Server stats reset.\n"
    );
}

pub(crate) fn long_answers_are_whole(env: &Env) {
    let client = env.client();
    let name = "x".repeat(200);
    let watches: Vec<_> = (0..100)
        .map(|n| client.exists(&format!("/{name}-{n}")).watched().send())
        .collect();
    let watches: Vec<_> = watches.into_iter().map(|w| w.wait().unwrap()).collect();
    let answer = client.command("wchc").wait().unwrap();
    assert!(answer.len() > 20_000, "{}", answer.len());
    assert_eq!(answer.matches(&name).count(), 100);
    drop(watches);
}

pub(crate) fn the_version_is_known(env: &Env) {
    let client = env.client();
    let version = client.server_version().wait().unwrap();
    assert_eq!(version.to_string(), env.release());
    assert!(version.is_at_least(&[3, 8]) && !version.is_at_least(&[4]));
    assert_eq!(version.is_at_least(&[3, 9]), env.is_3_9());
    assert_eq!(version.numbers().len(), 3);
    assert!(version.as_str().starts_with(env.release()));
}

pub(crate) fn the_connected_server_is_asked(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    let before = proxy.accepted();
    assert_eq!(client.command("ruok").wait().unwrap(), "imok");
    assert_eq!(proxy.accepted(), before + 1);
    assert_eq!(client.stats().session.losses, 0);

    let mut changes = client.state_changes();
    proxy.refuse(true).unwrap();
    proxy.cut();
    next(&mut changes);
    let lost = client.command("ruok").wait().unwrap_err();
    assert_eq!(lost, Error::ConnectionLoss { sent: false });
    assert_eq!(lost.outcome(), Some(Outcome::NotApplied));
    assert_eq!(client.server_version().wait().unwrap_err(), lost);
    proxy.refuse(false).unwrap();
    client.until_connected().wait().unwrap();
    assert_eq!(client.command("ruok").wait().unwrap(), "imok");
}

pub(crate) fn silence_is_given_up(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    proxy.stall();
    let error = client
        .command("ruok")
        .timeout(Duration::from_millis(100))
        .wait()
        .unwrap_err();
    assert!(
        matches!(error, Error::Command(_) | Error::Timeout { .. }),
        "{error:?}"
    );
    proxy.resume();
    assert_eq!(client.command("ruok").wait().unwrap(), "imok");
}

pub(crate) fn words_without_an_answer_are_told(env: &Env) {
    let client = env.client();
    for word in ["", "abc", "abcde", "a cd", "aé"] {
        let error = client.command(word).wait().unwrap_err();
        assert_eq!(error, Error::NotAWord(word.to_owned()));
    }
    // Taken for the length of a frame, the server hangs up.
    let unknown = client.command("zzzz").wait();
    let hung_up = [
        Ok(String::new()),
        Err(Error::Command(LinkError::Io(
            std::io::ErrorKind::UnexpectedEof,
        ))),
        Err(Error::Command(LinkError::Io(
            std::io::ErrorKind::ConnectionReset,
        ))),
    ];
    assert!(hung_up.contains(&unknown), "{unknown:?}");
    lose_connection(&client);
    client.close().wait().unwrap();
    let closed = client.command("ruok").wait().unwrap_err();
    assert_eq!(closed, Error::ConnectionLoss { sent: false });
}
