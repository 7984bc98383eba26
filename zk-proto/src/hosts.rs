//! Connect strings: `zk1:2181,zk2,[::1]:2183/app`.

use std::{fmt, net::Ipv6Addr, sync::Arc};

use crate::{Chroot, PathError};

/// The address of a server, its name not resolved.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerAddr {
    host: Arc<str>,
    port: u16,
}

impl ServerAddr {
    /// The port of servers that name none.
    pub const DEFAULT_PORT: u16 = 2181;

    /// The address of a host name or IP address. An IPv6 address is without brackets.
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: Arc::from(host.to_lowercase()),
            port,
        }
    }

    /// The name or IP address, in lower case and without brackets.
    #[inline]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[inline]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ServerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What is wrong with a connect string.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HostsError {
    /// Nothing between two commas, or no server at all.
    #[error("a server has no name; write host:port, and commas only between servers")]
    EmptyHost,
    /// The port is not a number from 1 to 65535.
    #[error("{entry:?} has no valid port; write a number from 1 to 65535, or leave out the colon")]
    BadPort {
        /// The server, as it was written.
        entry: String,
    },
    /// An opening bracket without a closing one, or the reverse.
    #[error("{entry:?} lacks a bracket; write an IPv6 address as [address]:port")]
    MissingBracket {
        /// The server, as it was written.
        entry: String,
    },
    /// What is between brackets is not an IPv6 address.
    #[error("{entry:?} is not an IPv6 address between brackets; names need no brackets")]
    BadIpv6 {
        /// The server, as it was written.
        entry: String,
    },
    /// An IPv6 address without brackets, whose end could be a port.
    #[error(
        "{entry:?} could be an IPv6 address with or without a port; write it as [address]:port"
    )]
    BareIpv6 {
        /// The server, as it was written.
        entry: String,
    },
    /// A space or another character that no host name has.
    #[error("{entry:?} has a {character:?} in its name; separate servers by commas")]
    BadHost {
        /// The server, as it was written.
        entry: String,
        /// The character.
        character: char,
    },
    /// The part from the first slash on is not a path.
    #[error("the path after the servers is not valid")]
    Chroot(#[from] PathError),
}

/// Parses a connect string: servers between commas, then, from the first slash on, the path that all
/// paths are relative to.
///
/// The port defaults to 2181, spaces around servers are dropped, names become lower case, and an
/// IPv6 address stands in brackets. Spaces at the end of the path are dropped as well, unless a slash
/// follows them.
///
/// ```
/// let (servers, chroot) = zk_proto::parse_hosts("zk1:2182, [::1]/app")?;
/// assert_eq!(servers[0].to_string(), "zk1:2182");
/// assert_eq!(servers[1].to_string(), "[::1]:2181");
/// assert_eq!(chroot.as_str(), "/app");
/// # Ok::<(), zk_proto::HostsError>(())
/// ```
///
/// # Errors
/// Every variant of [`HostsError`], for the first mistake.
pub fn parse_hosts(hosts: &str) -> Result<(Vec<ServerAddr>, Chroot), HostsError> {
    let (servers, path) = hosts.split_at(hosts.find('/').unwrap_or(hosts.len()));
    let chroot = Chroot::parse(path.trim())?;
    let servers = servers
        .split(',')
        .map(parse_server)
        .collect::<Result<_, _>>()?;
    Ok((servers, chroot))
}

pub(crate) fn parse_server(entry: &str) -> Result<ServerAddr, HostsError> {
    let entry = entry.trim();
    let named = || entry.to_owned();
    let (host, port) = match entry.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest
                .split_once(']')
                .ok_or_else(|| HostsError::MissingBracket { entry: named() })?;
            // A zone such as %eth0 is for the resolver to judge.
            if host
                .split('%')
                .next()
                .unwrap_or_default()
                .parse::<Ipv6Addr>()
                .is_err()
            {
                return Err(HostsError::BadIpv6 { entry: named() });
            }
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(HostsError::BadPort { entry: named() }),
            }
        }
        None => match entry.split_once(':') {
            Some((_, rest)) if rest.contains(']') => {
                return Err(HostsError::MissingBracket { entry: named() });
            }
            Some((_, rest)) if rest.contains(':') => {
                return Err(HostsError::BareIpv6 { entry: named() });
            }
            Some((host, port)) => (host, Some(port)),
            None => (entry, None),
        },
    };
    let host = host.trim();
    if host.is_empty() {
        return Err(HostsError::EmptyHost);
    }
    if let Some(character) = host
        .chars()
        .find(|c| c.is_whitespace() || c.is_control() || "[]".contains(*c))
    {
        return Err(match character {
            '[' | ']' => HostsError::MissingBracket { entry: named() },
            character => HostsError::BadHost {
                entry: named(),
                character,
            },
        });
    }
    let port = match port.map(str::trim) {
        None => Some(ServerAddr::DEFAULT_PORT),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok(),
        Some(_) => None,
    };
    match port {
        Some(port @ 1..) => Ok(ServerAddr::new(host, port)),
        _ => Err(HostsError::BadPort { entry: named() }),
    }
}

#[cfg(test)]
mod tests;
