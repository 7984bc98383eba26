//! Which tests failed, and what they said: read from what test programs print, and cargo of them.
//!
//! Both come line by line, but not in the order in which they were printed. Cargo tells the programs
//! that failed in the order in which they ran, so that the first one is the first of ours.

use std::collections::{BTreeMap, BTreeSet};

use crate::details::Detail;
use crate::matrix::{self, Fate};

/// How much is kept of what a program printed before it died.
const TAIL: usize = 15;

/// What stands before names in a list.
const TEXT: &str = "    ";

/// What stands behind names of tests while they run, and nowhere else.
const MARKS: [&str; 3] = [" - should panic", " - compile fail", " - compile"];

/// One test program, as it tells of itself.
#[derive(Debug, Default)]
struct Program {
    failed: BTreeSet<String>,
    /// What failed tests printed.
    printed: BTreeMap<String, Vec<String>>,
    /// Tests that have taken long, and have not ended.
    slow: BTreeSet<String>,
    /// The last lines.
    tail: Vec<String>,
}

/// A program that failed, as cargo tells it.
#[derive(Debug)]
struct Told {
    /// How to run it again.
    again: String,
    doc: bool,
    /// How it ended, if not as a test program does that ran to its end.
    cause: Option<String>,
    /// What came on the standard error before.
    said: Vec<String>,
}

/// Which part of a program's output a line is in.
#[derive(Debug, Default)]
enum Part {
    #[default]
    Progress,
    /// What tests printed that passed.
    Passed,
    /// What this test printed, which failed.
    Printed(String),
    /// The names of those that failed. If it is not that, it is still what this test printed.
    Names(Option<String>),
}

/// Reads what is printed of tests.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    part: Part,
    current: Option<Program>,
    /// Programs with failed tests.
    failed: Vec<Program>,
    /// Programs without an end.
    died: Vec<Program>,
    told: Vec<Told>,
    /// The program that runs, as cargo names it.
    running: String,
    /// On the standard error since the last program began.
    said: Vec<String>,
}

impl Failures {
    /// Takes a line of the standard output.
    pub(crate) fn out(&mut self, line: &str) {
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.died.extend(self.current.replace(Program::default()));
            self.part = Part::Progress;
        }
        let Some(program) = &mut self.current else {
            return;
        };
        if line.starts_with("test result: ") {
            let failed = |ended: &Program| !line.contains(" ok. ") && !ended.failed.is_empty();
            self.failed.extend(self.current.take().filter(failed));
            return;
        }
        if program.tail.len() == TAIL {
            program.tail.remove(0);
        }
        program.tail.push(line.to_owned());
        self.part = match std::mem::take(&mut self.part) {
            Part::Progress => {
                program.progress(line);
                match line {
                    "successes:" => Part::Passed,
                    "failures:" => Part::Names(None),
                    _ => Part::Progress,
                }
            }
            Part::Passed if line == "failures:" => Part::Names(None),
            Part::Passed => Part::Passed,
            Part::Printed(name) | Part::Names(Some(name)) if line == "failures:" => {
                Part::Names(Some(name))
            }
            Part::Printed(name) => program.printed(name, line),
            Part::Names(before) => match (before, line.strip_prefix(TEXT)) {
                (before, Some(name)) => {
                    program.failed.insert(name.to_owned());
                    Part::Names(before)
                }
                (Some(name), None) if !line.is_empty() => program.printed(name, line),
                (None, None) if section(line).is_some() => program.printed(String::new(), line),
                (before, None) => Part::Names(before),
            },
        };
    }

    /// Takes a line of the standard error.
    pub(crate) fn err(&mut self, line: &str) {
        let header = line.trim_start();
        if header.starts_with("Running ") || header.starts_with("Doc-tests ") {
            header.clone_into(&mut self.running);
            self.said.clear();
        } else if let Some((_, again)) = line.split_once("to rerun pass `") {
            self.told.push(Told {
                again: again.trim_end_matches('`').to_owned(),
                doc: line.starts_with("error: doctest"),
                cause: None,
                said: std::mem::take(&mut self.said),
            });
        } else if let Some(cause) = header.strip_prefix("process didn't exit successfully: ") {
            if let Some(told) = self.told.last_mut() {
                told.cause = Some(cause.to_owned());
            }
        } else if !header.starts_with("Compiling ") {
            self.said.push(line.to_owned());
        }
    }

    /// How many programs died.
    pub(crate) fn died(&self) -> u64 {
        self.told.iter().filter(|told| told.cause.is_some()).count() as u64
    }

    /// What failed. If it was `stopped`, the program that ran has no end.
    pub(crate) fn finish(mut self, stopped: bool) -> Vec<Detail> {
        let mut details = Vec::new();
        let last = self.current.take();
        let (dead, ended): (Vec<_>, Vec<_>) =
            self.told.into_iter().partition(|told| told.cause.is_some());
        let mut ended = ended.into_iter().filter(|told| !told.doc);
        for program in self.failed {
            let doc = program.failed.iter().all(|name| name.contains(" - "));
            let told = if doc { None } else { ended.next() };
            let again = told.map_or_else(|| "doc tests".to_owned(), |told| told.again);
            details.extend(program.failed.iter().map(|name| {
                let printed = program.printed.get(name);
                let printed = printed.map(Vec::as_slice).unwrap_or_default();
                Detail::new(format!("{name} ({again})"), printed)
            }));
        }
        let (hung, last) = if stopped { (last, None) } else { (None, last) };
        let mut died = self.died.into_iter().chain(last);
        for told in dead {
            let program = died.next().unwrap_or_default();
            let mut lines = vec![told.cause.unwrap_or_default()];
            lines.extend(program.without_end());
            lines.extend(told.said);
            details.push(Detail::new(
                format!("a test program died ({})", told.again),
                &lines,
            ));
        }
        if stopped {
            let mut lines = hung.unwrap_or_default().without_end();
            lines.extend(self.said);
            details.push(Detail::new(format!("stopped: {}", self.running), &lines));
        } else if details.is_empty() && !self.said.is_empty() {
            details.push(Detail::new("no test failed, but cargo", &self.said));
        }
        details
    }
}

