//! Features that need a library in C, which not every machine has.
//!
//! A package names its own in its manifest, so that nothing has to be said here:
//!
//! ```text
//! [package.metadata.native]
//! features = ["gssapi"]
//! ```

use std::process::Stdio;
use std::sync::OnceLock;

use crate::process::{SHORT, cargo, run};
use crate::workspace::{Package, Workspace};

/// Why native features cannot be compiled here; `None` if they can. Asked of the compiler, once.
pub(crate) fn missing(workspace: &Workspace) -> Option<&'static str> {
    static WHY: OnceLock<Option<&'static str>> = OnceLock::new();
    *WHY.get_or_init(|| {
        let with_native = |package: &&Package| !package.native.is_empty() && package.published;
        let all = workspace.packages.iter().filter(with_native);
        let fails = |package: &Package| {
            let mut check = cargo(&["check", "--quiet", "--package", &package.name, "--lib"]);
            check.args(["--features", &package.native.join(",")]);
            run(check.stderr(Stdio::null()), SHORT).is_err()
        };
        all.into_iter()
            .any(fails)
            .then_some("no Kerberos library (Debian: apt-get install libkrb5-dev libclang-dev)")
    })
}

/// The features of a package that can be compiled here, without `default`.
pub(crate) fn features<'a>(workspace: &Workspace, package: &'a Package) -> Vec<&'a str> {
    let all = package.features.iter().map(String::as_str);
    let all = all.filter(|feature| *feature != "default");
    if package.native.is_empty() || missing(workspace).is_none() {
        return all.collect();
    }
    all.filter(|feature| !package.native.iter().any(|native| native == feature))
        .collect()
}

/// For a note in a table: what was left out, if anything.
pub(crate) fn note(workspace: &Workspace) -> String {
    match missing(workspace) {
        None => String::new(),
        Some(why) => format!(", without native features: {why}"),
    }
}
