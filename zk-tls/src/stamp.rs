//! [`Stamp`]: whether a file has changed, without reading it.

use std::fs::{self, Metadata};
use std::time::SystemTime;

use crate::source::Source;

/// What changes with a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// A file that was put in the place of another may be as old and as long.
    identity: Identity,
}

impl Stamp {
    /// Nothing for what is no file, or cannot be seen.
    pub(crate) fn of(source: &Source) -> Option<Self> {
        match source {
            Source::Bytes(_) => None,
            Source::File(path) => fs::metadata(path).ok().map(|seen| Self::seen(&seen)),
        }
    }

    fn seen(seen: &Metadata) -> Self {
        Self {
            modified: seen.modified().ok(),
            length: seen.len(),
            identity: identity(seen),
        }
    }
}

/// Device and number of a file, and when anything about it was changed.
type Identity = (u64, u64, i64, i64);

#[cfg(unix)]
fn identity(seen: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (seen.dev(), seen.ino(), seen.ctime(), seen.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {
    Identity::default()
}
