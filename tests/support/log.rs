//! What the library logs, kept as far as tests ask about it.

use std::io::{self, Write};
use std::sync::{Mutex, Once};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// What must never be logged. Every credential in the tests contains it.
pub(crate) const SECRET: &str = "n0-b0dys-bus1ness";

static WARNINGS: Mutex<String> = Mutex::new(String::new());
static LEAKS: Mutex<String> = Mutex::new(String::new());
/// Lines of any level that contain one of these.
static KEPT: Mutex<Vec<(String, Vec<String>)>> = Mutex::new(Vec::new());

/// Listens from now on; the first call counts.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(Ear)
            .init();
    });
}

/// Has there been a warning that contains all of these?
pub(crate) fn warned(parts: &[&str]) -> bool {
    let warnings = WARNINGS.lock().unwrap();
    let mut lines = warnings.lines();
    lines.any(|line| parts.iter().all(|part| line.contains(part)))
}

/// How many warnings there have been that contain all of these.
pub(crate) fn warnings(parts: &[&str]) -> usize {
    let warnings = WARNINGS.lock().unwrap();
    let lines = warnings.lines();
    lines
        .filter(|line| parts.iter().all(|part| line.contains(part)))
        .count()
}

/// Lines of any level that contain the secret.
pub(crate) fn leaks() -> String {
    LEAKS.lock().unwrap().clone()
}

/// Keeps all lines that contain this, from now on.
pub(crate) fn keep(part: &str) {
    KEPT.lock().unwrap().push((part.to_owned(), Vec::new()));
}

/// The lines that were kept.
pub(crate) fn kept(part: &str) -> Vec<String> {
    let kept = KEPT.lock().unwrap();
    let lines = kept.iter().find(|(other, _)| other == part);
    lines.map(|(_, lines)| lines.clone()).unwrap_or_default()
}

struct Ear;

struct Line {
    is_warning: bool,
}

impl<'a> MakeWriter<'a> for Ear {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { is_warning: true }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        Line {
            is_warning: *meta.level() <= Level::WARN,
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        if text.contains(SECRET) {
            LEAKS.lock().unwrap().push_str(&text);
        }
        for (part, lines) in &mut *KEPT.lock().unwrap() {
            if text.contains(&**part) {
                lines.push(text.clone().into_owned());
            }
        }
        if self.is_warning {
            WARNINGS.lock().unwrap().push_str(&text);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
