//! The versions that can be run, and a downloaded one.

use std::fmt;
use std::path::{Path, PathBuf};

/// A release line of ZooKeeper.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Version {
    /// 3.8, as Debian 12 has it: 3.8.0.
    V3_8,
    /// 3.9, as Debian 13 has it: 3.9.3.
    V3_9,
    /// What Debian is about to have: 3.9.6 or later. It moves, so tests with it say what they saw.
    Next,
}

impl Version {
    /// Every version that all tests run on, oldest first.
    pub const ALL: [Self; 2] = [Self::V3_8, Self::V3_9];

    /// The Debian suite whose package is taken.
    pub(crate) fn suite(self) -> &'static str {
        match self {
            Self::V3_8 => "bookworm",
            Self::V3_9 => "trixie",
            Self::Next => "sid",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3_8 => "3.8",
            Self::V3_9 => "3.9",
            Self::Next => "next",
        })
    }
}

/// A version of ZooKeeper on this machine, with a Java to run it; made by [`fetch`](crate::fetch()).
#[derive(Clone, Debug)]
pub struct Dist {
    pub(crate) version: Version,
    pub(crate) release: String,
    pub(crate) lib: PathBuf,
    pub(crate) java: PathBuf,
}

impl Dist {
    /// The release line that was asked for.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The exact release, such as `3.9.3`.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The directory with the server's jars.
    pub fn lib(&self) -> &Path {
        &self.lib
    }

    /// The Java program that runs it.
    pub fn java(&self) -> &Path {
        &self.java
    }
}
