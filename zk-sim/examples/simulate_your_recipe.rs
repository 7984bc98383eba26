//! A recipe of one's own in the simulator: a bug that needs a bad day is found, with its seed.
//!
//! ```text
//! cargo run -p zk-sim --example simulate_your_recipe              # look for a seed that fails
//! cargo run -p zk-sim --example simulate_your_recipe -- SEED      # and see what happened
//! ```
//!
//! Three machines count up together. Whoever makes the node `/lock` may read the counter, add one
//! and write it back. [`Way::Naive`] trusts in that. But a machine that is paused for longer than its
//! session lasts goes on with its work, in a new session, and writes what is long out of date.
//! [`Way::Fenced`] writes only if the counter is still as it was read.

#![expect(clippy::print_stdout, reason = "an example speaks on its output")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use zk_client::{Client, Error};
use zk_sim::{FaultKind, FaultPlan, Sim};

const MACHINES: [&str; 3] = ["app1", "app2", "app3"];

/// A few seconds of work. Whoever looks for rarer faults takes thousands, and a release build.
const SEEDS: u64 = 10;

/// How the counter is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// Whoever has the lock is alone.
    Naive,
    /// Whoever has the lock thinks so.
    Fenced,
}

/// The recipe. It knows nothing of simulators: in production it runs on threads, tokio or smol.
async fn count_up(client: &Client, way: Way) -> Result<(), Error> {
    client.create("/lock", "").ephemeral().await?;
    let (data, stat) = client.get("/counter").await?;
    // The work that the lock is for.
    for _ in 0..10 {
        client.sleep(Duration::from_millis(100)).await?;
    }
    let next = (count_of(&data) + 1).to_string();
    let write = client.set("/counter", next);
    let written = match way {
        Way::Naive => write.await,
        Way::Fenced => write.version(stat.version).await,
    };
    client.delete("/lock").await?;
    written.map(drop)
}

fn count_of(data: &[u8]) -> u64 {
    String::from_utf8_lossy(data).parse().unwrap_or(0)
}

/// A program that runs until the machine crashes. `done` counts what it was told to be written.
async fn program(machine: zk_sim::Machine, way: Way, done: Arc<AtomicU64>) {
    let client = Client::builder("s1:2181")
        .session_timeout(Duration::from_secs(4))
        .start(machine.handler())
        .expect("the options are valid");
    loop {
        // Not created, or created by somebody else: both is fine.
        client.create("/counter", "0").await.ok();
        if count_up(&client, way).await.is_ok() {
            done.fetch_add(1, Ordering::Relaxed);
        }
        machine.sleep(Duration::from_millis(50)).await;
    }
}

/// What was wrong under a seed: a minute of faults, and then a look at what is left.
fn run(seed: u64, way: Way, traced: bool) -> Result<(), String> {
    let sim = Sim::new(seed);
    if traced {
        sim.keep_trace();
    }
    let server = sim.standalone("s1:2181", zk_server::Options::new());
    let done = Arc::new(AtomicU64::new(0));
    for name in MACHINES {
        let done = Arc::clone(&done);
        // Started again after each crash.
        sim.machine(name)
            .boot(move |machine| program(machine, way, Arc::clone(&done)));
    }
    let faults = FaultPlan::new(&MACHINES, &["s1"]).rate(FaultKind::ClientPause, 12.0);
    sim.unleash(&faults);
    sim.run_for(Duration::from_secs(90))
        .map_err(|error| error.to_string())?;

    let observer = sim.machine("observer");
    let told = done.load(Ordering::Relaxed);
    let counted = sim
        .block_on(async {
            let client = Client::builder(server.hosts())
                .connect(observer.handler())
                .await?;
            let (data, _) = client.get("/counter").linearizable().await?;
            Ok::<_, Error>(count_of(&data))
        })
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    if traced {
        println!("{}", sim.trace());
    }
    // More is possible: what was written without an answer is not in `told`.
    if counted < told {
        return Err(format!(
            "seed {seed}: {told} times one was added, and it is {counted}"
        ));
    }
    Ok(())
}

fn main() -> Result<(), String> {
    if let Some(seed) = std::env::args().nth(1) {
        let seed = seed.parse().map_err(|_| format!("{seed} is not a seed"))?;
        return run(seed, Way::Naive, true);
    }
    let failure = (0..SEEDS).find_map(|seed| run(seed, Way::Naive, false).err());
    let failure = failure.ok_or_else(|| format!("{SEEDS} seeds have not found the bug"))?;
    println!("naive:  {failure}");
    for seed in 0..SEEDS {
        run(seed, Way::Fenced, false)?;
    }
    println!("fenced: {SEEDS} seeds, and nothing was lost");
    Ok(())
}
