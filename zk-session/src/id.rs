//! The names by which a session and its driver speak of things.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub(crate) u64);

        impl $name {
            /// The plain number, for indexing, logs and foreign interfaces.
            #[inline]
            pub const fn as_u64(self) -> u64 {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    };
}

id!(
    /// One connection, in the order in which they were asked for. News of an old one is ignored.
    ConnId,
    "conn-"
);
id!(
    /// One submitted request. The ids of a session are consecutive and start at 1, so that a
    /// driver can keep what belongs to them in a queue.
    RequestId,
    "req-"
);
id!(
    /// One local watcher. Several can be served by one registration on the server.
    WatchId,
    "watch-"
);
id!(
    /// One timer of the driver's user.
    TimerId,
    "timer-"
);

/// For maps from ids of this crate's own: they are consecutive, and nobody outside chooses them.
pub(crate) type IdHash = BuildHasherDefault<IdHasher>;

#[derive(Debug, Default)]
pub(crate) struct IdHasher(u64);

/// 2^64 divided by the golden ratio: spreads consecutive numbers over all bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(8) ^ number).wrapping_mul(SPREAD);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
