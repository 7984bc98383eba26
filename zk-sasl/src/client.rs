//! The client's side.

use std::fmt;
use std::sync::Arc;

use zk_proto::ServerAddr;
use zk_session::{AuthFailure, Challenge, Mechanism, MechanismFactory, SaslError, Step};

use crate::directives::{Directives, put_quoted};
use crate::proof::{Hex, Inputs, NONCE_COUNT, hashed, hex, same, text, wire};
use crate::{DIGEST_URI, Error};

/// The longest challenge (RFC 2831, 2.1.1).
const LIMIT: usize = 2048;

/// What can be done about a server that does not even send a challenge.
const REFUSED: &str = "it is in FIPS mode, which is the default since 3.9.6, or knows Kerberos only: \
    start the servers with -Dzookeeper.fips-mode=false, or sign in by Kerberos (feature sasl-gssapi)";

/// SASL DIGEST-MD5 with a name and a password, on every connection.
///
/// The realm is the first one of the server's challenge. Deprecated cryptography: whoever listens
/// can guess at the password at leisure. `Debug` does not show it.
///
/// What becomes of it is the session's: [`AuthFailure::SaslRefused`] for a wrong name or password,
/// [`AuthFailure::MechanismRefused`] for a server that does not take DIGEST-MD5, as in FIPS mode,
/// [`AuthFailure::SaslUnsupported`] for a server without SASL, [`AuthFailure::Sasl`] with an
/// [`Error`] as its text for a challenge that makes no sense or a server that does not know the
/// password itself.
#[derive(Clone)]
pub struct DigestMd5(Arc<Account>);

#[derive(Clone)]
struct Account {
    user: String,
    password: String,
    authzid: Option<String>,
}

impl DigestMd5 {
    /// Authenticates as `user`.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Arc::new(Account {
            user: user.into(),
            password: password.into(),
            authzid: None,
        }))
    }

    /// Asks to act as another identity. Default: none is asked for. ZooKeeper servers go by the
    /// user all the same.
    pub fn authzid(mut self, authzid: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).authzid = Some(authzid.into());
        self
    }
}

impl fmt::Debug for DigestMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestMd5")
            .field("user", &self.0.user)
            .field("authzid", &self.0.authzid)
            .finish_non_exhaustive()
    }
}

impl MechanismFactory for DigestMd5 {
    fn mechanism(&self, _: &ServerAddr, nonce: [u8; 16]) -> Box<dyn Mechanism> {
        Box::new(Exchange {
            account: Arc::clone(&self.0),
            stage: Stage::Initial { cnonce: hex(nonce) },
        })
    }
}

/// One exchange.
struct Exchange {
    account: Arc<Account>,
    stage: Stage,
}

enum Stage {
    Initial {
        cnonce: Hex,
    },
    /// The empty token was sent.
    Begun {
        cnonce: Hex,
    },
    /// The response was sent; the server's proof has to be this.
    Responded {
        proof: Hex,
    },
    Over,
}

impl Mechanism for Exchange {
    fn step(&mut self, challenge: Challenge<'_>) -> Result<Step, SaslError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let (stage, step) = self
            .next(stage, challenge)
            .map_err(|error| SaslError::new(format!("DIGEST-MD5: {error}")))?;
        self.stage = stage;
        Ok(step)
    }

    fn refused(&self) -> AuthFailure {
        match self.stage {
            // Of a server that takes the mechanism, an empty token is owed a challenge.
            Stage::Begun { .. } => AuthFailure::MechanismRefused {
                mechanism: "DIGEST-MD5",
                advice: REFUSED,
            },
            Stage::Initial { .. } | Stage::Responded { .. } | Stage::Over => {
                AuthFailure::SaslRefused
            }
        }
    }
}

impl Exchange {
    fn next(&self, stage: Stage, challenge: Challenge<'_>) -> Result<(Stage, Step), Error> {
        match (stage, challenge) {
            (Stage::Initial { cnonce }, Challenge::Initial) => {
                Ok((Stage::Begun { cnonce }, Step::Send(Vec::new())))
            }
            (Stage::Begun { cnonce }, Challenge::Token(token)) => {
                let (response, proof) = self.account.respond(token, &cnonce)?;
                Ok((Stage::Responded { proof }, Step::Send(response)))
            }
            (Stage::Responded { proof }, Challenge::Token(token)) => {
                let directives = Directives::parse(token, LIMIT)?;
                if same(&proof, directives.required("rspauth")?) {
                    Ok((Stage::Over, Step::Done))
                } else {
                    Err(Error::Impostor)
                }
            }
            (
                Stage::Initial { .. } | Stage::Begun { .. } | Stage::Responded { .. } | Stage::Over,
                Challenge::Initial | Challenge::Token(_) | Challenge::Null,
            ) => Err(Error::OutOfOrder),
        }
    }
}

impl Account {
    /// The response to a challenge, and the proof that the server has to give.
    fn respond(&self, challenge: &[u8], cnonce: &Hex) -> Result<(Vec<u8>, Hex), Error> {
        let challenge = Directives::parse(challenge, LIMIT)?;
        let nonce = challenge.required("nonce")?;
        let utf8 = challenge.has("charset", "utf-8")?;
        if !challenge.has("algorithm", "md5-sess")? {
            let directive = "algorithm";
            return Err(Error::Missing { directive });
        }
        if let Some(offered) = challenge.once("qop")? {
            let mut offered = offered.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            if !offered.any(|qop| qop.eq_ignore_ascii_case(b"auth")) {
                return Err(Error::Unsupported { directive: "qop" });
            }
        }
        let realm = challenge.first("realm");
        let user = wire(&self.user, utf8)?;
        // What the server cannot know is not worth an attempt.
        wire(&self.password, utf8)?;
        let authzid = match &self.authzid {
            Some(authzid) => Some(wire(authzid, utf8)?),
            None => None,
        };
        let proofs = Inputs {
            user: &hashed(&self.user),
            realm: &hashed(&text(realm.unwrap_or_default(), utf8)?),
            password: &hashed(&self.password),
            nonce,
            cnonce,
            authzid: authzid.as_deref(),
        }
        .proofs();
        // The order is that of the Java client.
        let mut out = Vec::new();
        if utf8 {
            out.extend_from_slice(b"charset=utf-8,");
        }
        let mut quoted = |before: &str, value: &[u8]| {
            out.extend_from_slice(before.as_bytes());
            put_quoted(&mut out, value);
        };
        quoted("username=", &user);
        if let Some(realm) = realm {
            quoted(",realm=", realm);
        }
        quoted(",nonce=", nonce);
        quoted(&format!(",nc={NONCE_COUNT},cnonce="), cnonce);
        quoted(",digest-uri=", DIGEST_URI.as_bytes());
        out.extend_from_slice(b",maxbuf=65536,response=");
        out.extend_from_slice(&proofs.client);
        out.extend_from_slice(b",qop=auth");
        if let Some(authzid) = authzid {
            out.extend_from_slice(b",authzid=");
            put_quoted(&mut out, &authzid);
        }
        Ok((out, proofs.server))
    }
}
