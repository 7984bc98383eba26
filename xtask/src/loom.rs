//! Runs the model of the one concurrent file under every interleaving that matters.

use std::fs;

use crate::error::Error;
use crate::process::{SHORT, cargo, succeeded, watch};
use crate::report::Done;
use crate::tally::Tally;
use crate::workspace::Workspace;

pub(crate) fn loom(workspace: &Workspace) -> Result<Done, Error> {
    let manifest = workspace.root.join("zk-client/Cargo.toml");
    let manifest = fs::read_to_string(&manifest).map_err(Error::io("read zk-client/Cargo.toml"))?;
    if !manifest.contains("cfg(loom)") {
        return Ok(Done::LeftOut("zk-client has no model yet".to_owned()));
    }
    let mut tally = Tally::default();
    let mut model = cargo(&[
        "test",
        "--package",
        "zk-client",
        "--release",
        "--lib",
        "loom",
    ]);
    // The flag changes every dependency, hence a directory of its own.
    model.env("CARGO_TARGET_DIR", workspace.target.join("loom"));
    // Clippy does not see what only the model has, so warnings are errors here.
    model.env("RUSTFLAGS", "--cfg loom -D warnings");
    let status = watch(&mut model, SHORT, |line| {
        if tally.line(line) {
            println!("{line}");
        }
    })?;
    succeeded(&model, status)?;
    if tally.cases().passed == 0 {
        return Err(Error::Tests("no test is named for loom".to_owned()));
    }
    Ok(Done::Passed(tally.cases().to_string()))
}
