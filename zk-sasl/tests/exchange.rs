//! Both sides with one another, and each with a peer that does not keep to the rules.

#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use proptest::prelude::*;
use zk_proto::ServerAddr;
use zk_sasl::server::{Answer, Exchange, Users};
use zk_sasl::{DigestMd5, Error};
use zk_session::{Challenge, Mechanism, MechanismFactory, SaslError, Step};

const NONCE: [u8; 30] = [0xfb; 30];

fn client(digest: &DigestMd5) -> Box<dyn Mechanism> {
    let mut client = digest.mechanism(&ServerAddr::new("h1", 2181), [7; 16]);
    assert_eq!(client.step(Challenge::Initial), Ok(Step::Send(Vec::new())));
    client
}

fn respond(client: &mut dyn Mechanism, challenge: &[u8]) -> Result<Vec<u8>, SaslError> {
    match client.step(Challenge::Token(challenge))? {
        Step::Send(response) => Ok(response),
        step @ (Step::Done | Step::Later) => panic!("{step:?}"),
    }
}

fn challenge(exchange: &mut Exchange) -> Vec<u8> {
    match exchange.step(b"", &Users::new()) {
        Ok(Answer::Challenge(challenge)) => challenge,
        answer => panic!("{answer:?}"),
    }
}

/// A whole exchange; gives the user as whom the server knows the client.
fn run(digest: &DigestMd5, realm: &str, users: &Users) -> Result<String, Error> {
    let mut exchange = Exchange::new(NONCE).realm(realm);
    let mut client = client(digest);
    let response = respond(&mut *client, &challenge(&mut exchange)).unwrap();
    match exchange.step(&response, users)? {
        Answer::Authenticated { token, user } => {
            assert_eq!(client.step(Challenge::Token(&token)), Ok(Step::Done));
            Ok(user)
        }
        Answer::Challenge(_) => panic!("a second challenge"),
    }
}

#[test]
fn who_knows_the_password_is_let_in() {
    let users = Users::new().user("bob", "secret").user("eve", "");
    let realm = zk_sasl::SERVER_NAME;
    let bob = DigestMd5::new("bob", "secret");
    assert_eq!(run(&bob, realm, &users), Ok("bob".to_owned()));
    assert_eq!(
        run(&bob.authzid("super"), realm, &users),
        Ok("bob".to_owned())
    );
    for (user, password) in [("bob", "Secret"), ("bob", ""), ("nobody", ""), ("eve", "x")] {
        let digest = DigestMd5::new(user, password);
        assert_eq!(run(&digest, realm, &users), Err(Error::Refused), "{user}");
    }
}

#[test]
fn a_response_is_good_for_its_challenge_only() {
    let users = Users::new().user("bob", "secret");
    let challenge_of = |nonce| challenge(&mut Exchange::new(nonce));
    let mut old = client(&DigestMd5::new("bob", "secret"));
    let old = respond(&mut *old, &challenge_of([1; 30])).unwrap();
    let mut exchange = Exchange::new([2; 30]);
    challenge(&mut exchange);
    let mismatch = |directive| Err(Error::Mismatch { directive });
    assert_eq!(exchange.step(&old, &users), mismatch("nonce"));
    assert_eq!(exchange.step(&old, &users), Err(Error::OutOfOrder));

    let good = String::from_utf8(old).unwrap();
    let change = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} in {good}");
        let mut exchange = Exchange::new([1; 30]);
        challenge(&mut exchange);
        exchange.step(good.replace(from, to).as_bytes(), &users)
    };
    assert!(change("bob", "bob").is_ok());
    assert_eq!(change("nc=00000001", "nc=00000002"), mismatch("nc"));
    assert_eq!(change("realm=\"zk", "realm=\"sk"), mismatch("realm"));
    assert_eq!(
        change("zookeeper/zk", "zookeeper/sk"),
        mismatch("digest-uri")
    );
    assert_eq!(
        change("qop=auth", "qop=auth-int"),
        Err(Error::Unsupported { directive: "qop" })
    );
    assert_eq!(
        change("charset=utf-8", "charset=utf-16"),
        Err(Error::Unsupported {
            directive: "charset"
        })
    );
    assert_eq!(
        change("qop=auth", "response=0"),
        Err(Error::Repeated {
            directive: "response"
        })
    );
    assert_eq!(
        change("response=", "respond="),
        Err(Error::Missing {
            directive: "response"
        })
    );
    assert_eq!(change("qop=auth", "authzid=\"super\""), Err(Error::Refused));
    assert_eq!(change("cnonce=\"0", "cnonce=\"1"), Err(Error::Refused));
    assert!(matches!(
        change("qop=auth", "qop"),
        Err(Error::Malformed { .. })
    ));
}

#[test]
fn an_exchange_begins_with_an_empty_token() {
    let mut exchange = Exchange::new(NONCE);
    assert_eq!(exchange.step(b"x", &Users::new()), Err(Error::OutOfOrder));
    assert_eq!(exchange.step(b"", &Users::new()), Err(Error::OutOfOrder));
}

