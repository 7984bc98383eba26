//! Barriers of both.

use zk::recipes::{Barrier, DoubleBarrier};

use super::{Fleet, LIMIT, Member, Task, fleets, stays_open, wait_for_children};

/// All wait while the barrier stands, whoever has set it up and whatever became of that one; all are
/// released when anybody removes it.
fn all_are_released_or_none(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let barrier = Barrier::new(&client, "/b");
    let mut waiter = fleet.python();
    waiter.run("barrier = client.Barrier('/b')");
    for by_python in [true, false] {
        let mut other = fleet.python();
        other.run("barrier = client.Barrier('/b')");
        if by_python {
            other.run("barrier.create()");
        } else {
            barrier.create().wait().unwrap();
        }
        waiter.run("client.sync('/b')");
        client.sync("/b").wait().unwrap();
        let theirs = waiter.begin("barrier.wait(60)");
        let mut ours = barrier.wait().send();
        let mut is_released = || waiter.has_answered(theirs) || ours.try_take().is_some();
        assert!(stays_open(&mut is_released));
        if by_python {
            // The one that has set it up is gone: the barrier is not.
            other.kill();
            assert!(stays_open(&mut is_released));
            assert!(barrier.remove().wait().unwrap());
        } else {
            assert_eq!(other.run("barrier.remove()"), "True");
            assert!(!barrier.remove().wait().unwrap());
        }
        ours.wait_timeout(LIMIT).unwrap();
        assert_eq!(waiter.end(theirs), "True");
    }
}

fn kazoo_of(fleet: &Fleet<'_>, members: usize) -> Member {
    let mut python = fleet.python();
    python.run(&format!("barrier = client.DoubleBarrier('/d', {members})"));
    python
}

fn enter(python: &mut Member) -> Task {
    python.begin("barrier.enter()")
}

/// Nobody is in before all are there, and nobody is out before all have left; time after time.
fn all_begin_and_end_together(fleet: &Fleet<'_>) {
    let client = fleet.client();
    let (mut one, mut two) = (kazoo_of(fleet, 4), kazoo_of(fleet, 4));
    let mut rust = fleet.rust();
    for last in 0..4 {
        let mut tasks = (None, None, None, None);
        for n in (0..4).map(|n| (last + 1 + n) % 4) {
            let early = |task: Option<Task>, member: &Member| {
                task.is_some_and(|task| member.has_answered(task))
            };
            assert!(!early(tasks.0, &one) && !early(tasks.1, &two) && !early(tasks.2, &rust));
            match n {
                0 => tasks.0 = Some(enter(&mut one)),
                1 => tasks.1 = Some(enter(&mut two)),
                2 => tasks.2 = Some(rust.begin("enter /d 4 a")),
                _ => tasks.3 = Some(DoubleBarrier::new(&client, "/d", 4).enter().send()),
            }
            if n != last {
                let count = [tasks.0.is_some(), tasks.1.is_some(), tasks.2.is_some()];
                let count = count.iter().filter(|there| **there).count();
                wait_for_children(&client, "/d", count + usize::from(tasks.3.is_some()));
            }
        }
        one.end(tasks.0.unwrap());
        two.end(tasks.1.unwrap());
        rust.end(tasks.2.unwrap());
        let inside = tasks.3.unwrap().wait_timeout(LIMIT).unwrap();
        assert_eq!(one.run("barrier.participating"), "True");
        assert_eq!(two.run("barrier.participating"), "True");
        assert!(inside.is_participating());
        // All but one leave: all of them wait for it.
        let mut leaves = (None, None, None);
        let mut inside = Some(inside);
        for n in (0..4).filter(|n| *n != last) {
            match n {
                0 => leaves.0 = Some(one.begin("barrier.leave()")),
                1 => leaves.1 = Some(two.begin("barrier.leave()")),
                2 => leaves.2 = Some(rust.begin("leave a")),
                _ => {}
            }
        }
        let mut ours = (last != 3).then(|| inside.take().unwrap().leave().send());
        assert!(stays_open(|| {
            let out = |leave: Option<Task>, member: &Member| {
                leave.is_some_and(|task| member.has_answered(task))
            };
            out(leaves.0, &one)
                || out(leaves.1, &two)
                || out(leaves.2, &rust)
                || ours
                    .as_mut()
                    .is_some_and(|leave| leave.try_take().is_some())
        }));
        match last {
            0 => leaves.0 = Some(one.begin("barrier.leave()")),
            1 => leaves.1 = Some(two.begin("barrier.leave()")),
            2 => leaves.2 = Some(rust.begin("leave a")),
            _ => ours = Some(inside.take().unwrap().leave().send()),
        }
        one.end(leaves.0.unwrap());
        two.end(leaves.1.unwrap());
        rust.end(leaves.2.unwrap());
        ours.unwrap().wait_timeout(LIMIT).unwrap();
        wait_for_children(&client, "/d", 0);
    }
}

/// One that is killed before it was let in does not count; one that is killed inside keeps nobody
/// from leaving.
fn killed_members_neither_count_nor_hold_up(fleet: &Fleet<'_>) {
    let client = fleet.client();
    for kill_python in [true, false] {
        let mut one = kazoo_of(fleet, 3);
        let task = enter(&mut one);
        wait_for_children(&client, "/d", 1);
        let victim = if kill_python {
            let mut victim = kazoo_of(fleet, 3);
            enter(&mut victim);
            victim
        } else {
            let mut victim = fleet.rust();
            victim.begin("enter /d 3 a");
            victim
        };
        wait_for_children(&client, "/d", 2);
        victim.kill();
        wait_for_children(&client, "/d", 1);
        let mut ours = DoubleBarrier::new(&client, "/d", 3).enter().send();
        assert!(stays_open(
            || one.has_answered(task) || ours.try_take().is_some()
        ));
        let victim = if kill_python {
            let mut victim = kazoo_of(fleet, 3);
            let task = enter(&mut victim);
            victim.end(task);
            victim
        } else {
            let mut victim = fleet.rust();
            victim.run("enter /d 3 a");
            victim
        };
        one.end(task);
        let inside = ours.wait_timeout(LIMIT).unwrap();
        let theirs = one.begin("barrier.leave()");
        let ours = inside.leave().send();
        assert!(stays_open(|| one.has_answered(theirs)));
        victim.kill();
        one.end(theirs);
        ours.wait_timeout(LIMIT).unwrap();
        wait_for_children(&client, "/d", 0);
    }
}

fleets! {
    all_are_released_or_none
    all_begin_and_end_together
    killed_members_neither_count_nor_hold_up
}
