//! What can be wrong with the options, each with what to do about it.

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;

/// Why TLS cannot be set up as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is not PEM.
    #[error("{what} is not PEM, the text format with BEGIN and END lines")]
    Malformed {
        /// The file, or what else it is.
        what: String,
        /// Why.
        source: pem::Error,
    },
    /// There is no certificate where one should be.
    #[error("{what} holds no certificate: there is no BEGIN CERTIFICATE line")]
    NoCertificate {
        /// The file, or what else it is.
        what: String,
    },
    /// There is no private key where one should be.
    #[error(
        "{what} holds no private key: there is no BEGIN PRIVATE KEY, RSA or EC PRIVATE KEY line"
    )]
    NoKey {
        /// The file, or what else it is.
        what: String,
    },
    /// A key is encrypted, and there is no password for it.
    #[error("the key in {what} is encrypted: give its password by key_password")]
    PasswordNeeded {
        /// The file, or what else it is.
        what: String,
    },
    /// A key cannot be decrypted with its password.
    #[error("the key in {what} cannot be decrypted: is this its password?")]
    WrongPassword {
        /// The file, or what else it is.
        what: String,
    },
    /// A key is encrypted in a way that is not known here.
    #[error(
        "the key in {what} is encrypted in a way that is not supported: convert it by `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
    )]
    UnsupportedEncryption {
        /// The file, or what else it is.
        what: String,
    },
    /// A trusted authority's certificate is not one.
    #[error("a certificate in {what} cannot be that of an authority")]
    BadAuthority {
        /// The file, or what else it is.
        what: String,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate cannot be shown with its key.
    #[error("the certificate in {certificate} is of no use with the key in {key}")]
    UnusableCertificate {
        /// The file with the certificate, or what else it is.
        certificate: String,
        /// The file with the key, or what else it is.
        key: String,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate and a key do not belong together.
    #[error("the key in {key} is not that of the certificate in {certificate}")]
    KeyMismatch {
        /// The file with the certificate, or what else it is.
        certificate: String,
        /// The file with the key, or what else it is.
        key: String,
    },
    /// Nobody is trusted.
    #[error(
        "no authority is trusted, so that no server could be: install those of the system (Debian: ca-certificates), or name one by ca_file"
    )]
    NoAuthority,
    /// The system's authorities cannot be asked for.
    #[error(
        "without the feature `system-roots` the authorities that the system trusts are not known: name one by ca_file"
    )]
    NoSystemRoots,
    /// There is nobody who does the cryptography.
    #[error(
        "neither of the features `ring` and `aws-lc-rs` is on: enable one, or give a crypto_provider"
    )]
    NoProvider,
    /// No version of TLS is left.
    #[error(
        "no version of TLS is allowed: the lowest is above the highest, or the provider has none of them"
    )]
    NoVersion,
    /// A server cannot have that name.
    #[error("{name:?} is neither a DNS name nor an IP address")]
    BadName {
        /// The name.
        name: String,
    },
    /// rustls does not take the options for another reason.
    #[error("rustls does not take these options")]
    Rustls(#[source] rustls::Error),
}
