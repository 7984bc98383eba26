//! What a cache of a large tree costs: time, memory, and requests, to fill it and to compare it after
//! the connection was lost.
//!
//! ```text
//! cargo run --release --example large_cache                        # 100,000 nodes, and a server in this process
//! cargo run --release --example large_cache -- 20000 h1:2181/test  # so many, and servers of yours: below an empty path
//! ```
//!
//! Memory is what this process has more after the cache was filled. It is read from `/proc`, and not
//! told elsewhere.

#![expect(clippy::print_stdout, reason = "an example speaks on its output")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zk::recipes::{Cache, TreeCache};
use zk::{Client, Error, Listen};
use zk_server::Server;

/// Children of one node.
const FAN: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let nodes: usize = args.next().map_or(Ok(100_000), |count| count.parse())?;
    let server = Server::start()?;
    let hosts = args.next().unwrap_or_else(|| server.hosts());
    let client = zk::threads::connect(&hosts).wait()?;
    let made = make(&client, nodes)?;
    println!("{made} nodes of 100 bytes, {FAN} below each, on {hosts}");

    let before = memory();
    let cache = Cache::new(&client, "/large");
    measure("Cache: filled", &client, || cache.start().wait())?;
    assert_eq!(cache.len(), made);
    tell_memory("Cache", before, made);
    let changed = Instant::now();
    client.set("/large/0/0", "other").wait()?;
    wait(|| {
        cache
            .get("/large/0/0")
            .is_some_and(|node| node.data == b"other")
    });
    println!("Cache: shows a change after {:?}", changed.elapsed());
    compare("Cache", &hosts, &client, &cache)?;
    tell_memory("Cache, after that", before, made);
    drop(cache);

    let cache = TreeCache::new(&client, "/large");
    cache.listen(|_| Listen::Keep);
    measure("TreeCache: filled, with a listener", &client, || {
        cache.start().wait()
    })?;
    assert_eq!(cache.as_cache().len(), made);
    compare("TreeCache", &hosts, &client, cache.as_cache())?;
    cache.close();
    client.delete("/large").recursive().wait()?;
    client.close().wait()?;
    Ok(())
}

/// What it takes to be current again after the connection was lost: when nothing was written, and when
/// something was.
fn compare(who: &str, hosts: &str, client: &Client, cache: &Cache) -> Result<(), Error> {
    let again = |what: &str| {
        measure(&format!("{who}: compared, {what}"), client, || {
            let losses = client.stats().session.losses;
            client.reconnect();
            wait(|| client.stats().session.losses > losses);
            cache.start().wait()
        })
    };
    again("nothing written")?;
    // Beside the cache: no event, and so no reply, says that it has happened.
    let other = zk::threads::connect(hosts).wait()?;
    other.create("/beside-large", "").wait()?;
    again("something written")?;
    other.delete("/beside-large").wait()?;
    other.close().wait()
}

/// Makes a tree of about so many nodes; the number is exact.
fn make(client: &Client, nodes: usize) -> Result<usize, Error> {
    let data = [b'x'; 100];
    client.create("/large", &data).wait()?;
    let mut made = 1;
    let mut pending = VecDeque::new();
    for group in 0..nodes.div_ceil(FAN + 1) {
        let parent = format!("/large/{group}");
        pending.push_back(client.create(&parent, &data).send());
        for leaf in 0..FAN {
            pending.push_back(client.create(&format!("{parent}/{leaf}"), &data).send());
        }
        while pending.len() > 5000 {
            pending
                .pop_front()
                .map_or(Ok(String::new()), |create| create.wait())?;
            made += 1;
        }
    }
    for create in pending {
        create.wait()?;
        made += 1;
    }
    Ok(made)
}

/// How long something takes, how many requests, and how many of them at once.
fn measure(
    what: &str,
    client: &Client,
    run: impl FnOnce() -> Result<(), Error> + Send,
) -> Result<(), Error> {
    let (begun, before) = (Instant::now(), client.stats().session);
    let mut most = 0;
    std::thread::scope(|scope| {
        let running = scope.spawn(run);
        while !running.is_finished() {
            most = most.max(client.stats().session.in_flight);
            std::thread::sleep(Duration::from_micros(100));
        }
        running.join().expect("it does not panic")
    })?;
    let (took, after) = (begun.elapsed(), client.stats().session);
    println!(
        "{what}: {took:.2?}, {} requests, at most {most} at once, {} KB read",
        after.requests - before.requests,
        (after.bytes_in - before.bytes_in) / 1000,
    );
    Ok(())
}

fn wait(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::sleep(Duration::from_micros(50));
    }
}

fn tell_memory(what: &str, before: Option<u64>, nodes: usize) {
    if let (Some(before), Some(after)) = (before, memory()) {
        let more = after.saturating_sub(before);
        println!(
            "{what}: {} KB, {} bytes a node",
            more / 1000,
            more / nodes as u64
        );
    }
}

/// What this process takes of the machine's memory, in bytes.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
