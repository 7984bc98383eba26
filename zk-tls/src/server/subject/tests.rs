use proptest::collection::vec;
use proptest::prelude::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

use super::*;

/// A certificate in DER whose subject has these.
fn certificate(parts: &[(DnType, DnValue)]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind.clone(), value.clone());
    }
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn text(value: &str) -> DnValue {
    DnValue::Utf8String(value.to_owned())
}

fn of(parts: &[(DnType, DnValue)]) -> String {
    subject(&certificate(parts)).unwrap()
}

#[test]
fn the_last_name_comes_first() {
    let parts = [
        (DnType::CountryName, text("DE")),
        (DnType::StateOrProvinceName, text("Berlin")),
        (DnType::LocalityName, text("Mitte")),
        (DnType::OrganizationName, text("Example Org")),
        (DnType::OrganizationalUnitName, text("zk")),
        (DnType::CommonName, text("client")),
    ];
    let expected = "CN=client,OU=zk,O=Example Org,L=Mitte,ST=Berlin,C=DE";
    assert_eq!(of(&parts), expected);
    assert_eq!(of(&[]), "");
}

#[test]
fn what_has_a_meaning_is_escaped() {
    for (value, expected) in [
        (
            "a,b=c+d<e>f#g;h\"i\\j",
            "a\\,b\\=c\\+d\\<e\\>f\\#g\\;h\\\"i\\\\j",
        ),
        ("  two  ", "\\ \\ two\\ \\ "),
        ("in the middle", "in the middle"),
        ("   ", "\\ \\ \\ "),
        ("a\0b", "a\\00b"),
        ("müller 日本", "müller 日本"),
        ("", ""),
    ] {
        let parts = [(DnType::CommonName, text(value))];
        assert_eq!(of(&parts), format!("CN={expected}"));
    }
}

#[test]
fn other_types_are_told_by_number() {
    let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
    let user = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
    let domain = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
    let street = DnType::CustomDnType(vec![2, 5, 4, 9]);
    let serial = DnType::CustomDnType(vec![2, 5, 4, 5]);
    let parts = [
        (domain, DnValue::Ia5String("example".try_into().unwrap())),
        (street, text("Main")),
        (user, text("al")),
        (serial, text("7")),
        (email, DnValue::Ia5String("a@b".try_into().unwrap())),
    ];
    let expected = "1.2.840.113549.1.9.1=#1603614062,2.5.4.5=#0c0137,UID=al,STREET=Main,DC=example";
    assert_eq!(of(&parts), expected);
}

#[test]
fn several_values_of_one_level_are_joined() {
    // OU=a + CN=b, by hand: rcgen makes levels of one value.
    let attribute = |kind: u8, value: u8| [0x30, 8, 6, 3, 0x55, 4, kind, 0x0c, 1, value];
    let mut level = vec![SET, 20];
    level.extend(attribute(11, b'a'));
    level.extend(attribute(3, b'b'));
    assert_eq!(name(&level).as_deref(), Some("OU=a+CN=b"));
}

#[test]
fn numbers_have_any_size() {
    assert_eq!(dotted(&[0x55, 4, 3]).as_deref(), Some("2.5.4.3"));
    assert_eq!(dotted(&[0x88, 0x37, 3]).as_deref(), Some("2.999.3"));
    assert_eq!(dotted(&[]), None);
    assert_eq!(dotted(&[0x55, 0x84]), None, "the last byte is missing");
    assert_eq!(dotted(&[0xff; 12]), None);
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in vec(any::<u8>(), 0..200)) {
        let _ = (subject(&bytes), name(&bytes), dotted(&bytes));
    }

    #[test]
    fn nor_is_a_certificate_that_was_changed(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = certificate(&[(DnType::CommonName, text("a"))]);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = subject(&bytes);
        bytes.truncate(at);
        prop_assert_eq!(subject(&bytes), None);
    }
}
