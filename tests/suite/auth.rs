//! Credentials.

use zk::{Acl, AuthFailure, Client, Error, Outcome, Perms, State, StateReason};

use crate::support::log::{SECRET, leaks};
use crate::support::{
    Env, LIMIT, expire_session, lose_connection, next, session_of, wait_for_connected,
};

fn private_node(client: &Client, user: &str, password: &str) {
    let acl = vec![Acl::digest(user, password, Perms::ALL)];
    client
        .create("/private", b"secret data")
        .acl(acl)
        .wait()
        .unwrap();
}

pub(crate) fn digest_opens_what_others_cannot_see(env: &Env) {
    let owner = env.client();
    owner.add_auth("digest", "owner:password").wait().unwrap();
    private_node(&owner, "owner", "password");
    let other = env.client();
    assert_eq!(other.get("/private").wait().unwrap_err(), Error::NoAuth);
    other.add_auth("digest", "owner:wrong").wait().unwrap();
    assert_eq!(other.get("/private").wait().unwrap_err(), Error::NoAuth);
    other.add_auth("digest", "owner:password").wait().unwrap();
    assert_eq!(other.get("/private").wait().unwrap().0, b"secret data");
    assert_eq!(owner.get("/private").wait().unwrap().0, b"secret data");
}

pub(crate) fn configured_credentials_come_before_everything(env: &Env) {
    private_node(&env.client(), "owner", "password");
    let mut builder = env.builder();
    builder
        .auth("digest", "first:one")
        .auth("digest", "owner:password");
    let client = env.start(&builder);
    // Submitted before the connection is even there.
    assert_eq!(client.get("/private").wait().unwrap().0, b"secret data");
}

pub(crate) fn credentials_are_presented_again(env: &Env) {
    private_node(&env.client(), "owner", "password");
    let client = env.client();
    client.add_auth("digest", "owner:password").wait().unwrap();
    let readable = || assert_eq!(client.get("/private").wait().unwrap().0, b"secret data");
    readable();
    lose_connection(&client);
    readable();
    expire_session(&client);
    readable();
    client.restart().wait().unwrap();
    readable();
    client.close().wait().unwrap();
    client.restart().wait().unwrap();
    readable();
}

pub(crate) fn any_characters_may_be_in_a_password(env: &Env) {
    for (n, password) in ["a/b\\c", "\\0\\n", "päss wörd", "with:colon", ""]
        .iter()
        .enumerate()
    {
        let client = env.client();
        let credential = format!("user-{n}:{password}");
        client.add_auth("digest", &credential).wait().unwrap();
        let path = format!("/n{n}");
        let acl = vec![Acl::digest(&format!("user-{n}"), password, Perms::ALL)];
        client.create(&path, b"").acl(acl).wait().unwrap();
        client.get(&path).wait().unwrap();
        assert_eq!(env.client().get(&path).wait().unwrap_err(), Error::NoAuth);
    }
}

pub(crate) fn creators_own_what_they_create(env: &Env) {
    let client = env.client();
    client.add_auth("digest", "one:1").wait().unwrap();
    client.add_auth("digest", "two:2").wait().unwrap();
    client
        .create("/mine", b"")
        .acl(Acl::creator_all_ref())
        .wait()
        .unwrap();
    let (acls, _) = client.get_acls("/mine").wait().unwrap();
    let expected = [
        Acl::digest("one", "1", Perms::ALL),
        Acl::digest("two", "2", Perms::ALL),
    ];
    assert_eq!(acls.len(), 2);
    assert!(expected.iter().all(|acl| acls.contains(acl)), "{acls:?}");
}

pub(crate) fn who_am_i_lists_the_identities(env: &Env) {
    let client = env.client();
    client
        .add_auth("digest", "somebody:password")
        .wait()
        .unwrap();
    let mut identities: Vec<_> = client
        .who_am_i()
        .wait()
        .unwrap()
        .into_iter()
        .map(|i| (i.scheme, i.user))
        .collect();
    identities.sort();
    let ip = env.ip_of(&client).to_string();
    let expected = [("digest", "somebody"), ("ip", &ip)];
    assert_eq!(
        identities,
        expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
    );
}

