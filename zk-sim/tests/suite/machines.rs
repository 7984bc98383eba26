//! Machines: their clocks, their power switch, and what runs on them.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zk_sim::{Crash, Sim};

use crate::echo::Echo;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn time_passes_only_for_those_who_wait() {
    let sim = Sim::new(1);
    let (a, b) = (sim.machine("a"), sim.machine("b"));
    let order = Arc::new(Mutex::new(Vec::new()));
    for (machine, name, pause) in [(&a, "late", 20), (&b, "early", 10), (&a, "middle", 15)] {
        let (order, own) = (Arc::clone(&order), machine.clone());
        sim.spawn(machine, async move {
            own.sleep(seconds(pause)).await;
            order.lock().unwrap().push(name);
        });
    }
    sim.run_for(seconds(17)).unwrap();
    assert_eq!(*order.lock().unwrap(), ["early", "middle"]);
    assert_eq!(sim.now(), seconds(17));
    sim.run_for(seconds(3)).unwrap();
    assert_eq!(order.lock().unwrap().len(), 3);
    let passed = sim.wall_clock().duration_since(std::time::UNIX_EPOCH);
    assert_eq!(passed.unwrap(), seconds(1_700_000_020));
}

#[test]
fn whoever_sleeps_for_ever_stops_nobody() {
    let sim = Sim::new(2);
    let a = sim.machine("a");
    let own = a.clone();
    sim.spawn(&a, async move { own.sleep(Duration::MAX).await });
    sim.run_for(seconds(1000 * 86_400)).unwrap();
    assert_eq!(sim.now(), seconds(1000 * 86_400));
}

#[test]
fn the_order_of_what_can_run_is_drawn() {
    let orders: Vec<Vec<u32>> = (0..20)
        .map(|seed| {
            let sim = Sim::new(seed);
            let order = Arc::new(Mutex::new(Vec::new()));
            for number in 0..5 {
                let order = Arc::clone(&order);
                sim.machine("a")
                    .spawn(async move { order.lock().unwrap().push(number) });
            }
            sim.run_for(seconds(1)).unwrap();
            Arc::try_unwrap(order).unwrap().into_inner().unwrap()
        })
        .collect();
    let mut different = orders;
    different.sort();
    different.dedup();
    assert!(different.len() > 10, "{different:?}");
}

#[test]
fn a_drifting_clock_ends_sleep_early_or_late() {
    let sim = Sim::new(2);
    let (fast, slow) = (sim.machine("fast"), sim.machine("slow"));
    fast.set_drift(100_000);
    slow.set_drift(-100_000);
    sim.block_on(fast.sleep(seconds(110))).unwrap();
    assert_eq!(sim.now(), seconds(100));
    let start = sim.now();
    let before = slow.now();
    sim.block_on(slow.sleep(seconds(90))).unwrap();
    assert_eq!(sim.now() - start, seconds(100));
    assert_eq!(slow.now() - before, seconds(90));
    assert_eq!(
        slow.sim_time_of(slow.now() + seconds(9)),
        sim.now() + seconds(10)
    );
}

#[test]
fn a_clock_that_jumps_wakes_who_sleeps() {
    let sim = Sim::new(3);
    let a = sim.machine("a");
    let wall = a.wall_clock();
    let other = a.clone();
    let sleeper = a.spawn(async move { other.sleep(seconds(3600)).await });
    let other = a.clone();
    sim.after(seconds(10), move || other.jump_clock(seconds(3600)));
    sim.block_on(sleeper).unwrap().unwrap();
    assert_eq!(sim.now(), seconds(10));
    a.jump_wall_clock(-5_000);
    assert_eq!(a.wall_clock().duration_since(wall).unwrap(), seconds(3605));
}

#[test]
fn a_server_is_called_when_its_clock_says_so() {
    let sim = Sim::new(4);
    let server = sim.server("s1:7", Echo::default());
    let machine = server.machine().clone();
    machine.set_drift(1_000);
    let at = machine.now() + seconds(1001);
    server.with(|server| server.alarm = Some(at));
    sim.run_for(seconds(999)).unwrap();
    assert!(server.with(|server| server.timeouts.is_empty()));
    sim.run_for(seconds(1)).unwrap();
    assert_eq!(server.with(|server| server.timeouts.clone()), [at]);
    let at = machine.now() + seconds(50);
    server.with(|server| server.alarm = Some(at));
    sim.run_for(seconds(1)).unwrap();
    machine.jump_clock(seconds(60));
    sim.run_for(seconds(1)).unwrap();
    assert_eq!(server.with(|server| server.timeouts.len()), 2);
}

