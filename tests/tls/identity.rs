//! Who a client is by its certificate, on our server and on real ones.

use rcgen::DnType;
use zk::{Acl, Client, Error, Perms};
use zk_testkit::ClientAuth;
use zk_tls::Version;

use super::authority::Identity;
use super::{Authority, HERE, TlsServer, at, connect, lose_connection, shows, threads, trusting};
use crate::support::Place;

/// What the server knows the client by, but for its address.
fn known_as(client: &Client) -> Vec<String> {
    let known = client.who_am_i().wait().unwrap();
    let proven = known.iter().filter(|known| known.scheme != "ip");
    proven
        .map(|known| format!("{}:{}", known.scheme, known.user))
        .collect()
}

pub(super) fn a_certificate_is_an_identity(place: Place) {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let own = servers.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &clients, ClientAuth::Want);
    let client = |identity: Option<&Identity>, version| {
        let mut tls = trusting(&servers);
        if let Some(identity) = identity {
            shows(&mut tls, identity);
        }
        let tls = tls.max_version(version).build().unwrap();
        connect(&at(server.secure(), &tls), threads())
    };
    let (alice, bob) = (clients.issue("alice", &[]), clients.issue("bob", &[]));
    for (number, version) in [Version::V1_2, Version::V1_3].into_iter().enumerate() {
        let alices = client(Some(&alice), version);
        let bobs = client(Some(&bob), version);
        let nobodys = client(None, version);
        assert_eq!(known_as(&alices), ["x509:CN=alice"]);
        assert_eq!(known_as(&bobs), ["x509:CN=bob"]);
        assert_eq!(known_as(&nobodys), [""; 0]);

        let path = format!("/hers-{number}");
        let mut acl = vec![Acl::new(Perms::ALL, "x509", "CN=alice")];
        alices.create(&path, b"1").acl(&acl).wait().unwrap();
        assert_eq!(alices.get(&path).wait().unwrap().0, b"1");
        assert_eq!(bobs.get(&path).wait().unwrap_err(), Error::NoAuth);
        assert_eq!(nobodys.get(&path).wait().unwrap_err(), Error::NoAuth);
        acl.push(Acl::new(Perms::READ, "x509", "CN=bob"));
        alices.set_acls(&path, acl).wait().unwrap();
        assert_eq!(bobs.get(&path).wait().unwrap().0, b"1");
        // What belongs to whoever makes it belongs to the name in the certificate.
        let own = format!("{path}/own");
        let creator = [Acl::new(Perms::ALL, "auth", "")];
        alices.create(&own, b"2").acl(&creator).wait().unwrap();
        let (owner, _) = alices.get_acls(&own).wait().unwrap();
        assert_eq!(owner, [Acl::new(Perms::ALL, "x509", "CN=alice")]);
        let refused = nobodys.create("/nobodys", b"").acl(&creator).wait();
        assert_eq!(refused.unwrap_err(), Error::InvalidAcl);
        for wrong in ["alice", "NOBODY=alice"] {
            let acl = [Acl::new(Perms::ALL, "x509", wrong)];
            let refused = alices.create("/wrong", b"").acl(&acl).wait();
            assert_eq!(refused.unwrap_err(), Error::InvalidAcl, "{wrong}");
        }

        // It comes with every connection, also with one that resumes what TLS knew of another.
        lose_connection(&alices);
        assert_eq!(known_as(&alices), ["x509:CN=alice"]);
        assert_eq!(alices.get(&own).wait().unwrap().0, b"2");
        // The server looks at the certificate again, if it is asked to.
        alices.add_auth("x509", "").wait().unwrap();
        assert_eq!(known_as(&alices), ["x509:CN=alice"]);
        let refused = nobodys.add_auth("x509", "").wait();
        assert!(
            matches!(refused, Err(Error::AuthFailed { .. })),
            "{refused:?}"
        );
        for client in [alices, bobs, nobodys] {
            client.close().wait().unwrap();
        }
    }
}

pub(super) fn names_are_written_as_java_writes_them(place: Place) {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let own = servers.issue("server", &HERE);
    let server = TlsServer::start(place, &own, &clients, ClientAuth::Need);
    let custom = |numbers: &[u64]| DnType::CustomDnType(numbers.to_vec());
    let email = custom(&[1, 2, 840, 113_549, 1, 9, 1]);
    let (user, domain) = (
        custom(&[0, 9, 2342, 19_200_300, 100, 1, 1]),
        custom(&[0, 9, 2342, 19_200_300, 100, 1, 25]),
    );
    let (street, serial) = (custom(&[2, 5, 4, 9]), custom(&[2, 5, 4, 5]));
    let subjects: &[(&[(DnType, &str)], &str)] = &[
        (
            &[
                (DnType::CountryName, "DE"),
                (DnType::StateOrProvinceName, "Berlin"),
                (DnType::LocalityName, "Mitte"),
                (DnType::OrganizationName, "Example Org"),
                (DnType::OrganizationalUnitName, "zk"),
                (DnType::CommonName, "client"),
            ],
            "CN=client,OU=zk,O=Example Org,L=Mitte,ST=Berlin,C=DE",
        ),
        (
            &[(DnType::CommonName, "a,b=c+d<e>f#g;h\"i\\j")],
            "CN=a\\,b\\=c\\+d\\<e\\>f\\#g\\;h\\\"i\\\\j",
        ),
        (&[(DnType::CommonName, "  two  ")], "CN=\\ \\ two\\ \\ "),
        (&[(DnType::CommonName, "müller 日本")], "CN=müller 日本"),
        (
            &[
                (domain, "example"),
                (street, "Main St"),
                (user, "al"),
                (serial, "7"),
                (email, "a@b"),
            ],
            "1.2.840.113549.1.9.1=#0c03614062,2.5.4.5=#0c0137,UID=al,STREET=Main St,DC=example",
        ),
    ];
    for (subject, expected) in subjects {
        let mut tls = trusting(&servers);
        shows(&mut tls, &clients.issue_to(subject));
        let client = connect(&at(server.secure(), &tls.build().unwrap()), threads());
        assert_eq!(known_as(&client), [format!("x509:{expected}")]);
        // So it can be in a list.
        let acl = [Acl::new(Perms::ALL, "x509", *expected)];
        client.create("/named", b"1").acl(&acl).wait().unwrap();
        assert_eq!(client.get("/named").wait().unwrap().0, b"1");
        client.delete("/named").wait().unwrap();
        client.close().wait().unwrap();
    }
}
