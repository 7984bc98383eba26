//! How either side proves that it knows the password (RFC 2831, 2.1.2.1 and 2.1.3).

use std::borrow::Cow;

use md5::{Digest, Md5};

use crate::{DIGEST_URI, Error};

/// 32 hexadecimal digits.
pub(crate) type Hex = [u8; 32];

/// A client's first use of a nonce, which is the only one here.
pub(crate) const NONCE_COUNT: &str = "00000001";

/// What goes into a proof. Texts are as they go over the wire, but for those of
/// [`hashed`].
pub(crate) struct Inputs<'a> {
    pub(crate) user: &'a [u8],
    pub(crate) realm: &'a [u8],
    pub(crate) password: &'a [u8],
    pub(crate) nonce: &'a [u8],
    pub(crate) cnonce: &'a [u8],
    pub(crate) authzid: Option<&'a [u8]>,
}

/// Both sides' proofs.
pub(crate) struct Proofs {
    pub(crate) client: Hex,
    pub(crate) server: Hex,
}

impl Inputs<'_> {
    pub(crate) fn proofs(&self) -> Proofs {
        let secret = md5(&[self.user, b":", self.realm, b":", self.password]);
        let mut a1 = Md5::new();
        for part in [&secret[..], b":", self.nonce, b":", self.cnonce] {
            a1.update(part);
        }
        if let Some(authzid) = self.authzid {
            a1.update(b":");
            a1.update(authzid);
        }
        let a1 = hex(a1.finalize().into());
        let proof = |method: &[u8]| {
            let a2 = hex(md5(&[method, b":", DIGEST_URI.as_bytes()]));
            let count = NONCE_COUNT.as_bytes();
            let parts = [
                &a1[..],
                b":",
                self.nonce,
                b":",
                count,
                b":",
                self.cnonce,
                b":auth:",
                &a2,
            ];
            hex(md5(&parts))
        };
        Proofs {
            client: proof(b"AUTHENTICATE"),
            server: proof(b""),
        }
    }
}

/// A name, realm or password as it goes into the hash: in ISO 8859-1 if it can be written so,
/// whatever it is in on the wire.
pub(crate) fn hashed(text: &str) -> Cow<'_, [u8]> {
    match latin1(text) {
        Some(bytes) => bytes,
        None => Cow::Borrowed(text.as_bytes()),
    }
}

/// A text on the wire, in UTF-8 or in ISO 8859-1.
#[cfg(feature = "client")]
pub(crate) fn wire(text: &str, utf8: bool) -> Result<Cow<'_, [u8]>, Error> {
    if utf8 {
        Ok(Cow::Borrowed(text.as_bytes()))
    } else {
        latin1(text).ok_or(Error::Charset)
    }
}

/// A text from the wire, in UTF-8 or in ISO 8859-1.
pub(crate) fn text(bytes: &[u8], utf8: bool) -> Result<Cow<'_, str>, Error> {
    if utf8 {
        let what = "text is in UTF-8";
        let text = std::str::from_utf8(bytes).map_err(|_| Error::Malformed { what })?;
        Ok(Cow::Borrowed(text))
    } else {
        Ok(bytes.iter().map(|byte| char::from(*byte)).collect())
    }
}

/// Compares in a time that does not tell where the first difference is.
pub(crate) fn same(ours: &Hex, theirs: &[u8]) -> bool {
    let differences = ours.iter().zip(theirs).map(|(a, b)| a ^ b);
    ours.len() == theirs.len() && std::hint::black_box(differences.fold(0, |d, x| d | x)) == 0
}

pub(crate) fn hex(bytes: [u8; 16]) -> Hex {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|at| {
        let byte = bytes[at / 2];
        let digit = if at % 2 == 0 { byte >> 4 } else { byte & 15 };
        DIGITS[usize::from(digit)]
    })
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn latin1(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    text.chars().map(|c| u8::try_from(c).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proofs_of_a_captured_exchange() {
        let proofs = Inputs {
            user: b"bob",
            realm: b"zk-sasl-md5",
            password: b"bobsecret",
            nonce: b"7RW8pZ+B9sl4BV/Cnj6xsrYvLlGtmg1YCu3sgXNS",
            cnonce: b"0123456789abcdef0123456789abcdef",
            authzid: None,
        }
        .proofs();
        assert_eq!(&proofs.client, b"1a8061cac69add7fa7b201277387bc6a");
        assert_eq!(&proofs.server, b"bba9b4d9a84bb4d6091bb1e204cefd80");
        let secret = hex(md5(&[b"bob:zk-sasl-md5:bobsecret"]));
        assert_eq!(&secret, b"fff08f480333e7694a6455b4a1d5b656");
    }

    #[test]
    fn texts_are_hashed_in_the_narrow_charset_if_they_fit() {
        assert_eq!(*hashed("bob"), *b"bob");
        assert_eq!(*hashed("b\u{f6}b"), *b"b\xf6b");
        assert_eq!(*hashed("b\u{20ac}b"), *"b\u{20ac}b".as_bytes());
        assert_eq!(text(b"b\xf6b", false).unwrap(), "b\u{f6}b");
        assert!(text(b"b\xf6b", true).is_err());
    }

    #[test]
    fn proofs_are_compared_whole() {
        let proof = [b'a'; 32];
        let mut other = proof;
        assert!(same(&proof, &other));
        other[31] = b'b';
        assert!(!same(&proof, &other));
        assert!(!same(&proof, &proof[1..]) && !same(&proof, b""));
    }
}
