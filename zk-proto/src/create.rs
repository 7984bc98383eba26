//! What kind of node a create makes.

use std::{num::NonZeroU64, time::Duration};

use crate::OpCode;

/// The kind of a node (`CreateMode` of the Java client).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "these are all combinations that servers know"
)]
pub enum CreateMode {
    /// Stays until it is deleted.
    #[default]
    Persistent,
    /// Deleted when the session ends; has no children.
    Ephemeral,
    /// Persistent; the server appends a counter of ten digits to the name.
    PersistentSequential,
    /// Ephemeral; the server appends a counter of ten digits to the name.
    EphemeralSequential,
    /// Deleted by the server some time after its last child is.
    Container,
    /// Deleted by the server some time after it was last written, unless it has children.
    PersistentWithTtl(Ttl),
    /// With a time to live; the server appends a counter of ten digits to the name.
    PersistentSequentialWithTtl(Ttl),
}

impl CreateMode {
    /// The number on the wire.
    pub const fn flags(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::PersistentSequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::PersistentWithTtl(_) => 5,
            Self::PersistentSequentialWithTtl(_) => 6,
        }
    }

    /// The mode of these flags and this time to live in milliseconds.
    ///
    /// # Errors
    /// [`ModeError::UnknownFlags`] outside of 0 to 6; [`ModeError::MissingTtl`] and
    /// [`ModeError::UnexpectedTtl`] if the flags are with a time to live that there is not, or the
    /// reverse; the errors of [`Ttl::from_millis`].
    pub fn from_flags(flags: i32, ttl: Option<i64>) -> Result<Self, ModeError> {
        let lives = || ttl.ok_or(ModeError::MissingTtl).and_then(Ttl::from_millis);
        let mode = match flags {
            0 => Self::Persistent,
            1 => Self::Ephemeral,
            2 => Self::PersistentSequential,
            3 => Self::EphemeralSequential,
            4 => Self::Container,
            5 => return lives().map(Self::PersistentWithTtl),
            6 => return lives().map(Self::PersistentSequentialWithTtl),
            _ => return Err(ModeError::UnknownFlags(flags)),
        };
        if ttl.is_some() {
            Err(ModeError::UnexpectedTtl)
        } else {
            Ok(mode)
        }
    }

    /// Whether the server appends a counter to the name.
    pub const fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::PersistentSequential
                | Self::EphemeralSequential
                | Self::PersistentSequentialWithTtl(_)
        )
    }

    /// Whether the node ends with the session.
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// The time to live of the two modes that have one.
    pub const fn ttl(self) -> Option<Ttl> {
        match self {
            Self::PersistentWithTtl(ttl) | Self::PersistentSequentialWithTtl(ttl) => Some(ttl),
            Self::Persistent
            | Self::Ephemeral
            | Self::PersistentSequential
            | Self::EphemeralSequential
            | Self::Container => None,
        }
    }

    /// The operation that makes such a node: one for containers, one for a time to live, and of the
    /// two others the one whose reply has a [`Stat`](crate::Stat) only if it is wanted, because that
    /// one is younger.
    pub const fn opcode(self, want_stat: bool) -> OpCode {
        match self {
            Self::Container => OpCode::CREATE_CONTAINER,
            Self::PersistentWithTtl(_) | Self::PersistentSequentialWithTtl(_) => OpCode::CREATE_TTL,
            Self::Persistent
            | Self::Ephemeral
            | Self::PersistentSequential
            | Self::EphemeralSequential => {
                if want_stat {
                    OpCode::CREATE2
                } else {
                    OpCode::CREATE
                }
            }
        }
    }
}

/// How long a node lives after its last change while it has no children: 1 ms to 2^40 - 1 ms, which
/// is almost 35 years.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ttl(NonZeroU64);

impl Ttl {
    /// The longest time to live, in milliseconds.
    pub const MAX_MILLIS: i64 = (1 << 40) - 1;

    /// A time to live, cut to whole milliseconds.
    ///
    /// # Errors
    /// [`ModeError::TtlTooShort`] below one millisecond, [`ModeError::TtlTooLong`].
    pub fn new(time: Duration) -> Result<Self, ModeError> {
        Self::from_millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }

    /// A time to live in milliseconds.
    ///
    /// # Errors
    /// [`ModeError::TtlTooShort`] for 0 and less, [`ModeError::TtlTooLong`].
    pub fn from_millis(millis: i64) -> Result<Self, ModeError> {
        if millis > Self::MAX_MILLIS {
            return Err(ModeError::TtlTooLong);
        }
        let millis = u64::try_from(millis).ok().and_then(NonZeroU64::new);
        millis.map(Self).ok_or(ModeError::TtlTooShort)
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0.get() as i64
    }

