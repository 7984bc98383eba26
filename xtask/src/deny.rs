//! Licences, duplicates and sources of dependencies, by cargo-deny. What is allowed: `deny.toml`.

use std::process::Command;

use crate::error::Error;
use crate::process::{LONG, SHORT, capture, cargo, run};
use crate::report::Done;
use crate::workspace::Workspace;

/// The version of cargo-deny: a new one may judge differently.
const VERSION: &str = "0.20.2";

pub(crate) fn deny(workspace: &Workspace) -> Result<Done, Error> {
    let tools = workspace.target.join("tools");
    let program = tools.join("bin/cargo-deny");
    let installed = capture(Command::new(&program).arg("--version"), SHORT);
    if !installed.is_ok_and(|text| text.trim().ends_with(VERSION)) {
        // Unoptimised it is built in a third of the time, and fast enough.
        let mut install = cargo(&["install", "cargo-deny", "--version", VERSION]);
        install.args(["--locked", "--debug", "--no-default-features", "--force"]);
        install.arg("--root").arg(&tools);
        run(install.env("CARGO_TARGET_DIR", tools.join("build")), LONG)?;
    }
    // The database of advisories is not part of the repository: see CONTRIBUTING.md.
    let mut check = Command::new(&program);
    check.args(["check", "licenses", "bans", "sources"]);
    run(check.current_dir(&workspace.root), SHORT)?;
    Ok(Done::Passed("licences, duplicates, sources".to_owned()))
}