#[test]
fn a_challenge_is_read_as_the_rules_say() {
    let bob = DigestMd5::new("bob", "secret");
    let respond = |text: &str| {
        respond(&mut *client(&bob), text.as_bytes()).map(|r| String::from_utf8(r).unwrap())
    };
    let text = respond("nonce=n,algorithm=md5-sess").unwrap();
    assert!(
        text.starts_with("username=\"bob\",nonce=\"n\",nc="),
        "{text}"
    );
    let text = respond(
        "Realm=a,realm=b,NONCE=\"a\\\"b\",algorithm=MD5-sess,charset=UTF-8,qop=\"auth-int, auth\",x=y",
    );
    let text = text.unwrap();
    assert!(text.contains("realm=\"a\",nonce=\"a\\\"b\","), "{text}");
    for (wrong, why) in [
        ("", "no directive nonce"),
        ("nonce=n", "no directive algorithm"),
        ("nonce=n,algorithm=md5", "unsupported algorithm"),
        ("nonce=n,nonce=m,algorithm=md5-sess", "nonce twice"),
        (
            "nonce=n,algorithm=md5-sess,qop=auth-conf",
            "unsupported qop",
        ),
        (
            "nonce=n,algorithm=md5-sess,charset=ascii",
            "unsupported charset",
        ),
        ("rspauth=0", "no directive nonce"),
        ("hello there", "malformed"),
    ] {
        let error = respond(wrong).unwrap_err().message;
        assert!(error.contains(why), "{wrong}: {error}");
    }
    let long = format!("nonce={},algorithm=md5-sess", "n".repeat(2048));
    assert!(respond(&long).unwrap_err().message.contains("2048"));
}

#[test]
fn names_beyond_the_servers_charset_are_an_error() {
    let digest = DigestMd5::new("b\u{20ac}b", "secret");
    let error = respond(&mut *client(&digest), b"nonce=n,algorithm=md5-sess").unwrap_err();
    assert!(error.message.contains("ISO 8859-1"), "{}", error.message);
    // One that fits goes over in it.
    let digest = DigestMd5::new("b\u{f6}b", "secret");
    let response = respond(&mut *client(&digest), b"nonce=n,algorithm=md5-sess").unwrap();
    assert!(response.starts_with(b"username=\"b\xf6b\","));
}

#[test]
fn an_exchange_out_of_order_is_an_error() {
    let bob = DigestMd5::new("bob", "secret");
    assert!(client(&bob).step(Challenge::Null).is_err());
    assert!(client(&bob).step(Challenge::Initial).is_err());
    let mut client = client(&bob);
    respond(&mut *client, b"nonce=n,algorithm=md5-sess").unwrap();
    assert!(client.step(Challenge::Null).is_err());
}

#[test]
fn debug_shows_no_passwords() {
    let text = format!(
        "{:?} {:?}",
        DigestMd5::new("bob", "hunter2"),
        Users::new().user("bob", "hunter2")
    );
    assert!(text.contains("bob") && !text.contains("hunter2"), "{text}");
}

proptest! {
    #[test]
    fn any_name_and_password_will_do(
        user in ".{0,20}|[a\"\\\\,=\u{e9}\u{20ac}]{0,10}",
        password in ".{0,20}",
        realm in ".{0,20}",
        authzid in prop::option::of(".{0,10}"),
    ) {
        let mut digest = DigestMd5::new(&user, &password);
        if let Some(authzid) = authzid {
            digest = digest.authzid(authzid);
        }
        let users = Users::new().user(&user, &password);
        prop_assert_eq!(run(&digest, &realm, &users), Ok(user.clone()));
        let users = Users::new().user(&user, format!("{password}x"));
        prop_assert_eq!(run(&digest, &realm, &users), Err(Error::Refused));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        hostile(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(
        text in "([a-z]{1,10} ?= ?(\"[^\"]{0,8}(\\\\.)?\"|[a-z0-9]{0,8}),? ?){0,8}",
        key in prop::sample::select(&["nonce", "realm", "response", "rspauth", "username", "charset", "qop"][..]),
    ) {
        hostile(text.as_bytes());
        hostile(format!("{key}={text},nonce=n,algorithm=md5-sess").as_bytes());
    }

    #[test]
    fn a_changed_response_makes_nobody_else(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let users = Users::new().user("bob", "secret").user("rob", "secret").user("bo", "secret");
        let mut exchange = Exchange::new(NONCE);
        let challenge = challenge(&mut exchange);
        let mut response = respond(&mut *client(&DigestMd5::new("bob", "secret")), &challenge).unwrap();
        let at = at.index(response.len());
        response[at] = byte;
        if let Ok(Answer::Authenticated { user, .. }) = exchange.step(&response, &users) {
            prop_assert_eq!(user, "bob");
        }
    }
}

/// Hands these bytes to both sides, at each moment.
fn hostile(bytes: &[u8]) {
    let users = Users::new().user("bob", "secret");
    let mut exchange = Exchange::new(NONCE);
    let _ = exchange.step(bytes, &users);
    let mut exchange = Exchange::new(NONCE);
    challenge(&mut exchange);
    assert!(exchange.step(bytes, &users).is_err());
    let bob = DigestMd5::new("bob", "secret");
    let _ = respond(&mut *client(&bob), bytes);
    let mut client = client(&bob);
    respond(&mut *client, b"nonce=n,algorithm=md5-sess").unwrap();
    assert!(client.step(Challenge::Token(bytes)).is_err());
}
