//! Rules about files: how long they get, and what does not belong into them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::process::{SHORT, capture};
use crate::report::Done;
use crate::workspace::Workspace;

/// A file of code is split when it gets longer. Tests are not counted.
const LINES: usize = 500;

/// Paths that only one machine has. In two parts, so that they do not find themselves.
const FOREIGN: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("..", "/shared"),
];

/// Hosts that links may lead to. A mirror or a registry of one's own is none of them.
const HOSTS: [&str; 18] = [
    "127.0.0.1",
    "crates.io",
    "deb.debian.org",
    "debian.org",
    "doc.rust-lang.org",
    "docs.rs",
    "example.com",
    "github.com",
    "issues.apache.org",
    "keepachangelog.com",
    "kazoo.readthedocs.io",
    "localhost",
    "opensource.org",
    "rustup.rs",
    "semver.org",
    "www.apache.org",
    "www.rfc-editor.org",
    "zookeeper.apache.org",
];

/// Files that must be there: documents, and what the README's commands run.
const EXPECTED: [&str; 10] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "docs/fuzzing.md",
    "docs/states.md",
    "examples/quickstart.rs",
    "tests/main.rs",
];

pub(crate) fn files(workspace: &Workspace) -> Result<Done, Error> {
    let paths = tracked(&workspace.root)?;
    let mut broken: Vec<String> = Vec::new();
    for path in &paths {
        // Neither UTF-8 nor a file: a picture, or a link that was removed.
        let Some(text) = read(&workspace.root.join(path))? else {
            continue;
        };
        let show = path.display();
        let lines = code(&text).lines().count();
        if path.extension().is_some_and(|end| end == "rs") && !is_test(path) && lines > LINES {
            broken.push(format!("{show}: {lines} lines, more than {LINES}"));
        }
        for (number, line) in text.lines().enumerate() {
            let what = foreign(line).into_iter().chain(strange_host(line));
            broken.extend(what.map(|what| format!("{show}:{}: {what}", number + 1)));
        }
    }
    let there: BTreeSet<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let missing = EXPECTED
        .iter()
        .filter(|path| !there.contains(Path::new(path)));
    broken.extend(missing.map(|path| format!("{path}: missing")));
    broken.extend(manifests(workspace)?);
    for line in &broken {
        println!("{line}");
    }
    if !broken.is_empty() {
        return Err(Error::Rule(broken.len()));
    }
    Ok(Done::Passed(format!("{} files", paths.len())))
}

/// Every package has the lints of the workspace, and the licences if it is published.
fn manifests(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let mut broken = Vec::new();
    for package in &workspace.packages {
        let dir = workspace.relative(&package.dir);
        let manifest = read(&package.dir.join("Cargo.toml"))?.unwrap_or_default();
        if !manifest.contains("[lints]\nworkspace = true") {
            broken.push(format!("{}: without the workspace's lints", package.name));
        }
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            if package.published && !package.dir.join(licence).exists() {
                broken.push(format!("{}: missing", dir.join(licence).display()));
            }
        }
    }
    Ok(broken)
}

/// The files of the repository, committed or about to be.
pub(crate) fn tracked(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let list = capture(git.current_dir(root), SHORT)?;
    Ok(list.lines().map(PathBuf::from).collect())
}

/// A file's text; `None` if it is no text.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(Error::io(format!("read {}", path.display())))?;
    Ok(String::from_utf8(bytes).ok())
}

/// Does a file hold nothing but tests?
pub(crate) fn is_test(path: &Path) -> bool {
    let dirs = ["tests", "benches"];
    path.file_name().is_some_and(|name| name == "tests.rs")
        || path.iter().any(|part| dirs.iter().any(|dir| part == *dir))
}

/// A file without the tests at its end.
pub(crate) fn code(text: &str) -> &str {
    let tests = "\n#[cfg(test)]\nmod tests";
    text.find(tests).map_or(text, |at| &text[..at])
}

/// A path that only one machine has; not one of the same name in a longer word.
fn foreign(line: &str) -> Option<String> {
    let found = FOREIGN.iter().find(|path| {
        let before = |at: usize| line[..at].chars().next_back();
        let inside = |c: char| c.is_ascii_alphanumeric() || "_-.}".contains(c);
        line.match_indices(**path)
            .any(|(at, _)| !before(at).is_some_and(inside))
    });
    found.map(|path| format!("{path} is a path of one machine"))
}

/// A host in a link that is none of [`HOSTS`].
fn strange_host(line: &str) -> Option<String> {
    let after = line.split("://").skip(1);
    let hosts = after.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c));
        rest[..end.unwrap_or(rest.len())].trim_end_matches('.')
    });
    // RFC 2606 reserves `.example` for texts.
    let known = |host: &str| HOSTS.contains(&host) || host.ends_with(".example");
    let mut strange = hosts.filter(|host| host.contains('.') && !known(host));
    strange.next().map(|host| format!("a link to {host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_not_counted() {
        assert_eq!(
            code("fn a() {}\n\n#[cfg(test)]\nmod tests {}\n"),
            "fn a() {}\n"
        );
        assert!(is_test(Path::new("zk-proto/src/acl/tests.rs")));
        assert!(is_test(Path::new("testkit/tests/proxy.rs")));
        assert!(!is_test(Path::new("xtask/src/test.rs")));
    }

    #[test]
    fn paths_of_a_machine_are_seen() {
        let path = |name: &str| format!("/{name}/zk");
        assert!(foreign(&path(concat!("wo", "rk"))).is_some());
        assert!(foreign(&format!("cd {}", path(concat!("ro", "ot")))).is_some());
        assert!(foreign(&format!("frame{}", path(concat!("wo", "rk")))).is_none());
        assert!(foreign("a path such as /app/config").is_none());
    }

    #[test]
    fn hosts_of_a_machine_are_seen() {
        let scheme = "https:";
        let link = |host: &str| strange_host(&format!("see {scheme}//{host}/x."));
        assert!(link("docs.rs").is_none());
        assert!(link("mirror.example").is_none());
        assert!(link("mirror.corp.test").is_some());
        assert!(strange_host("connects to zk://{host}").is_none());
    }
}
