//! The trace: one line for each thing that happened, or only a hash over all of them.
//!
//! The hash is the same whether or not lines are kept. It covers every byte that was sent; lines
//! name frames and paths, and never show data.

use std::fmt::Write;

mod digest;
mod peek;

pub(crate) use digest::Digest;
pub(crate) use peek::Peek;

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Connect = 1,
    Sent,
    Arrived,
    Closed,
    State,
    Fault,
    Message,
    Lost,
    Note,
}

#[derive(Debug, Default)]
pub(crate) struct Trace {
    digest: Digest,
    text: Option<String>,
    lines: u64,
}

impl Trace {
    /// Keeps lines from now on.
    pub(crate) fn keep_text(&mut self) {
        self.text.get_or_insert_default();
    }

    pub(crate) fn keeps_text(&self) -> bool {
        self.text.is_some()
    }

    pub(crate) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    pub(crate) fn digest(&self) -> u128 {
        self.digest.value()
    }

    /// How many things have happened.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Takes something in. `line` writes what is shown of it.
    pub(crate) fn note(
        &mut self,
        at: u64,
        kind: Kind,
        numbers: [u64; 2],
        line: impl FnOnce(&mut String),
    ) {
        self.lines += 1;
        self.digest.word(at);
        self.digest.word(kind as u64);
        self.digest.word(numbers[0]);
        self.digest.word(numbers[1]);
        let Some(text) = &mut self.text else { return };
        let (seconds, nanos) = (at / 1_000_000_000, at % 1_000_000_000);
        // Writing to a string does not fail.
        let _ = write!(text, "{seconds:>6}.{nanos:09} ");
        line(text);
        text.push('\n');
    }

    /// As [`note`](Self::note) for something that is known by its text alone.
    pub(crate) fn say(&mut self, at: u64, kind: Kind, line: &str) {
        self.digest.bytes(line.as_bytes());
        self.note(at, kind, [0; 2], |text| text.push_str(line));
    }

    /// Takes bytes into the hash.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.digest.bytes(bytes);
    }
}
