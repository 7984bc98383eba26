//! The seam for SASL, and with the feature `sasl` the mechanism that users of ZooKeeper have.

use std::fmt;

#[cfg(feature = "sasl")]
mod digest_md5;

#[cfg(feature = "sasl")]
pub use digest_md5::DigestMd5;

/// Makes one exchange for each connection that asks for it. An option of the server.
pub trait SaslFactory: fmt::Debug + Send + Sync {
    /// Begins an exchange. `seed` is different for each of them.
    fn start(&self, seed: [u8; 32]) -> Box<dyn SaslServer>;
}

/// The server's side of one exchange.
pub trait SaslServer: Send {
    /// Answers a token of the client.
    fn step(&mut self, token: &[u8]) -> SaslStep;
}

/// What follows from a token of the client.
#[derive(Clone, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an exchange goes on, or it ends in one of two ways"
)]
pub enum SaslStep {
    /// The exchange goes on.
    Continue(Vec<u8>),
    /// The client is authenticated.
    Done {
        /// The last token, if the mechanism has one.
        token: Option<Vec<u8>>,
        /// Whom it may act as: the id of the scheme `sasl`.
        authorization_id: String,
    },
    /// The client is not who it says.
    Failed,
}

impl fmt::Debug for SaslStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continue(_) => "Continue(..)",
            Self::Done { .. } => "Done(..)",
            Self::Failed => "Failed",
        })
    }
}
