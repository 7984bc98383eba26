//! Packs every crate as it would be published.

use std::path::PathBuf;
use std::{env, fs};

use crate::error::Error;
use crate::process::{SHORT, cargo, run};
use crate::report::Done;
use crate::workspace::{Package, Workspace};

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
    // A directory of its own: cargo takes what it has compiled of a version for what it will be.
    let target = workspace.target.join("packed");
    let _ = fs::remove_dir_all(target.join("debug/.fingerprint"));
    forget(&published);
    run(package.env("CARGO_TARGET_DIR", target), SHORT)?;
    Ok(Done::Passed(format!("{} crates", published.len())))
}

/// Removes what cargo keeps of earlier packs: it would compile crates against
/// these instead of the new ones. What cannot be removed is not there.
fn forget(packages: &[&Package]) {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let registry = home.unwrap_or_default().join("registry");
    let entries = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
    for kept in entries(registry.join("src")).chain(entries(registry.join("cache"))) {
        for entry in entries(kept.path()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_of = |package: &Package| {
                let version = name
                    .strip_prefix(&package.name)
                    .and_then(|rest| rest.strip_prefix('-'));
                version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
            };
            if packages.iter().any(|package| is_of(package)) {
                let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
            }
        }
    }
}
