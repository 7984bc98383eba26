//! Identifiers that number transactions, requests and sessions, and the password of a session.

use std::fmt;

use crate::{DecodeError, Reader, put_buffer};

/// The version that matches every version, where a request names the one it expects.
pub const ANY_VERSION: i32 = -1;

/// The number of a transaction: an epoch in the high half, a counter in the low half.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Zxid(pub i64);

impl Zxid {
    /// Before the first transaction.
    pub const ZERO: Self = Self(0);

    /// The number of leaders elected before this transaction; 0 on a standalone server.
    #[inline]
    pub const fn epoch(self) -> i32 {
        (self.0 >> 32) as i32
    }

    /// The position of this transaction in its epoch.
    #[inline]
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }

    /// Whether this is the number of a transaction. Servers write 0 and -1 where they have none.
    #[inline]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zxid({self})")
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The number that a client gives to a request and that its reply repeats.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Xid(pub i32);

impl Xid {
    /// A watch event, which answers no request.
    pub const WATCH: Self = Self(-1);
    /// A ping and its reply.
    pub const PING: Self = Self(-2);
    /// A credential and its reply.
    pub const AUTH: Self = Self(-4);
    /// The registration of watches after a reconnect, by convention of the C client.
    pub const SET_WATCHES: Self = Self(-8);
    /// The first number for an ordinary request.
    pub const FIRST: Self = Self(1);

    /// The number after this one: 2147483647 is followed by 1, never by a negative number, which
    /// would be taken for one of the reserved ones.
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 < 1 || self.0 == i32::MAX {
            Self::FIRST
        } else {
            Self(self.0 + 1)
        }
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a session, given out by the server.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session: a client asks for a new one, a server says that there is none, a node belongs to
    /// none.
    pub const NONE: Self = Self(0);

    /// Whether this is [`NONE`](Self::NONE).
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The password that re-attaches to a session. Its `Debug` output does not show it.
///
/// Servers give out 16 bytes and accept others, null among them, for a new session.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Password {
    length: Option<u8>,
    bytes: [u8; Self::MAX_LEN],
}

impl Password {
    /// The longest password accepted, in bytes: twice what servers give out.
    pub const MAX_LEN: usize = 32;
    /// Sixteen zero bytes: the password of a session that does not exist yet.
    pub const EMPTY: Self = Self {
        length: Some(16),
        bytes: [0; Self::MAX_LEN],
    };
    /// Null, which some clients send for a new session.
    pub const NULL: Self = Self {
        length: None,
        bytes: [0; Self::MAX_LEN],
    };

    /// The password of these bytes, or `None` if there are more than [`MAX_LEN`](Self::MAX_LEN).
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut password = Self {
            length: None,
            bytes: [0; Self::MAX_LEN],
        };
        password
            .bytes
            .get_mut(..bytes.len())?
            .copy_from_slice(bytes);
        password.length = u8::try_from(bytes.len()).ok();
        Some(password)
    }

    /// The bytes; none for [`NULL`](Self::NULL).
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length.unwrap_or(0))]
    }

    /// Whether this is [`NULL`](Self::NULL).
    #[inline]
    pub const fn is_null(&self) -> bool {
        self.length.is_none()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_buffer(out, self.length.is_some().then(|| self.as_bytes()));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let Some(bytes) = reader.buffer("password")? else {
            return Ok(Self::NULL);
        };
        Self::from_slice(bytes).ok_or(DecodeError::TooLong {
            what: "password",
            length: bytes.len(),
            limit: Self::MAX_LEN,
        })
    }
}

impl Default for Password {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl From<[u8; 16]> for Password {
    fn from(sixteen: [u8; 16]) -> Self {
        let mut password = Self::EMPTY;
        password.bytes[..16].copy_from_slice(&sixteen);
        password
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zxid_halves() {
        let zxid = Zxid(0x0000_0002_ffff_fff0);
        assert_eq!((zxid.epoch(), zxid.counter()), (2, 0xffff_fff0));
        assert_eq!(zxid.to_string(), "0x2fffffff0");
        assert!(zxid.is_positive() && !Zxid::ZERO.is_positive() && !Zxid(-1).is_positive());
    }

    #[test]
    fn xid_never_becomes_a_reserved_number() {
        for (xid, next) in [
            (1, 2),
            (i32::MAX - 1, i32::MAX),
            (i32::MAX, 1),
            (0, 1),
            (-4, 1),
            (i32::MIN, 1),
        ] {
            assert_eq!(Xid(xid).next(), Xid(next));
        }
    }

    #[test]
    fn password_keeps_null_apart_from_empty() {
        let empty = Password::from_slice(b"").unwrap();
        assert_ne!(empty, Password::NULL);
        assert_eq!(empty.as_bytes(), Password::NULL.as_bytes());
        assert_eq!(Password::EMPTY, Password::from([0; 16]));
        assert_eq!(Password::from_slice(&[7; 32]).unwrap().as_bytes(), [7; 32]);
        assert_eq!(Password::from_slice(&[7; 33]), None);
    }

    #[test]
    fn debug_shows_numbers_in_hexadecimal_and_no_password() {
        assert_eq!(format!("{:?}", Zxid(255)), "Zxid(0xff)");
        assert_eq!(
            format!("{:?} {}", SessionId(-1), SessionId(16)),
            "SessionId(0xffffffffffffffff) 0x10"
        );
        assert_eq!(
            format!("{:?}", Password::from(*b"0123456789abcdef")),
            "Password(..)"
        );
    }
}
