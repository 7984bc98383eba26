//! `Counter`.

use std::thread;

use zk::Outcome;
use zk::recipes::Counter;

use crate::support::{Direction, Env};

pub(crate) fn counters_count_in_every_format(env: &Env) {
    let client = env.client();
    let whole = Counter::new(&client, "/counters/whole");
    assert_eq!(whole.value().wait().unwrap(), 0);
    let change = whole.add(2).wait().unwrap();
    assert_eq!((change.pre_value, change.post_value), (0, 2));
    let change = whole.subtract(5).wait().unwrap();
    assert_eq!((change.pre_value, change.post_value), (2, -3));
    let float = Counter::float(&client, "/counters/float").default(0.5);
    assert_eq!(float.add(2.75).wait().unwrap().post_value, 3.25);
    assert_eq!(client.get("/counters/float").wait().unwrap().0, *b"3.25");
    let curator = Counter::curator(&client, "/counters/curator");
    curator.add(i32::MAX).wait().unwrap();
    curator.subtract(i32::MAX).wait().unwrap();
    let change = curator.subtract(i32::MAX).wait().unwrap();
    assert_eq!(change.post_value, -i32::MAX);
    let (data, _) = client.get("/counters/curator").wait().unwrap();
    assert_eq!(data, *(-i32::MAX).to_be_bytes().as_slice());
}

pub(crate) fn nobodys_addition_is_lost(env: &Env) {
    let clients = [env.client(), env.client()];
    thread::scope(|scope| {
        for client in clients.iter().cycle().take(4) {
            scope.spawn(move || {
                let counter = Counter::new(client, "/counter");
                for _ in 0..10 {
                    counter.add(1).wait().unwrap();
                }
            });
        }
    });
    assert_eq!(
        Counter::new(&clients[0], "/counter")
            .value()
            .wait()
            .unwrap(),
        40
    );
}

pub(crate) fn a_lost_reply_does_not_add_twice(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    let counter = Counter::new(&client, "/counter");
    counter.value().wait().unwrap();
    proxy.cut_after(Direction::ToClient, 0);
    // It is its read that fails, which is made again.
    assert_eq!(counter.add(1).wait().unwrap().post_value, 1);
    // Behind the reply to the read: its length, its header, the data and the stat.
    let (data, _) = client.get("/counter").wait().unwrap();
    let reply = 4 + 16 + 4 + u64::try_from(data.len()).unwrap() + 68;
    proxy.cut_after(Direction::ToClient, reply + 1);
    let error = counter.add(1).wait().unwrap_err();
    assert_eq!(error.outcome(), Some(Outcome::Unknown), "{error:?}");
    assert_eq!(counter.value().wait().unwrap(), 2);
    proxy.cut_after(Direction::ToClient, reply + 1);
    assert_eq!(counter.marked().add(1).wait().unwrap().post_value, 3);
}
