use super::*;

#[test]
fn each_permission_has_its_bit_and_name() {
    for (perms, bits, names) in [
        (Perms::READ, 1, &["READ"][..]),
        (Perms::WRITE, 2, &["WRITE"]),
        (Perms::CREATE, 4, &["CREATE"]),
        (Perms::DELETE, 8, &["DELETE"]),
        (Perms::ADMIN, 16, &["ADMIN"]),
        (Perms::ALL, 31, &["ALL"]),
        (Perms::NONE, 0, &[]),
        (Perms::ADMIN | Perms::READ, 17, &["READ", "ADMIN"]),
        (
            Perms::DELETE | Perms::CREATE | Perms::WRITE,
            14,
            &["WRITE", "CREATE", "DELETE"],
        ),
    ] {
        assert_eq!(perms.0, bits);
        assert_eq!(perms.names(), names);
        assert!(Perms::ALL.contains(perms) && !perms.has_unknown_bits());
    }
    assert!(!Perms::READ.contains(Perms::READ | Perms::WRITE));
    assert!(Perms(32).has_unknown_bits() && Perms(-1).has_unknown_bits());
}

#[test]
fn debug_shows_the_names() {
    assert_eq!(
        format!("{:?}", Perms::READ | Perms::ADMIN),
        "Perms(READ|ADMIN)"
    );
    assert_eq!(
        format!("{} {} {}", Perms::ALL, Perms::NONE, Perms(32)),
        "ALL NONE 0x20"
    );
    let acl = Acl::new(Perms::READ | Perms::WRITE, "ip", "10.0.0.1");
    assert!(format!("{acl:?}").contains("READ|WRITE"));
}

#[test]
fn common_lists_have_one_entry() {
    for (list, perms, scheme, id) in [
        (Acl::open_unsafe(), Perms::ALL, "world", "anyone"),
        (Acl::creator_all(), Perms::ALL, "auth", ""),
        (Acl::read_unsafe(), Perms::READ, "world", "anyone"),
    ] {
        assert_eq!(list, [Acl::new(perms, scheme, id)]);
    }
    assert_eq!(Acl::open_unsafe_ref(), Acl::open_unsafe());
    assert_eq!(Acl::creator_all_ref(), Acl::creator_all());
    assert_eq!(Acl::read_unsafe_ref(), Acl::read_unsafe());
}

#[test]
fn digest_credentials_are_those_of_servers() {
    for (user, password, credential) in [
        ("bob", "secret", "bob:fyVmFCwVbTJYrznoSu1koqYEYF0="),
        ("super", "adminsecret", "super:GcMT0ijsx21yLyTWAWMqFV/azZE="),
    ] {
        assert_eq!(make_digest_acl_credential(user, password), credential);
        assert_eq!(
            Acl::digest(user, password, Perms::READ),
            Acl::new(Perms::READ, "digest", credential)
        );
    }
}

#[test]
fn lists_are_checked_as_servers_do() {
    let ip = |id: &str| Err(AclError::Ip(id.to_owned()));
    for (scheme, id, expected) in [
        ("world", "anyone", Ok(())),
        ("world", "someone", Err(AclError::World)),
        ("auth", "", Ok(())),
        ("auth", "ignored", Ok(())),
        ("digest", "bob:hash=", Ok(())),
        ("digest", "bob", Err(AclError::Digest)),
        ("digest", "bob:a:b", Err(AclError::Digest)),
        ("digest", "", Err(AclError::Digest)),
        ("ip", "127.0.0.1", Ok(())),
        ("ip", "10.0.0.0/8", Ok(())),
        ("ip", "::1", Ok(())),
        ("ip", "fe80::/10", Ok(())),
        ("ip", "10.0.0.0/33", ip("10.0.0.0/33")),
        ("ip", "fe80::/129", ip("fe80::/129")),
        ("ip", "10.0.0.0/", ip("10.0.0.0/")),
        ("ip", "10.0.0", ip("10.0.0")),
        ("ip", "localhost", ip("localhost")),
        ("sasl", "anything@REALM", Ok(())),
        ("x509", "CN=client,O=Example", Ok(())),
        ("plugin", "whatever", Ok(())),
    ] {
        let list = [Acl::new(Perms::READ, scheme, id)];
        assert_eq!(validate_acl(&list), expected, "{scheme}:{id}");
        let list = [Acl::open_unsafe(), list.to_vec()].concat();
        assert_eq!(
            validate_acl(&list),
            expected,
            "{scheme}:{id} as second entry"
        );
    }
    assert_eq!(validate_acl(&[]), Err(AclError::Empty));
    let unknown = [Acl::new(Perms(64), "world", "anyone")];
    assert_eq!(
        validate_acl(&unknown),
        Err(AclError::UnknownPermissions(Perms(64)))
    );
}

#[test]
fn everybody_is_decoded_without_an_allocation() {
    let mut out = Vec::new();
    Acl::encode_list(Acl::open_unsafe_ref(), &mut out);
    let bytes = bytes::Bytes::from(out);
    let list = Acl::decode_list(&mut Reader::new(&bytes)).unwrap();
    assert!(matches!(
        &list[..],
        [Acl {
            id: Id {
                scheme: Cow::Borrowed(_),
                id: Cow::Borrowed(_)
            },
            ..
        }]
    ));
}

#[test]
fn debug_shows_no_hashes_of_passwords() {
    let acl = Acl::digest("bob", "secret", Perms::ALL);
    assert_eq!(
        format!("{acl:?}"),
        "Acl { perms: Perms(ALL), id: Id(digest:bob:x) }"
    );
    assert_eq!(
        format!("{:?} {:?}", Id::ANYONE, Id::AUTH),
        "Id(world:anyone) Id(auth:)"
    );
}
