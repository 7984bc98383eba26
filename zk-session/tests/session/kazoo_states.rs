//! The states of a session and what they do to requests and watches: kazoo's rules, row by row.
//!
//! Each row says what kazoo does and what this session does, and holds the session to it. Most are
//! the same. Where they differ, the row names the promise that stands in the place of kazoo's rule.

mod requests;
mod special;
mod transitions;
mod watches;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::rig::Rig;

/// What the session does in the place of what kazoo does.
enum Here {
    Same,
    /// Another promise holds.
    Instead(&'static str),
}

struct Row {
    /// The part of kazoo's rules, and the row in it.
    at: (&'static str, u32),
    kazoo: &'static str,
    here: Here,
    /// Goes through it, and gives the rig back so that it can be looked at.
    check: fn() -> Rig,
}

/// How many rows each part has.
const PARTS: [(&str, u32); 7] = [
    ("states", 3),
    ("transitions", 13),
    ("requests", 6),
    ("watches", 8),
    ("auth failure", 4),
    ("read-only", 5),
    ("listeners", 4),
];

#[test]
fn every_row_holds() {
    let tables = [
        transitions::ROWS,
        requests::ROWS,
        watches::ROWS,
        special::ROWS,
    ];
    let rows: Vec<&Row> = tables.into_iter().flatten().collect();
    let mut found: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    let mut broken = Vec::new();
    for row in &rows {
        found.entry(row.at.0).or_default().push(row.at.1);
        let held = catch_unwind(AssertUnwindSafe(|| {
            let rig = (row.check)();
            assert!(rig.expectations() > 0, "a row must expect something");
        }));
        if held.is_err() {
            let here = match row.here {
                Here::Same => "the same",
                Here::Instead(text) => text,
            };
            broken.push(format!(
                "{} {}: kazoo: {}; here: {here}",
                row.at.0, row.at.1, row.kazoo
            ));
        }
    }
    for (part, count) in PARTS {
        let numbers = found.remove(part).unwrap_or_default();
        let expected: Vec<u32> = (1..=count).collect();
        assert_eq!(numbers, expected, "the rows of {part:?}");
    }
    assert!(found.is_empty(), "parts without a count: {found:?}");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
