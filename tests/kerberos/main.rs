//! Clients that sign in by Kerberos, on real servers, with a Kerberos server of their own.
//!
//! Needs the system's Kerberos library, so it is built with the feature `sasl-gssapi` only; and
//! Java, servers and a Kerberos server, so it runs in `cargo xtask nightly` only.
//!
//! The Kerberos library is told by the environment who is there, and a process has just one. So a
//! test starts the servers, and then itself once for each case, with the environment of that case
//! (`client`).

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod client;

use std::env;
use std::path::PathBuf;
use std::process::Command;

use zk_testkit::{Cluster, Kdc, Options, Sasl, Version};

/// Where the client of a case connects to, such as `localhost:2181`.
const HOSTS: &str = "ZK_KERBEROS_HOSTS";

/// Runs one case of `client` in a process of its own.
fn run(name: &str, hosts: &str, environment: &[(&str, PathBuf)]) {
    let mut client = Command::new(env::current_exe().unwrap());
    client
        .args(["--exact", &format!("client::{name}"), "--nocapture"])
        .env(HOSTS, hosts)
        .env("KRB5CCNAME", "FILE:/nonexistent/cache")
        .env("KRB5_CLIENT_KTNAME", "/nonexistent/table")
        .env_remove("KRB5_KTNAME")
        .envs(environment.iter().map(|(name, value)| (name, value)));
    let output = client.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    eprintln!("{text}{complaint}");
    assert!(output.status.success(), "{name} failed");
    assert!(text.contains("1 passed"), "there is no case {name}");
}

fn real() -> bool {
    let wanted = env::var_os("ZK_REAL").is_some_and(|value| value == "1");
    if !wanted {
        eprintln!("kerberos: left out, as ZK_REAL=1 is not set");
    }
    wanted
}

fn kerberos_signs_in(version: Version) {
    if !real() {
        return;
    }
    let mut kdc = Kdc::start().unwrap();
    let options = Options::new().sasl_kerberos(&kdc, Sasl::Required).unwrap();
    let cluster = Cluster::start(version, &options).unwrap();
    eprintln!("on ZooKeeper {}", cluster.dist().release());
    // A server that cannot read the tickets for it, as it has other keys.
    kdc.key_table("zookeeper/elsewhere").unwrap();

    let hosts = format!("localhost:{}", cluster.address(0).port());
    let config = || ("KRB5_CONFIG", kdc.config());
    let tickets = || ("KRB5CCNAME", kdc.tickets("bob").unwrap());
    for case in [
        "a_ticket_signs_in_on_every_handler_and_every_connection",
        "a_service_that_nobody_knows_is_named",
        "a_ticket_for_another_server_is_refused",
        "a_ticket_that_has_gone_is_missed_at_the_next_connection",
        "digest_md5_is_refused_as_a_mechanism",
        "another_principal_than_that_of_the_tickets_is_missed",
    ] {
        run(case, &hosts, &[config(), tickets()]);
    }
    let no_tickets = "without_tickets_it_says_what_to_do";
    run(no_tickets, &hosts, &[config()]);
    // The library gets tickets itself, and keeps them where it is told to.
    let table = ("KRB5_CLIENT_KTNAME", kdc.key_table("bob").unwrap());
    let cache = (
        "KRB5CCNAME",
        kdc.config().with_file_name("made-by-the-client"),
    );
    let by_key = "a_ticket_signs_in_on_every_handler_and_every_connection";
    run(by_key, &hosts, &[config(), table, cache]);

    let (config, tickets) = (config(), tickets());
    kdc.stop();
    let unreachable = "a_kerberos_server_out_of_reach_costs_attempts_only";
    run(unreachable, &hosts, &[config, tickets]);
}

/// A server in FIPS mode takes Kerberos, and no DIGEST-MD5; one without Kerberos refuses tickets.
fn kerberos_and_digest_are_told_apart(version: Version) {
    if !real() {
        return;
    }
    let kdc = Kdc::start().unwrap();
    // The Kerberos server knows it, though the server itself does not.
    kdc.key_table("zookeeper/localhost").unwrap();
    let options = Options::new().sasl_digest(Sasl::Offered);
    let cluster = Cluster::start(version, &options).unwrap();
    let hosts = format!("localhost:{}", cluster.address(0).port());
    let environment = [
        ("KRB5_CONFIG", kdc.config()),
        ("KRB5CCNAME", kdc.tickets("bob").unwrap()),
    ];
    run(
        "a_server_for_passwords_refuses_tickets",
        &hosts,
        &environment,
    );
}

macro_rules! on_each_version {
    ($($test:ident),*) => {
        on_each_version! { @ v3_8 V3_8 $($test),* }
        on_each_version! { @ v3_9 V3_9 $($test),* }
    };
    (@ $module:ident $version:ident $($test:ident),*) => {
        mod $module {$(
            #[test]
            #[ignore = "needs a real ZooKeeper and Kerberos: cargo xtask nightly kerberos"]
            fn $test() {
                super::$test(zk_testkit::Version::$version);
            }
        )*}
    };
}

on_each_version! { kerberos_signs_in, kerberos_and_digest_are_told_apart }
