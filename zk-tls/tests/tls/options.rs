//! Options that are of no use are told at once, each in its own way.

use std::path::Path;
use std::sync::Arc;

use zk_proto::ServerAddr;
use zk_session::{LayerErrorKind, LayerFactory};
use zk_tls::rustls::pki_types::UnixTime;
use zk_tls::rustls::time_provider::TimeProvider;
use zk_tls::{Tls, TlsBuilder, TlsError, Version, rustls};

use crate::pair::{Pair, SetUp, authority};

fn file(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    std::fs::read_to_string(dir.join(name)).unwrap()
}

fn with(certificate: &str, key: &str) -> TlsBuilder {
    let mut tls = Tls::builder();
    tls.ca_pem(&authority().0);
    tls.certificate_pem(file(certificate), file(key));
    tls
}

#[test]
fn keys_of_every_format_are_read() {
    for (certificate, key) in [
        ("rsa.pem", "rsa-pkcs1.key"),
        ("rsa.pem", "rsa-pkcs8.key"),
        ("ec.pem", "ec-sec1.key"),
        ("ec.pem", "ec-pkcs8.key"),
    ] {
        with(certificate, key).build().unwrap();
        // A password that nothing needs does no harm.
        with(certificate, key)
            .key_password("secret")
            .build()
            .unwrap();
    }
    // Both in one file, in any order.
    let both = file("ec-pkcs8.key") + &file("ec.pem");
    let mut tls = Tls::builder();
    tls.ca_pem(&authority().0).certificate_pem(&both, &both);
    tls.build().unwrap();
}

#[test]
fn encrypted_keys_need_their_password() {
    for key in ["ec-encrypted.key", "ec-scrypt.key"] {
        with("ec.pem", key).key_password("secret").build().unwrap();
        let missing = with("ec.pem", key).build();
        assert!(matches!(missing, Err(TlsError::PasswordNeeded { .. })));
        let wrong = with("ec.pem", key).key_password("n0-b0dys").build();
        assert!(matches!(wrong, Err(TlsError::WrongPassword { .. })));
    }
    for key in ["ec-pbes1.key", "ec-traditional.key"] {
        let old = with("ec.pem", key).key_password("secret").build();
        let Err(error @ TlsError::UnsupportedEncryption { .. }) = old else {
            panic!("{old:?}");
        };
        assert!(error.to_string().contains("openssl pkcs8"));
    }
}

#[test]
fn what_does_not_belong_together_is_told() {
    let mismatch = with("ec.pem", "rsa-pkcs8.key").build();
    let is_told = matches!(
        mismatch,
        Err(TlsError::KeyMismatch { .. } | TlsError::UnusableCertificate { .. })
    );
    assert!(is_told, "{mismatch:?}");
    let no_key = with("ec.pem", "ec.pem").build();
    assert!(matches!(no_key, Err(TlsError::NoKey { .. })));
    let no_certificate = with("ec-sec1.key", "ec-sec1.key").build();
    assert!(matches!(
        no_certificate,
        Err(TlsError::NoCertificate { .. })
    ));
    let none = Tls::builder().ca_pem("").build();
    assert!(matches!(none, Err(TlsError::NoCertificate { .. })));
    let broken = Tls::builder()
        .ca_pem("-----BEGIN CERTIFICATE-----\n")
        .build();
    assert!(matches!(broken, Err(TlsError::Malformed { .. })));
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_authority = Tls::builder().ca_pem(text).build();
    assert!(matches!(no_authority, Err(TlsError::BadAuthority { .. })));
    let missing = Tls::builder().ca_file("no/such/file.pem").build();
    let Err(error @ TlsError::Unreadable { .. }) = missing else {
        panic!("{missing:?}");
    };
    assert!(error.to_string().contains("no/such/file.pem"));
    let name = Tls::builder()
        .ca_pem(&authority().0)
        .server_name("a b")
        .build();
    assert!(matches!(name, Err(TlsError::BadName { .. })));
    let mut versions = Tls::builder();
    versions.ca_pem(&authority().0);
    let none = versions
        .min_version(Version::V1_3)
        .max_version(Version::V1_2)
        .build();
    assert!(matches!(none, Err(TlsError::NoVersion)));
}

#[test]
fn a_host_that_no_certificate_can_name_is_told() {
    let tls = Tls::builder().ca_pem(&authority().0).build().unwrap();
    let error = tls
        .layer(&ServerAddr::new("under score", 2281))
        .err()
        .unwrap();
    assert_eq!(error.kind, LayerErrorKind::Unusable);
    for host in ["zk", "zk.example.com", "127.0.0.1", "::1"] {
        assert!(tls.layer(&ServerAddr::new(host, 2281)).is_ok(), "{host}");
    }
}

#[test]
fn no_secret_is_ever_printed() {
    let mut builder = with("ec.pem", "ec-encrypted.key");
    builder.key_password("n0-b0dys-bus1ness");
    let printed = format!("{builder:?}");
    assert!(
        !printed.contains("bus1ness") && !printed.contains("PRIVATE"),
        "{printed}"
    );
    let wrong = builder.build().unwrap_err();
    assert!(!format!("{wrong:?} {wrong}").contains("bus1ness"));
    builder.key_password("secret");
    let printed = format!("{:?}", builder.build().unwrap());
    assert!(
        !printed.contains("secret") && !printed.contains("PRIVATE"),
        "{printed}"
    );
}

#[derive(Debug)]
struct LongAgo;

impl TimeProvider for LongAgo {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::ZERO))
    }
}

#[test]
fn the_time_can_be_given() {
    let version = Version::V1_3;
    let mutual = false;
    let acceptor = SetUp { version, mutual }.acceptor();
    let mut tls = Tls::builder();
    tls.ca_pem(&authority().0).time_provider(Arc::new(LongAgo));
    let mut pair = Pair::of(&tls.build().unwrap(), &acceptor);
    pair.up(usize::MAX).unwrap();
    let error = pair.down(usize::MAX).unwrap_err();
    assert_eq!(error.kind, LayerErrorKind::NotYetValid, "{error}");
    // The server hears why.
    let told = pair.up(usize::MAX).unwrap_err();
    assert!(matches!(told, rustls::Error::AlertReceived(_)), "{told}");
}
