//! Servers that speak to each other.

use std::time::Duration;

use zk_sim::{Crash, ServerHandle, Sim};

use crate::tiny::Tiny;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn two(seed: u64) -> (Sim, ServerHandle<Tiny>, ServerHandle<Tiny>) {
    let sim = Sim::new(seed);
    sim.keep_trace();
    let one = sim.server("s1:2181", Tiny::new());
    let two = sim.server("s2:2181", Tiny::new());
    sim.run_for(seconds(1)).unwrap();
    (sim, one, two)
}

fn send(from: &ServerHandle<Tiny>, to: &str, numbers: std::ops::Range<u32>) {
    let numbers = numbers.map(|number| (to.to_owned(), number));
    from.with(|server| server.to_send.extend(numbers));
}

#[test]
fn messages_keep_their_order() {
    for seed in 0..10 {
        let (sim, one, two) = two(seed);
        send(&one, "s2", 0..50);
        send(&two, "s1", 0..2);
        sim.run_for(seconds(1)).unwrap();
        let expected: Vec<_> = (0..50).map(|number| format!("s1 {number}")).collect();
        assert_eq!(two.with(|server| server.heard.clone()), expected);
        assert_eq!(one.with(|server| server.heard.clone()), ["s2 0", "s2 1"]);
        assert!(sim.trace().contains("s1 -> s2 number 49"));
    }
}

#[test]
fn messages_into_a_partition_or_to_the_dead_are_lost() {
    let (sim, one, two) = two(1);
    let partition = sim.network().partition_one_way(&["s1"], &["s2"]);
    send(&one, "s2", 0..1);
    send(&two, "s1", 0..1);
    sim.run_for(seconds(1)).unwrap();
    sim.network().heal(partition);
    send(&one, "s2", 1..2);
    send(&one, "nobody", 0..1);
    sim.run_for(seconds(1)).unwrap();
    assert_eq!(two.with(|server| server.heard.clone()), ["s1 1"]);
    assert_eq!(one.with(|server| server.heard.clone()), ["s2 0"]);
    two.machine().crash(Crash::Killed);
    send(&one, "s2", 2..3);
    sim.run_for(seconds(1)).unwrap();
    two.machine().restart();
    send(&one, "s2", 3..4);
    sim.run_for(seconds(1)).unwrap();
    assert_eq!(two.with(|server| server.heard.clone()), ["s1 1", "s1 3"]);
}

#[test]
fn messages_to_a_paused_server_wait() {
    let (sim, one, two) = two(2);
    two.machine().pause();
    send(&one, "s2", 0..3);
    sim.run_for(seconds(10)).unwrap();
    assert!(two.with(|server| server.heard.is_empty()));
    two.machine().resume();
    sim.run_for(seconds(1)).unwrap();
    assert_eq!(two.with(|server| server.heard.len()), 3);
}
