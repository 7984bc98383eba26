//! The server's side.

use std::collections::BTreeMap;
use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::directives::{Directives, put_quoted};
use crate::proof::{Inputs, NONCE_COUNT, hashed, same, text};
use crate::{DIGEST_URI, Error, SERVER_NAME};

/// The longest response (RFC 2831, 2.1.2).
const LIMIT: usize = 4096;

/// Who may authenticate, and with which password. `Debug` shows the names only.
#[derive(Clone, Default)]
pub struct Users(BTreeMap<String, String>);

impl Users {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user, or changes the password of one.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.0.insert(name.into(), password.into());
        self
    }

    /// Is there nobody?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, P: Into<String>> FromIterator<(N, P)> for Users {
    fn from_iter<I: IntoIterator<Item = (N, P)>>(users: I) -> Self {
        let users = users.into_iter();
        Self(users.map(|(n, p)| (n.into(), p.into())).collect())
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What the server sends next.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the exchange has no other moves")]
pub enum Answer {
    /// The challenge; a response is to come.
    Challenge(Vec<u8>),
    /// The client has proved who it is. The exchange is over.
    Authenticated {
        /// The server's own proof, to be sent.
        token: Vec<u8>,
        /// The identity of scheme `sasl`: the user's name. A client that asks to act as somebody
        /// else is taken for its user all the same, as servers do.
        user: String,
    },
}

/// One exchange with one client, on one connection.
///
/// After an error it is over: the server answers AuthFailed with a null token and closes the
/// connection.
#[derive(Debug)]
pub struct Exchange {
    realm: String,
    nonce: String,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Initial,
    Challenged,
    Over,
}

impl Exchange {
    /// An exchange in the realm [`SERVER_NAME`]. `nonce` is fresh randomness.
    pub fn new(nonce: [u8; 30]) -> Self {
        Self {
            realm: SERVER_NAME.to_owned(),
            nonce: STANDARD.encode(nonce),
            stage: Stage::Initial,
        }
    }

    /// In another realm.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = realm.into();
        self
    }

    /// The answer to the client's next token.
    ///
    /// # Errors
    /// [`Error::Refused`] for an unknown user or a wrong password; [`Error::OutOfOrder`] for a
    /// first token that is not empty or a token after the end; all others but
    /// [`Error::Impostor`] for a response that is malformed or does not go with the challenge.
    pub fn step(&mut self, token: &[u8], users: &Users) -> Result<Answer, Error> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Initial if token.is_empty() => {
                self.stage = Stage::Challenged;
                Ok(Answer::Challenge(self.challenge()))
            }
            Stage::Challenged => self.verify(token, users),
            Stage::Initial | Stage::Over => Err(Error::OutOfOrder),
        }
    }

    fn challenge(&self) -> Vec<u8> {
        let mut out = b"realm=".to_vec();
        put_quoted(&mut out, self.realm.as_bytes());
        out.extend_from_slice(b",nonce=");
        put_quoted(&mut out, self.nonce.as_bytes());
        out.extend_from_slice(b",charset=utf-8,algorithm=md5-sess");
        out
    }

    fn verify(&self, token: &[u8], users: &Users) -> Result<Answer, Error> {
        let response = Directives::parse(token, LIMIT)?;
        let utf8 = response.has("charset", "utf-8")?;
        let user = text(response.required("username")?, utf8)?;
        let realm = text(response.once("realm")?.unwrap_or_default(), utf8)?;
        let is = |directive: &'static str, found: &[u8], wanted: &str| {
            if found == wanted.as_bytes() {
                Ok(())
            } else {
                Err(Error::Mismatch { directive })
            }
        };
        is("realm", realm.as_bytes(), &self.realm)?;
        is("nonce", response.required("nonce")?, &self.nonce)?;
        is("nc", response.required("nc")?, NONCE_COUNT)?;
        is("digest-uri", response.required("digest-uri")?, DIGEST_URI)?;
        response.has("qop", "auth")?;
        let cnonce = response.required("cnonce")?;
        let proof = response.required("response")?;
        // Without a user the same work is done, so that time does not tell whether there is one.
        let password = users.0.get(&*user);
        let proofs = Inputs {
            user: &hashed(&user),
            realm: &hashed(&realm),
            password: &hashed(password.map_or("", |password| password)),
            nonce: self.nonce.as_bytes(),
            cnonce,
            authzid: response.once("authzid")?,
        }
        .proofs();
        if !same(&proofs.client, proof) || password.is_none() {
            return Err(Error::Refused);
        }
        Ok(Answer::Authenticated {
            token: [b"rspauth=", &proofs.server[..]].concat(),
            user: user.into_owned(),
        })
    }
}
