//! `SetPartitioner`.

use std::time::Duration;

use zk::recipes::partitioner::{Partition, PartitionState, SetPartitioner};
use zk::{Client, Error};

use crate::support::{Env, LIMIT, expire_session, lose_connection, wait_until};

fn start(client: &Client, name: &str) -> Partition {
    let set = SetPartitioner::new(client, "/set", ["a", "b", "c"]).identifier(name);
    let set = set.time_boundary(Duration::from_millis(200));
    set.start().wait_timeout(LIMIT).unwrap()
}

#[track_caller]
fn acquired(part: &Partition, items: &[&str]) {
    part.wait_for_acquire().wait_timeout(LIMIT).unwrap();
    assert_eq!(part.items(), items);
}

fn released(part: &Partition) {
    wait_until("release", || part.state() == PartitionState::Release);
    part.release_set().wait_timeout(LIMIT).unwrap();
}

pub(crate) fn members_share_and_hand_over(env: &Env) {
    let (client, other) = (env.client(), env.client());
    let one = start(&client, "1");
    acquired(&one, &["a", "b", "c"]);
    let two = start(&other, "2");
    released(&one);
    acquired(&one, &["a", "c"]);
    acquired(&two, &["b"]);
    assert!(one.holds("a") && !one.holds("b") && two.token("b").is_some());
    two.finish().wait_timeout(LIMIT).unwrap();
    assert_eq!(two.state(), PartitionState::Failure);
    released(&one);
    acquired(&one, &["a", "b", "c"]);
    one.finish().wait_timeout(LIMIT).unwrap();
}

pub(crate) fn a_loss_is_a_release_or_the_end(env: &Env) {
    let client = env.client();
    let part = start(&client, "1");
    acquired(&part, &["a", "b", "c"]);
    lose_connection(&client);
    released(&part);
    acquired(&part, &["a", "b", "c"]);
    expire_session(&client);
    wait_until("the end", || part.state() == PartitionState::Failure);
    assert!(part.items().is_empty());
    part.release_set().wait_timeout(LIMIT).unwrap();
    assert_eq!(part.state(), PartitionState::Failure);
    let over = part.wait_for_acquire().wait_timeout(LIMIT);
    assert!(matches!(over, Err(Error::SessionExpired { .. })));
    drop(part);
    let part = start(&client, "1");
    acquired(&part, &["a", "b", "c"]);
}
