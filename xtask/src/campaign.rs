//! `cargo xtask campaign`: minutes of load and faults on a real ensemble, for each handler.

use std::time::Duration;

use zk_testkit::{Version, fetch};

use crate::error::{self, Error};
use crate::process::{cargo, succeeded, watch};
use crate::report::{Done, Report};
use crate::tally::{REAL, Tally};
use crate::workspace::Workspace;

/// The handlers, as the tests are named for them.
const HANDLERS: [&str; 5] = [
    "threads",
    "tokio_current_thread",
    "tokio_multi_thread",
    "smol_thread",
    "smol_executor",
];

/// How long each of them is under load.
const MINUTES: f64 = 10.0;

/// What starts, ends and the last look take at most, on a slow machine.
const AROUND: Duration = Duration::from_secs(15 * 60);

/// One handler after the other, or those named.
pub(crate) fn campaign(words: &[&str]) -> Result<Report, Error> {
    let usage = || Error::Usage(format!("campaign {}", words.join(" ")));
    let mut minutes = MINUTES;
    let mut named = Vec::new();
    let mut words_left = words.iter();
    while let Some(word) = words_left.next() {
        if *word == "--minutes" {
            let number = words_left.next().and_then(|text| text.parse().ok());
            minutes = number
                .filter(|minutes: &f64| minutes.is_finite() && *minutes > 0.0)
                .ok_or_else(usage)?;
        } else {
            let handler = HANDLERS.iter().find(|handler| *handler == word);
            named.push(*handler.ok_or_else(usage)?);
        }
    }
    let mut report = Report::new(false);
    for handler in HANDLERS {
        if named.is_empty() || named.contains(&handler) {
            report.step(handler, || one(handler, minutes));
        }
    }
    Ok(report)
}

/// The step of `nightly`: all handlers.
pub(crate) fn step(_: &Workspace) -> Result<Done, Error> {
    for handler in HANDLERS {
        if let left_out @ Done::LeftOut(_) = one(handler, MINUTES)? {
            return Ok(left_out);
        }
    }
    Ok(Done::Passed(format!(
        "{} handlers, {MINUTES} minutes each",
        HANDLERS.len()
    )))
}

fn one(handler: &str, minutes: f64) -> Result<Done, Error> {
    if let Err(error) = fetch(Version::V3_9) {
        return Ok(Done::LeftOut(error::chain(&error)));
    }
    let name = format!("campaigns::{handler}");
    let mut test = cargo(&["test", "--package", "zk-keeper", "--test", "main", "--"]);
    test.args(["--ignored", "--exact", "--nocapture", &name]);
    test.env(REAL, "1");
    test.env("ZK_CAMPAIGN_MINUTES", minutes.to_string());
    let limit = Duration::from_secs_f64(minutes * 60.0) + AROUND;
    let mut tally = Tally::default();
    let status = watch(&mut test, limit, |line| {
        if tally.line(line) {
            println!("{line}");
        }
    })?;
    succeeded(&test, status)?;
    match tally.cases().passed {
        1 => Ok(Done::Passed(format!("{minutes} minutes"))),
        _ => Err(Error::Tests(format!("{name} has not run"))),
    }
}
