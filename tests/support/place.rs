//! Where the suite runs: on a real server of some version, on `zk-server` in this process, or on
//! `zk-server` in a universe of the simulator.
//!
//! On TCP a place is one server that all tests share. It starts with the first test that needs it,
//! and ends with the process. A universe is there for one test only.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use zk::Handler;
use zk_server::{Release, Settings};
use zk_testkit::{Cluster, Options, SASL_USERS, Sasl, Version, four_letter};
use zk_tls::Tls;

use super::proxy::{Proxy, SimProxy};
use super::strangers::{self, SimStranger, Stranger};
use super::universe::Universe;
use crate::tls::authority::{Authority, HERE};

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
    /// The same, with TLS between it and the clients under test.
    Secured(Release),
    /// Ours, on a simulated machine.
    Simulated(Release),
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
            Self::Embedded(release) | Self::Secured(release) | Self::Simulated(release) => {
                release >= Release::V3_9
            }
        }
    }

    /// The server, which is started if need be. The name is that of the test.
    pub(crate) fn server(self, name: &str) -> Server {
        static REAL: [OnceLock<Arc<Standing>>; 2] = [const { OnceLock::new() }; 2];
        static EMBEDDED: [OnceLock<Arc<Standing>>; 2] = [const { OnceLock::new() }; 2];
        static SECURED: [OnceLock<Arc<Standing>>; 2] = [const { OnceLock::new() }; 2];
        let at = usize::from(self.is_3_9());
        let standing = match self {
            Self::Real(version) => REAL[at].get_or_init(|| Arc::new(Standing::real(version))),
            Self::Embedded(release) => {
                EMBEDDED[at].get_or_init(|| Arc::new(Standing::embedded(release)))
            }
            Self::Secured(release) => {
                SECURED[at].get_or_init(|| Arc::new(Standing::secured(release)))
            }
            Self::Simulated(release) => {
                return Server::Simulated(Universe::start(name, options(release)));
            }
        };
        Server::Standing(Arc::clone(standing))
    }

    /// Where a server like this one listens that takes nobody who has not signed in by SASL.
    pub(crate) fn sasl_server(self, server: &Server) -> SocketAddr {
        static REAL: [OnceLock<Standing>; 2] = [const { OnceLock::new() }; 2];
        static EMBEDDED: [OnceLock<Standing>; 2] = [const { OnceLock::new() }; 2];
        let at = usize::from(self.is_3_9());
        match (self, server) {
            (Self::Real(version), _) => {
                let options = Options::new().tick(TICK).sasl_digest(Sasl::Required);
                let start = || Standing::cluster(version, &options);
                REAL[at].get_or_init(start).address
            }
            (Self::Embedded(release), _) => {
                let start = || Standing::serving(sasl_options(release));
                EMBEDDED[at].get_or_init(start).address
            }
            (Self::Simulated(release), Server::Simulated(universe)) => {
                universe.call(move |sim, number| {
                    let address = Universe::new_address(number);
                    sim.standalone(&address.to_string(), sasl_options(release));
                    address
                })
            }
            (Self::Secured(_), _) => panic!("signing in is tried without TLS"),
            (Self::Simulated(_), Server::Standing(_)) => unreachable!("it is in a universe"),
        }
    }
}

/// Those of one that takes nobody who has not signed in.
fn sasl_options(release: Release) -> zk_server::Options {
    let users = Arc::new(zk_server::DigestMd5::new(SASL_USERS));
    options(release).sasl(users).enforce_scheme("sasl")
}

/// The options of our own server.
fn options(release: Release) -> zk_server::Options {
    zk_server::Options::new()
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
}

/// A running server, and what else a test may ask for where it runs.
pub(crate) enum Server {
    Standing(Arc<Standing>),
    Simulated(Arc<Universe>),
}

