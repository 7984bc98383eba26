//! [`Queue`].

use std::collections::BTreeSet;
use std::time::Duration;

use zk_client::{Error, Outcome, RecipeError};
use zk_proto::OpCode;
use zk_recipes::Queue;
use zk_server::Fault;

use crate::stage::Stage;

#[test]
fn items_come_in_order() {
    let stage = Stage::new(1);
    let client = stage.client("app");
    let queue = Queue::new(&client, "/queues/mails");
    assert_eq!(stage.run(queue.len()), 0);
    assert_eq!(stage.run(queue.get()), None);
    for (item, priority) in [("c", 100), ("d", 100), ("a", 5), ("e", 999), ("b", 10)] {
        stage.run(queue.put_with_priority(item, priority));
    }
    let names = stage.children("/queues/mails");
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        [
            "entry-005-0000000002",
            "entry-010-0000000004",
            "entry-100-0000000000",
            "entry-100-0000000001",
            "entry-999-0000000003",
        ]
    );
    assert_eq!(stage.run(queue.len()), 5);
    for item in ["a", "b", "c", "d", "e"] {
        assert_eq!(stage.run(queue.get()).unwrap(), *item.as_bytes());
    }
    assert_eq!(stage.run(queue.get()), None);
    let error = stage.fail(queue.put_with_priority("x", 1000));
    assert!(
        matches!(error, Error::Recipe(RecipeError::OutOfBounds { .. })),
        "{error:?}"
    );
}

#[test]
fn every_item_has_one_consumer() {
    let stage = Stage::new(2);
    let clients: Vec<_> = (0..5).map(|n| stage.client(&format!("app{n}"))).collect();
    let queue = Queue::new(&clients[0], "/q");
    for n in 0..50 {
        stage.run(queue.put(n.to_string()));
    }
    let consumers: Vec<_> = clients
        .iter()
        .map(|client| {
            let queue = Queue::new(client, "/q");
            client.run(async move {
                let mut items = Vec::new();
                while let Some(item) = queue.get().await? {
                    items.push(String::from_utf8_lossy(&item).into_owned());
                }
                Ok(items)
            })
        })
        .collect();
    let mut all = BTreeSet::new();
    let mut count = 0;
    for consumer in consumers {
        let items = stage.run(consumer);
        count += items.len();
        all.extend(items);
    }
    assert_eq!((all.len(), count), (50, 50));
    assert!(stage.children("/q").is_empty());
}

/// kazoo: the item is lost without a word if the reply to the delete is.
#[test]
fn quirk_an_item_that_is_perhaps_lost_is_told() {
    let stage = Stage::new(3);
    let client = stage.client("app");
    let queue = Queue::new(&client, "/q");
    stage.run(queue.put("one"));
    stage.run(queue.put("two"));
    stage.inject(OpCode::DELETE, Fault::CutBefore);
    assert_eq!(
        stage.run(queue.get()).unwrap(),
        *b"one",
        "it was still there"
    );
    stage.inject(OpCode::DELETE, Fault::CutAfter);
    let error = stage.fail(queue.get());
    assert_eq!(error.outcome(), Some(Outcome::Unknown), "{error:?}");
    assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
    stage.assert_faults_happened();
    assert_eq!(stage.run(queue.get()), None);
}

#[test]
fn an_item_whose_put_was_not_answered_is_not_put_again() {
    for (fault, count) in [(Fault::CutAfter, 1), (Fault::CutBefore, 0)] {
        let stage = Stage::new(4);
        let client = stage.client("app");
        let queue = Queue::new(&client, "/q");
        stage.run(client.ensure_path("/q"));
        stage.inject(OpCode::CREATE, fault);
        assert_eq!(stage.fail(queue.put("x")).outcome(), Some(Outcome::Unknown));
        assert_eq!(stage.run(queue.len()), count);
    }
}

#[test]
fn getting_goes_on_in_a_new_session() {
    let stage = Stage::new(5);
    let client = stage.client("app");
    let queue = Queue::new(&client, "/q");
    stage.run(queue.put("one"));
    let partition = stage.part("app");
    let get = queue.get().send();
    stage.expire(Stage::session(&client));
    stage.pass(Duration::from_secs(1));
    stage.network().heal(partition);
    assert_eq!(stage.run(get).unwrap(), *b"one");
}

#[test]
fn everything_below_the_path_is_an_item() {
    let stage = Stage::new(6);
    let client = stage.client("app");
    stage.run(client.create("/q/other", "x").make_path());
    let queue = Queue::new(&client, "/q");
    assert_eq!(stage.run(queue.len()), 1);
    assert_eq!(stage.run(queue.get()).unwrap(), *b"x");
}
