//! Who does the cryptography, and tells the time.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{SupportedProtocolVersion, version};

use crate::TlsError;

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Version {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// What both sides have to choose.
#[derive(Clone, Debug)]
pub(crate) struct Basics {
    pub(crate) provider: Option<Arc<CryptoProvider>>,
    pub(crate) time: Arc<dyn TimeProvider>,
    pub(crate) lowest: Version,
    pub(crate) highest: Version,
}

impl Default for Basics {
    fn default() -> Self {
        Self {
            provider: None,
            time: Arc::new(DefaultTimeProvider),
            lowest: Version::V1_2,
            highest: Version::V1_3,
        }
    }
}

impl Basics {
    pub(crate) fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        if let Some(provider) = &self.provider {
            return Ok(Arc::clone(provider));
        }
        default_provider().map(Arc::new).ok_or(TlsError::NoProvider)
    }

    pub(crate) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        [
            (Version::V1_2, &version::TLS12),
            (Version::V1_3, &version::TLS13),
        ]
        .into_iter()
        .filter(|(version, _)| (self.lowest..=self.highest).contains(version))
        .map(|(_, known)| known)
        .collect()
    }
}

/// A second feature must not change what programs with the first one do.
fn default_provider() -> Option<CryptoProvider> {
    #[cfg(feature = "ring")]
    return Some(rustls::crypto::ring::default_provider());
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Some(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    None
}
