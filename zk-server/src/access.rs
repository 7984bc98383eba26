//! Who may do what (ZooKeeper Programmer's Guide, ZooKeeper access control using ACLs).

use std::{
    borrow::Cow,
    collections::{HashSet, hash_map::DefaultHasher},
    hash::BuildHasherDefault,
    net::IpAddr,
};

use zk_proto::{Acl, ErrorCode, Id, Perms, SessionId};

use crate::Settings;

/// Who asks.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the server fills it in for each request, and must not forget anything"
)]
pub struct Caller<'a> {
    /// The session.
    pub session: SessionId,
    /// The identities of the connection, its address among them. One of the scheme `super` may do
    /// everything.
    pub ids: &'a [Id],
    /// What the session is to the leader.
    pub standing: Standing,
}

/// What a session is to the leader.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a session is known everywhere, on one server, or not at all"
)]
pub enum Standing {
    /// It is known to all members.
    #[default]
    Global,
    /// It is known to the server that it is connected to alone, and owns no ephemeral nodes.
    Local,
    /// It has expired or was closed: nothing is written for it.
    Gone,
}

impl Caller<'_> {
    /// Whether a node with this list lets the caller do one of `perms`. An empty list forbids
    /// nothing (`ZooKeeperServer.checkACL`).
    pub fn may(&self, acl: &[Acl], perms: Perms) -> bool {
        acl.is_empty()
            || acl
                .iter()
                .any(|entry| entry.perms.0 & perms.0 != 0 && self.is(&entry.id))
            || self.is_super()
    }

    pub(crate) fn check(&self, acl: &[Acl], perms: Perms) -> Result<(), ErrorCode> {
        if self.may(acl, perms) {
            Ok(())
        } else {
            Err(ErrorCode::NO_AUTH)
        }
    }

    fn is_super(&self) -> bool {
        self.ids.iter().any(|id| id.scheme == "super")
    }

    fn is(&self, wanted: &Id) -> bool {
        *wanted == Id::ANYONE
            || self
                .ids
                .iter()
                .any(|mine| mine.scheme == wanted.scheme && matches(mine, wanted))
    }
}

/// Whether an identity is the one that an access control list names. Both have the same scheme.
fn matches(mine: &Id, wanted: &Id) -> bool {
    match &*wanted.scheme {
        "ip" => Network::parse(&wanted.id)
            .is_some_and(|network| mine.id.parse().is_ok_and(|addr| network.contains(addr))),
        "sasl" => mine.id == "super" || mine.id == wanted.id,
        _ => mine.id == wanted.id,
    }
}

/// The list that a node gets when a client asks for `acl` (`PrepRequestProcessor.fixupACL`): without
/// duplicates, and with the identities of the caller in place of `auth`. Borrowed if that is `acl`.
///
/// # Errors
/// [`ErrorCode::INVALID_ACL`].
pub(crate) fn fix_acl<'a>(
    acl: &'a [Acl],
    caller: &Caller<'_>,
    settings: &Settings,
) -> Result<Cow<'a, [Acl]>, ErrorCode> {
    if acl.is_empty() {
        return Err(ErrorCode::INVALID_ACL);
    }
    let mut seen = HashSet::<_, BuildHasherDefault<DefaultHasher>>::default();
    let mut changed = false;
    if acl.len() > 1 {
        changed = !acl.iter().all(|entry| seen.insert(entry));
        seen.clear();
    }
    for Acl { id, .. } in acl {
        changed |= id.scheme == "auth";
        if !is_valid(id, settings) {
            return Err(ErrorCode::INVALID_ACL);
        }
    }
    if !changed {
        return Ok(Cow::Borrowed(acl));
    }
    let mut fixed = Vec::with_capacity(acl.len());
    for entry in acl.iter().filter(|entry| seen.insert(entry)) {
        if entry.id.scheme != "auth" {
            fixed.push(entry.clone());
            continue;
        }
        let before = fixed.len();
        let mine = caller.ids.iter().filter(|id| is_authenticated(id));
        fixed.extend(mine.map(|id| Acl {
            perms: entry.perms,
            id: id.clone(),
        }));
        if fixed.len() == before {
            return Err(ErrorCode::INVALID_ACL);
        }
    }
    Ok(Cow::Owned(fixed))
}

/// Whether the identity was proven; an address is not.
fn is_authenticated(id: &Id) -> bool {
    matches!(&*id.scheme, "digest" | "sasl" | "x509")
}

fn is_valid(Id { scheme, id }: &Id, settings: &Settings) -> bool {
    match &**scheme {
        "world" => id == "anyone",
        "auth" => true,
        // As Java splits: nothing counts that is empty at the end.
        "digest" => id.trim_end_matches(':').matches(':').count() == 1,
        "ip" => Network::parse(id).is_some(),
        "sasl" => settings.sasl && is_principal(id),
        "x509" => settings.x509 && is_distinguished_name(id),
        _ => false,
    }
}

/// Whether it is a name, or `name[/host]@realm` (`KerberosName`).
fn is_principal(id: &str) -> bool {
    id.split_once('@')
        .is_none_or(|(name, realm)| name.matches('/').count() <= 1 && !realm.contains(['/', '@']))
}

/// Whether the JDK takes it for the name in a certificate (`X500Principal`): values of known types.
fn is_distinguished_name(id: &str) -> bool {
    const TYPES: &str = "CN C L S ST O OU T IP STREET DC DNQUALIFIER DNQ SURNAME GIVENNAME INITIALS \
                         GENERATION EMAIL EMAILADDRESS UID SERIALNUMBER";
    let is_number = |kind: &str| {
        let parts = kind.split('.');
        parts.clone().count() > 1 && parts.into_iter().all(|part| part.parse::<u64>().is_ok())
    };
    let (mut is_escaped, mut is_quoted) = (false, false);
    let mut parts = id.split(|c| {
        let is_plain = !std::mem::take(&mut is_escaped);
        is_escaped = is_plain && c == '\\';
        is_quoted ^= is_plain && c == '"';
        is_plain && !is_quoted && matches!(c, ',' | ';' | '+')
    });
    id.is_empty()
        || parts.all(|part| {
            part.split_once('=').is_some_and(|(kind, _)| {
                let kind = kind.trim().to_ascii_uppercase();
                let number = kind.strip_prefix("OID.").unwrap_or(&kind);
                TYPES.split_ascii_whitespace().any(|known| known == kind) || is_number(number)
            })
        })
}

/// A list as others see it who may not replace it: without the hashes of passwords.
pub(crate) fn masked(id: &Id) -> Option<&str> {
    let (user, _) = (id.scheme == "digest").then(|| id.id.split_once(':'))??;
    Some(user)
}

/// An address, or all addresses that begin with the same bits.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most)?,
            None => most,
        };
        Some(Self { address, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differing = ours.to_bits() ^ theirs.to_bits();
                differing.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests;