    /// As a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0.get())
    }
}

impl TryFrom<Duration> for Ttl {
    type Error = ModeError;

    fn try_from(time: Duration) -> Result<Self, ModeError> {
        Self::new(time)
    }
}

/// Why flags and a time to live are not a mode; servers answer BadArguments.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModeError {
    /// Flags that stand for no mode.
    #[error("there is no create mode {0}")]
    UnknownFlags(i32),
    /// The flags are for a time to live, and there is none.
    #[error("the create mode needs a time to live")]
    MissingTtl,
    /// There is a time to live, and the flags are not for one.
    #[error("the create mode has no time to live")]
    UnexpectedTtl,
    /// Less than one millisecond.
    #[error("the time to live is shorter than one millisecond")]
    TtlTooShort,
    /// More than [`Ttl::MAX_MILLIS`].
    #[error("the time to live is longer than {max} ms", max = Ttl::MAX_MILLIS)]
    TtlTooLong,
}

/// The mode in a create request: one of [`CreateMode`], or whatever else a client sent.
///
/// Clients write `mode.into()`. Servers ask for the [`effective`](Self::effective) mode.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a mode is one of ours or it is not"
)]
pub enum WireMode {
    /// A mode, under the operation that goes with it.
    Known(CreateMode),
    /// Anything else, kept as it came.
    Raw(RawMode),
}

/// An operation, flags and time to live that do not go together.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RawMode {
    /// One of the four operations that create.
    pub opcode: OpCode,
    /// The flags.
    pub flags: i32,
    /// The time to live in milliseconds, which only [`OpCode::CREATE_TTL`] has.
    pub ttl: Option<i64>,
}

impl WireMode {
    /// The mode that a server makes of it: [`OpCode::CREATE_CONTAINER`] makes a container whatever
    /// the flags say, and flags 4 make a persistent node under [`OpCode::CREATE`] and
    /// [`OpCode::CREATE2`] (`PrepRequestProcessor.pRequest2TxnCreate` of the Java server).
    ///
    /// # Errors
    /// As [`CreateMode::from_flags`]; servers answer BadArguments.
    pub fn effective(self) -> Result<CreateMode, ModeError> {
        match self {
            Self::Known(mode) => Ok(mode),
            Self::Raw(RawMode {
                opcode: OpCode::CREATE_CONTAINER,
                ..
            }) => Ok(CreateMode::Container),
            Self::Raw(RawMode {
                opcode: OpCode::CREATE | OpCode::CREATE2,
                flags: 4,
                ..
            }) => Ok(CreateMode::Persistent),
            Self::Raw(RawMode { flags, ttl, .. }) => CreateMode::from_flags(flags, ttl),
        }
    }

    /// The mode, if it is one of [`CreateMode`].
    pub fn known(self) -> Option<CreateMode> {
        match self {
            Self::Known(mode) => Some(mode),
            Self::Raw(_) => None,
        }
    }

    /// The number on the wire.
    pub fn flags(self) -> i32 {
        match self {
            Self::Known(mode) => mode.flags(),
            Self::Raw(raw) => raw.flags,
        }
    }

    /// The operation on the wire; see [`CreateMode::opcode`].
    pub fn opcode(self, want_stat: bool) -> OpCode {
        match self {
            Self::Known(mode) => mode.opcode(want_stat),
            Self::Raw(raw) => raw.opcode,
        }
    }

    /// Whether the server appends a counter to the name, as far as the flags tell.
    pub(crate) fn is_sequential(self) -> bool {
        self.known().is_some_and(CreateMode::is_sequential)
    }

    pub(crate) fn ttl_millis(self) -> Option<i64> {
        match self {
            Self::Known(mode) => mode.ttl().map(Ttl::as_millis),
            Self::Raw(raw) => raw.ttl,
        }
    }

    /// What the operation, flags and time to live of a request are.
    pub(crate) fn from_wire(opcode: OpCode, flags: i32, ttl: Option<i64>) -> Self {
        match CreateMode::from_flags(flags, ttl) {
            Ok(mode) if mode.opcode(opcode == OpCode::CREATE2) == opcode => Self::Known(mode),
            _ => Self::Raw(RawMode { opcode, flags, ttl }),
        }
    }
}

impl From<CreateMode> for WireMode {
    fn from(mode: CreateMode) -> Self {
        Self::Known(mode)
    }
}

#[cfg(test)]
mod tests;
