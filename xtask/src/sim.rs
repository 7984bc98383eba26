//! `cargo xtask sim`: clients and servers simulated under all faults, seed by seed.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::process::{LONG, cargo, succeeded, watch};
use crate::report::Done;
use crate::workspace::Workspace;

/// How many fresh seeds a change must pass.
const SEEDS: &str = "1000";

/// Within so many seeds each planted fault must be found. They are always the same, so that nothing
/// hangs on luck.
const HUNT: &str = "300";

/// The limit of a campaign that was asked for.
const CAMPAIGN: Duration = Duration::from_secs(24 * 3600);

/// Runs the program with these arguments; `Ok(false)` if it found fault.
pub(crate) fn sim(workspace: &Workspace, arguments: &[&str]) -> Result<bool, Error> {
    // Faults are planted where the compiler is told to, and nowhere else.
    let planted = arguments.iter().any(|word| word.contains("mutant"));
    let mut last = String::new();
    run(workspace, arguments, planted, CAMPAIGN, &mut last)
}

/// Fresh seeds, and all planted faults.
pub(crate) fn step(workspace: &Workspace) -> Result<Done, Error> {
    let runs = fresh(workspace, SEEDS, LONG)?;
    mutants(workspace)?;
    Ok(Done::Passed(runs))
}

/// The step of `nightly`: ten times as many fresh seeds.
pub(crate) fn long(workspace: &Workspace) -> Result<Done, Error> {
    fresh(workspace, "10000", CAMPAIGN).map(Done::Passed)
}

/// All planted faults are found.
pub(crate) fn mutants(workspace: &Workspace) -> Result<Done, Error> {
    let mut last = String::new();
    let mutants = ["--mutants", "--first", "0", "--seeds", HUNT];
    if !run(workspace, &mutants, true, LONG, &mut last)? {
        return Err(Error::Tests("a planted fault was not found".to_owned()));
    }
    Ok(Done::Passed(last))
}

/// So many seeds that nobody has had before.
fn fresh(workspace: &Workspace, count: &str, limit: Duration) -> Result<String, Error> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    let first = clock
        .map_or(0, |time| time.as_secs() * 1_000_000)
        .to_string();
    let mut last = String::new();
    let seeds = ["--first", &first, "--seeds", count];
    if !run(workspace, &seeds, false, limit, &mut last)? {
        return Err(Error::Tests(format!("a campaign failed: {last}")));
    }
    // As many of each recipe, which are quicker.
    let recipes = [&seeds[..], &["--recipe", "all"]].concat();
    let mut said = String::new();
    if !run(workspace, &recipes, false, limit, &mut said)? {
        return Err(Error::Tests(format!(
            "a campaign of recipes failed: {said}"
        )));
    }
    Ok(last)
}

fn run(
    workspace: &Workspace,
    arguments: &[&str],
    planted: bool,
    limit: Duration,
    last: &mut String,
) -> Result<bool, Error> {
    let mut campaign = cargo(&[
        "run",
        "--quiet",
        "--profile",
        "campaign",
        "--package",
        "zk-campaign",
        "--",
    ]);
    campaign.args(arguments);
    if planted {
        // The flag changes the crates, hence a directory of its own.
        campaign.env("CARGO_TARGET_DIR", workspace.target.join("planted"));
        let flags = env::var("RUSTFLAGS").unwrap_or_default();
        campaign.env("RUSTFLAGS", format!("{flags} --cfg zk_planted"));
    }
    let status = watch(&mut campaign, limit, |line| {
        println!("{line}");
        line.clone_into(last);
    })?;
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => succeeded(&campaign, status).map(|()| true),
    }
}
