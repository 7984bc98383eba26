//! What is said of a finding: what it is, and its input, so that a log of a run elsewhere is enough to
//! repeat it.

use std::fmt;
use std::fs;
use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::details::Detail;
use crate::error::Error;

/// The most bytes of an input that are told: twice as many as inputs have.
const INPUT: usize = 8 * 1024;

/// The most bytes of an input on one line.
const LINE: usize = 300;

/// The most lines of what was said.
const SAID: usize = 12;

/// The most characters of one of them.
const WIDTH: usize = 400;

/// The most bytes of a part that is told at the end: no more than is told whole.
const PART: usize = 3500;

/// An input that a target fails on.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    target: String,
    /// As libFuzzer has named it: first what it is, such as `crash` or `timeout`.
    name: String,
    said: Vec<String>,
    input: Vec<u8>,
}

impl Finding {
    /// Reads the file of a finding. `log` is what the fuzzer has said.
    pub(crate) fn read(target: &str, path: &Path, log: &str) -> Result<Self, Error> {
        let input = fs::read(path).map_err(Error::io(format!("read {}", path.display())))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self {
            target: target.to_owned(),
            name: name.into_owned(),
            said: said(log),
            input,
        })
    }

    /// The same for the end of all output.
    pub(crate) fn details(&self) -> Vec<Detail> {
        let (title, lines) = (format!("{}: {}", self.target, self.name), self.lines());
        let mut parts: Vec<Vec<&str>> = Vec::new();
        let mut room = 0;
        for line in lines.iter().skip(1) {
            let takes = line.len() + 1;
            match parts.last_mut().filter(|_| takes <= room) {
                Some(part) => part.push(line),
                None => {
                    parts.push(vec![line]);
                    room = PART;
                }
            }
            room = room.saturating_sub(takes);
        }
        let details = parts.iter().enumerate().map(|(at, part)| match at {
            0 => Detail::new(title.as_str(), part),
            _ => Detail::new(format!("{title}, part {}", at + 1), part),
        });
        details.collect()
    }

    /// Each line of what is told.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Self {
            target,
            name,
            said,
            input,
        } = self;
        let shown = &input[..input.len().min(INPUT)];
        let of = if shown.len() < input.len() {
            format!(", the first {INPUT} of them")
        } else {
            String::new()
        };
        let mut lines = vec![format!("{target}: {name}")];
        lines.extend(said.iter().cloned());
        lines.push(format!("its input, {} bytes{of}, in base64:", input.len()));
        // Each line is whole by itself, as so many bytes leave no rest.
        lines.extend(shown.chunks(LINE).map(|bytes| STANDARD.encode(bytes)));
        lines
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

/// The message of a panic; if there is none, why the fuzzer gave up.
fn said(log: &str) -> Vec<String> {
    let lines = || log.lines();
    let ends = |line: &&str| {
        let endings = ["note:", "stack backtrace:", "=="];
        endings.iter().any(|ending| line.starts_with(ending))
    };
    let panic: Vec<&str> = lines()
        .skip_while(|line| !line.contains("panicked at"))
        .take_while(|line| !ends(line))
        .take(SAID)
        .collect();
    let gave_up = |line: &&str| line.contains("ERROR: libFuzzer:");
    let said = if panic.is_empty() {
        lines().filter(gave_up).take(SAID).collect()
    } else {
        panic
    };
    let cut = |line: &str| line.chars().take(WIDTH).collect();
    said.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANIC: &str = "\
#657\tNEW    cov: 4680 ft: 19616 corp: 339/112Kb lim: 709 exec/s: 43 rss: 32Mb

thread '<unnamed>' (3879) panicked at bodies/src/clients.rs:77:5:
assertion `left == right` failed: not the same again
  left: 1
 right: 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
==3879== ERROR: libFuzzer: deadly signal
";

    fn finding(length: usize, log: &str) -> Finding {
        Finding {
            target: "server_bytes".to_owned(),
            name: "crash-1".to_owned(),
            said: said(log),
            input: (0..length).map(|at| at as u8).collect(),
        }
    }

    #[test]
    fn a_panic_is_told_with_its_message() {
        let lines = finding(3, PANIC).lines();
        let told = [
            "server_bytes: crash-1",
            "thread '<unnamed>' (3879) panicked at bodies/src/clients.rs:77:5:",
            "assertion `left == right` failed: not the same again",
            "  left: 1",
            " right: 2",
            "its input, 3 bytes, in base64:",
            "AAEC",
        ];
        assert_eq!(lines, told);
    }

    #[test]
    fn without_a_panic_the_fuzzer_says_why() {
        let log = "ALARM: working on the last Unit for 121 seconds\n\
                   ==7== ERROR: libFuzzer: timeout after 121 seconds\n    #0 0x55 in main\n";
        let lines = finding(0, log).lines();
        assert_eq!(
            lines[1],
            "==7== ERROR: libFuzzer: timeout after 121 seconds"
        );
        assert_eq!(lines[2..], ["its input, 0 bytes, in base64:"]);
        assert_eq!(said(""), [""; 0]);
    }

    #[test]
    fn at_the_end_all_of_it_is_told() {
        let whole = finding(4096, PANIC);
        let mut all = crate::details::Details::default();
        all.add(whole.details());
        let text = all.to_string();
        for line in whole.lines().iter().skip(1) {
            assert!(
                text.contains(&format!("\n    {line}\n")),
                "{line} in {text}"
            );
        }
        assert!(
            text.contains("---- server_bytes: crash-1, part 2\n"),
            "{text}"
        );
    }

    #[test]
    fn inputs_are_whole_unless_they_are_too_long() {
        for length in [LINE, LINE + 1, 4096, INPUT, INPUT + 1] {
            let whole = finding(length, PANIC);
            let lines = whole.lines();
            let code = lines.iter().skip_while(|line| !line.ends_with("base64:"));
            let code: Vec<&str> = code.skip(1).map(String::as_str).collect();
            assert!(code.iter().all(|line| line.len() <= 400));
            let input = STANDARD.decode(code.concat()).unwrap();
            assert_eq!(input, whole.input[..length.min(INPUT)]);
        }
    }
}
