//! Where the releases of ZooKeeper differ, as far as connections are concerned.

use std::{fmt, str::FromStr};

use zk_proto::OpCode;

use crate::Release;

impl Release {
    /// The text that the four-letter words show.
    pub const fn version(self) -> &'static str {
        match self {
            Self::V3_8 => "3.8.0",
            Self::V3_9 => "3.9.5",
        }
    }

    /// Whether watch events carry the transaction that caused them.
    pub(crate) const fn events_have_zxid(self) -> bool {
        matches!(self, Self::V3_9)
    }

    /// Whether a path can be watched in several modes by one connection.
    pub(crate) const fn watch_modes_coexist(self) -> bool {
        matches!(self, Self::V3_9)
    }

    /// Whether a write takes a number before its body is read, so that one that cannot be read has
    /// one, too. That of a multi always does.
    pub(crate) const fn numbers_unreadable(self, opcode: OpCode) -> bool {
        match opcode {
            OpCode::MULTI => true,
            OpCode::CREATE
            | OpCode::CREATE2
            | OpCode::CREATE_CONTAINER
            | OpCode::CREATE_TTL
            | OpCode::DELETE
            | OpCode::SET_DATA
            | OpCode::SET_ACL
            | OpCode::CHECK => matches!(self, Self::V3_8),
            OpCode(_) => false,
        }
    }

    /// Whether a check outside of a multi is executed, though never answered when it succeeds.
    pub(crate) const fn executes_single_check(self) -> bool {
        matches!(self, Self::V3_8)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3_8 => "3.8",
            Self::V3_9 => "3.9",
        })
    }
}

impl FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Self, UnknownRelease> {
        match text {
            "3.8" => Ok(Self::V3_8),
            "3.9" => Ok(Self::V3_9),
            _ => Err(UnknownRelease),
        }
    }
}

/// The text is not a release that this crate knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the releases are 3.8 and 3.9")]
pub struct UnknownRelease;
