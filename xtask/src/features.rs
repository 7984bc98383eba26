//! Compiles packages one by one, and with every choice of features that a user can make.
//!
//! Cargo unites the features of all packages that are compiled together, so that what one of them
//! forgot to ask for may be there by accident. Alone it is not.

use crate::error::Error;
use crate::native;
use crate::process::{SHORT, cargo, run};
use crate::report::Done;
use crate::workspace::Workspace;

/// Lints every package by itself, with its tests, examples and benches.
///
/// One of the lints is `incompatible_msrv`: it knows since when the standard library has what.
pub(crate) fn clippy(workspace: &Workspace) -> Result<Done, Error> {
    let mut failed: Vec<&str> = Vec::new();
    for package in &workspace.packages {
        let mut clippy = cargo(&["clippy", "--package", &package.name]);
        clippy.args(["--all-targets", "--features"]);
        clippy.arg(native::features(workspace, package).join(","));
        clippy.args(["--", "-D", "warnings"]);
        if run(&mut clippy, SHORT).is_err() {
            failed.push(&package.name);
        }
    }
    if !failed.is_empty() {
        return Err(Error::Lints(failed.join(", ")));
    }
    Ok(Done::Passed(format!(
        "{} packages{}",
        workspace.packages.len(),
        native::note(workspace)
    )))
}

/// Lints the library of every published package without features, and with each one alone.
pub(crate) fn features(workspace: &Workspace) -> Result<Done, Error> {
    let mut choices = 0;
    for package in workspace
        .packages
        .iter()
        .filter(|package| package.published)
    {
        let single = native::features(workspace, package);
        for choice in [""].into_iter().chain(single) {
            let mut clippy = cargo(&["clippy", "--package", &package.name, "--lib"]);
            clippy.args(["--no-default-features", "--features", choice]);
            run(clippy.args(["--", "-D", "warnings"]), SHORT)?;
            choices += 1;
        }
    }
    let note = native::note(workspace);
    Ok(Done::Passed(format!("{choices} choices{note}")))
}
