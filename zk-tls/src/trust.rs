//! Authorities that are trusted, and why a certificate and a key are of no use.

use rustls::{InconsistentKeys, RootCertStore};

use crate::TlsError;
use crate::pem;
use crate::source::Source;

/// Trusts all in there.
pub(crate) fn add_authorities(roots: &mut RootCertStore, source: &Source) -> Result<(), TlsError> {
    for certificate in pem::certificates(source)? {
        let what = || source.to_string();
        roots
            .add(certificate)
            .map_err(|source| TlsError::BadAuthority {
                what: what(),
                source,
            })?;
    }
    Ok(())
}

/// Why a certificate and a key are of no use.
pub(crate) fn unusable(source: rustls::Error, certificate: &Source, key: &Source) -> TlsError {
    let (certificate, key) = (certificate.to_string(), key.to_string());
    if source == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
        return TlsError::KeyMismatch { certificate, key };
    }
    TlsError::UnusableCertificate {
        certificate,
        key,
        source,
    }
}

#[cfg(all(feature = "client", feature = "system-roots"))]
pub(crate) fn add_system_roots(roots: &mut RootCertStore) -> Result<(), TlsError> {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "cannot read authorities of the system");
    }
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if unusable > 0 {
        tracing::debug!(unusable, "authorities of the system that cannot be used");
    }
    Ok(())
}

#[cfg(all(feature = "client", not(feature = "system-roots")))]
pub(crate) fn add_system_roots(_: &mut RootCertStore) -> Result<(), TlsError> {
    Err(TlsError::NoSystemRoots)
}
