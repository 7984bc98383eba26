//! Counts test cases in what test programs print.
//!
//! A test that cannot run returns early, which the test program counts as passed. By the project's
//! rule such a test first prints a line that has [`LEFT_OUT`] in it, and the reason behind that. With
//! `--show-output` these lines are seen here, and the case is counted as what it is.

use std::collections::BTreeMap;
use std::fmt;

use crate::matrix::{self, Fate};

/// What a test prints, after a name, when it leaves itself out.
pub(crate) const LEFT_OUT: &str = ": left out, ";

/// What a test is ignored with that a later step runs: it needs real servers, programs, or much of
/// something.
const NEEDS: &str = " ... ignored, needs ";

/// What a test is ignored with that is no check, such as a measurement.
const BY_HAND: &str = " ... ignored, by hand: ";

/// The variable without which tests leave out real servers.
pub(crate) const REAL: &str = "ZK_REAL";

/// Numbers of test cases.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cases {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Cases {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Cases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// Which part of a test program's output a line is in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Part {
    #[default]
    Progress,
    /// The output of tests that passed.
    Successes {
        /// The test whose output it is, until it has been counted as left out.
        test: Option<String>,
    },
}

/// Reads the output of test programs, line by line.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    part: Part,
    cases: Cases,
    /// Cases that wait for real servers, by name.
    waiting: Vec<String>,
    /// Cases that are ignored until a later step.
    ignored: u64,
    /// Cases that are for people only.
    by_hand: u64,
    /// Cases left out for another reason, and the reason.
    gaps: Vec<String>,
    /// What became of each, by name.
    fates: BTreeMap<String, Fate>,
}

impl Tally {
    /// Takes a line; `true` if it is worth showing.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.part = Part::Progress;
            self.cases.add(parse(counts));
            return true;
        }
        self.ignored += u64::from(line.contains(NEEDS));
        self.by_hand += u64::from(line.contains(BY_HAND));
        match line {
            "successes:" => self.part = Part::Successes { test: None },
            "failures:" => self.part = Part::Progress,
            _ => {}
        }
        let Part::Successes { test } = &mut self.part else {
            let progress = matrix::progress(line);
            self.fates
                .extend(progress.map(|(name, fate)| (name.to_owned(), fate)));
            return true;
        };
        if let Some(name) = section(line) {
            *test = Some(name.to_owned());
        } else if let Some((_, why)) = line.split_once(LEFT_OUT) {
            if let Some(test) = test.take() {
                self.fates.insert(test.clone(), Fate::LeftOut);
                if why.contains(REAL) {
                    self.waiting.push(test);
                } else {
                    self.gaps.push(format!("{test}: {why}"));
                }
            }
        }
        false
    }

    /// Each program that died counts as one case.
    pub(crate) fn died(&mut self, programs: u64) {
        self.cases.failed += programs;
    }

    /// The cases that ran or were ignored; those that left themselves out for other reasons than
    /// missing servers are skipped, those that wait for servers are not in it.
    pub(crate) fn cases(&self) -> Cases {
        let (waiting, gaps) = (self.waiting.len() as u64, self.gaps.len() as u64);
        Cases {
            passed: self.cases.passed.saturating_sub(waiting + gaps),
            failed: self.cases.failed,
            skipped: (self.cases.skipped + gaps).saturating_sub(self.ignored + self.by_hand),
        }
    }

    /// How many cases wait for a later step.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.len() as u64 + self.ignored
    }

    /// What became of each test, by name.
    pub(crate) fn fates(&self) -> &BTreeMap<String, Fate> {
        &self.fates
    }

    /// What was left out for other reasons.
    pub(crate) fn gaps(&self) -> &[String] {
        &self.gaps
    }
}

/// The test whose output begins: `---- name stdout ----`.
fn section(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// The numbers of a summary: `ok. 3 passed; 0 failed; 1 ignored; 0 measured; ..`.
fn parse(summary: &str) -> Cases {
    let count = |what: &str| {
        let words: Vec<&str> = summary.split([' ', ';', '.']).collect();
        let pairs = words.windows(2).find(|pair| pair[1] == what);
        pairs.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
    };
    Cases {
        passed: count("passed"),
        failed: count("failed"),
        skipped: count("ignored"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> (Tally, Vec<&str>) {
        let mut tally = Tally::default();
        let shown = output.lines().filter(|line| tally.line(line)).collect();
        (tally, shown)
    }

    #[test]
    fn summaries_add_up() {
        let (tally, _) = tally(concat!(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n",
            "test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out\n",
        ));
        assert_eq!(tally.cases().to_string(), "15 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn cases_that_leave_themselves_out_have_not_passed() {
        let (tally, shown) = tally(
            "running 4 tests\n\
             test a ... ok\n\
             successes:\n\n\
             ---- a stdout ----\n\
             suite: left out, as ZK_REAL=1 is not set\n\
             suite: left out, as ZK_REAL=1 is not set\n\n\
             ---- b stdout ----\n\
             suite: left out, as 3.8 has no such request\n\n\
             ---- c stdout ----\n\
             hello\n\n\
             successes:\n    a\n    b\n    c\n    d\n\n\
             test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
        );
        assert_eq!(tally.waiting(), 1);
        assert_eq!(tally.gaps(), ["b: as 3.8 has no such request"]);
        assert_eq!(tally.cases().to_string(), "2 passed, 0 failed, 1 skipped");
        assert!(!shown.contains(&"hello"), "what passed is not shown");
        let fates = ["a", "b"].map(|name| tally.fates()[name]);
        assert_eq!(fates, [Fate::LeftOut; 2]);
    }

    #[test]
    fn what_failed_is_shown() {
        let (_, shown) = tally(
            "successes:\n\n---- a stdout ----\nquiet\n\nsuccesses:\n    a\n\n\
             failures:\n\n---- b stdout ----\nthe reason\n\nfailures:\n    b\n",
        );
        assert!(shown.contains(&"the reason"));
        assert!(!shown.contains(&"quiet"));
    }

    #[test]
    fn ignored_cases_wait_for_a_later_step() {
        let output = "test a::b ... ignored, needs a real ZooKeeper: cargo xtask test\n\
                      test a::c ... ignored, for another reason\n\
                      test a::d ... ok\n\
                      test a::e ... ignored, by hand: says how long it takes\n\
                      test result: ok. 1 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out\n";
        let (tally, _) = tally(output);
        assert_eq!(tally.waiting(), 1);
        assert_eq!(
            tally.cases(),
            Cases {
                passed: 1,
                failed: 0,
                skipped: 1
            }
        );
    }
}
