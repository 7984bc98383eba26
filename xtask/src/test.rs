//! `cargo xtask test`.

use std::env;
use std::process::Command;

use zk_testkit::{Version, fetch, peers};

use crate::error::{self, Error};
use crate::failures::Failures;
use crate::process::{LONG, Line, cargo, observe, succeeded};
use crate::report::{Done, Report, Verdict};
use crate::tally::{Cases, REAL, Tally};
use crate::workspace::Workspace;

/// Names the versions of ZooKeeper that the tests are to run.
const VERSIONS: &str = "ZK_VERSIONS";

/// Makes what is left out count as failed.
pub(crate) const STRICT: &str = "ZK_STRICT";

/// Runs the tests: those that need only Rust, and unless `quick` those on real servers.
pub(crate) fn test(workspace: &Workspace, quick: bool) -> Result<Report, Error> {
    let versions = versions(env::var(VERSIONS).ok().as_deref())?;
    let strict = env::var_os(STRICT).is_some_and(|value| value == "1");
    let mut report = Report::new(strict);

    let mut alone = cargo(&["test", "--workspace"]);
    let waiting = cases(&mut report, "Rust alone", alone.env_remove(REAL), &[]);

    let mut here = 0;
    for version in versions.iter().filter(|_| !quick) {
        report.step(&format!("fetch ZooKeeper {version}"), || fetched(*version));
        let name = format!("ZooKeeper {version}, alone and three");
        if report.last() != Some(Verdict::Passed) {
            report.step(&name, || Ok(Done::LeftOut("it is not here".to_owned())));
        } else if workspace.root.join("tests/main.rs").exists() {
            let mut suite = cargo(&["test", "--package", "zk-keeper", "--test", "main"]);
            // The modules with real servers are named for the versions.
            let only = version.to_string().replace('.', "_");
            let (suites, faults) = (format!("on_{only}"), format!("v{only}"));
            cases(
                &mut report,
                &name,
                suite.env(REAL, "1"),
                &["--include-ignored", &suites, &faults],
            );
            here += 1;
        } else {
            report.step(&name, || Ok(Done::LeftOut("no tests/main.rs".to_owned())));
            here += 1;
        }
    }

    let harness = if quick {
        "real ZooKeeper"
    } else {
        "harness of the servers"
    };
    if here == Version::ALL.len() {
        let mut command = cargo(&["test", "--package", "zk-testkit", "--tests"]);
        cases(&mut report, harness, command.env(REAL, "1"), &[]);
    } else {
        let why = if quick {
            "--quick was given"
        } else {
            "it needs every version of ZooKeeper"
        };
        report.step(harness, || Ok(Done::LeftOut(why.to_owned())));
    }
    others(&mut report, quick);
    if !quick {
        let mut crowd = cargo(&["test", "--package", "zk-server", "--test", "crowd"]);
        cases(&mut report, "crowds", &mut crowd, &["--include-ignored"]);
    }
    if here == 0 {
        report.cases.skipped += waiting; // for servers that never came
    }
    Ok(report)
}

/// Other people's clients on our server, and on a real one.
fn others(report: &mut Report, quick: bool) {
    let name = "clients of others";
    let missing = if quick {
        Some("--quick was given".to_owned())
    } else {
        peers().err().map(|error| error::chain(&error))
    };
    if let Some(why) = missing {
        report.step(name, || Ok(Done::LeftOut(why)));
        return;
    }
    let mut tests = cargo(&["test", "--package", "zk-keeper", "--test", "main"]);
    let only = ["--include-ignored", "peers::"];
    cases(report, name, tests.env(REAL, "1"), &only);
}

/// Runs test programs and counts their cases. Returns how many of them wait for real servers.
fn cases(report: &mut Report, name: &str, command: &mut Command, more: &[&str]) -> u64 {
    let (mut tally, mut failures) = (Tally::default(), Failures::default());
    report.step(name, || {
        command
            .args(["--no-fail-fast", "--", "--show-output"])
            .args(more);
        let ended = observe(command, LONG, |line| match line {
            Line::Out(line) => {
                failures.out(line);
                if tally.line(line) {
                    println!("{line}");
                }
            }
            Line::Err(line) => failures.err(line),
        });
        tally.died(failures.died());
        let cases = tally.cases();
        let waiting = match tally.waiting() {
            0 => String::new(),
            waiting => format!(", {waiting} wait for a later step"),
        };
        let stopped = ended.is_err();
        let ended = ended.and_then(|status| succeeded(command, status));
        let good = match ended {
            Err(error) if cases.failed == 0 => Err(error),
            _ if cases.failed > 0 => Err(Error::Tests(format!("{cases}{waiting}"))),
            _ if cases.passed == 0 => Err(Error::Tests("no test case has run".to_owned())),
            _ => Ok(Done::Passed(format!("{cases}{waiting}"))),
        };
        good.map_err(|error| match failures.finish(stopped) {
            details if details.is_empty() => error,
            details => error.with(details),
        })
    });
    report.cases.add(tally.cases());
    report.gaps.extend_from_slice(tally.gaps());
    report.matrix.add(tally.fates());
    if report.last() == Some(Verdict::Failed) && tally.cases().failed == 0 {
        // A program that was not built, or was stopped, has no cases to count.
        report.cases.add(Cases {
            failed: 1,
            ..Cases::default()
        });
    }
    tally.waiting()
}

/// Makes sure that a version is on this machine.
fn fetched(version: Version) -> Result<Done, Error> {
    Ok(match fetch(version) {
        Ok(dist) => Done::Passed(dist.release().to_owned()),
        Err(error) => Done::LeftOut(error::chain(&error)),
    })
}

/// The versions named, or all.
fn versions(named: Option<&str>) -> Result<Vec<Version>, Error> {
    let Some(named) = named.filter(|text| !text.is_empty()) else {
        return Ok(Version::ALL.to_vec());
    };
    let version = |name: &str| {
        let known = Version::ALL.into_iter();
        let mut known = known.filter(|version| version.to_string() == name);
        known.next().ok_or_else(|| Error::Version(name.to_owned()))
    };
    named.split(',').map(str::trim).map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_all_unless_named() {
        assert_eq!(versions(None).unwrap(), Version::ALL);
        assert_eq!(versions(Some("")).unwrap(), Version::ALL);
        assert_eq!(versions(Some("3.9")).unwrap(), [Version::V3_9]);
        assert_eq!(versions(Some("3.8, 3.9")).unwrap(), Version::ALL);
        assert!(matches!(versions(Some("3.5")), Err(Error::Version(_))));
    }
}
