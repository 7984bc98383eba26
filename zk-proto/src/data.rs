//! The data of nodes: what callers hand in and what they get back.

use std::{borrow::Cow, fmt, ops::Deref};

use bytes::Bytes;

/// The data of a node as a server sent it: a slice of what was received, shared and cheap to clone.
///
/// It derefs to the bytes. A node can also hold null, which [`is_null`](Self::is_null) tells apart
/// from empty. `Debug` shows the length only. A payload keeps the buffer alive that it was received
/// in; copy the bytes to keep a small one for long.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Payload(Option<Bytes>);

impl Payload {
    /// No data, as opposed to empty data.
    #[inline]
    pub const fn null() -> Self {
        Self(None)
    }

    /// Whether the node holds null.
    #[inline]
    pub const fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes; none for null.
    #[inline]
    pub fn into_bytes(self) -> Bytes {
        self.0.unwrap_or_default()
    }

    /// The bytes, or `None` for null.
    #[inline]
    pub fn as_option(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }
}

impl Deref for Payload {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_option().unwrap_or_default()
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Bytes> for Payload {
    #[inline]
    fn from(bytes: Bytes) -> Self {
        Self(Some(bytes))
    }
}

impl From<Option<Bytes>> for Payload {
    fn from(bytes: Option<Bytes>) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Some(bytes.into()))
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(Some(Bytes::copy_from_slice(bytes)))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({})", Length(self.as_option()))
    }
}

/// A payload compares with whatever has bytes; null equals what is empty.
macro_rules! compares_with {
    ($($type:ty),+) => {$(
        impl PartialEq<$type> for Payload {
            fn eq(&self, other: &$type) -> bool {
                let other: &[u8] = other.as_ref();
                **self == *other
            }
        }
    )+};
}

compares_with!([u8], &[u8], str, &str, String, Vec<u8>, Bytes);

impl<const N: usize> PartialEq<[u8; N]> for Payload {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Payload {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == **other
    }
}

/// Data on its way to a server: borrowed or owned bytes, or null. `Debug` shows the length only.
#[derive(Clone)]
pub struct Data<'a>(Kind<'a>);

#[derive(Clone)]
enum Kind<'a> {
    Null,
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Data<'_> {
    /// The bytes, or `None` for null.
    #[inline]
    pub fn as_option(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Null => None,
            Kind::Borrowed(bytes) => Some(bytes),
            Kind::Owned(bytes) => Some(bytes),
            Kind::Shared(bytes) => Some(bytes),
        }
    }

    /// The bytes as a [`Request`](crate::Request) takes them, borrowed from here.
    #[inline]
    pub fn as_cow(&self) -> Option<Cow<'_, [u8]>> {
        self.as_option().map(Cow::Borrowed)
    }

    /// The bytes in memory of their own, not copied if they already are.
    pub fn into_owned(self) -> Data<'static> {
        Data(match self.0 {
            Kind::Null => Kind::Null,
            Kind::Borrowed(bytes) => Kind::Owned(bytes.to_vec()),
            Kind::Owned(bytes) => Kind::Owned(bytes),
            Kind::Shared(bytes) => Kind::Shared(bytes),
        })
    }
}

impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({})", Length(self.as_option()))
    }
}

/// What can be written to a node: bytes, text, and options of them, where `None` is null.
pub trait IntoData<'a> {
    /// Makes it data, without a copy.
    fn into_data(self) -> Data<'a>;
}

impl<'a> IntoData<'a> for Data<'a> {
    fn into_data(self) -> Self {
        self
    }
}

impl<'a> IntoData<'a> for &'a [u8] {
    fn into_data(self) -> Data<'a> {
        Data(Kind::Borrowed(self))
    }
}

impl<'a, const N: usize> IntoData<'a> for &'a [u8; N] {
    fn into_data(self) -> Data<'a> {
        Data(Kind::Borrowed(self))
    }
}

impl<'a> IntoData<'a> for &'a Vec<u8> {
    fn into_data(self) -> Data<'a> {
        Data(Kind::Borrowed(self))
    }
}

