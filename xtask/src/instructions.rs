//! Counts instructions of hot paths, which are the same on a busy machine as on an idle one.
//!
//! `benches/instructions.txt` lists what is counted, one scenario a line:
//!
//! ```text
//! # package   bench         scenario   instructions an operation
//! zk-session  instructions  get        900
//! ```
//!
//! More than 5 per cent above that is a failure. A change that makes a path dearer for a reason, or
//! much cheaper, changes the list, too.
//!
//! The bench is a program of its own (`harness = false`) that takes a scenario and a number of
//! operations. It is run for two numbers, and the difference counted: so its start costs nothing.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::error::Error;
use crate::files::read;
use crate::process::{SHORT, capture, cargo};
use crate::report::Done;
use crate::workspace::Workspace;

const LIST: &str = "benches/instructions.txt";

/// The two numbers of operations.
const FEW: u64 = 500;
const MANY: u64 = 2_500;

/// Per cent that a count may differ from what is listed.
const WITHIN: u64 = 5;

pub(crate) fn instructions(workspace: &Workspace) -> Result<Done, Error> {
    let Some(list) = read(&workspace.root.join(LIST))? else {
        return Ok(Done::Passed("none listed".to_owned()));
    };
    let mut broken = 0;
    let mut counted = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [package, bench, scenario, listed] = words[..] else {
            continue;
        };
        let listed: u64 = listed.parse().map_err(|_| Error::Unreadable {
            program: LIST.to_owned(),
            what: format!("no number of instructions: {line}"),
        })?;
        let program = build(package, bench)?;
        let count = |operations| callgrind(&program, scenario, operations);
        let each = count(MANY)?.saturating_sub(count(FEW)?) / (MANY - FEW);
        let verdict = Verdict::of(each, listed);
        println!(
            "{package} {scenario}: {each} instructions an operation, listed {listed}{}",
            verdict.remark()
        );
        counted += 1;
        broken += usize::from(verdict == Verdict::Dearer);
    }
    if broken > 0 {
        return Err(Error::Rule(broken));
    }
    Ok(Done::Passed(format!("{counted} scenarios")))
}

/// How a count compares with what is listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Dearer,
    Same,
    Cheaper,
}

impl Verdict {
    fn of(each: u64, listed: u64) -> Self {
        let (each, listed) = (each * 100, listed * 100);
        if each > listed + listed / 100 * WITHIN {
            Self::Dearer
        } else if each < listed - listed / 100 * WITHIN {
            Self::Cheaper
        } else {
            Self::Same
        }
    }

    fn remark(self) -> &'static str {
        match self {
            Self::Dearer => ": more than 5 % too many",
            Self::Same => "",
            Self::Cheaper => "; list the new number, so that it stays",
        }
    }
}

/// Builds a bench and says where it is.
fn build(package: &str, bench: &str) -> Result<String, Error> {
    let mut build = cargo(&["bench", "--package", package, "--bench", bench]);
    build.args(["--no-run", "--message-format", "json"]);
    let output = capture(&mut build, SHORT)?;
    let messages = output
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut programs = messages.filter_map(|message: Value| {
        let program = message["executable"].as_str()?;
        (message["target"]["name"] == bench).then(|| program.to_owned())
    });
    programs.next_back().ok_or_else(|| Error::Unreadable {
        program: "cargo bench".to_owned(),
        what: format!("no program for {bench}"),
    })
}

/// Counts the instructions of one run.
fn callgrind(program: &str, scenario: &str, operations: u64) -> Result<u64, Error> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.args(["--log-fd=1", program, scenario, &operations.to_string()]);
    let output = capture(&mut valgrind, SHORT)?;
    let collected = output
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| Error::Unreadable {
        program: Path::new(program).display().to_string(),
        what: "no number of instructions".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn five_per_cent_more_are_too_many() {
        assert_eq!(Verdict::of(2_100, 2_000), Verdict::Same);
        assert_eq!(Verdict::of(2_101, 2_000), Verdict::Dearer);
        assert_eq!(Verdict::of(1_900, 2_000), Verdict::Same);
        assert_eq!(Verdict::of(1_899, 2_000), Verdict::Cheaper);
    }
}
