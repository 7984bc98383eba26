//! Access control lists (ZooKeeper Programmer's Guide, ZooKeeper access control using ACLs).

use std::{borrow::Cow, fmt, net::IpAddr, ops::BitOr};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

use crate::{DecodeError, Reader, put_int, put_len, put_text};

/// What an entry of an access control list permits. `CREATE` and `DELETE` are about children.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Perms(pub i32);

impl Perms {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Read the data and list the children.
    pub const READ: Self = Self(1);
    /// Replace the data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Replace the access control list.
    pub const ADMIN: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);

    /// Whether all of `other` is permitted.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is a bit that means nothing.
    #[inline]
    pub const fn has_unknown_bits(self) -> bool {
        self.0 & !Self::ALL.0 != 0
    }

    /// The names of the permissions: `ALL` alone, or those given in the order `READ`, `WRITE`,
    /// `CREATE`, `DELETE`, `ADMIN`.
    pub fn names(self) -> Vec<&'static str> {
        if self.contains(Self::ALL) {
            return vec!["ALL"];
        }
        [
            (Self::READ, "READ"),
            (Self::WRITE, "WRITE"),
            (Self::CREATE, "CREATE"),
            (Self::DELETE, "DELETE"),
            (Self::ADMIN, "ADMIN"),
        ]
        .into_iter()
        .filter_map(|(perms, name)| self.contains(perms).then_some(name))
        .collect()
    }
}

impl BitOr for Perms {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Perms({self})")
    }
}

impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names().as_slice() {
            [] if !self.has_unknown_bits() => f.write_str("NONE"),
            _ if self.has_unknown_bits() => write!(f, "{:#x}", self.0),
            names => f.write_str(&names.join("|")),
        }
    }
}

/// Whom an entry of an access control list is about: an identity within a scheme.
///
/// `Debug` does not show the hash of a password, as servers do not to whom the node is not theirs.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Id {
    /// How the identity is established: `world`, `auth`, `digest`, `ip`, `sasl`, `x509` or another.
    pub scheme: Cow<'static, str>,
    /// The identity, as the scheme writes it.
    pub id: Cow<'static, str>,
}

impl Id {
    /// Everybody.
    pub const ANYONE: Self = Self {
        scheme: Cow::Borrowed("world"),
        id: Cow::Borrowed("anyone"),
    };
    /// Whoever is authenticated on the connection; servers put those identities in its place.
    pub const AUTH: Self = Self {
        scheme: Cow::Borrowed("auth"),
        id: Cow::Borrowed(""),
    };

    /// An identity within a scheme.
    pub fn new(scheme: impl Into<Cow<'static, str>>, id: impl Into<Cow<'static, str>>) -> Self {
        Self {
            scheme: scheme.into(),
            id: id.into(),
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.scheme, self.id.split_once(':')) {
            ("digest", Some((user, _))) => write!(f, "Id(digest:{user}:x)"),
            (scheme, _) => write!(f, "Id({scheme}:{})", self.id),
        }
    }
}

/// One entry of an access control list: who may do what.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Acl {
    /// What is permitted.
    pub perms: Perms,
    /// To whom.
    pub id: Id,
}

impl Acl {
    /// The fewest bytes that an entry takes.
    pub(crate) const LEAST_LEN: usize = 12;
    /// Everything to everybody.
    const OPEN_UNSAFE: [Self; 1] = [Self {
        perms: Perms::ALL,
        id: Id::ANYONE,
    }];
    const CREATOR_ALL: [Self; 1] = [Self {
        perms: Perms::ALL,
        id: Id::AUTH,
    }];
    const READ_UNSAFE: [Self; 1] = [Self {
        perms: Perms::READ,
        id: Id::ANYONE,
    }];

