//! What is held on servers that take their time to show what is committed.

use std::time::Duration;

use zk_client::Client;
use zk_recipes::Lock;
use zk_recipes::partitioner::{PartitionState, SetPartitioner};
use zk_server::{MemberId, Options};
use zk_sim::Sim;

use crate::universe::{millis, seconds};

const T: Duration = Duration::from_secs(12);

/// A client of three servers, each of which takes so long.
fn client(sim: &Sim, takes: Duration) -> Client {
    let hosts = ["s1:2181", "s2:2181", "s3:2181"];
    let ensemble = sim.ensemble(&hosts, Options::new());
    let mut builder = Client::builder(ensemble.hosts());
    builder.session_timeout(T);
    let client = builder.connect(sim.machine("app").handler());
    let client = sim.block_on(client).unwrap().unwrap();
    for member in 1..=3 {
        ensemble.with(MemberId(member), |peer| peer.set_apply_delay(takes));
    }
    client
}

#[test]
fn a_lock_is_kept_while_servers_take_a_sixth_of_the_session_timeout() {
    for takes in [T / 12, T / 8, T / 6] {
        let sim = Sim::new(1);
        let client = client(&sim, takes);
        // The first proof after quiet time, then the same with all under way.
        sim.run_for(seconds(60)).unwrap();
        for _ in 0..2 {
            let lock = Lock::new(&client, "/lock");
            let guard = sim.block_on(lock.acquire()).unwrap().unwrap();
            for step in 0..600 {
                sim.run_for(millis(100)).unwrap();
                assert!(guard.is_held(), "{takes:?}, {step}");
            }
            sim.block_on(guard.release()).unwrap().unwrap();
        }
    }
}

/// Its locks were lost and taken again for ever.
#[test]
fn a_partition_comes_to_rest_while_servers_take_a_sixth_of_the_session_timeout() {
    let sim = Sim::new(2);
    let client = client(&sim, T / 6);
    let partition = SetPartitioner::new(&client, "/set", ["a", "b", "c", "d"])
        .time_boundary(seconds(2))
        .start();
    let partition = sim.block_on(partition).unwrap().unwrap();
    let acquired = partition.wait_for_acquire();
    sim.block_on(acquired).unwrap().unwrap();
    sim.run_for(seconds(120)).unwrap();
    assert_eq!(partition.state(), PartitionState::Acquired);
    assert_eq!(partition.items().len(), 4);
}
