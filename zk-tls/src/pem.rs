//! Certificates and keys out of PEM.

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::TlsError;
use crate::source::Source;

/// The line of an encrypted key begins so. PEM is otherwise the same as of one that is not.
const ENCRYPTED: &[u8] = b"ENCRYPTED PRIVATE KEY";

/// How OpenSSL marked keys that it encrypted in a way of its own.
const TRADITIONAL: &[u8] = b"Proc-Type: 4,ENCRYPTED";

/// All certificates, of which there must be one.
pub(crate) fn certificates(source: &Source) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = source.read()?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(malformed(source))?;
    if found.is_empty() {
        let what = source.to_string();
        return Err(TlsError::NoCertificate { what });
    }
    Ok(found)
}

/// The first private key, decrypted if need be.
pub(crate) fn key(
    source: &Source,
    password: Option<&Password>,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = source.read()?;
    let what = || source.to_string();
    if find(&text, TRADITIONAL).is_some() {
        return Err(TlsError::UnsupportedEncryption { what: what() });
    }
    let plain = match PrivateKeyDer::pem_slice_iter(&text).next() {
        None => None,
        Some(key) => Some(key.map_err(malformed(source))?),
    };
    if let Some(key) = plain {
        return Ok(key);
    }
    let Some(at) = find(&text, ENCRYPTED) else {
        return Err(TlsError::NoKey { what: what() });
    };
    let Some(password) = password else {
        return Err(TlsError::PasswordNeeded { what: what() });
    };
    // The parser knows no label of encrypted keys, and does not look at what is in the section.
    let relabelled = relabel(&text[..at], &text[at..]);
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(&relabelled);
    for section in sections {
        let (kind, der) = section.map_err(malformed(source))?;
        if kind == SectionKind::PrivateKey {
            return decrypt(&der, password, what());
        }
    }
    Err(TlsError::NoKey { what: what() })
}

/// Turns both lines around an encrypted key into those around a plain one.
fn relabel(before: &[u8], rest: &[u8]) -> Vec<u8> {
    let skipped = "ENCRYPTED ".len();
    let mut text = before.to_vec();
    let mut rest = rest;
    while let Some(at) = find(rest, ENCRYPTED) {
        text.extend_from_slice(&rest[..at]);
        rest = &rest[at + skipped..];
    }
    text.extend_from_slice(rest);
    text
}

#[cfg(feature = "encrypted-keys")]
fn decrypt(
    der: &[u8],
    password: &Password,
    what: String,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    use rustls::pki_types::PrivatePkcs8KeyDer;

    let Ok(info) = pkcs8::EncryptedPrivateKeyInfo::try_from(der) else {
        return Err(TlsError::UnsupportedEncryption { what });
    };
    let scheme = &info.encryption_algorithm;
    match scheme.decrypt(&password.0, info.encrypted_data) {
        // What a wrong password gives may end as if it were right, but is no key.
        Ok(key) if key.first() == Some(&0x30) => Ok(PrivatePkcs8KeyDer::from(key).into()),
        Ok(_) | Err(pkcs5::Error::DecryptFailed) => Err(TlsError::WrongPassword { what }),
        Err(_) => Err(TlsError::UnsupportedEncryption { what }),
    }
}

#[cfg(not(feature = "encrypted-keys"))]
fn decrypt(_: &[u8], _: &Password, what: String) -> Result<PrivateKeyDer<'static>, TlsError> {
    Err(TlsError::UnsupportedEncryption { what })
}

/// What a key is encrypted with.
#[derive(Clone)]
pub(crate) struct Password(
    #[cfg_attr(
        not(feature = "encrypted-keys"),
        expect(dead_code, reason = "nothing is decrypted")
    )]
    pub(crate) Vec<u8>,
);

fn malformed(source: &Source) -> impl FnOnce(rustls::pki_types::pem::Error) -> TlsError {
    let what = source.to_string();
    move |source| TlsError::Malformed { what, source }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|at| at == word)
}
