use super::*;

fn caller(ids: &[Id]) -> Caller<'_> {
    Caller {
        session: SessionId(1),
        ids,
        standing: Standing::Global,
    }
}

fn id(scheme: &'static str, id: &'static str) -> Id {
    Id::new(scheme, id)
}

fn fixed(acl: &[Acl], ids: &[Id]) -> Result<Vec<Acl>, ErrorCode> {
    fix_acl(acl, &caller(ids), &Settings::default()).map(Cow::into_owned)
}

#[test]
fn an_identity_matches_by_the_rule_of_its_scheme() {
    let bob = "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=";
    let cases = [
        (id("ip", "1.2.3.4"), id("world", "anyone"), true),
        (id("world", "x"), id("world", "x"), true),
        (id("digest", bob), id("digest", bob), true),
        (id("digest", bob), id("digest", "bob:x"), false),
        (id("sasl", bob), id("digest", bob), false),
        (id("sasl", "bob"), id("sasl", "bob"), true),
        (id("sasl", "super"), id("sasl", "bob"), true),
        (id("digest", "super:x"), id("digest", bob), false),
        (id("super", ""), id("digest", bob), true),
        (id("ip", "127.0.0.1"), id("ip", "127.0.0.1"), true),
        (id("ip", "127.0.0.1"), id("ip", "127.0.0.2"), false),
        (id("ip", "127.9.9.9"), id("ip", "127.0.0.0/8"), true),
        (id("ip", "128.0.0.1"), id("ip", "127.0.0.0/8"), false),
        (id("ip", "127.0.0.1"), id("ip", "127.0.0.1/32"), true),
        (id("ip", "127.0.0.0"), id("ip", "127.0.0.1/32"), false),
        (id("ip", "127.0.0.0"), id("ip", "127.0.0.1/31"), true),
        (id("ip", "9.9.9.9"), id("ip", "127.0.0.1/0"), true),
        (id("ip", "::1"), id("ip", "127.0.0.1/0"), false),
        (id("ip", "9.9.9.9"), id("ip", "::/0"), false),
        (id("ip", "2001:db8::5"), id("ip", "2001:db8::/32"), true),
        (id("ip", "2001:db9::5"), id("ip", "2001:db8::/32"), false),
        (id("ip", "::1"), id("ip", "::1"), true),
        (id("ip", "0:0:0:0:0:0:0:1"), id("ip", "::1/128"), true),
        (id("ip", "::2"), id("ip", "::1/0"), true),
        (id("ip", "nonsense"), id("ip", "::1/0"), false),
    ];
    for (mine, wanted, may) in cases {
        let acl = [Acl {
            perms: Perms::READ,
            id: wanted.clone(),
        }];
        let ids = [mine];
        assert_eq!(
            caller(&ids).may(&acl, Perms::READ),
            may,
            "{ids:?} {wanted:?}"
        );
    }
}

#[test]
fn one_shared_bit_is_enough() {
    let ids = [id("ip", "1.2.3.4")];
    let who = caller(&ids);
    let acl = [Acl::new(Perms::READ | Perms::CREATE, "world", "anyone")];
    assert!(who.may(&acl, Perms::READ) && who.may(&acl, Perms::CREATE));
    assert!(who.may(&acl, Perms::READ | Perms::ADMIN));
    assert!(!who.may(&acl, Perms::WRITE) && !who.may(&acl, Perms::ADMIN));
    assert!(who.may(&[], Perms::ADMIN), "an empty list forbids nothing");
    let two = [acl[0].clone(), Acl::new(Perms::WRITE, "ip", "1.2.3.4")];
    assert!(who.may(&two, Perms::WRITE));
    assert_eq!(who.check(&two, Perms::ADMIN), Err(ErrorCode::NO_AUTH));
    let ids = [id("super", "")];
    assert_eq!(caller(&ids).check(&two, Perms::ADMIN), Ok(()));
}

#[test]
fn a_list_is_fixed() {
    let open = Acl::open_unsafe();
    let read = Acl::read_unsafe();
    let twice = [open.clone(), open.clone(), read.clone()].concat();
    assert_eq!(
        fixed(&twice, &[]),
        Ok([open.clone(), read.clone()].concat())
    );

    let ids = [
        id("ip", "1.2.3.4"),
        id("digest", "bob:h"),
        id("super", ""),
        id("sasl", "eve"),
        id("x509", "CN=x"),
    ];
    let auth = [Acl::new(Perms::WRITE, "auth", "whatever")];
    let expected = [
        Acl::new(Perms::WRITE, "digest", "bob:h"),
        Acl::new(Perms::WRITE, "sasl", "eve"),
        Acl::new(Perms::WRITE, "x509", "CN=x"),
    ];
    assert_eq!(fixed(&auth, &ids), Ok(expected.to_vec()));
    let around = [read.clone(), auth.to_vec(), open.clone()].concat();
    let all = [read, expected.to_vec(), open].concat();
    assert_eq!(fixed(&around, &ids), Ok(all));
    let invalid = Err(ErrorCode::INVALID_ACL);
    assert_eq!(fixed(&auth, &ids[..1]), invalid, "an address is no proof");
    assert_eq!(fixed(&[], &ids), invalid);
}

