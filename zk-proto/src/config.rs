//! The configuration of the ensemble, which `/zookeeper/config` holds (ZooKeeper Dynamic
//! Reconfiguration guide, Retrieving the current dynamic configuration).

use std::fmt;

use crate::{HostsError, ServerAddr, hosts};

/// The members of an ensemble and the version of this list.
///
/// ```
/// # use zk_proto::{EnsembleConfig, ServerAddr};
/// let config = EnsembleConfig::parse(
///     "server.1=zk1:2888:3888:participant;0.0.0.0:2181\nversion=100000000",
/// )?;
/// assert_eq!(config.version, 0x1_0000_0000);
/// assert_eq!(config.servers[0].client_address, Some(ServerAddr::new("zk1", 2181)));
/// # Ok::<(), zk_proto::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EnsembleConfig {
    /// The members, in the order of the text. None on a standalone server.
    pub servers: Vec<EnsembleServer>,
    /// Grows with each change: the transaction that made the last one. 0 if the text has none.
    pub version: i64,
}

/// A member of an ensemble.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnsembleServer {
    /// Its number.
    pub id: i64,
    /// The host that the other members reach it at; the first one if there are several.
    pub host: String,
    /// Whether it votes.
    pub role: ServerRole,
    /// The address for clients, which is absent unless the dynamic configuration names it. Without a
    /// host in the text, or with a wildcard address, it has the host above.
    pub client_address: Option<ServerAddr>,
    /// The address for clients with TLS, likewise.
    pub secure_client_address: Option<ServerAddr>,
}

/// The part that a member plays.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ServerRole {
    /// It votes.
    #[default]
    Participant,
    /// It does not.
    Observer,
}

/// Why a text is not the configuration of an ensemble.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A line for a member that does not say `server.<number>=<host>:<port>:<port>`.
    #[error("{line:?} does not describe a member")]
    BadServer {
        /// The line.
        line: String,
    },
    /// An address for clients that is none.
    #[error("{line:?} has no valid address for clients")]
    BadAddress {
        /// The line.
        line: String,
        /// What is wrong with it.
        source: HostsError,
    },
    /// A version that is not a hexadecimal number.
    #[error("{line:?} is not a version")]
    BadVersion {
        /// The line.
        line: String,
    },
}

impl EnsembleConfig {
    /// Parses the data of `/zookeeper/config`. Lines that are about neither members nor the version
    /// are left out, as those about groups and weights.
    ///
    /// # Errors
    /// Every variant of [`ConfigError`], for the first mistake.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for line in text.lines().map(str::trim) {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            if let Some(id) = key.trim().strip_prefix("server.") {
                config.servers.push(parse_member(line, id, value)?);
            } else if key.trim() == "version" {
                config.version =
                    i64::from_str_radix(value.trim(), 16).map_err(|_| ConfigError::BadVersion {
                        line: line.to_owned(),
                    })?;
            }
        }
        Ok(config)
    }
}

impl fmt::Display for ServerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Participant => "participant",
            Self::Observer => "observer",
        })
    }
}

/// `host:port:port[|host:port:port][:role][;client][;secure client]`
fn parse_member(line: &str, id: &str, value: &str) -> Result<EnsembleServer, ConfigError> {
    let bad = || ConfigError::BadServer {
        line: line.to_owned(),
    };
    let id = id.trim().parse().map_err(|_| bad())?;
    let mut parts = value.split(';').map(str::trim);
    let quorum = parts.next().unwrap_or_default();
    let (role, addresses) = match quorum.rsplit_once(':') {
        Some((addresses, "participant")) => (ServerRole::Participant, addresses),
        Some((addresses, "observer")) => (ServerRole::Observer, addresses),
        _ => (ServerRole::Participant, quorum),
    };
    let first = addresses.split('|').next().unwrap_or_default();
    let ports = first.rsplitn(3, ':').collect::<Vec<_>>();
    let [election, quorum, host] = ports[..] else {
        return Err(bad());
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty()
        || [quorum, election]
            .iter()
            .any(|port| port.parse::<u16>().is_err())
    {
        return Err(bad());
    }
    let mut client = || -> Result<Option<ServerAddr>, ConfigError> {
        parts
            .next()
            .filter(|text| !text.is_empty())
            .map(|text| client_address(line, text, host))
            .transpose()
    };
    Ok(EnsembleServer {
        id,
        host: host.to_owned(),
        role,
        client_address: client()?,
        secure_client_address: client()?,
    })
}

/// A port alone, or an address; a wildcard stands for the host of the member.
fn client_address(line: &str, text: &str, host: &str) -> Result<ServerAddr, ConfigError> {
    let bad = |source| ConfigError::BadAddress {
        line: line.to_owned(),
        source,
    };
    if let Ok(port @ 1..) = text.parse::<u16>() {
        return Ok(ServerAddr::new(host, port));
    }
    let address = hosts::parse_server(text).map_err(bad)?;
    Ok(match address.host() {
        "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0" => ServerAddr::new(host, address.port()),
        _ => address,
    })
}

#[cfg(test)]
mod tests;
