//! Tests that need what `cargo xtask test` does without: Kerberos, the next ZooKeeper, Curator.

use zk_testkit::{Version, fetch};

use crate::error::{self, Error};
use crate::native;
use crate::process::{LONG, cargo, succeeded, watch};
use crate::report::Done;
use crate::tally::{REAL, Tally};
use crate::workspace::Workspace;

/// Clients that sign in by Kerberos, on each version, with a Kerberos server on this machine.
pub(crate) fn kerberos(workspace: &Workspace) -> Result<Done, Error> {
    if let Some(why) = native::missing(workspace) {
        return Ok(Done::LeftOut(why.to_owned()));
    }
    for version in Version::ALL {
        if let Err(error) = fetch(version) {
            return Ok(Done::LeftOut(error::chain(&error)));
        }
    }
    tests(
        &["--features", "sasl-gssapi", "--test", "kerberos"],
        "kerberos_",
    )
}

/// What is different in the ZooKeeper that comes next.
pub(crate) fn next(_: &Workspace) -> Result<Done, Error> {
    match fetch(Version::Next) {
        Err(error) => Ok(Done::LeftOut(error::chain(&error))),
        Ok(dist) => Ok(match tests(&["--test", "main"], "faults::next::")? {
            Done::Passed(cases) => Done::Passed(format!("{cases}, on {}", dist.release())),
            left_out @ Done::LeftOut(_) => left_out,
        }),
    }
}

/// Programs with Curator, beside ours at the same locks.
pub(crate) fn curator(_: &Workspace) -> Result<Done, Error> {
    match zk_testkit::curator() {
        Err(error) => Ok(Done::LeftOut(error::chain(&error))),
        Ok(curator) => Ok(match tests(&["--test", "main"], "curator::")? {
            Done::Passed(cases) => Done::Passed(format!("{cases}, with {}", curator.release())),
            left_out @ Done::LeftOut(_) => left_out,
        }),
    }
}

/// Runs the ignored tests of this name. They start servers, and so run one by one.
fn tests(which: &[&str], name: &str) -> Result<Done, Error> {
    let mut test = cargo(&["test", "--package", "zk-keeper"]);
    test.args(which).args(["--no-fail-fast", "--", "--ignored"]);
    test.args(["--show-output", "--test-threads", "1", name]);
    let mut tally = Tally::default();
    let status = watch(test.env(REAL, "1"), LONG, |line| {
        if tally.line(line) {
            println!("{line}");
        }
    })?;
    let cases = tally.cases();
    succeeded(&test, status)?;
    if cases.passed == 0 || cases.skipped > 0 {
        return Err(Error::Tests(format!("not all have run: {cases}")));
    }
    Ok(Done::Passed(cases.to_string()))
}
