//! The oldest Rust that may compile what users compile.
//!
//! That Rust itself need not be here: clippy's `incompatible_msrv` holds our own code against it, and
//! this the `rust-version` that dependencies state.

use crate::error::Error;
use crate::report::Done;
use crate::workspace::Workspace;

/// No package states a newer Rust than the one that this workspace promises.
pub(crate) fn msrv(workspace: &Workspace) -> Result<Done, Error> {
    let mut promises = workspace
        .packages
        .iter()
        .map(|package| &package.rust_version);
    let promised = promises.next().cloned().unwrap_or_default();
    let mut broken = 0;
    for package in &workspace.packages {
        if package.rust_version != promised || promised.is_empty() {
            println!("{}: rust-version is not the workspace's", package.name);
            broken += 1;
        }
    }
    let (mut stated, mut silent) = (0, 0);
    for dependency in workspace.dependencies() {
        match dependency.rust_version {
            Some(version) if numbers(&version) > numbers(&promised) => {
                println!("{} needs Rust {version}", dependency.name);
                broken += 1;
            }
            Some(_) => stated += 1,
            None => silent += 1,
        }
    }
    if broken > 0 {
        return Err(Error::Rule(broken));
    }
    Ok(Done::Passed(format!(
        "Rust {promised}: {stated} dependencies fit, {silent} do not say"
    )))
}

/// A version as numbers that compare; 1.85 is 1.85.0.
fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("1.100") > numbers("1.85"));
        assert_eq!(numbers("1.85"), numbers("1.85.0"));
        assert!(numbers("1.85.1") > numbers("1.85"));
    }
}
