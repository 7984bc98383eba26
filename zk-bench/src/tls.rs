//! TLS between the stub and its clients: an authority for one run, whose certificate is in a file.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use zk_tls::server::Acceptor;
use zk_tls::{Tls, TlsBuilder};

use crate::error::Error;

/// What the certificate of the stub is for.
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// TLS of a server that an authority vouches for, whose certificate is written to this file.
pub(crate) fn acceptor(authority: &Path) -> Result<Acceptor, Error> {
    let (own, certificate, key) = issue().map_err(failed)?;
    std::fs::write(authority, own).map_err(Error::io("write the authority's certificate"))?;
    Acceptor::from_pem(certificate, key).build().map_err(failed)
}

/// TLS of a client that trusts the authority in this file.
pub(crate) fn trusting(authority: &Path) -> TlsBuilder {
    let mut builder = Tls::builder();
    builder.ca_file(authority);
    builder
}

/// The same, ready.
pub(crate) fn client(builder: &TlsBuilder) -> Result<Tls, Error> {
    builder.build().map_err(failed)
}

/// An authority, a certificate of it and its key, all in PEM.
fn issue() -> Result<(String, String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate()?;
    let own = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let names = NAMES.map(str::to_owned).to_vec();
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    Ok((own, certificate.pem(), key.serialize_pem()))
}

fn failed(error: impl std::error::Error) -> Error {
    Error::Program {
        program: "TLS".to_owned(),
        why: error.to_string(),
    }
}

/// A file for the certificate of an authority, which goes with this value.
pub(crate) struct AuthorityFile(PathBuf);

impl AuthorityFile {
    pub(crate) fn new() -> Self {
        let name = format!("zk-bench-{}.pem", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// For a command line.
    pub(crate) fn argument(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for AuthorityFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}
