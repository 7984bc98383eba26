//! The other side, for servers: what `zk-server` speaks on its port.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{UnbufferedServerConnection, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{Error, HandshakeKind, RootCertStore, ServerConfig, pki_types};

use crate::TlsError;
use crate::pem::{self, Password};
use crate::provider::{Basics, Version};
use crate::records::Records;
use crate::source::Source;
use crate::trust::{add_authorities, unusable};

mod subject;

/// TLS for a server: makes a [`Connection`] for each that is accepted. Clones are the same.
#[derive(Clone)]
pub struct Acceptor(Arc<ServerConfig>);

/// The options of a server's TLS.
#[derive(Clone)]
#[must_use = "nothing is set up until `build`"]
pub struct AcceptorBuilder {
    basics: Basics,
    certificate: Source,
    key: Source,
    password: Option<Password>,
    authorities: Vec<Source>,
    certificates: Certificates,
}

/// Whether clients must have certificates.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Certificates {
    /// A client without one is refused. The default where authorities of clients are named.
    #[default]
    Required,
    /// A client is asked for one and may do without; what it shows must be good.
    Wanted,
}

impl Acceptor {
    /// A server that shows the certificate in this PEM file, with those between it and its
    /// authority; the private key is in the other file, which may be the same.
    pub fn from_files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> AcceptorBuilder {
        AcceptorBuilder::new(Source::File(certificate.into()), Source::File(key.into()))
    }

    /// The same, with PEM instead of files.
    pub fn from_pem(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> AcceptorBuilder {
        AcceptorBuilder::new(Source::bytes(certificate), Source::bytes(key))
    }

    /// A connection that was accepted.
    ///
    /// # Errors
    /// What rustls says.
    pub fn accept(&self) -> Result<Connection, Error> {
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.0))?;
        Ok(Connection(Records::new(connection)))
    }
}

impl AcceptorBuilder {
    fn new(certificate: Source, key: Source) -> Self {
        Self {
            basics: Basics::default(),
            certificate,
            key,
            password: None,
            authorities: Vec::new(),
            certificates: Certificates::default(),
        }
    }

    /// The password of an encrypted key.
    pub fn key_password(&mut self, password: impl AsRef<[u8]>) -> &mut Self {
        self.password = Some(Password(password.as_ref().to_vec()));
        self
    }

    /// Asks clients for certificates of the authorities in this PEM file. Can be given several times.
    pub fn client_ca_file(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.authorities.push(Source::File(path.into()));
        self
    }

    /// The same, with PEM instead of a file.
    pub fn client_ca_pem(&mut self, pem: impl AsRef<[u8]>) -> &mut Self {
        self.authorities.push(Source::bytes(pem));
        self
    }

    /// Whether clients must have certificates, where authorities for them are named.
    pub fn client_certificates(&mut self, certificates: Certificates) -> &mut Self {
        self.certificates = certificates;
        self
    }

    /// The lowest version to speak. Default 1.2.
    pub fn min_version(&mut self, version: Version) -> &mut Self {
        self.basics.lowest = version;
        self
    }

    /// The highest version to speak. Default 1.3.
    pub fn max_version(&mut self, version: Version) -> &mut Self {
        self.basics.highest = version;
        self
    }

    /// Who does the cryptography. Default: `ring`, or `aws-lc-rs` where only that feature is on.
    pub fn crypto_provider(&mut self, provider: Arc<CryptoProvider>) -> &mut Self {
        self.basics.provider = Some(provider);
        self
    }

    /// Who tells the time, by which certificates are valid or not. Default: the system.
    pub fn time_provider(&mut self, time: Arc<dyn TimeProvider>) -> &mut Self {
        self.basics.time = time;
        self
    }

    /// Reads the files, and looks whether all is of use together.
    ///
    /// # Errors
    /// Every variant of [`TlsError`] but those about names and the system's authorities.
    pub fn build(&self) -> Result<Acceptor, TlsError> {
        let provider = self.basics.provider()?;
        let time = Arc::clone(&self.basics.time);
        let builder = ServerConfig::builder_with_details(Arc::clone(&provider), time)
            .with_protocol_versions(&self.basics.versions())
            .map_err(|_| TlsError::NoVersion)?;
        let builder = if self.authorities.is_empty() {
            builder.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for source in &self.authorities {
                add_authorities(&mut roots, source)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match self.certificates {
                Certificates::Required => verifier,
                Certificates::Wanted => verifier.allow_unauthenticated(),
            };
            // The only other mistakes are in lists of what was revoked, and none was given.
            let verifier = verifier.build().map_err(|_| TlsError::NoAuthority)?;
            builder.with_client_cert_verifier(verifier)
        };
        let chain = pem::certificates(&self.certificate)?;
        let key = pem::key(&self.key, self.password.as_ref())?;
        let config = builder
            .with_single_cert(chain, key)
            .map_err(|error| unusable(error, &self.certificate, &self.key))?;
        Ok(Acceptor(Arc::new(config)))
    }
}

/// One connection of a server: bytes on the wire to bytes of the protocol and back.
pub struct Connection(Records<UnbufferedServerConnection>);

impl Connection {
    /// Is the handshake over?
    pub fn is_established(&self) -> bool {
        self.0.is_established()
    }

    /// Takes what arrived. Appends decoded bytes to `plain`, and answers of TLS itself to `reply`.
    ///
    /// # Errors
    /// The connection is over. `reply` has an alert that says so to the client, and `plain` what the
    /// client had said before.
    pub fn decode(
        &mut self,
        wire: &[u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.0.decode(wire, plain, reply)
    }

    /// Encodes, appending to `wire`.
    ///
    /// # Errors
    /// The connection is over, or its handshake is not.
    pub fn encode(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), Error> {
        self.0.encode(plain, wire)
    }

    /// Appends what tells the client that nothing more will come, if it can be told.
    pub fn close(&mut self, wire: &mut Vec<u8>) {
        // Before the handshake is over, and after a failure, the end says it all.
        let _ = self.0.close(wire);
    }

    /// Has the client said that it sends no more?
    pub fn peer_closed(&self) -> bool {
        self.0.peer_closed()
    }

    /// How the handshake went, once it is over.
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.0.handshake_kind()
    }

    /// Whom the certificate is for that the client has shown, and that was found good: its subject, as
    /// `X509AuthenticationProvider` of ZooKeeper's servers has it, such as
    /// `CN=client,OU=zk,O=Example Org,C=DE`. `None` without a certificate.
    pub fn client_subject(&self) -> Option<String> {
        subject::subject(self.client_certificates()?.first()?)
    }

    /// The certificate that the client has shown, with those between it and its authority.
    pub fn client_certificates(&self) -> Option<&[pki_types::CertificateDer<'static>]> {
        self.0.common().peer_certificates()
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

/// Without key and password.
impl fmt::Debug for AcceptorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptorBuilder")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .field("authorities", &self.authorities)
            .field("certificates", &self.certificates)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("is_established", &self.is_established())
            .finish_non_exhaustive()
    }
}
