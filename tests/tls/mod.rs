//! TLS between clients and servers: on every handler, with and without certificates of clients, and
//! what is said where it is set up wrong.
//!
//! Each test has authorities, certificates and servers of its own. `suite` is mounted on top of TLS
//! by `on_tls`.

pub(crate) mod authority;
mod everyday;
mod reload;
mod wrong;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use authority::{Authority, Folder, HERE, Identity};
use zk::threads::ThreadsHandler;
use zk::{Builder, Client, Handler};
use zk_server::{Acceptor, Certificates};
use zk_testkit::{ClientAuth, Cluster, Options};
use zk_tls::{Tls, TlsBuilder};

use crate::support::Place;

const LIMIT: Duration = Duration::from_secs(30);

/// A server with a port for clients with TLS, and one for those without.
struct TlsServer {
    running: Running,
    _folder: Folder,
}

enum Running {
    Real(Cluster),
    Embedded(zk_server::Server),
}

impl TlsServer {
    /// One that shows this certificate, and wants certificates of this authority.
    fn start(place: Place, own: &Identity, clients: &Authority, auth: ClientAuth) -> Self {
        let folder = Folder::new();
        let running = match place {
            Place::Real(version) => {
                let store = format!("{}{}", own.key, own.certificate);
                let tls = zk_testkit::Tls {
                    key_store: folder.write("server.pem", &store),
                    trust_store: folder.write("clients.pem", clients.pem()),
                    client_auth: auth,
                };
                Running::Real(Cluster::start(version, &Options::new().tls(tls)).unwrap())
            }
            Place::Simulated(_) | Place::Secured(_) => panic!("these tests start servers"),
            Place::Embedded(release) => {
                let mut acceptor = Acceptor::from_pem(&own.certificate, &own.key);
                match auth {
                    ClientAuth::Need => acceptor.client_ca_pem(clients.pem()),
                    ClientAuth::Want => acceptor
                        .client_ca_pem(clients.pem())
                        .client_certificates(Certificates::Wanted),
                    _ => &mut acceptor,
                };
                let builder = zk_server::Server::builder()
                    .quiet()
                    .with(|options| options.release(release))
                    .tls(acceptor.build().unwrap());
                Running::Embedded(builder.start().unwrap())
            }
        };
        Self {
            running,
            _folder: folder,
        }
    }

    /// Where it serves clients with TLS.
    fn secure(&self) -> SocketAddr {
        match &self.running {
            Running::Real(cluster) => cluster.secure_address(0),
            Running::Embedded(server) => server.secure_addr().unwrap(),
        }
    }

    /// Where it serves clients without.
    fn plain(&self) -> SocketAddr {
        match &self.running {
            Running::Real(cluster) => cluster.address(0),
            Running::Embedded(server) => server.local_addr(),
        }
    }
}

/// Options that trust this authority.
fn trusting(authority: &Authority) -> TlsBuilder {
    let mut builder = Tls::builder();
    builder.ca_pem(authority.pem());
    builder
}

fn shows(builder: &mut TlsBuilder, identity: &Identity) {
    builder.certificate_pem(&identity.certificate, &identity.key);
}

/// A builder of clients at this address.
fn at(address: SocketAddr, tls: &Tls) -> Builder {
    let mut builder = Client::builder(address.to_string());
    builder.session_timeout(LIMIT).tls(tls.clone());
    builder
}

fn threads() -> Arc<dyn Handler> {
    Arc::new(ThreadsHandler::new())
}

fn connect(builder: &Builder, handler: Arc<dyn Handler>) -> Client {
    builder.connect(handler).limit(LIMIT).wait().unwrap()
}

/// Drops the connection, and waits until there is another.
fn lose_connection(client: &Client) {
    let lost = zk::testing::lose_connection(client);
    lost.timeout(LIMIT).wait().unwrap();
    client.sync("/").wait().unwrap();
}

/// Each test, once for each server.
macro_rules! tls {
    ($($module:ident :: $test:ident),* $(,)?) => {
        mod on_zk_server {
            $(#[test]
            fn $test() {
                super::$module::$test(zk_server::Release::V3_9.into());
            })*
        }
        mod on_3_8 {
            $(#[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn $test() {
                super::$module::$test(zk_testkit::Version::V3_8.into());
            })*
        }
        mod on_3_9 {
            $(#[test]
            #[ignore = "needs a real ZooKeeper: cargo xtask test"]
            fn $test() {
                super::$module::$test(zk_testkit::Version::V3_9.into());
            })*
        }
    };
}

tls! {
    everyday::every_handler_speaks_tls,
    everyday::a_client_shows_its_certificate,
    everyday::large_data_passes_in_both_versions,
    everyday::sessions_of_tls_are_resumed,
    reload::a_renewed_certificate_is_shown_from_the_next_connection_on,
    wrong::a_plain_client_at_the_port_for_tls,
    wrong::a_client_with_tls_at_the_plain_port,
    wrong::a_certificate_that_has_expired,
    wrong::a_certificate_for_another_name,
    wrong::a_certificate_of_an_unknown_authority,
    wrong::a_client_without_the_certificate_that_is_wanted,
    wrong::a_client_with_a_certificate_that_is_not_taken,
}
