//! What is said of each failure at the end, for whoever sees no more of a log than that.
//!
//! A step hands details up with its error, see [`Error::with`](crate::error::Error::with). They are
//! printed as one block, which a command that runs another one reads back.

use std::fmt;

/// How many failures are told in full. Of the others there is the name.
const TOLD: usize = 20;

/// How many names are told.
const NAMED: usize = 200;

/// How much of the end of an output is kept.
const TAIL: usize = 30;

/// How much is kept of what stands further ahead: the first panic or error.
const HEAD: usize = 6;

/// The most bytes of one failure.
const BYTES: usize = 4096;

/// The most bytes of one line.
const LINE: usize = 600;

const BEGIN: &str = "==> what failed";
const END: &str = "<== what failed";
const TITLE: &str = "---- ";
const TEXT: &str = "    ";
const NAME: &str = "failed: ";

/// A failure, and what was printed of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Detail {
    /// What failed, and where: one line.
    title: String,
    lines: Vec<String>,
}

impl Detail {
    /// Keeps of an output what says most: its end, and the first panic or error in it.
    pub(crate) fn new<S: AsRef<str>>(title: impl Into<String>, output: &[S]) -> Self {
        let title: String = title.into();
        let title = title.lines().collect::<Vec<_>>().join("; ");
        let mut lines: Vec<&str> = output.iter().map(AsRef::as_ref).collect();
        let end = lines.iter().rposition(|line| !line.trim().is_empty());
        lines.truncate(end.map_or(0, |end| end + 1));
        Self {
            title,
            lines: excerpt(&without_frames(&lines)),
        }
    }

    /// The same, with the step that it was found in.
    pub(crate) fn of(mut self, step: &str) -> Self {
        self.title = format!("{step}: {}", self.title);
        self
    }
}

/// All failures of a command, printed as one block.
#[derive(Debug, Default)]
pub(crate) struct Details(Vec<Detail>);

impl Details {
    pub(crate) fn add(&mut self, details: impl IntoIterator<Item = Detail>) {
        self.0.extend(details);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{BEGIN}")?;
        for Detail { title, lines } in self.0.iter().take(TOLD) {
            writeln!(f, "\n{TITLE}{title}")?;
            for line in lines {
                writeln!(f, "{}", format!("{TEXT}{line}").trim_end())?;
            }
        }
        writeln!(f)?;
        for Detail { title, .. } in self.0.iter().take(NAMED) {
            writeln!(f, "{NAME}{title}")?;
        }
        if let Some(more) = self.0.len().checked_sub(NAMED + 1) {
            writeln!(f, "and {} more", more + 1)?;
        }
        write!(f, "{END}")
    }
}

/// Takes the block out of what a command prints, line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    inside: bool,
    found: Vec<Detail>,
}

impl Reader {
    /// Takes a line; `true` if it belongs to the block.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        match line {
            BEGIN => self.inside = true,
            END if self.inside => {
                self.inside = false;
                return true;
            }
            _ => {}
        }
        if let (true, Some(title)) = (self.inside, line.strip_prefix(TITLE)) {
            self.found.push(Detail::new::<&str>(title, &[]));
        } else if let (true, Some(name)) = (self.inside, line.strip_prefix(NAME)) {
            if !self.found.iter().any(|detail| detail.title == name) {
                self.found.push(Detail::new::<&str>(name, &[]));
            }
        } else if let (true, Some(last)) = (self.inside, self.found.last_mut()) {
            let text = line.strip_prefix(TEXT).unwrap_or_default();
            last.lines.push(text.to_owned());
        }
        self.inside
    }

    pub(crate) fn finish(mut self) -> Vec<Detail> {
        for detail in &mut self.found {
            while detail.lines.last().is_some_and(String::is_empty) {
                detail.lines.pop();
            }
        }
        self.found
    }
}