/// Whatever a server thinks of one credential, the session, its other credentials and what comes
/// later are not touched.
pub(crate) fn a_refused_add_auth_fails_alone(env: &Env) {
    private_node(&env.client(), "owner", "password");
    let client = env.client();
    client.add_auth("digest", "owner:password").wait().unwrap();
    let before = session_of(&client);
    let mut changes = client.state_changes();
    let error = client.add_auth("no-such-scheme", "x").wait().unwrap_err();
    assert_eq!(error, Error::AuthFailed { sent: false });
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    // Servers close the connection then.
    assert!(matches!(next(&mut changes).to, State::Suspended { .. }));
    wait_for_connected(&mut changes);
    assert_eq!(session_of(&client), before);
    assert_eq!(client.get("/private").wait().unwrap().0, b"secret data");
    // It is not presented again.
    lose_connection(&client);
    assert_eq!(session_of(&client), before);
    assert_eq!(client.get("/private").wait().unwrap().0, b"secret data");
    client.restart().wait().unwrap();
    assert_eq!(client.get("/private").wait().unwrap().0, b"secret data");
}

pub(crate) fn a_refused_configured_credential_ends_the_client(env: &Env) {
    let mut builder = env.builder();
    builder
        .auth("digest", "fine:fine")
        .auth("no-such-scheme", "x");
    let failed = Error::AuthFailed { sent: false };
    let connect = builder.connect(env.handler()).limit(LIMIT);
    let failure = AuthFailure::Credential {
        scheme: "no-such-scheme".to_owned(),
    };
    let error = connect.wait().unwrap_err();
    assert_eq!(error, Error::SignIn(failure.clone()));
    assert!(error.to_string().contains("no-such-scheme"), "{error}");

    let client = env.start(&builder);
    let early = client.create("/never", b"").send();
    assert_eq!(client.until_connected().wait(), Err(failed.clone()));
    assert_eq!(client.auth_failure(), Some(failure));
    assert_eq!(early.wait(), Err(failed.clone()));
    assert_eq!(client.state(), State::Lost);
    let error = client.exists("/").wait().unwrap_err();
    assert_eq!(error, failed);
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    let late = client.state_changes().next_timeout(LIMIT).unwrap();
    assert_eq!(late, None);
    // A session that was made lives on until its timeout.
    assert_eq!(client.close().wait(), Err(Error::CloseUnconfirmed));
    assert_eq!(
        env.other().exists(&env.full("/never")).wait().unwrap(),
        None
    );
}

pub(crate) fn listeners_hear_which_credential_was_refused(env: &Env) {
    let client = env.start(env.builder().auth("no-such-scheme", "x"));
    let mut changes = client.state_changes();
    // It may have ended before anybody could listen.
    if let Some(change) = changes.next_timeout(LIMIT).unwrap() {
        let scheme = "no-such-scheme".to_owned();
        let reason = StateReason::AuthFailed(AuthFailure::Credential { scheme });
        assert_eq!((change.to, change.reason), (State::Lost, reason));
        assert_eq!(changes.next_timeout(LIMIT).unwrap(), None);
    }
    assert_eq!(client.state(), State::Lost);
}

pub(crate) fn the_super_user_may_do_everything(env: &Env) {
    let owner = env.client();
    owner.add_auth("digest", "owner:password").wait().unwrap();
    private_node(&owner, "owner", "password");
    let client = env.client();
    client.add_auth("digest", "super:superpw").wait().unwrap();
    assert_eq!(client.get("/private").wait().unwrap().0, b"secret data");
}

pub(crate) fn no_credential_is_ever_logged_or_printed(env: &Env) {
    let credential = format!("user:{SECRET}");
    let client = env.connect(env.builder().auth("digest", credential.clone()));
    client.add_auth("digest", &credential).wait().unwrap();
    let add = client.add_auth("digest", &credential);
    assert!(!format!("{add:?} {client:?} {:?}", env.builder()).contains(SECRET));
    add.wait().unwrap();
    client.create("/a", SECRET).wait().unwrap();
    let read = client.get("/a").wait();
    assert!(!format!("{read:?}").contains(SECRET));
    let printed = format!("{:?}", env.builder().auth("digest", credential.as_str()));
    assert!(!printed.contains(SECRET), "{printed}");
    lose_connection(&client);
    let refused = client
        .add_auth("no-such-scheme", SECRET)
        .wait()
        .unwrap_err();
    assert!(!format!("{refused:?} {refused}").contains(SECRET));
    client.until_connected().wait().unwrap();
    assert_eq!(leaks(), "");
}