impl Program {
    fn progress(&mut self, line: &str) {
        if let Some((name, fate)) = matrix::progress(line) {
            self.slow.remove(name);
            if fate == Fate::Failed {
                let mark = MARKS.iter().find_map(|mark| name.strip_suffix(mark));
                self.failed.insert(mark.unwrap_or(name).to_owned());
            }
        }
        let name = line.strip_prefix("test ");
        let name = name.and_then(|rest| rest.split_once(" has been running for over "));
        self.slow.extend(name.map(|(name, _)| name.to_owned()));
    }

    /// Takes what a test printed, up to what the next one did.
    fn printed(&mut self, name: String, line: &str) -> Part {
        if let Some(next) = section(line) {
            return Part::Printed(next.to_owned());
        }
        let printed = self.printed.entry(name.clone()).or_default();
        printed.push(line.to_owned());
        Part::Printed(name)
    }

    /// What there is of a program that did not come to its end.
    fn without_end(self) -> Vec<String> {
        let slow = self
            .slow
            .iter()
            .map(|name| format!("had not ended: {name}"));
        let failed = self.failed.iter().map(|name| format!("had failed: {name}"));
        let mut lines: Vec<String> = slow.chain(failed).collect();
        lines.extend(self.tail);
        lines
    }
}

/// The test whose output begins: `---- name stdout ----`.
fn section(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::details::Details;

    const OUT: &str = "\
running 3 tests
test a::quiet ... FAILED
test a::good ... ok
test a::loud ... FAILED

successes:

---- a::good stdout ----
---- inner stdout ----
of no interest

successes:
    a::good

failures:

---- a::loud stdout ----
before
failures:
thread 'a::loud' (15803) panicked at src/lib.rs:4:38:
the reason

failures:
    a::loud
    a::quiet

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out

running 2 tests
test b::good ... ok
test b::slow has been running for over 60 seconds

running 1 test
test src/lib.rs - (line 1) - compile fail ... FAILED

failures:

---- src/lib.rs - (line 1) stdout ----
Test executable failed (exit status: 101).

failures:
    src/lib.rs - (line 1)

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out
";

    const ERR: &str = "\
   Compiling one v0.1.0
     Running unittests src/lib.rs (target/debug/deps/one-2ffcd961b67f0851)
error: test failed, to rerun pass `-p one --lib`
     Running tests/b.rs (target/debug/deps/b-6dfc92f1b011e7be)
thread 'b::slow' (15810) has overflowed its stack
error: test failed, to rerun pass `-p one --test b`

Caused by:
  process didn't exit successfully: `b --show-output` (signal: 6, SIGABRT: process abort signal)
   Doc-tests one
error: doctest failed, to rerun pass `-p one --doc`
";

    fn read(out: &str, err: &str) -> Failures {
        let mut failures = Failures::default();
        err.lines().for_each(|line| failures.err(line));
        out.lines().for_each(|line| failures.out(line));
        failures
    }

    fn block(details: Vec<Detail>) -> String {
        let mut all = Details::default();
        all.add(details);
        all.to_string()
    }

    #[test]
    fn each_failed_test_is_named_with_its_program_and_its_words() {
        let failures = read(OUT, ERR);
        assert_eq!(failures.died(), 1);
        let text = block(failures.finish(false));
        for line in [
            "---- a::loud (-p one --lib)",
            "    the reason",
            "---- a::quiet (-p one --lib)",
            "---- src/lib.rs - (line 1) (doc tests)",
            "    Test executable failed (exit status: 101).",
            "---- a test program died (-p one --test b)",
            "    had not ended: b::slow",
            "    thread 'b::slow' (15810) has overflowed its stack",
            "    `b --show-output` (signal: 6, SIGABRT: process abort signal)",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}: {text}");
        }
        assert!(!text.contains("of no interest"), "{text}");
        assert_eq!(text.matches("failed: ").count(), 4, "{text}");
    }

    #[test]
    fn a_program_that_was_stopped_names_what_had_not_ended() {
        let out = OUT.split_once("\nrunning 1 test").unwrap().0;
        let err = ERR.split_once("thread 'b::slow'").unwrap().0;
        let text = block(read(out, err).finish(true));
        assert!(
            text.contains("---- stopped: Running tests/b.rs ("),
            "{text}"
        );
        assert!(text.contains("    had not ended: b::slow"), "{text}");
        assert!(text.contains("---- a::loud (-p one --lib)"), "{text}");
    }

    #[test]
    fn what_does_not_compile_says_why() {
        let err = "   Compiling one v0.1.0\n\
                   error[E0308]: mismatched types\n --> src/lib.rs:1:1\n\
                   error: could not compile `one` (lib test) due to 1 previous error\n";
        let text = block(read("", err).finish(false));
        assert!(
            text.contains("    error[E0308]: mismatched types"),
            "{text}"
        );
        assert!(!text.contains("Compiling"), "{text}");
    }

    #[test]
    fn where_all_is_well_there_is_nothing_to_say() {
        let out = "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed\n";
        let err = "     Running unittests src/lib.rs (target/debug/deps/one-2f)\n";
        assert!(read(out, err).finish(false).is_empty());
    }
}
