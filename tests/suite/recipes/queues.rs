//! `Queue`, `LockingQueue`.

use std::collections::BTreeSet;
use std::time::Duration;

use zk::recipes::{LockingQueue, Queue};
use zk::{Error, RecipeError};

use crate::support::{Env, LIMIT, expire_session, lose_connection};

pub(crate) fn a_queue_is_in_order(env: &Env) {
    let client = env.client();
    let queue = Queue::new(&client, "/queues/q");
    assert_eq!(queue.len().wait().unwrap(), 0);
    assert_eq!(queue.get().wait().unwrap(), None);
    for (item, priority) in [("c", 100), ("a", 1), ("d", 100), ("b", 50)] {
        queue.put_with_priority(item, priority).wait().unwrap();
    }
    queue.put("e").wait().unwrap();
    assert_eq!(queue.len().wait().unwrap(), 5);
    for item in ["a", "b", "c", "d", "e"] {
        assert_eq!(queue.get().wait().unwrap().unwrap(), *item.as_bytes());
    }
    assert_eq!(queue.get().wait().unwrap(), None);
    let error = queue.put_with_priority("x", 1000).wait().unwrap_err();
    assert!(matches!(
        error,
        Error::Recipe(RecipeError::OutOfBounds { .. })
    ));
    let locking = LockingQueue::new(&client, "/queues/locking");
    let error = locking.put_all_with_priority(["x", "y"], 1000).wait();
    assert!(matches!(
        error.unwrap_err(),
        Error::Recipe(RecipeError::OutOfBounds { .. })
    ));
    assert_eq!(locking.len().wait().unwrap(), 0);
}

pub(crate) fn an_item_is_claimed_until_it_is_consumed(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let (queue, others) = (
        LockingQueue::new(&client, "/q"),
        LockingQueue::new(&other, "/q"),
    );
    assert!(queue.try_get().wait().unwrap().is_none());
    queue.put_all(["one", "two"]).wait().unwrap();
    queue.put_with_priority("zero", 3).wait().unwrap();
    let zero = queue.get().wait_timeout(LIMIT).unwrap();
    assert_eq!(zero.data(), b"zero");
    assert!(zero.is_held() && zero.holds_lock().wait().unwrap());
    let one = others.get().wait_timeout(LIMIT).unwrap();
    assert_eq!(one.data(), b"one");
    assert_eq!(
        queue.len().wait().unwrap(),
        3,
        "those that are held are counted"
    );
    zero.consume().wait().unwrap();
    one.release().wait().unwrap();
    let one = queue.get().wait_timeout(LIMIT).unwrap();
    assert_eq!(one.data(), b"one");
    drop(one);
    client.sync("/").wait().unwrap();
    for item in ["one", "two"] {
        let next = others.get().wait_timeout(LIMIT).unwrap();
        assert_eq!(next.data(), item.as_bytes());
        next.consume().wait().unwrap();
    }
    assert_eq!(queue.len().wait().unwrap(), 0);
}

pub(crate) fn three_at_once_get_one_item(env: &Env) {
    let clients = [env.client(), env.client(), env.client()];
    let waiting: Vec<_> = clients
        .iter()
        .map(|client| LockingQueue::new(client, "/q").get().send())
        .collect();
    LockingQueue::new(&clients[0], "/q")
        .put("x")
        .wait()
        .unwrap();
    let results = waiting
        .into_iter()
        .map(|wait| wait.wait_timeout(Duration::from_millis(400)));
    let (got, not): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
    assert_eq!((got.len(), not.len()), (1, 2));
    for item in got {
        item.unwrap().consume().wait().unwrap();
    }
}

pub(crate) fn waiting_goes_on_after_losses(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let (queue, others) = (
        LockingQueue::new(&client, "/q"),
        LockingQueue::new(&other, "/q"),
    );
    let waiting = queue.get().send();
    client.sync("/").wait().unwrap();
    lose_connection(&client);
    others.put("one").wait().unwrap();
    let one = waiting.wait_timeout(LIMIT).unwrap();
    let waiting = queue.get().send();
    expire_session(&client);
    assert!(!one.is_held());
    assert_eq!(one.consume().wait().unwrap_err(), Error::NotHeld);
    let one = waiting.wait_timeout(LIMIT).unwrap();
    assert_eq!(one.data(), b"one", "the claim went with the session");
    one.consume().wait().unwrap();
}

pub(crate) fn every_item_of_a_queue_is_taken_once(env: &Env) {
    let clients = [env.client(), env.client(), env.client()];
    let queue = Queue::new(&clients[0], "/q");
    for n in 0..30 {
        queue.put(n.to_string()).wait().unwrap();
    }
    let consumers: Vec<_> = clients
        .iter()
        .map(|client| {
            let queue = Queue::new(client, "/q");
            client.run(async move {
                let mut items = Vec::new();
                while let Some(item) = queue.get().await? {
                    items.push(item.to_vec());
                }
                Ok(items)
            })
        })
        .collect();
    let taken: Vec<_> = consumers
        .into_iter()
        .flat_map(|consumer| consumer.wait_timeout(LIMIT).unwrap())
        .collect();
    assert_eq!(taken.len(), 30);
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>().len(), 30);
}