impl<'a> IntoData<'a> for &'a str {
    fn into_data(self) -> Data<'a> {
        Data(Kind::Borrowed(self.as_bytes()))
    }
}

impl<'a> IntoData<'a> for &'a String {
    fn into_data(self) -> Data<'a> {
        Data(Kind::Borrowed(self.as_bytes()))
    }
}

impl<'a> IntoData<'a> for String {
    fn into_data(self) -> Data<'a> {
        Data(Kind::Owned(self.into_bytes()))
    }
}

impl<'a> IntoData<'a> for Vec<u8> {
    fn into_data(self) -> Data<'a> {
        Data(Kind::Owned(self))
    }
}

impl<'a> IntoData<'a> for Bytes {
    fn into_data(self) -> Data<'a> {
        Data(Kind::Shared(self))
    }
}

impl<'a> IntoData<'a> for Payload {
    fn into_data(self) -> Data<'a> {
        Data(self.0.map_or(Kind::Null, Kind::Shared))
    }
}

impl<'a> IntoData<'a> for &'a Payload {
    fn into_data(self) -> Data<'a> {
        Data(self.as_option().map_or(Kind::Null, Kind::Borrowed))
    }
}

impl<'a, T: IntoData<'a>> IntoData<'a> for Option<T> {
    fn into_data(self) -> Data<'a> {
        self.map_or(Data(Kind::Null), T::into_data)
    }
}

/// Shows how long bytes are, never the bytes: data, credentials and tokens do not belong in logs.
pub(crate) struct Length<'a>(pub(crate) Option<&'a [u8]>);

impl fmt::Display for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{} bytes", bytes.len()),
            None => f.write_str("null"),
        }
    }
}

impl fmt::Debug for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_not_empty() {
        let (null, empty) = (Payload::null(), Payload::from(Bytes::new()));
        assert_ne!(null, empty);
        assert!(null.is_null() && !empty.is_null());
        assert_eq!(null, *b"");
        assert_eq!(empty, "");
        assert_eq!(null.into_bytes(), Bytes::new());
    }

    #[test]
    fn payload_compares_with_bytes_and_text() {
        let payload = Payload::from(Bytes::from_static(b"abc"));
        let (vec, string, bytes) = (b"abc".to_vec(), String::from("abc"), Bytes::from("abc"));
        assert!(payload == "abc" && payload == *"abc" && payload == string);
        assert!(payload == b"abc" && payload == *b"abc" && payload == b"abc"[..]);
        assert!(payload == vec && payload == bytes);
        assert!(payload != "abd");
        assert_eq!(payload.len(), 3);
    }

    #[test]
    fn everything_bytes_like_is_data() {
        fn bytes<'a>(data: impl IntoData<'a>) -> Option<Vec<u8>> {
            data.into_data()
                .into_owned()
                .as_option()
                .map(<[u8]>::to_vec)
        }
        let (vec, string) = (b"abc".to_vec(), String::from("abc"));
        let payload = Payload::from(&b"abc"[..]);
        let some = Some(vec.clone());
        assert_eq!(bytes(b"abc"), some);
        assert_eq!(bytes(&b"abc"[..]), some);
        assert_eq!(bytes("abc"), some);
        assert_eq!(bytes(&string), some);
        assert_eq!(bytes(string), some);
        assert_eq!(bytes(&vec), some);
        assert_eq!(bytes(vec), some);
        assert_eq!(bytes(Bytes::from_static(b"abc")), some);
        assert_eq!(bytes(&payload), some);
        assert_eq!(bytes(payload), some);
        assert_eq!(bytes(Some("abc")), some);
        assert_eq!(bytes("".into_data()), Some(Vec::new()));
        assert_eq!(bytes(None::<&str>), None);
        let null = Payload::null();
        assert_eq!(bytes(&null), None);
        assert_eq!(bytes(null), None);
    }

    #[test]
    fn debug_shows_lengths_only() {
        assert_eq!(
            format!("{:?}", Payload::from(&b"secret"[..])),
            "Payload(6 bytes)"
        );
        assert_eq!(
            format!("{:?} {:?}", Payload::null(), "secret".into_data()),
            "Payload(null) Data(6 bytes)"
        );
    }
}
