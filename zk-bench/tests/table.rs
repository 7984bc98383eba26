//! The whole program, on its own stub, for a moment.

use std::process::Command;

#[test]
fn every_handler_runs_every_workload() {
    let output = Command::new(env!("CARGO_BIN_EXE_zk-bench"))
        .args(["table", "--rounds", "1", "--seconds", "0.02"])
        .args(["--workloads", "w1,w2,w2b,w3,w4,w5,w6,w8"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{why}");
    for phase in ["w1", "w2", "w2b", "w3", "w4c", "w4d", "w5", "w6", "w8"] {
        for client in [
            "raw",
            "threads",
            "tokio",
            "tokio-mt",
            "smol",
            "smol-executor",
        ] {
            let line = format!("| {phase} | {client} | ");
            assert_eq!(said.matches(&line).count(), 1, "{line} in {said}");
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_zk-bench"))
        .args(["raw", "127.0.0.1:1", "w1", "1"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("cannot connect"), "{why}");
}
