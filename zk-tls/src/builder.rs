//! [`TlsBuilder`]: the options of a client's TLS.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};

use crate::pem::{self, Password};
use crate::provider::{Basics, Version};
use crate::source::Source;
use crate::stamp::Stamp;
use crate::trust::{add_authorities, add_system_roots, unusable};
use crate::verify::{Check, verifier};
use crate::{Tls, TlsError};

/// How many servers are remembered for resumption, unless told otherwise.
const REMEMBERED: usize = 256;

/// The options of a client's TLS. Each has a default.
#[derive(Clone, Debug)]
#[must_use = "nothing is set up until `build`"]
pub struct TlsBuilder {
    options: Options,
    name: Option<String>,
}

/// What a configuration is made of, over and over as files change.
#[derive(Clone)]
pub(crate) struct Options {
    basics: Basics,
    authorities: Vec<Source>,
    system_roots: bool,
    identity: Option<(Source, Source)>,
    password: Option<Password>,
    check: Check,
    sends_name: bool,
    remembered: usize,
    reloads: bool,
}

impl TlsBuilder {
    pub(crate) fn new() -> Self {
        Self {
            options: Options {
                basics: Basics::default(),
                authorities: Vec::new(),
                system_roots: false,
                identity: None,
                password: None,
                check: Check::default(),
                sends_name: true,
                remembered: REMEMBERED,
                reloads: true,
            },
            name: None,
        }
    }

    /// Trusts the authorities in this PEM file (kazoo: `ca`), and not those of the system. Can be
    /// given several times. A certificate that a server signed for itself is its own authority.
    pub fn ca_file(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.options.authorities.push(Source::File(path.into()));
        self
    }

    /// The same, with PEM instead of a file.
    pub fn ca_pem(&mut self, pem: impl AsRef<[u8]>) -> &mut Self {
        self.options.authorities.push(Source::bytes(pem));
        self
    }

    /// Trusts the system's authorities besides those that are named, as kazoo does. They are trusted
    /// in any case if none is named.
    pub fn system_roots(&mut self) -> &mut Self {
        self.options.system_roots = true;
        self
    }

