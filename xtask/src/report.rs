//! What became of every step, and the table at the end.

use std::time::{Duration, Instant};

use crate::details::{Detail, Details};
use crate::error::{self, Error};
use crate::matrix::Matrix;
use crate::tally::Cases;

/// How a step ended, unless it failed.
#[derive(Debug)]
pub(crate) enum Done {
    /// It passed; with a note for the table, which may be empty.
    Passed(String),
    /// It could not be run here, for this reason.
    LeftOut(String),
}

/// What became of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    LeftOut,
}

#[derive(Debug)]
struct Row {
    name: String,
    verdict: Verdict,
    took: Duration,
    /// On one line.
    note: String,
}

/// The width of notes in the table. Above it they are whole.
const NOTE: usize = 90;

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Report {
    strict: bool,
    began: Instant,
    rows: Vec<Row>,
    /// What is told of failures at the end.
    details: Details,
    /// The test cases of all steps.
    pub(crate) cases: Cases,
    /// What single test cases left out, and why.
    pub(crate) gaps: Vec<String>,
    /// What ran on which handler and server.
    pub(crate) matrix: Matrix,
}

impl Report {
    /// Nothing yet. If `strict`, what is left out counts as failed.
    pub(crate) fn new(strict: bool) -> Self {
        Self {
            strict,
            began: Instant::now(),
            rows: Vec::new(),
            details: Details::default(),
            cases: Cases::default(),
            gaps: Vec::new(),
            matrix: Matrix::default(),
        }
    }

    /// Runs a step and keeps what became of it.
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> Result<Done, Error>) {
        println!("\n==> {name}");
        let began = Instant::now();
        let (verdict, note) = match run() {
            Ok(Done::Passed(note)) => (Verdict::Passed, note),
            Ok(Done::LeftOut(why)) => (Verdict::LeftOut, why),
            Err(error) => {
                let note = error::chain(&error);
                match error.details() {
                    [] => self.details.add([Detail::new::<&str>(name, &[&note])]),
                    more => self.details.add(more.iter().cloned().map(|d| d.of(name))),
                }
                (Verdict::Failed, note)
            }
        };
        if verdict != Verdict::Passed {
            println!("{}: {note}", word(verdict));
        }
        self.rows.push(Row {
            name: name.to_owned(),
            verdict,
            took: began.elapsed(),
            note: note.lines().collect::<Vec<_>>().join("; "),
        });
    }

    /// What became of the last step.
    pub(crate) fn last(&self) -> Option<Verdict> {
        self.rows.last().map(|row| row.verdict)
    }

    /// Prints what failed, the table and a verdict; `true` if nothing is wrong.
    pub(crate) fn finish(&self) -> bool {
        if !self.details.is_empty() {
            println!("\n{}", self.details);
        }
        self.table();
        let failed = self.names(Verdict::Failed);
        let left_out = self.names(Verdict::LeftOut);
        let steps = self.rows.len();
        let time = seconds(self.began.elapsed());
        if !failed.is_empty() {
            println!("failed after {time} s: {}", failed.join(", "));
        } else if self.strict && !left_out.is_empty() {
            println!(
                "failed after {time} s, nothing may be left out: {}",
                left_out.join(", ")
            );
        } else {
            let passed = steps - left_out.len();
            println!("{passed} of {steps} steps passed in {time} s");
        }
        self.good()
    }

    /// Prints the table, what was left out, the matrix, what failed, and last the test cases; `true`
    /// if nothing is wrong.
    pub(crate) fn finish_with_cases(&self) -> bool {
        self.table();
        for row in self
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::LeftOut)
        {
            println!("left out: {}: {}", row.name, row.note);
        }
        for gap in &self.gaps {
            println!("left out: {gap}");
        }
        println!("\n{}\n", self.matrix);
        let holes = self.matrix.gaps();
        for hole in &holes {
            println!("not tested: {hole}");
        }
        let complete = holes.is_empty() && !self.left_out();
        if self.strict && !complete {
            println!("nothing may be left out (ZK_STRICT=1): this counts as failed");
        }
        if !self.details.is_empty() {
            println!("\n{}\n", self.details);
        }
        println!("{}", self.cases);
        self.good() && (complete || !self.strict)
    }

    fn good(&self) -> bool {
        let sound = self.rows.iter().all(|row| row.verdict != Verdict::Failed);
        sound && self.cases.failed == 0 && !(self.strict && self.left_out())
    }

    fn left_out(&self) -> bool {
        let steps = self.rows.iter().any(|row| row.verdict == Verdict::LeftOut);
        steps || self.cases.skipped > 0
    }

    fn names(&self, verdict: Verdict) -> Vec<&str> {
        let rows = self.rows.iter().filter(|row| row.verdict == verdict);
        rows.map(|row| row.name.as_str()).collect()
    }

    fn table(&self) {
        let width = self.rows.iter().map(|row| row.name.len()).max();
        let width = width.unwrap_or_default().max("step".len());
        println!("\n{:width$}  {:8}  {:>7}", "step", "result", "seconds");
        for row in &self.rows {
            let line = format!(
                "{:width$}  {:8}  {:>7}  {}",
                row.name,
                word(row.verdict),
                seconds(row.took),
                shortened(&row.note)
            );
            println!("{}", line.trim_end());
        }
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::LeftOut => "left out",
    }
}

fn shortened(note: &str) -> String {
    if note.chars().count() <= NOTE {
        return note.to_owned();
    }
    let start: String = note.chars().take(NOTE - 2).collect();
    format!("{start}..")
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(strict: bool, done: Result<Done, Error>) -> Report {
        let mut report = Report::new(strict);
        report.step("one", || Ok(Done::Passed(String::new())));
        report.step("two", || done);
        report
    }

    #[test]
    fn a_failed_step_fails_the_whole() {
        let failed = report(false, Err(Error::Rule(2)));
        assert!(!failed.finish());
        assert_eq!(failed.names(Verdict::Failed), ["two"]);
        assert!(report(true, Ok(Done::Passed(String::new()))).finish());
    }

    #[test]
    fn each_failure_is_told_at_the_end() {
        let mut report = Report::new(false);
        let fault = || Error::Rule(2);
        report.step("plain", || Err(fault()));
        report.step("detailed", || {
            Err(fault().with([Detail::new("a test", &["why"])]))
        });
        let text = report.details.to_string();
        assert!(
            text.contains("---- plain\n    a rule is broken in 2 place(s)"),
            "{text}"
        );
        assert!(text.contains("---- detailed: a test\n    why\n"), "{text}");
        assert!(
            text.contains("failed: plain\nfailed: detailed: a test\n"),
            "{text}"
        );
    }

    #[test]
    fn a_hole_in_the_matrix_fails_only_if_strict() {
        let passed = || Ok(Done::Passed(String::new()));
        assert!(report(false, passed()).finish_with_cases());
        assert!(!report(true, passed()).finish_with_cases(), "it is empty");
    }

    #[test]
    fn what_is_left_out_fails_only_if_strict() {
        let left_out = || Ok(Done::LeftOut("no Java".to_owned()));
        assert!(report(false, left_out()).finish_with_cases());
        assert!(!report(true, left_out()).finish_with_cases());
        let mut skipping = report(true, Ok(Done::Passed(String::new())));
        skipping.cases.skipped = 1;
        assert!(!skipping.finish_with_cases());
    }
}
