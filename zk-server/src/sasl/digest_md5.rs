//! DIGEST-MD5 (RFC 2831), by `zk-sasl`.

use zk_sasl::server::{Answer, Exchange, Users};

use crate::{SaslFactory, SaslServer, SaslStep};

/// Authenticates users by their passwords, as a server with the login module of ZooKeeper's
/// Administrator's Guide does. For [`Options::sasl`](crate::Options::sasl).
///
/// ```
/// use std::sync::Arc;
/// use zk_server::{DigestMd5, Options};
///
/// let options = Options::new().sasl(Arc::new(DigestMd5::new([("bob", "secret")])));
/// ```
#[derive(Clone, Debug)]
pub struct DigestMd5 {
    users: Users,
    fips_mode: bool,
}

impl DigestMd5 {
    /// For these users with their passwords.
    pub fn new<N: Into<String>, P: Into<String>>(users: impl IntoIterator<Item = (N, P)>) -> Self {
        Self {
            users: users.into_iter().collect(),
            fips_mode: false,
        }
    }

    /// Refuses everybody at the first token, as servers do in FIPS mode, the default since 3.9.6.
    #[must_use]
    pub fn fips_mode(mut self) -> Self {
        self.fips_mode = true;
        self
    }
}

impl SaslFactory for DigestMd5 {
    fn start(&self, seed: [u8; 32]) -> Box<dyn SaslServer> {
        let mut nonce = [0; 30];
        nonce.copy_from_slice(&seed[..30]);
        Box::new(Step {
            users: self.users.clone(),
            exchange: (!self.fips_mode).then(|| Exchange::new(nonce)),
        })
    }
}

struct Step {
    users: Users,
    /// `None`: there is none to be had.
    exchange: Option<Exchange>,
}

impl SaslServer for Step {
    fn step(&mut self, token: &[u8]) -> SaslStep {
        let Some(exchange) = &mut self.exchange else {
            tracing::debug!("a client is refused: DIGEST-MD5 is off in FIPS mode");
            return SaslStep::Failed;
        };
        match exchange.step(token, &self.users) {
            Ok(Answer::Challenge(challenge)) => SaslStep::Continue(challenge),
            Ok(Answer::Authenticated { token, user }) => SaslStep::Done {
                token: Some(token),
                authorization_id: user,
            },
            Err(error) => {
                tracing::debug!(%error, "a client is not who it says");
                SaslStep::Failed
            }
        }
    }
}
