//! Packs every crate as it would be published.

use crate::error::Error;
use crate::process::{SHORT, cargo, run};
use crate::report::Done;
use crate::workspace::Workspace;

/// Packs every crate that is to be published, and compiles what came out.
///
/// `dirty`: also what is not committed.
pub(crate) fn package(workspace: &Workspace, dirty: bool) -> Result<Done, Error> {
    let mut package = cargo(&["package", "--workspace", "--locked"]);
    let (published, private): (Vec<_>, Vec<_>) = workspace
        .packages
        .iter()
        .partition(|package| package.published);
    for private in private {
        package.args(["--exclude", &private.name]);
    }
    if dirty {
        package.arg("--allow-dirty");
    }
    run(&mut package, SHORT)?;
    Ok(Done::Passed(format!("{} crates", published.len())))
}
