//! What becomes of a cache when something may have been missed.

use zk_client::Client;
use zk_recipes::cache::Cache;

use super::{assert_equal, listen, make, take};
use crate::universe::{Away, Universe, millis, seconds};

#[test]
fn after_a_gap_only_what_differs_is_told() {
    let universe = Universe::new(4);
    let (client, other) = (universe.client("app"), universe.client("other"));
    let kept: Vec<String> = (0..300).map(|i| format!("/a/kept{i}/leaf")).collect();
    universe.end(async {
        for path in &kept {
            other.create(path, "").make_path().await.unwrap();
        }
        make(
            &other,
            &[
                "/a/gone",
                "/a/gone/below",
                "/a/again",
                "/a/again/below",
                "/a/set",
            ],
        )
        .await;
    });
    let cache = Cache::new(&client, "/a");
    universe.run(cache.start());
    let words = listen(&cache);
    let away = universe.sim.network().partition(&["app"], &["s1"]);
    universe.end(async {
        other.delete("/a/gone").recursive().await.unwrap();
        other.delete("/a/again").recursive().await.unwrap();
        make(&other, &["/a/again", "/a/new", "/a/new/below"]).await;
        other.set("/a/set", "new").await.unwrap();
    });
    universe.pass(seconds(5));
    assert!(!cache.is_current());
    assert!(cache.get("/a/gone").is_some(), "it keeps what it has");
    universe.sim.network().heal(away);
    universe.run(cache.start());
    assert_equal(&universe, &cache, "/a");
    let mut words: Vec<_> = take(&words)
        .into_iter()
        .filter(|word| word != "state")
        .collect();
    assert_eq!(words.pop().unwrap(), "synced");
    words.sort();
    let expected = [
        "+/a/again",
        "+/a/new",
        "+/a/new/below",
        "-/a/again",
        "-/a/again/below",
        "-/a/gone",
        "-/a/gone/below",
        "=/a/set",
    ];
    assert_eq!(words, expected);
}

#[test]
fn a_cache_goes_on_in_the_next_session() {
    let universe = Universe::new(5);
    let (client, other) = (universe.client("app"), universe.client("other"));
    universe.end(make(&other, &["/a", "/a/b"]));
    universe.run(client.create("/a/own", "").ephemeral());
    let cache = Cache::new(&client, "/a");
    universe.run(cache.start());
    assert_eq!(cache.len(), 3);
    universe.expire(&client);
    universe.run(cache.start());
    assert_equal(&universe, &cache, "/a");
    assert_eq!(cache.len(), 2);
    universe.run(other.create("/a/c", ""));
    universe.pass(seconds(1));
    assert_equal(&universe, &cache, "/a");
}

#[test]
fn a_tree_in_motion_is_met_at_rest() {
    for seed in 0..6 {
        let universe = Universe::new(seed);
        let client = universe.client("app");
        let others = [universe.client("one"), universe.client("two")];
        universe.sim.network().set_splits(0.5);
        for (index, other) in others.iter().enumerate() {
            let (other, mut rng) = (other.clone(), universe.sim.rng(&index.to_string()));
            client.spawn(async move {
                for step in 0..150 {
                    let depth = 1 + rng.below(3);
                    let mut path = "/a".to_owned();
                    for _ in 0..depth {
                        path += &format!("/{}", rng.below(3));
                    }
                    match rng.below(3) {
                        0 => drop(other.create(&path, "").make_path().await),
                        1 => drop(other.set(&path, step.to_string()).await),
                        _ => drop(other.delete(&path).recursive().await),
                    }
                }
            });
        }
        let cache = Cache::new(&client, "/a");
        let words = listen(&cache);
        universe.run(cache.start());
        for _ in 0..10 {
            universe.pass(millis(20 + seed * 3));
            universe
                .sim
                .network()
                .cut("app", "s1", zk_sim::Cut::BeforeDelivery);
        }
        universe.pass(seconds(60));
        assert_equal(&universe, &cache, "/a");
        // Told in order, the events give the same.
        let mut known = std::collections::BTreeSet::new();
        for word in take(&words) {
            match word.split_at(1) {
                ("+", path) => assert!(known.insert(path.to_owned()), "{path} came twice"),
                ("-", path) => assert!(known.remove(path), "{path} was not there"),
                ("=", path) => assert!(known.contains(path), "{path} is not there"),
                _ => {}
            }
        }
        let there = cache.snapshot("/a").into_iter().map(|node| node.path);
        assert_eq!(known.into_iter().collect::<Vec<_>>(), {
            let mut there: Vec<_> = there.collect();
            there.sort();
            there
        });
    }
}

#[test]
fn many_caches_do_not_drown_a_server() {
    let universe = Universe::new(9);
    let client = universe.client("app");
    universe.end(async {
        make(&client, &["/a"]).await;
        for i in 0..5000 {
            client.create(&format!("/a/{i}"), "").await.unwrap();
        }
    });
    let cache = Cache::new(&client, "/a");
    let before = client.stats().session.requests;
    universe.run(cache.start());
    let filled = client.stats().session.requests - before;
    assert!(filled <= 5000 / 128 + 5, "{filled} requests");
    // Else there would be nothing to compare.
    let away = universe.away("app");
    universe.run(universe.client("other").create("/other", ""));
    universe.back(away);
    universe.pass(millis(1));
    let mut most = 0;
    while !cache.is_current() {
        universe.pass(millis(1));
        most = most.max(client.stats().session.in_flight);
    }
    assert!(most <= 8, "{most} requests at once");
}

