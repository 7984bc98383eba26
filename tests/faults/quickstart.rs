//! The quickstart, as a stranger runs it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use zk_testkit::{Cluster, Options, Version};

use super::{cluster, example};

pub(super) fn the_tour_ends_alone(version: Version) {
    let cluster = cluster(version, Options::new());
    the_story_is_told(&mut tour(&cluster, &[]));
}

/// Without a word about hosts, there is a server in the process.
#[test]
fn the_tour_needs_nothing() {
    the_story_is_told(&mut example("quickstart", ""));
}

fn the_story_is_told(tour: &mut Command) {
    let output = tour.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for part in [
        "NodeDataChanged",
        "all 2 applied",
        "nothing applied",
        "That was the tour.",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

pub(super) fn the_tour_survives_the_loss_of_its_server(version: Version) {
    let options = Options::new().ensemble(3).tick(Duration::from_millis(500));
    let cluster = cluster(version, options);
    let mut child = tour(&cluster, &["--restart-window", "8"])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut text = String::new();
    let mut connected = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(server) = line.trim().strip_prefix("connected to ") {
            let port: u16 = server.rsplit(':').next().unwrap().parse().unwrap();
            connected = (0..cluster.len()).find(|m| cluster.address(*m).port() == port);
        }
        if line.contains("kill, pause or restart a server") {
            cluster.kill(connected.expect("it says where it is connected"));
        }
        text.push_str(&line);
        text.push('\n');
    }
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.contains("suspended"), "the loss was noticed: {text}");
    assert!(text.contains("That was the tour."), "{text}");
}

fn tour(cluster: &Cluster, more: &[&str]) -> Command {
    let mut command = example("quickstart", "");
    command
        .arg("--hosts")
        .arg(cluster.connect_string())
        .args(more);
    command
}
