//! The seam for SASL: challenges in, tokens out, on every connection before anything else.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use zk_proto::ServerAddr;

use crate::{AuthFailure, SaslError};

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
    /// The next move after `challenge`. It must not block.
    ///
    /// # Errors
    /// The session ends with [`AuthFailure::Sasl`], unless the error is
    /// [temporary](SaslError::temporary).
    fn step(&mut self, challenge: Challenge<'_>) -> Result<Step, SaslError>;

    /// What [`step`](Self::step) put off with [`Step::Later`]: the token that answers the same
    /// challenge. It may block, and is called where that is allowed. Only for mechanisms that put
    /// something off.
    ///
    /// # Errors
    /// As of [`step`](Self::step).
    fn work(&mut self, challenge: Challenge<'_>) -> Result<Vec<u8>, SaslError> {
        let _ = challenge;
        Err(SaslError::new("the mechanism has no token"))
    }

    /// What it means that the server refuses the exchange now.
    fn refused(&self) -> AuthFailure {
        AuthFailure::SaslRefused
    }
}

/// Makes a [`Mechanism`] for each connection.
pub trait MechanismFactory: fmt::Debug + Send + Sync {
    /// A fresh exchange with `server`. `nonce` is fresh randomness from the session's generator.
    fn mechanism(&self, server: &ServerAddr, nonce: [u8; 16]) -> Box<dyn Mechanism>;
}

/// A mechanism that a session and the work that it has put off have in common. The session leaves
/// it alone while there is work to be done, so that neither waits for the other.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Box<dyn Mechanism>>>);

impl Shared {
    pub(crate) fn new(mechanism: Box<dyn Mechanism>) -> Self {
        Self(Arc::new(Mutex::new(mechanism)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Box<dyn Mechanism>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token that takes I/O to work out: see [`Action::Sasl`](crate::Action::Sasl).
///
/// ```no_run
/// # use std::time::Instant;
/// # use zk_session::{Action, Session};
/// # fn act(session: &mut Session, action: Action, now: fn() -> Instant) {
/// // The least that a loop can do, if it serves one client and may stand still meanwhile.
/// if let Action::Sasl { conn, work } = action {
///     session.handle_sasl(now(), conn, work.run());
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct SaslWork {
    mechanism: Shared,
    challenge: Said,
}

#[derive(Clone, Eq, PartialEq)]
enum Said {
    Nothing,
    Token(Bytes),
    Null,
}

impl SaslWork {
    pub(crate) fn new(mechanism: Shared, challenge: Challenge<'_>) -> Self {
        let challenge = match challenge {
            Challenge::Initial => Said::Nothing,
            Challenge::Token(token) => Said::Token(Bytes::copy_from_slice(token)),
            Challenge::Null => Said::Null,
        };
        Self {
            mechanism,
            challenge,
        }
    }

    /// Works the token out. This may block, so it must not be done where I/O is: on a thread for
    /// it, or wherever standing still harms nobody. A mechanism that panics has failed.
    ///
    /// # Errors
    /// What the mechanism says. The result goes to
    /// [`Session::handle_sasl`](crate::Session::handle_sasl) in either case.
    pub fn run(self) -> Result<Vec<u8>, SaslError> {
        let work = || self.mechanism.lock().work(self.challenge());
        let failed = |_| Err(SaslError::new("the mechanism panicked"));
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(failed)
    }

    /// Does the session still wait for the token? Not if the connection has gone meanwhile.
    pub fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.mechanism.0) > 1
    }

    /// What the server said, for loops that work tokens out by themselves.
    pub fn challenge(&self) -> Challenge<'_> {
        match &self.challenge {
            Said::Nothing => Challenge::Initial,
            Said::Token(token) => Challenge::Token(token),
            Said::Null => Challenge::Null,
        }
    }
}

impl fmt::Debug for SaslWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaslWork(..)")
    }
}

impl Eq for SaslWork {}

impl PartialEq for SaslWork {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mechanism.0, &other.mechanism.0) && self.challenge == other.challenge
    }
}