/// A client with a full cache of a tree of 2,001 nodes: twenty with ninety-nine below each.
fn two_thousand(universe: &Universe) -> (Client, Client, Cache, u64) {
    let (client, other) = (universe.client("app"), universe.client("other"));
    let before = client.stats().session;
    universe.end(async {
        make(&other, &["/a"]).await;
        for dir in 0..20 {
            make(&other, &[&format!("/a/dir{dir}")]).await;
            for leaf in 0..99 {
                make(
                    &other,
                    &[&format!("/a/dir{dir}/a leaf with a long name {leaf}")],
                )
                .await;
            }
        }
    });
    let cache = Cache::new(&client, "/a");
    universe.run(cache.start());
    assert_eq!(cache.len(), 2001);
    let bytes = client.stats().session.bytes_in - before.bytes_in;
    (client, other, cache, bytes)
}

/// How many requests and bytes of replies it takes until the cache is current again.
fn refill(universe: &Universe, client: &Client, cache: &Cache, away: Away) -> (u64, u64) {
    let before = client.stats().session;
    assert!(!cache.is_current());
    universe.back(away);
    universe.run(cache.start());
    assert!(cache.is_current());
    let after = client.stats().session;
    (
        after.requests - before.requests,
        after.bytes_in - before.bytes_in,
    )
}

/// Nothing was written, by anybody: nothing is read.
#[test]
fn a_gap_in_which_nothing_was_written_costs_nothing() {
    let universe = Universe::new(10);
    let (client, other, cache, _) = two_thousand(&universe);
    let words = listen(&cache);
    for _ in 0..3 {
        let away = universe.away("app");
        let (requests, bytes) = refill(&universe, &client, &cache, away);
        // The session's own, to connect and to set the watch.
        assert!(requests <= 2 && bytes < 400, "{requests} requests, {bytes}");
        let told = take(&words);
        let expected = ["state", "state", "synced"];
        assert_eq!(told, expected);
    }
    // It follows as before.
    universe.run(other.set("/a/dir7", "new"));
    universe.pass(seconds(1));
    assert_eq!(take(&words), ["=/a/dir7"]);
    assert_equal(&universe, &cache, "/a");
}

/// Something was written: each node is read once, however many there are in a request, and only
/// those lists that are not as they were.
#[test]
fn a_gap_costs_one_read_of_each_node_at_most() {
    let universe = Universe::new(11);
    let (client, other, cache, filled) = two_thousand(&universe);
    let words = listen(&cache);
    let names = 1980 * "a leaf with a long name 42".len() as u64;
    let bound = 2001 / 128 + 5;

    // Elsewhere.
    let away = universe.away("app");
    universe.run(other.create("/elsewhere", ""));
    let (requests, elsewhere) = refill(&universe, &client, &cache, away);
    assert!(requests <= bound, "{requests} requests");
    assert!(
        elsewhere < filled - names,
        "{elsewhere} bytes, though no list was needed; {filled} at first"
    );
    assert_eq!(take(&words), ["state", "state", "synced"]);

    // Here: two lists have changed, one of them not in length.
    let away = universe.away("app");
    universe.end(async {
        other
            .delete("/a/dir3/a leaf with a long name 7")
            .await
            .unwrap();
        make(&other, &["/a/dir3/new", "/a/dir5/new"]).await;
        other.set("/a/dir9", "new").await.unwrap();
    });
    let (requests, here) = refill(&universe, &client, &cache, away);
    assert!(requests <= bound + 2, "{requests} requests");
    assert!(
        here < elsewhere + names / 5,
        "{here} bytes, {elsewhere} if no list has changed"
    );
    assert_equal(&universe, &cache, "/a");
    assert_eq!(take(&words).len(), 3 + 4);
}

/// Whatever happens right before a loss, while away, and while the tree is walked over.
#[test]
fn no_gap_hides_anything() {
    for seed in 0..6 {
        let universe = Universe::new(seed);
        let (client, other) = (universe.client("app"), universe.client("other"));
        universe.sim.network().set_splits(0.5);
        let mut rng = universe.sim.rng("what is done");
        universe.end(make(&other, &["/a"]));
        let cache = Cache::new(&client, "/a");
        universe.run(cache.start());
        for step in 0..60 {
            let batch: Vec<_> = (0..rng.below(12))
                .map(|_| {
                    let path = format!("/a/{}/{}", rng.below(6), rng.below(4));
                    (rng.below(4), path)
                })
                .collect();
            let act = async {
                for (what, path) in &batch {
                    match what {
                        0 => drop(other.set(path, step.to_string()).await),
                        1 => drop(other.delete(path).await),
                        // Two in one directory by one transaction, of which one event may be lost.
                        2 => {
                            let next = format!("{path}x");
                            let both = other.transaction().create(path, "").create(&next, "");
                            drop(both.commit().await);
                        }
                        _ => drop(other.create(path, "").make_path().await),
                    }
                }
            };
            match rng.below(4) {
                // Right before the loss: events are on their way.
                0 => {
                    universe.end(act);
                    universe.cut("app");
                }
                // While it is away.
                1 => {
                    let away = universe.away("app");
                    universe.end(act);
                    universe.back(away);
                }
                // A second loss, while the tree is walked over.
                2 => {
                    let away = universe.away("app");
                    universe.end(act);
                    universe.back(away);
                    universe.end(client.until_connected()).unwrap();
                    universe.pass(millis(1) * u32::try_from(rng.below(4)).unwrap());
                    let network = universe.sim.network();
                    network.cut("app", "s1", zk_sim::Cut::BeforeDelivery);
                }
                // Nothing at all.
                _ => universe.cut("app"),
            }
            // A loss that has not been noticed yet is none.
            universe.pass(seconds(1));
            universe.run(cache.start());
            assert!(cache.is_current());
            assert_equal(&universe, &cache, "/a");
        }
    }
}
