//! A tour of a ZooKeeper client, for real.
//!
//! ```text
//! cargo run --example quickstart                        # a server in this process
//! cargo run --example quickstart -- --hosts h1:2181,h2:2181,h3:2181
//! cargo run --example quickstart -- --restart-window 10 # time to restart a server meanwhile
//! ```

use std::process::ExitCode;
use std::time::{Duration, Instant};

use zk::prelude::*;
use zk_server::Server;

const ROOT: &str = "/zk-quickstart";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    match options.hosts {
        Some(hosts) => report(&hosts, options.restart_window),
        None => match Server::start() {
            Ok(server) => report(&server.hosts(), options.restart_window),
            Err(error) => {
                eprintln!("no server could be started in this process: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn report(hosts: &str, restart_window: Duration) -> ExitCode {
    match tour(hosts, restart_window) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe tour ended early: {error}");
            if let Error::ConnectTimeout { .. } = error {
                eprintln!("{}", HELP.replace("HOSTS", hosts));
            }
            ExitCode::FAILURE
        }
    }
}

const HELP: &str = "
No ZooKeeper server could be reached at HOSTS. What to do:
  * start one: on Debian, `apt-get install zookeeper` and
    `/usr/share/zookeeper/bin/zkServer.sh start`; or any Apache ZooKeeper
    3.6 or newer with `bin/zkServer.sh start`
  * or name one that runs: cargo run --example quickstart -- --hosts HOST:PORT
  * or take the tour without: cargo run --example quickstart";

fn tour(hosts: &str, restart_window: Duration) -> Result<(), Error> {
    step("connect");
    say(format!("to {hosts}"));
    let client = zk::threads::connect(hosts)
        .limit(Duration::from_secs(10))
        .wait()?;
    let (id, _) = client.client_id().ok_or(Error::Closed { sent: false })?;
    say(format!(
        "session {id}, timeout {:?}",
        client.negotiated_timeout().unwrap_or_default()
    ));

    step("hear of state changes");
    client.add_listener(|change| {
        say(format!(
            "[listener] {}, because {:?}",
            describe(change.to),
            change.reason
        ));
        Listen::Keep
    });

    client.delete(ROOT).recursive().wait()?;
    basics(&client)?;
    watches(&client)?;
    transaction(&client)?;
    restart(&client, restart_window)?;

    step("delete, recursively");
    client.delete(ROOT).recursive().wait()?;
    say(format!(
        "{ROOT} exists: {}",
        client.exists(ROOT).wait()?.is_some()
    ));

    step("close");
    client.close().wait()?;
    say("the server confirmed it");
    step("That was the tour.");
    Ok(())
}

fn describe(state: State) -> String {
    match state {
        State::Connected { read_only: false } => "connected".to_owned(),
        State::Connected { read_only: true } => "connected, for reading only".to_owned(),
        State::Suspended { until } => {
            let left = until.saturating_duration_since(Instant::now());
            format!("suspended; the session lives for {left:.1?} more at least")
        }
        State::Lost => "lost".to_owned(),
    }
}

fn basics(client: &Client) -> Result<(), Error> {
    step("ensure_path, create");
    client.ensure_path(&format!("{ROOT}/favorite")).wait()?;
    let node = format!("{ROOT}/favorite/node");
    let path = client.create(&node, b"a value").wait()?;
    say(format!("created {path}"));

    step("exists, get");
    say(format!(
        "exists: {}",
        client.exists(&node).wait()?.is_some()
    ));
    let (data, stat) = client.get(&node).wait()?;
    say(format!(
        "{:?}, version {}",
        String::from_utf8_lossy(&data),
        stat.version
    ));
    say(format!(
        "created at zxid {}, {} bytes",
        stat.czxid, stat.data_length
    ));

    step("get_children");
    for n in 0..3 {
        client
            .create(&format!("{ROOT}/favorite/child-{n}"), b"")
            .wait()?;
    }
    let children = client.get_children(&format!("{ROOT}/favorite")).wait()?;
    say(format!("{:?}", children.sorted()));

    step("set, with a version");
    let stat = client
        .set(&node, b"another value")
        .version(stat.version)
        .wait()?;
    say(format!("now version {}", stat.version));
    match client.set(&node, b"too late").version(0).wait() {
        Err(Error::BadVersion) => say("version 0 again: refused, BadVersion"),
        other => say(format!("unexpected: {other:?}")),
    }
    Ok(())
}

fn watches(client: &Client) -> Result<(), Error> {
    step("a one-shot watch");
    let node = format!("{ROOT}/favorite/node");
    let (_, _, watch) = client.get(&node).watched().wait()?;
    client.set(&node, b"watched").wait()?;
    let event = watch.wait()?;
    say(format!("{:?} {}", event.kind, event.path));

    step("a persistent watch, recursive");
    let mut stream = client.add_watch(ROOT).recursive().wait()?;
    client.set(&node, b"once more").wait()?;
    client.create(&format!("{ROOT}/new"), b"").wait()?;
    client.delete(&format!("{ROOT}/new")).wait()?;
    for _ in 0..3 {
        if let Some(Notice::Event(event)) = stream.next_timeout(Duration::from_secs(10))? {
            say(format!("{:?} {}", event.kind, event.path));
        }
    }
    Ok(())
}

fn transaction(client: &Client) -> Result<(), Error> {
    step("a transaction");
    let (a, b) = (format!("{ROOT}/a"), format!("{ROOT}/b"));
    let results = client
        .transaction()
        .create(&a, b"1")
        .create(&b, b"2")
        .commit()
        .wait()?;
    say(format!("all {} applied", results.len()));
    let failed = client
        .transaction()
        .delete(&a)
        .check(&b, 7)
        .delete(&b)
        .commit()
        .wait();
    match failed {
        Err(Error::Transaction(error)) => say(format!("nothing applied: {error}")),
        other => say(format!("unexpected: {other:?}")),
    }
    Ok(())
}

/// Writes through the loss of a connection. With a window there is time to restart a server.
fn restart(client: &Client, window: Duration) -> Result<(), Error> {
    step("retry across a restart of the server");
    let node = format!("{ROOT}/heartbeat");
    client.create(&node, b"0").wait()?;
    if let Some(server) = client.server() {
        say(format!("connected to {server}"));
    }
    if window.is_zero() {
        say("cutting the connection");
        zk::testing::lose_connection(client).wait()?;
    } else {
        say(format!(
            "for {window:?} now: kill, pause or restart a server"
        ));
    }
    let policy = zk::BackoffPolicy::new().max_delay(Duration::from_secs(1));
    let (start, mut beats) = (Instant::now(), 0);
    loop {
        beats += 1;
        client
            .retry(&policy, client.set(&node, beats.to_string()))
            .wait()?;
        if start.elapsed() >= window {
            break;
        }
        client.sleep(Duration::from_millis(100)).wait()?;
    }
    let (data, _) = client.retry(&policy, client.get(&node).synced()).wait()?;
    say(format!(
        "{beats} writes, the last one reads {:?}",
        String::from_utf8_lossy(&data)
    ));
    Ok(())
}

struct Options {
    /// `None`: a server in this process.
    hosts: Option<String>,
    restart_window: Duration,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let usage = "usage: quickstart [--hosts HOST:PORT,..[/CHROOT]] [--restart-window SECONDS]";
        let mut options = Self {
            hosts: None,
            restart_window: Duration::ZERO,
        };
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| usage.to_owned())?;
            match arg.as_str() {
                "--hosts" => options.hosts = Some(value),
                "--restart-window" => {
                    let seconds = value.parse().map_err(|_| usage.to_owned())?;
                    options.restart_window = Duration::from_secs(seconds);
                }
                _ => return Err(usage.to_owned()),
            }
        }
        Ok(options)
    }
}

#[expect(clippy::print_stdout, reason = "a tour shows what it sees")]
fn step(what: &str) {
    println!("\n-- {what}");
}

#[expect(clippy::print_stdout, reason = "a tour shows what it sees")]
fn say(what: impl AsRef<str>) {
    println!("   {}", what.as_ref());
}
