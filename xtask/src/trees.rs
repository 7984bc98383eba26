//! What a feature brings along: a handler brings its runtime, and nothing else brings any.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::process::{SHORT, capture, cargo};
use crate::workspace::Package;

/// The package whose features choose handlers.
const FACADE: &str = "zk-keeper";

/// A feature that brings a runtime, and packages that only it may bring; the first must come.
const RUNTIMES: [(&str, &[&str]); 3] = [
    ("threads", &["zk-handler-threads"]),
    ("tokio", &["zk-handler-tokio", "tokio"]),
    (
        "smol",
        &[
            "zk-handler-smol",
            "smol",
            "async-executor",
            "async-global-executor",
            "async-io",
            "async-std",
            "polling",
        ],
    ),
];

/// Looks at what users of the facade compile with no feature, and with each one alone. Prints and
/// counts what should not be there.
pub(crate) fn broken<'a>(packages: impl Iterator<Item = &'a Package>) -> Result<usize, Error> {
    let mut broken = 0;
    for package in packages.filter(|package| package.name == FACADE) {
        let features = package.features.iter().map(String::as_str);
        let features = features.filter(|feature| *feature != "default");
        for feature in [""].into_iter().chain(features) {
            let mistakes = mistakes(feature, &tree(feature)?);
            for mistake in &mistakes {
                println!("{FACADE} with feature {feature:?} alone: {mistake}");
            }
            broken += mistakes.len();
        }
    }
    Ok(broken)
}

/// The names of all that is compiled along.
fn tree(feature: &str) -> Result<BTreeSet<String>, Error> {
    let mut tree = cargo(&["tree", "--package", FACADE, "--edges", "normal"]);
    tree.args(["--no-default-features", "--features", feature]);
    let list = capture(tree.args(["--prefix", "none", "--format", "{p}"]), SHORT)?;
    let names = list.lines().filter_map(|line| line.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

fn mistakes(feature: &str, tree: &BTreeSet<String>) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (owner, packages) in RUNTIMES {
        if owner != feature {
            let strangers = packages.iter().filter(|package| tree.contains(**package));
            mistakes.extend(strangers.map(|it| format!("{it} belongs to {owner:?}")));
        } else if !tree.contains(packages[0]) {
            mistakes.push(format!("{} is missing", packages[0]));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(feature: &str, tree: &[&str]) -> usize {
        let tree = tree.iter().map(|name| (*name).to_owned()).collect();
        mistakes(feature, &tree).len()
    }

    #[test]
    fn a_runtime_comes_with_its_feature_only() {
        let threads = ["zk-handler-threads", "zk-client", "mio"];
        assert_eq!(wrong("threads", &threads), 0);
        assert_eq!(wrong("threads", &["zk-client"]), 1);
        assert_eq!(wrong("sasl", &["zk-client"]), 0);
        assert_eq!(wrong("sasl", &threads), 1);
        assert_eq!(wrong("", &["zk-client", "tokio"]), 1);
        assert_eq!(
            wrong(
                "tokio",
                &["zk-handler-tokio", "tokio", "async-io", "polling"]
            ),
            2
        );
    }
}
