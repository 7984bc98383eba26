//! The names by which a session and its driver speak of things.

use std::fmt;

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
