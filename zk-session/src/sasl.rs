//! The seam for SASL: challenges in, tokens out, on every connection before anything else.

use std::fmt;

use zk_proto::ServerAddr;

use crate::SaslError;

/// What the server said last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the exchange has no other moments")]
pub enum Challenge<'a> {
    /// Nothing yet: the mechanism begins.
    Initial,
    /// A token.
    Token(&'a [u8]),
    /// An answer without a token, with which some mechanisms end.
    Null,
}

/// What the mechanism wants next.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the exchange has no other moves")]
pub enum Step {
    /// Send this token and wait for the answer.
    Send(Vec<u8>),
    /// Authenticated.
    Done,
    /// The next token takes I/O: hand out [`Action::Sasl`](crate::Action::Sasl) and wait for
    /// [`Session::handle_sasl`](crate::Session::handle_sasl).
    Later,
}

/// One exchange of one mechanism, such as DIGEST-MD5.
pub trait Mechanism: Send {
    /// The next move after `challenge`.
    ///
    /// # Errors
    /// The session ends with [`AuthFailure::Sasl`](crate::AuthFailure::Sasl).
    fn step(&mut self, challenge: Challenge<'_>) -> Result<Step, SaslError>;
}

/// Makes a [`Mechanism`] for each connection.
pub trait MechanismFactory: fmt::Debug + Send + Sync {
    /// A fresh exchange with `server`. `nonce` is fresh randomness from the session's generator.
    fn mechanism(&self, server: &ServerAddr, nonce: [u8; 16]) -> Box<dyn Mechanism>;
}
