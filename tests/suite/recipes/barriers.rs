//! `Barrier`, `DoubleBarrier`.

use std::time::Duration;

use zk::recipes::{Barrier, DoubleBarrier};
use zk::{AsyncResult, Error};

use crate::support::{Env, LIMIT, lose_connection};

pub(crate) fn a_barrier_keeps_all_until_it_is_removed(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let barrier = Barrier::new(&client, "/gates/one");
    barrier.wait().wait_timeout(LIMIT).unwrap();
    assert!(!barrier.remove().wait().unwrap());
    barrier.create().wait().unwrap();
    let error = barrier.wait().wait_timeout(Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    let mut waiting: Vec<_> = [&client, &other, &other]
        .iter()
        .map(|client| Barrier::new(client, "/gates/one").wait().send())
        .collect();
    other.sync("/").wait().unwrap();
    assert!(waiting.iter_mut().all(|wait| wait.try_take().is_none()));
    assert!(Barrier::new(&other, "/gates/one").remove().wait().unwrap());
    for wait in waiting {
        wait.wait_timeout(LIMIT).unwrap();
    }
}

pub(crate) fn a_lost_connection_does_not_hide_the_removal(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let barrier = Barrier::new(&other, "/gate");
    barrier.create().wait().unwrap();
    let waiting = Barrier::new(&client, "/gate").wait().send();
    client.sync("/").wait().unwrap();
    lose_connection(&client);
    assert!(barrier.remove().wait().unwrap());
    waiting.wait_timeout(LIMIT).unwrap();
}

pub(crate) fn all_enter_and_leave_a_double_barrier_together(env: &Env) {
    for members in 1..=3 {
        let clients: Vec<_> = (0..members).map(|_| env.client()).collect();
        let barriers: Vec<_> = clients
            .iter()
            .map(|client| DoubleBarrier::new(client, "/double", members))
            .collect();
        let mut entering: Vec<AsyncResult<_>> = Vec::new();
        for barrier in &barriers {
            assert!(entering.iter_mut().all(|enter| enter.try_take().is_none()));
            entering.push(barrier.enter().send());
        }
        let mut inside: Vec<_> = entering
            .into_iter()
            .map(|enter| enter.wait_timeout(LIMIT).unwrap())
            .collect();
        assert!(inside.iter().all(|inside| inside.is_participating()));
        let last = inside.pop().unwrap();
        let mut leaving: Vec<_> = inside
            .into_iter()
            .map(|inside| inside.leave().send())
            .collect();
        clients[0].sync("/").wait().unwrap();
        assert!(leaving.iter_mut().all(|leave| leave.try_take().is_none()));
        last.leave().wait_timeout(LIMIT).unwrap();
        for leave in leaving {
            leave.wait_timeout(LIMIT).unwrap();
        }
        let left = clients[0].get_children("/double").synced().wait().unwrap();
        assert_eq!(left.iter().count(), 0);
    }
}

pub(crate) fn entering_can_be_given_up(env: &Env) {
    let client = env.client();
    client.create("/ephemeral", "").ephemeral().wait().unwrap();
    let below = DoubleBarrier::new(&client, "/ephemeral/double", 1);
    let error = below.enter().wait_timeout(LIMIT).unwrap_err();
    assert_eq!(error, Error::NoChildrenForEphemerals);
    let barrier = DoubleBarrier::new(&client, "/double", 2);
    let error = barrier.enter().wait_timeout(Duration::from_millis(50));
    assert!(matches!(error.unwrap_err(), Error::Timeout { .. }));
    // Its node is deleted before anything that is sent later is carried out.
    let left = match client.get_children("/double").wait() {
        Err(Error::NoNode) => 0,
        left => left.unwrap().iter().count(),
    };
    assert_eq!(left, 0);
}