    /// The certificate to show to servers that ask for one, with those between it and its authority,
    /// and its private key (kazoo: `certfile`, `keyfile`): PEM files, which may be the same. The
    /// key is PKCS#8, PKCS#1 or SEC1. Default none.
    pub fn certificate_files(
        &mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> &mut Self {
        let (certificate, key) = (certificate.into(), key.into());
        self.options.identity = Some((Source::File(certificate), Source::File(key)));
        self
    }

    /// The same, with PEM instead of files.
    pub fn certificate_pem(
        &mut self,
        certificate: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> &mut Self {
        self.options.identity = Some((Source::bytes(certificate), Source::bytes(key)));
        self
    }

    /// The password of an encrypted key (kazoo: `keyfile_password`): PKCS#8 with PBES2, which is what
    /// `openssl pkcs8 -topk8` makes. Needs the feature `encrypted-keys`, a default.
    pub fn key_password(&mut self, password: impl AsRef<[u8]>) -> &mut Self {
        self.options.password = Some(Password(password.as_ref().to_vec()));
        self
    }

    /// The name that servers must have in their certificates, and that they are asked for, instead of
    /// the host that a client connects to: where that is an address, or one of the network's own.
    pub fn server_name(&mut self, name: impl Into<String>) -> &mut Self {
        self.name = Some(name.into());
        self
    }

    /// Does not tell the server by which name it is connected to (SNI). An IP address is never told.
    pub fn without_sni(&mut self) -> &mut Self {
        self.options.sends_name = false;
        self
    }

    /// The lowest version to speak. Default 1.2.
    pub fn min_version(&mut self, version: Version) -> &mut Self {
        self.options.basics.lowest = version;
        self
    }

    /// The highest version to speak. Default 1.3.
    pub fn max_version(&mut self, version: Version) -> &mut Self {
        self.options.basics.highest = version;
        self
    }

    /// How many servers are remembered, to resume TLS sessions with them. Default 256; with 0
    /// every handshake is a full one.
    pub fn resumption(&mut self, servers: usize) -> &mut Self {
        self.options.remembered = servers;
        self
    }

    /// Reads files again only when [`Tls::reload`] is called, instead of whenever they have changed.
    pub fn reload_by_hand(&mut self) -> &mut Self {
        self.options.reloads = false;
        self
    }

    /// Who does the cryptography. Default: `ring`, or `aws-lc-rs` where only that feature is on.
    pub fn crypto_provider(&mut self, provider: Arc<CryptoProvider>) -> &mut Self {
        self.options.basics.provider = Some(provider);
        self
    }

    /// Who tells the time, by which certificates are valid or not. Default: the system.
    pub fn time_provider(&mut self, time: Arc<dyn TimeProvider>) -> &mut Self {
        self.options.basics.time = time;
        self
    }

    /// Takes certificates of trusted authorities whatever name is in them, as kazoo does unless
    /// `check_hostname` is set. **Whoever has a certificate of these authorities can be the server**:
    /// use it only with an authority of your own that vouches for nobody but servers of this kind.
    pub fn danger_accept_any_name(&mut self) -> &mut Self {
        self.options.check = self.options.check.max(Check::AllButName);
        self
    }

    /// Takes any certificate, as kazoo does without `verify_certs`. **Whoever is on the way can be
    /// the server**, read everything, and change it: this is no better than no TLS.
    pub fn danger_accept_any_certificate(&mut self) -> &mut Self {
        self.options.check = Check::Nothing;
        self
    }

    /// Reads the files, and looks whether all is of use together.
    ///
    /// # Errors
    /// Every variant of [`TlsError`].
    pub fn build(&self) -> Result<Tls, TlsError> {
        let name = match &self.name {
            None => None,
            Some(name) => Some(ServerName::try_from(name.clone()).map_err(|_| {
                let name = name.clone();
                TlsError::BadName { name }
            })?),
        };
        Tls::new(self.options.clone(), name)
    }
}

impl Options {
    /// Reads all there is to read.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = self.basics.provider()?;
        let verifier = verifier(self.check, self.roots()?, &provider)?;
        let builder = ClientConfig::builder_with_details(provider, Arc::clone(&self.basics.time))
            .with_protocol_versions(&self.basics.versions())
            .map_err(|_| TlsError::NoVersion)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = pem::certificates(certificate)?;
                let private = pem::key(key, self.password.as_ref())?;
                let built = builder.with_client_auth_cert(chain, private);
                built.map_err(|error| unusable(error, certificate, key))?
            }
        };
        config.enable_sni = self.sends_name;
        config.resumption = match self.remembered {
            0 => Resumption::disabled(),
            servers => Resumption::in_memory_sessions(servers),
        };
        Ok(Arc::new(config))
    }

    /// The authorities that are trusted.
    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if self.check == Check::Nothing {
            return Ok(roots);
        }
        for source in &self.authorities {
            add_authorities(&mut roots, source)?;
        }
        if self.system_roots || self.authorities.is_empty() {
            add_system_roots(&mut roots)?;
        }
        Ok(roots)
    }

    /// What all files are like at the moment.
    pub(crate) fn stamps(&self) -> Vec<Option<Stamp>> {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        let sources = self.authorities.iter().chain(identity);
        sources.map(Stamp::of).collect()
    }

    pub(crate) fn reloads(&self) -> bool {
        self.reloads
    }
}

/// Without key and password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("authorities", &self.authorities)
            .field("system_roots", &self.system_roots)
            .field("identity", &self.identity)
            .field("check", &self.check)
            .field("sends_name", &self.sends_name)
            .field("lowest", &self.basics.lowest)
            .field("highest", &self.basics.highest)
            .finish_non_exhaustive()
    }
}
