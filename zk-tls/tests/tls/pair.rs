//! [`Pair`]: a client and a server in memory, and the bytes on their way.

use std::sync::OnceLock;

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use zk_proto::ServerAddr;
use zk_session::{Layer, LayerError, LayerFactory};
use zk_tls::rustls;
use zk_tls::server::{Acceptor, Connection};
use zk_tls::{Tls, Version};

/// So many, or as many as `PROPTEST_CASES` says.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let asked = std::env::var("PROPTEST_CASES").is_ok();
    ProptestConfig {
        cases: if asked { default.cases } else { cases },
        failure_persistence: None,
        ..default
    }
}

/// A certificate and its key, in PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// An authority, and a certificate of it for `zk`.
pub(crate) fn authority() -> &'static (String, Identity) {
    static MADE: OnceLock<(String, Identity)> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["zk".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        let key = key.serialize_pem();
        (ca, Identity { certificate, key })
    })
}

/// How a connection is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetUp {
    pub(crate) version: Version,
    /// The client has a certificate, too.
    pub(crate) mutual: bool,
}

impl SetUp {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        let version = prop_oneof![Just(Version::V1_2), Just(Version::V1_3)];
        (version, any::<bool>()).prop_map(|(version, mutual)| Self { version, mutual })
    }

    pub(crate) fn tls(self) -> Tls {
        let (ca, own) = authority();
        let mut tls = Tls::builder();
        tls.ca_pem(ca);
        tls.min_version(self.version).max_version(self.version);
        if self.mutual {
            tls.certificate_pem(&own.certificate, &own.key);
        }
        tls.build().unwrap()
    }

    pub(crate) fn acceptor(self) -> Acceptor {
        let (ca, own) = authority();
        let mut acceptor = Acceptor::from_pem(&own.certificate, &own.key);
        if self.mutual {
            acceptor.client_ca_pem(ca);
        }
        acceptor.build().unwrap()
    }
}

/// One way.
#[derive(Default)]
pub(crate) struct Way {
    /// On the way.
    pub(crate) wire: Vec<u8>,
    /// What was said, and what of it was heard.
    pub(crate) said: Vec<u8>,
    pub(crate) heard: Vec<u8>,
}

pub(crate) struct Pair {
    pub(crate) client: Box<dyn Layer>,
    pub(crate) server: Connection,
    pub(crate) up: Way,
    pub(crate) down: Way,
}

impl Pair {
    pub(crate) fn new(set_up: SetUp) -> Self {
        Self::of(&set_up.tls(), &set_up.acceptor())
    }

    pub(crate) fn of(tls: &Tls, acceptor: &Acceptor) -> Self {
        let mut pair = Self {
            client: tls.layer(&ServerAddr::new("zk", 2281)).unwrap(),
            server: acceptor.accept().unwrap(),
            up: Way::default(),
            down: Way::default(),
        };
        pair.client.flush(&mut pair.up.wire);
        pair
    }

    /// So many bytes arrive at the server.
    pub(crate) fn up(&mut self, count: usize) -> Result<(), rustls::Error> {
        let count = count.min(self.up.wire.len());
        let bytes: Vec<u8> = self.up.wire.drain(..count).collect();
        let (heard, reply) = (&mut self.up.heard, &mut self.down.wire);
        self.server.decode(&bytes, heard, reply)
    }

    /// So many bytes arrive at the client.
    pub(crate) fn down(&mut self, count: usize) -> Result<(), LayerError> {
        let count = count.min(self.down.wire.len());
        let bytes: Vec<u8> = self.down.wire.drain(..count).collect();
        let (heard, reply) = (&mut self.down.heard, &mut self.up.wire);
        let result = self.client.decode(&bytes, heard, reply);
        self.client.flush(&mut self.up.wire);
        result
    }

    /// Everything arrives, until there is nothing on the way.
    pub(crate) fn settle(&mut self) {
        while !self.up.wire.is_empty() || !self.down.wire.is_empty() {
            self.up(usize::MAX).unwrap();
            self.down(usize::MAX).unwrap();
        }
    }

    pub(crate) fn client_says(&mut self, plain: &[u8]) {
        self.client.encode(plain, &mut self.up.wire).unwrap();
        self.up.said.extend_from_slice(plain);
    }

    pub(crate) fn server_says(&mut self, plain: &[u8]) {
        self.server.encode(plain, &mut self.down.wire).unwrap();
        self.down.said.extend_from_slice(plain);
    }
}
