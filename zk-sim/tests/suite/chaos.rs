//! Everything at once: the same seed does the same, and in the end all is well.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zk_client::Client;
use zk_sim::{FaultKind, FaultPlan, Sim, What};

use crate::tiny::{Tiny, Tree};

const CLIENTS: [&str; 5] = ["app1", "app2", "app3", "app4", "app5"];
const SERVERS: [&str; 3] = ["s1", "s2", "s3"];

fn note(count: &Mutex<(u64, u64)>, quiet: bool, success: bool) {
    let mut count = count.lock().unwrap();
    let half = if quiet { &mut count.1 } else { &mut count.0 };
    *half += u64::from(success);
}

/// A minute of faults and half a minute without, in which five clients use three servers.
/// Says how often they have succeeded in each half.
fn minute(sim: &Sim) -> (u64, u64) {
    let tree = Arc::<Mutex<Tree>>::default();
    for name in SERVERS {
        sim.server(&format!("{name}:2181"), Tiny::member(&tree));
    }
    let successes = Arc::new(Mutex::new((0, 0)));
    for name in CLIENTS {
        let count = Arc::clone(&successes);
        sim.machine(name).boot(move |machine| {
            let count = Arc::clone(&count);
            async move {
                let client = Client::builder("s1:2181,s2:2181,s3:2181").start(machine.handler());
                let client = client.unwrap();
                for round in 0_u64.. {
                    let path = format!("/{}-{}", machine.name(), round / 2 % 10);
                    let written = match round % 2 {
                        0 => client.create(&path, "x").ephemeral().await.is_ok(),
                        _ => client.get(&path).await.is_ok(),
                    };
                    // The wall clock of the test, so to speak.
                    let quiet = machine.sim_time_of(machine.now()) > Duration::from_secs(60);
                    note(&count, quiet, written);
                    let _ = client.sleep(Duration::from_millis(200)).await;
                }
            }
        });
    }
    sim.unleash(&FaultPlan::new(&CLIENTS, &SERVERS));
    sim.run_for(Duration::from_secs(90)).unwrap();
    *successes.lock().unwrap()
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_does_not() {
    let run = |seed, keep| {
        let sim = Sim::new(seed);
        if keep {
            sim.keep_trace();
        }
        minute(&sim);
        (sim.trace(), sim.trace_hash(), sim.trace_len())
    };
    for seed in [1, 2] {
        let (first, second, hashed) = (run(seed, true), run(seed, true), run(seed, false));
        assert!(first.0.lines().count() > 1000);
        assert!(first == second, "seed {seed} gives two traces");
        assert_eq!((first.1, first.2), (hashed.1, hashed.2), "without lines");
    }
    assert_ne!(run(1, true).0, run(2, true).0);
    assert_ne!(run(1, false).1, run(2, false).1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tells a child from its parent")]
fn another_process_sees_the_same() {
    const CHILD: &str = "ZK_SIM_TEST_CHILD";
    let run = || {
        let sim = Sim::new(77);
        minute(&sim);
        format!("hash={:032x}", sim.trace_hash())
    };
    if std::env::var_os(CHILD).is_some() {
        // The numbers of clients differ from those in the other process.
        minute(&Sim::new(3));
        eprintln!("{}", run());
        return;
    }
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program)
        .args([
            "--exact",
            "chaos::another_process_sees_the_same",
            "--nocapture",
        ])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let output = String::from_utf8(output.stderr).unwrap();
    assert!(output.contains(&run()), "{output}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is told")]
fn in_the_end_everybody_gets_through() {
    let mut slowest = Duration::ZERO;
    for seed in 0..12 {
        let start = Instant::now();
        let sim = Sim::new(seed);
        let (faulty, quiet) = minute(&sim);
        slowest = slowest.max(start.elapsed());
        assert!(faulty > 100, "seed {seed}: {faulty} during the faults");
        // All five of them, about every 200 ms, for half a minute; but for creates of what is there.
        assert!(quiet > 300, "seed {seed}: {quiet} after the faults");
    }
    eprintln!("a minute takes {slowest:?} at most");
}

#[test]
fn every_kind_is_drawn_and_can_be_left_out_without_changing_the_others() {
    let plan = FaultPlan::new(&CLIENTS, &SERVERS)
        .time(Duration::from_secs(3600))
        .rate(FaultKind::ServerClockJump, 1.0);
    let all = plan.draw(5);
    assert_eq!(all, plan.draw(5));
    assert_ne!(all, plan.draw(6));
    assert!(all.is_sorted_by_key(|fault| fault.at));
    let over = |fault: &&zk_sim::Fault| fault.at + fault.lasts > Duration::from_secs(3600);
    assert_eq!(all.iter().filter(over).count(), 0);
    let is_cut = |what: &What| matches!(what, What::Cut { .. });
    let cuts = all.iter().filter(|fault| is_cut(&fault.what)).count();
    assert!(
        (600..840).contains(&cuts),
        "12 a minute make {cuts} an hour"
    );
    let without = plan.without(FaultKind::Cut).draw(5);
    let rest: Vec<_> = all
        .iter()
        .filter(|fault| !is_cut(&fault.what))
        .cloned()
        .collect();
    assert_eq!(without, rest);
    let kinds: [fn(&What) -> bool; 10] = [
        is_cut,
        |what| matches!(what, What::Partition { .. }),
        |what| matches!(what, What::PartitionOneWay { .. }),
        |what| matches!(what, What::Slow { .. }),
        |what| matches!(what, What::Pause(name) if name.starts_with('s')),
        |what| matches!(what, What::Pause(name) if name.starts_with("app")),
        |what| matches!(what, What::Crash(..)),
        |what| matches!(what, What::Refuse(..)),
        |what| matches!(what, What::ClockJump(..)),
        |what| matches!(what, What::WallClockJump(..) | What::Drift(..)),
    ];
    for (index, kind) in kinds.iter().enumerate() {
        assert!(all.iter().any(|fault| kind(&fault.what)), "{index}");
    }
    assert!(FaultPlan::none(&CLIENTS, &SERVERS).draw(5).is_empty());
}

#[test]
fn a_plan_for_nobody_holds_nothing_impossible() {
    assert!(FaultPlan::new(&[], &[]).draw(1).is_empty());
    let alone = FaultPlan::new(&["a"], &[]).draw(1);
    assert!(!alone.is_empty());
    let sim = Sim::new(1);
    sim.cause(&alone);
    sim.run_for(Duration::from_secs(120)).unwrap();
}
