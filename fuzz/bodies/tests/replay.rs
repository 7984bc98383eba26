//! The corpora that are kept, and the seeds, run without a fuzzer.

use std::path::PathBuf;
use std::{fs, panic};

use zk_fuzz_bodies::{TARGETS, corpus, seeds, server_bytes};

fn packed(name: &str) -> PathBuf {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpora");
    PathBuf::from(dir).join(name).with_extension("bin")
}

/// Runs inputs, and says which one it was if one fails.
fn run(name: &str, inputs: &[Vec<u8>]) {
    let (_, body) = TARGETS
        .iter()
        .find(|(target, _)| *target == name)
        .expect("a target");
    for input in inputs {
        if let Err(cause) = panic::catch_unwind(|| body(input)) {
            eprintln!("{name} fails on {input:?}");
            panic::resume_unwind(cause);
        }
    }
}

fn replay(name: &str) {
    let bytes = fs::read(packed(name)).expect("each target has a corpus");
    let inputs = corpus::unpack(&bytes).expect("it is sound");
    assert!(inputs.len() > 20, "{name} has {} inputs", inputs.len());
    assert_eq!(corpus::pack(inputs.clone()), bytes, "it was made by `pack`");
    run(name, &inputs);
}

#[test]
fn frames_that_were_found() {
    replay("decode_frame");
}

#[test]
fn texts_that_were_found() {
    replay("hosts_string");
}

#[test]
fn sessions_and_models_that_were_found() {
    replay("model");
}

#[test]
fn hostile_clients_that_were_found() {
    replay("server_bytes");
}

#[test]
fn hostile_servers_that_were_found() {
    replay("session_bytes");
}

#[test]
fn calls_that_were_found() {
    replay("session_ops");
}

#[test]
fn watchers_that_were_found() {
    replay("session_watches");
}

/// A small buffer for output, twenty replies that are each held back for no time, and the requests
/// for them in one go: each that is sent makes room for two more.
#[test]
fn many_delays_of_no_time_are_no_busy_loop() {
    let mut input = vec![2, 0];
    input.extend([4, 0]); // a session
    input.extend([16, 0, 0, 0, 0x30]); // a node with data
    input.extend([14, 3, 0].repeat(20)); // delays
    input.extend([6, 0, 40, 8, 0, 0]); // reads of it
    input.extend([13; 3]); // what is due
    server_bytes(&input);
}

/// A reply that was not taken yet, a hold behind it, and then a frame that ends the connection.
#[test]
fn of_a_connection_that_ends_while_it_is_held_the_driver_is_told() {
    let mut input = vec![0, 0];
    input.extend([4, 0]); // a session
    input.extend([8, 0, 16, 0, 31, 0, 0]); // a ping whose reply waits
    input.extend([15, 3, 1, 0, 0]); // held from here; an empty frame
    input.extend([9, 0]); // the reply is taken
    server_bytes(&input);
}

#[test]
fn seeds_are_the_same_every_time_and_do_no_harm() {
    for (name, _) in TARGETS {
        let inputs = seeds::seeds(name);
        assert!(inputs.len() > 20, "{name} has {} seeds", inputs.len());
        assert_eq!(inputs, seeds::seeds(name));
        run(name, &inputs);
    }
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    for (name, _) in TARGETS {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz_targets");
        let program = PathBuf::from(program).join(name).with_extension("rs");
        let text = fs::read_to_string(program).unwrap();
        assert!(text.contains(&format!("zk_fuzz_bodies::{name}(data)")));
        assert!(packed(name).exists(), "{name}");
    }
}
