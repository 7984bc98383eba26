//! The oldest versions of dependencies that the manifests allow.
//!
//! A manifest says `1.43` when it was written with 1.43; whether 1.43 still does is only seen when it
//! is compiled with that. Cargo's own lock file would be overwritten, so a copy of the sources gets one
//! of its own.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::files::tracked;
use crate::native;
use crate::process::{LONG, SHORT, cargo, run};
use crate::report::Done;
use crate::workspace::Workspace;

/// Compiles the libraries that are published, with all features and the oldest direct dependencies.
pub(crate) fn minimal(workspace: &Workspace) -> Result<Done, Error> {
    let scratch = workspace.target.join("minimal");
    let tree = scratch.join("tree");
    copy(workspace, &tree)?;
    // Only this takes an unstable option, and only by this variable a stable cargo has it. Compilers
    // must not see the variable: dependencies would take them for unstable, too.
    let mut lock = cargo(&["update", "--quiet", "-Z", "direct-minimal-versions"]);
    run(lock.current_dir(&tree).env("RUSTC_BOOTSTRAP", "1"), SHORT)?;
    let mut check = cargo(&["check", "--locked", "--lib"]);
    check.current_dir(&tree);
    check.env("CARGO_TARGET_DIR", scratch.join("target"));
    let mut packages = 0;
    for package in workspace.packages.iter().filter(|it| it.published) {
        check.args(["--package", &package.name]);
        for feature in native::features(workspace, package) {
            check.args(["--features", &format!("{}/{feature}", package.name)]);
        }
        packages += 1;
    }
    run(&mut check, LONG)?;
    Ok(Done::Passed(format!(
        "{packages} libraries{}",
        native::note(workspace)
    )))
}

/// The sources as they are now, without a lock file.
fn copy(workspace: &Workspace, tree: &Path) -> Result<(), Error> {
    let doing = |path: &Path| Error::io(format!("copy to {}", path.display()));
    if tree.exists() {
        fs::remove_dir_all(tree).map_err(doing(tree))?;
    }
    for path in tracked(&workspace.root)? {
        let (from, to) = (workspace.root.join(&path), tree.join(&path));
        // A link leads to a licence, and what was deleted need not be copied.
        if !from.is_file() || path == Path::new("Cargo.lock") {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(tree)).map_err(doing(&to))?;
        fs::copy(&from, &to).map_err(doing(&to))?;
    }
    Ok(())
}
