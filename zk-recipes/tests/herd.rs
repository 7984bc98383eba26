//! What a thousand waiters cost.

use zk_client::Client;
use zk_recipes::Lock;

use crate::rig::{Rig, WAY, millis, seconds};

/// A release wakes one waiter, whatever their number.
#[test]
fn a_thousand_waiters_are_no_herd() {
    let rig = Rig::new(1);
    let clients: Vec<Client> = (0..10).map(|n| rig.client(&format!("m{n}"))).collect();
    let mut held = rig.run(Lock::new(&clients[0], "/l").acquire()).unwrap();
    let mut waiting = Vec::new();
    for n in 0..1000 {
        waiting.push(Lock::new(&clients[n % 10], "/l").acquire().send());
        // One after the other, so that their order is known.
        rig.pass(millis(1));
    }
    rig.pass(seconds(2));
    let mut times = Vec::new();
    let (requests, events) = (rig.requests(), rig.count("event NodeDeleted"));
    let rounds = 50;
    for next in waiting.drain(..rounds) {
        let before = rig.sim.now();
        drop(held);
        held = rig.run(next).unwrap();
        times.push(rig.sim.now() - before);
    }
    times.sort_unstable();
    let (requests, events) = (
        (rig.requests() - requests) as f64 / rounds as f64,
        (rig.count("event NodeDeleted") - events) as f64 / rounds as f64,
    );
    assert!(requests <= 4.0, "{requests}");
    // To the next in line, and to the owner, which watches its own node.
    assert!(events <= 2.1, "{events}");
    assert!(times[rounds / 2] <= WAY * 5, "{:?}", times[rounds / 2]);
    assert_eq!(rig.count("removeWatches"), 0);
}
