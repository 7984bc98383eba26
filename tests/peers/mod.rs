//! Clients that other people wrote, on `zk-server`: kazoo, and the shells of the Java and the C
//! client. The same on a real server shows that it is the clients' doing what is asked of them.

pub(crate) mod fleet;
mod shells;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zk_server::Server;
use zk_testkit::{Cluster, Options, Peers, Version, peers};

/// How long one program may take. Reached only by a test that fails.
const LIMIT: Duration = Duration::from_secs(120);

/// What a program printed.
struct Said {
    out: String,
    err: String,
}

/// Runs a program with an input. It must end by itself, and well.
fn output(mut program: Command, input: &str) -> Said {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end before it has read everything.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let pid = child.id();
    let (ended, end) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let output = child.wait_with_output().unwrap();
        let _ = ended.send(());
        output
    });
    if end.recv_timeout(LIMIT).is_err() {
        let _ = Command::new("kill").arg(pid.to_string()).status();
    }
    let output = waiter.join().unwrap();
    let [out, err] =
        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    assert!(output.status.success(), "{}: {out}{err}", output.status);
    Said { out, err }
}

fn kazoo(peers: &Peers, hosts: &str) {
    let mut python = peers.kazoo(include_str!("kazoo.py"));
    python.arg(hosts);
    let Said { out, err } = output(python, "");
    for what in [
        "crud",
        "watches",
        "lock",
        "transaction",
        "credentials",
        "session",
    ] {
        assert!(out.contains(&format!("ok {what}\n")), "{out}{err}");
    }
}

/// Each program on our server and on a real one.
macro_rules! programs {
    ($($test:ident: $run:path),* $(,)?) => {
        mod on_zk_server {
            use super::*;
            $(#[test]
            #[ignore = "needs programs of others: cargo xtask test"]
            fn $test() {
                let peers = peers().unwrap();
                let server = Server::builder().quiet().start().unwrap();
                $run(&peers, &server.hosts());
            })*
        }
        mod on_a_real_server {
            use super::*;
            $(#[test]
            #[ignore = "needs programs of others: cargo xtask test"]
            fn $test() {
                let peers = peers().unwrap();
                let server = Cluster::start(Version::V3_9, &Options::new()).unwrap();
                $run(&peers, &server.connect_string());
            })*
        }
    };
}

programs! {
    kazoo_does_what_it_does: kazoo,
    the_java_shell_does_what_it_does: shells::java,
    the_c_shell_does_what_it_does: shells::c,
}
