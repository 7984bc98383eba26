//! Compiles packages one by one, and with every choice of features that a user can make.
//!
//! Cargo unites the features of all packages that are compiled together, so that what one of them
//! forgot to ask for may be there by accident. Alone it is not.

use crate::error::Error;
use crate::files::{code, is_test, read, tracked};
use crate::native;
use crate::process::{SHORT, cargo, run};
use crate::report::Done;
use crate::trees;
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

/// Lints the library of every published package without features, with each one alone and with all
/// of them; then looks at what a feature brings along and what it changes.
pub(crate) fn features(workspace: &Workspace) -> Result<Done, Error> {
    let mut choices = 0;
    let published = || workspace.packages.iter().filter(|it| it.published);
    for package in published() {
        for choice in choices_of(&native::features(workspace, package)) {
            let mut clippy = cargo(&["clippy", "--package", &package.name, "--lib"]);
            clippy.args(["--no-default-features", "--features", &choice]);
            run(clippy.args(["--", "-D", "warnings"]), SHORT)?;
            choices += 1;
        }
    }
    // Docs of what is behind features, and the README's code, are no tests of the default ones.
    for package in published().filter(|package| package.features.len() > 1) {
        let all = native::features(workspace, package).join(",");
        let mut docs = cargo(&["test", "--quiet", "--doc", "--package", &package.name]);
        run(
            docs.args(["--no-default-features", "--features", &all]),
            SHORT,
        )?;
    }
    let broken = trees::broken(published())? + takes_away(workspace)?;
    if broken > 0 {
        return Err(Error::Rule(broken));
    }
    let note = native::note(workspace);
    Ok(Done::Passed(format!("{choices} choices{note}")))
}

/// None, each alone, and all.
fn choices_of(features: &[&str]) -> Vec<String> {
    let mut choices = vec![String::new()];
    choices.extend(features.iter().map(|feature| (*feature).to_owned()));
    if features.len() > 1 {
        choices.push(features.join(","));
    }
    choices
}

/// Where code may be there because a feature is not: it stands in for what the feature adds, as an
/// error that names what is missing, or as a type that has no values.
const STAND_INS: [&str; 5] = [
    "zk-server/src/bin/zk-server.rs",
    "zk-server/src/tcp/security.rs",
    "zk-tls/src/pem.rs",
    "zk-tls/src/provider.rs",
    "zk-tls/src/trust.rs",
];

/// A feature only adds: no code is there because a feature is not.
fn takes_away(workspace: &Workspace) -> Result<usize, Error> {
    let mut broken = 0;
    for path in tracked(&workspace.root)? {
        let text = read(&workspace.root.join(&path))?.unwrap_or_default();
        let is_code = path.extension().is_some_and(|end| end == "rs") && !is_test(&path);
        let stands_in = STAND_INS.iter().any(|file| path.ends_with(file));
        // This file says what it looks for.
        if !is_code || stands_in || path.ends_with(file!()) {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            if depends_on_absence(line) {
                println!("{}:{}: {}", path.display(), number + 1, line.trim());
                broken += 1;
            }
        }
    }
    Ok(broken)
}

fn depends_on_absence(line: &str) -> bool {
    let flat: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    let negated = flat.split("not(").skip(1);
    flat.contains("cfg!(feature")
        || (flat.contains("cfg") && negated.into_iter().any(|rest| rest.contains("feature=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_choices_that_a_machine_can_build_are_made() {
        assert_eq!(
            choices_of(&["smol", "tokio"]),
            ["", "smol", "tokio", "smol,tokio"]
        );
        assert_eq!(choices_of(&["tcp"]), ["", "tcp"]);
        assert_eq!(choices_of(&[]), [""]);
    }

    #[test]
    fn code_for_want_of_a_feature_is_found() {
        assert!(depends_on_absence("#[cfg(not(feature = \"tokio\"))]"));
        assert!(depends_on_absence(
            "#[cfg(all(unix, not(any(feature=\"a\", loom))))]"
        ));
        assert!(depends_on_absence("if cfg!(feature = \"sasl\") {"));
        assert!(!depends_on_absence("#[cfg(feature = \"tokio\")]"));
        assert!(!depends_on_absence("#[cfg(all(not(loom), unix))]"));
    }
}
