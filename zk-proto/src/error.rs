//! What can be wrong with received bytes.

use crate::OpCode;

/// The reason why bytes are not the record they should be.
///
/// A client drops the connection on any of these, because it can no longer tell what the peer
/// means. A server answers [`ErrorCode::UNIMPLEMENTED`](crate::ErrorCode::UNIMPLEMENTED) to
/// [`UnknownOpcode`](Self::UnknownOpcode) and
/// [`ErrorCode::MARSHALLING_ERROR`](crate::ErrorCode::MARSHALLING_ERROR) to everything else.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The frame ended before the value did.
    #[error("{what} needs {needed} bytes, {left} are left in the frame")]
    Truncated {
        /// The value being read.
        what: &'static str,
        /// Bytes that the value takes.
        needed: usize,
        /// Bytes that the frame still had.
        left: usize,
    },
    /// A length or count below -1 (-1 stands for null).
    #[error("{what} has the negative length {length}")]
    NegativeLength {
        /// The value being read.
        what: &'static str,
        /// The length found.
        length: i32,
    },
    /// A vector announced more items than the rest of the frame can hold.
    #[error("{what} announces {count} items, {left} bytes are left in the frame")]
    TooManyItems {
        /// The vector being read.
        what: &'static str,
        /// The number of items announced.
        count: usize,
        /// Bytes that the frame still had.
        left: usize,
    },
    /// A value longer than this protocol ever makes it.
    #[error("{what} has {length} bytes, {limit} are allowed")]
    TooLong {
        /// The value being read.
        what: &'static str,
        /// The length found.
        length: usize,
        /// The longest length accepted.
        limit: usize,
    },
    /// Null where the protocol needs a value.
    #[error("{what} is null")]
    Null {
        /// The value being read.
        what: &'static str,
    },
    /// A number that selects among alternatives selects none of them.
    #[error("{what} cannot be {value}")]
    BadValue {
        /// The value being read.
        what: &'static str,
        /// The number found.
        value: i32,
    },
    /// No request or reply of this crate has this opcode.
    #[error("there is no operation with {0}")]
    UnknownOpcode(OpCode),
}