/// Backtraces without what is the standard library's.
fn without_frames<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let is_std = |line: &&str| line.trim_start().starts_with("at /rustc/");
    let kept = lines.iter().enumerate().filter(|(at, line)| {
        let next = lines.get(at + 1);
        !is_std(line) && !next.is_some_and(is_std)
    });
    kept.map(|(_, line)| *line).collect()
}

/// The first panic or error and the end, within all limits.
fn excerpt(lines: &[&str]) -> Vec<String> {
    let told = |line: &&str| line.contains("panicked at") || line.starts_with("error");
    let tail = lines.len().saturating_sub(TAIL);
    let first = lines.iter().position(told).unwrap_or(tail).min(tail);
    let head = lines.get(first..(first + HEAD).min(tail)).unwrap_or(&[]);
    let mut kept: Vec<String> = head.iter().map(|line| cut(line)).collect();
    let left_out = tail - head.len();
    let mark = format!("[{left_out} more lines]");
    let mut room = BYTES.saturating_sub(kept.iter().map(String::len).sum());
    let mut end = Vec::new();
    for line in lines.iter().skip(tail).rev().map(|line| cut(line)) {
        let Some(less) = room.checked_sub(line.len() + 1) else {
            break;
        };
        room = less;
        end.push(line);
    }
    kept.extend((left_out > 0).then_some(mark));
    kept.extend(end.into_iter().rev());
    kept
}

fn cut(line: &str) -> String {
    if line.len() <= LINE {
        return line.to_owned();
    }
    let start: String = line.chars().take(LINE / 4).collect();
    format!("{start}.. ({} bytes)", line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_panic_and_the_end_are_kept() {
        let mut lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        lines[10] = "thread 'a' panicked at a.rs:1:1:".to_owned();
        lines[40] = "thread 'b' panicked at b.rs:1:1:".to_owned();
        let kept = Detail::new("a", &lines).lines;
        assert_eq!(kept[0], "thread 'a' panicked at a.rs:1:1:");
        assert_eq!(kept[HEAD - 1], "line 15");
        assert_eq!(kept[HEAD], "[64 more lines]");
        assert_eq!(kept[HEAD + 1..], lines[100 - TAIL..]);
        let short = &lines[..12];
        assert_eq!(Detail::new("a", short).lines, short);
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let lines = vec!["error: x".repeat(1000); 50];
        let size = |lines: &[String]| lines.iter().map(String::len).sum::<usize>();
        assert!(size(&Detail::new("a", &lines).lines) < BYTES + 100);
        let lines = vec!["x".repeat(LINE); 50];
        let kept = Detail::new("a", &lines).lines;
        assert!(size(&kept) < BYTES + 100 && kept.len() > 3, "{kept:?}");
    }

    #[test]
    fn frames_of_the_standard_library_are_left_out() {
        let trace = [
            "stack backtrace:",
            "   0: core::panicking::panic_fmt",
            "             at /rustc/59807616/library/core/src/panicking.rs:80:14",
            "   1: tests::fails",
            "             at ./src/lib.rs:4:38",
        ];
        let kept = Detail::new("a", &trace).lines;
        assert_eq!(kept, [trace[0], trace[3], trace[4]]);
    }

    #[test]
    fn a_block_is_read_back() {
        let all: Vec<Detail> = (0..TOLD + 2)
            .map(|n| Detail::new(format!("number {n}"), &["one", "", "---- two", "three"]))
            .collect();
        let mut details = Details::default();
        details.add(all.clone());
        let text = format!("before\n{details}\nafter");
        let mut reader = Reader::default();
        let outside = text.lines().filter(|line| !reader.line(line));
        assert_eq!(outside.collect::<Vec<_>>(), ["before", "after"]);
        let found = reader.finish();
        assert_eq!(found[..TOLD], all[..TOLD]);
        let names = |details: &[Detail]| -> Vec<String> {
            details.iter().map(|detail| detail.title.clone()).collect()
        };
        assert_eq!(names(&found), names(&all), "of all there is the name");
    }
}