    /// An entry for an identity within a scheme.
    pub fn new(
        perms: Perms,
        scheme: impl Into<Cow<'static, str>>,
        id: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            perms,
            id: Id::new(scheme, id),
        }
    }

    /// An entry for whoever presents this name and password as `digest` credential.
    pub fn digest(user: &str, password: &str, perms: Perms) -> Self {
        Self::new(perms, "digest", make_digest_acl_credential(user, password))
    }

    /// The list that permits everything to everybody.
    pub fn open_unsafe() -> Vec<Self> {
        Self::OPEN_UNSAFE.to_vec()
    }

    /// The list that permits everything to whoever is authenticated on the creating connection.
    pub fn creator_all() -> Vec<Self> {
        Self::CREATOR_ALL.to_vec()
    }

    /// The list that permits everybody to read.
    pub fn read_unsafe() -> Vec<Self> {
        Self::READ_UNSAFE.to_vec()
    }

    /// [`open_unsafe`](Self::open_unsafe), without an allocation.
    pub fn open_unsafe_ref() -> &'static [Self] {
        const { &Self::OPEN_UNSAFE }
    }

    /// [`creator_all`](Self::creator_all), without an allocation.
    pub fn creator_all_ref() -> &'static [Self] {
        const { &Self::CREATOR_ALL }
    }

    /// [`read_unsafe`](Self::read_unsafe), without an allocation.
    pub fn read_unsafe_ref() -> &'static [Self] {
        const { &Self::READ_UNSAFE }
    }

    /// Appends it.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_int(out, self.perms.0);
        put_text(out, &self.id.scheme);
        put_text(out, &self.id.id);
    }

    /// Reads it.
    ///
    /// # Errors
    /// Any [`DecodeError`] of [`Reader::text`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let perms = Perms(reader.int("ACL permissions")?);
        let scheme = reader.text("ACL scheme")?;
        let id = reader.text("ACL id")?;
        if perms == Perms::ALL && scheme == "world" && id == "anyone" {
            return Ok(Self {
                perms,
                id: Id::ANYONE,
            });
        }
        Ok(Self::new(perms, scheme.into_owned(), id.into_owned()))
    }

    pub(crate) fn encode_list(list: &[Self], out: &mut Vec<u8>) {
        put_len(out, list.len());
        for acl in list {
            acl.encode(out);
        }
    }

    /// Null reads as empty: servers answer InvalidACL to both.
    pub(crate) fn decode_list(reader: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let count = reader.vector_len("ACL", Self::LEAST_LEN)?;
        (0..count).map(|_| Self::decode(reader)).collect()
    }
}

/// The identity that a `digest` credential gives: the name, a colon, and the base64 of the SHA-1 of
/// `user:password` (`DigestAuthenticationProvider.generateDigest` of the Java server).
///
/// ```
/// assert_eq!(
///     zk_proto::make_digest_acl_credential("bob", "secret"),
///     "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=",
/// );
/// ```
pub fn make_digest_acl_credential(user: &str, password: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(user);
    hash.update(":");
    hash.update(password);
    let mut credential = format!("{user}:");
    STANDARD.encode_string(hash.finalize(), &mut credential);
    credential
}

/// What is wrong with an access control list; servers answer InvalidACL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AclError {
    /// The list has no entry.
    #[error("the access control list is empty")]
    Empty,
    /// A permission that does not exist.
    #[error("there are no permissions {0}")]
    UnknownPermissions(Perms),
    /// The identity of the scheme `world` is `anyone`.
    #[error("the only identity of scheme world is \"anyone\"")]
    World,
    /// The identity of the scheme `digest` is `user:hash`, with one colon.
    #[error("an identity of scheme digest is user:hash, with exactly one colon")]
    Digest,
    /// The identity of the scheme `ip` is an address, with a number of bits or without.
    #[error("{0:?} is not an address or address/bits")]
    Ip(String),
}

/// Checks what every server checks, so that the mistake is found where it is made.
///
/// Schemes that this crate does not know pass: the server may.
///
/// # Errors
/// Every variant of [`AclError`], for the first entry that is not valid.
pub fn validate_acl(list: &[Acl]) -> Result<(), AclError> {
    if list.is_empty() {
        return Err(AclError::Empty);
    }
    list.iter().try_for_each(
        |Acl {
             perms,
             id: Id { scheme, id },
         }| {
            if perms.has_unknown_bits() {
                return Err(AclError::UnknownPermissions(*perms));
            }
            match scheme.as_ref() {
                "world" if id != "anyone" => Err(AclError::World),
                "digest" if id.matches(':').count() != 1 => Err(AclError::Digest),
                "ip" if !is_address(id) => Err(AclError::Ip(id.to_string())),
                _ => Ok(()),
            }
        },
    )
}

fn is_address(id: &str) -> bool {
    let (address, bits) = id
        .split_once('/')
        .map_or((id, None), |(a, bits)| (a, Some(bits)));
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
}

#[cfg(test)]
mod tests;
