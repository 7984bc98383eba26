use super::*;

fn addr(host: &str, port: u16) -> Option<ServerAddr> {
    Some(ServerAddr::new(host, port))
}

#[test]
fn the_configuration_of_an_ensemble() {
    let text = "server.1=zk1:2888:3888:participant;0.0.0.0:2181\n\
                server.2=zk2:2888:3888:observer;10.0.0.2:2182\n\
                group.1=1:2\n\
                weight.1=1\n\
                server.3=zk3:2888:3888\n\
                version=100000007";
    let config = EnsembleConfig::parse(text).unwrap();
    assert_eq!(config.version, 0x1_0000_0007);
    let servers: Vec<_> = config
        .servers
        .iter()
        .map(|s| (s.id, s.host.as_str(), s.role, s.client_address.clone()))
        .collect();
    assert_eq!(
        servers,
        [
            (1, "zk1", ServerRole::Participant, addr("zk1", 2181)),
            (2, "zk2", ServerRole::Observer, addr("10.0.0.2", 2182)),
            (3, "zk3", ServerRole::Participant, None),
        ]
    );
    assert_eq!(EnsembleConfig::parse(""), Ok(EnsembleConfig::default()));
    assert_eq!(ServerRole::Observer.to_string(), "observer");
}

#[test]
fn the_forms_of_a_member() {
    for (value, host, client, secure) in [
        ("h:1:2:participant;3", "h", addr("h", 3), None),
        ("h:1:2;3", "h", addr("h", 3), None),
        ("h:1:2:participant", "h", None, None),
        ("h:1:2:participant;;h:4", "h", None, addr("h", 4)),
        ("h:1:2:participant;c:3;s:4", "h", addr("c", 3), addr("s", 4)),
        ("h1:1:2|h2:1:2:participant;3", "h1", addr("h1", 3), None),
        ("[::1]:1:2:participant;[::]:3", "::1", addr("::1", 3), None),
        (
            "[::1]:1:2:participant;[fe80::1]:3",
            "::1",
            addr("fe80::1", 3),
            None,
        ),
    ] {
        let config = EnsembleConfig::parse(&format!("server.9={value}")).unwrap();
        let server = &config.servers[0];
        assert_eq!((server.id, server.host.as_str()), (9, host), "{value}");
        assert_eq!(server.client_address, client, "{value}");
        assert_eq!(server.secure_client_address, secure, "{value}");
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    for line in [
        "server.x=h:1:2",
        "server.1=h",
        "server.1=h:1",
        "server.1=h:x:2",
        "server.1=:1:2",
        "server.1=",
    ] {
        let error = ConfigError::BadServer {
            line: line.to_owned(),
        };
        assert_eq!(EnsembleConfig::parse(line), Err(error));
    }
    let line = "server.1=h:1:2:participant;h:0";
    let Err(ConfigError::BadAddress {
        line: found,
        source,
    }) = EnsembleConfig::parse(line)
    else {
        panic!()
    };
    assert_eq!(
        (found.as_str(), source),
        (
            line,
            HostsError::BadPort {
                entry: "h:0".to_owned()
            }
        )
    );
    let error = ConfigError::BadVersion {
        line: "version=xyz".to_owned(),
    };
    assert_eq!(EnsembleConfig::parse("version=xyz"), Err(error));
}