#[test]
fn a_paused_machine_does_nothing_and_then_catches_up() {
    let sim = Sim::new(5);
    let server = sim.server("s1:7", Echo::default());
    let app = sim.machine("app");
    let mut socket = sim.block_on(app.connect("s1", 7)).unwrap().unwrap();
    let count = Arc::new(AtomicU32::new(0));
    let (ticks, own) = (Arc::clone(&count), app.clone());
    app.spawn(async move {
        loop {
            own.sleep(seconds(1)).await;
            ticks.fetch_add(1, Ordering::Relaxed);
        }
    });
    sim.run_for(Duration::from_millis(5500)).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 5);
    app.pause();
    server.machine().pause();
    assert!(app.is_paused() && app.is_up());
    sim.block_on(socket.write_all(b"hello")).unwrap().unwrap();
    let accepted = sim.block_on(app.connect("s1", 7)).unwrap();
    assert!(accepted.is_ok(), "the system accepts for a paused process");
    sim.run_for(seconds(100)).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 5);
    assert_eq!(server.with(|server| server.heard.len()), 0);
    app.resume();
    server.machine().resume();
    assert_eq!(sim.block_on(socket.read()).unwrap().unwrap(), b"hello");
    sim.run_for(seconds(1)).unwrap();
    // Its sleep was over long ago.
    assert_eq!(count.load(Ordering::Relaxed), 6 + 1);
}

#[test]
fn a_killed_machine_resets_its_connections_and_drops_its_tasks() {
    struct Tells(Arc<AtomicU32>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let sim = Sim::new(6);
    let server = sim.server("s1:7", Echo::default());
    let app = sim.machine("app");
    let socket = sim.block_on(app.connect("s1", 7)).unwrap().unwrap();
    let drops = Arc::new(AtomicU32::new(0));
    let tells = Tells(Arc::clone(&drops));
    let running = app.spawn(async move {
        let _both = (tells, socket);
        std::future::pending::<()>().await;
    });
    sim.run_for(seconds(1)).unwrap();
    app.crash(Crash::Killed);
    assert!(!app.is_up());
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    assert_eq!(sim.block_on(running).unwrap(), None);
    sim.run_for(seconds(1)).unwrap();
    assert_eq!(server.with(|server| server.ended), 1);
    let stillborn = app.spawn(async { 1 });
    assert_eq!(sim.block_on(stillborn).unwrap(), None);
}

#[test]
fn a_machine_without_power_is_silent_until_it_is_back() {
    let sim = Sim::new(7);
    let server = sim.server("s1:7", Echo::default());
    let app = sim.machine("app");
    let mut socket = sim.block_on(app.connect("s1", 7)).unwrap().unwrap();
    server.machine().crash(Crash::PowerLoss);
    sim.block_on(socket.write_all(b"hello")).unwrap().unwrap();
    sim.run_for(seconds(10)).unwrap();
    assert!(
        sim.block_on(socket.read()).is_err(),
        "nothing can ever come"
    );
    server.machine().restart();
    // It knows nothing of the connection.
    sim.block_on(socket.write_all(b"again")).unwrap().unwrap();
    let error = sim.block_on(socket.read()).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut socket = sim.block_on(app.connect("s1", 7)).unwrap().unwrap();
    sim.block_on(socket.write_all(b"new")).unwrap().unwrap();
    assert_eq!(sim.block_on(socket.read()).unwrap().unwrap(), b"new");
}

#[test]
fn programs_named_by_boot_start_again() {
    let sim = Sim::new(8);
    let app = sim.machine("app");
    let starts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&starts);
    app.boot(move |machine| {
        seen.lock()
            .unwrap()
            .push(machine.handler().identity().to_owned());
        async move { machine.sleep(seconds(1_000_000)).await }
    });
    sim.run_for(seconds(1)).unwrap();
    for _ in 0..2 {
        app.crash(Crash::Killed);
        sim.run_for(seconds(1)).unwrap();
        app.restart();
        app.restart();
        sim.run_for(seconds(1)).unwrap();
    }
    assert_eq!(*starts.lock().unwrap(), ["app-1", "app-2", "app-3"]);
}

#[test]
fn a_task_can_end_its_own_machine() {
    let sim = Sim::new(9);
    let app = sim.machine("app");
    let (own, held) = (app.clone(), Arc::new(()));
    let weak = Arc::downgrade(&held);
    app.spawn(async move {
        own.crash(Crash::Killed);
        std::future::pending::<()>().await;
        drop(held);
    });
    sim.run_for(seconds(1)).unwrap();
    assert!(weak.upgrade().is_none());
}