#[test]
fn a_list_that_is_right_is_not_copied() {
    let acl = [Acl::read_unsafe(), Acl::open_unsafe()].concat();
    let fixed = fix_acl(&acl, &caller(&[]), &Settings::default());
    assert!(matches!(fixed, Ok(Cow::Borrowed(_))));
}

#[test]
fn what_is_not_an_identity_is_refused() {
    let sasl = Settings {
        sasl: true,
        ..Settings::default()
    };
    let cases = [
        ("world", "anyone", true),
        ("world", "someone", false),
        ("digest", "bob:hash", true),
        ("digest", "nocolon", false),
        ("digest", "a:b:c", false),
        ("ip", "10.0.0.1", true),
        ("ip", "10.0.0.1/24", true),
        ("ip", "10.0.0.1/0", true),
        ("ip", "10.0.0.1/33", false),
        ("ip", "10.0.0.1/-1", false),
        ("ip", "10.0.0.1/", false),
        ("ip", "10.1.2.333", false),
        ("ip", "10.1.2", false),
        ("ip", "host", false),
        ("ip", "::1/128", true),
        ("ip", "::1/129", false),
        ("sasl", "bob", true),
        ("sasl", "zk/host@REALM", true),
        ("sasl", "bob@REALM", true),
        ("sasl", "a/b/c@REALM", false),
        ("sasl", "bob@A@B", false),
        ("sasl", "bob@A/B", false),
        ("super", "", false),
        ("x509", "CN=x", false),
        ("bogus", "x", false),
    ];
    for (scheme, id, valid) in cases {
        let acl = [Acl::new(Perms::ALL, scheme, id)];
        let fixed = fix_acl(&acl, &caller(&[]), &sasl);
        assert_eq!(fixed.is_ok(), valid, "{scheme}:{id}");
    }
    let acl = [Acl::new(Perms::ALL, "sasl", "bob")];
    assert_eq!(
        fixed(&acl, &[]),
        Err(ErrorCode::INVALID_ACL),
        "unless told so"
    );
    // One that is wrong behind others that are right, and bits that mean nothing.
    let acl = [Acl::open_unsafe(), vec![Acl::new(Perms::ALL, "bogus", "x")]].concat();
    assert_eq!(fixed(&acl, &[]), Err(ErrorCode::INVALID_ACL));
    let acl = [Acl::new(Perms(0x7fff_ffff), "world", "anyone")];
    assert_eq!(fixed(&acl, &[]), Ok(acl.to_vec()));
}

#[test]
fn hashes_are_masked() {
    assert_eq!(masked(&id("digest", "bob:hash")), Some("bob"));
    assert_eq!(masked(&id("sasl", "bob:hash")), None);
    assert_eq!(masked(&id("world", "anyone")), None);
}

#[test]
fn names_of_certificates_are_valid_where_there_is_tls() {
    let secured = Settings {
        x509: true,
        ..Settings::default()
    };
    for (name, is_valid) in [
        ("CN=client,OU=zk,O=Example Org,C=DE", true),
        ("cn=a\\,b + ou = c; dc=d", true),
        ("CN=\"a, b\"", true),
        ("OID.2.5.4.3=a,1.2.840.113549.1.9.1=#1603614062", true),
        ("", true),
        ("client", false),
        ("CN=a,b", false),
        ("NOBODY=a", false),
        ("7=a", false),
        ("CN=a,,C=DE", false),
    ] {
        let acl = [Acl {
            perms: Perms::ALL,
            id: id("x509", name),
        }];
        let fixed = |settings| fix_acl(&acl, &caller(&[]), settings).is_ok();
        assert_eq!(fixed(&secured), is_valid, "{name:?}");
        assert!(!fixed(&Settings::default()), "{name:?}");
    }
    let ids = [id("ip", "127.0.0.1"), id("x509", "CN=client")];
    let auth = [Acl {
        perms: Perms::ALL,
        id: id("auth", ""),
    }];
    let fixed = fix_acl(&auth, &caller(&ids), &secured).unwrap();
    assert_eq!(fixed[0].id, ids[1]);
    assert!(caller(&ids).may(&fixed, Perms::WRITE));
    assert!(!caller(&ids[..1]).may(&fixed, Perms::WRITE));
}
