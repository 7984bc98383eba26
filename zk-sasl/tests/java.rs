//! Exchanges of the Java platform with itself, which is what ZooKeeper's own client and servers use:
//! names and passwords that the captured ones do not have.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use base64::{Engine, engine::general_purpose::STANDARD};
use zk_sasl::server::{Answer, Exchange, Users};

struct Captured {
    user: &'static str,
    password: &'static str,
    acts_as: Option<&'static str>,
    nonce: &'static str,
    cnonce: &'static str,
    response: &'static str,
    rspauth: &'static str,
}

const CAPTURED: [Captured; 6] = [
    // In ISO 8859-1 when hashed, in UTF-8 on the wire.
    Captured {
        user: "bob",
        password: "s\u{e9}cret",
        acts_as: None,
        nonce: "aLD7iwTN2mo7rHEGjDnwZ3vr98CzhOTfRtrlgIOV",
        cnonce: "JpAwuq1hPSofOsRuSQF+Kl7BCTNW4XIJNJjwi+zk",
        response: "cc1c3e836d9f59ac739fc51aea2859e1",
        rspauth: "34dffe671d53e6585dd4146da49d9328",
    },
    Captured {
        user: "b\u{f6}b",
        password: "secret",
        acts_as: None,
        nonce: "mnGZoy2sdqVO4DcGwHcUoHKOb5SsoAo1f0tblA3V",
        cnonce: "oUfk9sRMSep4TNtc2FELvzQougLxSE7ZIc+wiRyM",
        response: "cf15d80ac67876bb1f87b7eac333e3e4",
        rspauth: "71e578c086d9efda85550c592334174b",
    },
    // Beyond it.
    Captured {
        user: "b\u{20ac}b",
        password: "p\u{20ac}ss",
        acts_as: None,
        nonce: "50tAx8xUSowUhDq4hdT6uYh7DSI0/1YUYnrIBfEN",
        cnonce: "5c+1lQ6FaleeVbDcvWmeGbeX0Ll02UtRVKVwE7yF",
        response: "a8eba28592054718474e9390dc2d0b5e",
        rspauth: "31291ef9685d04331ed0ee86dde8b0a2",
    },
    // Of both kinds.
    Captured {
        user: "b\u{f6}b",
        password: "p\u{20ac}ss",
        acts_as: Some("b\u{f6}b"),
        nonce: "8Ec8jY8ccHsigH730JDP4/gcO68wu36aQDsKFqSA",
        cnonce: "oY4qbLwKMSuWTXr5Pmy09cQ3Uzu9C3bGgJ23zyLa",
        response: "0c21c64aede386d66cf510a16b166430",
        rspauth: "cfc4f02b8003f7012150495edc1ae4dd",
    },
    Captured {
        user: "a\"b\\c,=",
        password: "x\"\\",
        acts_as: None,
        nonce: "nkBg2HcLX3cfJVZ4OCRqu0i4HTmYLWebpdLM9tZm",
        cnonce: "qx3T6QiNI9AC54SVvFdjYBe3bepy4d1Bm96IWJkG",
        response: "b0f546f30245eec8f4e38f12e67c5a3b",
        rspauth: "3a88ad4bdaffaeae367732111da7c882",
    },
    Captured {
        user: "bob",
        password: "",
        acts_as: None,
        nonce: "uewF48E39e7E+wH96MC3Zm8Tce9I2/4W18mQKDx5",
        cnonce: "bZKFl4BSzPtLlqzu97+YB6jfb4YRDGtVkCz86Bu5",
        response: "bc36121ea16cc5cd24d9d76f25c93479",
        rspauth: "113607648f31d452a05bb7a0b84c8071",
    },
];

impl Captured {
    /// What the client sent.
    fn token(&self) -> String {
        let user = self.user.replace('\\', "\\\\").replace('"', "\\\"");
        let Self {
            nonce,
            cnonce,
            response,
            ..
        } = self;
        let acts_as = self.acts_as.map(|id| format!(",authzid=\"{id}\""));
        format!(
            "charset=utf-8,username=\"{user}\",realm=\"zk-sasl-md5\",nonce=\"{nonce}\",nc=00000001,\
             cnonce=\"{cnonce}\",digest-uri=\"zookeeper/zk-sasl-md5\",maxbuf=65536,\
             response={response},qop=auth{}",
            acts_as.unwrap_or_default()
        )
    }
}

#[test]
fn our_server_proves_what_theirs_proved() {
    for captured in CAPTURED {
        let nonce = STANDARD.decode(captured.nonce).unwrap();
        let users = Users::new().user(captured.user, captured.password);
        let mut exchange = Exchange::new(nonce.try_into().unwrap());
        exchange.step(b"", &users).unwrap();
        let answer = exchange.step(captured.token().as_bytes(), &users);
        let expected = Answer::Authenticated {
            token: format!("rspauth={}", captured.rspauth).into_bytes(),
            user: captured.user.to_owned(),
        };
        assert_eq!(answer, Ok(expected), "{}", captured.user);
    }
}
