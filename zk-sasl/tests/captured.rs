//! Exchanges captured from real servers, held against both sides.
//!
//! The frames are those of `zk-proto`, which that crate's tests hold to their fields.

#![cfg(feature = "client")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use zk_proto::ServerAddr;
use zk_sasl::server::{Answer, Exchange, Users};
use zk_sasl::{DigestMd5, Error};
use zk_session::{Challenge, MechanismFactory, Step};

/// One exchange as it went over the wire.
#[derive(Debug, Default)]
struct Captured {
    challenge: Vec<u8>,
    response: Vec<u8>,
    /// The server's proof, or that it refused.
    answer: Option<Vec<u8>>,
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn captured() -> Vec<Captured> {
    let text = include_str!("../../zk-proto/testdata/golden.json");
    let entries: Vec<Value> = serde_json::from_str(text).unwrap();
    let mut exchanges: BTreeMap<_, Captured> = BTreeMap::new();
    for entry in &entries {
        let token = || {
            let token = entry["decoded"]["body"]["token_hex"].as_str();
            token.map(unhex)
        };
        let conn = ["server_version", "scenario", "conn"].map(|key| entry[key].to_string());
        let exchange = || exchanges.entry(conn).or_default();
        match entry["name"].as_str().unwrap() {
            "sasl.initial_empty.request" => assert_eq!(token().unwrap(), b""),
            "sasl.initial_empty.reply" => exchange().challenge = token().unwrap(),
            "sasl.digest_response.request" => exchange().response = token().unwrap(),
            "sasl.digest_response.reply" => exchange().answer = token(),
            _ => {}
        }
    }
    let exchanges: Vec<_> = exchanges.into_values().collect();
    assert_eq!(exchanges.len(), 14);
    exchanges
}

fn users() -> Users {
    Users::from_iter([("super", "adminsecret"), ("bob", "bobsecret")])
}

/// The bytes of which the server has made its nonce.
fn nonce(challenge: &[u8]) -> [u8; 30] {
    let text = std::str::from_utf8(challenge).unwrap();
    let (_, nonce) = text.split_once("nonce=\"").unwrap();
    let (nonce, _) = nonce.split_once('"').unwrap();
    STANDARD.decode(nonce).unwrap().try_into().unwrap()
}

#[test]
fn our_server_says_what_theirs_said() {
    let mut refused = 0;
    for captured in captured() {
        let mut exchange = Exchange::new(nonce(&captured.challenge));
        let challenge = exchange.step(b"", &users());
        assert_eq!(challenge, Ok(Answer::Challenge(captured.challenge)));
        let answer = exchange.step(&captured.response, &users());
        match captured.answer {
            Some(proof) => {
                let Ok(Answer::Authenticated { token, user }) = answer else {
                    panic!("{answer:?}");
                };
                assert_eq!(token, proof);
                assert!(user == "bob" || user == "super");
            }
            None => {
                let elsewhere = Error::Mismatch {
                    directive: "digest-uri",
                };
                let error = answer.unwrap_err();
                assert!(error == Error::Refused || error == elsewhere, "{error}");
                refused += 1;
            }
        }
        assert_eq!(exchange.step(b"", &users()), Err(Error::OutOfOrder));
    }
    assert_eq!(refused, 6);
}

#[test]
fn our_client_says_what_theirs_said() {
    let server = ServerAddr::new("h1", 2181);
    // As hexadecimal digits, the nonce of all captured clients.
    let cnonce = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef].repeat(2);
    let cnonce: [u8; 16] = cnonce.try_into().unwrap();
    let mut accepted = 0;
    for captured in captured() {
        let Some(proof) = &captured.answer else {
            continue;
        };
        let response = String::from_utf8(captured.response.clone()).unwrap();
        let digest = if response.contains("username=\"bob\"") {
            DigestMd5::new("bob", "bobsecret")
        } else {
            DigestMd5::new("super", "adminsecret").authzid("super")
        };
        let mut client = digest.mechanism(&server, cnonce);
        assert_eq!(client.step(Challenge::Initial), Ok(Step::Send(Vec::new())));
        let sent = client.step(Challenge::Token(&captured.challenge));
        assert_eq!(sent, Ok(Step::Send(captured.response.clone())));
        assert_eq!(client.step(Challenge::Token(proof)), Ok(Step::Done));
        assert!(client.step(Challenge::Token(proof)).is_err());
        // Another one's proof is none.
        let mut client = digest.mechanism(&server, [7; 16]);
        client.step(Challenge::Initial).unwrap();
        client.step(Challenge::Token(&captured.challenge)).unwrap();
        let error = client.step(Challenge::Token(proof)).unwrap_err();
        assert_eq!(error.message, format!("DIGEST-MD5: {}", Error::Impostor));
        accepted += 1;
    }
    assert_eq!(accepted, 8);
}
