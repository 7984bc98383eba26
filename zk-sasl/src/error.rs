//! What can go wrong in an exchange.

/// Why an exchange cannot go on.
///
/// A server answers AuthFailed to all of them. Neither names nor passwords are in the text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A token longer than RFC 2831 permits.
    #[error("the token has {length} bytes, {limit} are allowed")]
    TooLong {
        /// Bytes of the token.
        length: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The token is no list of directives.
    #[error("the token is malformed: {what}")]
    Malformed {
        /// What was expected.
        what: &'static str,
    },
    /// A directive is missing.
    #[error("the token has no directive {directive}")]
    Missing {
        /// Which one.
        directive: &'static str,
    },
    /// A directive is there twice.
    #[error("the token has the directive {directive} twice")]
    Repeated {
        /// Which one.
        directive: &'static str,
    },
    /// A directive asks for something that is not supported: only `auth`, `md5-sess` and `utf-8` are.
    #[error("the token asks for an unsupported {directive}")]
    Unsupported {
        /// Which one.
        directive: &'static str,
    },
    /// A directive does not go with the challenge: another nonce, count, realm or server.
    #[error("the directive {directive} does not go with the challenge")]
    Mismatch {
        /// Which one.
        directive: &'static str,
    },
    /// The server does not speak UTF-8, and the name or password needs it.
    #[error("the server wants names and passwords in ISO 8859-1, which cannot express these")]
    Charset,
    /// A token when none was due: the exchange begins with an empty one and ends after two.
    #[error("the exchange has no place for this token")]
    OutOfOrder,
    /// The client gave an unknown name, or a wrong password: it is not told which.
    #[error("unknown user or wrong password")]
    Refused,
    /// The server did not prove that it knows the password: it may not be the one it seems to be.
    #[error("the server has not proved that it knows the password")]
    Impostor,
}
