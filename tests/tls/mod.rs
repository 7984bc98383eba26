//! TLS between clients and servers: on every handler, with and without certificates of clients, and
//! what is said where it is set up wrong.
//!
//! Each test has authorities, certificates and servers of its own. `suite` is mounted on top of TLS
//! by `on_tls`.

pub(crate) mod authority;
mod everyday;
mod identity;
mod in_memory;
mod parting;
mod reload;
mod resumption;
mod words;
mod wrong;

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use authority::{Authority, Folder, HERE, Identity};
use zk::threads::ThreadsHandler;
use zk::{Builder, Client, Handler};
use zk_handler_smol::SmolHandler;
use zk_handler_tokio::TokioHandler;
use zk_server::{Acceptor, Certificates};
use zk_testkit::{ClientAuth, Cluster, Options};
use zk_tls::{Tls, TlsBuilder};

use crate::support::{Place, wait_until};

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
                let cluster = Cluster::start(version, &Options::new().tls(tls)).unwrap();
                // A server opens this port after the other one, by which it was found to be up.
                let secure = cluster.secure_address(0);
                wait_until("the port for TLS", || TcpStream::connect(secure).is_ok());
                Running::Real(cluster)
            }
            Place::Simulated(_) | Place::Secured(_) => panic!("these tests start servers"),
            Place::Embedded(release) => {
                let mut acceptor = Acceptor::from_pem(&own.certificate, &own.key);
                match auth {
                    ClientAuth::Need => acceptor.client_ca_pem(clients.pem()),
                    ClientAuth::Want => acceptor
                        .client_ca_pem(clients.pem())
                        .client_certificates(Certificates::Wanted),
                    ClientAuth::None | _ => &mut acceptor,
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

/// One of each kind.
fn handlers() -> Vec<Arc<dyn Handler>> {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    });
    vec![
        threads(),
        Arc::new(TokioHandler::new(runtime.handle().clone())),
        Arc::new(SmolHandler::new()),
    ]
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
    identity::a_certificate_is_an_identity,
    identity::names_are_written_as_java_writes_them,
    reload::a_renewed_certificate_is_shown_from_the_next_connection_on,
    wrong::a_plain_client_at_the_port_for_tls,
    wrong::a_client_with_tls_at_the_plain_port,
    wrong::a_certificate_that_has_expired,
    wrong::a_certificate_for_another_name,
    wrong::a_certificate_of_an_unknown_authority,
    wrong::a_client_without_the_certificate_that_is_wanted,
    wrong::a_client_with_a_certificate_that_is_not_taken,
    resumption::sessions_of_tls_are_resumed,
    resumption::what_servers_give_to_be_remembered,
    words::a_word_at_the_wrong_port_is_told,
    words::words_are_answered_by_way_of_tls,
}
