//! Watches of every kind, a connection that is cut, and changes meanwhile: each watch fires or
//! reports a gap.

use std::time::{Duration, Instant};

use zk::{Client, EventType, Notice, Watch, WatchStream};
use zk_testkit::{Options, Proxy, Version};

use super::{client, close_clean, cluster};

const EACH: usize = 400;
const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn all_watches_survive_a_cut(version: Version) {
    let cluster = cluster(version, Options::new());
    let proxy = Proxy::start(cluster.address(0)).unwrap();
    let watcher = client(&proxy.address().to_string(), Duration::from_secs(40));
    let changer = client(&cluster.connect_string(), Duration::from_secs(40));
    for kind in ["data", "exist", "child", "persistent", "recursive"] {
        changer.ensure_path(&format!("/{kind}")).wait().unwrap();
        if kind != "exist" {
            each(|n| changer.create(&format!("/{kind}/{n}"), b"").send());
        }
    }
    let mut set = Set::new(&watcher);
    assert_eq!(watcher.stats().session.watches, 5 * EACH);

    // Half of everything changes while the watcher is away, the other half afterwards.
    proxy.refuse(true).unwrap();
    proxy.cut();
    wait_until(|| !watcher.connected());
    set.change(&changer, |n| n % 2 == 0);
    proxy.refuse(false).unwrap();
    watcher.until_connected().wait_timeout(LIMIT).unwrap();
    set.expect_one_shots(|n| n % 2 == 0, "what changed meanwhile is caught up with");
    set.expect_gaps();
    set.change(&changer, |n| n % 2 == 1);
    set.expect_one_shots(|n| n % 2 == 1, "what did not change is watched still");
    set.expect_events();
    drop(set);
    wait_until(|| watcher.stats().session.watched_paths == 0);
    close_clean(&watcher);
    close_clean(&changer);
}

struct Set {
    data: Vec<Option<Watch>>,
    exist: Vec<Option<Watch>>,
    child: Vec<Option<Watch>>,
    persistent: Vec<WatchStream>,
    recursive: Vec<WatchStream>,
}

impl Set {
    fn new(client: &Client) -> Self {
        Self {
            data: each(|n| client.get(&format!("/data/{n}")).watched().send())
                .into_iter()
                .map(|(_, _, watch)| Some(watch))
                .collect(),
            exist: each(|n| client.exists(&format!("/exist/{n}")).watched().send())
                .into_iter()
                .map(|(_, watch)| Some(watch))
                .collect(),
            child: each(|n| client.get_children(&format!("/child/{n}")).watched().send())
                .into_iter()
                .map(|(_, watch)| Some(watch))
                .collect(),
            persistent: each(|n| client.add_watch(&format!("/persistent/{n}")).send()),
            recursive: each(|n| {
                client
                    .add_watch(&format!("/recursive/{n}"))
                    .recursive()
                    .send()
            }),
        }
    }

    /// Changes what the watches of the chosen numbers wait for.
    fn change(&self, changer: &Client, chosen: impl Fn(usize) -> bool) {
        let mut pending = Vec::new();
        for n in (0..EACH).filter(|n| chosen(*n)) {
            pending.push(changer.create(&format!("/exist/{n}"), b"").send());
            pending.push(changer.create(&format!("/child/{n}/below"), b"").send());
            pending.push(
                changer
                    .create(&format!("/persistent/{n}/below"), b"")
                    .send(),
            );
            pending.push(changer.create(&format!("/recursive/{n}/below"), b"").send());
            changer
                .set(&format!("/data/{n}"), b"changed")
                .send()
                .detach();
        }
        for result in pending {
            result.wait().unwrap();
        }
        changer.sync("/").wait().unwrap();
    }

    fn expect_one_shots(&mut self, chosen: impl Fn(usize) -> bool, what: &str) {
        for (watches, kind, expected) in [
            (&mut self.data, "data", EventType::NODE_DATA_CHANGED),
            (&mut self.exist, "exist", EventType::NODE_CREATED),
            (&mut self.child, "child", EventType::NODE_CHILDREN_CHANGED),
        ] {
            for (n, place) in watches.iter_mut().enumerate() {
                if !chosen(n) {
                    let early = place.as_mut().and_then(Watch::try_take);
                    assert!(early.is_none() || place.is_none(), "{kind} {n}: {early:?}");
                    continue;
                }
                let mut watch = place.take().unwrap();
                let event = watch
                    .wait_for(LIMIT)
                    .unwrap_or_else(|| panic!("{kind} {n}: {what}"));
                let event = event.unwrap();
                assert_eq!(event.kind, expected, "{kind} {n}");
                assert_eq!(event.path, format!("/{kind}/{n}"));
            }
        }
    }

    fn expect_gaps(&mut self) {
        for stream in self.persistent.iter_mut().chain(&mut self.recursive) {
            let first = stream.next_timeout(LIMIT).unwrap();
            assert!(matches!(first, Some(Notice::Gap { .. })), "{first:?}");
        }
    }

    fn expect_events(&mut self) {
        for (n, stream) in self
            .persistent
            .iter_mut()
            .enumerate()
            .filter(|(n, _)| n % 2 == 1)
        {
            let kind = EventType::NODE_CHILDREN_CHANGED;
            expect(stream, kind, &format!("/persistent/{n}"));
        }
        for (n, stream) in self
            .recursive
            .iter_mut()
            .enumerate()
            .filter(|(n, _)| n % 2 == 1)
        {
            expect(
                stream,
                EventType::NODE_CREATED,
                &format!("/recursive/{n}/below"),
            );
        }
    }
}

fn expect(stream: &mut WatchStream, kind: EventType, path: &str) {
    match stream.next_timeout(LIMIT).unwrap() {
        Some(Notice::Event(event)) => {
            assert_eq!(event.kind, kind);
            assert_eq!(event.path, path);
        }
        other => panic!("{path}: {other:?}"),
    }
}

/// Sends one call for each number, then waits for all.
fn each<T: Send + 'static>(send: impl Fn(usize) -> zk::AsyncResult<T>) -> Vec<T> {
    let pending: Vec<_> = (0..EACH).map(send).collect();
    pending
        .into_iter()
        .map(|result| result.wait().unwrap())
        .collect()
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < end, "not within {LIMIT:?}");
        std::thread::yield_now();
    }
}
