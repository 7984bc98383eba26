use super::*;

fn servers(hosts: &str) -> Vec<String> {
    parse_hosts(hosts)
        .unwrap()
        .0
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn servers_and_chroots() {
    for (hosts, expected, chroot) in [
        ("127.0.0.1:2181", &["127.0.0.1:2181"][..], ""),
        ("127.0.0.1", &["127.0.0.1:2181"], ""),
        (
            "h1:2181,h2,[::1]:2183/app/a",
            &["h1:2181", "h2:2181", "[::1]:2183"],
            "/app/a",
        ),
        ("h1/", &["h1:2181"], ""),
        ("h1//app//a/", &["h1:2181"], "/app/a"),
        (" h1 : 2182 , h2 /app ", &["h1:2182", "h2:2181"], "/app"),
        ("ZK1.Example.COM:2181", &["zk1.example.com:2181"], ""),
        ("[::1]", &["[::1]:2181"], ""),
        ("[FE80::1%eth0]:1", &["[fe80::1%eth0]:1"], ""),
        (
            "[132:254:32:fe::1]:2181,[132:254:32:fe::2]:2181/a",
            &["[132:254:32:fe::1]:2181", "[132:254:32:fe::2]:2181"],
            "/a",
        ),
        ("h1:65535", &["h1:65535"], ""),
        ("h1,h1", &["h1:2181", "h1:2181"], ""),
    ] {
        assert_eq!(servers(hosts), expected, "{hosts:?}");
        assert_eq!(parse_hosts(hosts).unwrap().1.as_str(), chroot, "{hosts:?}");
    }
}

#[test]
fn mistakes_are_named() {
    let entry = |entry: &str| entry.to_owned();
    let bad_port = |text| HostsError::BadPort { entry: entry(text) };
    let missing = |text| HostsError::MissingBracket { entry: entry(text) };
    for (hosts, error) in [
        ("", HostsError::EmptyHost),
        ("/x", HostsError::EmptyHost),
        ("a,,b", HostsError::EmptyHost),
        ("a,", HostsError::EmptyHost),
        (" , a", HostsError::EmptyHost),
        (":2181", HostsError::EmptyHost),
        ("h:", bad_port("h:")),
        ("h:0", bad_port("h:0")),
        ("h:65536", bad_port("h:65536")),
        ("h:+1", bad_port("h:+1")),
        ("h:-1", bad_port("h:-1")),
        ("h:x", bad_port("h:x")),
        ("[::1]2181", bad_port("[::1]2181")),
        ("[::1]:", bad_port("[::1]:")),
        ("[::1", missing("[::1")),
        ("::1]:2181", missing("::1]:2181")),
        ("h]", missing("h]")),
        (
            "[h]:2181",
            HostsError::BadIpv6 {
                entry: entry("[h]:2181"),
            },
        ),
        (
            "[]:2181",
            HostsError::BadIpv6 {
                entry: entry("[]:2181"),
            },
        ),
        (
            "::1",
            HostsError::BareIpv6 {
                entry: entry("::1"),
            },
        ),
        (
            "fe80::1:2181",
            HostsError::BareIpv6 {
                entry: entry("fe80::1:2181"),
            },
        ),
        (
            "h1 h2",
            HostsError::BadHost {
                entry: entry("h1 h2"),
                character: ' ',
            },
        ),
        (
            "h/../a",
            HostsError::Chroot(PathError::RelativeComponent {
                component: "..",
                index: 1,
            }),
        ),
    ] {
        assert_eq!(parse_hosts(hosts), Err(error), "{hosts:?}");
    }
    assert_eq!(
        parse_hosts("::1").unwrap_err().to_string(),
        "\"::1\" could be an IPv6 address with or without a port; write it as [address]:port"
    );
}

#[test]
fn addresses_have_parts() {
    let server = ServerAddr::new("ZK1", 7);
    assert_eq!((server.host(), server.port()), ("zk1", 7));
    assert_eq!(ServerAddr::new("::1", 7).to_string(), "[::1]:7");
}