impl Server {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Standing(standing) => standing.address,
            Self::Simulated(universe) => universe.address(),
        }
    }

    /// Where it listens for the clients under test.
    pub(crate) fn client_address(&self) -> SocketAddr {
        match self {
            Self::Standing(standing) => match &standing.secure {
                Some((address, _)) => *address,
                None => standing.address,
            },
            Self::Simulated(_) => self.address(),
        }
    }

    /// What the clients under test have between them and it.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Standing(standing) => standing.secure.as_ref().map(|(_, tls)| tls),
            Self::Simulated(_) => None,
        }
    }

    /// Its answer to a four-letter word, asked without a client.
    pub(crate) fn word(&self, word: &str) -> String {
        match self {
            Self::Standing(standing) => four_letter(standing.address, word).unwrap(),
            Self::Simulated(universe) => universe.word(word),
        }
    }

    /// A handler for clients on a simulated machine.
    pub(crate) fn simulated_handler(&self) -> Arc<dyn Handler> {
        match self {
            Self::Simulated(universe) => universe.handler(),
            Self::Standing(_) => unreachable!("only a universe has one"),
        }
    }

    /// Its exact release, such as `3.9.3`.
    pub(crate) fn release(&self) -> String {
        let srvr = self.word("srvr");
        let version = srvr.split_once("version: ");
        let release = version.and_then(|(_, rest)| rest.split(['-', ',']).next());
        release.unwrap().to_owned()
    }

    /// Another way to it.
    pub(crate) fn proxy(&self) -> Proxy {
        match self {
            Self::Standing(standing) => {
                let address = standing.secure.as_ref().map(|(address, _)| *address);
                let address = address.unwrap_or(standing.address);
                Proxy::Tcp(zk_testkit::Proxy::start(address).unwrap())
            }
            Self::Simulated(universe) => Proxy::Simulated(SimProxy::start(universe)),
        }
    }

    /// An address where something else listens.
    pub(crate) fn stranger(&self, kind: Stranger) -> SocketAddr {
        match self {
            Self::Standing(_) => kind.listen(),
            Self::Simulated(universe) => universe.call(move |sim, number| {
                let address = Universe::new_address(number);
                sim.server(&address.to_string(), SimStranger::new(kind));
                address
            }),
        }
    }

    /// A port of its host where nobody listens.
    pub(crate) fn nobody(&self) -> SocketAddr {
        match self {
            Self::Standing(_) => strangers::nobody(),
            Self::Simulated(universe) => SocketAddr::new(universe.address().ip(), 1),
        }
    }
}

/// A server that all tests share.
#[derive(Debug)]
pub(crate) struct Standing {
    _server: Kind,
    address: SocketAddr,
    secure: Option<(SocketAddr, Tls)>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "kept running")]
enum Kind {
    Real(Cluster),
    Embedded(zk_server::Server),
}

impl Standing {
    fn real(version: Version) -> Self {
        let reap = format!("-Dznode.container.checkIntervalMs={}", REAP.as_millis());
        let options = Options::new()
            .tick(TICK)
            .java(&reap)
            .java("-Dzookeeper.enforceQuota=true");
        Self::cluster(version, &options)
    }

    fn cluster(version: Version, options: &Options) -> Self {
        let cluster = Cluster::start(version, options).unwrap();
        Self {
            address: cluster.address(0),
            secure: None,
            _server: Kind::Real(cluster),
        }
    }

    fn embedded(release: Release) -> Self {
        Self::serving(options(release))
    }

    fn serving(options: zk_server::Options) -> Self {
        let server = zk_server::Server::builder()
            .quiet()
            .with(|_| options)
            .start()
            .unwrap();
        Self {
            address: server.local_addr(),
            secure: None,
            _server: Kind::Embedded(server),
        }
    }

    fn secured(release: Release) -> Self {
        let authority = Authority::new("servers");
        let own = authority.issue("server", &HERE);
        let acceptor = zk_server::Acceptor::from_pem(&own.certificate, &own.key);
        let server = zk_server::Server::builder()
            .quiet()
            .with(|_| options(release))
            .tls(acceptor.build().unwrap())
            .start()
            .unwrap();
        let tls = Tls::builder().ca_pem(authority.pem()).build().unwrap();
        Self {
            address: server.local_addr(),
            secure: Some((server.secure_addr().unwrap(), tls)),
            _server: Kind::Embedded(server),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real(_) => f.write_str("ZooKeeper"),
            Self::Embedded(_) => f.write_str("zk-server as"),
            Self::Secured(_) => f.write_str("zk-server behind TLS as"),
            Self::Simulated(_) => f.write_str("a simulated zk-server as"),
        }
    }
}
