//! The examples of loops of one's own: each ends by itself, whatever becomes of its server.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use zk::proto::OpCode;
use zk_server::{Fault, Matcher, Server};
use zk_testkit::{Cluster, Options, Version};

use super::{cluster, example};
use crate::support::wait_until;

/// The examples, the features that they need, and what they say at their end.
const EXAMPLES: [(&str, &str, &str); 4] = [
    ("custom_loop", "", "Confirmed"),
    ("embedding", "", "Confirmed"),
    ("own_handler", "own-loop", "the loop has ended"),
    ("poll_loop", "", "[session 2] lost: Closed"),
];

#[test]
fn loops_of_ones_own_need_nothing() {
    for (name, features, last) in EXAMPLES {
        ends_well(&mut example(name, features), last);
    }
}

#[test]
fn loops_of_ones_own_end_where_nobody_listens() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hosts = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    for (name, features, _) in EXAMPLES {
        ends_badly(example(name, features).args(["--hosts", &hosts]));
    }
}

/// The server dies with a request in its hands.
#[test]
fn loops_of_ones_own_end_when_their_server_is_killed() {
    for (name, features, _) in EXAMPLES {
        let server = Server::builder().quiet().start().unwrap();
        let first = Matcher::any().opcode(if name == "poll_loop" {
            OpCode::GET_DATA
        } else if ["custom_loop", "embedding"].contains(&name) {
            OpCode::CREATE2
        } else {
            OpCode::SET_DATA
        });
        server.inject(first, Fault::Hold);
        let mut example = example(name, features);
        let child = quiet(example.args(["--hosts", &server.hosts()]));
        wait_until("the request to be held", || server.pending_faults() == 0);
        drop(server);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(text.contains("connection"), "{name}: {text}");
    }
}

pub(super) fn loops_of_ones_own_serve_real_servers(version: Version) {
    let options = Options::new().ensemble(3).tick(Duration::from_millis(500));
    let cluster: Cluster = cluster(version, options);
    for (name, features, last) in EXAMPLES {
        let mut example = example(name, features);
        ends_well(example.args(["--hosts", &cluster.connect_string()]), last);
    }
}

fn quiet(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ends_well(command: &mut Command, last: &str) {
    let output = quiet(command).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    assert!(text.contains(last), "{command:?}: {text}{errors}");
}

fn ends_badly(command: &mut Command) {
    let output = quiet(command).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {text}");
}
