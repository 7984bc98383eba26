//! Where the suite runs: on a real server of some version, or on `zk-server` in this process.
//!
//! Each place is one server that all tests share. It starts with the first test that needs it, and
//! ends with the process.

use std::fmt;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use zk_server::{Release, Server, Settings};
use zk_testkit::{Cluster, Options, Version, four_letter};

/// The tick of the standing servers: sessions time out after 1 to 40 s.
const TICK: Duration = Duration::from_millis(500);

/// How often containers and nodes with a time to live are looked for.
const REAP: Duration = Duration::from_millis(500);

/// Which server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// A real one, in a Java process.
    Real(Version),
    /// Ours, which behaves as this release does.
    Embedded(Release),
}

impl From<Version> for Place {
    fn from(version: Version) -> Self {
        Self::Real(version)
    }
}

impl From<Release> for Place {
    fn from(release: Release) -> Self {
        Self::Embedded(release)
    }
}

impl Place {
    /// Does it behave as version 3.9 or newer?
    pub(crate) fn is_3_9(self) -> bool {
        match self {
            Self::Real(version) => version >= Version::V3_9,
            Self::Embedded(release) => release >= Release::V3_9,
        }
    }

    /// The server, which is started if need be.
    pub(crate) fn standing(self) -> &'static Standing {
        static SERVERS: [OnceLock<Standing>; 4] = [const { OnceLock::new() }; 4];
        let at = usize::from(self.is_3_9()) + 2 * usize::from(matches!(self, Self::Real(_)));
        SERVERS[at].get_or_init(|| self.start())
    }

    fn start(self) -> Standing {
        let server = match self {
            Self::Real(version) => {
                let options = Options::new()
                    .tick(TICK)
                    .java(&format!(
                        "-Dznode.container.checkIntervalMs={}",
                        REAP.as_millis()
                    ))
                    .java("-Dzookeeper.enforceQuota=true");
                Kind::Real(Cluster::start(version, &options).unwrap())
            }
            Self::Embedded(release) => Kind::Embedded(
                Server::builder()
                    .quiet()
                    .with(|options| {
                        options
                            .release(release)
                            .tick(TICK)
                            .max_session_timeout(TICK * 80)
                            .reap_interval(REAP)
                            .settings(Settings {
                                enforce_quota: true,
                                ..Settings::default()
                            })
                            .super_user("super", "superpw")
                            .whitelist("*")
                    })
                    .start()
                    .unwrap(),
            ),
        };
        let address = match &server {
            Kind::Real(cluster) => cluster.address(0),
            Kind::Embedded(server) => server.local_addr(),
        };
        let srvr = four_letter(address, "srvr").unwrap();
        let release = srvr
            .split_once("version: ")
            .and_then(|(_, rest)| rest.split(['-', ',']).next())
            .unwrap()
            .to_owned();
        Standing {
            _server: server,
            address,
            release,
        }
    }
}

/// A server that all tests share.
#[derive(Debug)]
pub(crate) struct Standing {
    _server: Kind,
    address: SocketAddr,
    release: String,
}

#[derive(Debug)]
enum Kind {
    Real(Cluster),
    Embedded(Server),
}

impl Standing {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its exact release, such as `3.9.3`.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// Its answer to a four-letter word, asked on a plain socket.
    pub(crate) fn word(&self, word: &str) -> String {
        four_letter(self.address, word).unwrap()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real(_) => f.write_str("ZooKeeper"),
            Self::Embedded(_) => f.write_str("zk-server as"),
        }
    }
}
