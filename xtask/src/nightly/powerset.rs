//! Every combination of features that a user can choose.

use crate::error::Error;
use crate::native;
use crate::process::{SHORT, cargo, run};
use crate::report::Done;
use crate::workspace::Workspace;

/// Lints the library of every published package with each set of its features. Which there are is
/// read from the manifests.
pub(crate) fn powerset(workspace: &Workspace) -> Result<Done, Error> {
    let published = workspace.packages.iter().filter(|it| it.published);
    let mut choices = 0;
    let mut failed = Vec::new();
    for package in published {
        for choice in subsets(&native::features(workspace, package)) {
            let mut clippy = cargo(&["clippy", "--quiet", "--package", &package.name, "--lib"]);
            clippy.args(["--no-default-features", "--features", &choice]);
            if run(clippy.args(["--", "-D", "warnings"]), SHORT).is_err() {
                failed.push(format!("{} with {choice:?}", package.name));
            }
            choices += 1;
        }
    }
    if !failed.is_empty() {
        return Err(Error::Lints(failed.join("; ")));
    }
    Ok(Done::Passed(format!(
        "{choices} choices{}",
        native::note(workspace)
    )))
}

/// All subsets, each separated by commas; the empty one first.
fn subsets(features: &[&str]) -> Vec<String> {
    let mut subsets = vec![String::new()];
    for feature in features {
        for at in 0..subsets.len() {
            let before = &subsets[at];
            let comma = if before.is_empty() { "" } else { "," };
            subsets.push(format!("{before}{comma}{feature}"));
        }
    }
    subsets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_subsets_as_there_should_be() {
        assert_eq!(subsets(&[]), [""]);
        let three = subsets(&["a", "b", "c"]);
        assert_eq!(three, ["", "a", "b", "a,b", "c", "a,c", "b,c", "a,b,c"]);
    }
}
